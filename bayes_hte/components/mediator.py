"""The mediator model: distribution of the mediator given arm and covariates.

Two mediators are modelled one after the other, the second given the first: the product of both
models is a joint distribution with whatever dependence the data show, also between columns of
different families. The order is one of computation and claims no order of causes.
"""

from __future__ import annotations

from collections.abc import Iterable

from bayes_hte.components.component import Component, build_component
from bayes_hte.components.families import get_family
from bayes_hte.components.learners import design_terms
from bayes_hte.components.numbered import MEDIATOR, mediator_roles
from bayes_hte.components.priors import term_priors
from bayes_hte.study.design import Design
from bayes_hte.study.spec import PriorSpec
from bayes_hte.study.study import Study


def build_mediator(
    study: Study,
    design: Design,
    *,
    role: str = MEDIATOR,
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
    role : {"mediator", "mediator_2"}
        The first mediator, or the second given the first.
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
    which = mediator_roles(len(study.roles.mediators) or 1).index(role)
    values = study.mediators() if study.roles.mediators else study.mediator()[:, None]
    return build_component(
        role,
        values[:, which],
        design=design,
        family=get_family(family),
        surface=surface,
        terms=design_terms(
            design,
            learner=learner,
            surface=surface,
            ordered=ordered,
            mediated=which > 0,
            means_by=means_by,
        ),
        priors=term_priors("mediator", priors),
        mediator=values[:, 0] if which else None,
        clustered=True,
        known=study.known_mediator(),
    )
