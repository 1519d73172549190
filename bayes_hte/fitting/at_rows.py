"""Outcomes, effects and propensities of a fit at rows: new ones, or the study's own by position.

Rows are taken all at once; :class:`bayes_hte.Fit` divides them into blocks and names the scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from bayes_hte import effects
from bayes_hte.components.arm_probabilities import PairPropensity, arm_probabilities
from bayes_hte.components.effect import blend
from bayes_hte.components.fitted import FittedComponent
from bayes_hte.components.hazard import HazardComponent
from bayes_hte.components.noise import noise_under_arms
from bayes_hte.components.numbered import EFFECT, PROPENSITY, names_of, numbered
from bayes_hte.components.stacked import StackedComponent
from bayes_hte.effects.contrasts import NOT_NATURAL, labelled
from bayes_hte.effects.pairs import Contrast, by_contrast, contrast_name, pairs_of
from bayes_hte.fitting.blocks import Rows, is_large, positions
from bayes_hte.fitting.expected_mediator import expected_mediator
from bayes_hte.fitting.mediation import arm_coords, outcomes_at, potential_outcomes
from bayes_hte.fitting.pair_of_mediators import models_at_rows, not_natural
from bayes_hte.fitting.two_mediators import (
    TwoMediators,
    joint_outcomes,
    outcomes_at_second,
    own_outcomes,
)
from bayes_hte.names import ARM, CHAIN, DRAW, EFFECTS, SAMPLE, UNIT
from bayes_hte.study.design import Design
from bayes_hte.study.time_to_event import Estimand

if TYPE_CHECKING:
    from bayes_hte.fitting.fitted import Fit

AnyComponent = FittedComponent | StackedComponent | PairPropensity


def effects_of_rows(
    fit: Fit, rows: Rows | None, contrast: Contrast, estimand: Estimand | None
) -> xr.Dataset:
    """Return the effects of rows, all at once; see :meth:`Fit.effects`."""
    if fit.has_natural_effects:
        return effects.decompose(outcomes_of_rows(fit, rows, estimand), contrast=contrast)
    return as_total(cate_of_rows(fit, rows, contrast, estimand))


def cate_of_rows(
    fit: Fit, rows: Rows | None, contrast: Contrast, estimand: Estimand | None
) -> xr.DataArray:
    """Return the total effects of rows, all at once; see :meth:`Fit.cate`."""
    if not fit.plan.second_stage:
        return effects.cate(outcomes_of_rows(fit, rows, estimand), contrast=contrast)
    arms = fit.study.arms
    pairs, several = pairs_of(arms, contrast)
    parts = [
        labelled(
            _blended(fit, rows, (b, a)),
            "cate",
            contrast_name(arms[b], arms[a]),
            "response",
            EFFECTS["cate"][0],
        )
        for b, a in pairs
    ]
    return by_contrast(parts) if several else parts[0]


def outcomes_of_rows(
    fit: Fit,
    rows: Rows | None,
    estimand: Estimand | None,
    held: float | tuple[float, ...] | None = None,
) -> xr.DataArray:
    """Return expected outcomes of rows, all at once; see :meth:`Fit.potential_outcomes`.

    Parameters
    ----------
    fit : Fit
        A fit of one frame, not one pooled over imputations.
    rows : DataFrame or ndarray, optional
        New rows, or positions of the study's own; default all of these.
    estimand : Estimand, optional
        The scale of times to an event.
    held : float or tuple of float, optional
        The value at which the mediator is held, or each of two.

    Returns
    -------
    DataArray, dims (chain, draw, unit, arm[, mediator_arm])
        On the response scale.
    """
    if fit.plan.second_stage:
        return _outcomes_by_effects(fit, rows, estimand)
    if "mediator" not in fit.components:
        mu = _outcomes_without_mediator(fit, rows, estimand)
    elif len(fit.study.roles.mediators) > 1:
        mu = _outcomes_with_two(fit, rows, estimand, held)
    else:
        mu = _outcomes_with_mediator(fit, rows, estimand, held)
    attrs = {} if estimand is None else estimand.attrs()
    return arm_coords(mu.assign_attrs(attrs), fit.study.arms)


def _outcomes_without_mediator(
    fit: Fit, rows: Rows | None, estimand: Estimand | None
) -> xr.DataArray:
    outcome, encoded = fit.components["outcome"], rows_of_outcome(fit, rows)
    if isinstance(outcome, HazardComponent):
        mu = outcome.mean(encoded, estimand)
    else:
        eta = outcome.linear_predictor(encoded).base
        noise = noise_under_arms(outcome, encoded)
        mu = eta.copy(data=outcome.family.mean(eta.to_numpy(), noise, estimand))
    return mu.rename("mu").assign_attrs(scale="response")


def _outcomes_with_mediator(
    fit: Fit, rows: Rows | None, estimand: Estimand | None, held: float | tuple[float, ...] | None
) -> xr.DataArray:
    outcome, mediator = fit.components["outcome"], fit.components["mediator"]
    propensity = _propensity_covariate(fit, rows)
    encoded = encoded_rows(outcome, rows, propensity)
    eta_m = mediator.linear_predictor(encoded_rows(mediator, rows, propensity)).base
    expected = expected_mediator(mediator, eta_m)
    predictor = outcome.linear_predictor(encoded, expected=expected)
    how = {
        "expected": expected,
        "outcome_noise": noise_under_arms(outcome, encoded),
        "estimand": estimand,
    }
    if held is not None:
        return outcomes_at(predictor, outcome.family, held, **how)
    models = (predictor, outcome.family, eta_m, mediator.family)
    return potential_outcomes(*models, noise=mediator.noise(), **how)


def _outcomes_with_two(
    fit: Fit, rows: Rows | None, estimand: Estimand | None, held: float | tuple[float, ...] | None
) -> xr.DataArray:
    models = two_mediators_of_rows(fit, rows, estimand)
    if fit.study.roles.post_treatment is not None:
        mu = own_outcomes(models) if held is None else outcomes_at_second(models, held)
        return mu.assign_attrs({NOT_NATURAL: not_natural(fit.study)})
    if held is None:
        return joint_outcomes(models)
    return outcomes_at(
        models.outcome,
        models.outcome_family,
        held,
        expected=models.expected,
        outcome_noise=models.outcome_noise,
        estimand=estimand,
    )


def _outcomes_by_effects(fit: Fit, rows: Rows | None, estimand: Estimand | None) -> xr.DataArray:
    """Return outcomes whose differences are the effects of the second stage."""
    first = outcomes_of_rows(fit.first_stage(), rows, estimand)
    reference = first.isel({ARM: 0}, drop=True)
    others = [reference + _blended(fit, rows, (a, 0)) for a in range(1, len(fit.study.arms))]
    parts = [reference, *others]
    mu = xr.concat(parts, ARM, combine_attrs="drop").transpose(*first.dims)
    return mu.assign_coords(first.coords).assign_attrs(first.attrs).rename(first.name)


def two_mediators_of_rows(fit: Fit, rows: Rows | None, estimand: Estimand | None) -> TwoMediators:
    """Return the draws of all three models at rows, paired by index."""
    propensity = _propensity_covariate(fit, rows)
    return models_at_rows(
        fit.components, lambda component: encoded_rows(component, rows, propensity), estimand
    )


def _blended(fit: Fit, rows: Rows | None, pair: tuple[int, int]) -> xr.DataArray:
    """Return the effect of one contrast by the second stage, dims (chain, draw, unit)."""
    if fit.whole is not None:
        arms = tuple(fit.whole.study.arms.index(fit.study.arms[arm]) for arm in pair)
        if isinstance(rows, np.ndarray):
            return _blended(fit.whole, np.flatnonzero(_rows_of_whole(fit))[rows], arms)
        tau = _blended(fit.whole, rows, arms)
        return tau if rows is not None else tau.isel({UNIT: _rows_of_whole(fit)})
    # A unit's effect of two arms is the difference of their effects against the reference.
    parts = [_against_reference(fit, rows, arm) for arm in pair if arm > 0]
    tau = parts[0] if pair[0] > 0 else -parts[0]
    return tau - parts[1] if len(parts) > 1 else tau


def _against_reference(fit: Fit, rows: Rows | None, arm: int) -> xr.DataArray:
    effect = fit.components[numbered(EFFECT, arm)]
    # Of several arms a second stage has the rows of two only.
    by_position = isinstance(rows, np.ndarray) and len(fit.study.arms) > 2
    known = fit.components["outcome"] if by_position else effect
    encoded = encoded_rows(known, rows, _propensity_covariate(fit, rows))
    if len(fit.study.arms) == 2:
        return blend(effect.mean(encoded), propensity_of_rows(fit, rows))
    if encoded is None:
        encoded = fit.components["outcome"].design
    parts = {name: fit.components[name] for name in names_of(PROPENSITY, len(fit.study.arms))}
    propensity = PairPropensity(parts, (0, arm)).mean(encoded).isel({ARM: 0}, drop=True)
    return blend(effect.mean(encoded), propensity)


def _rows_of_whole(fit: Fit) -> np.ndarray:
    """Whether each unit of the whole fit is in one of the two arms, shape (unit,)."""
    whole = fit.whole.study
    return np.isin(whole.arm_index(), [whole.arms.index(arm) for arm in fit.study.arms])


def propensity_of_rows(fit: Fit, rows: Rows | None) -> xr.DataArray:
    """Return the propensity of rows; see :meth:`Fit.propensity`."""
    component = fit.components["propensity"]
    design = encoded_rows(component, rows, None)
    if len(fit.study.arms) > 2:
        each = arm_probabilities(fit.components, design).rename("propensity")
        return arm_coords(each, fit.study.arms)
    return component.mean(design).isel({ARM: 0}, drop=True).rename("propensity")


def rows_of_outcome(fit: Fit, rows: Rows | None) -> Design | None:
    """Return rows in the encoding of the outcome's model; None for all of the study's own."""
    return encoded_rows(fit.components["outcome"], rows, _propensity_covariate(fit, rows))


def _propensity_covariate(fit: Fit, rows: Rows | None) -> np.ndarray | None:
    # The study's own rows hold it already.
    of_study = rows is None or isinstance(rows, np.ndarray)
    if of_study or not fit.components["outcome"].design.has_propensity:
        return None
    whole = fit.whole or fit
    return propensity_covariate(whole.components, whole.components[PROPENSITY].design.replay(rows))


def propensity_covariate(
    components: Mapping[str, AnyComponent], design: Design | None = None
) -> np.ndarray:
    """Return the posterior-mean propensity as columns.

    Rounded, because a tree may split exactly at an observed value: the same unit predicted twice
    must get the same number, whatever the order of summation.

    Parameters
    ----------
    components : mapping of str to FittedComponent
        With the propensities of a study.
    design : Design, optional
        Rows; default those of the study.

    Returns
    -------
    ndarray, shape (unit,) or (unit, arms - 1)
        Of the non-reference arm; of more than two arms of each but the reference.
    """
    first = components[PROPENSITY]
    sizes = first.posterior.sizes
    if design is None and is_large(sizes[CHAIN] * sizes[DRAW], first.design.n_rows):
        blocks = (first.design.take(rows) for rows in positions(first.design.n_rows))
        return np.concatenate([propensity_covariate(components, block) for block in blocks])
    if first.design.n_arms == 2:
        each = first.mean(design).isel({ARM: 0})
    else:
        each = arm_probabilities(components, design).isel({ARM: slice(1, None)})
    return np.round(each.mean(SAMPLE).to_numpy(), 6)


def as_total(cate: xr.DataArray) -> xr.Dataset:
    """Return the effect of a study without mediator under the name it has in one with."""
    te = cate.rename("te").assign_attrs(effect="te", long_name="total effect")
    return te.to_dataset()


def encoded_rows(
    component: AnyComponent, rows: Rows | None, propensity: np.ndarray | None
) -> Design | None:
    """Return rows in a component's encoding: new ones, or the study's own by position.

    None stands for all of the study's own.
    """
    if rows is None:
        return None
    if isinstance(rows, np.ndarray):
        return component.design.take(rows)
    return component.design.replay(rows, propensity=propensity)
