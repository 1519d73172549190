"""Reading a posterior of effects: checks of its shape, averages in chunks, draws with labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.arguments import check_generator
from bayes_hte.errors import DataError, SpecError
from bayes_hte.names import SAMPLE, UNIT

CELLS_AT_ONCE = 250_000
"""Draws times units held in float64 at once, so that memory does not grow with the posterior."""

BENEFIT = "benefit in outcome units, positive is good"
"""Scale of quantities that are positive where the patient benefits."""


def effect_rows(effect: xr.DataArray) -> np.ndarray:
    """Return the draws of a unit-level effect as rows.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit) in any order
        Effects of one contrast, in outcome units.

    Returns
    -------
    ndarray, shape (chain * draw, unit)
        In the type of `effect`; a view where the dims are in order.

    Raises
    ------
    DataError
        If the dims differ, there are fewer than two units, or a value is not finite.
    """
    if not isinstance(effect, xr.DataArray) or set(effect.dims) != {*SAMPLE, UNIT}:
        got = effect.dims if isinstance(effect, xr.DataArray) else type(effect).__name__
        raise DataError(
            f"effect must be a DataArray with dims {(*SAMPLE, UNIT)}, got {got}; "
            "select one contrast first."
        )
    if effect.sizes[UNIT] < 2:
        raise DataError("effect has fewer than two units; at least two can be compared.")
    rows = effect.transpose(*SAMPLE, UNIT).to_numpy().reshape(-1, effect.sizes[UNIT])
    # Extremes carry NaN and infinity along without a temporary the size of the posterior.
    if not np.isfinite([rows.min(), rows.max()]).all():
        raise DataError("effect holds NaN or infinite values.")
    return rows


def units_of(effect: xr.DataArray) -> pd.Index:
    """Return the labels of the units (positions if the effect carries none), shape (unit,)."""
    return effect.get_index(UNIT)


def shares_of_units(fractions: Sequence[float], *, increasing: bool = False) -> np.ndarray:
    """Return shares of the units as numbers, shape (fraction,).

    Raises
    ------
    SpecError
        If they are not in (0, 1], or do not increase where they must.
    """
    try:
        shares = np.atleast_1d(np.asarray(fractions, dtype=np.float64))
    except (TypeError, ValueError):
        shares = np.array([np.nan])
    fit = ((shares > 0) & (shares <= 1)).all() and (not increasing or (np.diff(shares) > 0).all())
    if not (shares.size and fit):
        rule = "increase within (0, 1]" if increasing else "be shares in (0, 1]"
        raise SpecError(f"fractions must {rule}, got {fractions!r}; for instance [0.1, 0.2].")
    return shares


def posterior_mean(rows: np.ndarray) -> np.ndarray:
    """Return the posterior mean effect of each unit, shape (unit,), float64."""
    return rows.mean(axis=0, dtype=np.float64)


def row_chunks(n_draws: int, n_units: int) -> Iterator[slice]:
    """Yield slices of draws that hold at most `CELLS_AT_ONCE` numbers each."""
    step = max(1, CELLS_AT_ONCE // n_units)
    for start in range(0, n_draws, step):
        yield slice(start, min(start + step, n_draws))


def weighted_means(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average draws over units with several sets of weights, in float64.

    Parameters
    ----------
    rows : ndarray, shape (draw, unit)
        Draws of the effect.
    weights : ndarray, shape (unit, set)
        Non-negative weights, each set with a positive sum.

    Returns
    -------
    ndarray of float64, shape (draw, set)
    """
    shares = weights / weights.sum(axis=0)
    chunks = row_chunks(*rows.shape)
    return np.concatenate([rows[c].astype(np.float64) @ shares for c in chunks])


def bootstrap_sums(rng: np.random.Generator, columns: np.ndarray, n_draws: int) -> np.ndarray:
    """Sum columns over units under Bayesian-bootstrap weights, one set of weights per draw.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the weights.
    columns : ndarray, shape (unit, column)
        The terms of the sums.
    n_draws : int
        Number of draws.

    Returns
    -------
    ndarray of float64, shape (draw, column)
        Up to one factor per draw: only ratios of columns mean something.

    References
    ----------
    Rubin, D. B. (1981). The Bayesian bootstrap. Annals of Statistics 9, 130-134.
    doi:10.1214/aos/1176345338
    """
    check_generator(rng)
    n_units = columns.shape[0]
    return np.concatenate(
        [
            rng.standard_exponential((c.stop - c.start, n_units)) @ columns
            for c in row_chunks(n_draws, n_units)
        ]
    )


def as_draws(
    values: np.ndarray,
    effect: xr.DataArray,
    name: str,
    axis: tuple[str, object] | None = None,
    *,
    scale: str | None = None,
) -> xr.DataArray:
    """Give rows of draws their chain and draw dimensions back, with a name and a scale.

    Parameters
    ----------
    values : ndarray, shape (chain * draw,) or (chain * draw, k)
        One row per draw, in the order of :func:`effect_rows`.
    effect : DataArray, dims (chain, draw, unit)
        The effect they came from; lends coordinates, contrast and scale.
    name : str
        Name of the quantity.
    axis : (str, labels), optional
        Name and labels of the second dimension of `values`.
    scale : str, optional
        Scale of the values; that of the effect by default.

    Returns
    -------
    DataArray, dims (chain, draw) or (chain, draw, axis)
        Attributes: ``scale``, ``population``, and ``contrast`` if the effect names one.
    """
    sizes = tuple(effect.sizes[d] for d in SAMPLE)
    coords = {d: effect[d] for d in SAMPLE if d in effect.coords}
    dims = SAMPLE if axis is None else (*SAMPLE, axis[0])
    if axis is not None:
        coords[axis[0]] = axis[1]
    shaped = values.reshape(*sizes, *values.shape[1:])
    attrs = {k: effect.attrs[k] for k in ("contrast",) if k in effect.attrs}
    attrs["scale"] = scale or effect.attrs.get("scale", "response")
    attrs["population"] = f"SATE of the {effect.sizes[UNIT]} units given"
    return xr.DataArray(shaped, dims=dims, coords=coords, name=name, attrs=attrs)


def places(benefit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rank units by decreasing benefit and mark where ties end.

    Parameters
    ----------
    benefit : ndarray, shape (unit,)
        Larger is better.

    Returns
    -------
    order : ndarray of int, shape (unit,)
        Positions of the units, the most beneficial first; order within a tie is arbitrary.
    ends : ndarray of int, shape (distinct value,)
        Last place of each run of equal benefits, so that callers need not depend on that order.
    """
    order = np.argsort(-benefit)
    change = np.diff(benefit[order]) != 0
    return order, np.append(np.flatnonzero(change), benefit.size - 1)
