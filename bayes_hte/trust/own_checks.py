"""Checks that a user brings: whether they have the form of a check, and what they return."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass

from bayes_hte.checks.base import Check, CheckResult
from bayes_hte.checks.subject import Subject
from bayes_hte.errors import SpecError

FORM = "a check has a NAME (text) and a function check(subject) that returns a tuple of CheckResult"


@dataclass(frozen=True)
class OwnCheck:
    """A user's check by its name, which is looked at before it runs, and its results afterwards."""

    NAME: str
    of: Check

    def check(self, subject: Subject) -> tuple[CheckResult, ...]:
        """Run the check; raise a SpecError unless its results have the form of results."""
        results = self.of.check(subject)
        listed = isinstance(results, tuple | list)
        if not listed or not all(
            isinstance(r, CheckResult) and r.name.startswith(self.NAME) for r in results
        ):
            names = [getattr(r, "name", r) for r in results] if listed else type(results).__name__
            raise SpecError(
                f"check {self.NAME!r} must return a tuple of CheckResult whose names start with "
                f"its own, got {names}; of a single result, return (result,)."
            )
        return tuple(results)


def own_checks(further: Sequence[Check], known: Sequence[Check]) -> tuple[OwnCheck, ...]:
    """Take a user's checks, after looking at their form and names.

    Parameters
    ----------
    further : sequence of Check
        The user's checks.
    known : sequence of Check
        Those of the package, whose names may not be taken: the rule of the verdict goes by names.

    Returns
    -------
    tuple of OwnCheck

    Raises
    ------
    SpecError
        If one has not the form of a check, or its name is taken.
    """
    if not isinstance(further, Sequence) or isinstance(further, str):
        raise SpecError(
            f"further must be a list of checks, got {type(further).__name__}; write "
            "further=[<check>]."
        )
    taken = [one.NAME for one in known]
    found: list[OwnCheck] = []
    for one in further:
        name = _name_of(one)
        for other in taken:
            if name.startswith(other) or other.startswith(name):
                raise SpecError(
                    f"the name {name!r} of a check in further is taken by {other!r}; choose "
                    "another that neither starts with it nor begins it."
                )
        taken.append(name)
        found.append(OwnCheck(name, one))
    return tuple(found)


def _name_of(one: object) -> str:
    name, function = getattr(one, "NAME", None), getattr(one, "check", None)
    if not isinstance(name, str) or not name.strip() or not callable(function):
        raise SpecError(f"{one!r} in further is no check: {FORM}.")
    try:
        inspect.signature(function).bind(None)
    except TypeError as error:
        made = f" Pass an object, {one.__name__}()." if inspect.isclass(one) else ""
        raise SpecError(
            f"check {name!r} cannot be called with the subject alone ({error}); {FORM}.{made}"
        ) from error
    return name
