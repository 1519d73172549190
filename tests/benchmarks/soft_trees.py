"""Trees with soft splits: the compiled part of a prototype, :mod:`tests.benchmarks.soft_splits`.

A split of a tree on column j sends a row right with weight ``logistic((x_j - c) / w)``, w a
bandwidth of the tree, and left with the rest; columns of two values split hard. A leaf's weight is
the product of those on its way, and the tree is the sum of its leaf values times their weights.
Leaf values are ``Normal(0, s2)``; given tree and data they are jointly normal, and the moves
integrate all of them out. Where one forest serves two arms, each tree is of a kind: arms share its
values, or have values of their own, or one of them has none; the kind is drawn with the values
integrated out. A move is to grow, to prune or to change any split, followed by one of
the bandwidth.

Unlike the hard trees of the package, a cut is any of its column's whatever the splits above are,
and a leaf may hold no rows: nothing is ever closed, so the prior of a tree has no constant, and the
probabilities of the columns are Dirichlet given their counts.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np

LEAVES = 10  # most leaves of a tree
SLOTS = 2 * LEAVES - 1
LEAF, FREE = -1, -2
SHARED, APART, FIRST, SECOND = 0, 1, 2, 3  # kinds of trees
STEP = 0.5  # standard deviation of a proposal of the logarithm of a bandwidth
NEAR = 20  # a cut is nudged by up to one part in so many of its grid
FAST = {"reassoc", "contract", "nsz"}
PLAIN = {"error_model": "numpy"}
MAGIC = 6755399441055744.0  # added to a number and taken away again, it leaves the nearest integer


class Soft(NamedTuple):
    """One forest on its own rows.

    Attributes
    ----------
    x : ndarray, shape (column, row)
        The columns.
    hard : ndarray of bool, shape (column,)
        Whether a column has two values, which are 0 and 1.
    even : ndarray of bool, shape (column,)
        Whether all cuts of a column differ.
    variable : ndarray of int, shape (column,)
        Variable of each column; -1 for the reserved one.
    start, members : ndarray of int, shape (variable + 1,) and (column,)
        Columns of each variable.
    reserved, reserve : int, float
        A column that is chosen with a probability of its own, and that probability; -1 for none.
    grid : ndarray, shape (column, cut)
        Cuts, each as likely as the others.
    share, cumulative : ndarray, shape (variable,)
        Probabilities of the variables, and their running sum.
    concentration : ndarray, shape (1,)
        Parameter of their Dirichlet distribution.
    feature, cut, left, parent, depth : ndarray, shape (tree, slot)
        The trees; the right child of a split follows the left one.
    value : ndarray, shape (tree, slot, arm)
        Values of the leaves.
    width : ndarray, shape (tree,)
        Bandwidths.
    mean_width : float
        Mean of their exponential prior; 0 keeps them.
    alpha, beta : float
        A node at depth d splits with probability ``alpha (1 + d)^-beta``.
    unit, variance : ndarray, shape (2,)
        Variance of leaf values at a multiplier of 1, and the current one: of trees that arms
        share, and of the others.
    first : int
        Rows of the first arm, which stand first; all of them in a forest of one kind.
    kind : ndarray of int, shape (tree,)
        Whether arms share a tree's values (0), have values of their own (1), or only the first arm
        (2) or only the second (3) has any.
    odds : ndarray, shape (4,)
        Probabilities of the kinds.
    weight : ndarray, shape (tree, slot, row)
        Weight of each node at each row.
    fit : ndarray, shape (tree, row)
        Values of the trees.
    tried : ndarray, shape (4, 2)
        Proposals and acceptances: grow, prune, change, bandwidth.
    """

    x: np.ndarray
    hard: np.ndarray
    even: np.ndarray
    variable: np.ndarray
    start: np.ndarray
    members: np.ndarray
    reserved: int
    reserve: float
    grid: np.ndarray
    share: np.ndarray
    cumulative: np.ndarray
    concentration: np.ndarray
    feature: np.ndarray
    cut: np.ndarray
    left: np.ndarray
    parent: np.ndarray
    depth: np.ndarray
    value: np.ndarray
    width: np.ndarray
    mean_width: float
    alpha: float
    beta: float
    unit: np.ndarray
    variance: np.ndarray
    first: int
    kind: np.ndarray
    odds: np.ndarray
    weight: np.ndarray
    fit: np.ndarray
    tried: np.ndarray


@numba.njit(**PLAIN)  # not FAST: the rounding below must stay
def _gate(x, cut, width, work, bits):
    # logistic((x - cut) / width) into work: a vectorised exponential, relative error 1e-9.
    scale = -1.0 / width
    for i in range(x.size):
        z = (x[i] - cut) * scale
        work[i] = min(max(z, -36.0), 36.0) * 1.4426950408889634
    view = bits.view(np.float64)
    for i in range(x.size):
        t = work[i] + MAGIC
        view[i] = t
        work[i] -= t - MAGIC
    for i in range(x.size):
        bits[i] = (bits[i] << 52) + 4607182418800017408
    for i in range(x.size):
        r = work[i] * 0.6931471805599453
        e = 1 / 24 + r * (1 / 120 + r * (1 / 720 + r / 5040))
        work[i] = 1.0 / (1.0 + view[i] * (1.0 + r * (1.0 + r * (0.5 + r * (1 / 6 + r * e)))))


@numba.njit(**PLAIN)
def _gate_of(f, feature, cut, width, work, bits):
    x = f.x[feature]
    if f.hard[feature]:
        for i in range(x.size):
            work[i] = 1.0 if x[i] > cut else 0.0
    else:
        _gate(x, cut, width, work, bits)


@numba.njit(fastmath=FAST, **PLAIN)
def _divide(here, work, left, right):
    for i in range(here.size):
        g = here[i] * work[i]
        right[i] = g
        left[i] = here[i] - g


@numba.njit(fastmath=FAST, **PLAIN)
def _dot3(a, b, c):
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i] * c[i]
    return total


@numba.njit(fastmath=FAST, **PLAIN)
def _dot(a, b):
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@numba.njit(**PLAIN)
def _cholesky(m, k):
    # In place, lower; returns half the log determinant.
    half = 0.0
    for i in range(k):
        for j in range(i + 1):
            s = m[i, j]
            for q in range(j):
                s -= m[i, q] * m[j, q]
            if i == j:
                m[i, i] = math.sqrt(s)
                half += math.log(m[i, i])
            else:
                m[i, j] = s / m[j, j]
    return half


@numba.njit(**PLAIN)
def _weights(f, t, s, w):
    return w.new[s] if w.fresh[s] else f.weight[t, s]


@numba.njit(**PLAIN)
def _block(f, t, k, p, w, low, high, variance):
    # Log density of the partial residual of some rows with their k leaf values integrated out, up
    # to a constant. Leaves the factor L of 1 + s2 A in m, and L^-1 b in h.
    for i in range(k):
        a = _weights(f, t, w.leaves[i], w)[low:high]
        w.h[i] = _dot(a, w.u[low:high])
        for j in range(i + 1):
            b = _weights(f, t, w.leaves[j], w)[low:high]
            w.m[i, j] = _dot3(a, b, p[low:high]) * variance
        w.m[i, i] += 1.0
    half = _cholesky(w.m, k)
    total = 0.0
    for i in range(k):
        s = w.h[i]
        for q in range(i):
            s -= w.m[i, q] * w.h[q]
        w.h[i] = s / w.m[i, i]
        total += w.h[i] ** 2
    return variance * total / 2.0 - half


@numba.njit(**PLAIN)
def _evidence(f, t, k, p, w):
    n, kind = w.u.size, f.kind[t]
    if kind == SHARED:
        return _block(f, t, k, p, w, 0, n, f.variance[0])
    total = 0.0
    if kind != SECOND:
        total += _block(f, t, k, p, w, 0, f.first, f.variance[1])
    if kind != FIRST:
        total += _block(f, t, k, p, w, f.first, n, f.variance[1])
    return total


@numba.njit(**PLAIN)
def _draw_kind(f, t, k, p, w, rng):
    w.fresh[:] = False
    n = w.u.size
    both = _block(f, t, k, p, w, 0, n, f.variance[0])
    one = _block(f, t, k, p, w, 0, f.first, f.variance[1])
    two = _block(f, t, k, p, w, f.first, n, f.variance[1])
    logs = np.array([both, one + two, one, two]) + np.log(f.odds)
    odds = np.cumsum(np.exp(logs - logs.max()))
    f.kind[t] = np.searchsorted(odds, rng.random() * odds[3], side="right")


@numba.njit(**PLAIN)
def _list(feature, leaves, inner):
    # Slots of leaves and splits; returns how many there are.
    k = m = 0
    for s in range(SLOTS):
        if feature[s] == LEAF:
            leaves[k] = s
            k += 1
        elif feature[s] >= 0:
            inner[m] = s
            m += 1
    return k, m


@numba.njit(**PLAIN)
def _prunable(feature, left, found):
    k = 0
    for s in range(SLOTS):
        if feature[s] >= 0 and feature[left[s]] == LEAF and feature[left[s] + 1] == LEAF:
            found[k] = s
            k += 1
    return k


@numba.njit(**PLAIN)
def _draw_column(f, rng):
    if f.reserved >= 0 and (f.share.size == 0 or rng.random() < f.reserve):
        return f.reserved
    v = min(np.searchsorted(f.cumulative, rng.random(), side="right"), f.share.size - 1)
    size = f.start[v + 1] - f.start[v]
    return f.members[f.start[v] + int(rng.random() * size)]


@numba.njit(**PLAIN)
def _draw_cut(f, feature, rng):
    if f.hard[feature]:
        return 0.5
    return f.grid[feature, int(rng.random() * f.grid.shape[1])]


@numba.njit(**PLAIN)
def _spread(f, t, top, width, w):
    # Weights of all nodes below `top` under a bandwidth, into `new`.
    stack = np.empty(SLOTS, np.int64)
    stack[0] = top
    size = 1
    while size > 0:
        size -= 1
        s = stack[size]
        if f.feature[t, s] < 0:
            continue
        _gate_of(f, f.feature[t, s], f.cut[t, s], width, w.gate, w.bits)
        a = f.left[t, s]
        _divide(_weights(f, t, s, w), w.gate, w.new[a], w.new[a + 1])
        w.fresh[a] = w.fresh[a + 1] = True
        stack[size] = a
        stack[size + 1] = a + 1
        size += 2


@numba.njit(**PLAIN)
def _split_prob(f, depth):
    return f.alpha * (1.0 + depth) ** (-f.beta)


@numba.njit(**PLAIN)
def _accept(f, t, w):
    for s in range(SLOTS):
        if w.fresh[s]:
            for i in range(w.u.size):
                f.weight[t, s, i] = w.new[s, i]


class Work(NamedTuple):
    """Arrays that the updates of a tree write into."""

    u: np.ndarray  # (row,) precision times partial residual
    gate: np.ndarray  # (row,)
    bits: np.ndarray  # (row,)
    new: np.ndarray  # (slot, row) weights under a proposal
    fresh: np.ndarray  # (slot,) which of them a proposal changes
    leaves: np.ndarray  # (leaf,) slots
    inner: np.ndarray  # (split,) slots
    ends: np.ndarray  # (split,) slots of the splits whose children are leaves
    m: np.ndarray  # (leaf, leaf) factor of the precision of the leaf values
    h: np.ndarray  # (leaf,)


@numba.njit(**PLAIN)
def _log_split(f, depth):
    # A split there, and no split of either child, against a leaf.
    here, below = _split_prob(f, depth), _split_prob(f, depth + 1)
    return math.log(here / (1 - here)) + 2 * math.log(1 - below)


@numba.njit(**PLAIN)
def _grow(f, t, k, splits, old, p, w, rng):
    # Returns whether it was accepted, and the evidence.
    feature, left, depth = f.feature[t], f.left[t], f.depth[t]
    if k == LEAVES:
        return False, old
    s = w.leaves[int(rng.random() * k)]
    a = 1
    while feature[a] != FREE:
        a += 2
    column = _draw_column(f, rng)
    cut = _draw_cut(f, column, rng)
    _gate_of(f, column, cut, f.width[t], w.gate, w.bits)
    _divide(f.weight[t, s], w.gate, w.new[a], w.new[a + 1])
    w.fresh[a] = w.fresh[a + 1] = True
    feature[s], f.cut[t, s], left[s] = column, cut, a
    feature[a] = feature[a + 1] = LEAF
    f.parent[t, a] = f.parent[t, a + 1] = s
    depth[a] = depth[a + 1] = depth[s] + 1
    more, _ = _list(feature, w.leaves, w.inner)
    count = _prunable(feature, left, w.ends)
    new = _evidence(f, t, more, p, w)
    ratio = new - old + _log_split(f, depth[s])
    ratio += math.log(0.3 / count) - math.log((1.0 if splits == 0 else 0.3) / k)
    if math.log(rng.random()) < ratio:
        return True, new
    feature[s] = LEAF
    feature[a] = feature[a + 1] = FREE
    return False, old


@numba.njit(**PLAIN)
def _prune(f, t, old, p, w, rng):
    feature, left = f.feature[t], f.left[t]
    count = _prunable(feature, left, w.ends)
    s = w.ends[int(rng.random() * count)]
    a, column = left[s], feature[s]
    feature[s] = LEAF
    feature[a] = feature[a + 1] = FREE
    k, splits = _list(feature, w.leaves, w.inner)
    new = _evidence(f, t, k, p, w)
    ratio = new - old - _log_split(f, f.depth[t, s])
    ratio -= math.log(0.3 / count) - math.log((1.0 if splits == 0 else 0.3) / k)
    if math.log(rng.random()) < ratio:
        return True, new
    feature[s] = column
    feature[a] = feature[a + 1] = LEAF
    return False, old


@numba.njit(**PLAIN)
def _change(f, t, k, splits, old, p, w, rng):
    # Any split: half of the rules stay near the old one, or as they are in a column of two values.
    feature = f.feature[t]
    s = w.inner[int(rng.random() * splits)]
    column, cut = feature[s], f.cut[t, s]
    nudge = rng.random() < 0.5
    if nudge and f.even[column]:
        size = f.grid.shape[1]
        at = np.searchsorted(f.grid[column], cut)
        step = 1 + int(rng.random() * max(1, size // NEAR))
        at += step if rng.random() < 0.5 else -step
        if 0 <= at < size:
            f.cut[t, s] = f.grid[column, at]
    elif not nudge:
        feature[s] = _draw_column(f, rng)
        f.cut[t, s] = _draw_cut(f, feature[s], rng)
    _spread(f, t, s, f.width[t], w)
    new = _evidence(f, t, k, p, w)
    if math.log(rng.random()) < new - old:
        return True, new
    feature[s], f.cut[t, s] = column, cut
    return False, old


@numba.njit(**PLAIN)
def _widen(f, t, k, splits, old, p, w, rng):
    # The bandwidth: from its prior where nothing depends on it, else a walk on its logarithm.
    w.fresh[:] = False
    if splits == 0:
        f.width[t] = -f.mean_width * math.log(1.0 - rng.random())
        return old
    f.tried[3, 0] += 1
    width = f.width[t] * math.exp(rng.standard_normal() * STEP)
    _spread(f, t, 0, width, w)
    new = _evidence(f, t, k, p, w)
    ratio = new - old + math.log(width / f.width[t]) - (width - f.width[t]) / f.mean_width
    if math.log(rng.random()) >= ratio:
        return old
    f.tried[3, 1] += 1
    _accept(f, t, w)
    f.width[t] = width
    return new


@numba.njit(**PLAIN)
def _draw_block(f, t, k, p, w, low, high, arm, variance, rng):
    # sqrt(s2) L^-T (sqrt(s2) L^-1 b + z), L the factor of 1 + s2 A.
    _block(f, t, k, p, w, low, high, variance)
    sd = math.sqrt(variance)
    for i in range(k):
        w.h[i] = sd * w.h[i] + rng.standard_normal()
    for i in range(k - 1, -1, -1):
        total = w.h[i]
        for q in range(i + 1, k):
            total -= w.m[q, i] * w.h[q]
        w.h[i] = total / w.m[i, i]
    for i in range(k):
        s = w.leaves[i]
        f.value[t, s, arm] = sd * w.h[i]
        _add(f.fit[t, low:high], f.weight[t, s, low:high], sd * w.h[i])


@numba.njit(**PLAIN)
def _draw_values(f, t, k, p, w, rng):
    w.fresh[:] = False
    n, kind = w.u.size, f.kind[t]
    f.fit[t] = 0.0
    f.value[t] = 0.0
    if kind == SHARED:
        _draw_block(f, t, k, p, w, 0, n, 0, f.variance[0], rng)
        f.value[t, :, 1] = f.value[t, :, 0]
        return
    if kind != SECOND:
        _draw_block(f, t, k, p, w, 0, f.first, 0, f.variance[1], rng)
    if kind != FIRST:
        _draw_block(f, t, k, p, w, f.first, n, 1, f.variance[1], rng)


@numba.njit(**PLAIN)
def _tree(f, t, r, p, w, rounds, free, rng):
    for i in range(r.size):
        r[i] += f.fit[t, i]
        w.u[i] = r[i] * p[i]
    w.fresh[:] = False
    k, splits = _list(f.feature[t], w.leaves, w.inner)
    evidence = _evidence(f, t, k, p, w)
    for _ in range(rounds):
        w.fresh[:] = False
        move = rng.random()
        if splits == 0 or move < 0.3:
            kind = 0
            accepted, evidence = _grow(f, t, k, splits, evidence, p, w, rng)
        elif move < 0.6:
            kind = 1
            accepted, evidence = _prune(f, t, evidence, p, w, rng)
        else:
            kind = 2
            accepted, evidence = _change(f, t, k, splits, evidence, p, w, rng)
        f.tried[kind, 0] += 1
        if accepted:
            f.tried[kind, 1] += 1
            _accept(f, t, w)
        k, splits = _list(f.feature[t], w.leaves, w.inner)
        if f.mean_width > 0:
            evidence = _widen(f, t, k, splits, evidence, p, w, rng)
    if free:
        _draw_kind(f, t, k, p, w, rng)
    _draw_values(f, t, k, p, w, rng)
    for i in range(r.size):
        r[i] -= f.fit[t, i]


@numba.njit(fastmath=FAST, **PLAIN)
def _add(to, what, times):
    for i in range(to.size):
        to[i] += times * what[i]


@numba.njit(**PLAIN)
def _log_scale(x, squares, leaves, unit):
    a2 = math.exp(2 * x)
    return x - a2 / 2 - leaves * x - squares / (2 * a2 * unit)


@numba.njit(**PLAIN)
def _draw_odds(f, rng):
    # Dirichlet, with a prior of ones.
    counts = np.ones(f.odds.size)
    for t in range(f.kind.size):
        counts[f.kind[t]] += 1
    for q in range(f.odds.size):
        f.odds[q] = rng.standard_gamma(counts[q])
    f.odds[:] /= f.odds.sum()


@numba.njit(**PLAIN)
def _scale(f, apart, part, total, r, p, rng):
    # The multiplier of the trees that arms share, or of the others; part is their sum.
    squares, leaves, unit = 0.0, 0, f.unit[apart]
    part[:] = 0.0
    for t in range(f.kind.size):
        if (f.kind[t] != SHARED) != (apart == 1):
            continue
        _add(part, f.fit[t], 1.0)
        for s in range(SLOTS):
            if f.feature[t, s] == LEAF:
                leaves += 2 if f.kind[t] == APART else 1
                squares += f.value[t, s, 0] ** 2
                if apart == 1:
                    squares += f.value[t, s, 1] ** 2
    x = math.log(f.variance[apart] / unit) / 2
    height = _log_scale(x, squares, leaves, unit) + math.log(1.0 - rng.random())
    low = x - 0.5 * rng.random()
    high = low + 0.5
    while _log_scale(low, squares, leaves, unit) > height:
        low -= 0.5
    while _log_scale(high, squares, leaves, unit) > height:
        high += 0.5
    while True:
        new = low + (high - low) * rng.random()
        if _log_scale(new, squares, leaves, unit) >= height:
            break
        if new < x:
            low = new
        else:
            high = new
    a = math.exp(new)
    # Given the values in units of a, which then is a coefficient of part / a.
    quad, lin = 0.0, 0.0
    for i in range(r.size):
        g = part[i] / a
        quad += p[i] * g * g
        lin += p[i] * g * (r[i] + part[i])
    quad += 1.0
    b = lin / quad + rng.standard_normal() / math.sqrt(quad)
    ratio = b / a
    f.variance[apart] = b * b * unit
    for i in range(r.size):
        r[i] += part[i] * (1 - ratio)
        total[i] += part[i] * (ratio - 1)
    for t in range(f.kind.size):
        if (f.kind[t] != SHARED) != (apart == 1):
            continue
        f.value[t] *= ratio
        for i in range(r.size):
            f.fit[t, i] *= ratio


@numba.njit(**PLAIN)
def _log_concentration(eta, counts, n):
    c = math.exp(eta)
    total = counts.size * c
    density = 0.5 * eta - 1.5 * math.log1p(c) + math.lgamma(total) - math.lgamma(total + n)
    for k in counts:
        if k > 0:
            density += math.lgamma(c + k) - math.lgamma(c)
    return density


@numba.njit(**PLAIN)
def _shares(f, rng):
    counts = np.zeros(f.share.size)
    for t in range(f.feature.shape[0]):
        for s in range(SLOTS):
            if f.feature[t, s] >= 0 and f.variable[f.feature[t, s]] >= 0:
                counts[f.variable[f.feature[t, s]]] += 1
    n = counts.sum()
    x = math.log(f.concentration[0])
    height = _log_concentration(x, counts, n) + math.log(1.0 - rng.random())
    low = x - 2 * rng.random()
    high = low + 2.0
    while _log_concentration(low, counts, n) > height:
        low -= 2.0
    while _log_concentration(high, counts, n) > height:
        high += 2.0
    while True:
        new = low + (high - low) * rng.random()
        if _log_concentration(new, counts, n) >= height:
            break
        if new < x:
            low = new
        else:
            high = new
    c = math.exp(new)
    f.concentration[0] = c
    logs = np.empty(counts.size)
    for k in range(counts.size):
        shape = c + counts[k]
        logs[k] = math.log(rng.standard_gamma(shape + 1.0)) + math.log(1.0 - rng.random()) / shape
    logs = np.exp(logs - logs.max())
    f.share[:] = logs / logs.sum()
    f.cumulative[:] = np.cumsum(f.share)


@numba.njit(cache=True, nogil=True, **PLAIN)
def sweep(f, total, r, p, rounds, learn, free, rng):
    """Update every tree, the scale and the probabilities once, in place.

    r is the outcome less all terms, p the precision of the noise, total the value of the forest;
    free says whether trees choose their kind.
    """
    n = r.size
    w = Work(
        np.empty(n),
        np.empty(n),
        np.empty(n, np.int64),
        np.empty((SLOTS, n)),
        np.zeros(SLOTS, np.bool_),
        np.empty(SLOTS, np.int64),
        np.empty(SLOTS, np.int64),
        np.empty(SLOTS, np.int64),
        np.empty((LEAVES, LEAVES)),
        np.empty(LEAVES),
    )
    for t in range(f.feature.shape[0]):
        _tree(f, t, r, p, w, rounds, free, rng)
    total[:] = 0.0
    for t in range(f.feature.shape[0]):
        _add(total, f.fit[t], 1.0)
    _scale(f, 0, w.gate, total, r, p, rng)
    if f.first < n:
        _scale(f, 1, w.gate, total, r, p, rng)
        _draw_odds(f, rng)
    if learn and f.share.size > 1:
        _shares(f, rng)


@numba.njit(cache=True, nogil=True, **PLAIN)
def evaluate(f, arm):
    """Value at the rows of a forest (one whose x was replaced)."""
    n = f.x.shape[1]
    weight, work, bits = np.empty((SLOTS, n)), np.empty(n), np.empty(n, np.int64)
    out, stack = np.zeros(n), np.empty(SLOTS, np.int64)
    for t in range(f.feature.shape[0]):
        weight[0] = 1.0
        stack[0] = 0
        size = 1
        while size > 0:
            size -= 1
            s = stack[size]
            if f.feature[t, s] < 0:
                _add(out, weight[s], f.value[t, s, arm])
                continue
            _gate_of(f, f.feature[t, s], f.cut[t, s], f.width[t], work, bits)
            a = f.left[t, s]
            _divide(weight[s], work, weight[a], weight[a + 1])
            stack[size] = a
            stack[size + 1] = a + 1
            size += 2
    return out
