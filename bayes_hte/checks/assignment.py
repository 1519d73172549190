"""How units came to their arm, and the assumption that this leaves."""

from __future__ import annotations

import typing

import pandas as pd

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.subject import Subject
from bayes_hte.errors import unknown_name
from bayes_hte.study.spec import AssignmentName

NAME = "assignment of the treatment"


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """State the assumption behind the total effect: no data can judge it.

    Passed where the treatment was randomised, otherwise information; nothing if how units came to
    their arm is not declared.
    """
    if subject.assignment is None:
        return ()
    return (declared(subject.assignment, outcome=subject.study.roles.outcome),)


def declared(assignment: AssignmentName, *, outcome: str) -> CheckResult:
    """Return the check of a study whose assignment is declared.

    Parameters
    ----------
    assignment : {"randomised", "observational"}
        How units came to their arm.
    outcome : str
        Name of the outcome.

    Returns
    -------
    CheckResult
        Passed where the treatment was randomised, otherwise information.
    """
    text = assumption(assignment, outcome=outcome)
    return CheckResult(NAME, True if assignment == "randomised" else None, pd.DataFrame(), text)


def assumption(assignment: AssignmentName, *, outcome: str) -> str:
    """Return the assumption under which the total effect is causal, in sentences.

    Parameters
    ----------
    assignment : {"randomised", "observational"}
        How units came to their arm.
    outcome : str
        Name of the outcome.

    Returns
    -------
    str

    Raises
    ------
    SpecError
        If `assignment` is unknown.
    """
    if assignment not in typing.get_args(AssignmentName):
        raise unknown_name("assignment", assignment, typing.get_args(AssignmentName))
    if assignment == "randomised":
        return (
            "The treatment was randomised. Nothing but chance links the arm to the outcome, so the "
            "total effect needs no assumption about confounders, provided that nobody was lost "
            "after randomisation in a way that depends on the arm and the outcome."
        )
    return (
        "The treatment was not randomised. The effects are causal only if the listed covariates "
        f"account for everything that affects both who was treated and {outcome}. The data cannot "
        "show this."
    )
