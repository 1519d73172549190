"""The compiled updates of coefficients, their scales, cluster intercepts and noise parameters.

The slice step is Neal's, with stepping out and shrinkage, on a scale without bounds. The entry
points are :func:`sweep_coefficients`, :func:`update_scales`, :func:`update_degrees` and
:func:`update_overdispersion`.

All compiled functions stand in this one file because numba's cache on disk notices a change of the
file a function stands in, and not of the files it calls into.

References
----------
Neal, R. M. (2003). Slice sampling. Annals of Statistics 31, 705-767. doi:10.1214/aos/1056562461
Yu, Y., Meng, X.-L. (2011). To center or not to center: that is not the question. Journal of
Computational and Graphical Statistics 20, 531-570. doi:10.1198/jcgs.2011.203main
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np

# Sums may be reordered (that is what makes them vector code); NaN and infinity keep their meaning.
FAST = {"reassoc", "contract", "nsz"}
# A division by 0 is infinite, as in NumPy.
PLAIN = {"error_model": "numpy"}
WIDTH = 2.0  # of a first interval; scales are sampled on the log scale
STEPS = 32  # most intervals of stepping out
CLOSED = 1e-12  # an interval shorter than this holds its start alone
BLOCK = 512  # rows whose columns stay in the cache together
LARGE_SIZE = 1e6  # of a negative binomial, from which a series is more accurate


class Columns(NamedTuple):
    """What stays fixed: columns, clusters and priors.

    A *part* is a run of columns that share a scale of a horseshoe: one column, or the basis of one
    curve. Columns with a prior of fixed scale come first, then parts, horseshoe by horseshoe.

    Attributes
    ----------
    x : ndarray, shape (column, row)
        Columns, each times the basis of its term.
    cluster : ndarray of int64, shape (row,)
        Cluster of each row; not read if there are no clusters.
    fixed_sd : ndarray, shape (column,)
        Prior sd of the columns before the first part.
    start : ndarray of int64, shape (part + 1,)
        First column of each part, and the number of columns.
    first : ndarray of int64, shape (horseshoe + 1,)
        First part of each horseshoe, and the number of parts.
    slab, tau_scale : ndarray, shape (horseshoe,)
        Largest sd, and scale of the half-t prior of tau.
    frequency, mean_square : ndarray, shape (column,)
        Of a curve's basis; 0 and 1 for a single column.
    cluster_scale : float
        Of the half-normal prior of the intercepts' sd.
    log_lengthscale, sd_log_lengthscale : float
        Mean and sd of the log of a curve's lengthscale.
    tau_df : float
        Degrees of freedom of the prior of tau.
    """

    x: np.ndarray
    cluster: np.ndarray
    fixed_sd: np.ndarray
    start: np.ndarray
    first: np.ndarray
    slab: np.ndarray
    tau_scale: np.ndarray
    frequency: np.ndarray
    mean_square: np.ndarray
    cluster_scale: float
    log_lengthscale: float
    sd_log_lengthscale: float
    tau_df: float


class State(NamedTuple):
    """What is sampled, updated in place.

    Attributes
    ----------
    coef, raw : ndarray, shape (column,)
        Coefficients, and the same divided by `sd`.
    sd, relative : ndarray, shape (column,)
        Prior sd given the scales; for a part the amplitude times `relative`.
    local, lengthscale : ndarray, shape (part,)
        Local scales, and lengthscales (of curves).
    tau : ndarray, shape (horseshoe,)
        Global scales.
    cluster_raw : ndarray, shape (cluster,)
        Intercepts divided by their sd.
    cluster_sd : ndarray, shape (1,)
        Their sd.
    """

    coef: np.ndarray
    raw: np.ndarray
    sd: np.ndarray
    relative: np.ndarray
    local: np.ndarray
    lengthscale: np.ndarray
    tau: np.ndarray
    cluster_raw: np.ndarray
    cluster_sd: np.ndarray


class Gram(NamedTuple):
    """Weighted sums of products.

    Attributes
    ----------
    q : ndarray, shape (column, column)
        Of the columns with one another.
    m : ndarray, shape (cluster, column)
        Of clusters' indicators with columns.
    t : ndarray, shape (cluster,)
        Weight of each cluster.
    """

    q: np.ndarray
    m: np.ndarray
    t: np.ndarray


# ---------------------------------------------------------------- slice step


def _slice_step(log_density):
    """Compile the slice step of one density; a compiled argument would keep it out of the cache."""

    @numba.njit(**PLAIN)
    def step(x, args, width, rng):
        height = log_density(x, args) - rng.standard_exponential()
        low = x - width * rng.random()
        high = low + width
        left = int(STEPS * rng.random())
        for _ in range(left):
            if not log_density(low, args) > height:
                break
            low -= width
        for _ in range(STEPS - 1 - left):
            if not log_density(high, args) > height:
                break
            high += width
        # Only a density that is not a number lets the interval close.
        while high - low > CLOSED:
            new = low + (high - low) * rng.random()
            if log_density(new, args) > height:
                return new
            if new < x:
                low = new
            else:
                high = new
        return x

    return step


# ---------------------------------------------------------------- linear algebra


@numba.njit(fastmath=FAST, **PLAIN)
def _dot(a, b, n):
    total = 0.0
    for i in range(n):
        total += a[i] * b[i]
    return total


@numba.njit(fastmath=FAST, **PLAIN)
def _dot_between(a, b, first, stop):
    # Slices would compile much that is not needed.
    total = 0.0
    for i in range(first, stop):
        total += a[i] * b[i]
    return total


@numba.njit(fastmath=FAST, **PLAIN)
def _add(a, b, factor, n):
    for i in range(n):
        a[i] += factor * b[i]


@numba.njit(**PLAIN)
def _copy(a, b):
    # Assignments to slices would compile much that is not needed.
    for i in range(b.size):
        a[i] = b[i]


@numba.njit(**PLAIN)
def _cholesky(a):
    # Lower factor, in place; entries above the diagonal are left as they are.
    for i in range(a.shape[0]):
        for j in range(i):
            a[i, j] = (a[i, j] - _dot(a[i], a[j], j)) / a[j, j]
        a[i, i] = math.sqrt(a[i, i] - _dot(a[i], a[i], i))


@numba.njit(**PLAIN)
def _draw_normal(a, h, rng):
    # One draw of Normal(a^-1 h, a^-1); a becomes its factor.
    _cholesky(a)
    p = h.size
    out = np.empty(p)
    for i in range(p):
        out[i] = (h[i] - _dot(a[i], out, i)) / a[i, i]
    for i in range(p):
        out[i] += rng.standard_normal()
    for i in range(p - 1, -1, -1):
        out[i] /= a[i, i]
        _add(out, a[i], -out[i], i)
    return out


@numba.njit(cache=True, nogil=True, **PLAIN)
def gram(x, cluster, clusters, weight):
    """Sum the weighted products of columns and clusters' indicators; see :class:`Gram`."""
    p, n = x.shape
    q, m, t = np.zeros((p, p)), np.zeros((clusters, p)), np.zeros(clusters)
    scaled = np.empty(BLOCK)
    for begin in range(0, n, BLOCK):
        size = min(BLOCK, n - begin)
        for j in range(p):
            for i in range(size):
                scaled[i] = x[j, begin + i] * weight[begin + i]
            for k in range(j + 1):
                q[j, k] += _dot(scaled, x[k, begin:], size)
            if clusters > 0:
                for i in range(size):
                    m[cluster[begin + i], j] += scaled[i]
    for j in range(p):
        for k in range(j):
            q[k, j] = q[j, k]
    if clusters > 0:
        for i in range(n):
            t[cluster[i]] += weight[i]
    return Gram(q, m, t)


