"""The choice among several arms: probabilities, regret, and tables of choices."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import norm

import bayes_hte as hte
from bayes_hte.errors import DataError, SpecError
from bayes_hte.plots import plot_best_arms
from bayes_hte.targeting.best_arm import INDIVIDUAL

ARMS = ["none", "low", "high"]
DIMS = ["chain", "draw", "unit", "arm"]


def outcomes(values: np.ndarray, arms: list = ARMS) -> xr.DataArray:
    units = [f"p{i}" for i in range(values.shape[2])]
    return xr.DataArray(values, dims=DIMS, coords={"arm": arms, "unit": units})


@pytest.fixture
def mu():
    """Independent normal outcomes: arm means 0, 0.5 and 1 in the first unit, 1, 0, 0 after it."""
    rng = np.random.default_rng(0)
    means = np.array([[0.0, 0.5, 1.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    return outcomes(means + rng.normal(size=(2, 20_000, 3, 3)))


def test_probabilities_agree_with_a_closed_form_of_two_arms(mu):
    two = mu.isel(arm=[0, 2])
    prob = hte.probability_best(two, better="higher")
    # The difference of two independent normals has variance 2.
    assert float(prob.sel(unit="p0", arm="high")) == pytest.approx(norm.cdf(1 / 2**0.5), abs=0.01)
    regret = hte.regret_by_arm(two, better="higher").mean(["chain", "draw"])
    z = 1 / 2**0.5
    of_high = 2**0.5 * (norm.pdf(z) - z * norm.cdf(-z))
    assert float(regret.sel(unit="p0", arm="high")) == pytest.approx(of_high, abs=0.01)
    assert float(regret.sel(unit="p0", arm="none")) == pytest.approx(of_high + 1, abs=0.02)


def test_probabilities_sum_to_one_and_follow_the_direction(mu):
    higher, lower = (hte.probability_best(mu, better=b) for b in ("higher", "lower"))
    for prob in (higher, lower):
        assert prob.dims == ("unit", "arm")
        np.testing.assert_allclose(prob.sum("arm"), 1)
    assert higher.sel(unit="p0").idxmax("arm") == "high"
    assert lower.sel(unit="p0").idxmax("arm") == "none"
    turned = hte.probability_best(-mu, better="lower")
    np.testing.assert_array_equal(turned, higher)


def test_equal_arms_share_the_probability():
    prob = hte.probability_best(outcomes(np.ones((1, 4, 2, 3))), better="higher")
    np.testing.assert_allclose(prob, 1 / 3)


def test_regret_is_what_the_best_arm_of_the_draw_gains(mu):
    regret = hte.regret_by_arm(mu, better="lower")
    assert float(regret.min()) == 0
    assert bool((regret.min("arm") == 0).all())
    np.testing.assert_allclose(regret, mu - mu.min("arm"))


def test_the_choice_has_the_best_expected_outcome_and_least_regret(mu):
    table = hte.best_arms(mu, better="higher")
    assert table.index.tolist() == ["p0", "p1", "p2"]
    assert table["choice"].tolist() == ["high", "none", "none"]
    assert table.loc["p0", "runner_up"] == "low"
    regret = hte.regret_by_arm(mu, better="higher").mean(["chain", "draw"])
    np.testing.assert_allclose(table["expected_regret"], regret.min("arm"))
    gap = table["runner_up_regret"] - table["expected_regret"]
    means = mu.mean(["chain", "draw"])
    assert gap["p0"] == pytest.approx(float(means[0, 2] - means[0, 1]))


def test_the_regret_of_a_choice_is_averaged_over_the_units(mu):
    regret = hte.regret_by_arm(mu, better="higher")
    everybody = hte.choice_regret(mu, "low", better="higher")
    np.testing.assert_allclose(everybody, regret.sel(arm="low").mean("unit"))
    mixed = hte.choice_regret(mu, ["high", "none", "low"], better="higher")
    parts = [
        regret.sel(unit=u, arm=a)
        for u, a in zip(mu.unit.values, ["high", "none", "low"], strict=True)
    ]
    np.testing.assert_allclose(mixed, sum(parts) / 3)


def test_a_series_of_choices_is_matched_by_label(mu):
    choice = pd.Series({"p2": "low", "p0": "high", "p1": "none"})
    given = hte.choice_regret(mu, choice, better="higher")
    np.testing.assert_allclose(
        given, hte.choice_regret(mu, ["high", "none", "low"], better="higher")
    )


def test_individual_choices_are_at_least_as_good_as_any_arm_for_all(mu):
    table = hte.choices_table(mu, better="higher")
    assert table.index.tolist() == [*ARMS, INDIVIDUAL]
    assert table["expected_regret"].idxmin() == INDIVIDUAL
    assert table["outcome"].idxmax() == INDIVIDUAL
    assert table.loc[ARMS, "share"].tolist() == pytest.approx([2 / 3, 0, 1 / 3])
    assert table.loc[ARMS, "prob_best"].sum() == pytest.approx(1)
    means = mu.mean(["chain", "draw", "unit"])
    np.testing.assert_allclose(table.loc[ARMS, "outcome"], means)
    # What one arm loses against another in expectation is the difference of their outcomes.
    gap = table["expected_regret"] + table["outcome"]
    np.testing.assert_allclose(gap, gap.iloc[0])


def test_the_mediator_follows_the_arm():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(1, 9, 4, 3, 3))
    mu = xr.DataArray(values, dims=[*DIMS, "mediator_arm"])
    own = xr.DataArray(values[..., range(3), range(3)], dims=DIMS)
    both = (hte.probability_best(part, better="higher") for part in (mu, own))
    np.testing.assert_array_equal(*both)


def test_arms_that_are_numbers_stay_numbers():
    mu = outcomes(np.random.default_rng(0).normal(size=(1, 9, 4, 3)), [0, 5, 10])
    table = hte.best_arms(mu, better="higher")
    assert set(table["choice"]) <= {0, 5, 10}
    assert hte.choices_table(mu, better="higher").index.tolist()[:3] == [0, 5, 10]


@pytest.mark.parametrize(
    ("choice", "message"),
    [("middle", "choice holds 'middle', which is no arm"), (["low"], "each of 3 units, got 1")],
)
def test_choices_of_no_arm_are_refused(mu, choice, message):
    with pytest.raises(DataError, match=message):
        hte.choice_regret(mu, choice, better="higher")


def test_an_unknown_direction_and_broken_outcomes_are_refused(mu):
    with pytest.raises(SpecError, match="better"):
        hte.probability_best(mu, better="bigger")
    with pytest.raises(DataError, match="NaN"):
        hte.best_arms(mu.where(mu.unit != "p0"), better="higher")


def test_the_figure_orders_units_by_their_best_arm(mu):
    figure = plot_best_arms(hte.probability_best(mu, better="higher"))
    (axes,) = figure.axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ARMS
    assert axes.get_ylim() == (0, 100)


def test_the_figure_refuses_what_are_no_probabilities(mu):
    prob = hte.probability_best(mu, better="higher")
    with pytest.raises(DataError, match="must sum to 1"):
        plot_best_arms(prob * 2)
    with pytest.raises(DataError, match="dims"):
        plot_best_arms(prob.isel(unit=0))
