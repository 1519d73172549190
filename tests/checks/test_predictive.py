"""The posterior predictive check passes data the model made, and names what it cannot make."""

from __future__ import annotations

import numpy as np
import pytest

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.predictive import JUDGED, STATISTICS, posterior_predictive
from bayes_hte.components.families import FAMILIES, get_family

SAMPLES, UNITS = 400, 200
ARM = np.arange(UNITS) % 2
NAMES = ("booklet", "training")


def model(name: str, seed: int = 1) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Draws of eta and the noise around a truth, and data made by that truth."""
    rng = np.random.default_rng(seed)
    truth = 0.5 + 0.6 * rng.normal(size=UNITS) + 0.4 * ARM
    eta = truth + 0.05 * rng.normal(size=(SAMPLES, 1))
    values = {"sigma": 0.8, "nu": 8.0, "size": 2.0}
    noise = {key: np.full((SAMPLES, 1), values[key]) for key in get_family(name).noise}
    true_noise = {key: np.array(values[key]) for key in noise}
    return eta, noise, get_family(name).draw(rng, truth, true_noise)


def check(name: str, eta, noise, y, seed: int = 2) -> CheckResult:
    return posterior_predictive(
        eta,
        noise,
        y,
        arm=ARM,
        arm_names=NAMES,
        family=get_family(name),
        rng=np.random.default_rng(seed),
    )


# Of times to an event, which may be censored, survival curves are compared.
@pytest.mark.parametrize("name", [n for n in FAMILIES if not get_family(n).times])
def test_data_made_by_the_model_pass(name):
    result = check(name, *model(name))
    assert result.passed is True
    assert result.name == "posterior predictive by arm"
    assert "lie among those" in result.text


def test_data_made_by_the_model_seldom_fail():
    # Four statistics judged at 1% each: at most about 4% of fits that are right.
    failures = sum(not check("gaussian", *model("gaussian", seed)).passed for seed in range(60))
    # The 99.9% quantile of a binomial(60, 0.04) is 8.
    assert failures <= 8


@pytest.mark.parametrize("arm", [0, 1])
def test_a_shifted_mean_in_one_arm_fails_and_is_named(arm):
    eta, noise, y = model("gaussian")
    result = check("gaussian", eta, noise, y + 0.6 * (arm == ARM))
    assert result.passed is False
    assert result.state == "FAIL"
    assert f"mean in {NAMES[arm]}" in result.text
    assert NAMES[1 - arm] not in result.text


def test_a_wrong_spread_in_one_arm_fails_and_is_named():
    eta, noise, y = model("gaussian")
    wide = np.where(ARM == 1, y.mean() + 2 * (y - y.mean()), y)
    result = check("gaussian", eta, noise, wide)
    assert result.passed is False
    assert "sd in training" in result.text
    assert "booklet" not in result.text


def test_opposite_shifts_in_the_arms_fail_though_the_overall_mean_is_right():
    eta, noise, y = model("gaussian")
    result = check("gaussian", eta, noise, y + np.where(ARM == 1, 0.5, -0.5))
    assert "mean in booklet" in result.text
    assert "mean in training" in result.text


def test_more_spread_than_a_poisson_has_is_noticed():
    eta, _, _ = model("poisson")
    rng = np.random.default_rng(3)
    mixed = rng.poisson(np.exp(eta.mean(axis=0)) * rng.gamma(0.5, 2.0, size=UNITS)).astype(float)
    result = check("poisson", eta, {}, mixed)
    assert result.passed is False
    assert "sd in" in result.text


def test_a_wrong_rate_of_a_binary_outcome_is_noticed():
    eta, _, y = model("bernoulli")
    result = check("bernoulli", eta - 2.0, {}, y)
    assert result.passed is False
    assert "mean in" in result.text


def test_a_binary_outcome_of_as_many_ones_as_zeros_passes():
    # Its sd, 0.5, is the largest there is, and above those of all but a few replicates.
    y = (np.arange(UNITS) // 2 % 2).astype(float)
    result = check("bernoulli", np.zeros((SAMPLES, UNITS)), {}, y)
    assert result.passed is True
    assert not result.table.xs("sd", level="statistic")["judged"].any()
    assert result.text.startswith("Observed means of the outcome")


def test_the_table_shows_observed_and_replicated_numbers_of_each_arm():
    eta, noise, y = model("gaussian")
    table = check("gaussian", eta, noise, y).table
    assert list(table.index) == [(arm, name) for arm in NAMES for name in STATISTICS]
    for a, arm in enumerate(NAMES):
        own = y[a == ARM]
        np.testing.assert_allclose(
            table.loc[arm, "observed"],
            [own.mean(), own.std(), *np.quantile(own, [0.1, 0.9])],
        )
        assert table.loc[(arm, "mean"), "replicated mean"] == pytest.approx(
            eta[:, a == ARM].mean(), abs=0.02
        )
    assert (table["replicated 0.5%"] < table["replicated 99.5%"]).all()
    assert set(table.index[table["judged"]].get_level_values("statistic")) == set(JUDGED)


def test_the_replicated_interval_has_the_spread_of_the_statistic():
    # With eta known the mean of an arm varies by sigma / sqrt(n) alone; 2.576 is the 99.5% point.
    eta = np.zeros((20_000, UNITS))
    table = check("gaussian", eta, {"sigma": np.full((20_000, 1), 0.8)}, model("gaussian")[2]).table
    half = 2.576 * 0.8 / np.sqrt(UNITS / 2)
    bounds = table.loc[("booklet", "mean"), ["replicated 0.5%", "replicated 99.5%"]]
    np.testing.assert_allclose(bounds.astype(float), [-half, half], rtol=0.06)


def test_every_sample_is_replicated_with_its_own_noise():
    eta = np.zeros((SAMPLES, UNITS))
    sigma = np.where(np.arange(SAMPLES) < SAMPLES // 2, 0.1, 3.0)[:, None]
    table = check("gaussian", eta, {"sigma": sigma}, model("gaussian")[2]).table
    low, high = table.loc[("training", "sd"), ["replicated 0.5%", "replicated 99.5%"]]
    assert low < 0.12
    assert high > 3.0


def test_every_unit_is_replicated_with_its_own_noise():
    eta = np.zeros((SAMPLES, UNITS))
    sigma = np.broadcast_to(np.where(ARM == 1, 3.0, 0.5), eta.shape)
    table = check("gaussian", eta, {"sigma": sigma}, model("gaussian")[2]).table
    for arm, sd in zip(NAMES, (0.5, 3.0), strict=True):
        low, high = table.loc[(arm, "sd"), ["replicated 0.5%", "replicated 99.5%"]]
        assert low < sd < high < 1.3 * sd


def test_equal_seeds_give_equal_tables():
    first, second = (check("poisson", *model("poisson")).table for _ in range(2))
    assert first.equals(second)


def test_an_outcome_that_is_no_number_fails():
    eta, noise, y = model("gaussian")
    y[3] = np.nan
    assert check("gaussian", eta, noise, y).passed is False


def test_replicates_that_are_no_numbers_fail():
    eta, noise, y = model("gaussian")
    assert check("gaussian", np.full_like(eta, np.nan), noise, y).passed is False
