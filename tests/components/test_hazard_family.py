"""Hazards of intervals: closed forms, edges, likelihood, draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bayes_hte.components.families import get_family
from bayes_hte.components.families.hazard import (
    PiecewiseHazard,
    events_at_risk,
    expected,
    interval_edges,
)
from bayes_hte.errors import DataError, UnsupportedError
from bayes_hte.study.time_to_event import Censoring, Estimand

EDGES = np.array([0.0, 1.0, 3.0, 4.0])
HAZARDS = [0.2, 0.5, 0.1]


def noise_of(n: int) -> dict[str, np.ndarray]:
    return {f"hazard_{k + 1}": np.full((1, 1, n), h) for k, h in enumerate(HAZARDS)}


def test_survival_and_restricted_mean_are_those_of_the_life_table() -> None:
    # Survival is 1, .8, .4, .36 at the edges, and falls linearly between them.
    at = {1.0: 0.8, 2.0: 0.6, 3.0: 0.4, 4.0: 0.36}
    for time, survival in at.items():
        assert expected(HAZARDS, EDGES, Estimand("survival", time)) == pytest.approx(survival)
    area = 0.9 + (0.8 + 0.4) / 2 * 2 + 0.38
    assert expected(HAZARDS, EDGES, Estimand("rmst", 4.0)) == pytest.approx(area)
    assert expected(HAZARDS, EDGES, Estimand("rmst", 2.0)) == pytest.approx(0.9 + 0.7)
    with pytest.raises(DataError, match="beyond the follow-up"):
        expected(HAZARDS, EDGES, Estimand("rmst", 4.1))


def test_many_intervals_come_near_a_weibull() -> None:
    law, edges = stats.weibull_min(1.7, scale=2.0), np.linspace(0, 3, 61)
    hazards = 1 - law.sf(edges[1:]) / law.sf(edges[:-1])
    survival = expected(hazards, edges, Estimand("survival", 2.5))
    assert survival == pytest.approx(law.sf(2.5), abs=1e-6)
    grid = np.linspace(0, 3, 20_001)
    area = expected(hazards, edges, Estimand("rmst", 3.0))
    assert area == pytest.approx(np.trapezoid(law.sf(grid), grid), abs=1e-3)


def test_intervals_hold_equally_many_events_and_reach_the_last_time() -> None:
    rng = np.random.default_rng(1)
    time, event = rng.exponential(size=1000), rng.random(1000) < 0.6
    edges = interval_edges(time, event)
    counts = np.histogram(time[event], edges)[0]
    assert edges[-1] == time.max()
    assert counts[:20].max() - counts[:20].min() <= 2
    # Few events have few intervals, and tied times no empty ones.
    assert interval_edges(time[:60], event[:60]).size <= 6
    ties = np.repeat([1.0, 2.0, 3.0], 100)
    assert interval_edges(ties, np.ones(300, dtype=bool)).tolist() == [0, 1, 2, 3]


def test_units_are_at_risk_from_their_entry_to_their_time() -> None:
    time = np.array([0.5, 2.5, 1.5, 4.0, np.nan])
    known = Censoring(
        np.array([True, False, False, True, False]), np.array([0.0, 0.0, 0.0, 2.5, 0.0])
    )
    nan = np.nan
    expected_rows = [
        [1, nan, nan],
        [0, 0, nan],  # observed for more than half of the second interval
        [0, nan, nan],  # and for less
        [nan, nan, 1],  # entered late in the second
        [nan, nan, nan],
    ]
    np.testing.assert_array_equal(events_at_risk(time, known, EDGES), expected_rows)


def test_the_likelihood_of_a_unit_is_that_of_its_rows() -> None:
    time = np.array([0.5, 2.5, 4.0])
    family = PiecewiseHazard(EDGES).given(Censoring(np.array([True, False, True])))
    found = family.log_likelihood(time, np.zeros((1, 1, 3)), noise_of(3))[0, 0]
    wanted = np.log([0.2, 0.8 * 0.5, 0.8 * 0.5 * 0.1])
    np.testing.assert_allclose(found, wanted)
    # In an interval of width 2 the density is half.
    seen = PiecewiseHazard(EDGES).given(Censoring(np.ones(1, dtype=bool)))
    late = seen.log_likelihood(np.array([2.5]), np.zeros((1, 1, 1)), noise_of(1))
    assert float(late.item()) == pytest.approx(np.log(0.8 * 0.5 / 2))
    # Taking a censored time for an event is noticed.
    wrong = PiecewiseHazard(EDGES).log_likelihood(time, np.zeros((1, 1, 3)), noise_of(3))
    assert abs(wrong[0, 0, 1] - wanted[1]) > 0.1


@pytest.mark.parametrize("entry", [None, 1.5])
def test_draws_follow_the_distribution_function(entry: float | None) -> None:
    n = 20_000
    known = Censoring(np.ones(n, dtype=bool), None if entry is None else np.full(n, entry))
    family, eta = PiecewiseHazard(EDGES).given(known), np.zeros((1, 1, n))
    drawn = family.draw(np.random.default_rng(1), eta, noise_of(n))
    uniform = family.cdf(drawn[0, 0], eta, noise_of(n))[0, 0]
    assert stats.kstest(uniform, "uniform").pvalue > 0.01
    assert drawn.min() > (entry or 0.0)
    assert (drawn > 4).mean() == pytest.approx(0.36 / (0.7 if entry else 1.0), abs=0.02)


def test_it_is_no_law_of_one_predictor() -> None:
    family = get_family("piecewise_hazard")
    for refused in (family.inverse_link, family.offset):
        with pytest.raises(UnsupportedError, match="interval of time"):
            refused(np.zeros(3))
    with pytest.raises(DataError, match="positive"):
        family.check(np.array([0.0, 1.0]), "outcome")
