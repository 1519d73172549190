"""The g-formula: potential outcomes of a mediated study, draw by draw.

    ``mu[t, t'] = E[Y(t, M(t')) | x] = integral of E[Y | t, m, x] dF(m | t', x)``

for each posterior draw of the outcome and the mediator model. The predicted mean of the mediator is
plugged in only where that is exact (an outcome whose mean is linear in the mediator). Otherwise the
mediator is integrated out: in closed form for an outcome with a log link, else by Gauss-Hermite for
gaussian mediators and by an exact sum for binary and count mediators. A lognormal time with a
gaussian mediator stays lognormal, with the mediator's variation as more noise. The two models share
no parameters, so their posteriors are independent and draws are paired by index.

References
----------
VanderWeele, T. J. (2015). Explanation in Causal Inference. Oxford University Press.
Imai, K., Keele, L., Yamamoto, T. (2010). Identification, inference and sensitivity analysis for
causal mediation effects. Statistical Science 25, 51-71. doi:10.1214/10-STS321
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from bayes_hte.components.families import Family, Noise
from bayes_hte.components.predictor import LinearPredictor
from bayes_hte.errors import DataError
from bayes_hte.names import ARM, MEDIATOR_ARM, UNIT
from bayes_hte.study.time_to_event import Estimand


def potential_outcomes(
    outcome: LinearPredictor,
    outcome_family: Family,
    mediator: xr.DataArray,
    mediator_family: Family,
    *,
    expected: np.ndarray,
    noise: Noise,
    outcome_noise: Sequence[Noise] | None = None,
    estimand: Estimand | None = None,
) -> xr.DataArray:
    """Return the potential outcomes of a mediated study.

    Parameters
    ----------
    outcome : LinearPredictor
        Linear predictor of the outcome given arm and mediator.
    outcome_family : Family
        Family of the outcome.
    mediator : DataArray, dims (chain, draw, unit, arm)
        Linear predictor of the mediator under each arm.
    mediator_family : Family
        Family of the mediator.
    expected : ndarray, shape (unit, arm)
        The expected mediator that the outcome model subtracts from the mediator.
    noise : mapping of str to ndarray, shape (chain, draw, 1)
        The mediator family's other parameters.
    outcome_noise : sequence of mapping of str to ndarray, optional
        The outcome family's other parameters under each arm; needed by families of times alone.
    estimand : Estimand, optional
        The scale of outcomes that are times to an event.

    Returns
    -------
    DataArray, dims (chain, draw, unit, arm, mediator_arm)
        Expected outcomes on the response scale.

    Raises
    ------
    DataError
        If the two posteriors differ in chains, draws or units.
    """
    if outcome.slope is None:
        raise DataError("the outcome model has no mediator terms; nothing to integrate.")
    if outcome.base.shape != mediator.shape:
        raise DataError(
            f"outcome draws have shape {outcome.base.shape}, mediator draws {mediator.shape}; "
            "both models need the same chains, draws and units to be paired."
        )
    base, slope = outcome.base.to_numpy(), outcome.slope.to_numpy()
    eta_m = mediator.to_numpy()
    n_arms = base.shape[-1]
    mu = np.empty((*base.shape, n_arms))
    for arm in range(n_arms):
        own = {} if outcome_noise is None else outcome_noise[arm]
        for mediator_arm in range(n_arms):
            mu[..., arm, mediator_arm] = _expected_outcome(
                base[..., arm] - slope[..., arm] * expected[:, arm],
                slope[..., arm],
                outcome_family,
                eta_m[..., mediator_arm],
                mediator_family,
                noise,
                own,
                estimand,
            )
    result = xr.DataArray(
        mu, dims=(*outcome.base.dims, MEDIATOR_ARM), coords=outcome.base.coords, name="mu"
    )
    return result.assign_attrs(scale="response")


def _expected_outcome(
    intercept: np.ndarray,
    slope: np.ndarray,
    outcome_family: Family,
    eta_m: np.ndarray,
    mediator_family: Family,
    noise: Noise,
    outcome_noise: Noise,
    estimand: Estimand | None,
) -> np.ndarray:
    """E[expected(intercept + slope M)], all arrays (chain, draw, unit)."""
    if outcome_family.linear_mean:
        return intercept + slope * mediator_family.inverse_link(eta_m)
    if outcome_family.exponential_mean:
        # A sum over the mediator's values would cut off tails whose outcomes are the largest.
        return np.exp(intercept) * mediator_family.mean_exponential(slope, eta_m, noise)
    if outcome_family.absorbs_normal and mediator_family.name == "gaussian":
        # The variation of the mediator becomes noise of the outcome.
        sigma = np.hypot(outcome_noise["sigma"], slope * noise["sigma"])
        mean = intercept + slope * eta_m
        return outcome_family.expected(mean, {**outcome_noise, "sigma": sigma}, estimand)
    total = np.zeros_like(intercept)
    for value, weight in mediator_family.support(eta_m, noise):
        eta = intercept + slope * value
        total += weight * outcome_family.expected(eta, outcome_noise, estimand)
    return total


def outcomes_at(
    outcome: LinearPredictor,
    outcome_family: Family,
    value: float,
    *,
    expected: np.ndarray,
    outcome_noise: Sequence[Noise] | None = None,
    estimand: Estimand | None = None,
) -> xr.DataArray:
    """Return potential outcomes with the mediator held at one value for all units.

    Parameters
    ----------
    outcome, outcome_family, expected, outcome_noise, estimand
        As in :func:`potential_outcomes`.
    value : float
        The value of the mediator.

    Returns
    -------
    DataArray, dims (chain, draw, unit, arm)
        With the value in its attribute ``mediator_value``.
    """
    if outcome.slope is None:
        raise DataError("the outcome model has no mediator terms; no value can be set.")
    shift = xr.DataArray(value - expected, dims=(UNIT, ARM))
    eta = outcome.base + outcome.slope * shift
    eta = eta.transpose(*outcome.base.dims)
    mu = outcomes_under(eta, outcome_family, outcome_noise, estimand)
    return mu.assign_attrs(scale="response", mediator_value=value)


def outcomes_under(
    eta: xr.DataArray,
    outcome_family: Family,
    outcome_noise: Sequence[Noise] | None,
    estimand: Estimand | None,
) -> xr.DataArray:
    """Return expected outcomes given linear predictors.

    Parameters
    ----------
    eta : DataArray, dims (chain, draw, unit, arm)
        Linear predictor under each arm.
    outcome_family, outcome_noise, estimand
        As in :func:`potential_outcomes`.

    Returns
    -------
    DataArray, dims (chain, draw, unit, arm)
    """
    values = eta.to_numpy()
    if outcome_noise is None:
        mu = outcome_family.inverse_link(values)
    else:
        under = [
            outcome_family.expected(values[..., arm], noise, estimand)
            for arm, noise in enumerate(outcome_noise)
        ]
        mu = np.stack(under, axis=-1)
    return eta.copy(data=mu).rename("mu")


def arm_coords(mu: xr.DataArray, arms: tuple) -> xr.DataArray:
    """Label the arm dimensions with the study's arms; a tuple is no label, its text is."""
    labels = [str(arm) if isinstance(arm, tuple) else arm for arm in arms]
    return mu.assign_coords({d: labels for d in (ARM, MEDIATOR_ARM) if d in mu.dims})
