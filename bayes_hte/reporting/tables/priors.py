"""Every prior of a run with its reason, from the learner's defaults and the study file."""

from __future__ import annotations

import math

import pandas as pd

from bayes_hte.components.families import get_family
from bayes_hte.components.learners import EFFECT_TERMS, SHARED, get_learner, learner_terms
from bayes_hte.components.priors import term_priors
from bayes_hte.study.spec import ComponentName, Spec
from bayes_hte.surfaces.terms import Term

TERM_WORDS = {
    "shared": "function of the covariates",
    "arm": "deviation of an arm",
    "arm_mean": "mean of an arm",
    "effect": "effect of the treatment as it varies with the covariates",
    "expected_mediator": "coefficient of the expected mediator",
    "mediator": "slope of the mediator",
    "mediator_modified": "slope of the mediator as it varies with the covariates",
    "mediator_arm": "deviation of an arm in the slope of the mediator",
    "mediator_product": "coefficient of the product of two mediators",
    "mediator_bend": "bend of the outcome in the mediator",
    "mediator_bend_modified": "bend in the mediator as it varies with the covariates",
    "mediator_bend_arm": "deviation of an arm in the bend in the mediator",
    "trend": "linear function of the covariates within a group and an arm",
}
CONSTANT = "none"


def prior_table(spec: Spec) -> pd.DataFrame:
    """List the prior of every term of every model.

    Parameters
    ----------
    spec : Spec
        The declared analysis.

    Returns
    -------
    DataFrame
        One row per model and kind of term: ``component``, ``term``, ``words``, ``scale`` (prior
        standard deviation of the function, in units of the modelled quantity), ``trees`` (NaN
        unless a sum of trees), ``declared`` (whether the study file sets it), ``because``.
    """
    rows = []
    for component, surface, terms in _components(spec):
        priors = term_priors(component, spec.prior)
        set_here = {p.term for p in spec.prior if p.component == component}
        for kind in dict.fromkeys(term.kind for term in terms):
            is_constant = all(t.features == CONSTANT for t in terms if t.kind == kind)
            has_trees = surface == "forest" and not is_constant
            rows.append(
                {
                    "component": component,
                    "term": kind,
                    "words": TERM_WORDS[kind],
                    "scale": priors[kind].scale,
                    "trees": priors[kind].trees if has_trees else math.nan,
                    "declared": kind in set_here,
                    "because": priors[kind].because,
                }
            )
    return pd.DataFrame(rows)


def _components(spec: Spec) -> list[tuple[ComponentName, str, tuple[Term, ...]]]:
    """Return name, surface and terms of every model that is fitted, in the order of a reader."""
    learner, mediated = spec.learner.name, len(spec.roles.mediators)
    product = not get_family(spec.outcome.family).exponential_mean
    # One stands for all: they have the same priors.
    bends = int(spec.outcome.mediator_shape == "spline")
    parts: list[tuple[ComponentName, str, tuple[Term, ...]]] = [
        ("outcome", spec.outcome.surface, _terms(learner, mediated, product, bends=bends))
    ]
    if spec.mediator is not None:
        surfaces = [spec.mediator.of(name).surface for name in spec.roles.mediators]
        surface = "forest" if "forest" in surfaces else surfaces[0]
        # The second of two is modelled given the first.
        parts.append(("mediator", surface, _terms(learner, max(mediated - 1, 0), product)))
    if get_learner(learner).second_stage:
        parts.append(("effect", spec.outcome.surface, EFFECT_TERMS))
    return [*parts, ("propensity", spec.propensity.surface, (SHARED,))]


def _terms(learner: str, mediated: int, product: bool, *, bends: int = 0) -> tuple[Term, ...]:
    return learner_terms(learner, mediated=mediated, product=product, bends=bends)
