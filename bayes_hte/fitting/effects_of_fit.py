"""Averages of the effects of a fit: with the mediator held, by population, by arm."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayes_hte import effects
from bayes_hte.components.noise import noise_under_arms
from bayes_hte.fitting.doubts import check_controlled_values
from bayes_hte.fitting.fitted import Fit
from bayes_hte.fitting.pooled import PooledFit
from bayes_hte.names import ARM, POPULATIONS, SAMPLE, UNIT
from bayes_hte.seeds import stage_seed
from bayes_hte.study.study import Study


def controlled_effects(fit: Fit, values: tuple[float, ...]) -> xr.DataArray | None:
    """Average controlled direct effects, dims (chain, draw, mediator_value); None without values.

    Raises
    ------
    DataError
        If a value lies outside the observed range of the mediator.
    """
    if not values:
        return None
    check_controlled_values(fit.study, values)
    held = (fit.potential_outcomes(mediator_value=value) for value in values)
    draws = [effects.average(effects.controlled_direct_effect(mu)) for mu in held]
    dimension = xr.DataArray(list(values), dims="mediator_value", name="mediator_value")
    return xr.concat(draws, dimension, combine_attrs="drop_conflicts").transpose(
        *SAMPLE, "mediator_value"
    )


def mediation_legs(fit: Fit) -> xr.Dataset | None:
    """Return what the treatment does to the mediator, and the mediator to the outcome.

    Parameters
    ----------
    fit : Fit
        A fitted study.

    Returns
    -------
    Dataset or None
        ``mediator``, the expected mediator with all units in an arm, dims (chain, draw, arm), in
        its units; ``outcome``, the expected outcome with the mediator of all units at a value, dims
        (chain, draw, mediator_value, arm), at the quartiles of the observed mediator (its smallest
        and largest value if they are the same). Both are averages over the units. None without a
        mediator, and with two, whose effects through each say it.
    """
    if len(fit.study.roles.mediators) != 1:
        return None
    if isinstance(fit, PooledFit):
        return fit.joined([mediation_legs(part) for part in fit.imputations])
    model = fit.components["mediator"]
    eta = model.linear_predictor().base
    noise = noise_under_arms(model)
    expected = eta.copy(data=model.family.mean(eta.to_numpy(), noise)).mean(UNIT)
    observed = fit.study.mediator()
    observed = observed[~np.isnan(observed)]
    low, high = (float(v) for v in np.quantile(observed, [0.25, 0.75]))
    if low == high:
        low, high = float(observed.min()), float(observed.max())
    values = xr.DataArray([low, high], dims="mediator_value", name="mediator_value")
    at = [
        fit.potential_outcomes(mediator_value=value).mean(UNIT).drop_vars(ARM, errors="ignore")
        for value in (low, high)
    ]
    curve = xr.concat(at, values, combine_attrs="drop")
    parts = {"mediator": expected.drop_vars(ARM, errors="ignore").drop_attrs(), "outcome": curve}
    return xr.Dataset({name: part.transpose(*SAMPLE, ..., ARM) for name, part in parts.items()})


def populations(te: xr.DataArray, study: Study, *, seed: int) -> xr.Dataset:
    """Total effect averaged over each population, dims (chain, draw).

    The population that units come from (PATE) is the one that the weights of the study describe, if
    it has some.
    """
    study.check_two_arms("averages over the treated and the controls")
    known = {"treated": study.arm_index(), "weights": study.weights()}
    rng = np.random.default_rng(stage_seed(seed, "populations"))
    return xr.Dataset(
        {name: effects.average(te, population=name, rng=rng, **known) for name in POPULATIONS}
    )


def learner_summary(fit: Fit, held_out: Study | None) -> xr.Dataset:
    """Summarise a learner that is fitted for comparison.

    Parameters
    ----------
    fit : Fit
        The learner's fit.
    held_out : Study, optional
        Units that were not fitted.

    Returns
    -------
    Dataset
        ``SATE``, dims (chain, draw); posterior ``mean`` and ``sd`` of each fitted unit's effect,
        dims (unit,); ``held_out``, posterior means of held-out units, dims (held_out_unit,).
    """
    cate = fit.cate()
    summary = {"SATE": cate.mean(UNIT), "mean": cate.mean(SAMPLE), "sd": cate.std(SAMPLE)}
    if held_out is not None:
        away = fit.cate(held_out.frame).mean(SAMPLE)
        summary["held_out"] = away.rename({UNIT: f"held_out_{UNIT}"})
    return xr.Dataset({name: values.drop_attrs() for name, values in summary.items()})


def outcomes_by_arm(fit: Fit) -> xr.DataArray:
    """Expected outcome of each unit in every arm, the mediator following the arm.

    Parameters
    ----------
    fit : Fit
        A fitted study; of learner ``"x"`` the second stage replaces the differences of the arms.

    Returns
    -------
    DataArray, dims (chain, draw, unit, arm)
    """
    return effects.own_mediator(fit.potential_outcomes())


def arm_means(fit: Fit, mu: xr.DataArray) -> xr.DataArray:
    """Average expected outcomes over the units of the study, dims (chain, draw, arm)."""
    mu = mu.mean(UNIT)
    if not fit.plan.second_stage:
        return mu
    # The second stage replaces the difference of the arms.
    moved = mu.isel({ARM: 0}) + fit.cate().mean(UNIT)
    return mu.where(mu[ARM] == mu[ARM][0], moved)
