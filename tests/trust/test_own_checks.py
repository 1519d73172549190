"""A user's own checks: run last, a caution if they fail, refused if they have not the form."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from bayes_hte.checks import CheckResult, arm_overlap, heterogeneity, sampling_health
from bayes_hte.errors import SpecError, UnsupportedError
from bayes_hte.trust import rule as trust
from bayes_hte.trust.own_checks import own_checks

SOUND = [
    CheckResult(f"{sampling_health.NAME}: average effects", True, pd.DataFrame(), "Converged."),
    CheckResult(arm_overlap.NAME, True, pd.DataFrame(), "The arms overlap."),
]


def own(passed: object, *, name: str = "mine", result: str = "mine") -> SimpleNamespace:
    """A check, in the form of any object with the two names."""
    return SimpleNamespace(
        NAME=name, check=lambda subject: (CheckResult(result, passed, pd.DataFrame(), "Said."),)
    )


@pytest.mark.parametrize(
    ("passed", "level"),
    [(True, "green"), (None, "green"), (False, "amber"), (np.False_, "amber")],
)
def test_a_check_of_ones_own_is_a_caution_if_it_fails(plain_fit, passed, level):
    found = hte.verdict(plain_fit, checks=SOUND, assignment="randomised", further=[own(passed)])
    assert found.checks[-1].name == "mine"
    assert (found.verdict, found.level) == (trust.SIMPLE, level)
    assert [c.name for c in found.cautions] == (["mine"] if level == "amber" else [])
    assert found.summary()["state"].iloc[-1] == found.checks[-1].state
    assert not found.summary()["decides"].iloc[-1]


def test_it_is_given_everything_that_other_checks_are(plain_fit):
    seen = []

    def check(subject):
        seen.append(subject)
        return ()

    hte.verdict(
        plain_fit,
        checks=SOUND,
        further=[SimpleNamespace(NAME="mine", check=check)],
        better="lower",
        assignment="randomised",
    )
    (subject,) = seen
    assert subject.fit is plain_fit
    assert list(subject.effects) == ["te"]
    assert [units.how for units in subject.unseen] == ["left out one by one"]
    assert (subject.better, subject.assignment) == ("lower", "randomised")
    assert subject.refutations == {}


def test_one_that_cannot_run_has_failed_and_a_mistake_ends_the_verdict(plain_fit):
    def unsupported(subject):
        raise UnsupportedError("only for families with a variance.")

    def mistaken(subject):
        raise KeyError("y")

    cannot = SimpleNamespace(NAME="mine", check=unsupported)
    found = hte.verdict(plain_fit, checks=SOUND, further=[cannot])
    assert found.cautions[0].text == "Could not be judged: only for families with a variance."
    with pytest.raises(KeyError):
        hte.verdict(plain_fit, checks=SOUND, further=[SimpleNamespace(NAME="m", check=mistaken)])


class NeedsAnObject:
    NAME = "class"

    def check(self, subject):
        return ()


@pytest.mark.parametrize(
    ("further", "message"),
    [
        (own(True), r"must be a list of checks, got SimpleNamespace; write further=\["),
        ("mine", "must be a list of checks, got str"),
        ([3], "3 in further is no check: a check has a NAME"),
        ([SimpleNamespace(check=print)], "is no check"),
        ([SimpleNamespace(NAME=" ", check=print)], "is no check"),
        ([SimpleNamespace(NAME="mine", check="text")], "is no check"),
        ([NeedsAnObject], r"with the subject alone.*Pass an object, NeedsAnObject\(\)"),
        ([own(True, name=arm_overlap.NAME)], "is taken by 'overlap of the arms'"),
        ([own(True, name=f"{heterogeneity.NAME} my outcomes")], "is taken by 'heterogeneity in'"),
        ([own(True, name="sampling")], "is taken by 'sampling health'"),
        ([own(True), own(True)], "the name 'mine' .* is taken by 'mine'"),
    ],
)
def test_anything_else_is_refused_before_anything_is_computed(plain_fit, further, message):
    with pytest.raises(SpecError, match=message):
        hte.verdict(plain_fit, further=further)


def of_result(result: object) -> SimpleNamespace:
    return SimpleNamespace(NAME="mine", check=lambda subject: result)


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (of_result(SOUND[0]), r"'mine' must return a tuple .*got CheckResult.*return \(result,\)"),
        (of_result(None), "'mine' must return a tuple of CheckResult .*got NoneType"),
        (of_result((True,)), r"got \[True\]"),
        (own(True, result="yours"), r"whose names start with its own, got \['yours'\]"),
    ],
)
def test_a_result_without_the_form_is_refused(check, message):
    (checked,) = own_checks([check], ())
    with pytest.raises(SpecError, match=message):
        checked.check(None)
