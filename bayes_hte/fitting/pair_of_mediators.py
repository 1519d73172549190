"""The two mediators of a fit: their models at rows, effects through each, and their values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayes_hte.components.noise import noise_under_arms
from bayes_hte.components.numbered import mediator_roles
from bayes_hte.effects.interventional import (
    effects_given_confounder,
    interventional_effects,
    path_effects,
)
from bayes_hte.errors import SpecError, UnsupportedError, unknown_name
from bayes_hte.fitting.expected_mediator import expected_mediator
from bayes_hte.fitting.mediation import arm_coords
from bayes_hte.fitting.two_mediators import (
    TwoMediators,
    joint_outcomes,
    marginal_mean,
    separate_outcomes,
)
from bayes_hte.study.design import Design
from bayes_hte.study.study import Study
from bayes_hte.study.time_to_event import Estimand


def models_at_rows(
    components: Mapping[str, Any],
    rows_of: Callable[[Any], Design | None],
    estimand: Estimand | None,
) -> TwoMediators:
    """Return the draws of all three models at rows, paired by index.

    Parameters
    ----------
    components : mapping of str to FittedComponent or StackedComponent
        Of a fit with two mediators.
    rows_of : callable
        Returns the rows in the encoding of a component; None for the study's own.
    estimand : Estimand or None
        The scale of outcomes that are times to an event.

    Returns
    -------
    TwoMediators
    """
    outcome = components["outcome"]
    first, second = (components[role] for role in mediator_roles(2))
    start = first.linear_predictor(rows_of(first))
    expected = expected_mediator(first, start.base)
    after = second.linear_predictor(rows_of(second), expected=expected)
    families, noise = (first.family, second.family), (first.noise(), second.noise())
    later = [
        marginal_mean(start, after, families, noise, expected, arm).mean(axis=(0, 1))
        for arm in range(start.base.shape[-1])
    ]
    both, rows = np.stack([expected, np.stack(later, axis=-1)]), rows_of(outcome)
    return TwoMediators(
        outcome.linear_predictor(rows, expected=both),
        outcome.family,
        start,
        after,
        families,
        noise,
        both,
        noise_under_arms(outcome, rows),
        estimand,
    )


def interventional_at(models: TwoMediators, study: Study) -> xr.Dataset:
    """Return the effects through each mediator; see :func:`bayes_hte.interventional_effects`.

    With a confounder that the treatment changes see :func:`bayes_hte.effects_given_confounder`.
    """
    apart = arm_coords(separate_outcomes(models, relation="independent"), study.arms)
    if study.roles.post_treatment is not None:
        return effects_given_confounder(apart)
    joint = arm_coords(joint_outcomes(models), study.arms)
    return interventional_effects(joint, apart, mediators=study.roles.mediators)


def paths_at(models: TwoMediators, study: Study) -> xr.Dataset:
    """Return the effects along the order of the mediators; see :func:`bayes_hte.path_effects`."""
    along = separate_outcomes(models, relation="along the order")
    return path_effects(arm_coords(along, study.arms), mediators=study.roles.mediators)


def held_values(
    value: float | Mapping[str, float], names: tuple[str, ...]
) -> float | tuple[float, ...]:
    """Return the values that mediators are held at, in the order of the study.

    Raises
    ------
    SpecError
        If a name is unknown, or not every one of two mediators is held.
    """
    given = value if isinstance(value, Mapping) else dict.fromkeys(names[:1], value)
    for name in given:
        if name not in names:
            raise unknown_name("mediator in mediator_value", name, names)
    if len(given) < len(names):
        example = dict.fromkeys(names, 0.0)
        raise SpecError(
            f"mediator_value must hold both mediators, got {value!r}; give a mapping such as "
            f"{example!r}."
        )
    return tuple(given[name] for name in names) if len(names) > 1 else given[names[0]]


def check_two(study: Study, what: str) -> None:
    """Refuse a quantity of two mediators in a study of one or none, or of more than two arms.

    Raises
    ------
    UnsupportedError
        Saying what the study has.
    """
    names = study.roles.mediators
    if len(names) < 2:
        got = f"one mediator, {names[0]!r}" if names else "no mediator"
        raise UnsupportedError(
            f"{what} need a study with two, and this one has {got}: build it with "
            "mediator=['m1', 'm2']. The effect through one mediator is fit.effects()['tnie']."
        )
    study.check_two_arms(what)


def not_natural(study: Study) -> str:
    """Say why a study with a confounder that the treatment changes has no natural effects."""
    roles = study.roles
    return (
        f"the treatment changes {roles.post_treatment!r}, which affects both "
        f"{roles.mediator!r} and {roles.outcome!r}: natural direct and indirect effects are "
        "then not identified, whatever the data. Take fit.interventional_effects(), or the "
        "total effect, fit.cate()."
    )


def check_order(order: Sequence[str] | None, study: Study) -> None:
    """Refuse effects along paths without a declared order, or along another than was modelled.

    Raises
    ------
    UnsupportedError
        Saying what to do.
    """
    names = study.roles.mediators
    if study.roles.post_treatment is not None:
        raise UnsupportedError(not_natural(study))
    if order is None:
        raise UnsupportedError(
            "natural effects through single mediators exist only along an order of causes, "
            f"which no data show: declare it, order={list(names)!r}, or take the "
            "interventional effects, fit.interventional_effects(), which need none."
        )
    if tuple(order) != names:
        raise UnsupportedError(
            f"order={list(order)!r} is not the order in which the mediators were modelled, "
            f"{list(names)!r}; build the study with mediator={list(order)!r} and fit it again."
        )
