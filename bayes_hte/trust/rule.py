"""The verdict on a fit: how far its numbers can be trusted, decided by its checks and nothing else.

The rule, first match wins:

1. **do not trust**: a check failed that everything else rests on: sampling, overlap of the arms,
   repeated rows without a declared cluster, variation of the mediator given arm and covariates, or
   a refutation. Sampling or overlap that was not checked counts as failed.
2. **simple method enough**: predicted differences between units do not show in outcomes that the
   predictions have not seen. Report average effects; an adjusted comparison of the arms answers the
   question.
3. **heterogeneity real and stable**: they do show, in units held out or left out one by one: the
   slope is above 0 with probability .998 or more; or with .9 or more, where effects also differ
   along a single covariate beyond chance (probability .02 or less). And the chains (and other
   seeds, if any were tried) agree on who benefits more, and the estimator finds little in permuted
   outcomes. Where they do not agree though both signs of differences are there, individual effects
   cannot be read: **do not trust**. Where one sign is there alone, differences are not shown, and
   the disagreement is a caution.
4. **heterogeneity real and stable, ranking usable**: moreover treating those ranked first beats
   treating at random with probability .99 or more.

Other checks that fail (shape of the outcome distribution, sensitivity to priors, reliability of
single left-out predictions, a bend of the outcome in the mediator, checks of the user) are
cautions: they turn green to amber. What says whether individual effects can be read (the ranking
over chains and seeds, the spread in permuted outcomes) is none where no differences are shown.
Green also takes a treatment that was declared to be randomised: no check can see a confounder that
nobody measured, so without randomisation nothing is green. The thresholds are conventions, stated
in the reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from bayes_hte.checks import (
    arm_overlap,
    assignment,
    chain_stability,
    covariate_effects,
    heterogeneity,
    mediator_variation,
    refutations,
    repeated_rows,
    sampling_health,
    seed_stability,
)
from bayes_hte.checks.base import CheckResult
from bayes_hte.views import counted, html_block

Level = Literal["green", "amber", "red"]
DO_NOT_TRUST = "do not trust"
SIMPLE = "simple method enough"
REAL = "heterogeneity real and stable"
RANKING = "heterogeneity real and stable, ranking usable"
MEANING: dict[str, str] = {
    DO_NOT_TRUST: "Do not use these effects: a check that everything rests on has failed.",
    SIMPLE: (
        "Report the average effect: these data do not show that effects differ, so a simpler "
        "method answers the question as well."
    ),
    REAL: (
        "Effects differ, and the fit is stable about it. Ranking by predicted benefit is not yet "
        "reliable."
    ),
    RANKING: (
        "Effects differ, the fit is stable about it, and ranking by predicted benefit beats chance."
    ),
}
UNDECLARED = (
    " Read with care: how units came to their arm is not declared (assignment='randomised' or "
    "'observational'), and no check can show a confounder that nobody measured."
)
OBSERVATIONAL = (
    " Read with care: the treatment was not randomised, and no check can show a confounder that "
    "nobody measured."
)
Use = Literal["yes", "with care", "no"]
USE: dict[Level, Use] = {"green": "yes", "amber": "with care", "red": "no"}
CAN_BE_USED = "Can the numbers be used"
DIFFER = "Do effects differ between {people}"
SHOWN: dict[str, str] = {
    DO_NOT_TRUST: "not shown",
    SIMPLE: "not shown",
    REAL: "shown",
    RANKING: "shown and usable for ranking",
}
STABILITY = (chain_stability.NAME, seed_stability.NAME, refutations.SPREAD)
"""Names of the checks that individual effects rest on, once differences are shown."""
DECISIVE = (
    sampling_health.NAME,
    arm_overlap.NAME,
    repeated_rows.NAME,
    mediator_variation.NAME,
    refutations.NAME,
)
"""Names of the checks that everything else rests on."""


@dataclass(frozen=True)
class Trust:
    """How far a fit can be trusted.

    Attributes
    ----------
    verdict : str
        One of the four of the module, from ``"do not trust"`` up.
    level : {"red", "amber", "green"}
        Red: do not trust. Green: no check has failed, and the treatment was declared to be
        randomised. Amber: everything else.
    headline : str
        The verdict in a sentence or two.
    reasons : tuple of str
        The grounds of the decision, one sentence per check.
    cautions : tuple of CheckResult
        Checks that failed without deciding.
    decided_by : tuple of CheckResult
        The checks behind the reasons.
    checks : tuple of CheckResult
        Every check that was taken into account.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte.checks import CheckResult
    >>> from bayes_hte.trust.rule import judge
    >>> names = ("sampling health: average effects", "overlap of the arms")
    >>> names += ("assignment of the treatment",)  # passed where it was randomised
    >>> found = judge([CheckResult(name, True, pd.DataFrame(), "Fine.") for name in names])
    >>> found.verdict, found.level
    ('simple method enough', 'green')
    >>> found.reasons
    ('Whether effects differ was not judged on unseen outcomes.',)
    """

    verdict: str
    level: Level
    headline: str
    reasons: tuple[str, ...]
    cautions: tuple[CheckResult, ...]
    decided_by: tuple[CheckResult, ...]
    checks: tuple[CheckResult, ...]

    @property
    def usable(self) -> Use:
        """Whether the numbers can be used: ``"yes"``, ``"with care"`` or ``"no"``."""
        return USE[self.level]

    @property
    def differences(self) -> str:
        """Whether effects differ: ``"not shown"``, ``"shown"``, or also usable for ranking."""
        return SHOWN[self.verdict]

    @property
    def carries_individuals(self) -> bool:
        """Whether statements about the effects of single units rest on more than the model."""
        return self.verdict in (REAL, RANKING)

    def lines(self, *, people: str = "people") -> tuple[str, str]:
        """Return the verdict as two lines: whether to use the numbers, and whether effects differ.

        Parameters
        ----------
        people : str, default "people"
            Word for several rows of the study.

        Returns
        -------
        tuple of str

        Examples
        --------
        >>> import pandas as pd
        >>> from bayes_hte.checks import CheckResult
        >>> from bayes_hte.trust.rule import judge
        >>> judge([CheckResult("sampling health: te", False, pd.DataFrame(), "No.")]).lines()
        ('Can the numbers be used: no', 'Do effects differ between people: not shown')
        """
        differ = DIFFER.format(people=people)
        return f"{CAN_BE_USED}: {self.usable}", f"{differ}: {self.differences}"

    def __repr__(self) -> str:
        """Say the verdict and how many checks are behind it."""
        cautions = counted(len(self.cautions), "caution")
        checks = counted(len(self.checks), "check")
        return f"Trust({self.verdict!r}, {self.level}; {checks}, {cautions})"

    def _repr_html_(self) -> str:
        """Show the verdict and its reasons; the checks are folded."""
        said = [self.headline, *self.reasons, *(f"{c.name}: {c.text}" for c in self.cautions)]
        table = self.summary().set_index("check")
        facts = {"verdict": self.verdict, "level": self.level}
        return html_block("Trust", facts, sentences=said, details={"all checks": table})

    def summary(self) -> pd.DataFrame:
        """Return one row per check: its name, state, whether it decided, and its text."""
        return pd.DataFrame(
            {
                "check": [c.name for c in self.checks],
                "state": [c.state for c in self.checks],
                "decides": [c in self.decided_by for c in self.checks],
                "text": [c.text for c in self.checks],
            }
        )


def judge(checks: Sequence[CheckResult]) -> Trust:
    """Apply the rule of this module to checks that were made.

    Parameters
    ----------
    checks : sequence of CheckResult
        In any order.

    Returns
    -------
    Trust
    """
    checks = tuple(checks)
    broken = tuple(c for c in checks if c.passed is False and _is_decisive(c))
    missing = _missing(checks)
    cautions = tuple(c for c in checks if c.passed is False and not _is_decisive(c))
    if broken or missing:
        reasons = (*missing, *(f"{c.name}: {c.text}" for c in broken))
        return _trust(DO_NOT_TRUST, reasons, cautions, broken, checks)
    judged = [c for c in checks if c.name in (heterogeneity.HELD_OUT, heterogeneity.LEFT_OUT)]
    # Outcomes held out from every model outrank left-out predictions of the model itself.
    judged.sort(key=lambda c: c.name != heterogeneity.HELD_OUT)
    stable = tuple(c for c in checks if c.name in STABILITY)
    unstable = tuple(c for c in stable if c.passed is False)
    # Where no differences are shown, there is nothing to rank.
    of_averages = tuple(c for c in cautions if c not in unstable)
    if not judged:
        words = "Whether effects differ was not judged on unseen outcomes."
        return _trust(SIMPLE, (words,), of_averages, (), checks)
    found, along = judged[0], _along_covariates(judged[0], checks)
    deciding = (found, *along)
    reasons = tuple(f"{c.name}: {c.text}" for c in deciding)
    sure = heterogeneity.is_shown(found)
    beyond = any(map(covariate_effects.is_beyond_chance, along))
    if not sure and not (heterogeneity.is_likely(found) and beyond):
        return _trust(SIMPLE, reasons, of_averages, deciding, checks)
    reasons += tuple(f"{c.name}: {c.text}" for c in stable)
    if unstable and sure and (beyond or not along):
        return _trust(DO_NOT_TRUST, reasons, cautions, unstable, checks)
    if unstable:
        # One sign of differences without the others says nothing against the averages.
        return _trust(SIMPLE, reasons, cautions, deciding, checks)
    words = RANKING if heterogeneity.is_ranked(found) else REAL
    return _trust(words, reasons, cautions, (*deciding, *stable), checks)


def _along_covariates(found: CheckResult, checks: Sequence[CheckResult]) -> tuple[CheckResult, ...]:
    """Return the check of single covariates in the same outcomes, if it was made."""
    held_out = found.name == heterogeneity.HELD_OUT
    name = covariate_effects.HELD_OUT if held_out else covariate_effects.LEFT_OUT
    return tuple(c for c in checks if c.name == name)


def _is_decisive(check: CheckResult) -> bool:
    """Whether everything else rests on a check."""
    return check.name.startswith(DECISIVE) and check.name not in STABILITY


def _missing(checks: Sequence[CheckResult]) -> tuple[str, ...]:
    """Name the missing checks without which nothing can be trusted."""
    names = [c.name for c in checks]
    missing = []
    if not any(name.startswith(sampling_health.NAME) for name in names):
        missing.append("The sampling was not checked.")
    if arm_overlap.NAME not in names:
        missing.append("The overlap of the arms was not checked.")
    return tuple(missing)


def _trust(
    words: str,
    reasons: tuple[str, ...],
    cautions: tuple[CheckResult, ...],
    decided_by: tuple[CheckResult, ...],
    checks: tuple[CheckResult, ...],
) -> Trust:
    declared = [c for c in checks if c.name == assignment.NAME]
    randomised = any(c.passed for c in declared)
    level: Level = "green" if randomised and not cautions else "amber"
    level = "red" if words == DO_NOT_TRUST else level
    headline = MEANING[words]
    if level == "amber" and not randomised:
        headline += OBSERVATIONAL if declared else UNDECLARED
    if cautions and level == "amber":
        failed = (
            "a check failed that does not decide this"
            if len(cautions) == 1
            else f"{len(cautions)} checks failed that do not decide this"
        )
        headline += f" Read with caution: {failed}."
    return Trust(words, level, headline, reasons, cautions, decided_by, checks)
