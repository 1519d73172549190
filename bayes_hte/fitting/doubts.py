"""Options that contradict the data or are probably not meant, found before anything is sampled.

A gaussian model of a 0/1 or count column is a choice that some make on purpose, so the family is
doubted only where nobody chose it: where it was left at its default.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from bayes_hte.errors import DataError, DoubtfulOptionWarning, SpecError, warn
from bayes_hte.fitting.plan import Plan
from bayes_hte.study.overview import likely_family
from bayes_hte.study.spec import Spec, bounded_limits
from bayes_hte.study.spec_file import stated
from bayes_hte.study.study import Study

# The default family, an object of its own: `is` distinguishes it from the same text of a user.
# (scikit-learn allows no subclass of text as the default of an estimator's option.)
GAUSSIAN = str(b"gaussian", "ascii")
# Beyond these a minimal important difference is strange: a risk, and standard deviations.
LARGEST_RISK, LARGEST_SD = 0.5, 1.0


def warn_of_families(study: Study, plan: Plan, *, stated: Collection[str]) -> None:
    """Warn of gaussian models of columns that another family suits better.

    Parameters
    ----------
    study : Study
        The data.
    plan : Plan
        The models.
    stated : collection of {"outcome", "mediator"}
        Roles whose family the user named; they are not doubted.

    Warns
    -----
    DoubtfulOptionWarning
    """
    mediators = study.roles.mediators
    models = zip(mediators, plan.mediator_models(len(mediators)), strict=True)
    columns = [("outcome", study.roles.outcome, plan.family)]
    columns += [("mediator", name, family) for name, (family, _) in models]
    for role, column, family in columns:
        if family != "gaussian" or role in stated:
            continue
        for better in _better_families(study.recorded(column)):
            option = "family" if role == "outcome" else "mediator_family"
            warn(
                f"{role} {column!r} {better}, or say {option}='gaussian' (in a study file family = "
                f"in [{role}]) to keep the gaussian model on purpose.",
                DoubtfulOptionWarning,
            )


def check_declaration(spec: Spec, study: Study) -> None:
    """Refuse declarations that are impossible for the data, and warn of improbable ones.

    Parameters
    ----------
    spec : Spec
        The study file.
    study : Study
        Its data.

    Raises
    ------
    SpecError
        If the minimal important difference, or the margin of subgroups, is one that the outcome
        cannot reach: 1 of a probability, the length of a bounded scale, the horizon of times.
    DataError
        If the mediator is to be held at a value outside its observed range.

    Warns
    -----
    DoubtfulOptionWarning
        If such a difference exceeds the range of another outcome, 1 standard deviation of it, or
        0.5 of a probability; or a family was left at gaussian
        where another one suits the column better.
    """
    if spec.mediator is not None and len(study.roles.mediators) == 1:
        check_controlled_values(study, spec.mediator.controlled_at)
    differences = {
        "outcome.minimal_important_difference": spec.outcome.minimal_important_difference,
        "subgroups.margin": spec.subgroups.margin or 0.0,
    }
    recorded = study.recorded_outcome()
    width, sd = float(np.ptp(recorded)), float(recorded.std())
    name, probability = study.roles.outcome, spec.outcome.family == "bernoulli"
    for key, least in differences.items():
        _check_reach(spec, study, key, least)
        large = LARGEST_RISK if probability else LARGEST_SD * sd
        if large < least <= width:
            size = (
                f"{100 * least:.0f} percentage points"
                if probability
                else f"{least / sd:.1f} standard deviations"
            )
            warn(
                f"{key} = {least:g} is {size} of {name!r}: few treatments reach that, and smaller "
                "effects would count for nothing. Check the unit.",
                DoubtfulOptionWarning,
            )
        if least > width:
            warn(
                f"{key} = {least:g} exceeds the range of the outcome ({width:g}), so no "
                f"difference can reach it; it is in the units of {name!r}.",
                DoubtfulOptionWarning,
            )
    declared = stated(spec)
    named = [role for role in ("outcome", "mediator") if "family" in declared.get(role, {})]
    warn_of_families(study, Plan.from_spec(spec), stated=named)


def _check_reach(spec: Spec, study: Study, key: str, least: float) -> None:
    """Refuse a difference that no two means on the scale of the outcome can have."""
    limits = bounded_limits(spec.outcome.family)
    if spec.outcome.family == "bernoulli" and least >= 1:
        raise SpecError(
            f"{key} = {least:g} of a probability: no two probabilities differ by 1 or more. "
            "For 10 percentage points write 0.1."
        )
    if limits is not None and least >= (length := limits[1] - limits[0]):
        raise SpecError(
            f"{key} = {least:g}: no two means of a scale from {limits[0]:g} to {limits[1]:g} "
            f"differ by {length:g} or more. It is in points of the scale; write a smaller one."
        )
    horizon = spec.outcome.horizon
    if study.event is not None and horizon is not None and least >= horizon:
        raise SpecError(
            f"{key} = {least:g}: no two mean times up to {horizon:g} differ by {horizon:g} or "
            f"more. It is in the unit of {study.roles.outcome!r}; write a smaller one, or in "
            "[outcome] a later horizon."
        )


def check_controlled_values(study: Study, values: Sequence[float]) -> None:
    """Refuse values of controlled direct effects that the mediator never takes.

    Parameters
    ----------
    study : Study
        A study with a mediator.
    values : sequence of float
        Values that the mediator is held at.

    Raises
    ------
    DataError
        If one lies outside the observed range.
    """
    observed = study.recorded_mediator()
    outside = [v for v in values if not observed.min() <= v <= observed.max()]
    if outside:
        raise DataError(
            f"mediator.controlled_at {outside} lies outside the observed mediator "
            f"({observed.min():g} to {observed.max():g}); the model says nothing there."
        )


def _better_families(values: np.ndarray) -> Iterator[str]:
    """Yield the reason against a gaussian model of a column, and the family to use instead."""
    distinct = np.unique(values)
    if distinct.size == 2:
        code = "" if set(distinct) == {0, 1} else "code it as 0 and 1, and "
        yield (
            f"has the values {distinct[0]:g} and {distinct[1]:g} only, and its family was left at "
            f"gaussian: {code}use 'bernoulli', which models a probability"
        )
    elif likely_family(values) != "gaussian":
        yield (
            "looks like a count of events, and its family was left at gaussian: use 'poisson' or "
            "'negative_binomial'"
        )
