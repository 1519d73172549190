"""The g-formula: potential outcomes of a mediated study, draw by draw.

    ``mu[t, t'] = E[Y(t, M(t')) | x] = integral of E[Y | t, m, x] dF(m | t', x)``

for each posterior draw of the outcome and the mediator model. The predicted mean of the mediator is
plugged in only where that is exact (an outcome whose mean is linear in the mediator). Otherwise the
mediator is integrated out: in closed form for an outcome with a log link, else by Gauss-Hermite for
gaussian mediators and by an exact sum for binary and count mediators. A lognormal time with a
gaussian mediator stays lognormal, with the mediator's variation as more noise. An outcome that
bends in its mediator takes the same nodes, or, where its mean is its predictor and the mediator
gaussian, the means of its splines in closed form. The two models share no parameters, so their
posteriors are independent and draws are paired by index.

References
----------
VanderWeele, T. J. (2015). Explanation in Causal Inference. Oxford University Press.
Imai, K., Keele, L., Yamamoto, T. (2010). Identification, inference and sensitivity analysis for
causal mediation effects. Statistical Science 25, 51-71. doi:10.1214/10-STS321
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import xarray as xr

from bayes_hte.components.families import Family, Noise
from bayes_hte.components.families.base import NO_NOISE
from bayes_hte.components.predictor import LinearPredictor
from bayes_hte.errors import DataError
from bayes_hte.names import ARM, FIRST_ARM, MEDIATOR_ARM, SECOND_ARM, UNIT
from bayes_hte.study.time_to_event import Estimand

# Dimensions with one entry for each arm.
ARMS = (ARM, MEDIATOR_ARM, FIRST_ARM, SECOND_ARM)


def potential_outcomes(
    outcome: LinearPredictor,
    outcome_family: Family,
    mediator: xr.DataArray,
    mediator_family: Family,
    *,
    expected: np.ndarray,
    noise: Noise,
    outcome_noise: Noise = NO_NOISE,
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
    outcome_noise : mapping of str to ndarray, shape (chain, draw, unit or 1, arm or 1)
        The outcome family's other parameters, where its mean depends on them.
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
    for mediator_arm in range(n_arms):
        law = (eta_m[..., mediator_arm], mediator_family, noise)
        means = _spline_means(outcome, outcome_family, *law)
        for arm in range(n_arms):
            own = noise_in_arm(outcome_noise, arm)
            line = (base[..., arm] - slope[..., arm] * expected[:, arm], slope[..., arm])
            how = {"outcome_noise": own, "estimand": estimand}
            if outcome.bent is None:
                found = expected_outcome(*line, outcome_family, *law, **how)
            elif means is not None:
                found = line[0] + line[1] * means[1] + outcome.bent.averaged(*means, arm)
            else:
                bend = partial(outcome.bent.at, arm=arm)
                found = expected_bent_outcome(*line, bend, outcome_family, *law, **how)
            mu[..., arm, mediator_arm] = found
    result = xr.DataArray(
        mu, dims=(*outcome.base.dims, MEDIATOR_ARM), coords=outcome.base.coords, name="mu"
    )
    return result.assign_attrs(scale="response")


def noise_in_arm(noise: Noise, arm: int) -> Noise:
    """Return noise parameters of shape (chain, draw, unit or 1, arm or 1) in one arm."""
    return {k: values[..., arm if values.shape[-1] > 1 else 0] for k, values in noise.items()}


def expected_outcome(
    intercept: np.ndarray,
    slope: np.ndarray,
    outcome_family: Family,
    eta_m: np.ndarray,
    mediator_family: Family,
    noise: Noise,
    outcome_noise: Noise = NO_NOISE,
    estimand: Estimand | None = None,
    *,
    nodes: int | None = None,
) -> np.ndarray:
    """Return E[mean(intercept + slope M)], the mediator M integrated out.

    Parameters
    ----------
    intercept, slope : ndarray, shape (chain, draw, unit)
        Linear predictor of the outcome in the mediator.
    outcome_family : Family
        Family of the outcome.
    eta_m : ndarray, shape (chain, draw, unit)
        Linear predictor of the mediator.
    mediator_family : Family
        Its family.
    noise : mapping of str to ndarray
        Its other parameters.
    outcome_noise : mapping of str to ndarray, shape (chain, draw, unit or 1)
        Other parameters of the outcome, where its mean depends on them.
    estimand : Estimand, optional
        The scale of outcomes that are times to an event.
    nodes : int, optional
        Nodes of a continuous mediator; default those of the family.

    Returns
    -------
    ndarray, shape (chain, draw, unit)
    """
    if outcome_family.linear_mean:
        return intercept + slope * mediator_family.mean(eta_m, noise)
    if outcome_family.exponential_mean:
        # A sum over the mediator's values would cut off tails whose outcomes are the largest.
        return np.exp(intercept) * mediator_family.mean_exponential(slope, eta_m, noise)
    if outcome_family.normal_predictor and mediator_family.name == "gaussian":
        # The sum of two normals is normal: one quadrature instead of two.
        sigma = np.hypot(outcome_noise["sigma"], slope * noise["sigma"])
        own = {**outcome_noise, "sigma": sigma}
        return outcome_family.mean(intercept + slope * eta_m, own, estimand)
    total = np.zeros_like(intercept)
    for value, weight in mediator_family.support(eta_m, noise, nodes=nodes):
        eta = intercept + slope * value
        total += weight * outcome_family.mean(eta, outcome_noise, estimand)
    return total


def _spline_means(
    outcome: LinearPredictor,
    outcome_family: Family,
    eta_m: np.ndarray,
    mediator_family: Family,
    noise: Noise,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the means of the splines of a mediator and its own, if the outcome needs no more."""
    if outcome.bent is None or not outcome_family.linear_mean:
        return None
    bends, mean = outcome.bent.bends, mediator_family.mean(eta_m, noise)
    if mediator_family.name == "gaussian":
        return bends.normal_mean(eta_m, noise["sigma"]), mean
    splines = np.zeros((*eta_m.shape, bends.number))
    for value, weight in mediator_family.support(eta_m, noise):
        values = bends.nonlinear(np.broadcast_to(value, eta_m.shape))
        splines += np.asarray(weight)[..., None] * values
    return splines, mean


