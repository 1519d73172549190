"""Tables of draws: right numbers, and every interval with its kind and probability beside it."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from bayes_hte.effects.comparison import compare_effects
from bayes_hte.effects.contrasts import decompose
from bayes_hte.effects.summaries import (
    interval,
    interval_parameters,
    interval_words,
    monte_carlo_error,
    summarize,
)
from bayes_hte.errors import DataError, SpecError
from bayes_hte.names import SAMPLE, UNIT
from tests.fakes import fake_effect, fake_potential_outcomes


def scalar(values: np.ndarray, name: str | None = "te") -> xr.DataArray:
    return xr.DataArray(values.reshape(4, -1), dims=SAMPLE, name=name)


def test_a_summary_holds_the_numbers_of_the_pooled_draws():
    values = np.random.default_rng(1).gamma(2.0, size=2000) - 1
    row = summarize(scalar(values), ci_prob=0.9).loc["te"]
    np.testing.assert_allclose(
        row[["mean", "median", "sd", "ci_lower", "ci_upper", "prob_positive"]].astype(float),
        [
            values.mean(),
            np.median(values),
            values.std(ddof=1),
            *np.quantile(values, [0.05, 0.95]),
            (values > 0).mean(),
        ],
    )
    assert (row["ci_prob"], row["ci_kind"]) == (0.9, "eti")


def test_the_default_interval_is_equal_tailed_with_probability_95():
    row = summarize(scalar(np.random.default_rng(2).normal(size=400))).iloc[0]
    assert (row["ci_prob"], row["ci_kind"]) == (0.95, "eti")


def test_intervals_have_the_probability_they_claim():
    # Quantiles of the standard normal, with four Monte Carlo standard errors at 100,000 draws.
    draws = scalar(np.random.default_rng(3).normal(size=100_000))
    lower, upper = (float(bound) for bound in interval(draws, ci_prob=0.8))
    np.testing.assert_allclose([lower, upper], stats.norm.ppf([0.1, 0.9]), atol=0.022)


def test_the_two_kinds_of_interval_differ_where_the_posterior_is_skewed():
    draws = scalar(np.random.default_rng(4).exponential(size=40_000))
    eti = summarize(draws, ci_prob=0.9, ci_kind="eti").loc["te"]
    hdi = summarize(draws, ci_prob=0.9, ci_kind="hdi").loc["te"]
    np.testing.assert_allclose(
        [eti["ci_lower"], eti["ci_upper"]], stats.expon.ppf([0.05, 0.95]), rtol=0.05
    )
    # The highest density of an exponential starts at zero.
    np.testing.assert_allclose(
        [hdi["ci_lower"], hdi["ci_upper"]], [0, stats.expon.ppf(0.9)], atol=0.06
    )
    assert (eti["ci_kind"], hdi["ci_kind"]) == ("eti", "hdi")


def test_chains_are_pooled_not_averaged():
    # Two chains apart: the interval covers both, which means of chain quantiles would not.
    values = np.concatenate([np.full(500, -1.0), np.full(500, 1.0)])
    lower, upper = interval(xr.DataArray(values.reshape(2, 500), dims=SAMPLE))
    assert (float(lower), float(upper)) == (-1.0, 1.0)


@pytest.mark.parametrize("ci_kind", ["eti", "hdi"])
def test_every_unit_gets_its_own_row_by_label(ci_kind):
    effect = fake_effect(np.random.default_rng(5), np.array([0.0, 5.0, -3.0]))
    effect = effect.assign_coords({UNIT: ["p1", "p2", "p3"]})
    table = summarize(effect, ci_kind=ci_kind)
    assert list(table.index) == ["p1", "p2", "p3"]
    for unit in table.index:
        alone = summarize(effect.sel({UNIT: unit}, drop=True), ci_kind=ci_kind).iloc[0]
        assert table.loc[unit, "ci_kind"] == alone["ci_kind"] == ci_kind
        numbers = table.columns.drop("ci_kind")
        np.testing.assert_allclose(*(r[numbers].astype(float) for r in (table.loc[unit], alone)))


def test_several_dimensions_make_one_row_a_combination():
    mu = fake_potential_outcomes(np.random.default_rng(6), n_units=3, draws=20, mediator=False)
    table = summarize(mu)
    assert table.index.names == [UNIT, "arm"]
    assert len(table) == 6
    assert table.loc[(2, 1), "mean"] == pytest.approx(float(mu.sel(unit=2, arm=1).mean()))


def test_a_dataset_makes_one_row_a_quantity():
    parts = decompose(fake_potential_outcomes(np.random.default_rng(7), n_units=5, draws=20))
    averages = summarize(parts.mean(UNIT))
    assert list(averages.index) == ["te", "tnie", "pnde", "pnie", "tnde"]
    assert averages.index.name == "quantity"
    units = summarize(parts)
    assert units.index.names == ["quantity", UNIT]
    assert units.loc[("tnie", 3), "mean"] == pytest.approx(float(parts.tnie.sel(unit=3).mean()))


def test_the_interval_of_an_average_is_not_the_average_of_intervals():
    effect = fake_effect(np.random.default_rng(8), np.zeros(100), shared_sd=0.0, unit_sd=1.0)
    of_average = summarize(effect.mean(UNIT)).iloc[0]
    of_units = summarize(effect).mean(numeric_only=True)
    width = of_average["ci_upper"] - of_average["ci_lower"]
    # Independent errors of 100 units: ten times narrower.
    assert width == pytest.approx((of_units["ci_upper"] - of_units["ci_lower"]) / 10, rel=0.2)


def test_extra_coordinates_and_a_missing_name_do_no_harm():
    effect = fake_effect(np.random.default_rng(9), np.zeros(2)).rename(None)
    assert len(summarize(effect.assign_coords(site=(UNIT, ["a", "b"])))) == 2
    assert list(summarize(effect.isel({UNIT: 0})).index) == ["quantity"]


def test_an_interval_is_said_in_words():
    assert interval_words(0.95) == "95% posterior interval, equal-tailed"
    assert interval_words(0.995, "hdi") == "99.5% posterior interval, highest-density"


@pytest.mark.parametrize("ci_prob", [0, 1, 95, -0.5, float("nan")])
@pytest.mark.parametrize("function", [summarize, interval])
def test_a_probability_that_is_none_is_refused(function, ci_prob):
    with pytest.raises(SpecError, match=r"ci_prob must be between 0 and 1, got .*; try 0\.95"):
        function(scalar(np.arange(8.0)), ci_prob=ci_prob)


def test_an_unknown_kind_of_interval_is_refused_with_the_known_ones():
    with pytest.raises(SpecError, match=r"unknown ci_kind 'hpd'.*Known: eti, hdi"):
        summarize(scalar(np.arange(8.0)), ci_kind="hpd")
    with pytest.raises(SpecError, match="unknown ci_kind"):
        interval_words(0.95, "hpd")


def test_the_monte_carlo_error_is_that_of_a_mean():
    rng = np.random.default_rng(10)
    independent = scalar(rng.normal(size=4000))
    assert monte_carlo_error(independent) == pytest.approx(1 / np.sqrt(4000), rel=0.15)
    # Every draw repeated ten times is worth a tenth of the draws.
    slow = scalar(np.repeat(rng.normal(size=400), 10))
    assert monte_carlo_error(slow) == pytest.approx(1 / np.sqrt(400), rel=0.3)


def test_docstrings_of_functions_with_an_interval_are_completed_in_the_order_of_sections():
    @interval_parameters
    def effect(x: float, *, ci_prob: float = 0.9, ci_kind: str = "eti") -> float:
        """Return it.

        Parameters
        ----------
        x : float
            A number.

        Returns
        -------
        float

        Examples
        --------
        >>> 1 + 1
        2
        """
        return x

    lines = effect.__doc__.splitlines()
    titles = [lines[i - 1] for i, line in enumerate(lines) if line.startswith("---")]
    assert titles == ["Parameters", "Returns", "Raises", "Examples"]
    entries = [line for line in lines if " : " in line]
    assert entries == ["x : float", "ci_prob : float", 'ci_kind : {"eti", "hdi"}']
    assert lines[-1] == "2"
    assert effect(3.0) == 3.0


def test_an_interval_that_is_no_interval_is_refused():
    draws = scalar(np.zeros(8))
    for ci_prob in (95, 0, "0.95", True, None):
        with pytest.raises(SpecError, match=r"ci_prob must be between 0 and 1, got .*; try 0.95"):
            summarize(draws, ci_prob=ci_prob)
    with pytest.raises(SpecError, match="unknown ci_kind 'None'"):
        summarize(draws, ci_kind=None)


@pytest.mark.parametrize("draws", [np.zeros((2, 3)), xr.DataArray([1.0], dims="unit"), None])
def test_what_is_no_array_of_draws_is_refused(draws):
    with pytest.raises(DataError, match=r"draws must be a DataArray of draws with dims"):
        summarize(draws)


@pytest.mark.parametrize("function", [summarize, interval, interval_words, compare_effects])
def test_functions_with_an_interval_describe_it(function):
    assert "ci_prob : float" in function.__doc__
    assert "SpecError" in function.__doc__


@pytest.mark.parametrize("dims", [(*SAMPLE, UNIT), (UNIT, *SAMPLE), (SAMPLE[1], UNIT, SAMPLE[0])])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_summary_is_that_of_xarray_to_the_last_digit(dims, kind):
    rng = np.random.default_rng(8)
    sizes = {SAMPLE[0]: 3, SAMPLE[1]: 70, UNIT: 5}
    values = rng.gamma(2.0, size=[sizes[d] for d in dims]).astype(kind) - 1
    draws = xr.DataArray(values, {UNIT: list("edcba")}, dims=dims, name="te")
    found = summarize(draws, ci_prob=0.9)
    lower, upper = interval(draws, ci_prob=0.9)
    wanted = {
        "mean": draws.mean(SAMPLE),
        "median": draws.median(SAMPLE),
        "sd": draws.std(SAMPLE, ddof=1),
        "ci_lower": lower,
        "ci_upper": upper,
        "prob_positive": (draws > 0).mean(SAMPLE),
    }
    assert found.index.tolist() == list("edcba")
    for name, column in wanted.items():
        np.testing.assert_array_equal(found[name], column.to_numpy())
        assert found[name].dtype == column.dtype


def test_a_missing_draw_is_left_out_of_a_summary():
    whole = np.random.default_rng(9).normal(size=(2, 50))
    draws = xr.DataArray(whole.copy(), dims=SAMPLE)
    draws[0, 0] = np.nan
    row, rest = summarize(draws).iloc[0], whole.ravel()[1:]
    np.testing.assert_allclose(
        row[["mean", "median", "sd", "ci_lower"]].astype(float),
        [rest.mean(), np.median(rest), rest.std(ddof=1), np.quantile(rest, 0.025)],
    )
