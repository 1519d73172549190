"""Overlap: shares by hand, verdicts, trimming and its new name, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_hte.companions import overlap_report, trim
from bayes_hte.errors import DataError, SpecError

ROLES = {"treatment": "t", "propensity": "e"}


@pytest.fixture
def eight() -> pd.DataFrame:
    return pd.DataFrame(
        {"t": [0, 0, 0, 0, 1, 1, 1, 1], "e": [0.03, 0.2, 0.4, 0.6, 0.3, 0.5, 0.7, 0.97]}
    )


def test_hand_computed_shares(eight):
    report = overlap_report(eight, **ROLES)
    assert report.common_support == (0.3, 0.6)
    assert report.table["outside_support"].tolist() == [0.5, 0.5]
    assert report.table["beyond_0.05_0.95"].tolist() == [0.25, 0.25]
    assert report.table.loc["control", ["q0", "q100"]].tolist() == [0.03, 0.6]
    assert report.table["n"].tolist() == [4, 4]


def test_good_overlap_passes():
    rng = np.random.default_rng(0)
    e = rng.uniform(0.3, 0.7, size=2000)
    frame = pd.DataFrame({"e": e, "t": (rng.random(2000) < e).astype(int)})
    report = overlap_report(frame, **ROLES)
    assert report.passed
    assert report.reasons == ()
    assert report.summary()["passed"].all()


def test_each_rule_alone_fails_the_report(eight):
    outside = overlap_report(eight, **ROLES, max_beyond=1)
    assert not outside.passed
    assert all("common support" in reason for reason in outside.reasons)
    beyond = overlap_report(eight, **ROLES, max_outside_support=1)
    assert [r.split(" lie")[0] for r in beyond.reasons] == [
        "25.0% of the controls",
        "25.0% of the treated",
    ]
    assert overlap_report(eight, **ROLES, max_beyond=1, max_outside_support=1).passed


def test_arms_without_a_common_range_fail_whatever_is_tolerated(eight):
    frame = eight.assign(e=[0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])
    report = overlap_report(frame, **ROLES, max_beyond=1, max_outside_support=1)
    assert not report.passed
    assert "share no range" in report.verdict


def test_draws_are_averaged_for_each_unit(eight):
    noise = np.array([-0.01, 0.01]).reshape(2, 1, 1)
    draws = xr.DataArray(eight["e"].to_numpy() + noise, dims=("chain", "draw", "unit"))
    report = overlap_report(eight, treatment="t", propensity=draws)
    pd.testing.assert_frame_equal(report.table, overlap_report(eight, **ROLES).table)


def test_trimming_keeps_the_range_and_renames_the_estimand(eight):
    result = trim(eight, **ROLES, bounds=(0.2, 0.7))
    assert result.kept.tolist() == [False, True, True, True, True, True, True, False]
    assert result.frame.index.tolist() == [1, 2, 3, 4, 5, 6]
    assert result.counts["n_dropped"].to_dict() == {"control": 1, "treated": 1}
    assert "the 6 of 8 units with a propensity in [0.2, 0.7]" in result.estimand
    assert "not the population of the study" in result.estimand
    assert "nobody was dropped" in trim(eight, **ROLES, bounds=(0.01, 0.99)).estimand
    assert (result.summary()["population"] == result.estimand).all()


def test_trimming_to_the_common_support_restores_it(eight):
    support = overlap_report(eight, **ROLES).common_support
    kept = trim(eight, **ROLES, bounds=support).frame
    assert (overlap_report(kept, **ROLES).table["q0"] >= support[0]).all()
    assert len(kept) == 4


def test_trimming_an_arm_away_is_refused(eight):
    with pytest.raises(DataError, match="only 0 controls and 2 treated"):
        trim(eight, **ROLES, bounds=(0.65, 0.98))


@pytest.mark.parametrize("bounds", [(0.9, 0.1), (0.0, 0.9), (0.1, 1.0)])
def test_meaningless_bounds_are_refused(eight, bounds):
    with pytest.raises(SpecError, match="bounds must be two increasing"):
        trim(eight, **ROLES, bounds=bounds)
    with pytest.raises(SpecError, match="beyond must be two increasing"):
        overlap_report(eight, **ROLES, beyond=[bounds])


def test_meaningless_thresholds_are_refused(eight):
    with pytest.raises(SpecError, match="max_beyond is a share"):
        overlap_report(eight, **ROLES, max_beyond=5)
    with pytest.raises(SpecError, match="beyond is empty"):
        overlap_report(eight, **ROLES, beyond=[])
    with pytest.raises(DataError, match="strictly between"):
        overlap_report(eight.assign(e=0.0), **ROLES)
