"""Posterior draws of forests as plain arrays: pack, store, and predict aligned with the draws.

Trees are kept in preorder: the left child of a split follows it, the right child stands `right`
nodes further on. This needs 14 bytes a node, pickles between processes, goes to zarr as it is, and
predicts without the library that grew the trees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import xarray as xr

from bayes_hte.errors import SavedResultError
from bayes_hte.names import CHAIN, DRAW

LEAF = -1


@dataclass(frozen=True)
class PackedForest:
    """One draw of one forest.

    Attributes
    ----------
    feature : ndarray of int16, shape (node,)
        Column a split looks at, or -1 at a leaf.
    number : ndarray of float64, shape (node,)
        Threshold of a split (a row goes left where its value is at most this), value of a leaf.
    right : ndarray of int32, shape (node,)
        Distance to the right child; 0 at a leaf.
    root : ndarray of int32, shape (tree,)
        Position of each tree's root.
    """

    feature: np.ndarray
    number: np.ndarray
    right: np.ndarray
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
    """

    forests: tuple[PackedForest, ...]
    leaf_sd: np.ndarray
    leaves: np.ndarray


def pack(forest: Any) -> PackedForest:
    """Copy the trees of a live stochtree forest into arrays.

    Parameters
    ----------
    forest : stochtree_cpp.ForestCpp
        The forest of the sampler (``Forest.forest_cpp``), univariate leaves, numeric splits.

    Returns
    -------
    PackedForest
    """
    feature: list[int] = []
    number: list[float] = []
    right: list[int] = []
    root: list[int] = []
    for tree in range(forest.NumTrees()):
        root.append(len(feature))
        _pack_node(forest, tree, 0, feature, number, right)
    return PackedForest(
        np.array(feature, dtype=np.int16),
        np.array(number, dtype=np.float64),
        np.array(right, dtype=np.int32),
        np.array(root, dtype=np.int32),
    )


def _pack_node(
    forest: Any, tree: int, node: int, feature: list[int], number: list[float], right: list[int]
) -> None:
    if forest.IsLeafNode(tree, node):
        feature.append(LEAF)
        number.append(forest.NodeLeafValues(tree, node)[0])
        right.append(0)
        return
    here = len(feature)
    feature.append(forest.SplitIndex(tree, node))
    number.append(forest.SplitThreshold(tree, node))
    right.append(0)
    _pack_node(forest, tree, forest.LeftChildNode(tree, node), feature, number, right)
    right[here] = len(feature) - here
    _pack_node(forest, tree, forest.RightChildNode(tree, node), feature, number, right)


def stack(draws: Sequence[Sequence[PackedForest]]) -> xr.Dataset:
    """Join the draws of one forest over chains.

    Parameters
    ----------
    draws : sequence (chain) of sequence (draw) of PackedForest
        All chains of equal length.

    Returns
    -------
    Dataset
        ``feature``, ``number``, ``right`` over ``node``; ``root`` over (chain, draw, tree), the
        position of each tree among all nodes.
    """
    flat = [forest for chain in draws for forest in chain]
    sizes = np.array([f.feature.size for f in flat], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    roots = np.stack([f.root + s for f, s in zip(flat, starts, strict=True)])
    return xr.Dataset(
        {
            "feature": ("node", np.concatenate([f.feature for f in flat])),
            "number": ("node", np.concatenate([f.number for f in flat])),
            "right": ("node", np.concatenate([f.right for f in flat])),
            "root": ((CHAIN, DRAW, "tree"), roots.reshape(len(draws), -1, roots.shape[1])),
        }
    )


def predict(trees: xr.Dataset, x: np.ndarray) -> np.ndarray:
    """Evaluate stored forests at rows, draw by draw.

    Parameters
    ----------
    trees : Dataset
        From :func:`stack`.
    x : ndarray, shape (row, feature)
        The columns the forest was grown on, in the same encoding and order.

    Returns
    -------
    ndarray of float64, shape (chain, draw, row)

    Raises
    ------
    SavedResultError
        If the trees look at a column that `x` does not have.
    """
    feature = trees["feature"].to_numpy()
    if feature.size and int(feature.max()) >= x.shape[1]:
        raise SavedResultError(
            f"stored trees look at column {int(feature.max())}, but only {x.shape[1]} columns were "
            "given; encode the new rows with the design the model was fitted with."
        )
    root = trees["root"].to_numpy()
    out = np.zeros((root.shape[0] * root.shape[1], x.shape[0]))
    _predict(
        feature,
        trees["number"].to_numpy(),
        trees["right"].to_numpy(),
        root.reshape(-1, root.shape[2]),
        np.ascontiguousarray(x, dtype=np.float64),
        out,
    )
    return out.reshape(*root.shape[:2], x.shape[0])


@numba.njit(cache=True, nogil=True)
def _predict(feature, number, right, root, x, out):
    for draw in range(root.shape[0]):
        for tree in range(root.shape[1]):
            start = root[draw, tree]
            for row in range(x.shape[0]):
                node = start
                while feature[node] >= 0:
                    if x[row, feature[node]] <= number[node]:
                        node += 1
                    else:
                        node += right[node]
                out[draw, row] += number[node]
