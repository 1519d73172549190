"""Arrays that hold trees, rows and priors as the compiled moves of forests see them.

A tree is a row of fixed node slots. Slot 0 is the root; the children of a split are a pair of
neighbouring slots. `slot_of` holds the leaf of every row.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LEAF, FREE = -1, -2
# Slots of a tree: 128 leaves. Slot 255 exists for no row, which pads lists of leaves.
SLOTS, NOWHERE = 255, 255
NODE = np.dtype(
    [
        ("mask", np.uint64),  # levels that go left; 1 if missing goes left, of a split on numbers
        ("value", np.float64),  # of a leaf
        ("count", np.int32),  # rows
        ("open", np.int32),  # columns that still have a rule here
        ("feature", np.int16),  # column of a split, or LEAF, or FREE
        ("cut", np.int16),  # code up to which rows go left; -1 for a split on categories
        ("left", np.int16),  # slot of the left child; the right child is the next
        ("parent", np.int16),
        ("depth", np.int16),
    ],
    align=True,
)
MISSING = 255  # code of a missing number, in columns that may have some
IS_MISSING = 254  # cut of the rule "is missing" there; other cuts are below it
ONE, ZERO = np.uint64(1), np.uint64(0)


class Grid(NamedTuple):
    """The rows as the kernel sees them.

    Attributes
    ----------
    codes : ndarray of uint8, shape (feature, row)
        Number of cuts below a value, or the level of a category; `MISSING` for a missing number.
    cuts : ndarray of int64, shape (feature,)
        Number of cuts of a numeric column.
    levels : ndarray of int64, shape (feature,)
        Number of levels of a categorical column, 0 for a numeric one.
    columns : ndarray of int64, shape (usable,)
        The columns that have a rule at the root.
    missing : ndarray of bool, shape (feature,)
        Whether a numeric column may have missing values: a split on it says to which side they go,
        and "is missing" is a rule of its own.
    """

    codes: np.ndarray
    cuts: np.ndarray
    levels: np.ndarray
    columns: np.ndarray
    missing: np.ndarray


class Shares(NamedTuple):
    """Which column a split takes: probabilities of variables, each of one column or several.

    Attributes
    ----------
    variable : ndarray of int64, shape (feature,)
        Variable of a column; -1 for the reserved column and for columns without rules.
    start : ndarray of int64, shape (variable + 1,)
        Where the columns of a variable begin in `members`.
    members : ndarray of int64, shape (member,)
        Columns, variable by variable.
    log_share, share, cumulative : ndarray, shape (variable,)
        Logarithms of the probabilities, the probabilities, and their running sum.
    concentration : ndarray, shape (1,)
        Parameter of the symmetric Dirichlet distribution of the probabilities.
    reserved : int
        A column that has a probability of its own, wherever it is open; -1 for none.
    reserve : float
        That probability.
    """

    variable: np.ndarray
    start: np.ndarray
    members: np.ndarray
    log_share: np.ndarray
    share: np.ndarray
    cumulative: np.ndarray
    concentration: np.ndarray
    reserved: int
    reserve: float


class Law(NamedTuple):
    """The prior of a tree: probability of a split by depth, and what makes a tree valid."""

    split: np.ndarray
    min_leaf: int
    max_depth: int


class Forests(NamedTuple):
    """All forests of one linear predictor, the arrays of one after those of the other.

    One object of one type, however many forests there are, so that the compiled sweep takes all of
    them in one call.

    Attributes
    ----------
    nodes : structured ndarray, shape (tree, slot)
        The trees.
    tops : ndarray of int64, shape (tree,)
        Slots in use of each tree.
    slots : ndarray of uint8, shape (tree, row)
        Leaf of each row.
    codes, cuts, levels, columns, missing : ndarray
        As in :class:`Grid`; columns are counted within their forest.
    variable, start, members, log_share, share, cumulative, concentration, reserved, reserve
        As in :class:`Shares`.
    split, min_leaf, max_depth : ndarray, shape (forest, depth) and (forest,)
        As in :class:`Law`.
    basis, f : ndarray, shape (forest, row)
        Factor and value of each forest.
    unit, variance : ndarray, shape (forest,)
        Variance of the leaf values at a multiplier of 1, and the current one.
    leaves : ndarray of int64, shape (forest,)
        Number of leaves of all trees.
    adaptive, learn : ndarray of bool, shape (forest,)
        Whether the scale, and the probabilities of the columns, are sampled.
    active : ndarray of bool, shape (forest,)
        Whether a sweep updates the forest; one that waits keeps its values.
    first : ndarray of int64, shape (forest + 1, 5)
        Where the arrays of a forest begin: trees, features, columns, variables, members.
    """

    nodes: np.ndarray
    tops: np.ndarray
    slots: np.ndarray
    codes: np.ndarray
    cuts: np.ndarray
    levels: np.ndarray
    columns: np.ndarray
    missing: np.ndarray
    variable: np.ndarray
    start: np.ndarray
    members: np.ndarray
    log_share: np.ndarray
    share: np.ndarray
    cumulative: np.ndarray
    concentration: np.ndarray
    reserved: np.ndarray
    reserve: np.ndarray
    split: np.ndarray
    min_leaf: np.ndarray
    max_depth: np.ndarray
    basis: np.ndarray
    f: np.ndarray
    unit: np.ndarray
    variance: np.ndarray
    leaves: np.ndarray
    adaptive: np.ndarray
    learn: np.ndarray
    active: np.ndarray
    first: np.ndarray
