"""Gaussian-process surfaces: hyperparameters and functions in PyMC, and prediction from draws.

    ``f(x) = c + s z(x)'beta + a g(z(x)),   beta_j ~ Normal(0, 1),  s, a ~ HalfNormal(S)``

with z the standardised columns, S the prior scale of the term, the constant as on the linear
surface, and g a Gaussian process with squared-exponential kernel, one lengthscale per column,

    ``log l_j ~ Normal(sqrt 2 + log(p)/2 - 1/2, 1)``,

which grows with the number of columns p so that more columns do not make a rougher function. The
process is held as whitened weights of inducing points (:mod:`bayes_hte.surfaces.gp.inducing`).

There are two samplers of the same variables: :func:`gp_function` leaves the weights to NUTS, for
any family; :mod:`bayes_hte.surfaces.gp.sampling` integrates them out, for gaussian columns only.
:func:`predict_gp` reads the draws of both.

References
----------
Rasmussen, C. E., Williams, C. K. I. (2006). Gaussian Processes for Machine Learning. MIT Press.
Hvarfner, C., Hellsten, E. O., Nardi, L. (2024). Vanilla Bayesian optimization performs great in
high dimensions. ICML 2024. doi:10.48550/arXiv.2402.02229
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from pytensor.tensor.linalg import cholesky, solve_triangular
from pytensor.tensor.variable import TensorVariable

from bayes_hte.errors import SavedResultError
from bayes_hte.seeds import text_key
from bayes_hte.study.design import Design
from bayes_hte.surfaces.gp.collapsed import GPTerm
from bayes_hte.surfaces.gp.inducing import (
    EXACT_ROWS,
    JITTER,
    factor,
    inducing_count,
    inducing_points,
    kernel,
    point_labels,
    whitened,
)
from bayes_hte.surfaces.linear import SHARED_CONSTANT
from bayes_hte.surfaces.terms import Term


def gp_term(
    prefix: str,
    term: Term,
    design: Design,
    *,
    scale: float,
    basis: np.ndarray | None = None,
    n_inducing: int | None = None,
) -> GPTerm:
    """Collect the rows and scales of a term's Gaussian process.

    Parameters
    ----------
    prefix : str
        Start of the variables' names.
    term : Term
        The term.
    design : Design
        The rows.
    scale : float
        Prior scale, in the units of f.
    basis : ndarray, shape (unit,), optional
        Factor of the function; default 1.
    n_inducing : int, optional
        Largest number of inducing points; default all rows up to 400, then
        :func:`bayes_hte.surfaces.gp.inducing.inducing_count`.

    Returns
    -------
    GPTerm
    """
    frame = design.standardized(term.features)
    z = frame.to_numpy(dtype=np.float64)
    if n_inducing is None:
        few = design.n_rows <= EXACT_ROWS
        n_inducing = design.n_rows if few else inducing_count(design.n_rows)
    points = inducing_points(z, n_inducing) if z.shape[1] else np.empty((0, 0))
    return GPTerm(
        prefix=prefix,
        features=tuple(frame.columns),
        z=z,
        points=points,
        basis=np.ones(design.n_rows) if basis is None else np.asarray(basis, dtype=np.float64),
        scale=scale,
        constant_scale=(SHARED_CONSTANT if term.kind == "shared" else 1.0) * scale,
        exact=not z.shape[1] or len(points) == len(np.unique(z, axis=0)),
    )


def gp_hyperparameters(term: GPTerm) -> tuple[TensorVariable, TensorVariable, TensorVariable]:
    """Add a term's hyperparameters and coordinates to the PyMC model in context.

    Parameters
    ----------
    term : GPTerm
        A term with features.

    Returns
    -------
    lengthscale : TensorVariable, shape (feature,)
        ``<prefix>_lengthscale``, in standard deviations of each column.
    amplitude, linear : TensorVariable
        ``<prefix>_amplitude`` and ``<prefix>_tau``.
    """
    prefix, p = term.prefix, len(term.features)
    coords = {f"{prefix}_feature": list(term.features)}
    coords[f"{prefix}_inducing"] = point_labels(term.points)
    pm.modelcontext(None).add_coords(coords)
    middle = np.sqrt(2) + 0.5 * np.log(p) - 0.5
    lengthscale = pm.LogNormal(f"{prefix}_lengthscale", middle, 1, dims=f"{prefix}_feature")
    amplitude = pm.HalfNormal(f"{prefix}_amplitude", term.scale)
    return lengthscale, amplitude, pm.HalfNormal(f"{prefix}_tau", term.scale)


def gp_function(
    prefix: str, term: Term, design: Design, *, scale: float, n_inducing: int | None = None
) -> TensorVariable:
    """Add a Gaussian-process function with its weights to the PyMC model in context.

    The residual ``sqrt(d(x)) e(x)`` is left out of the sampled function (the deterministic
    training conditional); :func:`predict_gp` adds it.

    Parameters
    ----------
    prefix : str
        Start of the variables' names: ``<prefix>_const``, and with features also
        ``<prefix>_lengthscale``, ``_amplitude``, ``_tau``, ``_raw``, ``_coef``, ``_weight``.
    term : Term
        The term of the function.
    design : Design
        The rows.
    scale : float
        Prior scale, in the units of f.
    n_inducing : int, optional
        Largest number of inducing points; default
        :func:`bayes_hte.surfaces.gp.inducing.inducing_count`, as each is a variable to sample.

    Returns
    -------
    TensorVariable, shape (unit,)
    """
    n_inducing = inducing_count(design.n_rows) if n_inducing is None else n_inducing
    data = gp_term(prefix, term, design, scale=scale, n_inducing=n_inducing)
    constant = pm.Normal(f"{prefix}_const", 0, data.constant_scale)
    if not data.features:
        return constant * np.ones(design.n_rows)
    lengthscale, amplitude, tau = gp_hyperparameters(data)
    raw = pm.Normal(f"{prefix}_raw", 0, 1, dims=f"{prefix}_feature")
    coef = pm.Deterministic(f"{prefix}_coef", tau * raw, dims=f"{prefix}_feature")
    weight = pm.Normal(f"{prefix}_weight", 0, 1, dims=f"{prefix}_inducing")
    gram = _symbolic_kernel(data.points, data.points, lengthscale)
    chol = cholesky(gram + JITTER * np.eye(len(data.points)), lower=True)
    process = _symbolic_kernel(data.z, data.points, lengthscale) @ solve_triangular(
        chol.T, weight, lower=False
    )
    return constant + pt.dot(data.z, coef) + amplitude * process


def predict_gp(
    posterior: xr.Dataset,
    prefix: str,
    term: Term,
    learned: Design,
    rows: Design,
    *,
    residual: bool = True,
) -> np.ndarray:
    """Evaluate a Gaussian-process function at rows, draw by draw.

    The value at x given the weights is normal with variance ``a^2 d(x)``, the part that inducing
    points do not determine. It is drawn, as intervals of single rows would otherwise be too narrow;
    each x has its own fixed noise, so equal rows get equal draws in any call.

    Parameters
    ----------
    posterior : Dataset
        Draws of the variables of :func:`gp_function`.
    prefix, term
        As there.
    learned : Design
        The rows of the study, for the inducing points.
    rows : Design
        The rows to evaluate at.
    residual : bool, default True
        Whether to draw the part that the points do not determine; without it this is the function
        that NUTS sampled.

    Returns
    -------
    ndarray, shape (chain, draw, row)

    Raises
    ------
    SavedResultError
        If the inducing points of the study are not those of the posterior.
    """
    constant = posterior[f"{prefix}_const"].to_numpy()
    shape = (*constant.shape, rows.n_rows)
    z = rows.standardized(term.features).to_numpy(dtype=np.float64)
    if z.shape[1] == 0:
        return np.broadcast_to(constant[..., None], shape)
    points = _stored_points(posterior, prefix, learned.standardized(term.features))
    flat = {
        name: posterior[f"{prefix}_{name}"].to_numpy().reshape(constant.size, -1)
        for name in ("lengthscale", "amplitude", "weight", "coef")
    }
    process, left = _process(flat["lengthscale"], flat["weight"], points, z)
    if residual:
        process += np.sqrt(left) * _noise(prefix, z, constant.size)
    values = constant.reshape(-1, 1) + flat["coef"] @ z.T + flat["amplitude"] * process
    return values.reshape(shape)


def _process(
    lengthscales: np.ndarray, weights: np.ndarray, points: np.ndarray, z: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return F'w and d for each draw, shape (draw, row); features once for equal lengthscales."""
    mean, left = (np.empty((len(weights), len(z))) for _ in range(2))
    distinct, member = np.unique(lengthscales, axis=0, return_inverse=True)
    order = np.argsort(member, kind="stable")
    ends = np.cumsum(np.bincount(member, minlength=len(distinct)))
    for lengthscale, draws in zip(distinct, np.split(order, ends[:-1]), strict=True):
        _, chol = factor(points, lengthscale)
        features, rest = whitened(chol, kernel(points, z, lengthscale))
        mean[draws], left[draws] = weights[draws] @ features, rest
    return mean, left


