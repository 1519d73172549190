"""What the fit of a latent mixture says for and against itself, as checks of a run.

None of them decides whether the other effects of a study can be trusted: those come from other
models. A fit of hidden classes that fails here is a caution, and its own section says so.
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

NAME: Final = "hidden classes"
AGREEMENT: Final = f"{NAME}: likelihood and moments"
IDENTIFIABILITY: Final = f"{NAME}: identifiability"


def hidden_class_checks(fit: MixtureFit) -> tuple[CheckResult, ...]:
    """Collect the checks of a latent mixture.

    Parameters
    ----------
    fit : MixtureFit
        The fit.

    Returns
    -------
    tuple of CheckResult
        What the declared graph identifies (informs only), the health of the draws, and whether the
        likelihood and the moments give one answer; where they cannot be compared, that has failed.
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
    text = f"{found.verdict[:1].upper()}{found.verdict[1:]}. {' '.join(found.reasons)}"
    agreement = CheckResult(
        AGREEMENT, found.verdict == AGREE, found.table.reset_index(drop=found.table.empty), text
    )
    return (graph, *health, agreement)


def level_words(graph: Identifiability) -> str:
    """Say in two or three sentences what a declared graph identifies, and why no more.

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
    """One row a statement: its kind (identified, reason, remedy, assumption) and its words."""
    kinds = {
        "identified": graph.identified,
        "reason": graph.reasons,
        "remedy": graph.remedies,
        "assumption": graph.assumptions,
    }
    rows = [(kind, words) for kind, said in kinds.items() for words in said]
    return pd.DataFrame(rows, columns=["kind", "statement"])
