"""Additive functions: one smooth curve per covariate.

    ``f(x) = c + z(x)' beta + sum_j a_j h_j(x_j),   h_j = sum_k w_jk phi_jk(x_j) / v_j``

c and beta as in :mod:`bayes_hte.surfaces.linear`. Every numeric covariate with six or more distinct
values also has a curve: h_j is a Gaussian process with Matern-5/2 kernel on the observed range,
written in eigenfunctions of the Laplacian on an interval half as wide again (Hilbert space
approximation, Dirichlet boundary). Each eigenfunction loses its least-squares line over the study's
rows, so that c, the linear part and the curves are apart: a curve has mean zero and no slope over
those rows. v_j is the prior standard deviation of the sum without it, averaged over the rows, so

    a_j is the prior standard deviation of curve j, ``a_j = s u_j / sqrt(s^2 + u_j^2)``,

with the u_j of a horseshoe of their own: curves the data do not need vanish together. The
lengthscale of a curve, in half ranges, is ``l_j ~ LogNormal(log 0.5, 0.5)``; ten eigenfunctions
show no detail finer than about 0.4.

Beyond the observed range a curve keeps its last value, and the linear part continues: the data have
no information on the shape there, and the basis would bend back to zero, an artefact. A categorical
covariate has a coefficient for each level but the first.

References
----------
Riutort-Mayol, G., Buerkner, P.-C., Andersen, M. R., Solin, A., Vehtari, A. (2023). Practical
Hilbert space approximate Bayesian Gaussian processes for probabilistic programming. Statistics and
Computing 33, 17. doi:10.1007/s11222-022-10167-2
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from pytensor.tensor.variable import TensorVariable

from bayes_hte.errors import UnsupportedError
from bayes_hte.study.design import Design
from bayes_hte.study.encoding import MAX_KNOTS, ColumnEncoding
from bayes_hte.surfaces.linear import (
    coefficients,
    constant_of,
    features_of,
    horseshoe,
    predict_linear,
    rows_of,
)
from bayes_hte.surfaces.terms import Term

# Basis functions of a curve, and the length of their interval in units of the observed range.
BASIS = 10
BOUNDARY = 1.5
# A covariate with fewer distinct values has no room for a bend: it is linear.
FEWEST_VALUES = 6
MEDIAN_LENGTHSCALE, SD_LOG_LENGTHSCALE = 0.5, 0.5
# Square roots of the eigenvalues, on a range from -1 to 1.
FREQUENCIES = np.arange(1, BASIS + 1) * np.pi / (2 * BOUNDARY)


def additive_function(prefix: str, term: Term, design: Design, *, scale: float) -> TensorVariable:
    """Add an additive function to the PyMC model in context.

    Parameters
    ----------
    prefix : str
        Start of the variables' names: those of the linear surface and, if any covariate has a
        curve, ``<prefix>_curve`` (dims ``<prefix>_curved``, ``<prefix>_basis``) with
        ``<prefix>_amplitude``, ``<prefix>_lengthscale`` and the horseshoe of the amplitudes.
    term : Term
        The term of the function.
    design : Design
        The rows.
    scale : float
        Prior scale ``s``, in the units of f.

    Returns
    -------
    TensorVariable, shape (unit,)

    Raises
    ------
    UnsupportedError
        If the function sees the arm as a column.
    """
    _refuse_arm(term)
    function = constant_of(prefix, term, scale=scale)
    z = features_of(term, design)
    if z.shape[1] == 0:
        return function * np.ones(design.n_rows)
    rows = rows_of(term, design)
    beta = coefficients(prefix, z.columns, scale=scale, rows=rows)
    function = function + pm.math.dot(z.to_numpy(), beta)
    curved = curved_columns(term, design)
    if not curved:
        return function
    weights = _curve_weights(prefix, curved, scale=scale, rows=rows)
    return function + pm.math.dot(basis_matrix(term, design), weights.ravel())


def predict_additive(posterior: xr.Dataset, prefix: str, term: Term, design: Design) -> np.ndarray:
    """Evaluate an additive function at rows, draw by draw.

    Parameters
    ----------
    posterior : Dataset
        Draws of the variables of :func:`additive_function`.
    prefix, term, design
        As there; `design` may hold new rows.

    Returns
    -------
    ndarray, shape (chain, draw, row)
    """
    linear = predict_linear(posterior, prefix, term, design)
    curved = curved_columns(term, design)
    if not curved:
        return linear
    weights = posterior[f"{prefix}_curve"].to_numpy()
    return linear + weights.reshape(*weights.shape[:2], -1) @ basis_matrix(term, design).T


def is_curved(column: ColumnEncoding) -> bool:
    """Whether a column has a curve in addition to its linear part."""
    return len(column.knots) >= FEWEST_VALUES


def curved_columns(term: Term, design: Design) -> tuple[ColumnEncoding, ...]:
    """Return the columns of a term that have a curve."""
    return tuple(c for c in _columns(term, design) if is_curved(c))


def _columns(term: Term, design: Design) -> tuple[ColumnEncoding, ...]:
    _refuse_arm(term)
    return design.columns(term.features).columns


def _refuse_arm(term: Term) -> None:
    if term.features == "covariates+arm":
        raise UnsupportedError(
            "an additive function cannot have the arm as a column (learner 's'): every curve would "
            "have to be its own in each arm. Learner 't' has a curve for each arm, 'hierarchical' "
            "shared curves and each arm's deviation; surface='linear' allows learner 's'."
        )


def _curve_weights(
    prefix: str, curved: Sequence[ColumnEncoding], *, scale: float, rows: int
) -> TensorVariable:
    """Add the weights of the basis, shape (column, basis), to the model in context."""
    dims = (f"{prefix}_curved", f"{prefix}_basis")
    names = [c.name for c in curved]
    pm.modelcontext(None).add_coords({dims[0]: names, dims[1]: np.arange(BASIS)})
    amplitude = pm.Deterministic(
        f"{prefix}_amplitude",
        horseshoe(f"{prefix}_curve", len(names), scale=scale, rows=rows),
        dims=dims[0],
    )
    lengthscale = pm.LogNormal(
        f"{prefix}_lengthscale", np.log(MEDIAN_LENGTHSCALE), SD_LOG_LENGTHSCALE, dims=dims[0]
    )
    density = relative_density(lengthscale[:, None])
    size = np.array([mean_squares(c) for c in curved])
    sd = pt.sqrt(density / (density * size).sum(axis=1, keepdims=True))
    raw = pm.Normal(f"{prefix}_curve_raw", 0, 1, dims=dims)
    return pm.Deterministic(f"{prefix}_curve", amplitude[:, None] * sd * raw, dims=dims)


def relative_density(lengthscale: TensorVariable) -> TensorVariable:
    """Spectral density of the Matern-5/2 kernel at the basis, relative to frequency zero.

    Parameters
    ----------
    lengthscale : TensorVariable, shape (column, 1)
        In half ranges.

    Returns
    -------
    TensorVariable, shape (column, basis)
    """
    return (1 + (lengthscale * FREQUENCIES) ** 2 / 5) ** -3


def mean_squares(column: ColumnEncoding) -> np.ndarray:
    """Mean square of each basis function over the study's rows, shape (basis,)."""
    z, share = _distribution(column)
    return share @ _basis(column, z) ** 2


