"""Strength of a hidden confounder of mediator and outcome that would change the natural effects."""

from __future__ import annotations

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.subject import Subject
from bayes_hte.errors import UnsupportedError
from bayes_hte.sensitivity import mediation_rho

NAME = "sensitivity to confounding of mediator and outcome"


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """Return the analysis of correlated errors, as information; randomising does not prevent them.

    There is none without a mediator, nor for families for which it is not worked out.
    """
    if subject.assignment is None:
        return ()
    try:
        return (mediation_rho(subject.fit, effects=subject.effects).check(),)
    except UnsupportedError:
        return ()
