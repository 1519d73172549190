"""Default priors of the terms, each with its reason, and the study file's changes to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from bayes_hte.study.spec import ComponentName, PriorSpec, TermName


@dataclass(frozen=True)
class TermPrior:
    """Prior of a kind of term.

    Attributes
    ----------
    scale : float
        Prior standard deviation of the function at any x, in units of the latent sd of the column
        (gaussian: its sd; bernoulli 1.5 on the logit and poisson 1 on the log scale), for slopes of
        the mediator and of its expectation divided by the sd of the mediator about its
        expectation, for a product of two mediators by both of these; a bend has an sd of 1.
    trees : int
        Number of trees if the surface is a forest.
    because : str
        The reason, printed in the report.
    sparse : bool
        Whether the trees of a forest learn which covariates to split on, which leaves irrelevant
        ones out and halves the error of individual effects (measured:
        tests/benchmarks/RESULTS.md); otherwise they choose all covariates with equal probability.
    """

    scale: float
    trees: int
    because: str
    sparse: bool = True


DEFAULTS: dict[TermName, TermPrior] = {
    "shared": TermPrior(1.0, 100, "covariates may explain up to all of the variation"),
    "arm": TermPrior(
        0.5, 50, "arms are expected to differ less than units do, so deviations are shrunk more"
    ),
    "arm_mean": TermPrior(0.7, 1, "the average effect may be as large as the outcome varies"),
    "effect": TermPrior(
        0.7, 50, "the effect is expected to vary less than the outcome, so it is shrunk more"
    ),
    "mediator": TermPrior(
        0.5, 50, "one sd of the mediator is expected to move the outcome by less than one sd"
    ),
    "mediator_modified": TermPrior(
        0.35, 50, "the mediator is expected to act much alike in all units"
    ),
    "mediator_arm": TermPrior(0.25, 25, "the mediator is expected to act much alike in both arms"),
    "expected_mediator": TermPrior(
        0.5,
        1,
        "what moves the mediator is expected to move the outcome about as much as it does itself",
    ),
    "mediator_product": TermPrior(
        0.25, 1, "two mediators are expected to act together much as each does by itself"
    ),
    "mediator_bend": TermPrior(
        0.35,
        20,
        "the outcome is expected to follow a straight line in the mediator more than bends",
    ),
    "mediator_bend_modified": TermPrior(
        0.1, 20, "the outcome is expected to bend much alike in all units"
    ),
    "mediator_bend_arm": TermPrior(
        0.1, 10, "the outcome is expected to bend much alike in both arms"
    ),
    "trend": TermPrior(
        1.0, 1, "within a group named beforehand covariates may matter as they do overall"
    ),
}


def term_priors(
    component: ComponentName, changes: Iterable[PriorSpec] = ()
) -> dict[TermName, TermPrior]:
    """Return the prior of every kind of term of a component.

    Parameters
    ----------
    component : {"outcome", "mediator", "propensity"}
        The component.
    changes : iterable of PriorSpec
        Declared changes; those of other components are ignored.

    Returns
    -------
    dict of term kind to TermPrior
    """
    priors = dict(DEFAULTS)
    for change in changes:
        if change.component == component:
            now = priors[change.term]
            priors[change.term] = replace(
                now,
                scale=now.scale if change.scale is None else change.scale,
                trees=now.trees if change.trees is None else change.trees,
                because=change.because,
                sparse=now.sparse if change.sparse is None else change.sparse,
            )
    return priors
