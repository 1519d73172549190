"""The trust verdict: one of three levels, decided by the checks and by nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.sampling_health import PREFIX
from bayes_hte.results import Results

Level = Literal["green", "amber", "red"]


@dataclass(frozen=True)
class Verdict:
    """Whether the numbers may be used.

    Attributes
    ----------
    level : {"green", "amber", "red"}
        Red: sampling failed, nothing may be used. Amber: another check failed, or sampling was
        not checked. Green: every check that judges has passed.
    headline : str
        The verdict in a sentence.
    decided_by : tuple of CheckResult
        The failed checks; for green, the passed ones.
    """

    level: Level
    headline: str
    decided_by: tuple[CheckResult, ...]


def trust(results: Results) -> Verdict:
    """Decide how far the results can be trusted.

    Parameters
    ----------
    results : Results
        A finished run.

    Returns
    -------
    Verdict
    """
    health = [c for c in results.checks if c.name.startswith(PREFIX)]
    if not results.healthy:
        failed = tuple(c for c in health if not c.passed)
        return Verdict("red", "Do not use these numbers: the sampling failed.", failed)
    failed = tuple(c for c in results.checks if c.passed is False)
    if failed:
        count = "1 check" if len(failed) == 1 else f"{len(failed)} checks"
        return Verdict("amber", f"Read with caution: {count} failed.", failed)
    if not health:
        return Verdict("amber", "Read with caution: the sampling was not checked.", ())
    passed = tuple(c for c in results.checks if c.passed)
    return Verdict("green", "All checks that judge this run passed.", passed)