def expected_bent_outcome(
    intercept: np.ndarray,
    slope: np.ndarray,
    bend: Callable[[np.ndarray], np.ndarray],
    outcome_family: Family,
    eta_m: np.ndarray,
    mediator_family: Family,
    noise: Noise,
    outcome_noise: Noise = NO_NOISE,
    estimand: Estimand | None = None,
) -> np.ndarray:
    """Return E[mean(intercept + slope M + bend(M))], the mediator M integrated out.

    Parameters
    ----------
    intercept, slope, outcome_family, eta_m, mediator_family, noise, outcome_noise, estimand
        As in :func:`expected_outcome`.
    bend : callable
        Takes values of the mediator, shape (chain, draw, unit), and returns what is not a straight
        line in them.

    Returns
    -------
    ndarray, shape (chain, draw, unit)
    """
    total = np.zeros_like(intercept)
    for value, weight in mediator_family.support(eta_m, noise):
        value = np.broadcast_to(value, eta_m.shape)
        eta = intercept + slope * value + bend(value)
        total += weight * outcome_family.mean(eta, outcome_noise, estimand)
    return total


def outcomes_at(
    outcome: LinearPredictor,
    outcome_family: Family,
    value: float | Sequence[float],
    *,
    expected: np.ndarray,
    outcome_noise: Noise = NO_NOISE,
    estimand: Estimand | None = None,
) -> xr.DataArray:
    """Return potential outcomes with the mediator held at one value for all units.

    Parameters
    ----------
    outcome, outcome_family, expected, outcome_noise, estimand
        As in :func:`potential_outcomes`; of two mediators `expected` has shape (mediator, unit,
        arm).
    value : float or sequence of float
        The value of the mediator; of two mediators both.

    Returns
    -------
    DataArray, dims (chain, draw, unit, arm)
        With the value in its attribute ``mediator_value``.
    """
    if outcome.slope is None:
        raise DataError("the outcome model has no mediator terms; no value can be set.")
    values = np.atleast_1d(value)
    by_mediator = expected.reshape(values.size, *expected.shape[-2:])
    shifts = [xr.DataArray(away, dims=(UNIT, ARM)) for away in values[:, None, None] - by_mediator]
    eta = outcome.base + outcome.slope * shifts[0]
    if outcome.second is not None:
        eta = eta + outcome.second * shifts[1]
    if outcome.product is not None:
        eta = eta + outcome.product * (shifts[0] * shifts[1])
    if outcome.bent is not None:
        own = [outcome.bent.at(values[0], arm) for arm in range(outcome.base.sizes[ARM])]
        eta = eta + outcome.base.copy(data=np.stack(own, axis=-1))
    eta = eta.transpose(*outcome.base.dims)
    mu = eta.copy(data=outcome_family.mean(eta.to_numpy(), outcome_noise, estimand))
    held = float(values[0]) if np.ndim(value) == 0 else values.tolist()
    return mu.rename("mu").assign_attrs(scale="response", mediator_value=held)


def arm_coords(mu: xr.DataArray, arms: tuple) -> xr.DataArray:
    """Label the arm dimensions with the study's arms; a tuple is no label, its text is."""
    labels = [str(arm) if isinstance(arm, tuple) else arm for arm in arms]
    return mu.assign_coords({d: labels for d in ARMS if d in mu.dims})
