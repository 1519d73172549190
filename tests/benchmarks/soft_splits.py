"""Soft splits: a prototype of the default's model with trees whose splits are smooth, measured.

Each split of a tree sends a row right with probability ``logistic((x - c) / b)``, ``b`` a bandwidth
of the tree (Linero and Yang 2018), so a tree is a smooth function and so is every draw of an effect.
The model is that of the default fit of a gaussian outcome with two arms: a mean for each arm, a
forest that arms share and one of the deviations of each arm, sparse splits, and scales that may
vanish. The leaf values of a tree are integrated out together when the tree changes.

Run it with ``python -m tests.benchmarks.soft_splits``; see ``--help``. The default fit is run on the
same data first and lends its estimated propensity.

References
----------
Linero, A. R., Yang, Y. (2018). Bayesian regression tree ensembles that adapt to smoothness and
sparsity. Journal of the Royal Statistical Society B 80, 1087-1110. doi:10.1111/rssb.12293
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np

LEAVES = 10  # most leaves of a tree
SLOTS = 2 * LEAVES - 1
LEAF, FREE = -1, -2
FAST = {"reassoc", "contract", "nsz"}
MAGIC = 6755399441055744.0
PLAIN = {"error_model": "numpy"}


class Soft(NamedTuple):
    """One forest on its own rows."""

    x: np.ndarray  # (column, row)
    hard: np.ndarray  # (column,) whether a column has two values: its splits are hard
    variable: np.ndarray  # (column,), -1 for the reserved one
    start: np.ndarray
    members: np.ndarray
    reserved: int
    reserve: float
    grid: np.ndarray  # (column, cut) candidates of cuts, each alike
    share: np.ndarray
    cumulative: np.ndarray
    concentration: np.ndarray
    feature: np.ndarray  # (tree, slot)
    cut: np.ndarray
    left: np.ndarray
    parent: np.ndarray
    depth: np.ndarray
    value: np.ndarray
    width: np.ndarray  # (tree,) bandwidth
    mean_width: float
    alpha: float
    beta: float
    unit: float  # leaf variance at a multiplier of 1
    variance: np.ndarray  # (1,)
    weight: np.ndarray  # (tree, slot, row)
    fit: np.ndarray  # (tree, row)
    tried: np.ndarray  # (move, 2) proposals and acceptances


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
        e = 1.0 + r * (
            1.0
            + r
            * (0.5 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r / 5040)))))
        )
        work[i] = 1.0 / (1.0 + view[i] * e)


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
def _evidence(now, new, fresh, leaves, k, u, p, variance, m, h):
    # Log evidence of the leaves in `leaves`; rows of `new` where fresh. m, h keep factor and L^-1 b
    for i in range(k):
        a = new[leaves[i]] if fresh[leaves[i]] else now[leaves[i]]
        h[i] = _dot(a, u)
        for j in range(i + 1):
            b = new[leaves[j]] if fresh[leaves[j]] else now[leaves[j]]
            m[i, j] = _dot3(a, b, p) * variance
        m[i, i] += 1.0
    half = _cholesky(m, k)
    total = 0.0
    for i in range(k):
        s = h[i]
        for q in range(i):
            s -= m[i, q] * h[q]
        h[i] = s / m[i, i]
        total += h[i] ** 2
    return variance * total / 2.0 - half


@numba.njit(**PLAIN)
def _list(feature, leaves, inner, last):
    # Leaves, splits, and splits whose children are leaves are counted by the caller.
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
def _spread(f, t, top, width, new, fresh, work, bits):
    # Weights of all below `top` (its own are in now or new) into `new`, with the tree's fields.
    feature, left = f.feature[t], f.left[t]
    stack = np.empty(SLOTS, np.int64)
    stack[0] = top
    size = 1
    while size > 0:
        size -= 1
        s = stack[size]
        if feature[s] < 0:
            continue
        _gate_of(f, feature[s], f.cut[t, s], width, work, bits)
        here = new[s] if fresh[s] else f.weight[t, s]
        a = left[s]
        _divide(here, work, new[a], new[a + 1])
        fresh[a] = fresh[a + 1] = True
        stack[size] = a
        stack[size + 1] = a + 1
        size += 2


@numba.njit(**PLAIN)
def _split_prob(f, depth):
    return f.alpha * (1.0 + depth) ** (-f.beta)


@numba.njit(**PLAIN)
def _accept(f, t, new, fresh):
    n = f.x.shape[1]
    for s in range(SLOTS):
        if fresh[s]:
            for i in range(n):
                f.weight[t, s, i] = new[s, i]


@numba.njit(**PLAIN)
def _tree(f, t, r, p, u, new, work, bits, rounds, rng):
    n = f.x.shape[1]
    feature, left, parent, depth = f.feature[t], f.left[t], f.parent[t], f.depth[t]
    fit, now = f.fit[t], f.weight[t]
    for i in range(n):
        r[i] += fit[i]
        u[i] = r[i] * p[i]
    fresh = np.zeros(SLOTS, np.bool_)
    leaves, inner, nogs = (
        np.empty(SLOTS, np.int64),
        np.empty(SLOTS, np.int64),
        np.empty(SLOTS, np.int64),
    )
    m, h = np.empty((LEAVES, LEAVES)), np.empty(LEAVES)
    variance = f.variance[0]
    k, splits = _list(feature, leaves, inner, nogs)
    old = _evidence(now, new, fresh, leaves, k, u, p, variance, m, h)
    for _ in range(rounds):
        fresh[:] = False
        move = rng.random()
        if splits == 0 or move < 0.3:
            f.tried[0, 0] += 1
            if k < LEAVES:
                s = leaves[int(rng.random() * k)]
                a = -1
                for q in range(1, SLOTS, 2):
                    if feature[q] == FREE:
                        a = q
                        break
                j = _draw_column(f, rng)
                c = _draw_cut(f, j, rng)
                _gate_of(f, j, c, f.width[t], work, bits)
                _divide(now[s], work, new[a], new[a + 1])
                fresh[a] = fresh[a + 1] = True
                feature[s], f.cut[t, s], left[s] = j, c, a
                feature[a] = feature[a + 1] = LEAF
                parent[a] = parent[a + 1] = s
                depth[a] = depth[a + 1] = depth[s] + 1
                k2, splits2 = _list(feature, leaves, inner, nogs)
                count = _prunable(feature, left, nogs)
                ev = _evidence(now, new, fresh, leaves, k2, u, p, variance, m, h)
                q0, q1 = _split_prob(f, depth[s]), _split_prob(f, depth[s] + 1)
                ratio = ev - old + math.log(q0 / (1 - q0)) + 2 * math.log(1 - q1)
                ratio += math.log(0.3 / count) - math.log((1.0 if splits == 0 else 0.3) / k)
                if math.log(rng.random()) < ratio:
                    f.tried[0, 1] += 1
                    _accept(f, t, new, fresh)
                    old, k, splits = ev, k2, splits2
                else:
                    feature[s] = LEAF
                    feature[a] = feature[a + 1] = FREE
                    k, splits = _list(feature, leaves, inner, nogs)
        elif move < 0.6:
            f.tried[1, 0] += 1
            count = _prunable(feature, left, nogs)
            s = nogs[int(rng.random() * count)]
            a, j = left[s], feature[s]
            feature[s] = LEAF
            feature[a] = feature[a + 1] = FREE
            k2, splits2 = _list(feature, leaves, inner, nogs)
            ev = _evidence(now, new, fresh, leaves, k2, u, p, variance, m, h)
            q0, q1 = _split_prob(f, depth[s]), _split_prob(f, depth[s] + 1)
            ratio = ev - old - math.log(q0 / (1 - q0)) - 2 * math.log(1 - q1)
            ratio -= math.log(0.3 / count) - math.log((1.0 if splits2 == 0 else 0.3) / k2)
            if math.log(rng.random()) < ratio:
                f.tried[1, 1] += 1
                old, k, splits = ev, k2, splits2
            else:
                feature[s] = j
                feature[a] = feature[a + 1] = LEAF
                k, splits = _list(feature, leaves, inner, nogs)
        else:
            f.tried[2, 0] += 1
            s = inner[int(rng.random() * splits)]
            j, c = feature[s], f.cut[t, s]
            if rng.random() < 0.5 and not f.hard[j]:
                size = f.grid.shape[1]
                at = np.searchsorted(f.grid[j], c)
                step = 1 + int(rng.random() * max(1, size // 20))
                at += step if rng.random() < 0.5 else -step
                if 0 <= at < size:
                    f.cut[t, s] = f.grid[j, at]
            else:
                feature[s] = _draw_column(f, rng)
                f.cut[t, s] = _draw_cut(f, feature[s], rng)
            _spread(f, t, s, f.width[t], new, fresh, work, bits)
            ev = _evidence(now, new, fresh, leaves, k, u, p, variance, m, h)
            if math.log(rng.random()) < ev - old:
                f.tried[2, 1] += 1
                _accept(f, t, new, fresh)
                old = ev
            else:
                feature[s], f.cut[t, s] = j, c
        if f.mean_width > 0:
            if splits == 0:
                f.width[t] = -f.mean_width * math.log(1.0 - rng.random())
            else:
                f.tried[3, 0] += 1
                fresh[:] = False
                width = f.width[t] * math.exp(rng.standard_normal() * 0.5)
                _spread(f, t, 0, width, new, fresh, work, bits)
                ev = _evidence(now, new, fresh, leaves, k, u, p, variance, m, h)
                ratio = ev - old + math.log(width / f.width[t])
                ratio -= (width - f.width[t]) / f.mean_width
                if math.log(rng.random()) < ratio:
                    f.tried[3, 1] += 1
                    _accept(f, t, new, fresh)
                    old = ev
                    f.width[t] = width
    fresh[:] = False
    _evidence(now, new, fresh, leaves, k, u, p, variance, m, h)
    # values = sqrt(v) L^-T (sqrt(v) L^-1 b + z)
    sd = math.sqrt(variance)
    for i in range(k):
        h[i] = sd * h[i] + rng.standard_normal()
    for i in range(k - 1, -1, -1):
        s_ = h[i]
        for q in range(i + 1, k):
            s_ -= m[q, i] * h[q]
        h[i] = s_ / m[i, i]
    fit[:] = 0.0
    for i in range(k):
        f.value[t, leaves[i]] = sd * h[i]
        _add(fit, now[leaves[i]], sd * h[i])
    for i in range(n):
        r[i] -= fit[i]


@numba.njit(fastmath=FAST, **PLAIN)
def _add(to, what, times):
    for i in range(to.size):
        to[i] += times * what[i]


@numba.njit(**PLAIN)
def _log_scale(x, squares, leaves, unit):
    a2 = math.exp(2 * x)
    return x - a2 / 2 - leaves * x - squares / (2 * a2 * unit)


@numba.njit(**PLAIN)
def _scale(f, total, r, p, rng):
    squares, leaves = 0.0, 0
    for t in range(f.feature.shape[0]):
        for s in range(SLOTS):
            if f.feature[t, s] == LEAF:
                squares += f.value[t, s] ** 2
                leaves += 1
    x = math.log(f.variance[0] / f.unit) / 2
    height = _log_scale(x, squares, leaves, f.unit) + math.log(1.0 - rng.random())
    low = x - 0.5 * rng.random()
    high = low + 0.5
    while _log_scale(low, squares, leaves, f.unit) > height:
        low -= 0.5
    while _log_scale(high, squares, leaves, f.unit) > height:
        high += 0.5
    while True:
        new = low + (high - low) * rng.random()
        if _log_scale(new, squares, leaves, f.unit) >= height:
            break
        if new < x:
            low = new
        else:
            high = new
    a = math.exp(new)
    # Given the values in units of a, which then is a coefficient of total / a.
    quad, lin = 0.0, 0.0
    for i in range(r.size):
        g = total[i] / a
        quad += p[i] * g * g
        lin += p[i] * g * (r[i] + total[i])
    quad += 1.0
    b = lin / quad + rng.standard_normal() / math.sqrt(quad)
    ratio = b / a
    f.variance[0] = b * b * f.unit
    for i in range(r.size):
        r[i] += total[i] * (1 - ratio)
        total[i] *= ratio
    for t in range(f.feature.shape[0]):
        for s in range(SLOTS):
            f.value[t, s] *= ratio
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
def sweep(f, total, r, p, rounds, learn, rng):
    """Update every tree, the scale and the probabilities once; r is the residual of all."""
    n = r.size
    u, work, new = np.empty(n), np.empty(n), np.empty((SLOTS, n))
    bits = np.empty(n, np.int64)
    for i in range(n):
        r[i] += total[i]
    for i in range(n):
        r[i] -= total[i]
    for t in range(f.feature.shape[0]):
        _tree(f, t, r, p, u, new, work, bits, rounds, rng)
    total[:] = 0.0
    for t in range(f.feature.shape[0]):
        _add(total, f.fit[t], 1.0)
    _scale(f, total, r, p, rng)
    if learn and f.share.size > 1:
        _shares(f, rng)


@numba.njit(cache=True, nogil=True, **PLAIN)
def evaluate(f):
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
                _add(out, weight[s], f.value[t, s])
                continue
            _gate_of(f, f.feature[t, s], f.cut[t, s], f.width[t], work, bits)
            a = f.left[t, s]
            _divide(weight[s], work, weight[a], weight[a + 1])
            stack[size] = a
            stack[size + 1] = a + 1
            size += 2
    return out


def plant(x, cuts, hard, variable, *, reserved, reserve, rows, scale, trees, mean_width, alpha=0.95,
          beta=2.0, rng):
    """Make a forest of roots on some rows of x, shape (column, row)."""
    own = np.ascontiguousarray(x[:, rows])
    n = own.shape[1]
    variable = np.array(variable)
    if reserved >= 0:
        variable[reserved] = -1
    number = variable.max() + 1
    members = [np.flatnonzero(variable == k) for k in range(number)]
    feature = np.full((trees, SLOTS), FREE)
    feature[:, 0] = LEAF
    like = np.zeros((trees, SLOTS), np.int64)
    weight = np.zeros((trees, SLOTS, n))
    weight[:, 0] = 1.0
    parent = like.copy()
    parent[:, 0] = -1
    return Soft(
        own, hard, variable, np.cumsum([0, *map(len, members)]), np.concatenate(members), reserved,
        reserve, cuts, np.full(number, 1 / number), np.cumsum(np.full(number, 1 / number)),
        np.ones(1), feature, np.zeros((trees, SLOTS)), like.copy(), parent, like.copy(),
        np.zeros((trees, SLOTS)),
        rng.exponential(mean_width, trees) if mean_width > 0 else np.full(trees, 1e-6),
        mean_width, alpha, beta, scale**2 / trees, np.array([scale**2 / trees]), weight,
        np.zeros((trees, n)), np.zeros((4, 2)),
    )


def columns(frame, *, scaling="rank", cuts=100):
    """Columns in [0, 1] or about it, cuts, whether hard, and variables."""
    import pandas as pd

    x, hard, variable, grid = [], [], [], []
    for v, name in enumerate(frame):
        c = frame[name]
        if isinstance(c.dtype, pd.CategoricalDtype):
            levels = [(c == level).to_numpy(float) for level in c.cat.categories]
        else:
            levels = [c.to_numpy(float)]
        for z in levels:
            two = np.unique(z).size <= 2
            if two:
                z = (z > z.min()).astype(float)
            elif scaling == "rank":
                z = c.rank().to_numpy() / (len(z) + 1)
            else:
                low, high = np.quantile(z, [0.05, 0.95])
                z = (z - low) / (high - low) if high > low else (z - z.min()) / np.ptp(z)
            x.append(z)
            hard.append(two)
            variable.append(v)
            grid.append(np.full(cuts, 0.5) if two else np.quantile(z, (np.arange(cuts) + 0.5) / cuts))
    return np.array(x), np.array(grid), np.array(hard), np.array(variable)


def sample(frame, treatment, outcome, propensity, *, seed, chains=4, tune=300, draws=500,
           trees=(50, 25), width=0.1, scaling="rank", rounds=1, sweeps=2, alpha=0.95, beta=2.0,
           wait=1 / 6, scales=(1.0, 0.5), info=None):
    """Draws of individual effects, shape (chain, draw, unit)."""
    named = frame.assign(__propensity=propensity)
    x, cuts, hard, variable = columns(named, scaling=scaling)
    n, sd = len(outcome), outcome.std()
    y = outcome - outcome.mean()
    arms = [np.flatnonzero(treatment == a) for a in (0, 1)]
    out = np.empty((chains, draws, n))
    last = x.shape[0] - 1
    for chain in range(chains):
        rng = np.random.default_rng([seed, chain])
        kw = {"rng": rng, "mean_width": width, "alpha": alpha, "beta": beta}
        shared = plant(x, cuts, hard, variable, reserved=last, reserve=0.25, rows=np.arange(n),
                       scale=scales[0] * sd, trees=trees[0], **kw)
        # Deviations do not see the propensity, as in the default.
        dev = [plant(x[:last], cuts[:last], hard[:last], variable[:last], reserved=-1, reserve=0.0,
                     rows=rows, scale=scales[1] * sd, trees=trees[1], **kw) for rows in arms]
        x0 = np.ascontiguousarray(x[:last])
        total, totals = np.zeros(n), [np.zeros(rows.size) for rows in arms]
        mean, sigma, r = np.zeros(2), sd, y.copy()
        for it in range(tune + draws):
            learn, go = it >= 0.2 * tune, it >= wait * tune
            for _ in range(sweeps):
                p = np.full(n, sigma**-2)
                sweep(shared, total, r, p, rounds, learn, rng)
                for a, rows in enumerate(arms):
                    ra = r[rows]
                    if go:
                        sweep(dev[a], totals[a], ra, p[rows], rounds, learn, rng)
                    prec = rows.size / sigma**2 + (0.7 * sd) ** -2
                    new = (ra + mean[a]).sum() / sigma**2 / prec + rng.normal() / math.sqrt(prec)
                    ra += mean[a] - new
                    mean[a] = new
                    r[rows] = ra
                # Half-Cauchy-like on sigma: improper here, of no matter with hundreds of rows.
                sigma = math.sqrt((r @ r) / (2 * rng.standard_gamma(n / 2)))
            if it >= tune:
                out[chain, it - tune] = (
                    mean[1] - mean[0] + evaluate(dev[1]._replace(x=x0)) - evaluate(dev[0]._replace(x=x0))
                )
        if info is not None:
            info.append((sigma, [f.tried[:, 1] / f.tried[:, 0] for f in (shared, *dev)],
                         [(f.feature == LEAF).sum(1).mean() for f in (shared, *dev)],
                         [np.median(f.width) for f in (shared, *dev)],
                         [math.sqrt(f.variance[0] / f.unit) for f in (shared, *dev)]))
    return out
