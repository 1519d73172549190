"""What every check returns: small, uniform, three-valued."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check of a fit or a design.

    Attributes
    ----------
    name : str
        Short name, e.g. ``"sampling health: outcome"``.
    passed : bool or None
        True, False, or None for a check that informs without judging. A check that could not run
        has failed (False) and `text` says why.
    table : pandas.DataFrame
        The numbers behind the judgement.
    text : str
        One or two sentences a reader without training in MCMC can act on.
    """

    name: str
    passed: bool | None
    table: pd.DataFrame
    text: str

    @property
    def verdict(self) -> str:
        """``"pass"``, ``"FAIL"`` or ``"information"``."""
        return {True: "pass", False: "FAIL", None: "information"}[self.passed]
