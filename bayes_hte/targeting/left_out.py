"""Effects and expected outcomes of each unit from all other units.

Effects that are compared with the data they were learned from flatter. Refitting without each unit
in turn would be honest, and takes too long. Weighting the posterior draws by
``1 / p(data_i | draw)``, smoothed, gives the posterior without unit i (Vehtari et al. 2017). Its
draws of the unit's effect and its expected outcomes do not depend on the unit's outcome, so scores
built on them (see :func:`bayes_hte.companions.effect_scores`) are unbiased for the unit's effect in
a trial.

Leaving a unit out also moves the *average* effect, away from that unit's own outcome. Across units
these moves are noise that runs against the scores: where all effects are equal, left-out
predictions differ by nothing else, and a slope of the scores on them is below 0 for certain. So
every unit's draws are moved by the difference between the average effect of all units and its
average without the unit: predictions then say how a unit differs from the others, and no longer
which way it pulled the average. For predictions that are linear in the outcomes, their covariance
with the scores is then 0 where effects are equal.

References
----------
Vehtari, A., Gelman, A., Gabry, J. (2017). Practical Bayesian model evaluation using leave-one-out
cross-validation and WAIC. Statistics and Computing 27, 1413-1432. doi:10.1007/s11222-016-9696-4
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import special

from bayes_hte.errors import DataError
from bayes_hte.names import ARM, CHAIN, DRAW, SAMPLE, UNIT


@dataclass(frozen=True, eq=False)
class Candidate:
    """Posterior draws of one outcome model with the leave-one-out weights of every unit.

    Attributes
    ----------
    mu : DataArray, dims (chain, draw, unit, arm)
        Expected outcomes, reference arm first.
    log_weights : DataArray, dims (chain, draw, unit)
        Smoothed log importance weights of leaving the unit out; need not be normalised.
    share : float
        Stacking weight of the model; 1 if it is the only one.
    """

    mu: xr.DataArray
    log_weights: xr.DataArray
    share: float = 1.0


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Effect and expected outcomes of each unit, from all others.

    Attributes
    ----------
    effect : DataArray, dims (chain, draw, unit)
        Draws of each unit's effect without the unit, in outcome units, around one average effect
        for all. Every unit has a posterior of its own, so draws of different units do not belong
        together.
    expected : DataArray, dims (unit, arm)
        Expected outcomes without the unit.
    """

    effect: xr.DataArray
    expected: xr.DataArray


def left_out(candidates: Sequence[Candidate], *, rng: np.random.Generator) -> LeftOut:
    """Weight the draws of each unit so that they no longer depend on its outcome.

    Parameters
    ----------
    candidates : sequence of Candidate
        The models, or the only one; with equal numbers of draws.
    rng : numpy.random.Generator
        Start of the systematic resampling of each unit.

    Returns
    -------
    LeftOut

    Raises
    ------
    DataError
        If a weight is not finite.
    """
    shares = np.array([c.share for c in candidates])
    mu = np.concatenate([_rows(c.mu, (UNIT, ARM)) for c in candidates])
    logs = [_rows(c.log_weights, (UNIT,)) for c in candidates]
    weights = np.concatenate(
        [s * special.softmax(w, axis=0) for s, w in zip(shares / shares.sum(), logs, strict=True)]
    )
    if not np.isfinite(weights).all():
        raise DataError("leave-one-out weights are not finite; look at the log-likelihood.")
    first = candidates[0].mu
    n_draws = first.sizes[CHAIN] * first.sizes[DRAW]
    tau = _around_one_average(mu[..., 1] - mu[..., 0], weights, shares / shares.sum())
    draws = _resample(tau, weights, (np.arange(n_draws) + rng.random()) / n_draws)
    # Means without the error of resampling, which would be all that equal effects differ by.
    draws += np.einsum("su,su->u", weights, tau) - draws.mean(axis=0)
    rng.permuted(draws, axis=0, out=draws)
    coords = {d: first[d] for d in (*SAMPLE, UNIT)}
    shape = tuple(first.sizes[d] for d in (*SAMPLE, UNIT))
    expected = np.einsum("su,sua->ua", weights, mu)
    return LeftOut(
        effect=xr.DataArray(draws.reshape(shape), coords, (*SAMPLE, UNIT), name="cate"),
        expected=xr.DataArray(expected, {UNIT: first[UNIT], ARM: first[ARM]}, (UNIT, ARM)),
    )


def _around_one_average(tau: np.ndarray, weights: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Move each unit's draws by what leaving it out does to the average effect.

    Parameters
    ----------
    tau : ndarray, shape (sample, unit)
        Effects, model after model.
    weights : ndarray, shape (sample, unit)
        Of leaving each unit out; each column adds up to 1.
    shares : ndarray, shape (model,)
        Weights of the models, whose draws are equally many.

    Returns
    -------
    ndarray, shape (sample, unit)
    """
    average = tau.mean(axis=1)
    everybody = np.repeat(shares, len(tau) // len(shares)) / (len(tau) // len(shares))
    return tau - (average @ weights - average @ everybody)


def _rows(values: xr.DataArray, rest: tuple[str, ...]) -> np.ndarray:
    """Return draws of all chains one after the other, shape (sample, *rest)."""
    array = values.transpose(*SAMPLE, *rest).to_numpy()
    return array.reshape(-1, *array.shape[2:])


def _resample(tau: np.ndarray, weights: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Draw from each column of `tau` by its weights: systematic resampling, in column order."""
    drawn = np.empty((places.size, tau.shape[1]))
    for unit, column in enumerate(tau.T):
        steps = np.cumsum(weights[:, unit])
        # The last step is 1 up to rounding; no place may lie beyond it.
        chosen = np.searchsorted(steps, places * steps[-1])
        drawn[:, unit] = column[np.minimum(chosen, len(column) - 1)]
    return drawn
