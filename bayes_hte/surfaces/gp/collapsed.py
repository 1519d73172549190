"""Gaussian regression on sums of Gaussian processes with every weight integrated out.

The model is ``y_i = sum_k b_ki f_k(x_i) + sigma e_i`` with, for each term k,

    ``f(x) = c + s z(x)'beta + a (F(x)'w + sqrt(d(x)) e(x))``

(see :mod:`bayes_hte.surfaces.gp.inducing`), standard normal beta and w, and
``c ~ Normal(0, constant_scale)``. Stack the columns ``b [a F', s z, constant_scale]`` of all terms
to Phi and let ``V_i = sigma^2 + sum_k b_ki^2 a_k^2 d_k(x_i)``. Given lengthscales, amplitudes a,
linear scales s and sigma,

    ``y ~ N(0, Phi Phi' + diag V)``,  ``weights | y ~ N(B^-1 Phi' V^-1 y, B^-1)``,
    ``B = I + Phi' V^-1 Phi``.

This is the FITC approximation: the diagonal correction d enters the likelihood. Where the inducing
points are all the distinct rows, d vanishes, the model is the exact Gaussian process, and the
likelihood is taken from the covariance matrix of y itself, which is faster as long as there are
fewer rows than weights.

The gradient is written out because a whole evaluation then costs little more than its matrix
products, and needs no compilation. Rows in which the same terms act are treated together: a term
of the other arm has only zeros there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from bayes_hte.surfaces.gp.inducing import factor, kernel, whitened


@dataclass(frozen=True)
class GPTerm:
    """One function of the linear predictor, with its rows.

    Attributes
    ----------
    prefix : str
        Start of its variables' names.
    features : tuple of str
        Names of the columns; empty for a constant.
    z : ndarray, shape (row, feature)
        Standardised columns.
    points : ndarray, shape (point, feature)
        Inducing points.
    basis : ndarray, shape (row,)
        Factor of the function; ones where it has none.
    scale : float
        Prior scale of amplitude and linear scale, in the units of f.
    constant_scale : float
        Prior standard deviation of the constant.
    exact : bool
        Whether the points are all the distinct rows.
    """

    prefix: str
    features: tuple[str, ...]
    z: np.ndarray
    points: np.ndarray
    basis: np.ndarray
    scale: float
    constant_scale: float
    exact: bool

    @property
    def n_hyper(self) -> int:
        """Number of hyperparameters: lengthscales, amplitude, linear scale."""
        return len(self.features) + 2 if self.features else 0

    @property
    def n_weights(self) -> int:
        """Number of weights: those of the points, the coefficients, the constant."""
        return len(self.points) + len(self.features) + 1 if self.features else 1


@dataclass(frozen=True)
class Groups:
    """Rows in which the same terms act.

    Attributes
    ----------
    rows, columns : tuple of ndarray
        Of each group: its rows, and the columns of Phi that are not zero there.
    starts : ndarray, shape (term + 1,)
        First column of each term, and the number of columns.
    """

    rows: tuple[np.ndarray, ...]
    columns: tuple[np.ndarray, ...]
    starts: np.ndarray


@dataclass(frozen=True)
class _TermParts:
    """One term's part of an evaluation, kept for the gradient; rows are the active ones."""

    rows: np.ndarray
    x: np.ndarray
    basis: np.ndarray
    lengthscale: np.ndarray
    amplitude: float
    linear: float
    gram: np.ndarray
    chol: np.ndarray
    cross: np.ndarray
    features: np.ndarray
    left: np.ndarray


@dataclass(frozen=True)
class _Solved:
    """One evaluation: variances, features by group, and the factor of B."""

    parts: tuple[_TermParts | None, ...]
    variance: np.ndarray
    phi: np.ndarray
    phi_groups: tuple[np.ndarray, ...]
    chol: np.ndarray
    mean: np.ndarray
    value: float


def group_rows(terms: Sequence[GPTerm]) -> Groups:
    """Find the rows in which the same terms act.

    Parameters
    ----------
    terms : sequence of GPTerm

    Returns
    -------
    Groups
    """
    active = np.stack([term.basis != 0 for term in terms], axis=1)
    patterns, member = np.unique(active, axis=0, return_inverse=True)
    starts = np.cumsum([0, *(term.n_weights for term in terms)])
    owner = np.repeat(np.arange(len(terms)), np.diff(starts))
    return Groups(
        tuple(np.flatnonzero(member == g) for g in range(len(patterns))),
        tuple(np.flatnonzero(pattern[owner]) for pattern in patterns),
        starts,
    )


