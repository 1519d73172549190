"""Nearest-neighbour matching: hand cases, brute force, row order, refusals."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pandas as pd
import pytest

from bayes_hte.companions import match_nearest
from bayes_hte.errors import DataError, SpecError

ROLES = {"outcome": "y", "treatment": "t", "propensity": "e"}


def build(treated: list[tuple[float, float]], controls: list[tuple[float, float]]) -> pd.DataFrame:
    """Frame from (propensity, outcome) pairs."""
    rows = [(e, y, 1) for e, y in treated] + [(e, y, 0) for e, y in controls]
    return pd.DataFrame(rows, columns=["e", "y", "t"])


def brute_force_att(frame: pd.DataFrame, caliper: float = np.inf) -> float:
    """Average over all controls at the smallest distance, one treated unit at a time."""
    controls = frame[frame["t"] == 0]
    effects = []
    for _, unit in frame[frame["t"] == 1].iterrows():
        distance = (controls["e"] - unit["e"]).abs()
        if distance.min() <= caliper + 1e-12:
            near = controls[distance <= distance.min() + 1e-12]
            effects.append(unit["y"] - near["y"].mean())
    return float(np.mean(effects))


def greedy_att(frame: pd.DataFrame) -> float:
    """Match without replacement unit by unit, in the order of the rows where scores tie."""
    treated = frame[frame["t"] == 1].sort_values("e", ascending=False, kind="stable")
    left = frame[frame["t"] == 0].sort_values("e", kind="stable")
    effects = []
    for _, unit in treated.iterrows():
        if left.empty:
            break
        nearest = (left["e"] - unit["e"]).abs().round(12).idxmin()
        effects.append(unit["y"] - left.loc[nearest, "y"])
        left = left.drop(nearest)
    return float(np.mean(effects))


def test_hand_computed_case_with_ties():
    frame = build([(0.5, 10), (0.7, 4)], [(0.4, 1), (0.6, 3), (0.6, 5), (0.1, 100)])
    result = match_nearest(frame, **ROLES)
    # 0.5 ties with 0.4 and both at 0.6: mean 3. 0.7 has both at 0.6: mean 4.
    assert result.att == pytest.approx(((10 - 3) + (4 - 4)) / 2)
    np.testing.assert_allclose(result.weights, [1, 1, 1 / 3, 1 / 3 + 1 / 2, 1 / 3 + 1 / 2, 0])
    np.testing.assert_allclose(result.distances, [0.1, 0.1])
    assert (result.n_matched, result.n_unmatched, result.n_controls_used) == (2, 0, 3)
    assert result.tied_share == 1.0
    assert result.matches["pairs"].sum() == pytest.approx(2)


def test_equal_distances_on_both_sides_are_a_tie_despite_rounding():
    frame = build([(0.7, 9.0)], [(0.6, 1.0), (0.8, 5.0)])
    assert 0.8 - 0.7 > 0.7 - 0.6
    assert match_nearest(frame, **ROLES).att == pytest.approx(9 - 3)
    mirrored = build([(0.31, 9.0)], [(0.57, 1.0), (0.05, 5.0)])
    assert 0.31 - 0.05 > 0.57 - 0.31
    assert match_nearest(mirrored, **ROLES).att == pytest.approx(9 - 3)


def test_without_replacement_takes_the_lower_of_two_equally_near_propensities():
    for low, middle, high in ((0.2, 0.3, 0.4), (0.05, 0.31, 0.57)):
        frame = build([(middle, 9.0)], [(low, 1.0), (high, 5.0)])
        assert match_nearest(frame, **ROLES, replace=False).att == pytest.approx(9 - 1)
    assert 0.31 - 0.05 > 0.57 - 0.31  # by rounding alone


@pytest.mark.parametrize("caliper", [None, 0.02, 0.15])
def test_agrees_with_brute_force(small, caliper):
    rng = np.random.default_rng(0)
    frame = small.assign(e=np.where(rng.random(200) < 0.5, small["e"], rng.uniform(0.1, 0.9, 200)))
    expected = brute_force_att(frame, caliper or np.inf)
    assert match_nearest(frame, **ROLES, caliper=caliper).att == pytest.approx(expected, abs=1e-12)


def test_weights_reproduce_the_estimate(small):
    for replace in (True, False):
        result = match_nearest(small, **ROLES, replace=replace)
        means = [
            np.average(small.loc[arm, "y"], weights=result.weights[arm])
            for arm in (small["t"] == 0, small["t"] == 1)
        ]
        assert means[1] - means[0] == pytest.approx(result.att, abs=1e-12)
        assert result.weights[small["t"] == 0].sum() == pytest.approx(result.n_matched)


@pytest.mark.parametrize("replace", [True, False])
def test_row_order_changes_nothing(small, replace):
    rng = np.random.default_rng(0)
    first = match_nearest(small, **ROLES, replace=replace, caliper=0.2)
    for _ in range(5):
        frame = small.iloc[rng.permutation(len(small))]
        again = match_nearest(frame, **ROLES, replace=replace, caliper=0.2)
        assert again.att == pytest.approx(first.att, abs=1e-12)
        np.testing.assert_allclose(again.weights[small.index], first.weights, atol=1e-12)


@pytest.mark.parametrize("replace", [True, False])
def test_ties_broken_by_rounding_are_still_ties(small, replace):
    jitter = np.random.default_rng(0).uniform(-1e-15, 1e-15, size=len(small))
    a = match_nearest(small, **ROLES, replace=replace)
    b = match_nearest(small.assign(e=small["e"] + jitter), **ROLES, replace=replace)
    assert b.att == pytest.approx(a.att, abs=1e-12)


def test_without_replacement_is_the_mean_over_all_ways_to_break_ties():
    treated = [(0.5, 1.0), (0.5, 2.0), (0.5, 7.0), (0.8, 4.0)]
    controls = [(0.5, 0.0), (0.6, 1.0), (0.6, 5.0)]
    frame = build(treated, controls)
    orders = [
        greedy_att(frame.iloc[[*a, *(4 + k for k in b)]])
        for a in itertools.permutations(range(4))
        for b in itertools.permutations(range(3))
    ]
    assert np.ptp(orders) > 1
    result = match_nearest(frame, **ROLES, replace=False)
    assert result.att == pytest.approx(np.mean(orders), abs=1e-12)
    assert (result.n_matched, result.n_unmatched, result.n_controls_used) == (3, 1, 3)


def test_without_replacement_serves_the_highest_propensity_first():
    frame = build([(0.9, 10.0), (0.6, 20.0)], [(0.65, 1.0), (0.2, 2.0)])
    result = match_nearest(frame, **ROLES, replace=False)
    np.testing.assert_allclose(result.distances, [0.25, 0.4])
    assert result.att == pytest.approx(((10 - 1) + (20 - 2)) / 2)


def test_a_caliper_leaves_units_out_and_renames_the_estimand():
    frame = build([(0.5, 5.0), (0.9, 9.0)], [(0.45, 1.0), (0.3, 2.0)])
    result = match_nearest(frame, **ROLES, caliper=0.1)
    assert result.att == pytest.approx(4)
    assert (result.n_matched, result.n_unmatched) == (1, 1)
    assert "1 of 2 treated units with a match" in result.estimand
    assert result.distances.isna().tolist() == [False, True]
    assert result.weights.tolist() == [1, 0, 1, 0]
    assert match_nearest(frame, **ROLES).estimand == "all 2 treated units"


def test_a_distance_equal_to_the_caliper_is_within_it():
    frame = build([(0.8, 1.0)], [(0.7, 0.0)])
    assert match_nearest(frame, **ROLES, caliper=0.1).n_matched == 1


def test_the_logit_scale_can_change_the_nearest():
    frame = build([(0.9, 5.0)], [(0.84, 1.0), (0.955, 2.0)])
    assert match_nearest(frame, **ROLES).att == pytest.approx(3)
    on_logit = match_nearest(frame, **ROLES, scale="logit")
    assert on_logit.att == pytest.approx(4)
    np.testing.assert_allclose(on_logit.matches["propensity_control"], [0.84])


def test_more_rows_stay_fast_and_small():
    rng = np.random.default_rng(0)
    e = rng.uniform(0.02, 0.98, size=20190)
    frame = pd.DataFrame({"e": e, "t": (rng.random(e.size) < e).astype(int), "y": e})
    start = time.process_time()
    for replace in (True, False):
        match_nearest(frame, **ROLES, replace=replace)
    assert time.process_time() - start < 5  # a matrix of all pairs would need 3 GiB and minutes


def test_summary_is_one_row(small):
    row = match_nearest(small, **ROLES).summary().loc["att"]
    assert row["n_treated"] == (small["t"] == 1).sum()
    assert row["mean_distance"] == pytest.approx(0)


@pytest.mark.parametrize("caliper", [0, -0.1, np.nan])
def test_a_caliper_that_is_not_positive_is_refused(small, caliper):
    with pytest.raises(SpecError, match="caliper must be positive"):
        match_nearest(small, **ROLES, caliper=caliper)


def test_no_match_at_all_is_refused():
    frame = build([(0.9, 1.0)], [(0.1, 0.0)])
    for replace in (True, False):
        with pytest.raises(DataError, match="no treated unit has a control"):
            match_nearest(frame, **ROLES, caliper=0.1, replace=replace)


def test_unknown_scale_and_impossible_propensity_are_refused(small):
    with pytest.raises(SpecError, match=r"unknown scale 'logits'\. Did you mean 'logit'"):
        match_nearest(small, **ROLES, scale="logits")
    with pytest.raises(DataError, match="strictly between 0 and 1"):
        match_nearest(small.assign(e=1.0), **ROLES)
