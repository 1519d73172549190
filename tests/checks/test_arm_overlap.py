"""Overlap as a check: what it lets pass, what it fails, and whom it names."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.checks.arm_overlap import overlap_check
from bayes_hte.study.study import Study


def study_of(x: np.ndarray, arm: np.ndarray) -> Study:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {"y": rng.normal(size=arm.size), "t": arm, "plan": x, "other": rng.normal(size=arm.size)}
    )
    return Study.from_frame(frame, outcome="y", treatment="t", covariates=["plan", "other"])


def draws_of(propensity: np.ndarray) -> xr.DataArray:
    return xr.DataArray(
        np.broadcast_to(propensity, (2, 10, propensity.size)), dims=("chain", "draw", "unit")
    )


def test_a_small_trial_with_moderate_propensities_passes_though_ranges_differ_by_chance():
    rng = np.random.default_rng(2)
    arm = np.arange(60) % 2
    score = 0.65 + 0.02 * rng.normal(size=60) + 0.02 * arm
    check = overlap_check(study_of(rng.normal(size=60), arm), draws_of(score))
    assert check.passed
    # A fifth of the treated lie above every control: chance, at propensities near two thirds.
    assert check.table["outside_support"].max() > 0.05


def test_extreme_propensities_outside_the_common_range_fail():
    rng = np.random.default_rng(3)
    arm = np.arange(200) % 2
    score = np.where(arm == 1, rng.uniform(0.4, 0.999, 200), rng.uniform(0.001, 0.6, 200))
    check = overlap_check(study_of(rng.normal(size=200), arm), draws_of(score))
    assert check.passed is False
    assert "positivity" in check.text


def test_a_covariate_that_separates_the_arms_fails_and_is_named():
    rng = np.random.default_rng(4)
    arm = np.arange(200) % 2
    check = overlap_check(
        study_of(rng.normal(size=200) - 1.6 * arm, arm), draws_of(np.full(200, 0.5))
    )
    assert check.passed is False
    assert "plan (" in check.text
    assert "other (" not in check.text


def test_propensities_of_zero_and_one_are_judged_not_refused():
    arm = np.arange(100) % 2
    check = overlap_check(study_of(np.arange(100.0) % 7, arm), draws_of(arm.astype(float)))
    assert check.passed is False
