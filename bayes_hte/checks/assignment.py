"""How units came to their arm, and what has to be assumed for that."""

from __future__ import annotations

import typing

import pandas as pd

from bayes_hte.checks.base import CheckResult
from bayes_hte.errors import unknown_name
from bayes_hte.study.spec import AssignmentName

NAME = "assignment of the treatment"


def assignment_check(assignment: AssignmentName, *, outcome: str) -> CheckResult:
    """Say what the total effect rests on; nothing in the data can judge it.

    Parameters
    ----------
    assignment : {"randomised", "observational"}
        How units came to their arm.
    outcome : str
        Name of the outcome.

    Returns
    -------
    CheckResult
        Information (``passed`` is None), without a table.

    Raises
    ------
    SpecError
        If `assignment` is unknown.
    """
    return CheckResult(NAME, None, pd.DataFrame(), assumption(assignment, outcome=outcome))


def assumption(assignment: AssignmentName, *, outcome: str) -> str:
    """Return what has to be assumed for the total effect to be causal, in sentences.

    Parameters
    ----------
    assignment, outcome
        As in :func:`assignment_check`.

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
