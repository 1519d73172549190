"""Sampling gaussian columns on Gaussian-process surfaces with the weights integrated out.

The PyMC model has the hyperparameters as its only variables; all are positive, so its
unconstrained space is their logarithms. They are found at their joint mode there (L-BFGS), where
the curvature gives a covariance C. NUTS is started from Normal(mode, C) with C as its mass matrix,
so that a few gradient evaluations give a nearly independent draw and only the step size is tuned.

Given each draw of the hyperparameters the weights are drawn from their exact normal conditional.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import xarray as xr
from scipy import linalg, optimize
from threadpoolctl import threadpool_limits

from bayes_hte.errors import SamplingError
from bayes_hte.names import CHAIN, DRAW, SAMPLE
from bayes_hte.seeds import children
from bayes_hte.surfaces.gp.collapsed import draw_weights, group_rows
from bayes_hte.surfaces.gp.inducing import point_labels
from bayes_hte.surfaces.gp.model import GPRegression

# Compiling the few scalar operations around the likelihood would cost more than it saves.
MODE = "FAST_COMPILE"
OPTIMISER_STEPS = 1000
# How far the optimiser may go from its start, in log units; further, kernels over- or underflow.
REACH = 8.0
CURVATURE_STEP = 1e-3
# Flatter directions are taken to be this curved: sd of about 3 in log units.
LEAST_CURVATURE = 0.1
# First step size of NUTS before its division by dimension^(1/4); near its optimum under C.
FIRST_STEP = 1.2
# Seven steps: under C a trajectory that long has crossed the posterior.
TREE_DEPTH = 3


def sample_collapsed(
    regression: GPRegression,
    model: pm.Model,
    *,
    chains: int,
    draws: int,
    seed: int,
    hyper_draws: int = 75,
    tune: int = 40,
    cores: int = 1,
    progress: bool = False,
    optimiser_steps: int = OPTIMISER_STEPS,
) -> tuple[xr.Dataset, xr.Dataset]:
    """Sample the posterior of a gaussian column on Gaussian-process surfaces.

    Parameters
    ----------
    regression : GPRegression
        The column and its terms.
    model : pymc.Model
        From :func:`bayes_hte.surfaces.gp.model.collapsed_model`.
    chains, draws : int
        Chains, and draws of the weights in each.
    seed : int
        Same seed, same draws; any number of cores.
    hyper_draws : int
        Draws of the hyperparameters in each chain; consecutive draws of the weights share one if
        there are more of them.
    tune : int
        Tuning steps of NUTS in each chain.
    cores : int
        Processes of NUTS.
    progress : bool
        Whether to show PyMC's progress bar.
    optimiser_steps : int
        Cap of the optimiser.

    Returns
    -------
    posterior : Dataset, dims (chain, draw, ...)
        Every variable of :func:`bayes_hte.surfaces.gp.surface.gp_function`, for each term, and
        ``<role>_sigma``.
    stats : Dataset, dims (chain, draw)
        Of NUTS.

    Raises
    ------
    SamplingError
        If the optimiser stops at its cap or away from a mode.
    """
    hyper_draws = min(hyper_draws, draws)
    streams = children(seed, 2 * chains)
    rngs = [np.random.default_rng(s) for s in streams]
    # More threads gain nothing on matrices this small, and their sums would depend on the machine.
    with threadpool_limits(1), pytensor.config.change_flags(mode=MODE):
        density = _Density(model.logp_dlogp_function(ravel_inputs=True))
        laplace = find_mode(regression, density, steps=optimiser_steps)
        theta, stats = _nuts(
            regression,
            model,
            laplace,
            rngs[:chains],
            draws=hyper_draws,
            tune=tune,
            cores=min(cores, chains),
            progress=progress,
        )
        repeat = np.arange(draws) * hyper_draws // draws
        weights = _weights(regression, theta, repeat, rngs[chains:])
    coords = {CHAIN: np.arange(chains), DRAW: np.arange(draws)}
    stats = stats.isel({DRAW: repeat}).assign_coords(coords)
    return _posterior(regression, theta[:, repeat], weights, coords), stats


@dataclass(frozen=True)
class Laplace:
    """Normal approximation of the log hyperparameters.

    Attributes
    ----------
    mode : ndarray, shape (hyperparameter,)
        In the order of :func:`bayes_hte.surfaces.gp.collapsed.log_likelihood`.
    factor : ndarray, shape (hyperparameter, hyperparameter)
        Lower Cholesky factor of the covariance.
    """

    mode: np.ndarray
    factor: np.ndarray

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Return one draw, shape (hyperparameter,)."""
        return self.mode + self.factor @ rng.standard_normal(len(self.mode))


