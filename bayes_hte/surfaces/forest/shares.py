"""Compiled draws of the probabilities with which splits take the columns (sparse splits).

References
----------
Caron, F., Doucet, A. (2012). Efficient Bayesian inference for generalized Bradley-Terry models.
Journal of Computational and Graphical Statistics 21, 174-196. doi:10.1080/10618600.2012.638220

Neal, R. M. (2003). Slice sampling. Annals of Statistics 31, 705-767. doi:10.1214/aos/1056562461
"""

from __future__ import annotations

import math

import numba
import numpy as np

from bayes_hte.surfaces.compiling import compiled_on_disk
from bayes_hte.surfaces.forest.rules import count_open

LOWEST = -600.0  # logarithm of the smallest probability of a variable; exp of it is not 0


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
        if k >= 0 and not closed[k] and count_open(tree, node, k, grid, shares) == 0:
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


@compiled_on_disk(nogil=True)
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


@compiled_on_disk(nogil=True)
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
