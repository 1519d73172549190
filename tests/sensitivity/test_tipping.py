"""Tipping points: algebra of the bias, agreement with least squares."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
import xarray as xr

from bayes_hte.effects.averages import probability_of_benefit
from bayes_hte.errors import DataError, SpecError
from bayes_hte.names import SAMPLE
from bayes_hte.sensitivity import benchmark_covariates, tipping_point

GRID = {"gamma": np.linspace(-1, 1, 5), "delta": np.linspace(0, 1, 3)}


def average(*, mean: float, sd: float = 0.1, size: int = 200) -> xr.DataArray:
    draws = np.random.default_rng(3).normal(mean, sd, size=(2, size))
    return xr.DataArray(draws, dims=SAMPLE, name="ate")


@pytest.mark.parametrize(("better", "beyond"), [("higher", 0.0), ("lower", 0.0), ("lower", 0.2)])
def test_the_table_is_the_probability_after_removing_the_bias(better, beyond):
    effect = average(mean=-0.4)
    found = tipping_point(effect, better=better, beyond=beyond, **GRID)
    assert len(found.probability) == 15
    for row in found.probability.itertuples():
        assert row.bias == row.gamma * row.delta
        left = probability_of_benefit(effect - row.bias, better=better, beyond=beyond)
        assert row.prob_benefit == pytest.approx(float(left))


@pytest.mark.parametrize(("better", "sign"), [("higher", 1), ("lower", -1)])
@pytest.mark.parametrize("level", [0.95, 0.5, 0.07])
def test_the_tip_is_the_smallest_bias_that_takes_the_probability_below_the_level(
    better, sign, level
):
    effect = average(mean=0.3 * sign, size=100)
    found = tipping_point(effect, better=better, levels=[level], **GRID)
    bias = found.tips.loc[level, "bias"]
    at, before = (
        float(probability_of_benefit(effect - b, better=better)) for b in (bias, bias - sign * 1e-9)
    )
    assert at < level <= before
    assert found.tips.loc[level, "reached"] == (sign * bias > 0)


def test_a_level_that_is_not_reached_tips_at_a_bias_that_hides_benefit():
    found = tipping_point(average(mean=0.1), better="higher", **GRID)
    assert not found.tips.loc[0.95, "reached"]
    assert found.tips.loc[0.95, "bias"] < 0 < found.tips.loc[0.5, "bias"]
    assert "below 0.95 without any bias" in found.check().text


def test_the_bias_needed_is_the_effect_itself_or_what_exceeds_the_margin():
    effect = average(mean=-0.4)
    xr.testing.assert_allclose(
        tipping_point(effect, better="lower", **GRID).bias_needed, effect.rename("bias_needed")
    )
    beyond = tipping_point(effect, better="lower", beyond=0.25, **GRID)
    np.testing.assert_allclose(beyond.bias_needed, effect + 0.25)
    assert beyond.summary().loc["bias_needed", "mean"] == pytest.approx(float(effect.mean()) + 0.25)
    assert "benefit of exactly 0.25" in beyond.check().text


def observed(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    age, weight = rng.normal(50, 10, size=n), rng.normal(size=n)
    site = rng.choice(["north", "south", "west"], size=n)
    t = (rng.random(n) < 1 / (1 + np.exp(-(age - 50) / 15 - 0.7 * weight))).astype(int)
    y = 2 * t + 0.05 * age + weight + (site == "west") + rng.normal(size=n)
    return pd.DataFrame({"y": y, "t": t, "age": age, "weight": weight + age / 20, "site": site})


def test_benchmarks_are_what_leaving_a_covariate_out_does_to_least_squares():
    frame = observed()
    table = benchmark_covariates(
        frame, outcome="y", treatment="t", covariates=["age", "weight", "site"]
    )
    assert list(table.index) == ["age", "weight", "site=south", "site=west"]
    full = smf.ols("y ~ t + age + weight + site", frame).fit().params
    without = smf.ols("y ~ t + weight + site", frame).fit().params
    assert table.loc["age", "bias_if_omitted"] == pytest.approx(without["t"] - full["t"])
    assert table.loc["age", "gamma"] == pytest.approx(full["age"] * frame["age"].std(ddof=0))
    by_arm = frame.assign(west=frame["site"] == "west").groupby("t")[["age", "west"]].mean()
    difference = by_arm.loc[1] - by_arm.loc[0]
    assert table.loc["site=west", "delta"] == pytest.approx(difference["west"])
    assert table.loc["age", "bias"] == pytest.approx(difference["age"] * full["age"])


def test_a_hidden_confounder_of_known_strength_is_removed():
    rng = np.random.default_rng(5)
    t = rng.integers(0, 2, size=100_000)
    u = rng.random(t.size) < 0.3 + 0.2 * t
    y = 1.0 * t + 1.5 * u + rng.normal(size=t.size)
    naive = y[t == 1].mean() - y[t == 0].mean()
    effect = xr.DataArray(np.full((1, 4), naive), dims=SAMPLE)
    found = tipping_point(effect, better="higher", beyond=0.95, gamma=[1.5], delta=[0.2])
    assert naive > 1.2
    assert float(found.bias_needed.mean()) == pytest.approx(0.3 + 0.05, abs=0.03)
    # Without the confounder's 0.3 the effect is 1, more than the margin of 0.95.
    assert found.probability.loc[0, "prob_benefit"] == 1


def test_a_benchmark_flatters_whatever_its_sign():
    table = pd.DataFrame({"bias": [0.2, -0.2, 1.0]}, index=["a", "b", "c"])
    effect = average(mean=0.3)
    found = tipping_point(effect, better="higher", benchmarks=table, **GRID)
    left = found.benchmarks["prob_benefit"]
    assert left["a"] == left["b"] == pytest.approx(float((effect > 0.2).mean()))
    assert left["c"] == 0
    assert "as strong as c" in found.check().text
    assert "prob_benefit" not in table


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"gamma": []}, DataError, "gamma must be a list"),
        ({"delta": [0.1, np.nan]}, DataError, "delta must be a list"),
        ({"delta": "a"}, DataError, "delta must be a list"),
        ({"gamma": None}, DataError, "gamma must be a list"),
        ({"levels": [1.0]}, SpecError, "inside"),
        ({"levels": 0.95}, SpecError, "inside"),
        ({"levels": []}, SpecError, "inside"),
        ({"better": "more"}, SpecError, "unknown direction"),
        ({"beyond": -1.0}, SpecError, "0 or more"),
    ],
)
def test_a_grid_or_level_without_meaning_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        tipping_point(average(mean=1.0), **{"better": "higher", **GRID, **options})


def test_unit_level_effects_and_collinear_covariates_are_refused():
    with pytest.raises(DataError, match="average over units first"):
        tipping_point(average(mean=1.0).expand_dims(unit=3), better="higher", **GRID)
    with pytest.raises(DataError, match="effect must be an average, a DataArray"):
        tipping_point(average(mean=1.0).to_numpy(), better="higher", **GRID)
    with pytest.raises(DataError, match="effect holds NaN"):
        tipping_point(average(mean=np.nan), better="higher", **GRID)
    frame = observed().assign(twice=lambda d: 2 * d["age"])
    with pytest.raises(DataError, match="collinear"):
        benchmark_covariates(frame, outcome="y", treatment="t", covariates=["age", "twice"])
    with pytest.raises(DataError, match="non-empty"):
        benchmark_covariates(frame, outcome="y", treatment="t", covariates="age")
