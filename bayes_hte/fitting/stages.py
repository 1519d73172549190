"""Fit a study: propensity, mediator, outcome in order, and what a learner adds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from bayes_hte.components.component import Component
from bayes_hte.components.effect import build_effect, imputed_effects
from bayes_hte.components.fitted import FittedComponent
from bayes_hte.components.hazard import HazardModel, build_hazard
from bayes_hte.components.mediator import build_mediator
from bayes_hte.components.numbered import (
    EFFECT,
    PROPENSITY,
    kind_and_arm,
    mediator_roles,
    names_of,
    rows_of_role,
)
from bayes_hte.components.outcome import build_outcome
from bayes_hte.components.propensity import build_propensity
from bayes_hte.components.stacked import stack_candidates
from bayes_hte.errors import DataError, UnhealthySamplingWarning, warn
from bayes_hte.fitting.at_rows import AnyComponent, propensity_covariate
from bayes_hte.fitting.doubts import GAUSSIAN, warn_of_families
from bayes_hte.fitting.expected_mediator import expected_unseen
from bayes_hte.fitting.fitted import Fit, health_note
from bayes_hte.fitting.imputing import imputed_studies
from bayes_hte.fitting.plan import Plan, check_plan
from bayes_hte.fitting.pooled import PooledFit
from bayes_hte.fitting.sampling import SamplerSize, sample_component
from bayes_hte.fitting.times import HAZARD
from bayes_hte.names import ARM, UNIT
from bayes_hte.seeds import check_seed, new_seed, stage_seed
from bayes_hte.study.design import Design
from bayes_hte.study.spec import PriorSpec
from bayes_hte.study.study import Study
from bayes_hte.study.time_to_event import EstimandName

Sampler = Callable[[Component], FittedComponent]
# With the model of the first mediator as `first` if the expectation of the second is asked for.
Expectation = Callable[..., np.ndarray]


def stages(study: Study, plan: Plan) -> tuple[str, ...]:
    """Return the components of a study in the order they are fitted."""
    mediator = mediator_roles(len(study.roles.mediators))
    n_arms = len(study.arms)
    effect = names_of(EFFECT, n_arms) if plan.second_stage else ()
    return (*names_of(PROPENSITY, n_arms), *mediator, "outcome", *effect)


def fit_stage(
    stage: str,
    study: Study,
    plan: Plan,
    done: Mapping[str, AnyComponent],
    sample: Sampler,
    *,
    expect: Expectation = expected_unseen,
) -> AnyComponent:
    """Fit one component, given those before it.

    Parameters
    ----------
    stage : {"propensity", "mediator", "outcome", "effect"}
        Name of the component; see :mod:`bayes_hte.components.numbered` for more than two arms and
        two mediators.
    study : Study
        The data.
    plan : Plan
        The models.
    done : mapping of str to FittedComponent
        The stages before it.
    sample : callable
        Turns a component into draws; see :func:`posterior_sampler`.
    expect : callable
        Returns the expectation of each unit's mediator, given the mediator model and the study.

    Returns
    -------
    FittedComponent, or StackedComponent for an outcome with several candidates
    """
    if stage == "outcome" and plan.family == HAZARD:
        model = hazard_model(study, plan, done)
        return model.fitted(map(sample, model.components))
    if stage != "outcome" or not plan.stack_with:
        return sample(build_stage(stage, study, plan, done, expect=expect))
    candidates, scores = {}, {}
    for label, candidate in plan.candidates().items():
        component = build_stage(stage, study, candidate, done, expect=expect)
        fitted = sample(component)
        fit = Fit(study, candidate, 0, {**done, "outcome": fitted})
        candidates[label], scores[label] = fitted, fit.log_likelihood().to_numpy()
    return stack_candidates(candidates, scores)


def build_stage(
    stage: str,
    study: Study,
    plan: Plan,
    done: Mapping[str, AnyComponent],
    *,
    expect: Expectation = expected_unseen,
) -> Component:
    """Build one component without sampling it; see :func:`fit_stage`."""
    kind, arm = kind_and_arm(stage)
    if kind == PROPENSITY:
        design, surface = Design.learn(study), plan.propensity_surface
        return build_propensity(study, design, role=stage, surface=surface, priors=plan.priors)
    if stage == "outcome" and plan.family == HAZARD:
        return hazard_model(study, plan, done).components[0]
    propensity, mediators = None, mediator_roles(len(study.roles.mediators))
    if plan.propensity_covariate:
        propensity = propensity_covariate(done)
    seen = mediators if stage == "outcome" else mediators[: _position(stage, mediators)]
    expected = _expectations([done[role] for role in seen], study, expect)
    design = Design.learn(study, propensity=propensity, expected_mediator=expected)
    if kind == EFFECT:
        rows, theirs = rows_of_role(stage, design), np.isin(study.arm_index(), [0, arm])
        mu = done["outcome"].mean().isel({UNIT: theirs, ARM: [0, arm]})
        imputed = imputed_effects(mu, study.outcome()[theirs], rows.arm)
        how = {"surface": plan.surface, "priors": plan.priors}
        return build_effect(rows, imputed, role=stage, known=study.known_outcome()[theirs], **how)
    shared = {name: getattr(plan, name) for name in ("learner", "means_by", "ordered", "priors")}
    if stage in mediators:
        family, surface = plan.mediator_models(len(mediators))[mediators.index(stage)]
        how = {"role": stage, "family": family, "surface": surface}
        return build_mediator(study, design, **how, **shared)
    family, surface = plan.family, plan.surface
    own = {"noise": plan.noise, "mediator_shape": plan.mediator_shape}
    return build_outcome(study, design, family=family, surface=surface, **own, **shared)


def hazard_model(study: Study, plan: Plan, done: Mapping[str, AnyComponent]) -> HazardModel:
    """Build the outcome model of family ``piecewise_hazard``; see :func:`build_stage`."""
    propensity = propensity_covariate(done) if plan.propensity_covariate else None
    names = ("learner", "surface", "means_by", "ordered", "priors")
    return build_hazard(study, propensity=propensity, **{n: getattr(plan, n) for n in names})


def _position(stage: str, mediators: tuple[str, ...]) -> int:
    """Return how many mediators are modelled before a stage that is not the outcome's."""
    return mediators.index(stage) if stage in mediators else 0


