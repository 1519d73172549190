"""Pseudo-observations: brute force by the library's curves, known limits, and what they reveal."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lifelines import KaplanMeierFitter
from lifelines.utils import restricted_mean_survival_time

from bayes_hte.companions import effect_scores, pseudo_observations
from bayes_hte.errors import DataError, SpecError


def censored(rng, n, *, ties=False):
    """Return times of which about a third are censored."""
    failed, left = rng.exponential(size=n), 2 * rng.exponential(size=n)
    time = np.minimum(failed, left)
    if ties:
        time = np.ceil(4 * time) / 4
    return time, failed <= left


def by_refitting(time, event, horizon, entry=None):
    """Leave every unit out of a curve of the library's."""

    def area(rows):
        given = None if entry is None else entry[rows]
        curve = KaplanMeierFitter().fit(time[rows], event[rows], entry=given)
        return restricted_mean_survival_time(curve, t=horizon)

    everybody = np.ones(time.size, dtype=bool)
    found = np.empty(time.size)
    for i in range(time.size):
        others = everybody.copy()
        others[i] = False
        found[i] = time.size * area(everybody) - (time.size - 1) * area(others)
    return found


@pytest.mark.parametrize("ties", [False, True])
def test_they_are_the_jackknife_of_the_area_under_the_curve(ties):
    time, event = censored(np.random.default_rng(1), 15, ties=ties)
    expected = by_refitting(time, event, 1.2)
    np.testing.assert_allclose(pseudo_observations(time, event, horizon=1.2), expected, atol=1e-9)


def test_late_entries_are_at_risk_from_then_on():
    rng = np.random.default_rng(2)
    time, event = censored(rng, 15)
    entry = np.where(np.arange(15) < 6, 0.0, 0.3 * time * rng.random(15))
    expected = by_refitting(time, event, 1.0, entry)
    found = pseudo_observations(time, event, horizon=1.0, entry=entry)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert not np.allclose(found, pseudo_observations(time, event, horizon=1.0))


def test_without_censoring_they_are_the_times_up_to_the_horizon():
    time = np.random.default_rng(3).exponential(size=200)
    seen = np.ones(200)
    np.testing.assert_allclose(
        pseudo_observations(time, seen, horizon=1.5), np.minimum(time, 1.5), atol=1e-9
    )
    np.testing.assert_allclose(
        pseudo_observations(time, seen, horizon=1.5, at=0.7), time > 0.7, atol=1e-9
    )


def test_their_mean_in_each_arm_is_the_area_under_its_curve():
    rng = np.random.default_rng(4)
    time, event = censored(rng, 400)
    arm = rng.integers(0, 2, 400)
    values = pseudo_observations(time, event, horizon=1.0, arm=arm)
    for level in (0, 1):
        own = arm == level
        curve = KaplanMeierFitter().fit(time[own], event[own])
        assert values[own].mean() == pytest.approx(
            restricted_mean_survival_time(curve, t=1.0), abs=1e-3
        )


def test_blocks_of_units_change_nothing(monkeypatch):
    time, event = censored(np.random.default_rng(5), 60)
    whole = pseudo_observations(time, event, horizon=1.0)
    monkeypatch.setattr("bayes_hte.companions.jackknife.HELD", 100)
    np.testing.assert_allclose(pseudo_observations(time, event, horizon=1.0), whole, atol=1e-12)


@pytest.mark.parametrize("varies", [True, False])
def test_scores_from_them_show_effects_that_vary_and_only_those(varies):
    """The slope of scores on the true effect is 1; censored times as outcomes would halve it."""
    rng, n = np.random.default_rng(6), 4000
    x, arm = rng.random(n), rng.integers(0, 2, n)
    mean = arm * (2 * x - 1) if varies else 0.0
    failed = np.exp(mean + 0.6 * rng.normal(size=n))
    left = 1.5 * rng.exponential(size=n)
    time, event, nodes = np.minimum(failed, left), failed <= left, rng.normal(size=(2000, 1))
    benefit = [
        np.minimum(np.exp(a * (2 * x[:500] - 1) + 0.6 * nodes), 2.0).mean(axis=0) for a in (0, 1)
    ]
    effect = np.polynomial.Polynomial.fit(x[:500], benefit[1] - benefit[0], 3)(x)
    values = pseudo_observations(time, event, horizon=2.0, arm=arm)
    slopes = {}
    for name, outcome in (("pseudo", values), ("raw", np.minimum(time, 2.0))):
        scores = effect_scores(pd.RangeIndex(n), outcome=outcome, treatment=arm)
        slopes[name] = np.polyfit(effect, scores, 1)[0]
    if varies:
        assert slopes["pseudo"] == pytest.approx(1.0, abs=0.2)
        assert slopes["raw"] < 0.7
    else:
        assert abs(slopes["pseudo"]) < 0.2


@pytest.mark.parametrize(
    ("time", "event", "words"),
    [
        ([1.0, 0.0], [1, 0], "positive"),
        ([1.0, np.nan], [1, 0], "positive"),
        ([1.0, 2.0], [1, 2], "0 .censored. or 1"),
        ([1.0, 2.0], [1, 0, 1], "one value per unit"),
    ],
)
def test_what_is_no_survival_time_is_refused(time, event, words):
    with pytest.raises(DataError, match=words):
        pseudo_observations(np.array(time), np.array(event), horizon=1.0)


def test_a_horizon_is_positive():
    with pytest.raises(SpecError, match="horizon must be a positive number"):
        pseudo_observations(np.ones(2), np.ones(2), horizon=0.0)


@pytest.mark.parametrize("ties", [False, True])
def test_of_a_cause_they_are_the_jackknife_of_the_aalen_johansen_curve(ties):
    rng = np.random.default_rng(3)
    time, event = censored(rng, 15, ties=ties)
    own = event & (rng.random(15) < 0.5)

    def value(rows):
        """Sum over event times of survival before it times the hazard of the cause."""
        total, alive = 0.0, 1.0
        for at in np.unique(time[rows & event & (time <= 1.2)]):
            at_risk = (rows & (time >= at)).sum()
            total += alive * (rows & own & (time == at)).sum() / at_risk
            alive *= 1 - (rows & event & (time == at)).sum() / at_risk
        return total

    everybody = np.ones(15, dtype=bool)
    left = [value(everybody & (np.arange(15) != i)) for i in range(15)]
    expected = 15 * value(everybody) - 14 * np.array(left)
    how = {"horizon": 1.2, "at": 1.2}
    np.testing.assert_allclose(
        pseudo_observations(time, event, of_cause=own, **how), expected, atol=1e-9
    )
    # Every event being of the cause, they are 1 less those of surviving; without censoring 0 or 1.
    every = pseudo_observations(time, event, of_cause=event, **how)
    np.testing.assert_allclose(every, 1 - pseudo_observations(time, event, **how), atol=1e-9)
    whole = np.ones(15, dtype=bool)
    seen = pseudo_observations(time, whole, of_cause=own, **how)
    np.testing.assert_allclose(seen, own & (time <= 1.2), atol=1e-9)


def test_causes_that_cannot_be_are_refused():
    time, event = np.array([1.0, 2.0]), np.array([0, 1])
    with pytest.raises(SpecError, match="needs at"):
        pseudo_observations(time, event, horizon=1.0, of_cause=event)
    with pytest.raises(DataError, match="true for events alone"):
        pseudo_observations(time, event, horizon=1.0, at=1.0, of_cause=1 - event)
