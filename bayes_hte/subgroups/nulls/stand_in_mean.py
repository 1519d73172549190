"""A mean that is a sum of functions with normal priors, fitted in closed form.

Each function is a constant, with next to no shrinkage, plus functions with the prior covariances of
:mod:`bayes_hte.subgroups.nulls.stand_in_kernels`, each with a variance of its own. The variances
are at their most probable values; given them the posterior is normal, and draws of it are exact.

References
----------
Rasmussen, C. E., Williams, C. K. I. (2006). Gaussian Processes for Machine Learning. MIT Press.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, cholesky, lapack, solve_triangular

from bayes_hte.subgroups.nulls.stand_in_kernels import LEVELS, TRENDS

# Prior variance of constants, in variances of the outcome: next to no shrinkage.
WIDE = 10.0
# Variances of functions stay in this range, in variances of the outcome; the lower end is "none".
LOWEST, HIGHEST = 1e-6, 30.0
NOISE_START, SHARED_START, OTHER_START = 0.4, 0.3, 0.1
# Of the search for the variances: log likelihoods this close are the same.
TOLERANCE, DAMPING, LONGEST_STEP, MOST_STEPS = 0.01, 0.01, 2.5, 40
JITTER = 1e-8
# Variance of trends, in variances of the outcome: 1 in each arm, as in the full model.
TREND_VARIANCE = {"shared": 0.5, "effect": 2.0}

# The factor of each function: (arm - 1/2, expected mediator, mediator less that) to (unit,).
TIMES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "shared": lambda w, c, m: np.ones_like(w),
    "effect": lambda w, c, m: w,
    "expected": lambda w, c, m: c,
    "slope": lambda w, c, m: m,
    "slope_by_arm": lambda w, c, m: w * m,
}
# Kernels of each function; every one also has a constant.
KERNELS = {
    "shared": ("linear", "bent", "pairs"),
    "effect": ("linear", "bent", "pairs"),
    "expected": (),
    "slope": ("linear", "bent"),
    "slope_by_arm": (),
}
OF_MEDIATOR = ("expected", "slope", "slope_by_arm")


@dataclass(frozen=True, eq=False)
class SplitMediator:
    """A unit's mediator, divided as the outcome model needs it.

    Attributes
    ----------
    expected : ndarray, shape (unit,)
        Its expectation in the unit's own arm, less the mean over the units of that arm.
    deviation : ndarray, shape (unit,)
        The mediator less its expectation.
    """

    expected: np.ndarray
    deviation: np.ndarray

    @classmethod
    def split(cls, mediator: np.ndarray, expected: np.ndarray, w: np.ndarray) -> SplitMediator:
        """Divide a mediator into its expectation and the rest."""
        by_arm = np.where(w > 0, expected[w > 0].mean(), expected[w < 0].mean())
        return cls(expected - by_arm, mediator - expected)


@dataclass(frozen=True, eq=False)
class Mean:
    """A fitted mean: a sum of functions, each with a factor.

    Attributes
    ----------
    parts : tuple of (str, ndarray)
        Function and prior covariance (unit, unit) of each of its parts, variance included.
    times : mapping of str to ndarray, shape (unit,)
        The factor of each function.
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
        """Return the posterior mean of a sum of functions at the units.

        Parameters
        ----------
        at : mapping of str to ndarray, shape (unit,)
            The factor of each function; those left out do not take part.

        Returns
        -------
        ndarray, shape (unit,)
            In units of the outcome, whose own mean is not added.
        """
        return self.unit * (self._shared_covariance(at)[1] @ self.weights)

    def without_each(self, y: np.ndarray) -> np.ndarray:
        """Return the expected outcome of each unit, in its own arm, from all others, (unit,)."""
        n = len(self.weights)
        root = solve_triangular(self.factor, np.eye(n), lower=True, check_finite=False)
        return y - self.unit * self.weights / (root**2).sum(axis=0)

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
        """Return the prior covariances of the sum and of the sum with the outcome, (unit, unit)."""
        n = len(self.weights)
        prior, cross = np.zeros((n, n)), np.zeros((n, n))
        for of, kernel in self.parts:
            if of in at:
                left = kernel * at[of][:, np.newaxis]
                prior += left * at[of]
                cross += left * self.times[of]
        return prior, cross


