"""Effects: contrasts of potential outcomes, their averages and their probabilities.

Everything here is arithmetic on the contract array

    ``mu[chain, draw, unit, arm(, mediator_arm)] = E[Y(arm, M(mediator_arm)) | x_unit]``

(the expected outcome on the response scale had the unit been given `arm`, and its mediator the
value it takes under `mediator_arm`). Nothing here knows a sampler, so posteriors from anywhere
work. Draws are averaged first and summarised last: functions return draws.

References
----------
VanderWeele, T. J. (2015). Explanation in Causal Inference. Oxford University Press.
Imai, K., Keele, L., Tingley, D. (2010). A general approach to causal mediation analysis.
Psychological Methods 15, 309-334. doi:10.1037/a0020761
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from bayes_hte.errors import DataError, SpecError, unknown_name
from bayes_hte.names import ARM, EFFECTS, MEDIATOR_ARM, POPULATIONS, SAMPLE, UNIT

Better = Literal["higher", "lower"]


def check_potential_outcomes(mu: xr.DataArray, *, mediated: bool | None = None) -> None:
    """Raise unless an array honours the contract.

    Parameters
    ----------
    mu : DataArray, dims (chain, draw, unit, arm[, mediator_arm])
        Expected outcomes on the response scale.
    mediated : bool, optional
        Require (True) or forbid (False) the ``mediator_arm`` dimension.

    Raises
    ------
    DataError
        If a dimension is missing, there are not two arms, the arm labels disagree, or a value is
        not finite.
    """
    needed = [*SAMPLE, UNIT, ARM] + ([MEDIATOR_ARM] if mediated else [])
    missing = [d for d in needed if d not in mu.dims]
    if missing:
        raise DataError(
            f"potential outcomes need dims {tuple(needed)}, got {tuple(mu.dims)}; "
            f"{', '.join(missing)} is missing."
            + (" Fit a study with a mediator." if missing == [MEDIATOR_ARM] else "")
        )
    if mediated is False and MEDIATOR_ARM in mu.dims:
        raise DataError("potential outcomes must not have a mediator_arm dimension here.")
    if mu.sizes[ARM] != 2:
        raise DataError(f"expected two arms, got {mu.sizes[ARM]}.")
    if MEDIATOR_ARM in mu.dims and list(mu[ARM].values) != list(mu[MEDIATOR_ARM].values):
        raise DataError("the levels of arm and mediator_arm differ.")
    if not bool(np.isfinite(mu).all()):
        raise DataError("potential outcomes hold NaN or infinite values.")


def _contrast(
    mu: xr.DataArray, name: str, to: tuple[int, int], frm: tuple[int, int]
) -> xr.DataArray:
    """mu[to] - mu[frm], each (arm, mediator_arm); labelled as effect `name`."""
    check_potential_outcomes(mu, mediated=True)
    high = mu.isel({ARM: to[0], MEDIATOR_ARM: to[1]}, drop=True)
    low = mu.isel({ARM: frm[0], MEDIATOR_ARM: frm[1]}, drop=True)
    return _label((high - low).astype(np.float64), name, mu)


def _label(effect: xr.DataArray, name: str, mu: xr.DataArray) -> xr.DataArray:
    arms = mu[ARM].to_numpy()
    return effect.rename(name).assign_attrs(
        effect=name,
        long_name=EFFECTS[name][0],
        contrast=f"{arms[1]} vs {arms[0]}",
        scale=mu.attrs.get("scale", "response"),
    )


def total_natural_indirect(mu: xr.DataArray) -> xr.DataArray:
    """Total natural indirect effect, mu[1,1] - mu[1,0], for every draw and unit.

    Parameters
    ----------
    mu : DataArray, dims (chain, draw, unit, arm, mediator_arm)
        Potential outcomes on the response scale, reference arm first.

    Returns
    -------
    DataArray, dims (chain, draw, unit)
        In outcome units. This is the individual indirect effect the M-learner clusters.

    Raises
    ------
    DataError
        If `mu` has no mediator_arm dimension or breaks the contract.
    """
    return _contrast(mu, "tnie", (1, 1), (1, 0))


def pure_natural_indirect(mu: xr.DataArray) -> xr.DataArray:
    """Pure natural indirect effect, mu[0,1] - mu[0,0], for every draw and unit.

    Parameters
    ----------
    mu : DataArray, dims (chain, draw, unit, arm, mediator_arm)
        Potential outcomes on the response scale, reference arm first.

    Returns
    -------
    DataArray, dims (chain, draw, unit)
        In outcome units.

    Raises
    ------
    DataError
        If `mu` has no mediator_arm dimension or breaks the contract.
    """
    return _contrast(mu, "pnie", (0, 1), (0, 0))


def pure_natural_direct(mu: xr.DataArray) -> xr.DataArray:
    """Pure natural direct effect, mu[1,0] - mu[0,0], for every draw and unit.

    Parameters
    ----------
    mu : DataArray, dims (chain, draw, unit, arm, mediator_arm)
        Potential outcomes on the response scale, reference arm first.

    Returns
    -------
    DataArray, dims (chain, draw, unit)
        In outcome units.

    Raises
    ------
    DataError
        If `mu` has no mediator_arm dimension or breaks the contract.
    """
    return _contrast(mu, "pnde", (1, 0), (0, 0))


def total_natural_direct(mu: xr.DataArray) -> xr.DataArray:
    """Total natural direct effect, mu[1,1] - mu[0,1], for every draw and unit.

    Parameters
    ----------
    mu : DataArray, dims (chain, draw, unit, arm, mediator_arm)
        Potential outcomes on the response scale, reference arm first.

    Returns
    -------
    DataArray, dims (chain, draw, unit)
        In outcome units.

    Raises
    ------
    DataError
        If `mu` has no mediator_arm dimension or breaks the contract.
    """
    return _contrast(mu, "tnde", (1, 1), (0, 1))


def total_effect(mu: xr.DataArray) -> xr.DataArray:
    """Total effect of the treatment, for every draw and unit.

    Parameters
    ----------
    mu : DataArray, dims (chain, draw, unit, arm[, mediator_arm])
        With a mediator the effect is mu[1,1] - mu[0,0], without one mu[1] - mu[0].

    Returns
    -------
    DataArray, dims (chain, draw, unit)
        In outcome units.

    Raises
    ------
    DataError
        If `mu` breaks the contract.
    """
    if MEDIATOR_ARM in mu.dims:
        return _contrast(mu, "te", (1, 1), (0, 0))
    return cate(mu)


def cate(mu: xr.DataArray) -> xr.DataArray:
    """Conditional average treatment effect E[Y(1) - Y(0) | x] for every draw and unit.

    Parameters
    ----------
    mu : DataArray, dims (chain, draw, unit, arm[, mediator_arm])
        Potential outcomes; with a mediator the mediator follows the arm, so this is the total
        effect.

    Returns
    -------
    DataArray, dims (chain, draw, unit)
        In outcome units.

    Raises
    ------
    DataError
        If `mu` breaks the contract.
    """
    if MEDIATOR_ARM in mu.dims:
        return _label(_contrast(mu, "te", (1, 1), (0, 0)), "cate", mu)
    check_potential_outcomes(mu, mediated=False)
    difference = mu.isel({ARM: 1}, drop=True) - mu.isel({ARM: 0}, drop=True)
    return _label(difference.astype(np.float64), "cate", mu)


def own_mediator(mu: xr.DataArray) -> xr.DataArray:
    """Potential outcomes under each arm, the mediator taking the value it has under that arm.

    Parameters
    ----------
    mu : DataArray, dims (chain, draw, unit, arm[, mediator_arm])

    Returns
    -------
    DataArray, dims (chain, draw, unit, arm)
        `mu` itself if there is no mediator.
    """
    if MEDIATOR_ARM not in mu.dims:
        return mu
    own = xr.DataArray(np.arange(mu.sizes[ARM]), dims=ARM)
    return mu.isel({MEDIATOR_ARM: own}).drop_vars(MEDIATOR_ARM, errors="ignore")


def controlled_direct_effect(mu: xr.DataArray) -> xr.DataArray:
    """Controlled direct effect, from potential outcomes with the mediator held at a value.

    Parameters
    ----------
    mu : DataArray, dims (chain, draw, unit, arm)
        From ``fit.potential_outcomes(mediator_value=m)``: no ``mediator_arm`` dimension, the
        held value in the attribute ``mediator_value``.

    Returns
    -------
    DataArray, dims (chain, draw, unit)
        In outcome units, with the held value in its attributes.

    Raises
    ------
    DataError
        If `mu` still has a mediator_arm dimension or does not say the held value.
    """
    check_potential_outcomes(mu, mediated=False)
    if "mediator_value" not in mu.attrs:
        raise DataError(
            "a controlled direct effect needs the mediator held at a value; use "
            "fit.potential_outcomes(mediator_value=...)."
        )
    difference = mu.isel({ARM: 1}, drop=True) - mu.isel({ARM: 0}, drop=True)
    labelled = _label(difference.astype(np.float64), "cde", mu)
    return labelled.assign_attrs(mediator_value=mu.attrs["mediator_value"])


def decompose(mu: xr.DataArray) -> xr.Dataset:
    """Total effect and both of its decompositions, for every draw and unit.

    Parameters
    ----------
    mu : DataArray, dims (chain, draw, unit, arm, mediator_arm)
        Potential outcomes.

    Returns
    -------
    Dataset with te, tnie, pnde, pnie, tnde, each of dims (chain, draw, unit)
        TE = TNIE + PNDE = PNIE + TNDE in every draw.
    """
    parts = (
        total_effect,
        total_natural_indirect,
        pure_natural_direct,
        pure_natural_indirect,
        total_natural_direct,
    )
    return xr.Dataset({effect.name: effect for effect in (part(mu) for part in parts)})


def average[T: (xr.DataArray, xr.Dataset)](
    effect: T,
    *,
    population: str = "SATE",
    treated: np.ndarray | None = None,
    rng: np.random.Generator | None = None,
) -> T:
    """Average an effect over units, draw by draw.

    Parameters
    ----------
    effect : DataArray or Dataset, dims (chain, draw, unit)
        Unit-level effects.
    population : {"SATE", "PATE", "ATT", "ATC"}
        Over whom: all units; the population they come from; the treated; the controls.
    treated : ndarray of bool or 0/1, shape (unit,), optional
        Who received the treatment; needed for ATT and ATC.
    rng : numpy.random.Generator, optional
        Needed for PATE, which draws Bayesian-bootstrap weights over units, one set a draw.

    Returns
    -------
    Same type, dims (chain, draw)
        In outcome units, with ``population`` in its attributes.

    Raises
    ------
    SpecError
        If the population is unknown or its extra argument is missing.

    References
    ----------
    Rubin, D. B. (1981). The Bayesian bootstrap. Annals of Statistics 9, 130-134.
    doi:10.1214/aos/1176345338
    """
    if population not in POPULATIONS:
        raise unknown_name("population", population, POPULATIONS)
    if population == "SATE":
        result = effect.mean(UNIT, skipna=False)
    elif population == "PATE":
        if rng is None:
            raise SpecError("population='PATE' draws random weights: pass rng=<Generator>.")
        shape = tuple(effect.sizes[d] for d in (*SAMPLE, UNIT))
        weights = xr.DataArray(rng.standard_exponential(shape), dims=(*SAMPLE, UNIT))
        result = (effect * weights).sum(UNIT, skipna=False) / weights.sum(UNIT)
    else:
        wanted = _arm_mask(treated, effect.sizes[UNIT], population)
        result = effect.isel({UNIT: wanted}).mean(UNIT, skipna=False)
    return _with_population(result, effect, population)


def _arm_mask(treated: np.ndarray | None, n_units: int, population: str) -> np.ndarray:
    """Return who belongs to ATT or ATC, shape (unit,)."""
    if treated is None or len(treated) != n_units:
        raise SpecError(f"population={population!r} needs treated= with one value a unit.")
    values = np.asarray(treated)
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
        If a draw is NaN.
    """
    if better not in ("higher", "lower"):
        raise unknown_name("direction for better", better, ("higher", "lower"))
    if not beyond >= 0:
        raise SpecError(f"beyond must be 0 or more (a size, not a direction), got {beyond}.")
    if not bool(np.isfinite(effect).all()):
        raise DataError(
            "the effect holds NaN or infinite values; a probability cannot be computed from it."
        )
    benefit = effect if better == "higher" else -effect
    return (benefit > beyond).mean(SAMPLE).rename("probability")


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
    """
    clear = max(float((te > minimal).mean()), float((te < -minimal).mean())) >= certainty
    if not clear:
        return None
    return (tnie / te).rename("proportion_mediated")
