"""Aalen-Johansen curves against their definition, with ties, censoring and late entry."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from bayes_hte.companions import observed_incidence

ROLES = {"outcome": "years", "event": "cause", "treatment": "drug", "covariates": ["x"]}


def frame_of(n: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    years = rng.integers(2, 9, size=n).astype(float)
    return pd.DataFrame(
        {
            "years": years,
            "cause": rng.choice(["none", "flu", "other"], size=n),
            "drug": np.arange(n) % 2,
            "x": rng.normal(size=n),
            "start": np.where(rng.random(n) < 0.3, np.floor(years / 2), 0.0),
        }
    )


@pytest.mark.parametrize("entry", [None, "start"])
def test_ties_and_late_entries_follow_the_definition(entry: str | None) -> None:
    """The sum over times of Pr(no event before) times the share of those at risk with the event."""
    frame = frame_of()
    study = hte.Study.from_frame(frame, **ROLES, cause="flu", entry=entry)
    table = observed_incidence(study)
    for arm, curve in table.groupby("arm"):
        own = frame[frame["drug"] == arm]
        start = own["start"] if entry else pd.Series(-1.0, index=own.index)
        survival, found = 1.0, {0.0: 0.0}
        for t in sorted(own["years"].unique()):
            at_risk = ((own["years"] >= t) & (start < t)).sum()
            here = own[own["years"] == t]["cause"]
            found[t] = list(found.values())[-1] + survival * (here == "flu").sum() / at_risk
            survival *= 1 - (here != "none").sum() / at_risk
        assert curve["incidence"].tolist() == pytest.approx([found[t] for t in curve["time"]])
        assert curve["time"].iloc[0] == 0
        assert curve["incidence"].between(curve["ci_lower"], curve["ci_upper"]).all()


def test_a_subgroup_has_a_curve_of_its_own() -> None:
    study = hte.Study.from_frame(frame_of(), **ROLES, cause="flu")
    rows = (study.frame["drug"] == 1).to_numpy()
    table, whole = observed_incidence(study, rows), observed_incidence(study)
    pd.testing.assert_frame_equal(table, whole[whole["arm"] == 1].reset_index(drop=True))
