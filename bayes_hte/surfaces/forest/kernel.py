"""The compiled part of the forest sampler: moves of trees, leaf draws, draws from the tree prior.

A tree is a row of fixed node slots. Slot 0 is the root; the children of a split are a pair of
neighbouring slots. `slot_of` holds the leaf of every row, so a sum over a leaf is one comparison of
small integers per row, which the compiler turns into vector code; that is why whole passes over the
rows are made, leaf by leaf, where a gather would touch fewer rows.

During a sweep ``u_i = w_i r_i`` with ``w_i = b_i^2 p_i`` replaces the residual r: u and w hold all
that a tree needs of basis b, precision p and residual.

All compiled functions stand in this one file because numba's cache on disk notices a change of the
file a function stands in, and not of the files it calls into.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np

from bayes_hte.surfaces.forest.draws import MISSING_LEFT

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
GROW, PRUNE = 0.3, 0.3  # probability of each move; the rest changes a rule
NUDGE = 0.5  # share of the new rules that stay near the old one
TRIES = 16  # draws of a column that may be closed, before the open ones are listed
LOWEST = -600.0  # logarithm of the smallest probability of a variable; exp of it is not 0
NEAR = 20  # a cut is nudged by up to one part in so many of the grid
MISSING = 255  # code of a missing number, in columns that may have some
IS_MISSING = 254  # cut of the rule "is missing" there; other cuts are below it
MISSING_RULE = 0.25  # prior probability of that rule, where there are others
ONE, ZERO = np.uint64(1), np.uint64(0)
# Sums may be reordered (that is what makes them vector code); NaN and infinity keep their meaning.
FAST = {"reassoc", "contract", "nsz"}


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


# --- rules -----------------------------------------------------------------------------------


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
def _count_open(tree, node, variable, grid, shares):
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
    count = _count_open(tree, node, variable, grid, shares)
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
        if shares.log_share[k] > top and _count_open(tree, node, k, grid, shares) > 0:
            top = shares.log_share[k]
    weights = np.zeros(last + 1)
    for k in range(last + 1):
        if _count_open(tree, node, k, grid, shares) > 0:
            weights[k] = math.exp(shares.log_share[k] - top)
    weights = np.cumsum(weights)
    drawn = np.searchsorted(weights, rng.random() * weights[last], side="right")
    return _draw_member(tree, node, drawn, grid, shares, rng)


@numba.njit
def _draw_rule(tree, node, grid, shares, rng):
    # From the rule prior: column, cut, mask, and the columns left open to either child.
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
def _nudge_rule(tree, node, grid, rng):
    # A neighbour of a split's rule on the same column, proposed as often as the way back: another
    # side for one level or for missing values, or a cut some steps away. A rule that cannot be has
    # -2 for its cut.
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


# --- passes over the rows ----------------------------------------------------------------------

# A row goes right if its code is above the cut. Where missing values go left, 1 is added to both:
# the code of missing, 255, becomes 0 as bytes wrap.


@numba.njit
def _count_right(leaf, slot_of, code, cut, mask):
    leaf = np.uint8(leaf)
    count = 0
    if cut >= 0:
        side = np.uint8(mask)
        cut = np.uint8(cut + side)
        for i in range(slot_of.size):
            count += (slot_of[i] == leaf) & (np.uint8(code[i] + side) > cut)
    else:
        for i in range(slot_of.size):
            count += (slot_of[i] == leaf) & (((mask >> np.uint64(code[i])) & ONE) == ZERO)
    return count


@numba.njit(fastmath=FAST)
def _sum_right(leaf, slot_of, code, cut, mask, u, w):
    leaf = np.uint8(leaf)
    sum_u = sum_w = 0.0
    if cut >= 0:
        side = np.uint8(mask)
        cut = np.uint8(cut + side)
        for i in range(slot_of.size):
            if (slot_of[i] == leaf) & (np.uint8(code[i] + side) > cut):
                sum_u += u[i]
                sum_w += w[i]
    else:
        for i in range(slot_of.size):
            if (slot_of[i] == leaf) & (((mask >> np.uint64(code[i])) & ONE) == ZERO):
                sum_u += u[i]
                sum_w += w[i]
    return sum_u, sum_w


@numba.njit(fastmath=FAST)
def _sum_leaf(leaf, slot_of, u, w):
    leaf = np.uint8(leaf)
    sum_u = sum_w = 0.0
    for i in range(slot_of.size):
        if slot_of[i] == leaf:
            sum_u += u[i]
            sum_w += w[i]
    return sum_u, sum_w


@numba.njit
def _send(leaf, left, slot_of, code, cut, mask):
    # Rows of a leaf go to the slots `left` and `left + 1`.
    leaf, left, right = np.uint8(leaf), np.uint8(left), np.uint8(left + 1)
    if cut >= 0:
        side = np.uint8(mask)
        cut = np.uint8(cut + side)
        for i in range(slot_of.size):
            to = right if np.uint8(code[i] + side) > cut else left
            slot_of[i] = to if slot_of[i] == leaf else slot_of[i]
    else:
        for i in range(slot_of.size):
            to = right if ((mask >> np.uint64(code[i])) & ONE) == ZERO else left
            slot_of[i] = to if slot_of[i] == leaf else slot_of[i]


@numba.njit(fastmath=FAST)
def _gather(tree, node, slot_of, u, w):
    # Take the two leaves below a node back into it, without a value.
    for side in range(2):
        leaf = tree[node].left + side
        here, up, value = np.uint8(leaf), np.uint8(node), tree[leaf].value
        for i in range(slot_of.size):
            inside = slot_of[i] == here
            u[i] += w[i] * (value if inside else 0.0)
            slot_of[i] = up if inside else slot_of[i]
    tree[node].value = 0.0


@numba.njit(fastmath=FAST)
def _settle(leaves, slot_of, u, w, f, new, step):
    # Bring u and f up to date with new leaf values; four leaves a pass.
    for k in range(0, leaves.size, 4):
        a, b, c, d = leaves[k], leaves[k + 1], leaves[k + 2], leaves[k + 3]
        new_a, new_b, new_c, new_d = new[a], new[b], new[c], new[d]
        step_a, step_b, step_c, step_d = step[a], step[b], step[c], step[d]
        for i in range(slot_of.size):
            slot = slot_of[i]
            value = new_a if slot == a else 0.0
            value = new_b if slot == b else value
            value = new_c if slot == c else value
            value = new_d if slot == d else value
            change = step_a if slot == a else 0.0
            change = step_b if slot == b else change
            change = step_c if slot == c else change
            change = step_d if slot == d else change
            f[i] += value
            u[i] -= w[i] * change


# --- trees -------------------------------------------------------------------------------------


@numba.njit
def _reset(tree, rows, columns):
    for k in range(SLOTS):
        tree[k].feature = FREE
    tree[0].feature, tree[0].parent, tree[0].depth = LEAF, -1, 0
    tree[0].count, tree[0].open, tree[0].value = rows, columns, 0.0


@numba.njit
def _free_pair(tree, top):
    for k in range(1, top, 2):
        if tree[k].feature == FREE:
            return k
    return top


@numba.njit
def _split(tree, node, left, rule, count_right):
    tree[node].feature, tree[node].cut, tree[node].mask = rule[0], rule[1], rule[2]
    tree[node].left = left
    for side in range(2):
        child = left + side
        tree[child].feature = LEAF
        tree[child].parent = node
        tree[child].depth = tree[node].depth + 1
        tree[child].value = tree[node].value
    tree[left].open, tree[left + 1].open = rule[3], rule[4]
    tree[left].count, tree[left + 1].count = tree[node].count - count_right, count_right


@numba.njit
def _can_grow(tree, node, law):
    return (
        tree[node].feature == LEAF
        and tree[node].count >= 2 * law.min_leaf
        and tree[node].depth < law.max_depth
        and tree[node].open > 0
    )


@numba.njit
def _can_prune(tree, node):
    # A split whose two children are leaves.
    if tree[node].feature < 0:
        return False
    left = tree[node].left
    return tree[left].feature == LEAF and tree[left + 1].feature == LEAF


@numba.njit
def _count_growable(tree, top, law):
    count = 0
    for k in range(top):
        count += _can_grow(tree, k, law)
    return count


@numba.njit
def _count_prunable(tree, top):
    count = 0
    for k in range(top):
        count += _can_prune(tree, k)
    return count


@numba.njit
def _pick_prunable(tree, top, count, rng):
    rank = int(rng.random() * count)
    for k in range(top):
        if _can_prune(tree, k):
            if rank == 0:
                return k
            rank -= 1
    return -1


@numba.njit
def _pick_growable(tree, top, law, count, rng):
    rank = int(rng.random() * count)
    for k in range(top):
        if _can_grow(tree, k, law):
            if rank == 0:
                return k
            rank -= 1
    return -1


# --- moves -------------------------------------------------------------------------------------


@numba.njit
def _evidence(sum_u, sum_w, variance):
    # Log-density of a leaf's rows with the leaf value integrated out, less that of value 0.
    return 0.5 * (sum_u * sum_u / (sum_w + 1 / variance) - math.log1p(variance * sum_w))


@numba.njit
def _log_stop(columns, depth, law):
    # Log prior probability that a node does not split; a node without rules cannot.
    return math.log1p(-law.split[depth]) if columns > 0 else 0.0


@numba.njit
def _log_split_ratio(tree, node, open_left, open_right, growable, prunable, law):
    # Prior times proposal of a split node against the same node as a leaf, the rule apart:
    # `growable` leaves of the smaller tree, `prunable` splits of the larger one.
    depth = tree[node].depth
    prior = (
        math.log(law.split[depth])
        + _log_stop(open_left, depth + 1, law)
        + _log_stop(open_right, depth + 1, law)
        - _log_stop(tree[node].open, depth, law)
    )
    # A root can only grow.
    forward = 1.0 if node == 0 else GROW
    return prior + math.log(PRUNE / prunable) - math.log(forward / growable)


@numba.njit
def _grow(tree, top, slot_of, grid, shares, law, u, w, sum_u, sum_w, variance, rng):
    growable = _count_growable(tree, top, law)
    left = _free_pair(tree, top)
    if growable == 0 or left + 1 >= SLOTS:
        return top
    node = _pick_growable(tree, top, law, growable, rng)
    rule = _draw_rule(tree, node, grid, shares, rng)
    feature, cut, mask = rule[0], rule[1], rule[2]
    code = grid.codes[feature]
    count = _count_right(node, slot_of, code, cut, mask)
    if count < law.min_leaf or tree[node].count - count < law.min_leaf:
        return top
    right_u, right_w = _sum_right(node, slot_of, code, cut, mask, u, w)
    right_u += tree[node].value * right_w
    left_u, left_w = sum_u[node] - right_u, sum_w[node] - right_w
    # The split adds itself to the prunable nodes and takes its parent away, if that was one.
    prunable = _count_prunable(tree, top) + 1
    if node > 0 and _can_prune(tree, tree[node].parent):
        prunable -= 1
    ratio = (
        _log_split_ratio(tree, node, rule[3], rule[4], growable, prunable, law)
        + _evidence(left_u, left_w, variance)
        + _evidence(right_u, right_w, variance)
        - _evidence(sum_u[node], sum_w[node], variance)
    )
    if math.log(rng.random()) >= ratio:
        return top
    _split(tree, node, left, rule, count)
    _send(node, left, slot_of, code, cut, mask)
    sum_u[left], sum_w[left] = left_u, left_w
    sum_u[left + 1], sum_w[left + 1] = right_u, right_w
    return max(top, left + 2)


@numba.njit
def _prune(tree, top, slot_of, law, u, w, sum_u, sum_w, variance, rng):
    prunable = _count_prunable(tree, top)
    node = _pick_prunable(tree, top, prunable, rng)
    left = tree[node].left
    right = left + 1
    # Its children leave the growable leaves, and it joins them: what was split can be split.
    growable = _count_growable(tree, top, law) + 1
    growable -= _can_grow(tree, left, law) + _can_grow(tree, right, law)
    both_u, both_w = sum_u[left] + sum_u[right], sum_w[left] + sum_w[right]
    ratio = (
        _evidence(both_u, both_w, variance)
        - _evidence(sum_u[left], sum_w[left], variance)
        - _evidence(sum_u[right], sum_w[right], variance)
        - _log_split_ratio(tree, node, tree[left].open, tree[right].open, growable, prunable, law)
    )
    if math.log(rng.random()) >= ratio:
        return top
    _gather(tree, node, slot_of, u, w)
    tree[node].feature, tree[left].feature, tree[right].feature = LEAF, FREE, FREE
    sum_u[node], sum_w[node] = both_u, both_w
    while top > 1 and tree[top - 1].feature == FREE:
        top -= 2
    return top


@numba.njit
def _change(tree, top, slot_of, grid, shares, law, u, w, sum_u, sum_w, variance, rng):
    node = _pick_prunable(tree, top, _count_prunable(tree, top), rng)
    left = tree[node].left
    right = left + 1
    if rng.random() < NUDGE:
        rule = _nudge_rule(tree, node, grid, rng)
    else:
        rule = _draw_rule(tree, node, grid, shares, rng)
    feature, cut, mask = rule[0], rule[1], rule[2]
    if cut == -2:
        return
    code = grid.codes[feature]
    count = _count_right(left, slot_of, code, cut, mask)
    count += _count_right(right, slot_of, code, cut, mask)
    if count < law.min_leaf or tree[node].count - count < law.min_leaf:
        return
    a_u, a_w = _sum_right(left, slot_of, code, cut, mask, u, w)
    b_u, b_w = _sum_right(right, slot_of, code, cut, mask, u, w)
    right_u = a_u + tree[left].value * a_w + b_u + tree[right].value * b_w
    right_w = a_w + b_w
    left_u, left_w = sum_u[left] + sum_u[right] - right_u, sum_w[left] + sum_w[right] - right_w
    # The rule comes from its prior and the counts stay: only a child without rules can differ.
    depth = tree[left].depth
    ratio = (
        _log_stop(rule[3], depth, law)
        + _log_stop(rule[4], depth, law)
        - _log_stop(tree[left].open, depth, law)
        - _log_stop(tree[right].open, depth, law)
        + _evidence(left_u, left_w, variance)
        + _evidence(right_u, right_w, variance)
        - _evidence(sum_u[left], sum_w[left], variance)
        - _evidence(sum_u[right], sum_w[right], variance)
    )
    if math.log(rng.random()) >= ratio:
        return
    _gather(tree, node, slot_of, u, w)
    _split(tree, node, left, rule, count)
    _send(node, left, slot_of, code, cut, mask)
    sum_u[left], sum_w[left] = left_u, left_w
    sum_u[right], sum_w[right] = right_u, right_w


# --- probabilities of the columns --------------------------------------------------------------


@numba.njit
def _mark_closed(tree, node, grid, shares, closed):
    # Set `closed` for each variable that has no rule left at a node; return how many there are.
    # Only a variable that is split on above can be one of them.
    closed[:] = False
    count = 0
    if tree[node].open == grid.columns.size:
        return count
    above = tree[node].parent
    while above >= 0:
        k = shares.variable[tree[above].feature]
        if k >= 0 and not closed[k] and _count_open(tree, node, k, grid, shares) == 0:
            closed[k] = True
            count += 1
        above = tree[above].parent
    return count


@numba.njit
def _log_concentration(eta, counts, unrestricted, discount):
    # Log density of eta = log c given what is said of splits in `draw_shares`, up to a constant;
    # c / (1 + c) is Beta(1/2, 1).
    c = math.exp(eta)
    total = counts.size * c
    density = 0.5 * eta - 1.5 * math.log1p(c) - c * discount
    density += math.lgamma(total) - math.lgamma(total + unrestricted)
    for n in counts:
        if n > 0:
            density += math.lgamma(c + n) - math.lgamma(c)
    return density


@numba.njit
def _draw_concentration(c, counts, unrestricted, discount, rng):
    # A slice of the density of log c (Neal 2003), stepped out and shrunk.
    eta = math.log(c)
    height = _log_concentration(eta, counts, unrestricted, discount)
    height += math.log(1.0 - rng.random())
    low = eta - 2.0 * rng.random()
    high = low + 2.0
    while _log_concentration(low, counts, unrestricted, discount) > height:
        low -= 2.0
    while _log_concentration(high, counts, unrestricted, discount) > height:
        high += 2.0
    while True:
        new = low + (high - low) * rng.random()
        if _log_concentration(new, counts, unrestricted, discount) >= height:
            return math.exp(new)
        if new < eta:
            low = new
        else:
            high = new


@numba.njit
def _set_shares(shares, logs):
    # Normalised, and none so small that its exponential is 0.
    top = logs.max()
    total = top + math.log(np.exp(logs - top).sum())
    shares.log_share[:] = np.maximum(logs - total, LOWEST)
    shares.share[:] = np.exp(shares.log_share)
    shares.cumulative[:] = np.cumsum(shares.share)


@numba.njit
def _log_gamma_draw(shape, rng):
    # Logarithm of a gamma variable, which itself may be too small to be represented.
    return math.log(rng.standard_gamma(shape + 1.0)) + math.log(1.0 - rng.random()) / shape


@numba.njit(cache=True, nogil=True)
def draw_shares(nodes, tops, grid, shares, rng):
    """Draw the probabilities of the variables, and their concentration, given the trees.

    A split on variable j at a node has probability ``s_j / sum of s over the open variables``. With
    ``s = g / sum(g)`` and an exponential variable of rate "sum of g over the open variables" for
    each split where some variable is closed, g is gamma and the concentration can be drawn with g
    integrated out (Caron and Doucet 2012). `shares` is updated.
    """
    size = shares.share.size
    counts, closed = np.zeros(size), np.empty(size, np.bool_)
    splits = 0
    for t in range(tops.size):
        for k in range(tops[t]):
            splits += nodes[t, k].feature >= 0
    restricted = np.empty((splits, 2), np.int64)
    found, unrestricted = 0, 0
    for t in range(tops.size):
        for k in range(tops[t]):
            if nodes[t, k].feature >= 0 and shares.variable[nodes[t, k].feature] >= 0:
                counts[shares.variable[nodes[t, k].feature]] += 1
                if _mark_closed(nodes[t], k, grid, shares, closed) > 0:
                    restricted[found] = t, k
                    found += 1
                else:
                    unrestricted += 1
    # The sum of g is free, as the trees depend on s alone: with this shape, splits where nothing is
    # closed need no exponential variable.
    c = shares.concentration[0]
    total = max(rng.standard_gamma(size * c + unrestricted), 1e-30)
    rates = np.ones(size)
    for r in range(found):
        _mark_closed(nodes[restricted[r, 0]], restricted[r, 1], grid, shares, closed)
        among = 0.0
        for k in range(size):
            among += 0.0 if closed[k] else shares.share[k]
        waited = rng.standard_exponential() / (total * among)
        for k in range(size):
            rates[k] += 0.0 if closed[k] else waited
    rates = np.log(rates)
    c = _draw_concentration(c, counts, unrestricted, rates.sum(), rng)
    shares.concentration[0] = c
    logs = np.empty(size)
    for k in range(size):
        logs[k] = _log_gamma_draw(c + counts[k], rng) - rates[k]
    _set_shares(shares, logs)


@numba.njit(cache=True, nogil=True)
def draw_prior_shares(shares, rng):
    """Replace the probabilities and their concentration by a draw from their prior."""
    # The square of a uniform variable is Beta(1/2, 1).
    ratio = min(max(rng.random() ** 2, 1e-12), 1.0 - 1e-12)
    c = ratio / (1.0 - ratio)
    shares.concentration[0] = c
    logs = np.empty(shares.share.size)
    for k in range(logs.size):
        logs[k] = _log_gamma_draw(c, rng)
    _set_shares(shares, logs)


# --- a sweep -----------------------------------------------------------------------------------


@numba.njit
def _sweep_trees(nodes, tops, slots, grid, shares, law, u, w, f, variance, rng):
    # Move every tree once and redraw its leaf values. `nodes`, `tops`, `slots` and `u` are updated,
    # `f` is filled. Returns the number of leaves and the sum of their squares.
    new, step = np.zeros(SLOTS + 1), np.zeros(SLOTS + 1)
    sum_u, sum_w = np.zeros(SLOTS), np.zeros(SLOTS)
    leaves = np.empty(SLOTS + 1, np.uint8)
    total, squares = 0, 0.0
    f[:] = 0.0
    for t in range(tops.size):
        tree, top, slot_of = nodes[t], tops[t], slots[t]
        for k in range(top):
            if tree[k].feature == LEAF:
                sum_u[k], sum_w[k] = _sum_leaf(k, slot_of, u, w)
                sum_u[k] += tree[k].value * sum_w[k]
        move = rng.random()
        if top == 1 or move < GROW:
            top = _grow(tree, top, slot_of, grid, shares, law, u, w, sum_u, sum_w, variance, rng)
        elif move < GROW + PRUNE:
            top = _prune(tree, top, slot_of, law, u, w, sum_u, sum_w, variance, rng)
        else:
            _change(tree, top, slot_of, grid, shares, law, u, w, sum_u, sum_w, variance, rng)
        tops[t] = top
        found = 0
        for k in range(top):
            if tree[k].feature == LEAF:
                spread = 1 / (sum_w[k] + 1 / variance)
                new[k] = spread * sum_u[k] + math.sqrt(spread) * rng.standard_normal()
                step[k] = new[k] - tree[k].value
                tree[k].value = new[k]
                squares += new[k] * new[k]
                leaves[found] = k
                found += 1
        total += found
        padded = (found + 3) // 4 * 4
        leaves[found:padded] = NOWHERE
        _settle(leaves[:padded], slot_of, u, w, f, new, step)
    return total, squares


@numba.njit
def _draw_variance(variance, unit, leaves, squares, rng):
    # The variance of the leaf values, unit times a squared multiplier, given them (`squares` the
    # sum of theirs). Density v^(-leaves/2) exp(-squares / (2 unit v)) v^(-1/2) exp(-v/2); all but
    # the last factor is the inverse gamma that is proposed.
    shape = (leaves - 1) / 2
    if shape <= 0 or squares == 0:
        return variance
    proposed = squares / (2 * unit) / rng.standard_gamma(shape)
    accepted = math.log(rng.random()) < (variance / unit - proposed) / 2
    return proposed * unit if accepted else variance


@numba.njit(fastmath=FAST)
def _slope_sums(basis, f, precision, residual):
    # Of the regression of the residual on a forest: sums of squares and products.
    squares = products = 0.0
    for i in range(f.size):
        slope = basis[i] * f[i]
        squares += precision[i] * slope * slope
        products += precision[i] * slope * residual[i]
    return squares, products


@numba.njit
def _draw_ratio(variance, unit, basis, f, precision, residual, rng):
    # The multiplier given the leaf values in its units, relative to the present one.
    now = math.sqrt(variance / unit)
    squares, products = _slope_sums(basis, f, precision, residual)
    squares, products = squares / now**2, products / now
    spread = 1 / (1 + squares)
    centre = spread * (products + squares * now)
    return (centre + math.sqrt(spread) * rng.standard_normal()) / now


@numba.njit
def _parts_of(forests, k):
    # The rows, probabilities and tree prior of one forest.
    first, stop = forests.first[k], forests.first[k + 1]
    grid = Grid(
        forests.codes[first[1] : stop[1]],
        forests.cuts[first[1] : stop[1]],
        forests.levels[first[1] : stop[1]],
        forests.columns[first[2] : stop[2]],
        forests.missing[first[1] : stop[1]],
    )
    variables = slice(first[3], stop[3])
    shares = Shares(
        forests.variable[first[1] : stop[1]],
        # A start more than there are variables, in each forest.
        forests.start[first[3] + k : stop[3] + k + 1],
        forests.members[first[4] : stop[4]],
        forests.log_share[variables],
        forests.share[variables],
        forests.cumulative[variables],
        forests.concentration[k : k + 1],
        forests.reserved[k],
        forests.reserve[k],
    )
    return grid, shares, Law(forests.split[k], forests.min_leaf[k], forests.max_depth[k])


@numba.njit(cache=True, nogil=True)
def sweep_forests(forests, residual, precision, update_scale, update_shares, rng):
    """Move every tree of every forest once, and redraw leaf values, scales and probabilities.

    `residual` (row,) is the working outcome minus all terms, and is brought up to date; `forests`
    are updated. See :func:`bayes_hte.surfaces.forest.core.sweep`.
    """
    rows = residual.size
    u, w, before = np.empty(rows), np.empty(rows), np.empty(rows)
    for k in range(forests.unit.size):
        if not forests.active[k]:
            continue
        grid, shares, law = _parts_of(forests, k)
        basis, f = forests.basis[k], forests.f[k]
        for i in range(rows):
            weighted = precision[i] * basis[i]
            u[i], w[i], before[i] = weighted * residual[i], weighted * basis[i], f[i]
        trees = slice(forests.first[k, 0], forests.first[k + 1, 0])
        nodes, tops = forests.nodes[trees], forests.tops[trees]
        leaves, squares = _sweep_trees(
            nodes, tops, forests.slots[trees], grid, shares, law, u, w, f, forests.variance[k], rng
        )
        forests.leaves[k] = leaves
        for i in range(rows):
            residual[i] -= basis[i] * (f[i] - before[i])
        if update_shares and forests.learn[k]:
            draw_shares(nodes, tops, grid, shares, rng)
        if update_scale and forests.adaptive[k]:
            unit = forests.unit[k]
            drawn = _draw_variance(forests.variance[k], unit, leaves, squares, rng)
            ratio = _draw_ratio(drawn, unit, basis, f, precision, residual, rng)
            forests.variance[k] = drawn * ratio**2
            for i in range(rows):
                residual[i] -= basis[i] * f[i] * (ratio - 1)
                f[i] *= ratio
            for t in range(tops.size):
                for j in range(tops[t]):
                    nodes[t, j].value *= ratio


# --- the prior, and the way out ------------------------------------------------------------------


@numba.njit
def _draw_tree(tree, slot_of, grid, shares, law, rng):
    # One attempt at a tree from the untruncated prior: its top, or 0 where it is not valid.
    _reset(tree, slot_of.size, grid.columns.size)
    slot_of[:] = 0
    node, top = 0, 1
    while node < top:
        if tree[node].open > 0 and rng.random() < law.split[tree[node].depth]:
            if top + 2 > SLOTS or not _can_grow(tree, node, law):
                return 0
            rule = _draw_rule(tree, node, grid, shares, rng)
            code = grid.codes[rule[0]]
            count = _count_right(node, slot_of, code, rule[1], rule[2])
            if count < law.min_leaf or tree[node].count - count < law.min_leaf:
                return 0
            _split(tree, node, top, rule, count)
            _send(node, top, slot_of, code, rule[1], rule[2])
            top += 2
        node += 1
    return top


@numba.njit(cache=True, nogil=True)
def draw_trees(nodes, tops, slots, grid, shares, law, f, variance, rng):
    """Replace every tree by an independent draw from its prior; arguments as in `sweep_trees`."""
    total = 0
    f[:] = 0.0
    for t in range(tops.size):
        tops[t] = 0
        while tops[t] == 0:
            tops[t] = _draw_tree(nodes[t], slots[t], grid, shares, law, rng)
        for k in range(tops[t]):
            if nodes[t, k].feature == LEAF:
                nodes[t, k].value = math.sqrt(variance) * rng.standard_normal()
                total += 1
        for i in range(f.size):
            f[i] += nodes[t, slots[t, i]].value
    return total


@numba.njit(cache=True)
def write_preorder(nodes, thresholds, levels, feature, number, root, mask):
    """Fill the arrays of a packed forest; returns the number of splits on categories."""
    stack = np.empty(SLOTS, np.int64)
    here, masks = 0, 0
    for t in range(nodes.shape[0]):
        root[t] = here
        stack[0], height = 0, 1
        while height > 0:
            height -= 1
            node = nodes[t, stack[height]]
            if node.feature == LEAF:
                feature[here], number[here] = LEAF, node.value
            else:
                if levels[node.feature] > 0:
                    feature[here], number[here] = -2 - node.feature, masks
                    mask[masks] = node.mask
                    masks += 1
                else:
                    feature[here] = node.feature + (MISSING_LEFT if node.mask == ONE else 0)
                    number[here] = thresholds[node.feature, node.cut]
                stack[height], stack[height + 1] = node.left + 1, node.left
                height += 2
            here += 1
    return masks
