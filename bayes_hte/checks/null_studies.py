"""Studies in which effects are equal, and the fits that are repeated on them.

The models give two things to the null distribution of the subgroup rule
(:mod:`bayes_hte.subgroups.nulls.distribution`): posterior-predictive studies, from a fit without
effect modification, and draws of an effect of any study, from a plan.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import xarray as xr

from bayes_hte.checks.altered_studies import with_placebo_treatment
from bayes_hte.checks.refitting import check_n_jobs, refit_plan
from bayes_hte.companions.restricted_means import restricted_means
from bayes_hte.components.learners import learner_terms
from bayes_hte.effects.arguments import check_number
from bayes_hte.errors import SpecError, UnsupportedError, unknown_name
from bayes_hte.names import SAMPLE
from bayes_hte.seeds import check_seed
from bayes_hte.study.frames import with_columns
from bayes_hte.study.study import Study
from bayes_hte.subgroups.finding.discovery import subgroups_of_draws
from bayes_hte.subgroups.honest.halves import honest_m_learner
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
EffectName = Literal["te", "tnie"]
HOMOGENEOUS, PERMUTATION = "homogeneous", "permutation"
VARIANTS = {
    HOMOGENEOUS: "new outcomes under an effect that is the same for everybody",
    PERMUTATION: "the treatment shuffled, so that nobody has an effect",
}
SIZE = {"draws": 250, "tune": 250, "chains": 2}  # of each full fit
KEPT_DRAWS = 50  # of each chain
# Saved replications are known by this text, so it must stay as it is.
STAND_IN = "stand-in (Gaussian processes in closed form)"


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

        study.check_one_mediator("a posterior-predictive study under equal effects")
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
    """Return a source of studies under an effect that is the same for everybody.

    Parameters
    ----------
    fit : Fit
        The study fitted with learner ``"homogeneous"``.

    Returns
    -------
    PredictiveNull
        A callable (Study, Generator) -> Study. The effect is equal on the link scale: with a
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
    """Return a function that fits a plan to a study and draws an effect of its units.

    Parameters
    ----------
    plan : Plan
        The plan that is fitted.
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
    effect: EffectName,
    *,
    seed: int,
    estimator: Estimator = "surrogate",
    plan: Plan | None = None,
    size: dict[str, int] | None = None,
    variants: Iterable[str] = tuple(VARIANTS),
    rule: Rule = "honest",
    replications: int = 200,
    n_jobs: int = 1,
    folder: Path | str | None = None,
    progress: bool = False,
    **options: Any,
) -> NullDistribution:
    """Find how often subgroups as clear as those of a study come out where effects are equal.

    Parameters
    ----------
    study : Study
        The study in question.
    effect : {"te", "tnie"}
        Total, or indirect effect.
    seed : int
        See :func:`~bayes_hte.subgroups.nulls.distribution.null_distribution`.
    estimator : {"surrogate", "full"}
        The model that is refitted: a stand-in, Gaussian processes in closed form (a second or two
        per study of 1,000 units), or the plan itself (as long as two fits of half the study).
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
        If an option is unknown or out of range, or the full model is asked for without its plan.

    Examples
    --------
    >>> import numpy as np
    >>> import bayes_hte as hte
    >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
    >>> study = hte.Study.from_frame(frame, outcome="y", treatment="treat", covariates=["x1", "x2"])
    >>> few = {"replications": 2, "alpha": 0.4, "rule": "in_sample", "largest_k": 2}
    >>> found = hte.calibrate_subgroups(study, "te", seed=1, variants=["permutation"], **few)
    >>> found.replications.index.tolist()
    [('permutation', 0), ('permutation', 1)]
    """
    _check_request(study, effect, estimator, plan)
    study = study.with_outcome()
    if study.event is not None:
        if estimator == "full":
            raise UnsupportedError(
                "subgroups of times to an event are tried on studies with equal effects by the "
                "stand-in alone, on pseudo-observations of the restricted mean; leave "
                "estimator='full' out."
            )
        study = restricted_means(study, None if plan is None else plan.scale(study))
    check_seed(seed)
    check_n_jobs(n_jobs)
    allowed = "a whole number, at least 1"
    check_number("replications", replications, allowed, lambda n: n >= 1, whole=True)
    _check_options(options, rule)
    wanted, sampling = _variants(variants), _sampling(size)
    folder = None if folder is None else Path(folder)
    makers: dict[str, Callable[[], Null]] = {
        HOMOGENEOUS: lambda: _homogeneous(study, estimator, plan, seed, sampling),
        PERMUTATION: lambda: with_placebo_treatment,
    }
    if estimator == "full":
        refit = model_refit(plan, effect, **sampling)
        name = f"full model (learner {plan.learner!r}, surface {plan.surface!r}; {sampling})"
    else:
        refit, name = stand_in_refit(effect), STAND_IN
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


def _check_request(study: object, effect: str, estimator: str, plan: object) -> None:
    if not isinstance(study, Study):
        raise SpecError(f"study must be a Study, got {type(study).__name__}; of a fit, fit.study.")
    study.check_two_arms("the null distribution of subgroups")
    if effect not in get_args(EffectName):
        raise unknown_name("effect", effect, get_args(EffectName))
    if estimator not in get_args(Estimator):
        raise unknown_name("estimator", estimator, get_args(Estimator))
    if estimator == "full":
        from bayes_hte.fitting.plan import Plan

        if not isinstance(plan, Plan):
            raise SpecError(
                f"estimator 'full' refits a plan, got {type(plan).__name__}; pass plan=fit.plan."
            )


def _check_options(options: Mapping[str, Any], rule: str) -> None:
    """Raise unless the search, or the null distribution, takes these options."""
    search = honest_m_learner if rule == "honest" else subgroups_of_draws
    known = {
        name
        for taken_by in (null_distribution, search)
        for name, parameter in inspect.signature(taken_by).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    } - {"refit", "nulls", "fit_half", "fit_subgroups"}
    for name in options:
        if name not in known:
            raise unknown_name("option", name, known)


def _variants(variants: object) -> tuple[str, ...]:
    if isinstance(variants, str) or not isinstance(variants, Iterable):
        raise SpecError(
            f"variants must be a list of {', '.join(VARIANTS)}, got {variants!r}; write "
            f"[{HOMOGENEOUS!r}]."
        )
    wanted = tuple(variants)
    for name in wanted:
        if name not in VARIANTS:
            raise unknown_name("variant", name, VARIANTS)
    return wanted


def _sampling(size: object) -> dict[str, int]:
    """Return the size of a full fit with what the user has said of it."""
    given = {} if size is None else size
    if not isinstance(given, Mapping):
        raise SpecError(f"size must be a dictionary of {', '.join(SIZE)}, got {size!r}.")
    for name in given:
        if name not in SIZE:
            raise unknown_name("key of size", name, SIZE)
    return SIZE | dict(given)


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