def _noise(prefix: str, z: np.ndarray, draws: int) -> np.ndarray:
    """Return standard normal noise that is a function of the term and the row, (draw, row)."""
    term = text_key(prefix)
    # Adding 0.0 turns -0.0, which is equal to 0.0 but has other bytes, into 0.0.
    keys = [np.frombuffer((row + 0.0).tobytes(), dtype=np.uint32).tolist() for row in z]
    noise = [np.random.default_rng([term, *key]).standard_normal(draws) for key in keys]
    return np.stack(noise, axis=1)


def _stored_points(posterior: xr.Dataset, prefix: str, study: pd.DataFrame) -> np.ndarray:
    """Find the inducing points of a posterior again in the columns of its study."""
    stored = posterior[f"{prefix}_inducing"].to_numpy()
    points = inducing_points(study.to_numpy(dtype=np.float64), len(stored))
    found = point_labels(points)
    if stored.shape != found.shape or not np.allclose(stored, found, rtol=0, atol=1e-4):
        raise SavedResultError(
            f"{prefix}: the inducing points found in this study are not those the posterior was "
            "sampled with, so it cannot predict; the data or the version of "
            "scikit-learn differ. Run the study again."
        )
    return points


def _symbolic_kernel(a: np.ndarray, b: np.ndarray, lengthscale: TensorVariable) -> TensorVariable:
    left, right = a / lengthscale, b / lengthscale
    squares = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)
    return pt.exp(-0.5 * pt.maximum(squares - 2 * left @ right.T, 0.0))