@numba.njit(**PLAIN)
def _times(sums, factor):
    out = Gram(np.empty_like(sums.q), np.empty_like(sums.m), np.empty_like(sums.t))
    for j in range(sums.q.shape[0]):
        for k in range(sums.q.shape[0]):
            out.q[j, k] = factor * sums.q[j, k]
    for c in range(sums.t.size):
        out.t[c] = factor * sums.t[c]
        for j in range(sums.q.shape[0]):
            out.m[c, j] = factor * sums.m[c, j]
    return out


# ---------------------------------------------------------------- scales of coefficients


@numba.njit(**PLAIN)
def _amplitude(tau, local, slab):
    u = tau * local
    return slab / math.sqrt(1.0 + (slab / u) ** 2)


@numba.njit(**PLAIN)
def _log_half_t(log_x, scale, df):
    # Of the logarithm of a half-t variable.
    return log_x - (df + 1.0) / 2.0 * math.log1p((math.exp(log_x) / scale) ** 2 / df)


@numba.njit(**PLAIN)
def _fill_relative(relative, lengthscale, frequency, mean_square):
    total = 0.0
    for k in range(relative.size):
        relative[k] = (1.0 + (lengthscale * frequency[k]) ** 2 / 5.0) ** -3
        total += relative[k] * mean_square[k]
    for k in range(relative.size):
        relative[k] = math.sqrt(relative[k] / total)


