"""Effects averaged over units, and probabilities and ratios of averages.

References
----------
VanderWeele, T. J. (2015). Explanation in Causal Inference. Oxford University Press.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.arguments import (
    Better,
    benefit_sign,
    check_draws,
    check_generator,
    check_number,
)
from bayes_hte.effects.units import unit_order
from bayes_hte.errors import DataError, SpecError, unknown_name
from bayes_hte.names import POPULATIONS, SAMPLE, UNIT


def average[T: (xr.DataArray, xr.Dataset)](
    effect: T,
    *,
    population: str = "SATE",
    treated: pd.Series | np.ndarray | Sequence[float] | None = None,
    rng: np.random.Generator | None = None,
    weights: pd.Series | np.ndarray | Sequence[float] | None = None,
) -> T:
    """Average an effect over units, draw by draw.

    Parameters
    ----------
    effect : DataArray or Dataset, dims (chain, draw, unit)
        Unit-level effects.
    population : {"SATE", "PATE", "ATT", "ATC"}
        The units averaged over: all; the population they come from; the treated; the controls.
    treated : Series or ndarray of bool or 0/1, shape (unit,), optional
        Whether each unit received the treatment; needed for ATT and ATC. A Series with the labels
        of the effect is matched by label.
    rng : numpy.random.Generator, optional
        Needed for PATE, which draws Bayesian-bootstrap weights over units, one set per draw.
    weights : Series or ndarray, shape (unit,), optional
        For PATE: members of the population each unit stands for, up to a factor (survey weights,
        or 1 over the probability of being in the study). They multiply the bootstrap weights (Lo
        1993), so that unequal weights widen the posterior. A Series with the labels of the effect
        is matched by label. SATE, ATT and ATC are averages over the units at hand, which have no
        weights.

    Returns
    -------
    Same type, dims (chain, draw)
        In outcome units, with ``population`` in its attributes.

    Raises
    ------
    DataError
        If `effect` is no array of draws.
    SpecError
        If the population is unknown, its extra argument is missing, or the weights are negative,
        missing or all 0.

    References
    ----------
    Lo, A. Y. (1993). A Bayesian method for weighted sampling. Annals of Statistics 21, 2138-2148.
    Rubin, D. B. (1981). The Bayesian bootstrap. Annals of Statistics 9, 130-134.
    doi:10.1214/aos/1176345338

    Examples
    --------
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> effect = xr.DataArray([[[1.0, 2.0, 6.0]]], dims=["chain", "draw", "unit"])
    >>> hte.average(effect).item()
    3.0
    >>> hte.average(effect, population="ATT", treated=[0, 1, 1]).item()
    4.0
    """
    for part in effect.values() if isinstance(effect, xr.Dataset) else (effect,):
        check_draws(part, "effect", (*SAMPLE, UNIT) if population == "PATE" else (UNIT,))
    if population not in POPULATIONS:
        raise unknown_name("population", str(population), POPULATIONS)
    if population == "SATE":
        result = effect.mean(UNIT, skipna=False)
    elif population == "PATE":
        if rng is None:
            raise SpecError("population='PATE' draws random weights: pass rng=<Generator>.")
        check_generator(rng)
        shape = tuple(effect.sizes[d] for d in (*SAMPLE, UNIT))
        shares = xr.DataArray(rng.standard_exponential(shape), dims=(*SAMPLE, UNIT))
        if weights is not None:
            shares = shares * xr.DataArray(unit_weights(weights, effect), dims=UNIT)
        result = (effect * shares).sum(UNIT, skipna=False) / shares.sum(UNIT)
    else:
        wanted = _arm_mask(treated, effect, population)
        result = effect.isel({UNIT: wanted}).mean(UNIT, skipna=False)
    return _with_population(result, effect, population)


def unit_weights(
    weights: pd.Series | np.ndarray | Sequence[float], effect: xr.DataArray | xr.Dataset
) -> np.ndarray:
    """Return the weight of each unit of an effect in a population, checked.

    Parameters
    ----------
    weights : Series or ndarray, shape (unit,)
        A Series with the labels of the effect is matched by label.
    effect : DataArray or Dataset, dims (..., unit)
        The units.

    Returns
    -------
    ndarray of float64, shape (unit,)

    Raises
    ------
    SpecError
        Unless there is one number for each unit, none negative or missing, not all 0.
    """
    if np.shape(weights) != (effect.sizes[UNIT],):
        raise SpecError(
            f"weights must have one value for each of {effect.sizes[UNIT]} units, got shape "
            f"{np.shape(weights)}."
        )
    values = np.asarray(weights)[unit_order(weights, effect, "weights")]
    try:
        values = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise SpecError(f"weights must be numbers, got {values[:3].tolist()}.") from error
    if not (np.isfinite(values) & (values >= 0)).all():
        bad = int((~(np.isfinite(values) & (values >= 0))).sum())
        raise SpecError(
            f"weights must be 0 or more and finite, but {bad} of {values.size} are negative, "
            "infinite or missing; drop those rows, or correct the weights."
        )
    if values.sum() == 0:
        raise SpecError("the weights are all 0, so there is no population; correct them.")
    return values


def _arm_mask(
    treated: pd.Series | np.ndarray | Sequence[float] | None,
    effect: xr.DataArray | xr.Dataset,
    population: str,
) -> np.ndarray:
    """Return which units belong to ATT or ATC, shape (unit,)."""
    if treated is None or np.shape(treated) != (effect.sizes[UNIT],):
        raise SpecError(f"population={population!r} needs treated= with one value per unit.")
    values = np.asarray(treated)[unit_order(treated, effect, "treated")]
    if not np.isin(values, (0, 1)).all():
        raise SpecError("treated must hold only 0 and 1 (or False and True), nothing missing.")
    wanted = values.astype(bool) == (population == "ATT")
    if not wanted.any():
        raise SpecError(f"population={population!r} is empty: treated has only one value.")
    return wanted


def _with_population[T: (xr.DataArray, xr.Dataset)](result: T, source: T, population: str) -> T:
    if isinstance(result, xr.Dataset):
        for name in result.data_vars:
            result[name].attrs = {**source[name].attrs, "population": population}
    else:
        result = result.rename(source.name)
        result.attrs = {**source.attrs, "population": population}
    return result


def probability_of_benefit(
    effect: xr.DataArray, *, better: Better, beyond: float = 0.0
) -> xr.DataArray:
    """Posterior probability that an effect is beneficial by more than a margin.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, ...)
        Unit-level or averaged effect.
    better : {"higher", "lower"}
        Which direction of the outcome is good for the patient.
    beyond : float, default 0
        The margin, in outcome units and at least 0; for instance the minimal important difference.

    Returns
    -------
    DataArray, dims of `effect` without chain and draw
        Probabilities in [0, 1].

    Raises
    ------
    SpecError
        If `better` is unknown or `beyond` is negative.
    DataError
        If `effect` is no array of draws, or a draw is NaN.

    Examples
    --------
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> effect = xr.DataArray([[-1.0, 1.0, 2.0, 3.0]], dims=["chain", "draw"])
    >>> hte.probability_of_benefit(effect, better="higher", beyond=1.5).item()
    0.5
    """
    sign = benefit_sign(better)
    check_number("beyond", beyond, "0 or more (a size, not a direction)", lambda size: size >= 0)
    check_draws(effect, "effect", SAMPLE)
    if not bool(np.isfinite(effect).all()):
        raise DataError(
            "the effect holds NaN or infinite values; a probability cannot be computed from it."
        )
    return (sign * effect > beyond).mean(SAMPLE).rename("probability")


def proportion_mediated(
    tnie: xr.DataArray, te: xr.DataArray, *, minimal: float, certainty: float = 0.95
) -> xr.DataArray | None:
    """Posterior of the share of the total effect that passes through the mediator.

    Parameters
    ----------
    tnie, te : DataArray, dims (chain, draw)
        *Averaged* effects; the ratio is taken draw by draw.
    minimal : float
        The total effect counts as clearly away from zero if it lies beyond this size, in one
        direction, with posterior probability `certainty`. In outcome units.
    certainty : float, default 0.95
        See `minimal`.

    Returns
    -------
    DataArray, dims (chain, draw), or None
        None where the share is undefined because the total effect is not clearly away from zero.

    Raises
    ------
    DataError
        If the effects are not averages of the same draws.

    Examples
    --------
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> te = xr.DataArray([[2.0, 4.0]], dims=["chain", "draw"])
    >>> hte.proportion_mediated(te / 2, te, minimal=0.1).values.tolist()
    [[0.5, 0.5]]
    """
    for name, effect in (("tnie", tnie), ("te", te)):
        check_draws(effect, name, SAMPLE)
        if effect.ndim != len(SAMPLE) or effect.sizes != te.sizes:
            raise DataError(
                f"{name} has sizes {dict(effect.sizes)}: the share is of averages, draw by draw; "
                "pass average(effect) of both."
            )
    clear = max(float((te > minimal).mean()), float((te < -minimal).mean())) >= certainty
    if not clear:
        return None
    return (tnie / te).rename("proportion_mediated")