def times(
    functions: Iterable[str], w: np.ndarray, mediator: SplitMediator | None, *, scale: float = 1.0
) -> dict[str, np.ndarray]:
    """Return the factor of each function at the units.

    Parameters
    ----------
    functions : iterable of str
        Keys of `TIMES`.
    w : ndarray, shape (unit,)
        Arm minus 1/2.
    mediator : SplitMediator or None
        None where it does not take part.
    scale : float, default 1
        Unit of the mediator.

    Returns
    -------
    dict of str to ndarray, shape (unit,)
    """
    none = np.zeros_like(w)
    c, m = (none, none) if mediator is None else (mediator.expected, mediator.deviation)
    return {of: TIMES[of](w, c / scale, m / scale) for of in functions}


def fit_mean(
    y: np.ndarray,
    kernels: Mapping[str, np.ndarray],
    w: np.ndarray,
    mediator: SplitMediator | None = None,
    *,
    functions: tuple[str, ...] = tuple(KERNELS),
    constants_only: tuple[str, ...] = (),
) -> Mean:
    """Find the most probable variances and condition on the outcome.

    Parameters
    ----------
    y : ndarray, shape (unit,)
        The outcome of this model.
    kernels : mapping of str to ndarray, shape (unit, unit)
        Prior covariances of functions of the covariates, of mean variance 1.
    w : ndarray, shape (unit,)
        Arm minus 1/2.
    mediator : SplitMediator, optional
        If it takes part.
    functions : tuple of str
        Functions of the mean.
    constants_only : tuple of str
        Functions that are the same for all units.

    Returns
    -------
    Mean
    """
    center, unit = float(y.mean()), float(y.std())
    scale = 1.0 if mediator is None else float(mediator.deviation.std())
    standard_times = times(functions, w, mediator, scale=scale)
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
    variances = most_probable((y - center) / unit, fixed, covariances, [*starts, NOISE_START])
    total = fixed + sum(v * c for v, c in zip(variances, covariances, strict=False))
    total[np.diag_indices_from(total)] += variances[-1]
    factor = cholesky(total, lower=True, overwrite_a=True, check_finite=False)
    # Back from standard deviations of the mediator to its own units.
    by = {of: scale**-2 if of in OF_MEDIATOR else 1.0 for of in functions}
    parts = [(of, by[of] * given[of]) for of in functions]
    parts += [
        (of, v * by[of] * kernels[name]) for (of, name), v in zip(names, variances, strict=False)
    ]
    weights = cho_solve((factor, True), (y - center) / unit, check_finite=False)
    raw = times(functions, w, mediator)
    return Mean(tuple(parts), raw, float(variances[-1]), factor, weights, center, unit)


def _given(of: str, kernels: Mapping[str, np.ndarray], n: int) -> np.ndarray:
    """Return the prior covariance of the parts with a given variance: constants, trends."""
    given = np.full((n, n), WIDE)
    if LEVELS in kernels:
        given += WIDE * kernels[LEVELS] + TREND_VARIANCE.get(of, 0.0) * kernels[TRENDS]
    return given


def _cluster(of: str, kernels: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    return ("cluster",) if of == "shared" and "cluster" in kernels else ()


def most_probable(
    y: np.ndarray, fixed: np.ndarray, covariances: list[np.ndarray], start: list[float]
) -> np.ndarray:
    """Return the variances (the last of the noise) with the highest marginal likelihood.

    Newton steps on log variances with the average of observed and expected information, which
    needs one inverse per step, damped until the likelihood rises.
    """
    logs, damping = np.log(start), DAMPING
    value, slopes, information = curvature(np.exp(logs), y, fixed, covariances)
    for _ in range(MOST_STEPS):
        # Variances that have reached the lower end and slope downwards do not move.
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
        tried = curvature(np.exp(proposed), y, fixed, covariances)
        if tried is not None and tried[0] < value:
            settled = value - tried[0] < TOLERANCE
            logs, (value, slopes, information) = proposed, tried
            damping = max(damping / 10, 1e-4)
            if settled:
                break
        else:
            damping *= 10
    return np.exp(logs)


def curvature(
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