@dataclass(frozen=True)
class _Density:
    """Log posterior density of the log hyperparameters, and its gradient."""

    compiled: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

    def __call__(self, u: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = self.compiled(u)
        return float(value), np.asarray(gradient)


def find_mode(regression: GPRegression, density: _Density, *, steps: int) -> Laplace:
    """Find the mode of the hyperparameters and the curvature there.

    Parameters
    ----------
    regression : GPRegression
    density : callable
        Log density and gradient at log hyperparameters.
    steps : int
        Cap of the optimiser.

    Returns
    -------
    Laplace

    Raises
    ------
    SamplingError
        If the optimiser stops at its cap or away from a mode.
    """
    start = _start(regression)
    result = optimize.minimize(
        lambda u: tuple(-part for part in density(u)),
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(start - REACH, start + REACH, strict=True)),
        # 30 pairs: the curvature differs much between lengthscales that matter and others.
        options={"maxiter": steps, "maxfun": 2 * steps, "maxcor": 30, "ftol": 1e-9, "gtol": 1e-3},
    )
    steepest = float(np.abs(result.jac).max())
    if not result.success and not (result.status == 2 and steepest < 0.1):
        raise SamplingError(
            f"{regression.role}: the optimiser of the Gaussian processes' hyperparameters stopped "
            f"after {result.nit} steps without a mode (steepest slope {steepest:.2g}). Try fewer "
            "covariates, check for columns with extreme values, or use surface='forest'."
        )
    return Laplace(result.x, _covariance_factor(density, result.x))


def _start(regression: GPRegression) -> np.ndarray:
    """Return log hyperparameters of a plausible fit: prior medians, part of the noise scale."""
    pieces = []
    for term in regression.terms:
        if term.features:
            p = len(term.features)
            pieces += [np.full(p, np.sqrt(2) + 0.5 * np.log(p) - 0.5)]
            pieces += [np.log([0.5 * term.scale, 0.3 * term.scale])]
    return np.concatenate([*pieces, [np.log(0.7 * regression.sigma_scale)]])


def _covariance_factor(density: _Density, mode: np.ndarray) -> np.ndarray:
    """Return the Cholesky factor of the inverse negative Hessian, by differences of gradients."""
    _, at_mode = density(mode)
    steps = CURVATURE_STEP * np.eye(len(mode))
    hessian = np.stack([(density(mode + step)[1] - at_mode) / CURVATURE_STEP for step in steps])
    values, vectors = linalg.eigh(-(hessian + hessian.T) / 2)
    covariance = (vectors / np.maximum(values, LEAST_CURVATURE)) @ vectors.T
    return linalg.cholesky(covariance, lower=True)


