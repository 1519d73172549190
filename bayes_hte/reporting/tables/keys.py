"""Keys of the tables, which are the names of the CSV files, and their sources."""

from __future__ import annotations

import re

from bayes_hte.checks.base import CheckResult
from bayes_hte.reporting.results import Results

# Characters of a name in that of a file, which systems limit to 255 bytes.
LONGEST = 160
# Start of the names of checks that try the rule for subgroups where effects are equal.
NULLS = "subgroups where effects are equal"


def focus(results: Results) -> tuple[str, ...]:
    """Return the effects shown unit by unit: total, and indirect where there is a mediator."""
    return tuple(name for name in ("te", "tnie") if name in results.effects)


def slug(name: str) -> str:
    """Turn a name into one that is safe as part of a file name and of an HTML id."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:LONGEST] or "unnamed"


def modifier_keys(results: Results) -> dict[str, str]:
    """Return covariate and key of its table, in the order of the study.

    Keys are numbered, as two names can have the same slug.
    """
    names = results.study.roles.covariates
    return {name: f"modifier_{i:02d}_{slug(name)}" for i, name in enumerate(names, start=1)}


def check_keys(results: Results) -> list[str]:
    """Return the key of the table of each check, in the order of the checks."""
    return [f"check_{i:02d}_{slug(c.name)}" for i, c in enumerate(results.checks, start=1)]


def null_check(results: Results, effect: str) -> tuple[str, CheckResult] | None:
    """Return the key of the table and the check of the subgroup rule's error rate, if made."""
    named = dict(zip((c.name for c in results.checks), check_keys(results), strict=True))
    for check in results.checks:
        if check.name == f"{NULLS}: {effect.upper()}" and not check.table.empty:
            return named[check.name], check
    return None
