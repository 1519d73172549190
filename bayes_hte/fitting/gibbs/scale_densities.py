"""Compiled densities of the scales of coefficients, and slice steps on them.

A scale is drawn twice: given the coefficients, and given the coefficients in units of their prior
sd, which then move with it.

References
----------
Yu, Y., Meng, X.-L. (2011). To center or not to center: that is not the question. Journal of
Computational and Graphical Statistics 20, 531-570. doi:10.1198/jcgs.2011.203main
"""

from __future__ import annotations

import math

import numba

from bayes_hte.fitting.gibbs.products import dot
from bayes_hte.fitting.gibbs.slice_step import PLAIN, slice_step


@numba.njit(**PLAIN)
def amplitude_of(tau, local, slab):
    """Return the prior sd of a part, which is no larger than the slab."""
    u = tau * local
    return slab / math.sqrt(1.0 + (slab / u) ** 2)


@numba.njit(**PLAIN)
def log_half_t(log_x, scale, df):
    """Return the log density of the logarithm of a half-t variable, up to a constant."""
    return log_x - (df + 1.0) / 2.0 * math.log1p((math.exp(log_x) / scale) ** 2 / df)


@numba.njit(**PLAIN)
def fill_relative(relative, lengthscale, frequency, mean_square):
    """Fill in the sd of a curve's coefficients relative to its amplitude."""
    total = 0.0
    for k in range(relative.size):
        relative[k] = (1.0 + (lengthscale * frequency[k]) ** 2 / 5.0) ** -3
        total += relative[k] * mean_square[k]
    for k in range(relative.size):
        relative[k] = math.sqrt(relative[k] / total)


@numba.njit(**PLAIN)
def _local_given_coef(log_local, args):
    size, squares, tau, slab = args
    amplitude = amplitude_of(tau, math.exp(log_local), slab)
    density = -size * math.log(amplitude) - squares / (2.0 * amplitude**2)
    return density + log_half_t(log_local, 1.0, 1.0)


draw_local_given_coef = slice_step(_local_given_coef)


@numba.njit(**PLAIN)
def _local_given_raw(log_local, args):
    linear, quadratic, now, tau, slab = args
    step = amplitude_of(tau, math.exp(log_local), slab) - now
    return step * (linear - step * quadratic / 2.0) + log_half_t(log_local, 1.0, 1.0)


draw_local_given_raw = slice_step(_local_given_raw)


@numba.njit(**PLAIN)
def _log_lengthscale(x, mean, sd):
    return -(((x - mean) / sd) ** 2) / 2.0


@numba.njit(**PLAIN)
def _lengthscale_given_coef(x, args):
    mean, spread, frequency, mean_square, coef, amplitude, relative = args
    fill_relative(relative, math.exp(x), frequency, mean_square)
    density = _log_lengthscale(x, mean, spread)
    for k in range(coef.size):
        sd = amplitude * relative[k]
        density -= math.log(sd) + (coef[k] / sd) ** 2 / 2.0
    return density


draw_lengthscale_given_coef = slice_step(_lengthscale_given_coef)


@numba.njit(**PLAIN)
def _lengthscale_given_raw(x, args):
    mean, spread, frequency, mean_square, coef, amplitude, step, raw, linear, quadratic = args
    fill_relative(step, math.exp(x), frequency, mean_square)
    density = _log_lengthscale(x, mean, spread)
    for k in range(coef.size):
        step[k] = amplitude * step[k] * raw[k] - coef[k]
    for k in range(coef.size):
        density += step[k] * (linear[k] - dot(quadratic[k], step, coef.size) / 2.0)
    return density


draw_lengthscale_given_raw = slice_step(_lengthscale_given_raw)


@numba.njit(**PLAIN)
def _tau_given_coef(log_tau, args):
    scale, df, slab, local, sizes, squares = args
    density = log_half_t(log_tau, scale, df)
    tau = math.exp(log_tau)
    for i in range(local.size):
        amplitude = amplitude_of(tau, local[i], slab)
        density -= sizes[i] * math.log(amplitude) + squares[i] / (2.0 * amplitude**2)
    return density


draw_tau_given_coef = slice_step(_tau_given_coef)


@numba.njit(**PLAIN)
def _tau_given_raw(log_tau, args):
    scale, df, slab, local, now, linear, quadratic, step = args
    density = log_half_t(log_tau, scale, df)
    tau = math.exp(log_tau)
    for i in range(local.size):
        step[i] = amplitude_of(tau, local[i], slab) - now[i]
    for i in range(local.size):
        density += step[i] * (linear[i] - dot(quadratic[i], step, local.size) / 2.0)
    return density


draw_tau_given_raw = slice_step(_tau_given_raw)


@numba.njit(**PLAIN)
def _tau_given_products(log_tau, args):
    # tau times each local scale stays.
    scale, df, local, log_now = args
    density = log_half_t(log_tau, scale, df)
    for i in range(local.size):
        density += log_half_t(math.log(local[i]) + log_now - log_tau, 1.0, 1.0)
    return density


draw_tau_given_products = slice_step(_tau_given_products)
