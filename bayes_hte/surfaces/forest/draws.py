"""Posterior draws of forests as plain arrays: pack, store, and predict aligned with the draws.

Trees are kept in preorder: the left child of a split follows it, and the right child follows when
the left one's descendants are done. That takes 10 bytes a node, pickles between processes, goes to
zarr as it is, and predicts without the sampler that grew the trees.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
import xarray as xr

from bayes_hte.errors import SavedResultError
from bayes_hte.names import CHAIN, DRAW
from bayes_hte.threads import available_cores

LEAF = -1
CATEGORICAL = -2
MISSING_LEFT = 16_384  # added to the column of a split that sends missing values left
DEEPEST = 128  # a tree has at most 128 leaves
BLOCK = 1024  # rows handled together, so that their state stays in the nearest cache


@dataclass(frozen=True)
class PackedForest:
    """One draw of one forest.

    Attributes
    ----------
    feature : ndarray of int16, shape (node,)
        -1 at a leaf, j at a split on numeric column j (``MISSING_LEFT`` + j if it sends missing
        values left), -2 - j at a split on categorical column j.
    number : ndarray of float64, shape (node,)
        Value of a leaf; threshold of a numeric split (a row goes left where its value is at most
        this; infinite for the rule "is missing"); position in `mask` of a categorical split.
    mask : ndarray of uint64, shape (category_split,)
        Bit k is set where level k goes left.
    root : ndarray of int32, shape (tree,)
        Position of each tree's root.
    """

    feature: np.ndarray
    number: np.ndarray
    mask: np.ndarray
    root: np.ndarray


@dataclass(frozen=True)
class ForestDraw:
    """All forests of one model at one draw, in the order of the step's variables.

    One object and not several arrays, because PyMC stores a sampler statistic by assigning it to
    one cell of an array.

    Attributes
    ----------
    forests : tuple of PackedForest
        Empty while tuning.
    leaf_sd : ndarray, shape (forest,)
        Standard deviation of the leaf values' prior, which is itself sampled.
    leaves : ndarray, shape (forest,)
        Mean number of leaves of a tree.
    probabilities : tuple of ndarray, shape (feature,)
        Probability of each column at a root.
    """

    forests: tuple[PackedForest, ...]
    leaf_sd: np.ndarray
    leaves: np.ndarray
    probabilities: tuple[np.ndarray, ...]


def stack(draws: Sequence[Sequence[PackedForest]]) -> xr.Dataset:
    """Join the draws of one forest over chains.

    Parameters
    ----------
    draws : sequence (chain) of sequence (draw) of PackedForest
        All chains of equal length.

    Returns
    -------
    Dataset
        ``feature``, ``number`` over ``node``; ``mask`` over ``category_split``; ``root`` over
        (chain, draw, tree), the position of each tree among all nodes.
    """
    flat = [forest for chain in draws for forest in chain]
    feature = np.concatenate([f.feature for f in flat])
    number = np.concatenate([f.number for f in flat])
    sizes = [f.feature.size for f in flat]
    # Positions in the arrays of one draw become positions in those of all draws.
    masks_before = np.repeat(_starts([f.mask.size for f in flat]), sizes)
    number = number + np.where(feature <= CATEGORICAL, masks_before, 0)
    roots = np.stack([f.root + s for f, s in zip(flat, _starts(sizes), strict=True)])
    return xr.Dataset(
        {
            "feature": ("node", feature),
            "number": ("node", number),
            "mask": ("category_split", np.concatenate([f.mask for f in flat])),
            "root": ((CHAIN, DRAW, "tree"), roots.reshape(len(draws), -1, roots.shape[1])),
        }
    )


def _starts(sizes: Sequence[int]) -> np.ndarray:
    return np.cumsum([0, *sizes[:-1]], dtype=np.int64)


def count_splits(trees: xr.Dataset, columns: int) -> np.ndarray:
    """Count the splits of stored forests on each column, draw by draw.

    Parameters
    ----------
    trees : Dataset
        From :func:`stack`.
    columns : int
        Number of columns the forest was grown on.

    Returns
    -------
    ndarray of int64, shape (chain, draw, column)
    """
    feature, root = trees["feature"].to_numpy(), trees["root"].to_numpy()
    # In preorder a tree ends where its leaves first outnumber its splits.
    height = np.cumsum(np.where(feature == LEAF, -1, 1))
    tree = -np.minimum.accumulate(np.concatenate([[0], height[:-1]]))
    # Trees of draws that are no longer kept belong to none.
    draws = root.shape[0] * root.shape[1]
    draw_of = np.full(tree[-1] + 1, draws)
    draw_of[tree[root.reshape(draws, -1)]] = np.arange(draws)[:, None]
    split = feature != LEAF
    column = _column_of(feature)[split]
    place = draw_of[tree[split]] * columns + column
    counts = np.bincount(place, minlength=(draws + 1) * columns)[: draws * columns]
    return counts.reshape(*root.shape[:2], columns)


def _column_of(feature: np.ndarray) -> np.ndarray:
    """Return the column of each split, shape (node,); -1 at a leaf."""
    numeric = np.where(feature >= MISSING_LEFT, feature - MISSING_LEFT, feature)
    return np.where(feature <= CATEGORICAL, CATEGORICAL - feature, numeric)


def predict(trees: xr.Dataset, x: np.ndarray) -> np.ndarray:
    """Evaluate stored forests at rows, draw by draw.

    The draws are shared out over threads, one for each available core; every draw is evaluated by
    one thread in one order, so that the result does not depend on their number.

    Parameters
    ----------
    trees : Dataset
        From :func:`stack`.
    x : ndarray, shape (row, feature)
        The columns the forest was grown on, in the same encoding and order. NaN is a missing
        value, which goes to the side that each split on a column with missing values names.

    Returns
    -------
    ndarray of float64, shape (chain, draw, row)

    Raises
    ------
    SavedResultError
        If the trees look at a column that `x` does not have.
    """
    feature = trees["feature"].to_numpy()
    _check_columns(feature, x.shape[1])
    number, mask = trees["number"].to_numpy(), trees["mask"].to_numpy()
    root = trees["root"].to_numpy()
    flat = root.reshape(-1, root.shape[2])
    cut, codes = _coded(feature, number, x)
    out = np.zeros((flat.shape[0], x.shape[0]))

    def evaluate(part: slice) -> None:
        _predict(feature, number, cut, mask, flat[part], codes, out[part])

    workers = available_cores()
    edges = np.linspace(0, flat.shape[0], workers + 1).astype(int)
    with ThreadPoolExecutor(workers) as pool:
        # A list, because an error in a thread is raised when its result is asked for.
        list(pool.map(evaluate, [slice(*edge) for edge in itertools.pairwise(edges)]))
    return out.reshape(*root.shape[:2], x.shape[0])


def _check_columns(feature: np.ndarray, columns: int) -> None:
    if feature.size == 0:
        return
    furthest = int(_column_of(feature).max())
    if furthest >= columns:
        raise SavedResultError(
            f"stored trees look at column {furthest}, but only {columns} columns were given; "
            "encode the new rows with the design the model was fitted with."
        )


def _coded(feature: np.ndarray, number: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return thresholds and columns as small whole numbers, which compare many times faster.

    Parameters
    ----------
    feature, number : ndarray, shape (node,)
        As in :class:`PackedForest`.
    x : ndarray, shape (row, feature)
        The columns.

    Returns
    -------
    cut : ndarray, shape (node,)
        Rank of a numeric threshold among those of its column; 0 elsewhere.
    codes : ndarray, shape (feature, row)
        Thresholds below a number, or the level of a category; the largest number of the type for a
        missing value. A value is at most a threshold if its code is at most the rank.
    """
    column = _column_of(feature)
    numeric = feature > LEAF
    ranked = {j: np.unique(number[numeric & (column == j)]) for j in range(x.shape[1])}
    most = max((cuts.size for cuts in ranked.values()), default=0)
    # The largest code is that of missing values; levels are fewer than 64.
    kind = np.uint8 if most < np.iinfo(np.uint8).max else np.uint32
    cut = np.zeros(feature.size, dtype=kind)
    codes = np.zeros((x.shape[1], x.shape[0]), dtype=kind)
    for j, cuts in ranked.items():
        values = np.asarray(x[:, j], dtype=np.float64)
        if cuts.size:
            here = numeric & (column == j)
            cut[here] = np.searchsorted(cuts, number[here])
            found = np.searchsorted(cuts, values, side="left")
            codes[j] = np.where(np.isnan(values), np.iinfo(kind).max, found)
        elif (column == j).any():
            codes[j] = values
    return cut, codes


