"""The outcome model: expected outcome given arm, covariates and, where there is one, mediator."""

from __future__ import annotations

from collections.abc import Iterable

from bayes_hte.components.component import Component, build_component
from bayes_hte.components.families import get_family
from bayes_hte.components.learners import design_terms
from bayes_hte.components.priors import term_priors
from bayes_hte.study.design import Design
from bayes_hte.study.spec import PriorSpec
from bayes_hte.study.study import Study
from bayes_hte.surfaces.bends import Bends


def build_outcome(
    study: Study,
    design: Design,
    *,
    family: str = "gaussian",
    surface: str = "forest",
    learner: str = "hierarchical",
    noise: str = "constant",
    means_by: str | None = None,
    ordered: bool = False,
    mediator_shape: str = "linear",
    priors: Iterable[PriorSpec] = (),
    role: str = "outcome",
) -> Component:
    """Build the PyMC model of the outcome.

    Parameters
    ----------
    study : Study
        The study.
    design : Design
        Its rows, learned with the estimated propensity if that is to be a covariate, and with the
        expected mediator if the study has a mediator.
    family : str
        Distribution of the outcome; see :mod:`bayes_hte.components.families`.
    surface : str
        Form of the functions; see :mod:`bayes_hte.surfaces.registry`.
    learner : str
        See :mod:`bayes_hte.components.learners`.
    noise : {"constant", "by_arm", "varying"}
        See :mod:`bayes_hte.components.noise`.
    means_by : str, optional
        A covariate whose levels have means of their own; see
        :func:`bayes_hte.components.learners.learner_terms`.
    ordered : bool, default False
        Whether neighbouring arms are shrunk together; see
        :func:`bayes_hte.components.learners.learner_terms`.
    mediator_shape : {"linear", "spline"}
        Whether the outcome is a straight line in its mediator, or may bend
        (:mod:`bayes_hte.surfaces.bends`).
    priors : iterable of PriorSpec
        Declared changes of the default priors.
    role : str
        Starts the names of the variables; another for each of several models of one outcome.

    Returns
    -------
    Component
    """
    mediated = len(study.roles.mediators)
    bends = _bends(study, design) if mediator_shape == "spline" else None
    return build_component(
        role,
        study.outcome(),
        design=design,
        family=get_family(family),
        surface=surface,
        terms=design_terms(
            design,
            learner=learner,
            surface=surface,
            ordered=ordered,
            mediated=mediated,
            means_by=means_by,
            # Its exponential may have no mean.
            product=not get_family(family).exponential_mean,
            bends=0 if bends is None else bends.number,
        ),
        priors=term_priors("outcome", priors),
        mediator=study.mediators() if mediated else None,
        noise=noise,
        clustered=True,
        known=study.known_outcome(),
        censoring=study.censoring(),
        bends=bends,
    )


def _bends(study: Study, design: Design) -> Bends:
    """Learn the bends on the units whose outcome and mediator are known."""
    known = study.known_outcome()
    return Bends.learn(study.mediators()[known, 0], design.expected_mediators[known, 0])
