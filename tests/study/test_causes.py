"""Levels of causes that mean no event: known, declared, or refused where that is not clear."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from bayes_hte.errors import DataError, SpecError
from bayes_hte.study.declared import study_from_spec
from bayes_hte.study.labels import labelled_study
from bayes_hte.study.spec import LabelSpec
from bayes_hte.study.spec_file import parse_spec

ROLES = {"outcome": "years", "event": "status", "treatment": "arm", "covariates": ["x"]}
FILE = """
title = "Relapse"
[about]
question = "q"
suitable_for = "s"
not_suitable_for = "n"
[data]
source = "relapse.csv"
[roles]
outcome = "years"
event = "status"
cause = "relapse"
treatment = "arm"
covariates = ["x"]
[outcome]
family = "piecewise_hazard"
horizon = 2.0
unit = "years"
better = "lower"
minimal_important_difference = 0.05
because = "five in a hundred"
[propensity]
assignment = "randomised"
[sampler]
seed = 1
"""


def frame_of(*levels: str) -> pd.DataFrame:
    """Return 60 units whose status takes the levels in turn, in both arms."""
    n = 60
    return pd.DataFrame(
        {
            "years": 1 + np.arange(n) / 20,
            "status": np.array(levels)[np.arange(n) // 2 % len(levels)],
            "arm": np.arange(n) % 2,
            "x": np.arange(n) % 7,
        }
    )


@pytest.mark.parametrize("word", ["alive", "Censored", "none", "No", "lost to follow-up"])
def test_plain_words_mean_no_event(word: str) -> None:
    study = hte.Study.from_frame(frame_of("relapse", "death", word), **ROLES, cause="relapse")
    assert study.causes == ("relapse", "death")
    assert (study.event == (study.frame["status"] != word)).all()


@pytest.mark.parametrize("word", ["withdrawn", "unknown", "drop-out", "censored early", "LTFU"])
def test_unclear_words_must_be_declared(word: str) -> None:
    frame = frame_of("relapse", "death", "alive", word)
    with pytest.raises(DataError, match=rf"{word}.*no_event.*\['alive', '{word}'\] if these do"):
        hte.Study.from_frame(frame, **ROLES, cause="relapse")
    none = hte.Study.from_frame(frame, **ROLES, cause="relapse", no_event=["alive", word])
    assert none.causes == ("relapse", "death")
    a_cause = hte.Study.from_frame(frame, **ROLES, cause="relapse", no_event="alive")
    assert a_cause.causes == ("relapse", *sorted(["death", word]))
    assert none.fingerprint() != a_cause.fingerprint()


def test_a_column_without_censored_units_is_refused_unless_that_is_said() -> None:
    frame = frame_of("relapse", "death", "in remission")
    with pytest.raises(DataError, match="none of its levels is known to mean a censored unit"):
        hte.Study.from_frame(frame, **ROLES, cause="relapse")
    declared = hte.Study.from_frame(frame, **ROLES, cause="relapse", no_event="in remission")
    assert declared.event.sum() == 40
    everybody = hte.Study.from_frame(frame, **ROLES, cause="relapse", no_event=[])
    assert everybody.event.all()
    # In a part of a study that was checked every unit may have had an event.
    assert declared.subset(declared.event).event.all()
    with pytest.raises(DataError, match="no level 'remission'"):
        hte.Study.from_frame(frame, **ROLES, cause="relapse", no_event="remission")
    with pytest.raises(DataError, match="'relapse' is no cause"):
        hte.Study.from_frame(frame, **ROLES, cause="relapse", no_event=["relapse", "in remission"])


def test_study_files_declare_causes_and_what_means_none() -> None:
    spec = parse_spec(FILE)
    assert (spec.roles.cause, spec.estimand) == ("relapse", "cumulative_incidence")
    study = study_from_spec(spec, frame_of("relapse", "death", "alive"))
    assert study.causes == ("relapse", "death")
    own = parse_spec(FILE.replace('cause = "relapse"', 'cause = "relapse"\nno_event = ["free"]'))
    assert study_from_spec(own, frame_of("relapse", "death", "free")).event.sum() == 40
    with pytest.raises(DataError, match="no_event"):
        study_from_spec(spec, frame_of("relapse", "death", "free"))
    mean = parse_spec(FILE.replace('unit = "years"', 'unit = "years"\nestimand = "rmst"'))
    assert mean.estimand == "rmst"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"piecewise_hazard"', '"lognormal"', "piecewise_hazard"),
        ('event = "status"\n', "", "roles.event"),
        ('cause = "relapse"\n', "no_event = 'alive'\n", "roles.cause"),
        ('cause = "relapse"\n', "", None),
        ('unit = "years"', "estimand = 'survivel'", "survival"),
        ("[sampler]", "[columns.status]\nevent = 'relapse'\n[sampler]", "no_event"),
    ],
)
def test_contradictions_of_a_study_file_are_refused(old: str, new: str, said: str | None) -> None:
    text = FILE.replace(old, new)
    if said is None:
        text = text.replace('unit = "years"', "estimand = 'cumulative_incidence'")
        said = "roles.cause"
    with pytest.raises(SpecError, match=said):
        parse_spec(text)


def test_an_estimand_needs_times() -> None:
    text = FILE.replace('cause = "relapse"\n', "").replace('event = "status"\n', "")
    text = text.replace('"piecewise_hazard"', '"gaussian"').replace("horizon = 2.0", "")
    with pytest.raises(SpecError, match=r"outcome\.estimand is for times"):
        parse_spec(text.replace('unit = "years"', "estimand = 'survival'"))


def test_labels_of_causes_keep_what_they_mean() -> None:
    study = hte.Study.from_frame(
        frame_of("rel", "dead", "alive"), **ROLES, cause="rel", no_event="alive"
    )
    words = {"rel": "a relapse", "dead": "death", "alive": "no event so far"}
    named = labelled_study(study, {"status": LabelSpec("outcome at the end", words)})
    assert named.causes == ("a relapse", "death")
    np.testing.assert_array_equal(named.event, study.event)
    np.testing.assert_array_equal(named.event_of("a relapse"), study.event_of("rel"))
    # A column that is called as a cause changes nothing.
    other = labelled_study(replace(study), {"x": LabelSpec("rel")})
    assert other.causes == study.causes