def _expectations(
    mediators: Sequence[FittedComponent], study: Study, expect: Expectation
) -> np.ndarray | None:
    """Return the expected mediators of each unit, shape (unit,) or (unit, mediator)."""
    if not mediators:
        return None
    first = expect(mediators[0], study)
    if len(mediators) == 1:
        return first
    return np.column_stack([first, expect(mediators[1], study, first=mediators[0])])


def posterior_sampler(*, seed: int, size: SamplerSize) -> Sampler:
    """Return the function that samples a component's posterior with a seed and a size."""
    return lambda component: sample_component(component, seed=seed, size=size)


def fit_plan(study: Study, plan: Plan, *, seed: int, sample: Sampler) -> Fit:
    """Fit every stage of a plan.

    Parameters
    ----------
    study : Study
        The data.
    plan : Plan
        The models; checked before anything is sampled.
    seed : int
        The user's seed, kept in the result.
    sample : callable
        See :func:`posterior_sampler`.

    Returns
    -------
    Fit
    """
    check_plan(study, plan)
    if is_imputed(study):
        parts = imputed_studies(study, seed=seed)
        fits = tuple(_fit_stages(part, plan, seed, sample) for part in parts)
        return PooledFit.of(study, fits, seed=seed)
    return _fit_stages(study, plan, seed, sample)


def is_imputed(study: Study) -> bool:
    """Whether a study is fitted once for each of several imputed frames."""
    return study.missing == "impute" and bool(study.gaps)


