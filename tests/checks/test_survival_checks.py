"""Checks of survival: right models pass, wrong ones fail, curves are those of the library."""

from __future__ import annotations

import numpy as np
from lifelines import KaplanMeierFitter
from scipy import stats

from bayes_hte.checks.kaplan_meier import censoring_times, kaplan_meier, survival_check
from bayes_hte.checks.loo_pit import LeftOutDraws, calibration_check, left_out_probabilities
from bayes_hte.checks.survival_calibration import survival_calibration

NAMES = ("usual care", "drug")


class Lognormal:
    """A family of times, as the checks use it."""

    def cdf(self, y, eta, noise):
        return stats.norm.cdf((np.log(y) - eta) / noise["sigma"])


def data(seed, n=300):
    """Return log-time means, and times that are censored, of two arms and three thirds."""
    rng = np.random.default_rng(seed)
    x, arm = rng.normal(size=n), rng.integers(0, 2, n)
    mean = 0.5 * x + 0.3 * arm
    failed, left = np.exp(mean + 0.7 * rng.normal(size=n)), rng.uniform(0.5, 4, n)
    third = np.digitize(x, [-0.43, 0.43])
    return mean, np.minimum(failed, left), failed <= left, arm, third


def curves_of(seed, *, sd=0.7, shift=0.0):
    """Check the data against times drawn with a given sd and a shift of the second arm."""
    mean, time, event, arm, third = data(seed)
    rng = np.random.default_rng([seed, 1])
    drawn = np.exp(mean + shift * arm + sd * rng.normal(size=(200, mean.size)))
    how = {"arm": arm, "arm_names": NAMES, "third": third, "horizon": 3.0, "rng": rng}
    return survival_check(drawn, time, event, **how)


def test_curves_are_those_of_the_library():
    rng = np.random.default_rng(1)
    time, event = np.ceil(5 * rng.exponential(size=(2, 50))) / 5, rng.random((2, 50)) < 0.6
    grid = np.array([0.1, 0.4, 0.8, 1.2])
    for t, e, found in zip(time, event, kaplan_meier(time, event, grid), strict=True):
        library = KaplanMeierFitter().fit(t, e).survival_function_at_times(grid)
        np.testing.assert_allclose(found, library, atol=1e-12)


def test_a_right_model_passes_and_its_share_is_uniform():
    shares = []
    for seed in range(40):
        found = curves_of(seed)
        shares.append(float(found.text.partition("%")[0].split()[-1]) / 100)
    assert stats.kstest(shares, "uniform").pvalue > 0.01
    assert found.passed
    assert found.table.index.names == ["arm", "third", "time"]


def test_a_wrong_spread_and_a_wrong_effect_fail():
    for wrong in ({"sd": 0.35}, {"shift": 0.6}):
        found = curves_of(1, **wrong)
        assert found.passed is False
        assert "third" in found.text


def test_censoring_times_are_the_own_ones_or_later_than_the_event():
    _, time, event, arm, _ = data(2, n=4000)
    drawn = censoring_times(time, event, arm, size=2, rng=np.random.default_rng(3))
    assert (drawn[:, ~event] == time[~event]).all()
    assert (drawn[:, event] >= time[event]).all()
    # All of them together are uniform on (.5, 4), as those that the data came from.
    shares = np.array([0.1, 0.25, 0.5, 0.75])
    np.testing.assert_allclose(
        np.quantile(drawn[:, arm == 0], shares), 0.5 + 3.5 * shares, atol=0.15
    )


def pit(seed, *, sd=0.7, with_event=True):
    mean, time, event, arm, _ = data(seed)
    draws = LeftOutDraws(
        np.tile(mean, (3, 1)), {"sigma": np.full((3, 1), sd)}, np.zeros((3, mean.size))
    )
    known = {"event": event} if with_event else {}
    rng = np.random.default_rng(seed)
    values = left_out_probabilities([draws], time, family=Lognormal(), rng=rng, **known)
    return calibration_check(values, arm=arm, arm_names=NAMES), values


def test_left_out_probabilities_of_censored_times_are_uniform():
    found, values = pit(4)
    assert found.passed
    assert stats.kstest(values, "uniform").pvalue > 0.01
    assert pit(4, sd=0.4)[0].passed is False


def test_censored_times_read_as_events_are_noticed():
    assert pit(4, with_event=False)[0].passed is False


def test_survival_calibration_passes_the_truth_and_fails_another():
    passed = []
    for seed in range(60):
        mean, time, event, *_ = data(seed)
        right = stats.norm.sf((np.log(1.2) - mean) / 0.7)
        passed.append(survival_calibration(right, time, event, at=1.2).passed)
    assert np.mean(passed) > 0.95
    wrong = stats.norm.sf((np.log(1.2) - 3 * mean) / 0.7)
    found = survival_calibration(wrong, time, event, at=1.2)
    assert found.passed is False
    assert found.table["units"].sum() == time.size


def test_equal_predictions_have_no_bins():
    _, time, event, *_ = data(1)
    assert survival_calibration(np.full(time.size, 0.5), time, event, at=1.0).passed is None