def basis_matrix(term: Term, design: Design) -> np.ndarray:
    """Return the basis functions of a term's curves side by side, shape (row, column * basis)."""
    z = design.standardized(term.features)
    return np.hstack([_basis(c, z[c.name].to_numpy()) for c in curved_columns(term, design)])


def _basis(column: ColumnEncoding, z: np.ndarray) -> np.ndarray:
    """Return the basis functions without their lines at standardised values, (row, basis)."""
    knots, share = _distribution(column)
    inside = np.clip(z, knots[0], knots[-1])
    lines = np.column_stack([np.ones_like(knots), knots])
    root = np.sqrt(share)[:, None]
    fitted = np.linalg.lstsq(root * lines, root * _eigenfunctions(knots, knots), rcond=None)[0]
    at = np.column_stack([np.ones_like(inside), inside])
    return _eigenfunctions(inside, knots) - at @ fitted


def _eigenfunctions(z: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Eigenfunctions of the Laplacian, with the range of the knots as -1 to 1, (row, basis)."""
    middle, half = (knots[0] + knots[-1]) / 2, (knots[-1] - knots[0]) / 2
    scaled = (z - middle) / half
    return np.sin(np.outer(scaled + BOUNDARY, FREQUENCIES)) / np.sqrt(BOUNDARY)


def _distribution(column: ColumnEncoding) -> tuple[np.ndarray, np.ndarray]:
    """Return the stored values of a column, standardised, and the share of the rows at each."""
    knots = (np.array(column.knots) - column.center) / column.scale
    ranks = np.array(column.ranks)
    if ranks.size < MAX_KNOTS:
        # A mid-rank is half way between the shares below and up to its value.
        sign = (-1.0) ** np.arange(ranks.size)
        below = 2 * sign * np.cumsum(sign * ranks)
        return knots, np.diff(below, prepend=0.0)
    # Not all values were kept; each stands for the rows up to half way to its neighbours.
    return knots, np.diff((ranks[:-1] + ranks[1:]) / 2, prepend=0.0, append=1.0)
