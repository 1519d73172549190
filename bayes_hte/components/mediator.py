"""The mediator model: distribution of the mediator given arm and covariates."""

from __future__ import annotations

from collections.abc import Iterable

from bayes_hte.components.component import Component, build_component
from bayes_hte.components.families import get_family
from bayes_hte.components.learners import design_terms
from bayes_hte.components.priors import term_priors
from bayes_hte.study.design import Design
from bayes_hte.study.spec import PriorSpec
from bayes_hte.study.study import Study


def build_mediator(
    study: Study,
    design: Design,
    *,
    family: str = "gaussian",
    surface: str = "forest",
    learner: str = "hierarchical",
    means_by: str | None = None,
    ordered: bool = False,
    priors: Iterable[PriorSpec] = (),
) -> Component:
    """Build the PyMC model of the mediator.

    Parameters
    ----------
    study : Study
        A study with a mediator.
    design, family, surface, learner, means_by, ordered, priors
        As in :func:`bayes_hte.components.outcome.build_outcome`.

    Returns
    -------
    Component

    Raises
    ------
    DataError
        If the study has no mediator, or a value of it is impossible under the family.
    """
    return build_component(
        "mediator",
        study.mediator(),
        design=design,
        family=get_family(family),
        surface=surface,
        terms=design_terms(
            design,
            learner=learner,
            surface=surface,
            ordered=ordered,
            mediated=False,
            means_by=means_by,
        ),
        priors=term_priors("mediator", priors),
        clustered=True,
        known=study.known_mediator(),
    )