def _fit_stages(study: Study, plan: Plan, seed: int, sample: Sampler) -> Fit:
    done: dict[str, AnyComponent] = {}
    for stage in stages(study, plan):
        done[stage] = fit_stage(stage, study, plan, done, sample)
    return Fit(study=study, plan=plan, seed=seed, components=done)


def fit(
    study: Study,
    *,
    learner: str = "hierarchical",
    surface: str = "forest",
    stack_with: Iterable[str] | None = None,
    family: str = GAUSSIAN,
    noise: str = "constant",
    mediator_family: str | Mapping[str, str] = GAUSSIAN,
    mediator_shape: str = "linear",
    propensity_covariate: bool = True,
    means_by: str | None = None,
    ordered: bool = False,
    priors: Iterable[PriorSpec] = (),
    horizon: float | None = None,
    estimand: EstimandName | None = None,
    seed: int | None = None,
    draws: int = 500,
    tune: int = 300,
    chains: int = 4,
    cores: int | None = None,
    progress: bool = True,
) -> Fit:
    """Fit propensity, mediator (if any) and outcome models of a study.

    Parameters
    ----------
    study : Study
        The data and roles.
    learner : {"hierarchical", "prognostic_effect", "t", "s", "x", "homogeneous"}
        How functions of covariates are combined; see :mod:`bayes_hte.components.learners`.
    surface : {"forest", "gp", "additive", "linear"}
        Form of the functions, in every component (of the propensity a forest where this is
        ``"gp"``, which takes gaussian columns only).
    stack_with : iterable of str
        Other candidates for the outcome, each a surface (``"gp"``) or a learner on a surface
        (``"t/linear"``); the candidates are mixed by stacking weights. Default none. A Gaussian
        process beside forests is worth its minutes where effects bend smoothly.
    family : {"gaussian", "student_t", "bernoulli", "poisson", "negative_binomial", ...}
        Distribution of the outcome; ``"bounded(1, 5)"`` for a scale from 1 to 5 on which values
        pile up at an end (a mean of items, a percentage); of times to an event ``"lognormal"``,
        ``"loglogistic"``, ``"log_student_t"`` or ``"weibull"``, or ``"piecewise_hazard"``, which
        assumes no form of the hazard (survival curves may cross), takes events of several causes,
        and has no mediators, clusters or stacked candidates. ``"binomial"``, ``"binary"``,
        ``"logistic"``, ``"normal"`` and ``"count"`` are understood. Say ``"gaussian"`` to keep it,
        without a warning, for an outcome of two values or a count.
    noise : {"constant", "by_arm", "varying"}
        Whether the noise scale of the outcome differs between arms, or with covariates too.
    mediator_family : str
        Distribution of the mediator, named as `family`; of two mediators (or a mediator and a
        confounder that the treatment changes) one for both, or a mapping from each to its own,
        which may be gaussian, bernoulli, poisson or on a bounded scale.
    mediator_shape : {"linear", "spline"}
        Whether the outcome, on the scale of its link, is a straight line in its one mediator, or
        may bend in it: a natural cubic spline whose coefficients differ between arms and vary with
        covariates, shrunk towards the line (not with a log link or surface ``"gp"``). Where the
        check of linearity refutes the line, fit both, and compare their predictions of left-out
        outcomes: ``az.compare({"linear": line.posterior, "spline": bent.posterior})``.
    propensity_covariate : bool, default True
        Whether the estimated propensity is a covariate of the shared part.
    means_by : str, optional
        A covariate that divides the units into subgroups named beforehand (at most 12 levels).
        Each level gets a mean and a linear trend of its own in each arm, and a mean slope of the
        mediator, in place of one for all units, so that differences between levels are not shrunk
        towards 0. (On surface ``"gp"`` there are no trends.)
    ordered : bool, default False
        Whether the arms are in an order, such as doses, in which neighbours are alike: each arm
        then differs from the one before it by a step, and neighbours are shrunk together. Learners
        ``"hierarchical"``, ``"prognostic_effect"`` and ``"homogeneous"`` have such steps.
    priors : iterable of PriorSpec
        Changes to the default priors, each with its reason.
    horizon : float, optional
        Of times to an event: the time, in the unit of the outcome, to which mean survival is
        restricted. Default: the latest at which each arm has a tenth of its units at risk.
    estimand : {"rmst", "survival", "cumulative_incidence"}, optional
        Of times to an event: the scale of effects unless a method is asked for another, the
        restricted mean to the horizon (the default), or the probability at the horizon of
        surviving, or of an event of the cause of interest.
    seed : int, optional
        Same seed, same draws, on any number of cores. By default one is drawn, and kept in the
        result.
    draws, tune : int
        Kept draws and tuning iterations of each chain.
    chains : int
        Chains; with fewer than two, convergence cannot be judged.
    cores : int, optional
        Chains that run at the same time; default as many as the machine has cores, at most four.
    progress : bool, default True
        Whether to show progress bars.

    Returns
    -------
    Fit

    Raises
    ------
    DataError
        If a column does not suit its family, or arm and covariates determine the mediator.
    SpecError
        If an option is unknown or out of its range, or a combination is not supported.
    SamplingError
        If the draws cannot be used at all.

    Warns
    -----
    UnhealthySamplingWarning
        If the chains disagree or moved too little, with the reason.
    DoubtfulOptionWarning
        If a family was left at gaussian where another one suits the column better.

    Examples
    --------
    >>> import numpy as np
    >>> import bayes_hte as hte
    >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
    >>> roles = {"outcome": "y", "treatment": "treat", "mediator": "m"}
    >>> study = hte.Study.from_frame(frame, **roles, covariates=["x1", "x2", "x3"])
    >>> fit = hte.fit(study, seed=1, draws=20, tune=20, chains=2, progress=False)
    >>> fit.cate().dims
    ('chain', 'draw', 'unit')
    """
    if not isinstance(study, Study):
        raise DataError(f"fit takes a Study, got {type(study).__name__}; see Study.from_frame.")
    seed = new_seed() if seed is None else check_seed(seed)
    size = SamplerSize(chains, draws, tune, cores, progress)
    plan = Plan.of(
        study,
        learner=learner,
        surface=surface,
        stack_with=stack_with,
        family=family,
        noise=noise,
        mediator_family=mediator_family,
        mediator_shape=mediator_shape,
        propensity_covariate=propensity_covariate,
        means_by=means_by,
        ordered=ordered,
        priors=priors,
        horizon=horizon,
        estimand=estimand,
    )
    families = {"outcome": family, "mediator": mediator_family}
    stated = [role for role, name in families.items() if name is not GAUSSIAN]
    check_plan(study, plan)
    warn_of_families(study, plan, stated=stated)
    if is_imputed(study):
        fitted = _fit_imputed(study, plan, seed, size)
    else:
        fitted = _fit_stages(study, plan, seed, posterior_sampler(seed=seed, size=size))
    warn_if_unhealthy(fitted)
    return fitted


def _fit_imputed(study: Study, plan: Plan, seed: int, size: SamplerSize) -> Fit:
    """Fit every imputed frame with a seed of its own, and pool the draws."""
    fits = []
    for i, part in enumerate(imputed_studies(study, seed=seed)):
        own = stage_seed(seed, f"imputation {i}")
        fits.append(_fit_stages(part, plan, own, posterior_sampler(seed=own, size=size)))
    return PooledFit.of(study, tuple(fits), seed=seed)


def warn_if_unhealthy(fit: Fit) -> None:
    """Warn if the draws of a fit fail the check of sampling health.

    Warns
    -----
    UnhealthySamplingWarning
    """
    note = health_note(fit.health())
    if note:
        warn(
            f"the sampling of this fit is not healthy, so its effects must not be used. {note}",
            UnhealthySamplingWarning,
        )
