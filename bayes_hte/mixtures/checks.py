"""Checks of the fit of a mixture, for the listing of a run.

None of them decides whether the other effects of a study can be trusted: those come from other
models. A mixture that fails here is a caution, and its own section of the report says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.sampling_health import NAME as HEALTH
from bayes_hte.mixtures.agreement import AGREE
from bayes_hte.mixtures.identification import LEVELS, Identifiability

if TYPE_CHECKING:
    from bayes_hte.mixtures import MixtureFit

NAME: Final = "mixture"
AGREEMENT: Final = f"{NAME}: likelihood and moments"
IDENTIFIABILITY: Final = f"{NAME}: identifiability"


def class_checks(fit: MixtureFit) -> tuple[CheckResult, ...]:
    """Collect the checks of a mixture.

    Parameters
    ----------
    fit : MixtureFit
        The fit.

    Returns
    -------
    tuple of CheckResult
        Identifiability by the declared graph (informs only), the health of the draws, and whether
        the likelihood and the moments agree; where they cannot be compared, that check has failed.
    """
    graph = CheckResult(
        IDENTIFIABILITY, None, _statements(fit.identifiability), level_words(fit.identifiability)
    )
    health = (
        CheckResult(
            f"{NAME}: {check.name.removeprefix(f'{HEALTH}: ')}",
            check.passed,
            check.table,
            check.text,
        )
        for check in fit.health
    )
    found = fit.agreement
    text = f"{found.answer[:1].upper()}{found.answer[1:]}. {' '.join(found.reasons)}"
    agreement = CheckResult(
        AGREEMENT, found.answer == AGREE, found.table.reset_index(drop=found.table.empty), text
    )
    return (graph, *health, agreement)


def level_words(graph: Identifiability) -> str:
    """Return the level of a declared graph in words, with the reasons.

    Parameters
    ----------
    graph : Identifiability

    Returns
    -------
    str
    """
    if graph.level is None:
        return f"The declared graph identifies nothing. {' '.join(graph.reasons)}"
    return f"Level {graph.level}, {LEVELS[graph.level]}. {' '.join(graph.reasons)}"


def _statements(graph: Identifiability) -> pd.DataFrame:
    """One row per statement: its kind (identified, reason, remedy, assumption) and its words."""
    kinds = {
        "identified": graph.identified,
        "reason": graph.reasons,
        "remedy": graph.remedies,
        "assumption": graph.assumptions,
    }
    rows = [(kind, words) for kind, said in kinds.items() for words in said]
    return pd.DataFrame(rows, columns=["kind", "statement"])
