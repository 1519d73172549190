"""Compiled updates of the scales of coefficients: local and global ones, and lengthscales.

See :mod:`bayes_hte.fitting.gibbs.scale_densities`.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from bayes_hte.fitting.gibbs.products import add, copy, dot_between
from bayes_hte.fitting.gibbs.scale_densities import (
    amplitude_of,
    draw_lengthscale_given_coef,
    draw_lengthscale_given_raw,
    draw_local_given_coef,
    draw_local_given_raw,
    draw_tau_given_coef,
    draw_tau_given_products,
    draw_tau_given_raw,
    fill_relative,
)
from bayes_hte.fitting.gibbs.slice_step import PLAIN, WIDTH
from bayes_hte.surfaces.compiling import compiled_on_disk


@numba.njit(**PLAIN)
def _squares(coef, relative, a, b):
    total = 0.0
    for j in range(a, b):
        total += (coef[j] / relative[j]) ** 2
    return total


@numba.njit(**PLAIN)
def set_scales(columns, state, g):
    """Let sd follow the scales of a horseshoe, and raw follow coef."""
    for e in range(columns.first[g], columns.first[g + 1]):
        amplitude = amplitude_of(state.tau[g], state.local[e], columns.slab[g])
        for j in range(columns.start[e], columns.start[e + 1]):
            state.sd[j] = amplitude * state.relative[j]
            state.raw[j] = state.coef[j] / state.sd[j]


@numba.njit(**PLAIN)
def _move(state, q, slope, j, new):
    add(slope, q[j], state.coef[j] - new, slope.size)
    state.coef[j] = new


@numba.njit(**PLAIN)
def update_local(columns, state, g, e, q, slope, rng):
    """Draw the local scale of a part."""
    a, b, tau, slab = columns.start[e], columns.start[e + 1], state.tau[g], columns.slab[g]
    squares = _squares(state.coef, state.relative, a, b)
    args = (float(b - a), squares, tau, slab)
    log_local = draw_local_given_coef(math.log(state.local[e]), args, WIDTH, rng)
    now = amplitude_of(tau, math.exp(log_local), slab)
    linear = quadratic = 0.0
    for j in range(a, b):
        linear += slope[j] * state.coef[j] / now
        quadratic += state.coef[j] * dot_between(q[j], state.coef, a, b) / now**2
    args = (linear, quadratic, now, tau, slab)
    log_local = draw_local_given_raw(log_local, args, WIDTH, rng)
    state.local[e] = math.exp(log_local)
    ratio = amplitude_of(tau, state.local[e], slab) / now
    for j in range(a, b):
        _move(state, q, slope, j, state.coef[j] * ratio)


@numba.njit(**PLAIN)
def update_lengthscale(columns, state, g, e, q, slope, rng):
    """Draw the lengthscale of a curve."""
    a, b = columns.start[e], columns.start[e + 1]
    amplitude = amplitude_of(state.tau[g], state.local[e], columns.slab[g])
    mean, spread = columns.log_lengthscale, columns.sd_log_lengthscale
    relative, coef, work = state.relative[a:b], state.coef[a:b], np.empty(b - a)
    frequency, mean_square = columns.frequency[a:b], columns.mean_square[a:b]
    args = (mean, spread, frequency, mean_square, coef, amplitude, work)
    x = draw_lengthscale_given_coef(math.log(state.lengthscale[e]), args, WIDTH, rng)
    fill_relative(relative, math.exp(x), frequency, mean_square)
    for j in range(a, b):
        state.raw[j] = state.coef[j] / (amplitude * state.relative[j])
    raw, linear, quadratic = state.raw[a:b], slope[a:b], np.empty((b - a, b - a))
    for j in range(a, b):
        for k in range(a, b):
            quadratic[j - a, k - a] = q[j, k]
    args = (mean, spread, frequency, mean_square, coef, amplitude, work, raw, linear, quadratic)
    x = draw_lengthscale_given_raw(x, args, WIDTH, rng)
    state.lengthscale[e] = math.exp(x)
    fill_relative(relative, state.lengthscale[e], frequency, mean_square)
    for j in range(a, b):
        _move(state, q, slope, j, amplitude * state.relative[j] * state.raw[j])


@numba.njit(**PLAIN)
def update_tau(columns, state, g, q, slope, rng):
    """Draw the global scale of a horseshoe."""
    first, size = columns.first[g], columns.first[g + 1] - columns.first[g]
    slab, scale, df = columns.slab[g], columns.tau_scale[g], columns.tau_df
    local = state.local[first : first + size]
    sizes, squares, now, linear = np.empty(size), np.empty(size), np.empty(size), np.zeros(size)
    for i in range(size):
        a, b = columns.start[first + i], columns.start[first + i + 1]
        sizes[i], squares[i] = b - a, _squares(state.coef, state.relative, a, b)
    args = (scale, df, slab, local, sizes, squares)
    log_tau = draw_tau_given_coef(math.log(state.tau[g]), args, WIDTH, rng)
    quadratic = np.zeros((size, size))
    for i in range(size):
        now[i] = amplitude_of(math.exp(log_tau), local[i], slab)
    for i in range(size):
        for j in range(columns.start[first + i], columns.start[first + i + 1]):
            here = state.coef[j] / now[i]
            linear[i] += slope[j] * here
            for k in range(size):
                a, b = columns.start[first + k], columns.start[first + k + 1]
                quadratic[i, k] += here * dot_between(q[j], state.coef, a, b) / now[k]
    args = (scale, df, slab, local, now, linear, quadratic, np.empty(size))
    log_tau = draw_tau_given_raw(log_tau, args, WIDTH, rng)
    for i in range(size):
        ratio = amplitude_of(math.exp(log_tau), local[i], slab) / now[i]
        for j in range(columns.start[first + i], columns.start[first + i + 1]):
            _move(state, q, slope, j, state.coef[j] * ratio)
    args = (scale, df, local, log_tau)
    new = draw_tau_given_products(log_tau, args, WIDTH, rng)
    for i in range(size):
        local[i] *= math.exp(log_tau - new)
    state.tau[g] = math.exp(new)


@compiled_on_disk(nogil=True, **PLAIN)
def start_scales(columns, state):
    """Fill what follows from scales and coefficients."""
    for e in range(columns.start.size - 1):
        a, b = columns.start[e], columns.start[e + 1]
        frequency, mean_square = columns.frequency[a:b], columns.mean_square[a:b]
        fill_relative(state.relative[a:b], state.lengthscale[e], frequency, mean_square)
    copy(state.sd, columns.fixed_sd)
    for g in range(columns.first.size - 1):
        set_scales(columns, state, g)
