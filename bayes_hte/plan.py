"""Which models a study is fitted with, checked before anything is sampled."""

from __future__ import annotations

from dataclasses import dataclass

from bayes_hte.components.component import check_column, is_forest
from bayes_hte.components.propensity import TERMS as PROPENSITY_TERMS
from bayes_hte.errors import SpecError
from bayes_hte.learners.structure import learner_terms
from bayes_hte.spec import PriorSpec, Spec
from bayes_hte.study import Study


@dataclass(frozen=True)
class Plan:
    """Which models to fit.

    Attributes
    ----------
    learner : str
        See :mod:`bayes_hte.learners.structure`.
    surface, mediator_surface, propensity_surface : str
        ``"forest"`` or ``"linear"``.
    family, mediator_family : str
        ``"gaussian"``, ``"bernoulli"`` or ``"poisson"``.
    propensity_covariate : bool
        Whether the posterior-mean propensity is a covariate of the shared part.
    priors : tuple of PriorSpec
        Changes to the default priors.
    """

    learner: str = "hierarchical"
    surface: str = "forest"
    family: str = "gaussian"
    mediator_family: str = "gaussian"
    mediator_surface: str = "forest"
    propensity_surface: str = "forest"
    propensity_covariate: bool = True
    priors: tuple[PriorSpec, ...] = ()

    @classmethod
    def from_spec(cls, spec: Spec) -> Plan:
        """Read the plan off a study file."""
        mediator = {}
        if spec.mediator is not None:
            mediator = {
                "mediator_family": spec.mediator.family,
                "mediator_surface": spec.mediator.surface,
            }
        return cls(
            learner=spec.learner.name,
            surface=spec.outcome.surface,
            family=spec.outcome.family,
            propensity_surface=spec.propensity.surface,
            propensity_covariate=spec.propensity.as_covariate,
            priors=spec.prior,
            **mediator,
        )


def check_plan(study: Study, plan: Plan) -> None:
    """Check that every column suits its family and every combination is supported.

    Parameters
    ----------
    study : Study
        The data.
    plan : Plan
        What is to be fitted.

    Raises
    ------
    DataError
        If a column does not suit its family.
    SpecError
        If an option is unknown or a combination is not supported.
    """
    _check_priors(plan, mediated=study.roles.mediator is not None)
    check_column(study.outcome(), "outcome", family=plan.family, surface=plan.surface)
    if study.roles.mediator is not None:
        check_column(
            study.mediator(),
            "mediator",
            family=plan.mediator_family,
            surface=plan.mediator_surface,
        )


def _check_priors(plan: Plan, *, mediated: bool) -> None:
    """Refuse declared priors that no model would use, or that are declared twice."""
    terms = {
        "propensity": PROPENSITY_TERMS,
        "mediator": learner_terms(plan.learner, mediated=False),
        "outcome": learner_terms(plan.learner, mediated=mediated),
    }
    surfaces = {
        "propensity": plan.propensity_surface,
        "mediator": plan.mediator_surface,
        "outcome": plan.surface,
    }
    seen = set()
    for prior in plan.priors:
        used = {
            term.kind: is_forest(surfaces[prior.component], term) for term in terms[prior.component]
        }
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
        if (prior.component, prior.term) in seen:
            raise SpecError(f"prior: {prior.component} {prior.term!r} is declared twice.")
        seen.add((prior.component, prior.term))
