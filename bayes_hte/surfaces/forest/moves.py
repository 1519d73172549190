"""Compiled moves of one tree: it grows, is pruned, or changes a rule.

During a sweep ``u_i = w_i r_i`` with ``w_i = b_i^2 p_i`` replaces the residual r: u and w hold all
that a tree needs of basis b, precision p and residual.
"""

from __future__ import annotations

import math

import numba

from bayes_hte.surfaces.forest.layout import FREE, LEAF, SLOTS
from bayes_hte.surfaces.forest.rows import count_right, gather, send, sum_right
from bayes_hte.surfaces.forest.rules import draw_rule, nudge_rule

GROW, PRUNE = 0.3, 0.3  # probability of each move; the rest changes a rule
NUDGE = 0.5  # share of the new rules that stay near the old one


@numba.njit
def reset(tree, rows, columns):
    """Make a tree a root with all rows, whose value is 0."""
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
def split(tree, node, left, rule, n_right):
    """Split a node by a rule, its children in the slots `left` and `left + 1`."""
    tree[node].feature, tree[node].cut, tree[node].mask = rule[0], rule[1], rule[2]
    tree[node].left = left
    for side in range(2):
        child = left + side
        tree[child].feature = LEAF
        tree[child].parent = node
        tree[child].depth = tree[node].depth + 1
        tree[child].value = tree[node].value
    tree[left].open, tree[left + 1].open = rule[3], rule[4]
    tree[left].count, tree[left + 1].count = tree[node].count - n_right, n_right


@numba.njit
def can_grow(tree, node, law):
    """Return whether a node is a leaf that may be split."""
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
        count += can_grow(tree, k, law)
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
        if can_grow(tree, k, law):
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
def grow(tree, top, slot_of, grid, shares, law, u, w, sum_u, sum_w, variance, rng):
    """Propose a split of a leaf; return the slots in use."""
    growable = _count_growable(tree, top, law)
    left = _free_pair(tree, top)
    if growable == 0 or left + 1 >= SLOTS:
        return top
    node = _pick_growable(tree, top, law, growable, rng)
    rule = draw_rule(tree, node, grid, shares, rng)
    feature, cut, mask = rule[0], rule[1], rule[2]
    code = grid.codes[feature]
    count = count_right(node, slot_of, code, cut, mask)
    if count < law.min_leaf or tree[node].count - count < law.min_leaf:
        return top
    right_u, right_w = sum_right(node, slot_of, code, cut, mask, u, w)
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
    split(tree, node, left, rule, count)
    send(node, left, slot_of, code, cut, mask)
    sum_u[left], sum_w[left] = left_u, left_w
    sum_u[left + 1], sum_w[left + 1] = right_u, right_w
    return max(top, left + 2)


@numba.njit
def prune(tree, top, slot_of, law, u, w, sum_u, sum_w, variance, rng):
    """Propose to take two leaves back into their parent; return the slots in use."""
    prunable = _count_prunable(tree, top)
    node = _pick_prunable(tree, top, prunable, rng)
    left = tree[node].left
    right = left + 1
    # Its children leave the growable leaves, and it joins them: what was split can be split.
    growable = _count_growable(tree, top, law) + 1
    growable -= can_grow(tree, left, law) + can_grow(tree, right, law)
    both_u, both_w = sum_u[left] + sum_u[right], sum_w[left] + sum_w[right]
    ratio = (
        _evidence(both_u, both_w, variance)
        - _evidence(sum_u[left], sum_w[left], variance)
        - _evidence(sum_u[right], sum_w[right], variance)
        - _log_split_ratio(tree, node, tree[left].open, tree[right].open, growable, prunable, law)
    )
    if math.log(rng.random()) >= ratio:
        return top
    gather(tree, node, slot_of, u, w)
    tree[node].feature, tree[left].feature, tree[right].feature = LEAF, FREE, FREE
    sum_u[node], sum_w[node] = both_u, both_w
    while top > 1 and tree[top - 1].feature == FREE:
        top -= 2
    return top


@numba.njit
def change(tree, top, slot_of, grid, shares, law, u, w, sum_u, sum_w, variance, rng):
    """Propose another rule for a split whose children are leaves."""
    node = _pick_prunable(tree, top, _count_prunable(tree, top), rng)
    left = tree[node].left
    right = left + 1
    if rng.random() < NUDGE:
        rule = nudge_rule(tree, node, grid, rng)
    else:
        rule = draw_rule(tree, node, grid, shares, rng)
    feature, cut, mask = rule[0], rule[1], rule[2]
    if cut == -2:
        return
    code = grid.codes[feature]
    count = count_right(left, slot_of, code, cut, mask)
    count += count_right(right, slot_of, code, cut, mask)
    if count < law.min_leaf or tree[node].count - count < law.min_leaf:
        return
    a_u, a_w = sum_right(left, slot_of, code, cut, mask, u, w)
    b_u, b_w = sum_right(right, slot_of, code, cut, mask, u, w)
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
    gather(tree, node, slot_of, u, w)
    split(tree, node, left, rule, count)
    send(node, left, slot_of, code, cut, mask)
    sum_u[left], sum_w[left] = left_u, left_w
    sum_u[right], sum_w[right] = right_u, right_w
