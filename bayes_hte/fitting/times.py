"""Plans of times to an event, checked before anything is sampled."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from bayes_hte.errors import SpecError, UnsupportedError
from bayes_hte.study.spec import TimeFamilyName
from bayes_hte.study.study import Study
from bayes_hte.study.time_to_event import Estimand
from bayes_hte.surfaces.terms import GP

if TYPE_CHECKING:
    from bayes_hte.fitting.plan import Plan

# The family that has a model of each interval of time.
HAZARD = "piecewise_hazard"


def check_time_models(study: Study, plan: Plan) -> None:
    """Check that families of times to an event and the study go together.

    Parameters
    ----------
    study : Study
        The data.
    plan : Plan
        The models.

    Raises
    ------
    DataError
        If a time is no time to an event.
    SpecError
        If the study has events and the family is of another kind, the other way around, or the
        mediator is a time to an event.
    UnsupportedError
        If the family or the learner cannot use censored times, or late entries.
    """
    from bayes_hte.components.families import get_family

    family = get_family(plan.family)
    for name, _ in plan.mediator_models(max(len(study.roles.mediators), 1)):
        if not get_family(name).times:
            continue
        raise SpecError(
            f"mediator_family={name!r} is for times to an event, which may be "
            "censored; a mediator is a measured quantity. Use 'gaussian', perhaps of its logarithm."
        )
    _check_events(study, plan, times=family.times)
    if family.times:
        _check_censored(study, plan)
        family.given(study.censoring()).check(study.recorded_outcome(), "outcome")


def _check_events(study: Study, plan: Plan, *, times: bool) -> None:
    """Refuse a family of times without events, and events, or their scale, without such a family.

    Raises
    ------
    SpecError
        Saying which of them is missing.
    """
    if times and study.event is None:
        raise SpecError(
            f"family={plan.family!r} is for times to an event, and the study does not say whether "
            "the event was seen: pass event=<column> to Study.from_frame (in a study file under "
            "[roles]), a column of ones if it was seen in every unit."
        )
    if not times and study.event is not None:
        names = ", ".join(get_args(TimeFamilyName))
        raise SpecError(
            f"the outcome {study.roles.outcome!r} is a time to an event (event="
            f"{study.roles.event!r}), and family={plan.family!r} would take censored times for "
            f"events. Use one of {names}."
        )
    if not times and (plan.horizon is not None or plan.estimand is not None):
        option = "estimand" if plan.horizon is None else "horizon"
        raise SpecError(
            f"{option} is for times to an event, and the study has none; leave it out, or "
            "build the study with event=<column>."
        )


def _check_censored(study: Study, plan: Plan) -> None:
    """Refuse scales, learners and families that cannot use censored times, or several causes.

    Raises
    ------
    SpecError
        If the scale is of one cause, and there are no causes.
    UnsupportedError
        For second stages, and laws of one time for several causes.
    """
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
        _check_hazard(study, plan)


def _check_hazard(study: Study, plan: Plan) -> None:
    """Refuse what a model of intervals of time does not do.

    Raises
    ------
    UnsupportedError
        For ends of intervals, mediators, clusters, stacked candidates and Gaussian processes.
    """
    aft = "'lognormal', 'loglogistic', 'log_student_t' or 'weibull'"
    if study.roles.upper is not None:
        raise UnsupportedError(
            "family 'piecewise_hazard' needs to know in which of its intervals of time each "
            f"event came, and upper={study.roles.upper!r} gives each unit an interval of its "
            f"own; use family {aft}."
        )
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
