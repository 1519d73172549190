"""A stand-in for the full model that is refitted in about a second: Gaussian processes, conjugate.

Outcome and mediator are normal with a mean of functions of the covariates,

    ``M = mu_M(x) + (w - 1/2) a(x) + e``,
    ``Y = mu_Y(x) + (w - 1/2) zeta(x) + (M - c(x)) (b(x) + (w - 1/2) k) + e``,

with c the expected mediator, averaged over the arms. Every function is a constant plus Gaussian
processes: one linear in the covariates, one bent along each covariate (Brownian motion on ranks)
and, except for b, one of all pairs of covariates; each has a variance of its own. Variances are at
their most probable values and given them the posterior is normal, so draws are exact: no chains, no
tuning. Where the levels of a covariate have means of their own (`means_by`), each has its own wide
constants, and linear trends of its own in mu and in a (or zeta). The indirect effect is
``a(x) (b(x) + k / 2)`` in every draw. The total effect is that of the second line without mediator.

It models *means*: a 0/1 outcome gets a linear probability model, a skewed one normal noise.
Variances at their most probable values make it surer than the full model. It is a stand-in to find
out how often a procedure claims differences where there are none, not a model to report.

References
----------
Rasmussen, C. E., Williams, C. K. I. (2006). Gaussian Processes for Machine Learning. MIT Press.
Durrande, N., Ginsbourger, D., Roustant, O. (2012). Additive covariance kernels for high-dimensional
Gaussian process modeling. Annales de la Faculte des Sciences de Toulouse 21, 481-499.
doi:10.5802/afst.1342
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from scipy.linalg import cho_solve, cholesky, lapack, solve_triangular

from bayes_hte.encoding import ColumnEncoding
from bayes_hte.errors import SpecError, unknown_name
from bayes_hte.names import CHAIN, DRAW, EFFECTS, SAMPLE, UNIT
from bayes_hte.study import Study, is_numeric

SurrogateEffect = Literal["te", "tnie"]
EFFECT_NAMES = ("te", "tnie")
# About ten matrices of n x n numbers are held at once; time grows with the cube of n.
LARGEST = 3_000
# Prior variance of constants, in variances of the outcome: next to no shrinkage.
WIDE = 10.0
# Variances of functions stay in this range, in variances of the outcome; the lower end is "none".
LOWEST, HIGHEST = 1e-6, 30.0
NOISE_START, SHARED_START, OTHER_START = 0.4, 0.3, 0.1
# Of the search for the variances: log likelihoods this close are the same.
TOLERANCE, DAMPING, LONGEST_STEP, MOST_STEPS = 0.01, 0.01, 2.5, 40
JITTER = 1e-8
# Kernels of constants, and of trends, of the levels of a covariate.
LEVELS, TRENDS = "levels", "trends"
# Variance of trends, in variances of the outcome: 1 in each arm, as in the full model.
TREND_VARIANCE = {"shared": 0.5, "effect": 2.0}

# What a function is multiplied by: (arm - 1/2, mediator - its expectation) to shape (unit,).
TIMES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "shared": lambda w, m: np.ones_like(w),
    "effect": lambda w, m: w,
    "slope": lambda w, m: m,
    "slope_by_arm": lambda w, m: w * m,
}
# Kernels of each function; every one also has a constant.
KERNELS = {
    "shared": ("linear", "bent", "pairs"),
    "effect": ("linear", "bent", "pairs"),
    "slope": ("linear", "bent"),
    "slope_by_arm": (),
}


@dataclass(frozen=True, eq=False)
class _Mean:
    """A fitted mean: a sum of functions, each times something.

    Attributes
    ----------
    parts : tuple of (str, ndarray)
        Function and prior covariance (unit, unit) of each of its parts, variance included.
    times : mapping of str to ndarray, shape (unit,)
        What each function was multiplied by.
    noise : float
        Variance of the noise.
    factor : ndarray, shape (unit, unit)
        Lower Cholesky factor of the covariance of the outcome.
    weights : ndarray, shape (unit,)
        Inverse of that covariance times the outcome.
    center, unit : float
        Mean and standard deviation of the outcome; everything above is in these units.
    """

    parts: tuple[tuple[str, np.ndarray], ...]
    times: Mapping[str, np.ndarray]
    noise: float
    factor: np.ndarray
    weights: np.ndarray
    center: float
    unit: float

    def mean(self, at: Mapping[str, np.ndarray]) -> np.ndarray:
        """Posterior mean of a sum of functions at the units.

        Parameters
        ----------
        at : mapping of str to ndarray, shape (unit,)
            What to multiply each function by; those left out do not take part.

        Returns
        -------
        ndarray, shape (unit,)
            In units of the outcome, whose own mean is not added.
        """
        return self.unit * (self._shared_covariance(at)[1] @ self.weights)

    def draws(
        self, at: Mapping[str, np.ndarray], size: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Draw a sum of functions as in :meth:`mean`, shape (size, unit)."""
        prior, cross = self._shared_covariance(at)
        explained = solve_triangular(self.factor, cross.T, lower=True, check_finite=False)
        covariance = prior - explained.T @ explained
        covariance[np.diag_indices_from(covariance)] += JITTER
        root = cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
        noise = rng.normal(size=(size, len(root))) @ root.T
        return self.unit * (cross @ self.weights + noise)

    def _shared_covariance(self, at: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Prior covariance of the sum, and of the sum with the outcome, shape (unit, unit)."""
        n = len(self.weights)
        prior, cross = np.zeros((n, n)), np.zeros((n, n))
        for of, kernel in self.parts:
            if of in at:
                left = kernel * at[of][:, np.newaxis]
                prior += left * at[of]
                cross += left * self.times[of]
        return prior, cross


def surrogate_refit(
    effect: SurrogateEffect, *, draws: int = 400, means_by: str | None = None
) -> Callable[[Study, int], xr.DataArray]:
    """Return what fits the surrogate to a study and draws an effect of its units.

    Parameters
    ----------
    effect : {"te", "tnie"}
        Total effect, or indirect effect in a study with a mediator.
    draws : int, default 400
        Posterior draws.
    means_by : str, optional
        A covariate whose levels have constants of their own, as in :func:`bayes_hte.fit`.

    Returns
    -------
    callable (Study, int) -> DataArray, dims (chain, draw, unit)
        In outcome units; the seed decides the draws alone. It can be sent to other processes.

    Raises
    ------
    SpecError
        If the effect is unknown.
    """
    if effect not in EFFECT_NAMES:
        raise unknown_name("effect", effect, EFFECT_NAMES)
    return partial(_effect_draws, effect=effect, size=draws, means_by=means_by)


def _effect_draws(
    study: Study, seed: int, *, effect: str, size: int, means_by: str | None
) -> xr.DataArray:
    rng, ones = np.random.default_rng(seed), np.ones(study.n_units)
    kernels, w = _kernels(study, means_by), study.arm_index() - 0.5
    if effect == "te":
        outcome = _fit_mean(study.outcome(), kernels, w, functions=("shared", "effect"))
        values = outcome.draws({"effect": ones}, size, rng)
    else:
        mediator, center = _mediator(study, kernels, w, functions=("shared", "effect"))
        outcome = _fit_mean(study.outcome(), kernels, w, study.mediator() - center)
        slope = outcome.draws({"slope": ones, "slope_by_arm": ones / 2}, size, rng)
        values = mediator.draws({"effect": ones}, size, rng) * slope
    return xr.DataArray(
        values[np.newaxis],
        dims=(*SAMPLE, UNIT),
        coords={CHAIN: [0], DRAW: np.arange(size), UNIT: study.units},
        name=effect,
        attrs={
            "effect": effect,
            "long_name": EFFECTS[effect][0],
            "contrast": study.contrast,
            "scale": "response",
        },
    )


@dataclass(frozen=True, eq=False)
class SurrogateNull:
    """Posterior-predictive studies under an effect that is the same for everybody.

    Attributes
    ----------
    outcome : _Mean
        Outcome model whose effect (and slope of the mediator) is a constant.
    mediator : _Mean or None
        Mediator model likewise.
    expected_mediator : ndarray, shape (unit,), or None
        What the outcome model subtracts from the mediator.
    """

    outcome: _Mean
    mediator: _Mean | None
    expected_mediator: np.ndarray | None

    def __call__(self, study: Study, rng: np.random.Generator) -> Study:
        """Return the study with outcome, and mediator, drawn anew for the same units and arms."""
        w, roles = study.arm_index() - 0.5, study.roles
        columns, m = {}, np.zeros_like(w)
        if self.mediator is not None:
            drawn = _predict(self.mediator, w, m, rng)
            columns[roles.mediator], m = drawn, drawn - self.expected_mediator
        columns[roles.outcome] = _predict(self.outcome, w, m, rng)
        return study.alike(study.frame.assign(**columns))


def surrogate_null(study: Study) -> SurrogateNull:
    """Fit the surrogate without effect modification, to draw studies from.

    Parameters
    ----------
    study : Study
        The user's own study.

    Returns
    -------
    SurrogateNull
        Outcome and mediator are normal in the studies it draws, whatever they are in the study.
    """
    kernels, w = _kernels(study), study.arm_index() - 0.5
    options = {"constants_only": ("effect", "slope", "slope_by_arm")}
    if study.roles.mediator is None:
        outcome = _fit_mean(study.outcome(), kernels, w, functions=("shared", "effect"), **options)
        return SurrogateNull(outcome, None, None)
    mediator, center = _mediator(study, kernels, w, functions=("shared", "effect"), **options)
    m = study.mediator() - center
    outcome = _fit_mean(
        study.outcome(), kernels, w, m, functions=("shared", "effect", "slope"), **options
    )
    return SurrogateNull(outcome, mediator, center)


def _predict(mean: _Mean, w: np.ndarray, m: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw one outcome a unit."""
    at = {of: TIMES[of](w, m) for of in mean.times}
    noise = mean.unit * np.sqrt(mean.noise) * rng.normal(size=w.size)
    return mean.center + mean.draws(at, 1, rng)[0] + noise


def _mediator(
    study: Study, kernels: Mapping[str, np.ndarray], w: np.ndarray, **options: tuple[str, ...]
) -> tuple[_Mean, np.ndarray]:
    """Fit the mediator; return it and its expectation, averaged over the arms."""
    mediator = _fit_mean(study.mediator(), kernels, w, **options)
    return mediator, mediator.center + mediator.mean({"shared": np.ones_like(w)})


def _fit_mean(
    y: np.ndarray,
    kernels: Mapping[str, np.ndarray],
    w: np.ndarray,
    m: np.ndarray | None = None,
    *,
    functions: tuple[str, ...] = tuple(KERNELS),
    constants_only: tuple[str, ...] = (),
) -> _Mean:
    """Find the most probable variances and condition on the outcome.

    Parameters
    ----------
    y : ndarray, shape (unit,)
        The outcome of this model.
    kernels : mapping of str to ndarray, shape (unit, unit)
        Prior covariances of functions of the covariates, of mean variance 1.
    w, m : ndarray, shape (unit,)
        Arm minus 1/2, and mediator minus its expectation, if it takes part.
    functions : tuple of str
        Functions of the mean.
    constants_only : tuple of str
        Those that are the same for everybody.
    """
    center, unit = float(y.mean()), float(y.std())
    scale = 1.0 if m is None else float(m.std())
    standard = np.zeros_like(w) if m is None else m / scale
    standard_times = {of: TIMES[of](w, standard) for of in functions}
    names = [
        (of, name)
        for of in functions
        for name in (*(() if of in constants_only else KERNELS[of]), *_cluster(of, kernels))
    ]
    covariances = [
        kernels[name] * standard_times[of][:, np.newaxis] * standard_times[of] for of, name in names
    ]
    given = {of: _given(of, kernels, y.size) for of in functions}
    fixed = sum(given[of] * np.outer(t, t) for of, t in standard_times.items())
    starts = [SHARED_START if of == "shared" else OTHER_START for of, _ in names]
    variances = _most_probable((y - center) / unit, fixed, covariances, [*starts, NOISE_START])
    total = fixed + sum(v * c for v, c in zip(variances, covariances, strict=False))
    total[np.diag_indices_from(total)] += variances[-1]
    factor = cholesky(total, lower=True, overwrite_a=True, check_finite=False)
    # Back from standard deviations of the mediator to its own units.
    by = {of: scale**-2 if of.startswith("slope") else 1.0 for of in functions}
    parts = [(of, by[of] * given[of]) for of in functions]
    parts += [
        (of, v * by[of] * kernels[name]) for (of, name), v in zip(names, variances, strict=False)
    ]
    weights = cho_solve((factor, True), (y - center) / unit, check_finite=False)
    raw = {of: TIMES[of](w, np.zeros_like(w) if m is None else m) for of in functions}
    return _Mean(tuple(parts), raw, float(variances[-1]), factor, weights, center, unit)


def _given(of: str, kernels: Mapping[str, np.ndarray], n: int) -> np.ndarray:
    """Prior covariance of what a function has with a variance that is given: constants, trends."""
    given = np.full((n, n), WIDE)
    if LEVELS in kernels:
        given += WIDE * kernels[LEVELS] + TREND_VARIANCE.get(of, 0.0) * kernels[TRENDS]
    return given


def _cluster(of: str, kernels: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    return ("cluster",) if of == "shared" and "cluster" in kernels else ()


def _most_probable(
    y: np.ndarray, fixed: np.ndarray, covariances: list[np.ndarray], start: list[float]
) -> np.ndarray:
    """Return the variances (the last of the noise) with the highest marginal likelihood.

    Newton steps on log variances with the average of observed and expected information, which
    needs one inverse a step, damped until the likelihood rises.
    """
    logs, damping = np.log(start), DAMPING
    value, slopes, information = _curvature(np.exp(logs), y, fixed, covariances)
    for _ in range(MOST_STEPS):
        # Variances that have gone to nothing and want to stay there do not move.
        free = (logs > np.log(LOWEST)) | (slopes < 0)
        step = np.zeros_like(logs)
        damped = information[np.ix_(free, free)]
        damped = damped + damping * (np.diag(np.diagonal(damped)) + np.eye(len(damped)))
        step[free] = -np.linalg.solve(damped, slopes[free])
        proposed = np.clip(
            logs + np.clip(step, -LONGEST_STEP, LONGEST_STEP), np.log(LOWEST), np.log(HIGHEST)
        )
        gain = -slopes @ (proposed - logs)
        if gain < TOLERANCE:
            break
        tried = _curvature(np.exp(proposed), y, fixed, covariances)
        if tried is not None and tried[0] < value:
            settled = value - tried[0] < TOLERANCE
            logs, (value, slopes, information) = proposed, tried
            damping = max(damping / 10, 1e-4)
            if settled:
                break
        else:
            damping *= 10
    return np.exp(logs)


def _curvature(
    variances: np.ndarray, y: np.ndarray, fixed: np.ndarray, covariances: list[np.ndarray]
) -> tuple[float, np.ndarray, np.ndarray] | None:
    """Return the negative log likelihood with its slopes and average information in the logs.

    None if rounding makes the covariance singular.
    """
    diagonal = np.diag_indices_from(fixed)
    total = fixed.copy()
    for v, c in zip(variances, covariances, strict=False):
        total += v * c
    total[diagonal] += variances[-1]
    factor, failed = lapack.dpotrf(total, lower=1, overwrite_a=1)
    if failed:
        return None
    weights = lapack.dpotrs(factor, y, lower=1)[0]
    value = 0.5 * float(y @ weights) + float(np.log(factor[diagonal]).sum())
    pulls = np.column_stack([*(c @ weights for c in covariances), weights])
    solved = lapack.dpotrs(factor, pulls, lower=1)[0]
    information = 0.5 * np.outer(variances, variances) * (pulls.T @ solved)
    inverse = lapack.dpotri(factor, lower=1, overwrite_c=1)[0]
    # Only the lower triangle is filled: twice its product, less the diagonal counted twice.
    inverse[np.triu_indices_from(inverse, 1)] = 0.0
    own = inverse[diagonal]
    traces = [2 * np.vdot(inverse.T, c) - own @ c[diagonal] for c in covariances]
    slopes = 0.5 * variances * (np.array([*traces, own.sum()]) - weights @ pulls)
    return value, slopes, information


def _kernels(study: Study, means_by: str | None = None) -> dict[str, np.ndarray]:
    """Prior covariances of functions of the covariates at the units, each of mean variance 1.

    Of `means_by`, whose levels have constants and trends, there is no function.

    Raises
    ------
    SpecError
        If there are more units than this is made for.
    """
    if study.n_units > LARGEST:
        raise SpecError(
            f"the surrogate is made for up to {LARGEST} units, got {study.n_units}; calibrate on "
            f"study.sample({LARGEST}, seed=...), or with the full model."
        )
    pairs = [_of_column(study.frame[name]) for name in study.roles.covariates if name != means_by]
    linear = [straight for straight, _ in pairs]
    bent = [curve for _, curve in pairs if curve is not None]
    single = [s if b is None else (s + b) / 2 for s, b in pairs]
    total = sum(single)
    found = {"linear": sum(linear), "bent": sum(bent) if bent else None}
    if len(single) > 1:
        found["pairs"] = total**2 - sum(k**2 for k in single)
    clusters = study.clusters()
    if clusters is not None:
        found["cluster"] = (clusters[:, np.newaxis] == clusters).astype(np.float64)
    nothing = np.zeros((study.n_units, study.n_units))
    kernels = {name: found.get(name) for name in ("linear", "bent", "pairs")}
    kernels |= {"cluster": found["cluster"]} if "cluster" in found else {}
    if means_by is not None:
        label = study.frame[means_by].to_numpy()
        kernels[LEVELS] = (label[:, np.newaxis] == label).astype(np.float64)
        kernels[TRENDS] = kernels[LEVELS] * found["linear"]
    return {
        name: nothing if k is None else k / np.diagonal(k).mean() for name, k in kernels.items()
    }


def _of_column(column: pd.Series) -> tuple[np.ndarray, np.ndarray | None]:
    """Kernels linear in a covariate and bent along it; the latter for numbers alone."""
    encoding = ColumnEncoding.learn(column)
    z = np.column_stack(list(encoding.standardized(column).values()))
    z = z - z.mean(axis=0)
    straight = z @ z.T
    straight /= np.diagonal(straight).mean()
    if not is_numeric(column) or column.nunique() <= 2:
        return straight, None
    u = encoding.split_columns(column)[encoding.name]
    # Brownian motion with its average over (0, 1) taken out.
    centred = 1 / 3 + (u[:, np.newaxis] ** 2 + u**2) / 2 - np.maximum(u[:, np.newaxis], u)
    return straight, centred / np.diagonal(centred).mean()
