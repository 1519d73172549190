"""Linear functions of covariates under a regularised horseshoe prior.

    ``f(x) = c + z(x)' beta,   c ~ Normal(0, k s)``
    ``beta_j ~ Normal(0, sd_j),   sd_j^2 = s^2 u_j^2 / (s^2 + u_j^2),   u_j = tau lambda_j``
    ``lambda_j ~ HalfCauchy(1),   tau ~ HalfStudentT(3, tau0)``

with z the standardised columns (categories as indicators), s the prior scale of the term, and k 2.5
for the shared term and 1 for the others. The common tau pulls most coefficients to zero; one for
which the data are strong escapes through its lambda, and then has the prior Normal(0, s). With p
columns

    ``tau0 = 4 s / sqrt(n) * p0 / (p - p0),   p0 = min(5, p / 2)``

n being the number of rows the term acts on: Piironen and Vehtari's guess for p0 effects that
matter, with 4 s for the noise scale. The factor is 4 because arm terms have half the scale of the
outcome and each holds half of a difference between the arms; at 1 the intervals of effects that
vary under-cover.

As an arm's deviation the function is the treatment-by-covariate interaction, as a mediator's
coefficient a slope that varies with the covariates. A function that sees the arm as a column (the
S-learner) gets the products of the arm with every other column too: without them it could not
express an effect that varies. The coefficients of the arm and of the estimated propensity have the
prior Normal(0, s): a horseshoe on them would shrink the average effect, or leave confounding in it.

References
----------
Piironen, J., Vehtari, A. (2017). Sparsity information and regularization in the horseshoe and other
shrinkage priors. Electronic Journal of Statistics 11, 5018-5051. doi:10.1214/17-EJS1337SI
Hahn, P. R., Carvalho, C. M., Puelz, D., He, J. (2018). Regularization and confounding in linear
regression for treatment effect estimation. Bayesian Analysis 13, 163-182. doi:10.1214/16-BA1044
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from pytensor.tensor.variable import TensorVariable

from bayes_hte.names import CHAIN, DRAW
from bayes_hte.study.design import Design, is_arm_feature, is_propensity_column
from bayes_hte.surfaces.terms import Term

SHARED_CONSTANT = 2.5
# Most coefficients that are expected to matter.
EXPECTED = 5
# Noise scale in units of the term's scale; see the module.
NOISE = 4.0
GLOBAL_DF = 3


def linear_function(prefix: str, term: Term, design: Design, *, scale: float) -> TensorVariable:
    """Add a linear function to the PyMC model in context.

    Parameters
    ----------
    prefix : str
        Start of the variables' names: ``<prefix>_const``, ``<prefix>_coef`` (dims
        ``<prefix>_feature``), and those of the horseshoe: ``<prefix>_tau``, ``<prefix>_local`` and
        ``<prefix>_raw``.
    term : Term
        The term of the function.
    design : Design
        The rows.
    scale : float
        Prior scale ``s``, in the units of f.

    Returns
    -------
    TensorVariable, shape (unit,)
    """
    constant = constant_of(prefix, term, scale=scale)
    z = features_of(term, design)
    if z.shape[1] == 0:
        return constant * np.ones(design.n_rows)
    beta = coefficients(prefix, z.columns, scale=scale, rows=rows_of(term, design))
    return constant + pm.math.dot(z.to_numpy(), beta)


def predict_linear(posterior: xr.Dataset, prefix: str, term: Term, design: Design) -> np.ndarray:
    """Evaluate a linear function at rows, draw by draw.

    Parameters
    ----------
    posterior : Dataset
        Draws of the variables of :func:`linear_function`.
    prefix, term, design
        As there; `design` may hold new rows.

    Returns
    -------
    ndarray, shape (chain, draw, row)
    """
    shape = (posterior.sizes[CHAIN], posterior.sizes[DRAW], 1)
    # Fits were saved when the slopes of an arm had no constant.
    absent = term.kind == "mediator_arm" and f"{prefix}_const" not in posterior
    constant = (
        posterior[f"{prefix}_const"].to_numpy()[..., None]
        if term.constant and not absent
        else np.zeros(shape)
    )
    z = features_of(term, design).to_numpy()
    if z.shape[1] == 0:
        return np.broadcast_to(constant, (*constant.shape[:2], design.n_rows))
    return constant + posterior[f"{prefix}_coef"].to_numpy() @ z.T


def features_of(term: Term, design: Design) -> pd.DataFrame:
    """Return the columns of a term's linear function, shape (row, feature).

    Parameters
    ----------
    term : Term
        The term.
    design : Design
        The rows; a function that sees the arm sees the arm of these rows.

    Returns
    -------
    DataFrame
        Standardised columns; if the arm is one (of more than two arms the indicators of all but
        the first), then also its products with all others.
    """
    z = design.standardized(term.features)
    if term.features != "covariates+arm":
        return z
    arms = [name for name in z.columns if is_arm_feature(name)]
    others = z.drop(columns=arms)
    products = [others.mul(z[arm], axis=0).add_prefix(f"{arm} x ") for arm in arms]
    return pd.concat([z, *products], axis=1)


def rows_of(term: Term, design: Design) -> int:
    """Return the number of rows a term acts on."""
    return int(np.count_nonzero(term.acts_in(design.arm)))


def constant_of(prefix: str, term: Term, *, scale: float) -> TensorVariable | float:
    """Add the constant of a function, if it has one, to the model in context."""
    if not term.constant:
        return 0.0
    return pm.Normal(f"{prefix}_const", 0, constant_sd(term, scale=scale))


def constant_sd(term: Term, *, scale: float) -> float:
    """Return the prior standard deviation of the constant of a function."""
    return (SHARED_CONSTANT if term.kind == "shared" else 1.0) * scale


def is_shrunk(features: Sequence[str]) -> np.ndarray:
    """Whether the horseshoe shrinks the coefficient of each column, shape (feature,)."""
    alone = [is_arm_feature(name) or is_propensity_column(name) for name in features]
    return ~np.array(alone, dtype=bool)


def coefficients(
    prefix: str, features: Sequence[str], *, scale: float, rows: int
) -> TensorVariable:
    """Add coefficients with the prior of the module to the PyMC model in context.

    Parameters
    ----------
    prefix : str
        Start of the variables' names, as in :func:`linear_function`.
    features : sequence of str
        Names of the columns, the arm and the propensity (if there) by their own.
    scale : float
        Prior scale ``s`` of a coefficient.
    rows : int
        Rows that inform the coefficients.

    Returns
    -------
    TensorVariable, shape (feature,)
    """
    dim, names = f"{prefix}_feature", list(features)
    pm.modelcontext(None).add_coord(dim, names)
    shrunk = is_shrunk(names)
    spread = pt.as_tensor(np.full(len(names), float(scale)))
    if shrunk.any():
        sd = horseshoe(prefix, int(shrunk.sum()), scale=scale, rows=rows)
        spread = pt.set_subtensor(spread[np.flatnonzero(shrunk)], sd)
    raw = pm.Normal(f"{prefix}_raw", 0, 1, dims=dim)
    return pm.Deterministic(f"{prefix}_coef", spread * raw, dims=dim)


def horseshoe(prefix: str, size: int, *, scale: float, rows: int) -> TensorVariable:
    """Add the standard deviations of a regularised horseshoe to the PyMC model in context.

    Parameters
    ----------
    prefix : str
        Start of the names: ``<prefix>_tau`` (scalar) and ``<prefix>_local``, shape (size,).
    size : int
        Number of coefficients that are shrunk together.
    scale : float
        Slab: no standard deviation is larger.
    rows : int
        Rows that inform them.

    Returns
    -------
    TensorVariable, shape (size,)
        Values in (0, scale).
    """
    tau = pm.HalfStudentT(
        f"{prefix}_tau", nu=GLOBAL_DF, sigma=global_scale(size, scale=scale, rows=rows)
    )
    local = pm.HalfCauchy(f"{prefix}_local", 1, shape=size)
    return scale * tau * local / pt.sqrt(scale**2 + (tau * local) ** 2)


def global_scale(size: int, *, scale: float, rows: int) -> float:
    """Return ``tau0`` of the module for `size` coefficients informed by `rows` rows."""
    expected = min(EXPECTED, size / 2)
    return NOISE * scale / np.sqrt(rows) * expected / (size - expected)
