"""Studies of times to an event: what is bound, what is refused, what is carried along."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from bayes_hte.errors import DataError, SpecError
from bayes_hte.study.spec_file import parse_spec
from bayes_hte.study.time_to_event import check_horizon, default_horizon
from bayes_hte.subgroups import split_in_halves

ROLES = {"outcome": "time", "treatment": "arm", "covariates": ["x"], "event": "died"}


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "time": rng.exponential(5, size=90) + 0.1,
            "died": rng.integers(0, 2, size=90),
            "arm": np.arange(90) % 3,
            "x": rng.normal(size=90),
        }
    )


def test_events_and_entries_are_bound_and_carried_along(frame: pd.DataFrame) -> None:
    entered = frame.assign(start=frame["time"] / 2)
    study = hte.Study.from_frame(entered, **ROLES, entry="start")
    assert (study.event == (frame["died"] == 1)).all()
    np.testing.assert_allclose(study.entry, entered["start"])
    part = study.subset(np.arange(60))
    assert (part.event == study.event[:60]).all()
    assert (part.entry == study.entry[:60]).all()
    pair = study.two_arms(2, 0)
    assert pair.censoring().event.size == pair.n_units == 60
    some = study.sample(45, seed=1)
    assert (some.event == (frame.loc[some.units, "died"] == 1)).all()
    halves = split_in_halves(pair, seed=1)
    assert sum(pair.subset(rows).event.size for rows in halves) == 60


def test_another_study_has_neither(frame: pd.DataFrame) -> None:
    roles = {k: v for k, v in ROLES.items() if k != "event"}
    study = hte.Study.from_frame(frame, **roles)
    assert study.event is None
    assert study.entry is None
    assert study.censoring() is None
    assert study.fingerprint() != hte.Study.from_frame(frame, **ROLES).fingerprint()


def test_missing_times_are_missing_outcomes(frame: pd.DataFrame) -> None:
    gaps = frame.assign(start=0.0).astype({"died": float})
    gaps.loc[:3, ["time", "died", "start"]] = np.nan
    study = hte.Study.from_frame(gaps, **ROLES, entry="start")
    assert study.known_outcome().sum() == 86
    assert not study.event[:4].any()
    assert study.with_outcome().event.sum() == study.event.sum()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"time": lambda f: f["time"] - 1}, "0 or less"),
        ({"time": lambda f: f["time"].where(f.index > 0, 0.0)}, r"1 that are 0 or less"),
        ({"died": lambda f: f["died"] + 1}, r"2 is mostly the event.*== 2"),
        ({"died": lambda f: f["died"].map({0: "no", 1: "yes"})}, r"== 'yes'.*event = \"yes\""),
        ({"died": lambda f: f["died"].map({0: 0, 1: 2})}, "got 0, 2"),
        ({"died": lambda f: f["died"].where(f.index > 4)}, "missing for 5 units"),
        ({"died": lambda f: f["died"] * 0}, "every unit is censored"),
        ({"died": lambda f: f["died"] * (f["arm"] > 0)}, "no event was seen in arm 0"),
        ({"time": lambda f: pd.Timestamp("2020-01-01")}, r"\.dt\.days"),
        ({"time": lambda f: pd.to_timedelta(f["time"], unit="D")}, r"\.dt\.days"),
    ],
)
def test_impossible_times_and_events_are_refused(
    frame: pd.DataFrame, changed: dict, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        hte.Study.from_frame(frame.assign(**changed), **ROLES)


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (lambda f: f["time"], "not before 'time' for 90 units"),
        (lambda f: -f["time"], "negative"),
        (lambda f: (f["time"] / 2).where(f.index > 1), "2 missing values"),
    ],
)
def test_impossible_entries_are_refused(frame: pd.DataFrame, start, said: str) -> None:
    with pytest.raises(DataError, match=said):
        hte.Study.from_frame(frame.assign(start=start), **ROLES, entry="start")


def test_an_entry_needs_events(frame: pd.DataFrame) -> None:
    roles = {**ROLES, "event": None}
    with pytest.raises(DataError, match="pass event="):
        hte.Study.from_frame(frame.assign(start=0.0), **roles, entry="start")


def test_nobody_censored_and_ties_are_allowed(frame: pd.DataFrame) -> None:
    tied = frame.assign(died=1, time=np.ceil(frame["time"]))
    assert hte.Study.from_frame(tied, **ROLES).event.all()


def test_default_horizon_leaves_a_tenth_at_risk_in_each_arm() -> None:
    rng = np.random.default_rng(2)
    time, arm = (
        rng.exponential(np.r_[np.full(200, 1.0), np.full(100, 4.0)]),
        np.repeat([0, 1], [200, 100]),
    )
    horizon = default_horizon(time, np.ones(300, dtype=bool), arm)
    shares = [np.mean(time[arm == a] >= horizon) for a in (0, 1)]
    assert min(shares) == pytest.approx(0.1)
    later = np.sort(time[time > horizon])[0]
    assert min(np.mean(time[arm == a] >= later) for a in (0, 1)) < 0.1
    # Those who enter later are not at risk yet.
    entry = np.where(arm == 1, 0.0, np.minimum(time * 0.99, 1.0))
    assert default_horizon(time, np.ones(300, dtype=bool), arm, entry) <= horizon


def test_a_horizon_beyond_follow_up_is_refused() -> None:
    time, arm = np.array([1.0, 5.0, 2.0, 3.0]), np.array([0, 0, 1, 1])
    check_horizon(3.0, time, arm, ("a", "b"))
    with pytest.raises(DataError, match=r"arm 'b' was observed until 3"):
        check_horizon(3.1, time, arm, ("a", "b"))
    with pytest.raises(SpecError, match="positive number"):
        check_horizon(-1.0, time, arm, ("a", "b"))


SPEC = """
title = "Times"
[about]
question = "q"
suitable_for = "s"
not_suitable_for = "n"
[data]
source = "none.csv"
[columns.status]
event = 2
[roles]
outcome = "time"
event = "status"
treatment = "arm"
covariates = ["x"]
[outcome]
family = "weibull"
horizon = 3
unit = "years"
better = "higher"
minimal_important_difference = 0.1
because = "b"
[propensity]
assignment = "randomised"
[sampler]
seed = 1
"""


def test_a_study_file_declares_events_and_horizon(frame: pd.DataFrame) -> None:
    from bayes_hte.study.declared import study_from_spec

    spec = parse_spec(SPEC)
    assert (spec.roles.event, spec.outcome.horizon) == ("status", 3.0)
    study = study_from_spec(spec, frame.assign(status=frame["died"] + 1))
    assert (study.event == (frame["died"] == 1)).all()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('event = "status"\n', "", "needs roles.event"),
        ("weibull", "gaussian", "no use for roles.event"),
        ("horizon = 3", "horizon = -3", "outcome.horizon"),
    ],
)
def test_contradictions_in_a_study_file_are_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        parse_spec(SPEC.replace(old, new))


def test_an_entry_of_a_study_keeps_its_place_after_relabelling(frame: pd.DataFrame) -> None:
    from bayes_hte.study.labels import labelled_study
    from bayes_hte.study.spec import LabelSpec

    study = hte.Study.from_frame(frame, **ROLES)
    named = labelled_study(study, {"died": LabelSpec("death"), "time": LabelSpec("years")})
    assert named.roles == replace(study.roles, outcome="years", event="death")
    assert (named.event == study.event).all()
