"""A study in words: a line of text, and a block of a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes_hte.views import counted, html_block

if TYPE_CHECKING:
    from bayes_hte.study.study import Study


def in_a_line(study: Study) -> str:
    """Name the units, the arms and the roles of a study in a line."""
    named = " and ".join(study.roles.mediators)
    mediator = f"; mediator {named}" if named else ""
    return (
        f"Study({counted(study.n_units, 'unit')}; {study.roles.treatment}: {_arm_sizes(study)}; "
        f"outcome {study.roles.outcome}{mediator}; "
        f"{counted(len(study.roles.covariates), 'covariate')})"
    )


def as_html(study: Study) -> str:
    """Show the roles, the arms and the first rows of a study."""
    roles = study.roles
    mediator = " and ".join(roles.mediators) or None
    named = {"mediator": mediator, "cluster": roles.cluster, "weights": roles.weights}
    facts = {
        "units": study.n_units,
        "outcome": roles.outcome,
        "treatment": f"{roles.treatment} ({_arm_sizes(study)}; reference {study.arms[0]})",
        **{name: column for name, column in named.items() if column is not None},
        "covariates": ", ".join(map(str, roles.covariates)),
    }
    gaps = int(study.frame.isna().sum().sum())
    said = [f"Missing values: {gaps}, rule {study.missing!r}."] if gaps else []
    return html_block("Study", facts, sentences=said, details={"first rows": study.frame.head()})


def _arm_sizes(study: Study) -> str:
    counts = np.bincount(study.arm_index(), minlength=len(study.arms))
    return ", ".join(f"{arm} ({n})" for n, arm in zip(counts, study.arms, strict=True))