@numba.njit(**PLAIN)
def _local_given_coef(log_local, args):
    size, squares, tau, slab = args
    amplitude = _amplitude(tau, math.exp(log_local), slab)
    density = -size * math.log(amplitude) - squares / (2.0 * amplitude**2)
    return density + _log_half_t(log_local, 1.0, 1.0)


_draw_local_given_coef = _slice_step(_local_given_coef)


@numba.njit(**PLAIN)
def _local_given_raw(log_local, args):
    linear, quadratic, now, tau, slab = args
    step = _amplitude(tau, math.exp(log_local), slab) - now
    return step * (linear - step * quadratic / 2.0) + _log_half_t(log_local, 1.0, 1.0)


_draw_local_given_raw = _slice_step(_local_given_raw)


@numba.njit(**PLAIN)
def _log_lengthscale(x, mean, sd):
    return -(((x - mean) / sd) ** 2) / 2.0


@numba.njit(**PLAIN)
def _lengthscale_given_coef(x, args):
    mean, spread, frequency, mean_square, coef, amplitude, relative = args
    _fill_relative(relative, math.exp(x), frequency, mean_square)
    density = _log_lengthscale(x, mean, spread)
    for k in range(coef.size):
        sd = amplitude * relative[k]
        density -= math.log(sd) + (coef[k] / sd) ** 2 / 2.0
    return density


_draw_lengthscale_given_coef = _slice_step(_lengthscale_given_coef)


@numba.njit(**PLAIN)
def _lengthscale_given_raw(x, args):
    mean, spread, frequency, mean_square, coef, amplitude, step, raw, linear, quadratic = args
    _fill_relative(step, math.exp(x), frequency, mean_square)
    density = _log_lengthscale(x, mean, spread)
    for k in range(coef.size):
        step[k] = amplitude * step[k] * raw[k] - coef[k]
    for k in range(coef.size):
        density += step[k] * (linear[k] - _dot(quadratic[k], step, coef.size) / 2.0)
    return density


_draw_lengthscale_given_raw = _slice_step(_lengthscale_given_raw)


@numba.njit(**PLAIN)
def _tau_given_coef(log_tau, args):
    scale, df, slab, local, sizes, squares = args
    density = _log_half_t(log_tau, scale, df)
    tau = math.exp(log_tau)
    for i in range(local.size):
        amplitude = _amplitude(tau, local[i], slab)
        density -= sizes[i] * math.log(amplitude) + squares[i] / (2.0 * amplitude**2)
    return density


_draw_tau_given_coef = _slice_step(_tau_given_coef)


@numba.njit(**PLAIN)
def _tau_given_raw(log_tau, args):
    scale, df, slab, local, now, linear, quadratic, step = args
    density = _log_half_t(log_tau, scale, df)
    tau = math.exp(log_tau)
    for i in range(local.size):
        step[i] = _amplitude(tau, local[i], slab) - now[i]
    for i in range(local.size):
        density += step[i] * (linear[i] - _dot(quadratic[i], step, local.size) / 2.0)
    return density


_draw_tau_given_raw = _slice_step(_tau_given_raw)


@numba.njit(**PLAIN)
def _tau_given_products(log_tau, args):
    # tau times each local scale stays.
    scale, df, local, log_now = args
    density = _log_half_t(log_tau, scale, df)
    for i in range(local.size):
        density += _log_half_t(math.log(local[i]) + log_now - log_tau, 1.0, 1.0)
    return density


_draw_tau_given_products = _slice_step(_tau_given_products)


@numba.njit(**PLAIN)
def _squares(coef, relative, a, b):
    total = 0.0
    for j in range(a, b):
        total += (coef[j] / relative[j]) ** 2
    return total


@numba.njit(**PLAIN)
def _set_scales(columns, state, g):
    # sd follows the scales, and raw follows coef.
    for e in range(columns.first[g], columns.first[g + 1]):
        amplitude = _amplitude(state.tau[g], state.local[e], columns.slab[g])
        for j in range(columns.start[e], columns.start[e + 1]):
            state.sd[j] = amplitude * state.relative[j]
            state.raw[j] = state.coef[j] / state.sd[j]


@numba.njit(**PLAIN)
def _move(state, q, slope, j, new):
    _add(slope, q[j], state.coef[j] - new, slope.size)
    state.coef[j] = new


