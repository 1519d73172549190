"""The compiled sweep over coefficients, their scales and cluster intercepts.

The pieces stand by their subject: `state` (arrays), `products` (linear algebra), `slice_step`,
`scale_densities` and `scales` (of coefficients); noise parameters are in `compiled_noise` and
`compiled_times`.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from bayes_hte.fitting.gibbs.products import add, copy, dot, draw_normal, gram, times
from bayes_hte.fitting.gibbs.scales import set_scales, update_lengthscale, update_local, update_tau
from bayes_hte.fitting.gibbs.slice_step import PLAIN, WIDTH, slice_step
from bayes_hte.surfaces.compiling import compiled_on_disk


@numba.njit(**PLAIN)
def _without_clusters(sums, h, r, sd, q, hs):
    # Integrate the intercepts out, in place of q and hs.
    p = h.size
    copy(hs, h)
    for j in range(p):
        copy(q[j], sums.q[j])
    for c in range(r.size):
        shrink = sd**2 / (1.0 + sd**2 * sums.t[c])
        for j in range(p):
            pull = shrink * sums.m[c, j]
            if pull != 0.0:
                hs[j] -= pull * r[c]
                add(q[j], sums.m[c], -pull, p)


@numba.njit(**PLAIN)
def _draw_coefficients(state, q, hs, rng):
    # In units of the prior sd, in which no eigenvalue of the precision is below 1.
    p = hs.size
    a, h = np.empty((p, p)), np.empty(p)
    for i in range(p):
        h[i] = hs[i] * state.sd[i]
        for j in range(p):
            a[i, j] = q[i, j] * state.sd[i] * state.sd[j]
        a[i, i] += 1.0
    copy(state.raw, draw_normal(a, h, rng))
    for i in range(p):
        state.coef[i] = state.raw[i] * state.sd[i]


@numba.njit(**PLAIN)
def _log_cluster_sd(x, args):
    # Given the coefficients, with the intercepts integrated out.
    t, rest, scale = args
    sd = math.exp(x)
    density = x - (sd / scale) ** 2 / 2.0
    for c in range(t.size):
        extra = 1.0 + sd**2 * t[c]
        density += ((sd * rest[c]) ** 2 / extra - math.log(extra)) / 2.0
    return density


_draw_log_cluster_sd = slice_step(_log_cluster_sd)


@compiled_on_disk(nogil=True, **PLAIN)
def sweep_coefficients(columns, state, unit, precision, is_constant, rounds, residual, rng):
    """Draw all but the noise, and update the residual.

    `unit` holds the sums of products for a precision of 1; a precision that is the same for all
    rows scales them.
    """
    p, n = columns.x.shape
    clusters = state.cluster_raw.size
    if is_constant:
        sums = times(unit, precision[0])
    else:
        sums = gram(columns.x, columns.cluster, clusters, precision)
    weighted, old, old_intercept = np.empty(n), np.empty(p), np.empty(clusters)
    copy(old, state.coef)
    for i in range(n):
        weighted[i] = precision[i] * residual[i]
    for c in range(clusters):
        old_intercept[c] = state.cluster_sd[0] * state.cluster_raw[c]
    h, r, rest = np.empty(p), np.zeros(clusters), np.empty(clusters)
    for j in range(p):
        h[j] = dot(columns.x[j], weighted, n) + dot(sums.q[j], old, p)
    if clusters > 0:
        for i in range(n):
            r[columns.cluster[i]] += weighted[i]
        for c in range(clusters):
            r[c] += dot(sums.m[c], old, p) + sums.t[c] * old_intercept[c]
            add(h, sums.m[c], old_intercept[c], p)
    q, hs, slope = np.empty((p, p)), np.empty(p), np.empty(p)
    for _ in range(rounds):
        _without_clusters(sums, h, r, state.cluster_sd[0], q, hs)
        _draw_coefficients(state, q, hs, rng)
        for j in range(p):
            slope[j] = hs[j] - dot(q[j], state.coef, p)
        for g in range(columns.first.size - 1):
            for e in range(columns.first[g], columns.first[g + 1]):
                update_local(columns, state, g, e, q, slope, rng)
                if columns.start[e + 1] - columns.start[e] > 1:
                    update_lengthscale(columns, state, g, e, q, slope, rng)
            update_tau(columns, state, g, q, slope, rng)
            set_scales(columns, state, g)
        if clusters > 0:
            for c in range(clusters):
                rest[c] = r[c] - dot(sums.m[c], state.coef, p)
            args = (sums.t, rest, columns.cluster_scale)
            log_sd = _draw_log_cluster_sd(math.log(state.cluster_sd[0]), args, WIDTH, rng)
            state.cluster_sd[0] = math.exp(log_sd)
    for j in range(p):
        add(residual, columns.x[j], old[j] - state.coef[j], n)
    if clusters > 0:
        sd = state.cluster_sd[0]
        for c in range(clusters):
            extra = 1.0 + sd**2 * sums.t[c]
            state.cluster_raw[c] = sd * rest[c] / extra + rng.standard_normal() / math.sqrt(extra)
            old_intercept[c] -= sd * state.cluster_raw[c]
        for i in range(n):
            residual[i] += old_intercept[columns.cluster[i]]
