"""Compiled updates of the scale of log times to an event, some censored, some with late entry."""

from __future__ import annotations

import math

import numba
import numpy as np

from bayes_hte.fitting.gibbs.compiled_noise import log_scale_prior
from bayes_hte.fitting.gibbs.products import add
from bayes_hte.fitting.gibbs.slice_step import PLAIN, WIDTH, slice_step
from bayes_hte.surfaces.compiling import compiled_on_disk

# Laws of the error by number, as compiled code knows them.
COMPILED_LAWS = {"normal": 0, "logistic": 1, "extreme": 2}
# Beyond this residual the normal's survival is computed by its expansion, to a relative 1e-7.
FAR = 20.0


@numba.njit(**PLAIN)
def _log_normal_survival(r):
    if r < FAR:
        return math.log(0.5 * math.erfc(r / math.sqrt(2.0)))
    inverse = 1.0 / (r * r)
    series = math.log1p(-inverse + 3.0 * inverse**2 - 15.0 * inverse**3)
    return -r * r / 2.0 - math.log(r) - 0.9189385332046727 + series


@numba.njit(**PLAIN)
def _softplus(r):
    return r + math.log1p(math.exp(-r)) if r > 0.0 else math.log1p(math.exp(r))


@numba.njit(**PLAIN)
def _log_survival(r, law):
    if law == 0:
        return _log_normal_survival(r)
    if law == 1:
        return -_softplus(r)
    return -math.exp(r) if r < 700.0 else -np.inf


@numba.njit(**PLAIN)
def _log_density(r, law):
    # Up to a constant.
    if law == 0:
        return -r * r / 2.0
    if law == 1:
        return r - 2.0 * _softplus(r)
    return r - math.exp(r) if r < 700.0 else -np.inf


@numba.njit(**PLAIN)
def _log_between(low, high, law):
    # Symmetric laws are turned so that both ends lie in the tail whose logarithms are exact.
    if law != 2 and low + high < 0.0:
        low, high = -high, -low
    first = _log_survival(low, law)
    if first == -np.inf:
        return -np.inf
    difference = math.expm1(_log_survival(high, law) - first)
    return first + math.log(-difference) if difference < 0.0 else -np.inf


@numba.njit(**PLAIN)
def _log_time_scale_along(x, args):
    # A step of x along a direction in the space of log sigma and slopes.
    theta, direction, log_sigma, along, residual, last, event, entry, law, scale, df, slope_sd = (
        args
    )
    density = log_scale_prior(x, theta, direction, scale, df, slope_sd)
    for i in range(residual.size):
        log_i = log_sigma[i] + x * along[i]
        precision = math.exp(-log_i)
        if last[i] > -np.inf:
            density += _log_between(residual[i] * precision, last[i] * precision, law)
        elif event[i]:
            density += _log_density(residual[i] * precision, law) - log_i
        else:
            density += _log_survival(residual[i] * precision, law)
        if entry[i] > -np.inf:
            density -= _log_survival(entry[i] * precision, law)
    return density


_draw_log_time_scale_along = slice_step(_log_time_scale_along)


@compiled_on_disk(nogil=True, **PLAIN)
def update_time_scales(
    theta, directions, along, log_sigma, residual, last, event, entry, law, scale, df, slope_sd, rng
):
    """Draw theta (log sigma and slopes) and log_sigma of each row.

    ``residual`` and ``entry`` are log time and log entry less the linear predictor, the latter
    minus infinity where a row was observed from the start; ``law`` is one of `COMPILED_LAWS`. Of a
    row whose event lies in an interval ``residual`` is that of the lower end and ``last`` that of
    the upper one, minus infinity for all other rows.
    """
    for k in range(theta.size):
        direction, here = directions[k], along[k]
        args = (
            theta, direction, log_sigma, here, residual, last, event, entry, law, scale, df,
            slope_sd,
        )  # fmt: skip
        step = _draw_log_time_scale_along(0.0, args, WIDTH, rng)
        add(theta, direction, step, theta.size)
        add(log_sigma, here, step, residual.size)
