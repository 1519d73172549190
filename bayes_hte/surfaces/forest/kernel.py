"""The compiled sweep over all forests of a predictor, draws of trees from the prior, packed trees.

The pieces stand by their subject: `layout` (arrays), `rules` (of splits), `rows` (passes over the
rows), `moves` (of one tree), `shares` (probabilities of the columns).
"""

from __future__ import annotations

import math

import numba
import numpy as np

from bayes_hte.surfaces.compiling import FAST, compiled_on_disk
from bayes_hte.surfaces.forest.draws import MISSING_LEFT
from bayes_hte.surfaces.forest.layout import (
    LEAF,
    NOWHERE,
    ONE,
    SLOTS,
    Grid,
    Law,
    Shares,
)
from bayes_hte.surfaces.forest.moves import (
    GROW,
    PRUNE,
    can_grow,
    change,
    grow,
    prune,
    reset,
    split,
)
from bayes_hte.surfaces.forest.rows import count_right, send, settle, sum_leaf
from bayes_hte.surfaces.forest.rules import draw_rule
from bayes_hte.surfaces.forest.shares import draw_shares

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
                sum_u[k], sum_w[k] = sum_leaf(k, slot_of, u, w)
                sum_u[k] += tree[k].value * sum_w[k]
        move = rng.random()
        if top == 1 or move < GROW:
            top = grow(tree, top, slot_of, grid, shares, law, u, w, sum_u, sum_w, variance, rng)
        elif move < GROW + PRUNE:
            top = prune(tree, top, slot_of, law, u, w, sum_u, sum_w, variance, rng)
        else:
            change(tree, top, slot_of, grid, shares, law, u, w, sum_u, sum_w, variance, rng)
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
        settle(leaves[:padded], slot_of, u, w, f, new, step)
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


@compiled_on_disk(nogil=True)
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
    reset(tree, slot_of.size, grid.columns.size)
    slot_of[:] = 0
    node, top = 0, 1
    while node < top:
        if tree[node].open > 0 and rng.random() < law.split[tree[node].depth]:
            if top + 2 > SLOTS or not can_grow(tree, node, law):
                return 0
            rule = draw_rule(tree, node, grid, shares, rng)
            code = grid.codes[rule[0]]
            count = count_right(node, slot_of, code, rule[1], rule[2])
            if count < law.min_leaf or tree[node].count - count < law.min_leaf:
                return 0
            split(tree, node, top, rule, count)
            send(node, top, slot_of, code, rule[1], rule[2])
            top += 2
        node += 1
    return top


@compiled_on_disk(nogil=True)
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


@compiled_on_disk()
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