@numba.njit(**PLAIN)
def _update_local(columns, state, g, e, q, slope, rng):
    a, b, tau, slab = columns.start[e], columns.start[e + 1], state.tau[g], columns.slab[g]
    squares = _squares(state.coef, state.relative, a, b)
    args = (float(b - a), squares, tau, slab)
    log_local = _draw_local_given_coef(math.log(state.local[e]), args, WIDTH, rng)
    now = _amplitude(tau, math.exp(log_local), slab)
    linear = quadratic = 0.0
    for j in range(a, b):
        linear += slope[j] * state.coef[j] / now
        quadratic += state.coef[j] * _dot_between(q[j], state.coef, a, b) / now**2
    args = (linear, quadratic, now, tau, slab)
    log_local = _draw_local_given_raw(log_local, args, WIDTH, rng)
    state.local[e] = math.exp(log_local)
    ratio = _amplitude(tau, state.local[e], slab) / now
    for j in range(a, b):
        _move(state, q, slope, j, state.coef[j] * ratio)


@numba.njit(**PLAIN)
def _update_lengthscale(columns, state, g, e, q, slope, rng):
    a, b = columns.start[e], columns.start[e + 1]
    amplitude = _amplitude(state.tau[g], state.local[e], columns.slab[g])
    mean, spread = columns.log_lengthscale, columns.sd_log_lengthscale
    relative, coef, work = state.relative[a:b], state.coef[a:b], np.empty(b - a)
    frequency, mean_square = columns.frequency[a:b], columns.mean_square[a:b]
    args = (mean, spread, frequency, mean_square, coef, amplitude, work)
    x = _draw_lengthscale_given_coef(math.log(state.lengthscale[e]), args, WIDTH, rng)
    _fill_relative(relative, math.exp(x), frequency, mean_square)
    for j in range(a, b):
        state.raw[j] = state.coef[j] / (amplitude * state.relative[j])
    raw, linear, quadratic = state.raw[a:b], slope[a:b], np.empty((b - a, b - a))
    for j in range(a, b):
        for k in range(a, b):
            quadratic[j - a, k - a] = q[j, k]
    args = (mean, spread, frequency, mean_square, coef, amplitude, work, raw, linear, quadratic)
    x = _draw_lengthscale_given_raw(x, args, WIDTH, rng)
    state.lengthscale[e] = math.exp(x)
    _fill_relative(relative, state.lengthscale[e], frequency, mean_square)
    for j in range(a, b):
        _move(state, q, slope, j, amplitude * state.relative[j] * state.raw[j])


@numba.njit(**PLAIN)
def _update_tau(columns, state, g, q, slope, rng):
    first, size = columns.first[g], columns.first[g + 1] - columns.first[g]
    slab, scale, df = columns.slab[g], columns.tau_scale[g], columns.tau_df
    local = state.local[first : first + size]
    sizes, squares, now, linear = np.empty(size), np.empty(size), np.empty(size), np.zeros(size)
    for i in range(size):
        a, b = columns.start[first + i], columns.start[first + i + 1]
        sizes[i], squares[i] = b - a, _squares(state.coef, state.relative, a, b)
    args = (scale, df, slab, local, sizes, squares)
    log_tau = _draw_tau_given_coef(math.log(state.tau[g]), args, WIDTH, rng)
    quadratic = np.zeros((size, size))
    for i in range(size):
        now[i] = _amplitude(math.exp(log_tau), local[i], slab)
    for i in range(size):
        for j in range(columns.start[first + i], columns.start[first + i + 1]):
            here = state.coef[j] / now[i]
            linear[i] += slope[j] * here
            for k in range(size):
                a, b = columns.start[first + k], columns.start[first + k + 1]
                quadratic[i, k] += here * _dot_between(q[j], state.coef, a, b) / now[k]
    args = (scale, df, slab, local, now, linear, quadratic, np.empty(size))
    log_tau = _draw_tau_given_raw(log_tau, args, WIDTH, rng)
    for i in range(size):
        ratio = _amplitude(math.exp(log_tau), local[i], slab) / now[i]
        for j in range(columns.start[first + i], columns.start[first + i + 1]):
            _move(state, q, slope, j, state.coef[j] * ratio)
    args = (scale, df, local, log_tau)
    new = _draw_tau_given_products(log_tau, args, WIDTH, rng)
    for i in range(size):
        local[i] *= math.exp(log_tau - new)
    state.tau[g] = math.exp(new)


