"""The models of a study, checked before anything is sampled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from bayes_hte.components.learners import get_learner
from bayes_hte.errors import SpecError, UnsupportedError
from bayes_hte.fitting.combinations import (
    check_candidate,
    check_gp,
    check_levels,
    check_split_on_gaps,
    check_two_mediators,
)
from bayes_hte.fitting.declared_priors import check_priors
from bayes_hte.fitting.options import listed, of_each
from bayes_hte.fitting.times import check_time_models
from bayes_hte.study.spec import PriorSpec, Spec, family_called
from bayes_hte.study.study import Study
from bayes_hte.study.time_to_event import (
    Estimand,
    EstimandName,
    check_horizon,
    default_horizon,
)
from bayes_hte.surfaces.terms import FOREST, GP


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
            models["mediator_family"] = of_each(families, study.roles.mediators)
        plan = cls(
            surface=surface,
            mediator_surface=surface,
            propensity_surface=FOREST if surface == GP else surface,
            stack_with=listed("stack_with", () if stack_with is None else stack_with, str),
            priors=listed("priors", priors, PriorSpec),
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
    check_time_models(study, plan)
    check_priors(plan, mediated=mediated)
    if plan.means_by is not None:
        check_levels(study, plan.means_by)
    if study.gaps and study.missing == "splits":
        check_split_on_gaps(study, plan, mediated=mediated)
    for candidate in plan.candidates().values():
        check_candidate(
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
        check_gp("bernoulli", "constant", "propensity", clustered=False)
    if mediated:
        for name, (family, surface) in zip(
            study.roles.mediators, plan.mediator_models(mediated), strict=True
        ):
            role = "mediator" if mediated == 1 else f"mediator {name!r}"
            if surface == GP:
                check_gp(family, "constant", role, clustered=clustered)
            check_column(study.recorded(name), role, family=family, surface=surface)
        if mediated > 1:
            check_two_mediators(plan)
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