def log_likelihood(
    terms: Sequence[GPTerm], groups: Groups, theta: np.ndarray, y: np.ndarray
) -> float:
    """Return the log density of y given hyperparameters, weights integrated out.

    Parameters
    ----------
    terms : sequence of GPTerm
        The linear predictor.
    groups : Groups
        From :func:`group_rows`.
    theta : ndarray, shape (hyperparameter,)
        For each term with features its lengthscales, amplitude and linear scale; sigma last.
    y : ndarray, shape (row,)
        The column minus its offset.

    Returns
    -------
    float
    """
    if _is_dense(terms):
        return _dense(terms, theta, y).value
    return _solve(terms, groups, theta, y).value


def log_likelihood_gradient(
    terms: Sequence[GPTerm], groups: Groups, theta: np.ndarray, y: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return :func:`log_likelihood` and its gradient in theta.

    Parameters
    ----------
    terms, groups, theta, y
        As there.

    Returns
    -------
    value : float
    gradient : ndarray, shape (hyperparameter,)
    """
    if _is_dense(terms):
        return _dense_gradient(terms, theta, y)
    solved = _solve(terms, groups, theta, y)
    by_phi, by_variance = _outer_gradients(groups, solved, y)
    pieces = [
        _term_gradient(term, part, by_phi[:, start:], by_variance)
        for term, part, start in zip(terms, solved.parts, groups.starts[:-1], strict=True)
        if part is not None
    ]
    by_sigma = 2 * theta[-1] * by_variance.sum()
    return solved.value, np.concatenate([*pieces, [by_sigma]])


def draw_weights(
    terms: Sequence[GPTerm],
    groups: Groups,
    theta: np.ndarray,
    y: np.ndarray,
    *,
    size: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw the weights from their exact conditional distribution.

    Parameters
    ----------
    terms, groups, theta, y
        As in :func:`log_likelihood`.
    size : int
        Number of draws.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray, shape (size, weight)
        In the order of the columns of Phi: for each term those of the points, the whitened
        coefficients, the whitened constant.
    """
    if _is_dense(terms):
        return _dense_weights(terms, theta, y, size=size, rng=rng)
    solved = _solve(terms, groups, theta, y)
    noise = rng.standard_normal((len(solved.mean), size))
    spread = linalg.solve_triangular(solved.chol, noise, lower=True, trans=1, check_finite=False)
    return (solved.mean[:, None] + spread).T


def draw_observations(
    terms: Sequence[GPTerm], theta: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draw y given hyperparameters, for prior predictive sampling.

    Parameters
    ----------
    terms : sequence of GPTerm
    theta : ndarray, shape (hyperparameter,)
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (row,)
        Without the offset.
    """
    phi, variance, _ = _features(terms, theta)
    weights = rng.standard_normal(phi.shape[1])
    return phi @ weights + np.sqrt(variance) * rng.standard_normal(len(phi))


def _split(terms: Sequence[GPTerm], theta: np.ndarray) -> list[np.ndarray]:
    """Return each term's part of the hyperparameters, empty for a constant; sigma is left out."""
    ends = np.cumsum([term.n_hyper for term in terms])
    return np.split(theta[: ends[-1]], ends[:-1])


def _features(
    terms: Sequence[GPTerm], theta: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[_TermParts | None]]:
    """Return Phi, V and the parts of each term."""
    n = len(terms[0].basis)
    phi = np.zeros((n, sum(term.n_weights for term in terms)))
    variance = np.full(n, theta[-1] ** 2)
    parts: list[_TermParts | None] = []
    start = 0
    for term, hyper in zip(terms, _split(terms, theta), strict=True):
        end = start + term.n_weights
        phi[:, end - 1] = term.constant_scale * term.basis
        part = _term_parts(term, hyper) if term.features else None
        if part is not None:
            middle = start + len(term.points)
            weight = (part.amplitude * part.basis)[:, None]
            phi[part.rows, start:middle] = weight * part.features.T
            phi[part.rows, middle : end - 1] = (part.linear * part.basis)[:, None] * part.x
            variance[part.rows] += (part.amplitude * part.basis) ** 2 * part.left
        parts.append(part)
        start = end
    return phi, variance, parts


def _term_parts(term: GPTerm, hyper: np.ndarray) -> _TermParts:
    lengthscale, (amplitude, linear) = hyper[:-2], hyper[-2:]
    rows = np.flatnonzero(term.basis)
    x = term.z[rows]
    gram, chol = factor(term.points, lengthscale)
    cross = kernel(term.points, x, lengthscale)
    features, left = whitened(chol, cross)
    return _TermParts(
        rows, x, term.basis[rows], lengthscale, amplitude, linear, gram, chol, cross, features, left
    )


def _solve(terms: Sequence[GPTerm], groups: Groups, theta: np.ndarray, y: np.ndarray) -> _Solved:
    phi, variance, parts = _features(terms, theta)
    phi_groups = tuple(
        phi[np.ix_(rows, columns)]
        for rows, columns in zip(groups.rows, groups.columns, strict=True)
    )
    b = np.eye(phi.shape[1])
    for rows, columns, block in zip(groups.rows, groups.columns, phi_groups, strict=True):
        b[np.ix_(columns, columns)] += block.T @ (block / variance[rows, None])
    chol = linalg.cholesky(b, lower=True, check_finite=False)
    projected = linalg.solve_triangular(
        chol, phi.T @ (y / variance), lower=True, check_finite=False
    )
    mean = linalg.solve_triangular(chol, projected, lower=True, trans=1, check_finite=False)
    log_determinant = np.log(variance).sum() + 2 * np.log(np.diag(chol)).sum()
    square = y @ (y / variance) - projected @ projected
    value = -0.5 * (log_determinant + square + len(y) * np.log(2 * np.pi))
    return _Solved(tuple(parts), variance, phi, phi_groups, chol, mean, float(value))


def _outer_gradients(
    groups: Groups, solved: _Solved, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients in Phi (``(alpha alpha' - C^-1) Phi``) and in V, C the covariance."""
    # B is at least the identity, so its explicit inverse is safe.
    inverse = _inverse(solved.chol)
    alpha = (y - solved.phi @ solved.mean) / solved.variance
    along = alpha @ solved.phi
    by_phi, by_variance = np.zeros_like(solved.phi), np.empty_like(y)
    for rows, columns, block in zip(groups.rows, groups.columns, solved.phi_groups, strict=True):
        precision = 1 / solved.variance[rows]
        half = (block * precision[:, None]) @ inverse[np.ix_(columns, columns)]
        diagonal = precision * (1 - (half * block).sum(axis=1))
        by_variance[rows] = 0.5 * (alpha[rows] ** 2 - diagonal)
        by_phi[np.ix_(rows, columns)] = alpha[rows, None] * along[columns] - half
    return by_phi, by_variance


def _term_gradient(
    term: GPTerm, part: _TermParts, by_phi: np.ndarray, by_variance: np.ndarray
) -> np.ndarray:
    """Return the gradient in a term's lengthscales, amplitude and linear scale.

    `by_phi` starts at the term's first column.
    """
    middle = len(term.points)
    by_phi = by_phi[part.rows, : term.n_weights - 1] * part.basis[:, None]
    by_variance = by_variance[part.rows] * part.basis**2
    by_linear = (by_phi[:, middle:] * part.x).sum()
    by_process = by_phi[:, :middle].T
    amplitude = part.amplitude
    by_amplitude = (by_process * part.features).sum() + 2 * amplitude * (by_variance @ part.left)
    by_features = amplitude * by_process - 2 * amplitude**2 * part.features * by_variance
    # The likelihood depends on the features through F'F = K_XZ (K_ZZ + jitter)^-1 K_ZX alone, so
    # no derivative of the Cholesky factor is needed.
    inverse, _ = linalg.lapack.dtrtri(part.chol, lower=1)
    by_cross = inverse.T @ by_features
    by_gram = -0.5 * by_cross @ part.features.T @ inverse
    by_lengthscale = _kernel_gradient(by_cross * part.cross, term.points, part.x)
    by_lengthscale += _kernel_gradient(by_gram * part.gram, term.points, term.points)
    return np.concatenate([by_lengthscale / part.lengthscale**3, [by_amplitude, by_linear]])


def _kernel_gradient(weighted: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return ``sum_mn weighted_mn (a_mj - b_nj)^2`` for each feature j."""
    squares = weighted.sum(axis=1) @ (a * a) + weighted.sum(axis=0) @ (b * b)
    return squares - 2 * (a * (weighted @ b)).sum(axis=0)


# ---------------------------------------------------------------- exact processes, few rows


@dataclass(frozen=True)
class _DenseTerm:
    """One term's part of the covariance of y; rows are the active ones."""

    rows: np.ndarray
    x: np.ndarray
    basis: np.ndarray
    lengthscale: np.ndarray
    amplitude: float
    linear: float
    gram: np.ndarray


@dataclass(frozen=True)
class _Dense:
    """One evaluation from the covariance of y."""

    parts: tuple[_DenseTerm | None, ...]
    chol: np.ndarray
    alpha: np.ndarray
    value: float


def _is_dense(terms: Sequence[GPTerm]) -> bool:
    weights = sum(term.n_weights for term in terms)
    return weights >= len(terms[0].basis) and all(term.exact for term in terms)


def _dense(terms: Sequence[GPTerm], theta: np.ndarray, y: np.ndarray) -> _Dense:
    n = len(y)
    covariance = np.diag(np.full(n, theta[-1] ** 2))
    parts: list[_DenseTerm | None] = []
    for term, hyper in zip(terms, _split(terms, theta), strict=True):
        rows = np.flatnonzero(term.basis)
        basis = term.basis[rows]
        own = np.full((len(rows), len(rows)), term.constant_scale**2)
        part = None
        if term.features:
            x, lengthscale, (amplitude, linear) = term.z[rows], hyper[:-2], hyper[-2:]
            gram = kernel(x, x, lengthscale)
            own += amplitude**2 * gram + linear**2 * (x @ x.T)
            part = _DenseTerm(rows, x, basis, lengthscale, amplitude, linear, gram)
        covariance[np.ix_(rows, rows)] += own * basis * basis[:, None]
        parts.append(part)
    chol = linalg.cholesky(covariance, lower=True, check_finite=False)
    alpha = linalg.cho_solve((chol, True), y, check_finite=False)
    log_determinant = 2 * np.log(np.diag(chol)).sum()
    value = -0.5 * (log_determinant + y @ alpha + n * np.log(2 * np.pi))
    return _Dense(tuple(parts), chol, alpha, float(value))


def _dense_gradient(
    terms: Sequence[GPTerm], theta: np.ndarray, y: np.ndarray
) -> tuple[float, np.ndarray]:
    dense = _dense(terms, theta, y)
    by_covariance = 0.5 * (np.outer(dense.alpha, dense.alpha) - _inverse(dense.chol))
    pieces = []
    for part in dense.parts:
        if part is None:
            continue
        own = by_covariance[np.ix_(part.rows, part.rows)] * part.basis * part.basis[:, None]
        weighted = own * part.gram
        by_lengthscale = part.amplitude**2 * _kernel_gradient(weighted, part.x, part.x)
        by_amplitude = 2 * part.amplitude * weighted.sum()
        by_linear = 2 * part.linear * (part.x * (own @ part.x)).sum()
        pieces += [by_lengthscale / part.lengthscale**3, [by_amplitude, by_linear]]
    by_sigma = 2 * theta[-1] * np.trace(by_covariance)
    return dense.value, np.concatenate([*pieces, [by_sigma]])


def _dense_weights(
    terms: Sequence[GPTerm],
    theta: np.ndarray,
    y: np.ndarray,
    *,
    size: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw weights and data from the prior, then move the weights by the difference to the data."""
    phi, variance, _ = _features(terms, theta)
    weights = rng.standard_normal((phi.shape[1], size))
    noise = np.sqrt(variance)[:, None] * rng.standard_normal((len(y), size))
    chol = _dense(terms, theta, y).chol
    differ = y[:, None] - phi @ weights - noise
    return (weights + phi.T @ linalg.cho_solve((chol, True), differ, check_finite=False)).T


def _inverse(chol: np.ndarray) -> np.ndarray:
    """Return the symmetric inverse of a matrix from its lower Cholesky factor."""
    lower, _ = linalg.lapack.dpotri(chol, lower=1)
    return np.tril(lower) + np.tril(lower, -1).T
