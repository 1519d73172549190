"""From posterior draws to subgroups: average effects, and probabilities of membership.

Draws are read in blocks, so that the memory needed does not grow with their number. No array of
size unit by unit is ever formed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr

from bayes_hte.names import CHAIN, DRAW, SAMPLE, SUBGROUP, UNIT

# Numbers held in one block of draws: 2 MB in double precision, about a processor's cache.
BLOCK_SIZE = 250_000


def draw_blocks(effect: xr.DataArray) -> Iterator[tuple[int, slice, np.ndarray]]:
    """Read the draws of an effect in blocks.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit) in any order
        May be in single precision, or a dask array on disk.

    Yields
    ------
    chain : int
        Position of the chain.
    draws : slice
        Positions of the draws within the chain.
    values : ndarray of float64, shape (draws in the block, unit)
    """
    step = _draws_per_block(effect.sizes[UNIT])
    for chain in range(effect.sizes[CHAIN]):
        for start in range(0, effect.sizes[DRAW], step):
            draws = slice(start, min(start + step, effect.sizes[DRAW]))
            block = effect.isel({CHAIN: chain, DRAW: draws}).transpose(DRAW, UNIT)
            yield chain, draws, np.asarray(block.values, dtype=np.float64)


def posterior_mean(effect: xr.DataArray) -> np.ndarray:
    """Average the draws of each unit.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit)

    Returns
    -------
    ndarray of float64, shape (unit,)
        NaN or infinite for a unit with a draw that is.
    """
    total = np.zeros(effect.sizes[UNIT])
    for _, _, values in draw_blocks(effect):
        total += values.sum(axis=0)
    return total / (effect.sizes[CHAIN] * effect.sizes[DRAW])


def subgroup_effects(effect: xr.DataArray, labels: np.ndarray) -> xr.DataArray:
    """Average an effect over the units of each subgroup, draw by draw.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit)
        Unit-level draws.
    labels : ndarray of int, shape (unit,)
        Subgroup of each unit, 0 to K - 1, none empty.

    Returns
    -------
    DataArray, dims (chain, draw, subgroup)
        In outcome units; attributes as in `effect`, with population SATE.
    """
    weights = np.eye(labels.max() + 1)[labels]
    weights /= weights.sum(axis=0)
    shape = (effect.sizes[CHAIN], effect.sizes[DRAW], weights.shape[1])
    averages = np.empty(shape)
    for chain, draws, values in draw_blocks(effect):
        averages[chain, draws] = values @ weights
    return xr.DataArray(
        averages,
        dims=(*SAMPLE, SUBGROUP),
        coords={d: effect[d] for d in SAMPLE} | {SUBGROUP: np.arange(weights.shape[1])},
        name=effect.name,
        attrs={**effect.attrs, "population": "SATE"},
    )


def membership_probabilities(
    effects: Sequence[xr.DataArray], centres: Sequence[xr.DataArray], scales: np.ndarray
) -> np.ndarray:
    """Return the share of draws in which each unit is nearest to the centre of each subgroup.

    In every draw the centre of a subgroup is its average effect *in that draw*. A difference that
    all units share (a draw in which the treatment works better for everyone) therefore does not
    blur the membership: adding any number to all units of a draw changes nothing.

    Parameters
    ----------
    effects : sequence of DataArray, dims (chain, draw, unit)
        The effect, or the effects that were clustered jointly.
    centres : sequence of DataArray, dims (chain, draw, subgroup)
        Subgroup averages of each effect, from :func:`subgroup_effects`.
    scales : ndarray, shape (effect,)
        The divisor of each effect in distances.

    Returns
    -------
    ndarray, shape (unit, subgroup)
        Rows sum to 1. A unit that is equally near to two centres counts for the lower number.
    """
    counts = np.zeros((centres[0].sizes[SUBGROUP], effects[0].sizes[UNIT]))
    for _, _, squared in squared_distances(effects, centres, scales):
        _count_nearest(counts, squared)
    return counts.T / (effects[0].sizes[CHAIN] * effects[0].sizes[DRAW])


def squared_distances(
    effects: Sequence[xr.DataArray], centres: Sequence[xr.DataArray], scales: np.ndarray
) -> Iterator[tuple[int, slice, np.ndarray]]:
    """Measure in every draw the distance of each unit from each subgroup's centre, in blocks.

    Parameters
    ----------
    effects, centres, scales
        As in :func:`membership_probabilities`.

    Yields
    ------
    chain : int
        Position of the chain.
    draws : slice
        Positions of the draws within the chain.
    squared : ndarray, shape (subgroup, draws in the block, unit)
        Squared distances, scaled. Overwritten by the next block.
    """
    n_units, n_subgroups = effects[0].sizes[UNIT], centres[0].sizes[SUBGROUP]
    # Reused by every block: fresh arrays of this size cost more than the arithmetic on them.
    distances = np.empty((n_subgroups, _draws_per_block(n_units), n_units))
    gap = np.empty(distances.shape[1:])
    for blocks in zip(*map(draw_blocks, effects), strict=True):
        chain, draws, first = blocks[0]
        squared, gap_here = distances[:, : len(first)], gap[: len(first)]
        squared.fill(0.0)
        for (_, _, values), centre, scale in zip(blocks, centres, scales, strict=True):
            middle = centre.to_numpy()[chain, draws]
            for subgroup in range(n_subgroups):
                np.subtract(values, middle[:, [subgroup]], out=gap_here)
                gap_here *= 1 / scale
                gap_here *= gap_here
                squared[subgroup] += gap_here
        yield chain, draws, squared


def _count_nearest(counts: np.ndarray, distances: np.ndarray) -> None:
    """Add to `counts` (subgroup, unit) the draws of `distances` (subgroup, draw, unit)."""
    smallest = np.minimum.reduce(distances)
    free = np.ones(smallest.shape, dtype=bool)
    for subgroup, distance in enumerate(distances):
        here = free & (distance == smallest)
        free &= ~here
        counts[subgroup] += here.view(np.uint8).sum(axis=0, dtype=np.uint32)


def _draws_per_block(n_units: int) -> int:
    return max(1, BLOCK_SIZE // n_units)
