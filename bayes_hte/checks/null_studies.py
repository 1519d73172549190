"""Studies in which effects are equal, and the fits that are repeated on them.

The models give two things to the null distribution of the subgroup rule
(:mod:`bayes_hte.subgroups.nulls.distribution`): posterior-predictive studies, from a fit without
effect modification, and draws of an effect of any study, from a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from bayes_hte.checks.altered_studies import with_placebo_treatment
from bayes_hte.checks.refitting import refit_plan
from bayes_hte.components.learners import learner_terms
from bayes_hte.errors import SpecError, unknown_name
from bayes_hte.names import SAMPLE
from bayes_hte.study.frames import with_columns
from bayes_hte.study.study import Study
from bayes_hte.subgroups.nulls.distribution import (
    Null,
    NullDistribution,
    Refit,
    Rule,
    null_distribution,
)
from bayes_hte.subgroups.nulls.stand_in import stand_in_null, stand_in_refit

if TYPE_CHECKING:
    from bayes_hte.components.fitted import FittedComponent
    from bayes_hte.fitting.fitted import Fit
    from bayes_hte.fitting.plan import Plan

Estimator = Literal["surrogate", "full"]
HOMOGENEOUS, PERMUTATION = "homogeneous", "permutation"
VARIANTS = {
    HOMOGENEOUS: "new outcomes under an effect that is the same for everybody",
    PERMUTATION: "the treatment shuffled, so that nobody has an effect",
}
KEPT_DRAWS = 50  # of each chain
SURROGATE_NAME = "surrogate (Gaussian processes in closed form)"


@dataclass(frozen=True)
class PredictiveNull:
    """Posterior-predictive studies of a fit; made by :func:`homogeneous_null`.

    Attributes
    ----------
    fit : Fit
        Of learner ``"homogeneous"``.
    """

    fit: Fit

    def __call__(self, study: Study, rng: np.random.Generator) -> Study:
        """Return the study with outcome, and mediator, drawn from one posterior draw."""
        from bayes_hte.fitting.expected_mediator import expected_mediator

        outcome, roles = self.fit.components["outcome"], study.roles
        mediator = self.fit.components.get("mediator")
        posterior = outcome.posterior
        chosen = {d: int(rng.integers(posterior.sizes[d])) for d in SAMPLE}
        arm, columns, expected, deviation = study.arm_index(), {}, None, None
        if mediator is not None:
            predictor = mediator.linear_predictor()
            drawn = _draw(mediator, predictor.as_observed(arm, None), chosen, rng)
            expected = expected_mediator(mediator, predictor.base)
            deviation = drawn - expected[np.arange(arm.size), arm]
            columns[roles.mediator] = drawn
        eta = outcome.linear_predictor(expected=expected).as_observed(arm, deviation)
        columns[roles.outcome] = _draw(outcome, eta, chosen, rng)
        return study.alike(with_columns(study.frame, columns))


def homogeneous_null(fit: Fit) -> PredictiveNull:
    """Return what draws studies under an effect that is the same for everybody.

    Parameters
    ----------
    fit : Fit
        The study fitted with learner ``"homogeneous"``.

    Returns
    -------
    PredictiveNull
        A callable (Study, Generator) -> Study. Equal is the effect on the link scale: with a
        logistic or log link, effects on the response scale still differ with the baseline, and
        such differences are then part of the null.

    Raises
    ------
    SpecError
        If the fit has another learner, or stacks several outcome models.
    """
    if fit.plan.learner != HOMOGENEOUS or fit.plan.stack_with:
        raise SpecError(
            f"a null of equal effects needs a fit with learner 'homogeneous' and without "
            f"stacking, got learner {fit.plan.learner!r}"
            f"{' with stacking' if fit.plan.stack_with else ''}."
        )
    few = {role: _thinned(component) for role, component in fit.components.items()}
    return PredictiveNull(replace(fit, components=few))


def model_refit(
    plan: Plan, effect: str, *, draws: int = 250, tune: int = 250, chains: int = 2
) -> Refit:
    """Return what fits a plan to a study and draws an effect of its units.

    Parameters
    ----------
    plan : Plan
        What is fitted.
    effect : {"te", "tnie"}
        Total, or indirect effect.
    draws, tune, chains : int
        Size of the sampling; smaller than a fit that is reported.

    Returns
    -------
    callable (Study, int) -> DataArray, dims (chain, draw, unit)
    """
    return partial(_model_effect, plan=plan, effect=effect, draws=draws, tune=tune, chains=chains)


def _model_effect(study: Study, seed: int, *, plan: Plan, effect: str, **size: int) -> xr.DataArray:
    from bayes_hte.effects.contrasts import total_effect, total_natural_indirect

    fit = refit_plan(study, plan, seed=seed, **size)
    if effect == "te" and plan.second_stage:
        return fit.cate()
    mu = fit.potential_outcomes()
    return total_natural_indirect(mu) if effect == "tnie" else total_effect(mu)


def calibrate_subgroups(
    study: Study,
    effect: Literal["te", "tnie"],
    *,
    seed: int,
    estimator: Estimator = "surrogate",
    plan: Plan | None = None,
    size: dict[str, int] | None = None,
    variants: Iterable[str] = tuple(VARIANTS),
    rule: Rule = "honest",
    replications: int = 200,
    n_jobs: int = 1,
    folder: Path | None = None,
    progress: bool = False,
    **options: Any,
) -> NullDistribution:
    """Ask how often subgroups as clear as those of a study are found where effects are equal.

    Parameters
    ----------
    study : Study
        The user's own study.
    effect : {"te", "tnie"}
        Total, or indirect effect.
    seed : int
        See :func:`~bayes_hte.subgroups.nulls.distribution.null_distribution`.
    estimator : {"surrogate", "full"}
        What is refitted: Gaussian processes in closed form (a second or two a study of 1,000
        units), or the plan itself (as long as two fits of half the study).
    plan : Plan, optional
        The plan of the reported fit; needed for ``"full"``.
    size : dict, optional
        ``draws``, ``tune`` and ``chains`` of each full fit; default 250, 250 and 2.
    variants : iterable of {"homogeneous", "permutation"}
        How effects are made equal: new outcomes from the model fitted without effect modification,
        or a shuffled treatment, under which nobody has an effect.
    rule, replications, n_jobs, folder, progress, **options
        See :func:`~bayes_hte.subgroups.nulls.distribution.null_distribution`.

    Returns
    -------
    NullDistribution

    Raises
    ------
    SpecError
        If an option is unknown, or the full model is asked for without its plan.
    """
    wanted = tuple(variants)
    for name in wanted:
        if name not in VARIANTS:
            raise unknown_name("variant", name, VARIANTS)
    if estimator not in ("surrogate", "full"):
        raise unknown_name("estimator", estimator, ("surrogate", "full"))
    if estimator == "full" and plan is None:
        raise SpecError("estimator 'full' refits a plan; pass plan=fit.plan.")
    sampling = {"draws": 250, "tune": 250, "chains": 2} | (size or {})
    makers: dict[str, Callable[[], Null]] = {
        HOMOGENEOUS: lambda: _homogeneous(study, estimator, plan, seed, sampling),
        PERMUTATION: lambda: with_placebo_treatment,
    }
    if estimator == "full":
        refit = model_refit(plan, effect, **sampling)
        name = f"full model (learner {plan.learner!r}, surface {plan.surface!r}; {sampling})"
    else:
        refit, name = stand_in_refit(effect), SURROGATE_NAME
    return null_distribution(
        study,
        refit=refit,
        nulls={variant: makers[variant]() for variant in wanted},
        estimator=f"{name}, effect {effect}",
        seed=seed,
        rule=rule,
        replications=replications,
        n_jobs=n_jobs,
        folder=folder,
        progress=progress,
        **options,
    )


def _homogeneous(
    study: Study, estimator: str, plan: Plan | None, seed: int, size: dict[str, int]
) -> Null:
    if estimator == "surrogate":
        return stand_in_null(study)
    kinds = {
        "propensity": {prior.term for prior in plan.priors},
        "mediator": {term.kind for term in learner_terms(HOMOGENEOUS, mediated=False)},
        "outcome": {
            term.kind
            for term in learner_terms(HOMOGENEOUS, mediated=study.roles.mediator is not None)
        },
    }
    kept = tuple(p for p in plan.priors if p.term in kinds.get(p.component, ()))
    equal = replace(plan, learner=HOMOGENEOUS, stack_with=(), priors=kept)
    return homogeneous_null(refit_plan(study, equal, seed=seed, **size))


def _thinned(component: FittedComponent) -> FittedComponent:
    """Keep some draws: the null travels to other processes with every replication."""
    sizes = component.posterior.sizes
    kept = np.linspace(0, sizes["draw"] - 1, min(sizes["draw"], KEPT_DRAWS)).astype(int)
    return component.keep_draws(np.tile(kept, (sizes["chain"], 1)))


def _draw(
    component: FittedComponent,
    eta: np.ndarray,
    chosen: dict[str, int],
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw the column of a component at linear predictors, under one draw, shape (unit,)."""
    noise = {
        name: np.asarray(values)[chosen["chain"], chosen["draw"]]
        for name, values in component.noise().items()
    }
    return component.family.draw(rng, np.asarray(eta)[chosen["chain"], chosen["draw"]], noise)
