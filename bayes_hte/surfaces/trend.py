"""Trends: linear functions of the covariates among the units of one group, barely shrunk.

    ``f(x) = (z(x) - z_bar)' beta,   beta_j ~ Normal(0, s / sqrt(p))``

with z the standardised columns except those of the covariate that makes the groups, z_bar their
average over the units of the group, p their number and s the prior scale. A trend is added to the
mean of its group, and as it is centred it leaves that mean unchanged.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr
from pytensor.tensor.variable import TensorVariable

from bayes_hte.names import CHAIN, DRAW
from bayes_hte.study.design import Design
from bayes_hte.surfaces.terms import Term


def trend_function(prefix: str, term: Term, design: Design, *, scale: float) -> TensorVariable:
    """Add a trend to the PyMC model in context.

    Parameters
    ----------
    prefix : str
        Start of the variable's name, ``<prefix>_coef`` (dims ``<prefix>_feature``).
    term : Term
        The term of the function; it has a group.
    design : Design
        The rows.
    scale : float
        Prior standard deviation ``s`` of the function at a row that is typical of the study.

    Returns
    -------
    TensorVariable, shape (unit,)
    """
    z = trend_columns(term, design)
    if z.shape[1] == 0:
        return np.zeros(design.n_rows)
    pm.modelcontext(None).add_coord(f"{prefix}_feature", list(z.columns))
    spread = coefficient_sd(z.shape[1], scale=scale)
    beta = pm.Normal(f"{prefix}_coef", 0, spread, dims=f"{prefix}_feature")
    return pm.math.dot(z.to_numpy(), beta)


def predict_trend(
    posterior: xr.Dataset, prefix: str, term: Term, learned: Design, rows: Design
) -> np.ndarray:
    """Evaluate a trend at rows, draw by draw.

    Parameters
    ----------
    posterior : Dataset
        Draws of the variables of :func:`trend_function`.
    prefix, term
        As there.
    learned : Design
        The rows of the study, for the middle of the group.
    rows : Design
        The rows to evaluate at.

    Returns
    -------
    ndarray, shape (chain, draw, row)
    """
    z = _columns(term, rows).to_numpy() - _middle(term, learned)
    if z.shape[1] == 0:
        return np.zeros((posterior.sizes[CHAIN], posterior.sizes[DRAW], rows.n_rows))
    return posterior[f"{prefix}_coef"].to_numpy() @ z.T


def trend_columns(term: Term, design: Design) -> pd.DataFrame:
    """Return the columns of a trend at the rows of the study, shape (row, feature)."""
    return _columns(term, design) - _middle(term, design)


def coefficient_sd(size: int, *, scale: float) -> float:
    """Return the prior standard deviation of each of `size` coefficients."""
    return scale / np.sqrt(size)


def _columns(term: Term, design: Design) -> pd.DataFrame:
    """Return the standardised columns, shape (row, feature)."""
    encoding = design.columns(term.features)
    others = tuple(c for c in encoding.columns if c.name != term.group[0])
    return type(encoding)(others).standardized(design.frame)


def _middle(term: Term, design: Design) -> np.ndarray:
    """Average the columns over the units of the group, shape (feature,)."""
    return _columns(term, design).to_numpy()[design.member(term.group)].mean(axis=0)
