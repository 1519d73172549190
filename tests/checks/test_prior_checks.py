"""Prior views and power scaling: closed forms, conflicts that fail, and what cannot be judged."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import integrate, stats

from bayes_hte.checks.prior_sensitivity import (
    BARELY,
    CONFLICT,
    NOISE,
    STRONG,
    THRESHOLD,
    Scaled,
    prior_sensitivity,
)
from bayes_hte.checks.prior_view import AVERAGE, FEWEST_DRAWS, FIRST_DRAWS, SPREAD, prior_view
from bayes_hte.names import SAMPLE, UNIT

CHAINS, DRAWS = 4, 1000


def effects(mean, sd, spread, spread_sd=0.1, *, draws=FEWEST_DRAWS, seed=1) -> xr.DataArray:
    """Effects of 50 units: averages normal(mean, sd), sd over the units about `spread`."""
    rng = np.random.default_rng(seed)
    shape = rng.normal(size=50)
    shape = (shape - shape.mean()) / shape.std()
    average = rng.normal(mean, sd, size=(1, draws, 1))
    size = np.abs(rng.normal(spread, spread_sd, size=(1, draws, 1)))
    return xr.DataArray(average + size * shape, dims=(*SAMPLE, UNIT))


def view(prior: xr.DataArray, posterior: xr.DataArray):
    return prior_view({"forest": prior}, {"forest": posterior}, outcome_sd=2.0)


# ---------------------------------------------------------------- priors and posteriors


def test_a_posterior_within_its_prior_informs():
    result = view(effects(0, 1, 0.5), effects(0.8, 0.1, 0.4, seed=2))
    assert result.passed is None
    assert "Judge whether the prior would do" in result.text


def test_the_table_holds_medians_and_intervals_on_both_scales():
    table = view(effects(0, 1, 0.5, draws=20_000), effects(0.8, 0.1, 0.4, seed=2)).table
    row = table.loc[("forest", AVERAGE, "prior", "outcome units")]
    np.testing.assert_allclose(
        row[["median", "ci_lower", "ci_upper"]].astype(float), [0, -1.96, 1.96], atol=0.06
    )
    row = table.loc[("forest", SPREAD, "posterior", "outcome sd")]
    np.testing.assert_allclose(
        row[["median", "ci_lower", "ci_upper"]].astype(float), [0.2, 0.102, 0.298], atol=0.01
    )
    assert set(table["ci_kind"]) == {"eti"}
    assert set(table["ci_prob"]) == {0.95}
    assert set(table["population"]) == {"units of the study"}
    below = table.loc[("forest", AVERAGE, "posterior", "outcome sd"), "prior below median"]
    assert below == pytest.approx(stats.norm.cdf(0.8), abs=0.02)


def test_an_average_effect_that_the_prior_excluded_fails():
    result = view(effects(0, 1, 0.5), effects(5.0, 0.1, 0.4, seed=2))
    assert result.passed is False
    assert f"{AVERAGE} of model forest, posterior median 5" in result.text
    assert SPREAD not in result.text


@pytest.mark.parametrize("spread", [0.0, 3.0])
def test_a_spread_that_the_prior_excluded_fails(spread):
    result = view(effects(0, 1, 1.0), effects(0.5, 0.1, spread, 0.01, seed=2))
    assert result.passed is False
    assert SPREAD in result.text


def test_effects_that_cannot_vary_are_no_conflict():
    constant = effects(0, 1, 0.0, 0.0)
    assert view(constant, effects(0.5, 0.1, 0.0, 0.0, seed=2)).passed is None


def test_few_prior_draws_judge_only_what_lies_well_inside():
    few = effects(0, 1, 0.5, draws=FIRST_DRAWS)
    assert view(few, effects(0.8, 0.1, 0.5, seed=2)).passed is None
    result = view(few, effects(2.2, 0.1, 0.5, seed=2))
    assert result.passed is False
    assert f"{FIRST_DRAWS} prior draws do not show the central 99.9%" in result.text


def test_every_model_is_judged():
    fine, far = effects(0.8, 0.1, 0.4, seed=2), effects(5.0, 0.1, 0.4, seed=2)
    prior = effects(0, 1, 0.5)
    result = prior_view({"a": prior, "b": prior}, {"a": fine, "b": far}, outcome_sd=2.0)
    assert result.passed is False
    assert "model b" in result.text
    assert "model a" not in result.text
    assert len(result.table) == 16


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda e: e.isel(draw=slice(100)), "100 prior draws do not show the central 99.9%"),
        (lambda e: e.where(e["draw"] != 5, np.inf), "not finite"),
    ],
)
def test_a_prior_that_cannot_be_judged_fails(spoil, message):
    prior = effects(0, 1, 0.5).assign_coords(draw=np.arange(FEWEST_DRAWS))
    result = view(spoil(prior), effects(0.8, 0.1, 0.4, seed=2))
    assert result.passed is False
    assert message in result.text


# ---------------------------------------------------------------- power scaling


def conjugate(mean: float, prior_sd: float, *, rows: int = 20) -> Scaled:
    """Posterior of a normal mean with unit noise: `rows` observations with an average of `mean`."""
    variance = 1 / (1 / prior_sd**2 + rows)
    grid = stats.norm.ppf((np.arange(CHAINS * DRAWS) + 0.5) / (CHAINS * DRAWS))
    centre = variance * rows * mean
    theta = np.random.default_rng(3).permutation(centre + np.sqrt(variance) * grid)
    theta = xr.DataArray(theta.reshape(CHAINS, DRAWS), dims=SAMPLE)
    log_prior = xr.Dataset({"scale": theta.copy(data=stats.norm.logpdf(theta, 0, prior_sd))})
    log_likelihood = -0.5 * rows * (theta - mean) ** 2
    return Scaled(xr.Dataset({"effect": theta}), log_prior, log_likelihood)


def exact_sensitivity(mean: float, prior_sd: float, scaled: Scaled, rows: int = 20) -> float:
    """Sensitivity of the conjugate mean to its prior, with normal distribution functions."""
    theta = scaled.quantities["effect"].to_numpy()
    reference = 1 / (1 / prior_sd**2 + rows)
    slopes = []
    for power in (0.99, 1.01):
        variance = 1 / (power / prior_sd**2 + rows)
        laws = [stats.norm(v * rows * mean, np.sqrt(v)) for v in (reference, variance)]
        ranges = [(theta.min(), theta.max()), (-theta.max(), -theta.min())]
        distances = [
            jensen_shannon(
                *(law.cdf if sign > 0 else lambda x, law=law: law.sf(-x) for law in laws), *ends
            )
            for sign, ends in zip((1, -1), ranges, strict=True)
        ]
        slopes.append(max(distances) / abs(np.log2(power)))
    return float(np.mean(slopes))


def jensen_shannon(p, q, lower: float, upper: float) -> float:
    """Cumulative Jensen-Shannon distance of two distribution functions on an interval."""
    x = np.linspace(lower, upper, 20_001)
    P, Q = p(x), q(x)
    middle = (P + Q) / 2
    one = P * np.log2(P / middle) + (Q - P) / (2 * np.log(2))
    other = Q * np.log2(Q / middle) + (P - Q) / (2 * np.log(2))
    return float(np.sqrt(integrate.trapezoid(one + other, x) / integrate.trapezoid(P + Q, x)))


@pytest.mark.parametrize("prior_sd", [0.1, 0.3])
def test_the_sensitivity_is_that_of_the_conjugate_model(prior_sd):
    scaled = conjugate(1.0, prior_sd)
    got = prior_sensitivity({"a": scaled}).table.loc[("a", "effect"), "prior"]
    assert got == pytest.approx(exact_sensitivity(1.0, prior_sd, scaled), rel=0.05)


def test_a_wide_prior_hardly_matters_and_passes():
    result = prior_sensitivity({"a": conjugate(1.0, 10.0)})
    assert result.passed is True
    assert result.table["diagnosis"].to_list() == [BARELY]
    assert result.table["likelihood"].item() > THRESHOLD
    assert result.table["scaled"].item() == "scale"
    assert "the parameter of the size and variation of effects" in result.text


def test_a_prior_against_the_data_is_information_with_advice():
    result = prior_sensitivity({"a": conjugate(2.0, 0.2)})
    assert result.passed is None
    assert result.table["diagnosis"].to_list() == [CONFLICT]
    assert "Declare the scale" in result.text
    assert "half and twice" in result.text


def test_a_prior_without_data_is_called_strong():
    scaled = conjugate(0.0, 0.1)
    weak = Scaled(scaled.quantities, scaled.log_prior, 0.01 * scaled.log_likelihood)
    assert prior_sensitivity({"a": weak}).table["diagnosis"].to_list() == [STRONG]


def test_a_movement_no_larger_than_noise_is_called_noise():
    scaled = conjugate(1.0, 10.0)
    rng = np.random.default_rng(4)
    wild = scaled.log_prior.map(lambda v: v.copy(data=rng.normal(scale=100, size=v.shape)))
    result = prior_sensitivity({"a": Scaled(scaled.quantities, wild, scaled.log_likelihood)})
    assert result.table["prior"].item() > THRESHOLD
    assert result.table["diagnosis"].to_list() == [NOISE]
    assert result.passed is None
    assert "Draw more" in result.text


def broken(log_prior=None, log_likelihood=None, quantity=None) -> Scaled:
    scaled = conjugate(1.0, 1.0)
    return Scaled(
        scaled.quantities if quantity is None else xr.Dataset({"effect": quantity}),
        scaled.log_prior if log_prior is None else log_prior,
        scaled.log_likelihood if log_likelihood is None else log_likelihood,
    )


FLAT = xr.DataArray(np.ones((CHAINS, DRAWS)), dims=SAMPLE)


@pytest.mark.parametrize(
    ("scaled", "message"),
    [
        (broken(log_prior=xr.Dataset()), "no parameter of the model says"),
        (broken(log_prior=xr.Dataset({"scale": FLAT})), "log prior is the same in all draws"),
        (broken(log_prior=xr.Dataset({"scale": FLAT * np.nan})), "log prior is not finite"),
        (broken(log_likelihood=-np.inf * FLAT), "log likelihood is not finite"),
        (broken(quantity=FLAT), "draws of effect are not finite or do not vary"),
    ],
)
def test_what_cannot_be_scaled_fails(scaled, message):
    result = prior_sensitivity({"a": scaled})
    assert result.passed is False
    assert message in result.text


def test_equal_draws_give_equal_tables():
    first, second = (prior_sensitivity({"a": conjugate(1.0, 0.3)}).table for _ in range(2))
    assert first.equals(second)
