"""Which models a study is fitted with, checked before anything is sampled."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from bayes_hte.components.component import check_column
from bayes_hte.components.learners import EFFECT_TERMS, learner_terms
from bayes_hte.components.propensity import TERMS as PROPENSITY_TERMS
from bayes_hte.errors import SpecError, UnsupportedError, unknown_name
from bayes_hte.study.spec import PriorSpec, Spec
from bayes_hte.study.study import Study
from bayes_hte.surfaces.registry import GP, is_forest
from bayes_hte.surfaces.terms import Term

# Up to so many units a Gaussian process is worth its minute (see the benchmark of effects).
SMALL_STUDY = 300
# Levels whose means may each be a term of their own.
MOST_LEVELS = 12


@dataclass(frozen=True)
class Plan:
    """Which models to fit.

    Attributes
    ----------
    learner : str
        See :mod:`bayes_hte.components.learners`.
    surface, mediator_surface, propensity_surface : str
        See :mod:`bayes_hte.surfaces.registry`.
    stack_with : tuple of str
        Further candidates for the outcome: ``"surface"`` or ``"learner/surface"``.
    family, mediator_family : str
        See :mod:`bayes_hte.components.families`.
    noise : str
        Noise scale of the outcome; see :mod:`bayes_hte.components.noise`.
    propensity_covariate : bool
        Whether the posterior-mean propensity is a covariate of the shared part.
    means_by : str or None
        A covariate whose levels each have a mean and a linear trend of their own in each arm, and a
        mean slope of the mediator: differences between its levels are not shrunk.
    priors : tuple of PriorSpec
        Changes to the default priors.
    """

    learner: str = "hierarchical"
    surface: str = "forest"
    stack_with: tuple[str, ...] = ()
    family: str = "gaussian"
    noise: str = "constant"
    mediator_family: str = "gaussian"
    mediator_surface: str = "forest"
    propensity_surface: str = "forest"
    propensity_covariate: bool = True
    means_by: str | None = None
    priors: tuple[PriorSpec, ...] = ()

    @classmethod
    def from_spec(cls, spec: Spec) -> Plan:
        """Read the plan off a study file.

        Parameters
        ----------
        spec : Spec
            What the file declares.

        Returns
        -------
        Plan
            Not checked against data yet; :func:`bayes_hte.fit` does that.
        """
        mediator = {}
        if spec.mediator is not None:
            mediator = {
                "mediator_family": spec.mediator.family,
                "mediator_surface": spec.mediator.surface,
            }
        return cls(
            learner=spec.learner.name,
            surface=spec.outcome.surface,
            stack_with=spec.outcome.candidates,
            family=spec.outcome.family,
            noise=spec.outcome.noise,
            propensity_surface=spec.propensity.surface,
            propensity_covariate=spec.propensity.as_covariate,
            priors=spec.prior,
            **mediator,
        )

    def candidates(self) -> dict[str, Plan]:
        """Return one plan for each candidate of the outcome, by label, the main one first.

        Raises
        ------
        SpecError
            If a candidate is named twice.
        """
        found = {}
        for label in (f"{self.learner}/{self.surface}", *self.stack_with):
            learner, _, surface = label.rpartition("/")
            learner = learner or self.learner
            candidate = replace(self, learner=learner, surface=surface, stack_with=())
            name = surface if learner == self.learner else f"{learner}/{surface}"
            if name in found:
                raise SpecError(f"stack_with: candidate {name!r} is named twice.")
            found[name] = candidate
        return found


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
    mediated, clustered = study.roles.mediator is not None, study.roles.cluster is not None
    _check_priors(plan, mediated=mediated)
    if plan.means_by is not None:
        _check_levels(study, plan.means_by)
    for candidate in plan.candidates().values():
        _check_candidate(
            candidate, mediated=mediated, stacked=bool(plan.stack_with), clustered=clustered
        )
        check_column(
            study.outcome(),
            "outcome",
            family=plan.family,
            surface=candidate.surface,
            noise=plan.noise,
        )
    if plan.propensity_surface == GP:
        check_gp("bernoulli", "constant", "propensity", clustered=False)
    if mediated:
        if plan.mediator_surface == GP:
            check_gp(plan.mediator_family, "constant", "mediator", clustered=clustered)
        check_column(
            study.mediator(),
            "mediator",
            family=plan.mediator_family,
            surface=plan.mediator_surface,
        )


def recommended_candidates(study: Study, plan: Plan) -> tuple[str, ...]:
    """Return the candidates that the benchmark of effects recommends beside a plan's own.

    In small studies of a continuous outcome a Gaussian process is about twice as accurate as trees
    where effects vary smoothly, and stacking leaves it out where they do not. Larger studies would
    wait for minutes, and the other cases were not measured.

    Parameters
    ----------
    study : Study
        The data.
    plan : Plan
        What is fitted otherwise.

    Returns
    -------
    tuple of str
        ``("gp",)`` for up to 300 units without mediator or clusters, a gaussian outcome with
        constant noise, the hierarchical learner on forests and default priors; else nothing.
    """
    plain = study.roles.mediator is None and study.roles.cluster is None
    default = Plan()
    alike = all(
        getattr(plan, name) == getattr(default, name)
        for name in ("learner", "surface", "family", "noise", "means_by", "priors")
    )
    return (GP,) if plain and alike and study.n_units <= SMALL_STUDY else ()


def settled(spec: Spec, study: Study) -> Spec:
    """Return a study file with the candidates recommended for its data, if it leaves them out."""
    if spec.outcome.stack_with is not None:
        return spec
    recommended = recommended_candidates(study, Plan.from_spec(spec))
    return replace(spec, outcome=replace(spec.outcome, stack_with=recommended))


def _check_levels(study: Study, column: str) -> None:
    """Refuse means of levels that the data cannot tell.

    Raises
    ------
    SpecError
        If the column is no covariate, has too many levels, or one without units in an arm.
    """
    if column not in study.roles.covariates:
        raise unknown_name("covariate for means_by", column, study.roles.covariates)
    counts = pd.crosstab(study.frame[column], study.arm_index())
    if len(counts) > MOST_LEVELS:
        raise SpecError(
            f"means_by={column!r} has {len(counts)} levels, and each gets means of its own; at "
            f"most {MOST_LEVELS} are allowed. Cut a number into a few groups with pandas.cut, or "
            "leave the covariate to the learner."
        )
    empty = counts.index[(counts == 0).any(axis=1)]
    if len(empty):
        raise SpecError(
            f"means_by={column!r}: level {empty[0]!r} has no unit in one arm, so its mean there "
            "cannot be told. Put levels together."
        )


def check_gp(family: str, noise: str, role: str, *, clustered: bool) -> None:
    """Refuse Gaussian processes whose weights cannot be integrated out.

    Raises
    ------
    UnsupportedError
        Unless the family is gaussian with constant noise, without clusters.
    """
    if family != "gaussian" or noise != "constant" or clustered:
        raise UnsupportedError(
            f"{role}: surface 'gp' takes gaussian columns with constant noise and no clusters, "
            f"whose weights integrate out; got {family} with {noise} noise"
            f"{' and clusters' if clustered else ''}. Sampling the weights takes hours: use "
            "surface='additive', or 'forest'."
        )


def _check_candidate(plan: Plan, *, mediated: bool, stacked: bool, clustered: bool) -> None:
    """Refuse learners and surfaces that do not go together."""
    learner_terms(plan.learner, mediated=mediated, means_by=plan.means_by)
    if plan.learner == "s" and plan.surface == "additive":
        raise UnsupportedError(
            "learner 's' on surface 'additive' is not supported: every curve would have to be its "
            "own in each arm; use learner='t' (a curve for each arm) or 'hierarchical', or "
            "surface='linear'."
        )
    if plan.surface == GP:
        check_gp(plan.family, plan.noise, "outcome", clustered=clustered)
    if plan.learner != "x":
        return
    if plan.means_by is not None:
        raise UnsupportedError(
            "learner 'x' models imputed effects and has no means of its own for the levels of "
            f"{plan.means_by!r}; use learner='t', its first stage, or 'hierarchical'."
        )
    if mediated:
        raise UnsupportedError(
            "learner 'x' models the total effect alone and cannot split it into direct and "
            "indirect parts; use learner='t', its first stage, or leave the mediator out."
        )
    if stacked:
        raise UnsupportedError(
            "learner 'x' has no likelihood of the observed outcome, so it cannot be weighed "
            "against others; stack its first stage, learner 't'."
        )
    if plan.surface == GP:
        raise UnsupportedError(
            "learner 'x' on surface 'gp' is not supported: its second stage changes its outcome at "
            "every draw, which the collapsed sampler cannot follow; use surface='additive' or "
            "'forest'."
        )


def _check_priors(plan: Plan, *, mediated: bool) -> None:
    """Refuse declared priors that no model would use, or that are declared twice."""

    def own(surface: str, *, mediated: bool) -> tuple[Term, ...]:
        # One level stands for all: only the kinds of the terms matter.
        levels = {"means_by": plan.means_by, "levels": ("any",), "trends": surface != GP}
        return learner_terms(plan.learner, mediated=mediated, **levels)

    terms = {
        "propensity": PROPENSITY_TERMS,
        "mediator": own(plan.mediator_surface, mediated=False),
        "outcome": own(plan.surface, mediated=mediated),
        "effect": EFFECT_TERMS if plan.learner == "x" else (),
    }
    surfaces = {
        "propensity": plan.propensity_surface,
        "mediator": plan.mediator_surface,
        "outcome": plan.surface,
        "effect": plan.surface,
    }
    seen = set()
    for prior in plan.priors:
        used = {
            term.kind: is_forest(surfaces[prior.component], term) and term.features != "none"
            for term in terms[prior.component]
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
        if prior.sparse is not None and not used[prior.term]:
            raise SpecError(
                f"prior: term {prior.term!r} of the {prior.component} is no forest, so sparse = "
                f"{str(prior.sparse).lower()} means nothing; remove it."
            )
        if (prior.component, prior.term) in seen:
            raise SpecError(f"prior: {prior.component} {prior.term!r} is declared twice.")
        seen.add((prior.component, prior.term))
