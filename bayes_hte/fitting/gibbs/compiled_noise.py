"""Compiled updates of noise parameters: scales, degrees of freedom, overdispersion."""

from __future__ import annotations

import math

import numba
import numpy as np

from bayes_hte.fitting.gibbs.products import add, dot
from bayes_hte.fitting.gibbs.scale_densities import log_half_t
from bayes_hte.fitting.gibbs.slice_step import PLAIN, WIDTH, slice_step
from bayes_hte.surfaces.compiling import FAST, compiled_on_disk

LARGE_SIZE = 1e6  # of a negative binomial, from which a series is more accurate


@numba.njit(**PLAIN)
def log_scale_prior(x, theta, direction, scale, df, slope_sd):
    """Return the log prior of log sigma and slopes, a step of x along a direction."""
    density = log_half_t(theta[0] + x * direction[0], scale, df)
    for j in range(slope_sd.size):
        density -= ((theta[j + 1] + x * direction[j + 1]) / slope_sd[j]) ** 2 / 2.0
    return density


@numba.njit(**PLAIN)
def _log_constant_scale(log_sigma, args):
    squares, n, scale, df = args
    density = log_half_t(log_sigma, scale, df)
    return density - n * log_sigma - squares * math.exp(-2.0 * log_sigma) / 2.0


_draw_log_constant_scale = slice_step(_log_constant_scale)


@numba.njit(fastmath=FAST, **PLAIN)
def _log_scale_along(x, args):
    # A step of x along a direction in the space of log sigma and slopes.
    theta, direction, log_sigma, along, squares, nu, scale, df, slope_sd = args
    density = log_scale_prior(x, theta, direction, scale, df, slope_sd)
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


_draw_log_scale_along = slice_step(_log_scale_along)


@compiled_on_disk(nogil=True, **PLAIN)
def update_scales(theta, directions, along, log_sigma, residual, nu, scale, df, slope_sd, rng):
    """Draw theta (log sigma and slopes) and log_sigma of each row; a nu of 0 is gaussian."""
    n = residual.size
    squares = np.empty(n)
    for i in range(n):
        squares[i] = residual[i] ** 2
    if nu == 0.0 and theta.size == 1:
        args = (dot(residual, residual, n), n, scale, df)
        theta[0] = _draw_log_constant_scale(theta[0], args, 4.0 / math.sqrt(n), rng)
        for i in range(n):
            log_sigma[i] = theta[0]
        return
    for k in range(theta.size):
        direction, here = directions[k], along[k]
        args = (theta, direction, log_sigma, here, squares, nu, scale, df, slope_sd)
        step = _draw_log_scale_along(0.0, args, WIDTH, rng)
        add(theta, direction, step, theta.size)
        add(log_sigma, here, step, n)


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


_draw_log_degrees = slice_step(_log_degrees)


@compiled_on_disk(nogil=True, **PLAIN)
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


_draw_log_overdispersion = slice_step(_log_overdispersion)


@compiled_on_disk(nogil=True, **PLAIN)
def update_overdispersion(overdispersion, y, mean, scale, rng):
    """Draw ``1/sqrt(size)`` of a negative binomial, given the means of the rows."""
    args = (y, mean, scale)
    return math.exp(_draw_log_overdispersion(math.log(overdispersion), args, WIDTH, rng))
