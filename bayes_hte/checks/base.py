"""The form of every check: the two names that it has, and the results that it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pandas as pd

if TYPE_CHECKING:
    from bayes_hte.checks.subject import Subject


@dataclass(frozen=True, eq=False)
class CheckResult:
    """The outcome of one check of a fit or a design.

    Attributes
    ----------
    name : str
        Short name, e.g. ``"sampling health: average effects"``.
    passed : bool or None
        True, False, or None for a check that informs without judging. A check that could not run
        has failed (False) and `text` says why.
    table : pandas.DataFrame
        The numbers behind the judgement.
    text : str
        One or two sentences that a reader without training in MCMC can act on.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte.checks import CheckResult
    >>> table = pd.DataFrame({"units": {"control": 12, "treated": 9}})
    >>> CheckResult("units per arm", False, table, "An arm has fewer than 10 units.").state
    'FAIL'
    """

    name: str
    passed: bool | None
    table: pd.DataFrame
    text: str

    def __post_init__(self) -> None:
        # NumPy compares to a type of its own, which no `is False` would recognise.
        if self.passed is not None:
            object.__setattr__(self, "passed", bool(self.passed))

    @property
    def state(self) -> str:
        """``"pass"``, ``"FAIL"`` or ``"information"``."""
        return {True: "pass", False: "FAIL", None: "information"}[self.passed]


class Check(Protocol):
    """A check: a module, or any other object, with a name and a function.

    Attributes
    ----------
    NAME : str
        Short name. The name of each result starts with it, and no other check's name does.
    """

    NAME: str

    def check(self, subject: Subject, /) -> tuple[CheckResult, ...]:
        """Check a fit.

        Parameters
        ----------
        subject : Subject
            Everything that a check may look at.

        Returns
        -------
        tuple of CheckResult
            Empty if there is nothing to check in this fit.

        Raises
        ------
        SamplingError, UnsupportedError
            If the check cannot run on this fit; it then counts as failed, with the message as text.
        """
        ...


def not_judged(name: str, reason: object, table: pd.DataFrame | None = None) -> CheckResult:
    """Return the failed result of a check that could not run.

    Parameters
    ----------
    name : str
        Name of the check.
    reason : object
        Why it could not run: an error, or words that end with a full stop.
    table : DataFrame, optional
        Numbers that were found before it stopped.

    Returns
    -------
    CheckResult

    Examples
    --------
    >>> from bayes_hte.checks import not_judged
    >>> not_judged("ranking over chains", "one chain cannot be compared with another.").text
    'Could not be judged: one chain cannot be compared with another.'
    """
    empty = pd.DataFrame() if table is None else table
    return CheckResult(name, False, empty, f"Could not be judged: {reason}")
