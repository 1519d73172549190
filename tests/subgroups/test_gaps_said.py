"""Profiles of units with gaps: what a missing value counts as is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

import bayes_hte as hte
from bayes_hte.names import SAMPLE, UNIT
from bayes_hte.study.missing import filled_words
from bayes_hte.subgroups import find_extremes


def study_and_effect(*, gaps: bool = True) -> tuple[hte.Study, xr.DataArray]:
    """A trial whose effect is 1 where x is above 0, with gaps of x and of a level."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=200)
    effect = (x > 0).astype(float)
    frame = pd.DataFrame({"x": x, "site": rng.choice(["a", "b"], 200), "t": np.arange(200) % 2})
    frame["y"] = frame["t"] * effect + rng.normal(scale=0.2, size=200)
    if gaps:
        frame.loc[x < -1, "x"] = np.nan
        frame.loc[::15, "site"] = None
    roles = {"outcome": "y", "treatment": "t", "covariates": ["x", "site"]}
    study = hte.Study.from_frame(frame, **roles)
    return study, xr.DataArray([[effect] * 20], dims=[*SAMPLE, UNIT])


def test_a_profile_says_what_missing_values_count_as():
    study, effect = study_and_effect()
    missing, median = study.frame["x"].isna().sum(), study.filled_covariates()["x"].median()
    wanted = f"Where x is missing ({missing} of 200), it counts as {median:g}, the median."
    assert hte.m_learner(effect, study, seed=1, largest_k=2).profile.text.endswith(wanted)
    assert find_extremes(effect, study, seed=1).text.endswith(wanted)


def test_a_profile_without_gaps_says_nothing_of_them():
    study, effect = study_and_effect(gaps=False)
    assert "missing" not in hte.m_learner(effect, study, seed=1, largest_k=2).profile.text


def test_levels_that_are_missing_are_a_level_or_the_middle_one():
    frame = pd.DataFrame({"site": ["a", None, "b"], "stage": ["I", "II", None]})
    frame["stage"] = pd.Categorical(frame["stage"], ["I", "II", "III"], ordered=True)
    assert filled_words(frame, ["site"]) == (
        "Where site is missing (1 of 3), that is a level of its own, (missing)."
    )
    assert filled_words(frame, ["stage"]) == (
        "Where stage is missing (1 of 3), it counts as I, the median."
    )
