"""Declared priors of a plan, checked before anything is sampled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bayes_hte.components.learners import EFFECT_TERMS, learner_terms
from bayes_hte.errors import SpecError, unknown_name
from bayes_hte.surfaces.terms import FOREST, GP, Term

if TYPE_CHECKING:
    from bayes_hte.fitting.plan import Plan


def check_priors(plan: Plan, *, mediated: int) -> None:
    """Refuse declared priors that no model would use, or that are declared twice.

    Parameters
    ----------
    plan : Plan
        The models.
    mediated : int
        Number of mediators.

    Raises
    ------
    SpecError
        If a prior is declared twice, or for nothing that the models have.
    """
    from bayes_hte.components.propensity import TERMS as PROPENSITY_TERMS
    from bayes_hte.surfaces.registry import is_forest

    def own(surface: str, *, mediated: int, bends: int = 0) -> tuple[Term, ...]:
        # One level stands for all: only the kinds of the terms matter.
        levels = {"means_by": plan.means_by, "levels": ("any",), "trends": surface != GP}
        return learner_terms(plan.learner, mediated=mediated, bends=bends, **levels)

    bends = int(plan.mediator_shape == "spline")

    models = {
        "propensity": (plan.propensity_surface, PROPENSITY_TERMS),
        "mediator": _mediator_terms(plan, own, mediated),
        "outcome": (plan.surface, own(plan.surface, mediated=mediated, bends=bends)),
        "effect": (plan.surface, EFFECT_TERMS if plan.second_stage else ()),
    }
    seen = set()
    for prior in plan.priors:
        if prior.component not in models:
            raise unknown_name("component of a prior", prior.component, models)
        surface, terms = models[prior.component]
        used = {t.kind: is_forest(surface, t) and t.features != "none" for t in terms}
        if prior.term not in used:
            raise SpecError(
                f"prior: the {prior.component} model of learner {plan.learner!r} has no term "
                f"{prior.term!r}; it has {', '.join(sorted(used))}."
            )
        if prior.trees is not None and not used[prior.term]:
            raise SpecError(
                f"prior: term {prior.term!r} of the {prior.component} is no forest, so trees = "
                f"{prior.trees} means nothing; remove it."
            )
        if prior.sparse is not None and not used[prior.term]:
            raise SpecError(
                f"prior: term {prior.term!r} of the {prior.component} is no forest, so sparse = "
                f"{str(prior.sparse).lower()} means nothing; remove it."
            )
        if (prior.component, prior.term) in seen:
            raise SpecError(f"prior: {prior.component} {prior.term!r} is declared twice.")
        seen.add((prior.component, prior.term))


def _mediator_terms(
    plan: Plan, own: Callable[..., tuple[Term, ...]], mediated: int
) -> tuple[str, tuple[Term, ...]]:
    """Return a surface of the mediators, a forest if one has it, and the terms that one has."""
    models = plan.mediator_models(max(mediated, 1))
    surfaces = [surface for _, surface in models]
    chosen = FOREST if FOREST in surfaces else surfaces[0]
    # The second of two is modelled given the first.
    return chosen, own(chosen, mediated=max(mediated - 1, 0))