def _nuts(
    regression: GPRegression,
    model: pm.Model,
    laplace: Laplace,
    rngs: Sequence[np.random.Generator],
    *,
    draws: int,
    tune: int,
    cores: int,
    progress: bool,
) -> tuple[np.ndarray, xr.Dataset]:
    starts = [np.exp(laplace.draw(rng)) for rng in rngs]
    with model:
        step = pm.NUTS(
            scaling=laplace.factor @ laplace.factor.T,
            is_cov=True,
            step_scale=FIRST_STEP,
            max_treedepth=TREE_DEPTH,
            early_max_treedepth=TREE_DEPTH,
        )
        tree = pm.sample(
            draws=draws,
            tune=tune,
            chains=len(rngs),
            cores=cores,
            step=step,
            initvals=[_named(regression, start) for start in starts],
            random_seed=[int(rng.integers(2**31)) for rng in rngs],
            progressbar=progress,
            quiet=True,
            compute_convergence_checks=False,
            blas_cores=None,
        )
    posterior, stats = tree["posterior"].to_dataset(), tree["sample_stats"].to_dataset()
    if posterior.sizes[CHAIN] != len(rngs) or posterior.sizes[DRAW] != draws:
        raise SamplingError(
            f"{regression.role}: sampling stopped early, with {posterior.sizes[CHAIN]} chains of "
            f"{posterior.sizes[DRAW]} draws instead of {len(rngs)} of {draws}. Run again."
        )
    columns = [
        posterior[name].to_numpy().reshape(len(rngs), draws, -1)
        for name in _named(regression, starts[0])
    ]
    kept = [name for name in stats.data_vars if stats[name].dims == SAMPLE]
    return np.concatenate(columns, axis=2), stats[kept]


def _weights(
    regression: GPRegression,
    theta: np.ndarray,
    repeat: np.ndarray,
    rngs: Sequence[np.random.Generator],
) -> np.ndarray:
    """Draw weights, shape (chain, draw, weight); `repeat` holds the theta of each draw."""
    terms, y = regression.terms, regression.y - regression.offset
    groups, counts = group_rows(terms), np.bincount(repeat)
    return np.stack(
        [
            np.concatenate(
                [
                    draw_weights(terms, groups, row, y, size=int(count), rng=rng)
                    for row, count in zip(chain, counts, strict=True)
                ]
            )
            for chain, rng in zip(theta, rngs, strict=True)
        ]
    )


def _posterior(
    regression: GPRegression, theta: np.ndarray, weights: np.ndarray, coords: dict[str, np.ndarray]
) -> xr.Dataset:
    """Return the variables of the full model, from hyperparameters and weights of each draw."""
    found: dict[str, Any] = {}
    coords = dict(coords)
    values = _named(regression, theta)
    start = 0
    for term in regression.terms:
        prefix, p, m = term.prefix, len(term.features), len(term.points)
        own = weights[..., start : start + term.n_weights]
        start += term.n_weights
        found[f"{prefix}_const"] = (SAMPLE, term.constant_scale * own[..., -1])
        if p == 0:
            continue
        by_feature = (*SAMPLE, f"{prefix}_feature")
        coords[f"{prefix}_feature"] = np.array(term.features)
        coords[f"{prefix}_inducing"] = point_labels(term.points)
        raw, tau = own[..., m : m + p], values[f"{prefix}_tau"]
        found[f"{prefix}_lengthscale"] = (by_feature, values[f"{prefix}_lengthscale"])
        found[f"{prefix}_amplitude"] = (SAMPLE, values[f"{prefix}_amplitude"])
        found[f"{prefix}_tau"] = (SAMPLE, tau)
        found[f"{prefix}_raw"] = (by_feature, raw)
        found[f"{prefix}_coef"] = (by_feature, tau[..., None] * raw)
        found[f"{prefix}_weight"] = ((*SAMPLE, f"{prefix}_inducing"), own[..., :m])
    found[f"{regression.role}_sigma"] = (SAMPLE, values[f"{regression.role}_sigma"])
    return xr.Dataset(found, coords=coords)


def _named(regression: GPRegression, theta: np.ndarray) -> dict[str, np.ndarray]:
    """Return hyperparameters by name, `theta` of shape (..., hyperparameter)."""
    found, start = {}, 0
    for term in regression.terms:
        if term.features:
            p = len(term.features)
            found[f"{term.prefix}_lengthscale"] = theta[..., start : start + p]
            found[f"{term.prefix}_amplitude"] = theta[..., start + p]
            found[f"{term.prefix}_tau"] = theta[..., start + p + 1]
            start += term.n_hyper
    found[f"{regression.role}_sigma"] = theta[..., -1]
    return found
