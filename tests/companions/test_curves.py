"""Observed curves, numbers at risk and follow-up by arm."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from bayes_hte.companions import at_risk, follow_up, observed_survival
from bayes_hte.errors import DataError

ROLES = {"outcome": "years", "event": "died", "treatment": "drug", "covariates": ["x"]}


@pytest.fixture(scope="module")
def study():
    """Return five units of each arm, whose curves can be worked out by hand."""
    frame = pd.DataFrame({"years": [1.0, 2, 3, 4, 5] * 2, "drug": [0] * 5 + [1] * 5})
    frame["died"] = [1, 0, 1, 0, 1, 0, 0, 0, 0, 1]
    return hte.Study.from_frame(frame.assign(x=np.arange(10)), **ROLES)


def test_curves_are_those_of_the_hand(study):
    table = observed_survival(study)
    own = table[table["arm"] == 0]
    assert own["time"].tolist() == [0, 1, 3, 5]
    np.testing.assert_allclose(own["survival"], [1, 0.8, 0.8 * 2 / 3, 0])
    assert table[table["arm"] == 1]["survival"].tolist() == [1, 0]


def test_numbers_at_risk_and_follow_up(study):
    assert at_risk(study, [0, 2, 5]).to_numpy().tolist() == [[5, 4, 1], [5, 4, 1]]
    found = follow_up(study)
    assert found["events"].tolist() == [3, 1]
    assert found["censored"].tolist() == [2, 4]
    assert found.loc[1, "median_follow_up"] == 3
    assert found["last"].tolist() == [5, 5]


def test_a_subgroup_alone(study):
    rows = study.frame["x"].to_numpy() < 5
    assert observed_survival(study, rows)["arm"].unique().tolist() == [0]


def test_units_that_enter_late_are_at_risk_from_then_on(study):
    late = study.frame.assign(start=[0.0, 0, 0, 0, 3] * 2)
    entered = hte.Study.from_frame(late, **ROLES, entry="start")
    assert at_risk(entered, [0, 2, 4]).loc[0].tolist() == [4, 3, 2]


def test_other_outcomes_have_no_curves():
    frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
    plain = hte.Study.from_frame(frame, outcome="y", treatment="treat", covariates=["x1"])
    for verb in (observed_survival, follow_up):
        with pytest.raises(DataError, match="event=<column>"):
            verb(plain)
