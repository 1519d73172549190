"""The models of a study, checked before anything is sampled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, get_args

import pandas as pd

from bayes_hte.components.learners import EFFECT_TERMS, get_learner, learner_terms
from bayes_hte.errors import SpecError, UnsupportedError, unknown_name
from bayes_hte.study.spec import PriorSpec, Spec, TimeFamilyName, bounded_limits, family_called
from bayes_hte.study.study import Study
from bayes_hte.study.time_to_event import (
    Estimand,
    EstimandName,
    check_horizon,
    default_horizon,
)
from bayes_hte.surfaces.terms import FOREST, GP, Term

# The family that has a model of each interval of time.
HAZARD = "piecewise_hazard"
# Levels whose means may each be a term of their own.
MOST_LEVELS = 12
# Families of two mediators, besides bounded scales.
OF_TWO = ("gaussian", "bernoulli", "poisson")


@dataclass(frozen=True)
class Plan:
    """The models of a study: every option of :func:`bayes_hte.fit` but the sampling.

    Attributes
    ----------
    learner : str
        See :mod:`bayes_hte.components.learners`.
    surface, mediator_surface, propensity_surface : str
        See :mod:`bayes_hte.surfaces.registry`.
    stack_with : tuple of str
        Further candidates for the outcome: ``"surface"`` or ``"learner/surface"``.
    family, mediator_family : str
        See :mod:`bayes_hte.components.families`. Of two mediators the family and the surface may be
        tuples, with one for each.
    noise : str
        Noise scale of the outcome; see :mod:`bayes_hte.components.noise`.
    propensity_covariate : bool
        Whether the posterior-mean propensity is a covariate of the shared part.
    means_by : str or None
        A covariate whose levels each have a mean and a linear trend of their own in each arm, and a
        mean slope of the mediator: differences between its levels are not shrunk.
    priors : tuple of PriorSpec
        Changes to the default priors.
    ordered : bool
        Whether the arms are in an order, such as doses: neighbours are then shrunk together.
    horizon : float or None
        Time to which mean survival is restricted, of a study of times to an event; None, the latest
        at which each arm of the study that is fitted has a tenth of its units at risk.
    estimand : {"rmst", "survival", "cumulative_incidence"} or None
        Scale of effects on times to an event, at the horizon, unless another is asked for; None,
        the restricted mean.
    mediator_shape : {"linear", "spline"}
        Whether the outcome is a straight line in its mediator, or may bend in it.

    Examples
    --------
    >>> import bayes_hte as hte
    >>> plan = hte.Plan(learner="t", surface="linear", stack_with=("forest",))
    >>> list(plan.candidates())
    ['linear', 'forest']
    """

    learner: str = "hierarchical"
    surface: str = "forest"
    stack_with: tuple[str, ...] = ()
    family: str = "gaussian"
    noise: str = "constant"
    mediator_family: str | tuple[str, ...] = "gaussian"
    mediator_surface: str | tuple[str, ...] = "forest"
    propensity_surface: str = "forest"
    propensity_covariate: bool = True
    means_by: str | None = None
    priors: tuple[PriorSpec, ...] = ()
    ordered: bool = False
    horizon: float | None = None
    estimand: EstimandName | None = None
    mediator_shape: str = "linear"

    def __post_init__(self) -> None:
        object.__setattr__(self, "family", family_called(self.family))
        given = self.mediator_family
        known = family_called(given) if isinstance(given, str) else tuple(map(family_called, given))
        object.__setattr__(self, "mediator_family", known)

    @classmethod
    def of(
        cls,
        study: Study,
        *,
        surface: str = FOREST,
        stack_with: Iterable[str] | None = None,
        priors: Iterable[PriorSpec] = (),
        **models: Any,
    ) -> Self:
        """Complete the options of :func:`bayes_hte.fit` to a plan.

        Parameters
        ----------
        study : Study
            The data, which decide the default horizon and name the mediators.
        surface : str
            Form of the functions in every component (of the propensity a forest where this is
            ``"gp"``, which takes gaussian columns only).
        stack_with : iterable of str, optional
            Further candidates; default none.
        priors, **models
            The other attributes, by name.

        Returns
        -------
        Plan
            Not checked yet; ``check_plan`` does that.

        Raises
        ------
        SpecError
            If `stack_with` or `priors` is not a list, or a mapping of families is not one of the
            study's mediators.
        """
        families = models.get("mediator_family")
        if isinstance(families, Mapping):
            models["mediator_family"] = _of_each(families, study.roles.mediators)
        plan = cls(
            surface=surface,
            mediator_surface=surface,
            propensity_surface=FOREST if surface == GP else surface,
            stack_with=_listed("stack_with", () if stack_with is None else stack_with, str),
            priors=_listed("priors", priors, PriorSpec),
            **models,
        )
        if study.event is not None:
            plan = replace(plan, horizon=settled_horizon(study, plan.horizon))
        return plan

    @classmethod
    def from_spec(cls, spec: Spec) -> Plan:
        """Read the plan from a study file.

        Parameters
        ----------
        spec : Spec
            What the file declares.

        Returns
        -------
        Plan
            Not checked against data yet; ``check_plan`` does that.
        """
        mediator = {}
        if spec.mediator is not None:
            own = [spec.mediator.of(name) for name in spec.roles.mediators]
            families, surfaces = (tuple(getattr(m, k) for m in own) for k in ("family", "surface"))
            mediator = {
                "mediator_family": families if len(own) > 1 else families[0],
                "mediator_surface": surfaces if len(own) > 1 else surfaces[0],
            }
        return cls(
            learner=spec.learner.name,
            surface=spec.outcome.surface,
            stack_with=spec.outcome.stack_with,
            family=spec.outcome.family,
            noise=spec.outcome.noise,
            propensity_surface=spec.propensity.surface,
            propensity_covariate=spec.propensity.as_covariate,
            priors=spec.prior,
            ordered=spec.roles.ordered,
            horizon=spec.outcome.horizon,
            estimand=None if spec.estimand == "rmst" else spec.estimand,
            mediator_shape=spec.outcome.mediator_shape,
            **mediator,
        )

    def scale(self, study: Study) -> Estimand | None:
        """Return the scale of effects on times to an event; None for another outcome.

        Parameters
        ----------
        study : Study
            The data, whose default horizon counts where the plan has none.

        Returns
        -------
        Estimand or None
        """
        if study.event is None:
            return None
        at = self.horizon or study_horizon(study)
        return Estimand.about(self.estimand or "rmst", at, causes=study.causes)

    def mediator_models(self, number: int) -> list[tuple[str, str]]:
        """Return family and surface of each of so many mediators.

        Parameters
        ----------
        number : int
            Mediators of the study.

        Returns
        -------
        list of (str, str)
            In the order of the mediators.

        Raises
        ------
        SpecError
            If there are as many neither of families nor of surfaces.
        """
        options = {"mediator_family": self.mediator_family, "surface": self.mediator_surface}
        for option, given in options.items():
            if not isinstance(given, str) and len(given) != number:
                raise SpecError(
                    f"{option} names {len(given)} for {number} mediators; give one for all, or one "
                    "for each."
                )
        each = [(v,) * number if isinstance(v, str) else v for v in options.values()]
        return list(zip(*each, strict=True))

    @property
    def second_stage(self) -> bool:
        """Whether the effect has a model of its own, fitted after the outcome."""
        return get_learner(self.learner).second_stage

    def first_stage(self) -> Plan:
        """Return the plan without its second stage; itself if there is none."""
        return replace(self, learner=get_learner(self.learner).first_stage or self.learner)

    def check_has_prior(self) -> None:
        """Refuse plans of which effects have no prior.

        Raises
        ------
        UnsupportedError
            For stacked candidates, which have a prior each, and for learners with a second stage.
        """
        if self.second_stage or self.stack_with:
            what = "a mixture of candidates" if self.stack_with else f"learner {self.learner!r}"
            raise UnsupportedError(
                f"{what} has no prior of its own; look at one candidate, or at learner "
                f"{self.first_stage().learner!r}, at a time."
            )

    def candidates(self) -> dict[str, Plan]:
        """Return one plan per candidate of the outcome, by label, the main one first.

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
        The models.

    Raises
    ------
    DataError
        If a column does not suit its family, or the mediator has no variation of its own.
    SpecError
        If an option is unknown or a combination is not supported.
    """
    # Here, because a plan is also what a finished run is compared with, which needs no PyMC.
    from bayes_hte.components.component import check_column
    from bayes_hte.fitting.own_variation import check_mediator_varies
    from bayes_hte.fitting.shape import check_shape

    mediated, clustered = len(study.roles.mediators), study.roles.cluster is not None
    _check_times(study, plan)
    _check_priors(plan, mediated=mediated)
    if plan.means_by is not None:
        _check_levels(study, plan.means_by)
    if study.gaps and study.missing == "splits":
        _check_split_on_gaps(study, plan, mediated=mediated)
    for candidate in plan.candidates().values():
        _check_candidate(
            candidate, mediated=mediated, stacked=bool(plan.stack_with), clustered=clustered
        )
        check_column(
            study.recorded_outcome(),
            "outcome",
            family=plan.family,
            surface=candidate.surface,
            noise=plan.noise,
        )
    if plan.propensity_surface == GP:
        _check_gp("bernoulli", "constant", "propensity", clustered=False)
    if mediated:
        for name, (family, surface) in zip(
            study.roles.mediators, plan.mediator_models(mediated), strict=True
        ):
            role = "mediator" if mediated == 1 else f"mediator {name!r}"
            if surface == GP:
                _check_gp(family, "constant", role, clustered=clustered)
            check_column(study.recorded(name), role, family=family, surface=surface)
        if mediated > 1:
            _check_two_mediators(plan)
        check_mediator_varies(study)
    check_shape(study, plan)


def settled(spec: Spec, study: Study) -> Spec:
    """Return a study file with what its data decide: the horizon of times to an event."""
    if study.event is None:
        return spec
    horizon = settled_horizon(study, spec.outcome.horizon)
    return replace(spec, outcome=replace(spec.outcome, horizon=horizon))


def scale_of_times(spec: Spec, study: Study) -> Estimand | None:
    """Return the scale that a study file declares for effects; None unless of times to an event.

    Parameters
    ----------
    spec : Spec
        The study file; without a horizon that of the study is taken.
    study : Study
        Its data.

    Returns
    -------
    Estimand or None
    """
    return Plan.from_spec(spec).scale(study)


def study_horizon(study: Study) -> float:
    """Return the default horizon of a study; see `default_horizon`."""
    return default_horizon(study.outcome(), study.event, study.arm_index(), study.entry)


def settled_horizon(study: Study, horizon: float | None) -> float:
    """Return the horizon of a study of times to an event: the one that is given, or the default.

    Raises
    ------
    SpecError
        If it is no positive number.
    DataError
        If it lies beyond the follow-up of an arm.
    """
    if horizon is None:
        return study_horizon(study)
    check_horizon(horizon, study.outcome(), study.arm_index(), study.arms)
    return float(horizon)


def _check_times(study: Study, plan: Plan) -> None:
    """Check that families of times to an event and the study go together.

    Raises
    ------
    SpecError
        If the study has events and the family is of another kind, the other way around, or the
        mediator is a time to an event.
    UnsupportedError
        If the family or the learner cannot use censored times, or late entries.
    """
    from bayes_hte.components.families import get_family

    family = get_family(plan.family)
    names = ", ".join(get_args(TimeFamilyName))
    for name, _ in plan.mediator_models(max(len(study.roles.mediators), 1)):
        if not get_family(name).times:
            continue
        raise SpecError(
            f"mediator_family={name!r} is for times to an event, which may be "
            "censored; a mediator is a measured quantity. Use 'gaussian', perhaps of its logarithm."
        )
    if family.times and study.event is None:
        raise SpecError(
            f"family={plan.family!r} is for times to an event, and the study does not say whether "
            "the event was seen: pass event=<column> to Study.from_frame (in a study file under "
            "[roles]), a column of ones if it was seen in every unit."
        )
    if not family.times and study.event is not None:
        raise SpecError(
            f"the outcome {study.roles.outcome!r} is a time to an event (event="
            f"{study.roles.event!r}), and family={plan.family!r} would take censored times for "
            f"events. Use one of {names}."
        )
    if not family.times:
        if plan.horizon is not None or plan.estimand is not None:
            option = "estimand" if plan.horizon is None else "horizon"
            raise SpecError(
                f"{option} is for times to an event, and the study has none; leave it out, or "
                "build the study with event=<column>."
            )
        return
    if plan.estimand is not None:
        Estimand.about(plan.estimand, 1.0, causes=study.causes)
    if plan.second_stage:
        raise UnsupportedError(
            f"learner {plan.learner!r} imputes effects from observed outcomes, and a censored one "
            f"is not observed; use learner={plan.first_stage().learner!r}, its first stage, or "
            "'hierarchical'."
        )
    if study.causes and plan.family != HAZARD:
        raise UnsupportedError(
            f"events have the causes {', '.join(map(repr, study.causes))}, and family="
            f"{plan.family!r} has one law for all times: it would take an event of another cause "
            f"for the end of observation, or all events for one. Use family={HAZARD!r}, which has "
            "a hazard for each cause."
        )
    if plan.family == HAZARD:
        if study.roles.upper is not None:
            raise UnsupportedError(
                "family 'piecewise_hazard' needs to know in which of its intervals of time each "
                f"event came, and upper={study.roles.upper!r} gives each unit an interval of its "
                "own; use family 'lognormal', 'loglogistic', 'log_student_t' or 'weibull'."
            )
        _check_hazard(study, plan)
    family.given(study.censoring()).check(study.recorded_outcome(), "outcome")


def _check_hazard(study: Study, plan: Plan) -> None:
    """Refuse what a model of intervals of time does not do.

    Raises
    ------
    UnsupportedError
        For mediators, clusters and stacked candidates.
    """
    aft = "'lognormal', 'loglogistic', 'log_student_t' or 'weibull'"
    refused = {
        "a mediator": study.roles.mediator is not None,
        f"the clusters of {study.roles.cluster!r}": study.roles.cluster is not None,
        "stacked candidates (stack_with)": bool(plan.stack_with),
    }
    for what, asked in refused.items():
        if asked:
            raise UnsupportedError(
                f"family 'piecewise_hazard' does not do {what}; leave that out, or use family "
                f"{aft}, which do."
            )
    if plan.surface == GP:
        raise UnsupportedError(
            "family 'piecewise_hazard' models whether the event comes in each interval of time, "
            "and surface 'gp' takes gaussian columns only; use surface='forest', 'additive' or "
            "'linear'."
        )


def _listed[T](option: str, values: Iterable[T], kind: type[T]) -> tuple[T, ...]:
    """Return the values of an option that takes several.

    Raises
    ------
    SpecError
        If they are not a list, or one is of another type.
    """
    one = isinstance(values, str | PriorSpec)
    if one or not isinstance(values, Iterable) or isinstance(values, dict):
        hint = f"write [{values!r}]" if one else f"give a list of {kind.__name__}"
        raise SpecError(f"{option} must be a list, got {values!r}; {hint}.")
    found = tuple(values)
    for value in found:
        if not isinstance(value, kind):
            raise SpecError(f"{option} must hold {kind.__name__} objects only, got {value!r}.")
    return found


def _check_split_on_gaps(study: Study, plan: Plan, *, mediated: int) -> None:
    """Refuse surfaces that cannot split on missingness.

    The propensity may have any: it has a mean and an indicator for missing values instead.

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