# ---------------------------------------------------------------- coefficients and intercepts


@numba.njit(**PLAIN)
def _without_clusters(sums, h, r, sd, q, hs):
    # Integrate the intercepts out, in place of q and hs.
    p = h.size
    _copy(hs, h)
    for j in range(p):
        _copy(q[j], sums.q[j])
    for c in range(r.size):
        shrink = sd**2 / (1.0 + sd**2 * sums.t[c])
        for j in range(p):
            pull = shrink * sums.m[c, j]
            if pull != 0.0:
                hs[j] -= pull * r[c]
                _add(q[j], sums.m[c], -pull, p)


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
    _copy(state.raw, _draw_normal(a, h, rng))
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


_draw_log_cluster_sd = _slice_step(_log_cluster_sd)


@numba.njit(cache=True, nogil=True, **PLAIN)
def start_scales(columns, state):
    """Fill what follows from scales and coefficients."""
    for e in range(columns.start.size - 1):
        a, b = columns.start[e], columns.start[e + 1]
        frequency, mean_square = columns.frequency[a:b], columns.mean_square[a:b]
        _fill_relative(state.relative[a:b], state.lengthscale[e], frequency, mean_square)
    _copy(state.sd, columns.fixed_sd)
    for g in range(columns.first.size - 1):
        _set_scales(columns, state, g)


@numba.njit(cache=True, nogil=True, **PLAIN)
def sweep_coefficients(columns, state, unit, precision, is_constant, rounds, residual, rng):
    """Draw all but the noise, and update the residual.

    `unit` holds the sums of products for a precision of 1; a precision that is the same for all
    rows scales them.
    """
    p, n = columns.x.shape
    clusters = state.cluster_raw.size
    if is_constant:
        sums = _times(unit, precision[0])
    else:
        sums = gram(columns.x, columns.cluster, clusters, precision)
    weighted, old, old_intercept = np.empty(n), np.empty(p), np.empty(clusters)
    _copy(old, state.coef)
    for i in range(n):
        weighted[i] = precision[i] * residual[i]
    for c in range(clusters):
        old_intercept[c] = state.cluster_sd[0] * state.cluster_raw[c]
    h, r, rest = np.empty(p), np.zeros(clusters), np.empty(clusters)
    for j in range(p):
        h[j] = _dot(columns.x[j], weighted, n) + _dot(sums.q[j], old, p)
    if clusters > 0:
        for i in range(n):
            r[columns.cluster[i]] += weighted[i]
        for c in range(clusters):
            r[c] += _dot(sums.m[c], old, p) + sums.t[c] * old_intercept[c]
            _add(h, sums.m[c], old_intercept[c], p)
    q, hs, slope = np.empty((p, p)), np.empty(p), np.empty(p)
    for _ in range(rounds):
        _without_clusters(sums, h, r, state.cluster_sd[0], q, hs)
        _draw_coefficients(state, q, hs, rng)
        for j in range(p):
            slope[j] = hs[j] - _dot(q[j], state.coef, p)
        for g in range(columns.first.size - 1):
            for e in range(columns.first[g], columns.first[g + 1]):
                _update_local(columns, state, g, e, q, slope, rng)
                if columns.start[e + 1] - columns.start[e] > 1:
                    _update_lengthscale(columns, state, g, e, q, slope, rng)
            _update_tau(columns, state, g, q, slope, rng)
            _set_scales(columns, state, g)
        if clusters > 0:
            for c in range(clusters):
                rest[c] = r[c] - _dot(sums.m[c], state.coef, p)
            args = (sums.t, rest, columns.cluster_scale)
            log_sd = _draw_log_cluster_sd(math.log(state.cluster_sd[0]), args, WIDTH, rng)
            state.cluster_sd[0] = math.exp(log_sd)
    for j in range(p):
        _add(residual, columns.x[j], old[j] - state.coef[j], n)
    if clusters > 0:
        sd = state.cluster_sd[0]
        for c in range(clusters):
            extra = 1.0 + sd**2 * sums.t[c]
            state.cluster_raw[c] = sd * rest[c] / extra + rng.standard_normal() / math.sqrt(extra)
            old_intercept[c] -= sd * state.cluster_raw[c]
        for i in range(n):
            residual[i] += old_intercept[columns.cluster[i]]


# ---------------------------------------------------------------- noise


