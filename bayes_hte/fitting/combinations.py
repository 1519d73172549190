"""Learners, surfaces, families and data that go together, checked before anything is sampled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from bayes_hte.components.learners import learner_terms
from bayes_hte.errors import SpecError, UnsupportedError, unknown_name
from bayes_hte.study.spec import bounded_limits
from bayes_hte.study.study import Study
from bayes_hte.surfaces.terms import FOREST, GP

if TYPE_CHECKING:
    from bayes_hte.fitting.plan import Plan

# Levels whose means may each be a term of their own.
MOST_LEVELS = 12
# Families of two mediators, besides bounded scales.
OF_TWO = ("gaussian", "bernoulli", "poisson")


def check_candidate(plan: Plan, *, mediated: int, stacked: bool, clustered: bool) -> None:
    """Refuse learners and surfaces that do not go together.

    Parameters
    ----------
    plan : Plan
        The models of one candidate.
    mediated : int
        Number of mediators.
    stacked, clustered : bool
        Whether it is one of several candidates, and whether the units come in clusters.

    Raises
    ------
    SpecError
        If the learner is unknown, or does not take the options.
    UnsupportedError
        Naming what can be used instead.
    """
    shape = {"means_by": plan.means_by, "ordered": plan.ordered}
    learner_terms(plan.learner, mediated=mediated, **shape)
    if plan.learner == "s" and plan.surface == "additive":
        raise UnsupportedError(
            "learner 's' on surface 'additive' is not supported: every curve would have to be its "
            "own in each arm; use learner='t' (a curve for each arm) or 'hierarchical', or "
            "surface='linear'."
        )
    if plan.surface == GP:
        check_gp(plan.family, plan.noise, "outcome", clustered=clustered)
    if plan.second_stage:
        _check_second_stage(plan, mediated=mediated, stacked=stacked)


def _check_second_stage(plan: Plan, *, mediated: int, stacked: bool) -> None:
    """Refuse options that a model of the effect itself cannot have."""
    name, first = plan.learner, plan.first_stage().learner
    if plan.means_by is not None:
        raise UnsupportedError(
            f"learner {name!r} models imputed effects and has no means of its own for the levels "
            f"of {plan.means_by!r}; use learner={first!r}, its first stage, or 'hierarchical'."
        )
    if mediated:
        raise UnsupportedError(
            f"learner {name!r} models the total effect alone and cannot split it into direct and "
            f"indirect parts; use learner={first!r}, its first stage, or leave the mediator out."
        )
    if stacked:
        raise UnsupportedError(
            f"learner {name!r} has no likelihood of the observed outcome, so it cannot be weighed "
            f"against others; stack its first stage, learner {first!r}."
        )
    if plan.surface == GP:
        raise UnsupportedError(
            f"learner {name!r} on surface 'gp' is not supported: its second stage changes its "
            "outcome at every draw, which the collapsed sampler cannot follow; use "
            "surface='additive' or 'forest'."
        )


def check_gp(family: str, noise: str, role: str, *, clustered: bool) -> None:
    """Refuse Gaussian processes whose weights cannot be integrated out.

    Parameters
    ----------
    family, noise : str
        Of the column.
    role : str
        Its role in words.
    clustered : bool
        Whether the units come in clusters.

    Raises
    ------
    UnsupportedError
        Unless the family is gaussian with constant noise, without clusters.
    """
    # A scale with ends is gaussian on the logit.
    normal = family == "gaussian" or bounded_limits(family) is not None
    if not normal or noise != "constant" or clustered:
        raise UnsupportedError(
            f"{role}: surface 'gp' takes gaussian columns with constant noise and no clusters, "
            f"whose weights integrate out; got {family} with {noise} noise"
            f"{' and clusters' if clustered else ''}. Sampling the weights takes hours: use "
            "surface='additive', or 'forest'."
        )


def check_two_mediators(plan: Plan) -> None:
    """Refuse families of two mediators whose joint effect has no expectation that is worked out.

    Parameters
    ----------
    plan : Plan
        The models.

    Raises
    ------
    UnsupportedError
        If the expected outcome is not worked out, or is infinite.
    """
    families = [family for family, _ in plan.mediator_models(2)]
    strange = [f for f in families if f not in OF_TWO and bounded_limits(f) is None]
    if strange:
        raise UnsupportedError(
            f"two mediators may be {', '.join(OF_TWO)} or 'bounded(1, 5)', got {strange[0]!r}: its "
            "tails, passed on by the other mediator, may leave no expected outcome. Use 'gaussian' "
            "or 'poisson', or one mediator."
        )
    log_link = plan.family in ("poisson", "negative_binomial")
    if log_link and families[1] == "poisson" and families[0] != "bernoulli":
        raise UnsupportedError(
            "with a log link of the outcome and a poisson mediator given a mediator that is not "
            "binary the expected outcome is infinite; name the poisson mediator first, or model it "
            "as gaussian."
        )


def check_levels(study: Study, column: str) -> None:
    """Refuse means of levels that the data cannot estimate.

    Parameters
    ----------
    study : Study
        The data.
    column : str
        The covariate.

    Raises
    ------
    SpecError
        If the column is no covariate, has too many levels, or a level has no unit in an arm.
    """
    if column not in study.roles.covariates:
        raise unknown_name("covariate for means_by", column, study.roles.covariates)
    if n := int(study.frame[column].isna().sum()):
        raise SpecError(
            f"means_by={column!r} is missing for {n} units, which belong to no level; make missing "
            "a level of its own with fillna, or leave the covariate to the learner."
        )
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
            "cannot be estimated. Put levels together."
        )


def check_split_on_gaps(study: Study, plan: Plan, *, mediated: int) -> None:
    """Refuse surfaces that cannot split on missingness.

    The propensity may have any: it has a mean and an indicator for missing values instead.

    Parameters
    ----------
    study : Study
        The data.
    plan : Plan
        The models.
    mediated : int
        Number of mediators.

    Raises
    ------
    UnsupportedError
        If the outcome, or the mediator, is not modelled by forests alone.
    """
    named = {f"surface {c.surface!r} of the outcome": c.surface for c in plan.candidates().values()}
    for _, surface in plan.mediator_models(mediated):
        named[f"surface {surface!r} of the mediator"] = surface
    others = [name for name, surface in named.items() if surface != FOREST]
    if others:
        raise UnsupportedError(
            f"{', '.join(study.gaps[:5])}{', ...' if len(study.gaps) > 5 else ''} may have missing "
            f"values, on which only forests split; {' and '.join(others)} needs complete ones. "
            "Use surface='forest'; or build the study with missing='impute' (several imputed "
            "frames, one fit each) or missing='complete' (in a study file under [data])."
        )
