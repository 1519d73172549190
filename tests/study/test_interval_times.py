"""Interval-censored times: what is bound, what is refused, and what else sees of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from bayes_hte.companions import restricted_means
from bayes_hte.errors import DataError, SpecError, UnsupportedError
from bayes_hte.fitting.imputing import imputed_studies
from bayes_hte.fitting.plan import Plan, check_plan
from bayes_hte.study.spec_file import parse_spec
from tests.study.test_causes import FILE

ROLES = {"outcome": "lower", "upper": "upper", "treatment": "arm", "covariates": ["x"]}


@pytest.fixture
def frame() -> pd.DataFrame:
    """Intervals, times that were seen, left- and right-censored units, in this order."""
    n = 40
    lower = 1 + np.arange(n) / 10
    upper = lower + np.array([0.5, 0.0, 0.7, np.nan])[np.arange(n) // 2 % 4]
    lower[np.arange(n) // 2 % 4 == 2] = 0.0
    columns = {"lower": lower, "upper": upper, "arm": np.arange(n) % 2, "x": np.arange(n) % 7}
    return pd.DataFrame(columns)


def test_ends_are_bound_and_carried_along(frame: pd.DataFrame) -> None:
    study = hte.Study.from_frame(frame, **ROLES)
    np.testing.assert_array_equal(study.event, frame["upper"].notna())
    middle = (frame["lower"] + frame["upper"]) / 2
    np.testing.assert_allclose(study.outcome(), middle.fillna(frame["lower"]))
    known = study.censoring()
    np.testing.assert_array_equal(known.within, np.isin(np.arange(40) // 2 % 4, [0, 2]))
    part = study.subset(np.arange(20))
    np.testing.assert_array_equal(part.censoring().upper, known.upper[:20])
    # A missing or infinite upper end is a censored unit and no gap.
    whole = hte.Study.from_frame(frame, **ROLES, missing="complete")
    assert whole.n_units == 40
    infinite = hte.Study.from_frame(frame.fillna({"upper": np.inf}), **ROLES)
    assert infinite.fingerprint() == study.fingerprint()
    assert restricted_means(study, 3.0).event is None


def test_exact_times_are_those_of_events(frame: pd.DataFrame) -> None:
    exact = frame.assign(lower=frame["lower"] + 1)
    exact["upper"] = exact["lower"].where(frame["upper"].notna())
    study = hte.Study.from_frame(exact, **ROLES)
    seen = exact.assign(died=exact["upper"].notna())
    roles = {k: v for k, v in ROLES.items() if k != "upper"}
    other = hte.Study.from_frame(seen, **roles, event="died")
    np.testing.assert_array_equal(study.event, other.event)
    np.testing.assert_array_equal(study.outcome(), other.outcome())
    assert study.censoring().within is None


@pytest.mark.parametrize(
    ("row", "changed", "said"),
    [
        (0, {"lower": 9.0}, "above the upper one in 1 units"),
        (0, {"lower": np.nan, "upper": np.nan}, "both ends are missing for 1 units"),
        (0, {"lower": np.nan}, "write 0"),
        (0, {"lower": -1.0}, "1 lower ends are negative"),
        (0, {"lower": 0.0, "upper": np.nan}, "from 0 to 0 or have no end"),
        (0, {"lower": 0.0, "upper": 0.0}, "from 0 to 0 or have no end"),
    ],
)
def test_impossible_intervals_are_refused(
    frame: pd.DataFrame, row: int, changed: dict[str, float], said: str
) -> None:
    frame.loc[row, list(changed)] = list(changed.values())
    with pytest.raises(DataError, match=said):
        hte.Study.from_frame(frame, **ROLES)


def test_ends_are_numbers_and_take_the_place_of_events(frame: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="is a number"):
        hte.Study.from_frame(frame.assign(upper=pd.Timestamp("2020-01-01")), **ROLES)
    with pytest.raises(DataError, match="give one of the two"):
        hte.Study.from_frame(frame.assign(died=1), **ROLES, event="died")
    with pytest.raises(DataError, match="every unit is censored"):
        hte.Study.from_frame(frame.assign(upper=np.inf, lower=2.0 + frame["x"]), **ROLES)
    ends = (frame["upper"] + 1.0).where(frame["arm"] == 0)
    with pytest.raises(DataError, match="no event was seen in arm 1"):
        hte.Study.from_frame(frame.assign(upper=ends, lower=frame["lower"] + 1e-9), **ROLES)


def test_entries_come_before_the_interval(frame: pd.DataFrame) -> None:
    entered = frame.assign(start=frame["lower"].where(frame["upper"] > frame["lower"], 0.0))
    study = hte.Study.from_frame(entered, **ROLES, entry="start")
    np.testing.assert_array_equal(study.entry, entered["start"])
    late = entered.assign(start=entered["start"].where(entered.index > 0, 1.2))
    with pytest.raises(DataError, match="is not before"):
        hte.Study.from_frame(late, **ROLES, entry="start")


def test_hazards_of_intervals_of_their_own_are_refused(frame: pd.DataFrame) -> None:
    study = hte.Study.from_frame(frame, **ROLES)
    with pytest.raises(UnsupportedError, match="lognormal"):
        check_plan(study, Plan(family="piecewise_hazard"))
    check_plan(study, Plan(family="weibull"))
    roles = 'upper = "last"\n'
    without = FILE.replace('cause = "relapse"\n', "")
    with pytest.raises(SpecError, match=r"roles\.upper"):
        parse_spec(without.replace('event = "status"\n', roles))
    with pytest.raises(SpecError, match="give one of the two"):
        parse_spec(without.replace('event = "status"\n', f'event = "status"\n{roles}'))
    fine = without.replace('event = "status"\n', roles).replace("piecewise_hazard", "weibull")
    assert parse_spec(fine).roles.upper == "last"


def test_covariates_are_imputed_beside_intervals(frame: pd.DataFrame) -> None:
    frame["z"] = np.where(np.arange(40) % 7 == 0, np.nan, frame["x"] * 1.0)
    how = ROLES | {"covariates": ["x", "z"], "missing": "impute", "imputations": 2}
    study = hte.Study.from_frame(frame, **how)
    for one in imputed_studies(study, seed=1):
        np.testing.assert_array_equal(one.censoring().upper, study.censoring().upper)
        assert not one.gaps