@numba.njit(**PLAIN)
def _log_scale_prior(x, theta, direction, scale, df, slope_sd):
    density = _log_half_t(theta[0] + x * direction[0], scale, df)
    for j in range(slope_sd.size):
        density -= ((theta[j + 1] + x * direction[j + 1]) / slope_sd[j]) ** 2 / 2.0
    return density


@numba.njit(**PLAIN)
def _log_constant_scale(log_sigma, args):
    squares, n, scale, df = args
    density = _log_half_t(log_sigma, scale, df)
    return density - n * log_sigma - squares * math.exp(-2.0 * log_sigma) / 2.0


_draw_log_constant_scale = _slice_step(_log_constant_scale)


@numba.njit(fastmath=FAST, **PLAIN)
def _log_scale_along(x, args):
    # A step of x along a direction in the space of log sigma and slopes.
    theta, direction, log_sigma, along, squares, nu, scale, df, slope_sd = args
    density = _log_scale_prior(x, theta, direction, scale, df, slope_sd)
    total = 0.0
    if nu > 0.0:
        for i in range(squares.size):
            log_i = log_sigma[i] + x * along[i]
            total -= log_i + (nu + 1.0) / 2.0 * math.log1p(squares[i] * math.exp(-2.0 * log_i) / nu)
    else:
        for i in range(squares.size):
            log_i = log_sigma[i] + x * along[i]
            total -= log_i + squares[i] * math.exp(-2.0 * log_i) / 2.0
    return density + total


_draw_log_scale_along = _slice_step(_log_scale_along)


@numba.njit(cache=True, nogil=True, **PLAIN)
def update_scales(theta, directions, along, log_sigma, residual, nu, scale, df, slope_sd, rng):
    """Draw theta (log sigma and slopes) and log_sigma of each row; a nu of 0 is gaussian."""
    n = residual.size
    squares = np.empty(n)
    for i in range(n):
        squares[i] = residual[i] ** 2
    if nu == 0.0 and theta.size == 1:
        args = (_dot(residual, residual, n), n, scale, df)
        theta[0] = _draw_log_constant_scale(theta[0], args, 4.0 / math.sqrt(n), rng)
        for i in range(n):
            log_sigma[i] = theta[0]
        return
    for k in range(theta.size):
        direction, here = directions[k], along[k]
        args = (theta, direction, log_sigma, here, squares, nu, scale, df, slope_sd)
        step = _draw_log_scale_along(0.0, args, WIDTH, rng)
        _add(theta, direction, step, theta.size)
        _add(log_sigma, here, step, n)


@numba.njit(fastmath=FAST, **PLAIN)
def _log_degrees(x, args):
    squares, shape, rate, lower = args
    nu = lower + math.exp(x)
    total = 0.0
    for i in range(squares.size):
        total += math.log1p(squares[i] / nu)
    density = x + (shape - 1.0) * math.log(nu) - rate * nu - (nu + 1.0) / 2.0 * total
    norm = math.lgamma((nu + 1.0) / 2.0) - math.lgamma(nu / 2.0) - math.log(nu) / 2.0
    return density + squares.size * norm


_draw_log_degrees = _slice_step(_log_degrees)


@numba.njit(cache=True, nogil=True, **PLAIN)
def update_degrees(nu, squares, shape, rate, lower, rng):
    """Draw degrees of freedom, given squared residuals in units of sigma."""
    args = (squares, shape, rate, lower)
    return lower + math.exp(_draw_log_degrees(math.log(nu - lower), args, WIDTH, rng))


@numba.njit(**PLAIN)
def _log_overdispersion(x, args):
    y, mean, scale = args
    size = math.exp(-2.0 * x)
    density = x - (math.exp(x) / scale) ** 2 / 2.0
    log_size, base = -2.0 * x, math.lgamma(size)
    for i in range(y.size):
        if size > LARGE_SIZE * (1.0 + y[i] ** 2):
            density += y[i] * (y[i] - 1.0) / (2.0 * size)
        elif y[i] > 0.0:
            density += math.lgamma(y[i] + size) - base - y[i] * log_size
        density -= (size + y[i]) * math.log1p(mean[i] / size)
    return density


_draw_log_overdispersion = _slice_step(_log_overdispersion)


@numba.njit(cache=True, nogil=True, **PLAIN)
def update_overdispersion(overdispersion, y, mean, scale, rng):
    """Draw ``1/sqrt(size)`` of a negative binomial, given the means of the rows."""
    args = (y, mean, scale)
    return math.exp(_draw_log_overdispersion(math.log(overdispersion), args, WIDTH, rng))
