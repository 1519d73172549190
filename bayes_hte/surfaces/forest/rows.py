"""Compiled passes over the rows of one tree: counts and sums of leaves, rows sent down a split.

A sum over a leaf is one comparison of small integers per row, which the compiler turns into vector
code; that is why whole passes over the rows are made, leaf by leaf, where a gather would touch
fewer rows.

A row goes right if its code is above the cut. Where missing values go left, 1 is added to both: the
code of missing, 255, becomes 0 as bytes wrap.
"""

from __future__ import annotations

import numba
import numpy as np

from bayes_hte.surfaces.compiling import FAST
from bayes_hte.surfaces.forest.layout import ONE, ZERO


@numba.njit
def count_right(leaf, slot_of, code, cut, mask):
    """Count the rows of a leaf that a rule sends right."""
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
def sum_right(leaf, slot_of, code, cut, mask, u, w):
    """Sum u and w over the rows of a leaf that a rule sends right."""
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
def sum_leaf(leaf, slot_of, u, w):
    """Sum u and w over the rows of a leaf."""
    leaf = np.uint8(leaf)
    sum_u = sum_w = 0.0
    for i in range(slot_of.size):
        if slot_of[i] == leaf:
            sum_u += u[i]
            sum_w += w[i]
    return sum_u, sum_w


@numba.njit
def send(leaf, left, slot_of, code, cut, mask):
    """Send the rows of a leaf to the slots `left` and `left + 1`."""
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
def gather(tree, node, slot_of, u, w):
    """Take the two leaves below a node back into it, without a value."""
    for side in range(2):
        leaf = tree[node].left + side
        here, up, value = np.uint8(leaf), np.uint8(node), tree[leaf].value
        for i in range(slot_of.size):
            inside = slot_of[i] == here
            u[i] += w[i] * (value if inside else 0.0)
            slot_of[i] = up if inside else slot_of[i]
    tree[node].value = 0.0


@numba.njit(fastmath=FAST)
def settle(leaves, slot_of, u, w, f, new, step):
    """Bring u and f up to date with new leaf values; four leaves a pass."""
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