@numba.njit(cache=True, nogil=True)
def _predict(feature, number, cut, mask, root, x, out):
    # Whole blocks of rows walk through a tree together, in preorder. inside[d] marks the rows of
    # the node being visited at depth d: comparisons without branches, which become vector code.
    rows = out.shape[1]
    inside = np.ones((DEEPEST, BLOCK), np.bool_)
    above = np.empty(DEEPEST, np.int64)
    for draw in range(root.shape[0]):
        for start in range(0, rows, BLOCK):
            stop = min(start + BLOCK, rows)
            for tree in range(root.shape[1]):
                node, depth = root[draw, tree], 0
                while True:
                    if feature[node] != LEAF:
                        above[depth] = node
                        _narrow(
                            feature[node],
                            number[node],
                            cut[node],
                            mask,
                            x,
                            start,
                            stop,
                            inside,
                            depth,
                        )
                        depth += 1
                    else:
                        _add(number[node], inside[depth], out[draw, start:stop])
                        # Back to the nearest split of which the right side is still to come.
                        while depth > 0 and above[depth - 1] < 0:
                            depth -= 1
                        if depth == 0:
                            break
                        above[depth - 1] = -1
                        _turn(inside, depth, stop - start)
                    node += 1


@numba.njit(cache=True, nogil=True)
def _narrow(feature, number, cut, mask, x, start, stop, inside, depth):
    # The rows that go left.
    if feature >= MISSING_LEFT:
        code = x[feature - MISSING_LEFT, start:stop]
        missing = code.dtype.type(-1)
        for i in range(stop - start):
            inside[depth + 1, i] = inside[depth, i] & ((code[i] <= cut) | (code[i] == missing))
    elif feature >= 0:
        code = x[feature, start:stop]
        for i in range(stop - start):
            inside[depth + 1, i] = inside[depth, i] & (code[i] <= cut)
    else:
        column, levels = CATEGORICAL - feature, mask[int(number)]
        for i in range(stop - start):
            left = (levels >> np.uint64(x[column, start + i])) & np.uint64(1) != np.uint64(0)
            inside[depth + 1, i] = inside[depth, i] & left


@numba.njit(cache=True, nogil=True)
def _turn(inside, depth, rows):
    # From the rows of a left child to those of its sibling; the parent's stand one level up.
    for i in range(rows):
        inside[depth, i] = inside[depth - 1, i] & ~inside[depth, i]


@numba.njit(cache=True, nogil=True)
def _add(value, inside, out):
    for i in range(out.size):
        out[i] += value if inside[i] else 0.0
