"""Compiled rules of splits: those that are open at a node, and draws of new ones."""

from __future__ import annotations

import math

import numba
import numpy as np

from bayes_hte.surfaces.forest.layout import IS_MISSING, ONE, ZERO

TRIES = 16  # draws of a column that may be closed, before the open ones are listed
NEAR = 20  # a cut is nudged by up to one part in so many of the grid
MISSING_RULE = 0.25  # prior probability of that rule, where there are others


@numba.njit
def _open_cuts(tree, node, feature, cuts, gaps):
    # The cuts that the splits above leave open, as first and last, none if last < first; and
    # whether "is missing" is open too, which needs a column with gaps and both kinds of rows here.
    first, last = 0, cuts - 1
    while node > 0:
        above = tree[node].parent
        if tree[above].feature == feature:
            cut, left = tree[above].cut, node == tree[above].left
            if gaps and cut == IS_MISSING:
                if not left:
                    return 0, -1, False
                gaps = False
            else:
                if left:
                    last = min(last, cut - 1)
                else:
                    first = max(first, cut + 1)
                gaps = gaps and left == (tree[above].mask == ONE)
        node = above
    return first, last, gaps


@numba.njit
def _open_levels(tree, node, feature, levels):
    possible = (ONE << np.uint64(levels)) - ONE
    while node > 0:
        above = tree[node].parent
        if tree[above].feature == feature:
            if node == tree[above].left:
                possible &= tree[above].mask
            else:
                possible &= ~tree[above].mask
        node = above
    return possible


@numba.njit
def _is_one_level(mask):
    return (mask & (mask - ONE)) == ZERO


@numba.njit
def _draw_subset(possible, rng):
    while True:
        low = np.uint64(rng.random() * 4294967296.0)
        high = np.uint64(rng.random() * 4294967296.0)
        mask = (low | (high << np.uint64(32))) & possible
        if mask not in (ZERO, possible):
            return mask


@numba.njit
def _is_open(tree, node, feature, grid):
    if grid.levels[feature] > 0:
        return not _is_one_level(_open_levels(tree, node, feature, grid.levels[feature]))
    first, last, gaps = _open_cuts(tree, node, feature, grid.cuts[feature], grid.missing[feature])
    return first <= last or gaps


@numba.njit
def count_open(tree, node, variable, grid, shares):
    """Count the columns of a variable that have a rule at a node."""
    count = 0
    for m in range(shares.start[variable], shares.start[variable + 1]):
        count += _is_open(tree, node, shares.members[m], grid)
    return count


@numba.njit
def _draw_member(tree, node, variable, grid, shares, rng):
    # One of a variable's open columns, each as probable as the others; -1 if none is open.
    first, stop = shares.start[variable], shares.start[variable + 1]
    if stop - first == 1:
        feature = shares.members[first]
        return feature if _is_open(tree, node, feature, grid) else -1
    count = count_open(tree, node, variable, grid, shares)
    if count == 0:
        return -1
    rank = int(rng.random() * count)
    for m in range(first, stop):
        if _is_open(tree, node, shares.members[m], grid):
            if rank == 0:
                return shares.members[m]
            rank -= 1
    return -1


@numba.njit
def _draw_column(tree, node, grid, shares, rng):
    # The reserved column with its own probability, else a variable with its share among those that
    # have an open column: drawn until one is open, or from a list if that takes too long, which is
    # the same distribution.
    kept = shares.reserved >= 0 and _is_open(tree, node, shares.reserved, grid)
    if kept and (tree[node].open == 1 or rng.random() < shares.reserve):
        return shares.reserved
    last = shares.share.size - 1
    for _ in range(TRIES):
        drawn = min(np.searchsorted(shares.cumulative, rng.random(), side="right"), last)
        feature = _draw_member(tree, node, drawn, grid, shares, rng)
        if feature >= 0:
            return feature
    top = -np.inf
    for k in range(last + 1):
        if shares.log_share[k] > top and count_open(tree, node, k, grid, shares) > 0:
            top = shares.log_share[k]
    weights = np.zeros(last + 1)
    for k in range(last + 1):
        if count_open(tree, node, k, grid, shares) > 0:
            weights[k] = math.exp(shares.log_share[k] - top)
    weights = np.cumsum(weights)
    drawn = np.searchsorted(weights, rng.random() * weights[last], side="right")
    return _draw_member(tree, node, drawn, grid, shares, rng)


@numba.njit
def draw_rule(tree, node, grid, shares, rng):
    """Draw from the rule prior: column, cut, mask, and the columns left open to either child."""
    here = tree[node].open
    feature = _draw_column(tree, node, grid, shares, rng)
    if grid.levels[feature] > 0:
        possible = _open_levels(tree, node, feature, grid.levels[feature])
        mask = _draw_subset(possible, rng)
        left, right = here - _is_one_level(mask), here - _is_one_level(possible & ~mask)
        return feature, -1, mask, left, right
    first, last, gaps = _open_cuts(tree, node, feature, grid.cuts[feature], grid.missing[feature])
    if gaps and (first > last or rng.random() < MISSING_RULE):
        return feature, IS_MISSING, ZERO, here - (first > last), here - 1
    cut = first + int(rng.random() * (last - first + 1))
    side = ONE if gaps and rng.random() < 0.5 else ZERO
    left, right = _left_open(here, cut, side, first, last, gaps)
    return feature, cut, side, left, right


@numba.njit
def _left_open(here, cut, side, first, last, gaps):
    # Columns with a rule in either child of a cut: this one stays open where missing values go.
    left = here - (cut == first and not (gaps and side == ONE))
    right = here - (cut == last and not (gaps and side == ZERO))
    return left, right


@numba.njit
def nudge_rule(tree, node, grid, rng):
    """Draw a neighbour of a split's rule on the same column, proposed as often as the way back.

    That is another side for one level or for missing values, or a cut some steps away. A rule that
    cannot be has -2 for its cut.
    """
    feature, here = tree[node].feature, tree[node].open
    if grid.levels[feature] > 0:
        possible = _open_levels(tree, node, feature, grid.levels[feature])
        level = ONE << np.uint64(rng.random() * grid.levels[feature])
        mask = tree[node].mask ^ level
        if (level & possible) == ZERO or mask in (ZERO, possible):
            return feature, -2, mask, here, here
        left, right = here - _is_one_level(mask), here - _is_one_level(possible & ~mask)
        return feature, -1, mask, left, right
    first, last, gaps = _open_cuts(tree, node, feature, grid.cuts[feature], grid.missing[feature])
    side, cut = tree[node].mask, tree[node].cut
    if gaps and cut == IS_MISSING:
        return feature, -2, side, here, here
    if gaps and rng.random() < 0.5:
        side = ONE - side
    else:
        step = 1 + int(rng.random() * max(1, grid.cuts[feature] // NEAR))
        cut = cut + (step if rng.random() < 0.5 else -step)
        if cut < first or cut > last:
            cut = -2
    left, right = _left_open(here, cut, side, first, last, gaps)
    return feature, cut, side, left, right