def _check_levels(study: Study, column: str) -> None:
    """Refuse means of levels that the data cannot estimate.

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


def _check_gp(family: str, noise: str, role: str, *, clustered: bool) -> None:
    """Refuse Gaussian processes whose weights cannot be integrated out.

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


def _check_candidate(plan: Plan, *, mediated: int, stacked: bool, clustered: bool) -> None:
    """Refuse learners and surfaces that do not go together."""
    shape = {"means_by": plan.means_by, "ordered": plan.ordered}
    learner_terms(plan.learner, mediated=mediated, **shape)
    if plan.learner == "s" and plan.surface == "additive":
        raise UnsupportedError(
            "learner 's' on surface 'additive' is not supported: every curve would have to be its "
            "own in each arm; use learner='t' (a curve for each arm) or 'hierarchical', or "
            "surface='linear'."
        )
    if plan.surface == GP:
        _check_gp(plan.family, plan.noise, "outcome", clustered=clustered)
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


def _check_two_mediators(plan: Plan) -> None:
    """Refuse families of two mediators whose joint effect has no expectation that is worked out."""
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


def _of_each(families: Mapping[str, str], mediators: tuple[str, ...]) -> tuple[str, ...] | str:
    """Return the families of a mapping in the order of the mediators."""
    for name in families:
        if name not in mediators:
            raise unknown_name("mediator in mediator_family", name, mediators)
    missing = [name for name in mediators if name not in families]
    if missing:
        raise SpecError(
            f"mediator_family names no family for {', '.join(map(repr, missing))}; name one for "
            "each mediator, or give one for all as text."
        )
    found = tuple(families[name] for name in mediators)
    return found if len(found) > 1 else found[0]


def _check_priors(plan: Plan, *, mediated: int) -> None:
    """Refuse declared priors that no model would use, or that are declared twice."""
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
