"""Linear functions of covariates with a learned amount of shrinkage.

    ``f(x) = c + z(x)' beta,  beta_j ~ Normal(0, tau),  tau ~ HalfNormal(s),  c ~ Normal(0, k s)``

with z the standardised columns (categories as indicators), s the prior scale of the term, and k 2.5
for the shared term and 1 for the others. As an arm's deviation this is the treatment-by-covariate
interaction, as a mediator's coefficient it is a slope that varies with the covariates.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import xarray as xr
from pytensor.tensor.variable import TensorVariable

from bayes_hte.design import Design
from bayes_hte.surfaces.terms import Term

SHARED_CONSTANT = 2.5


def linear_function(prefix: str, term: Term, design: Design, *, scale: float) -> TensorVariable:
    """Add a linear function to the PyMC model in context.

    Parameters
    ----------
    prefix : str
        Start of the variables' names: ``<prefix>_const``, ``<prefix>_tau``, ``<prefix>_coef``.
    term : Term
        What the function stands for.
    design : Design
        The rows.
    scale : float
        Prior scale ``s``, in the units of f.

    Returns
    -------
    TensorVariable, shape (unit,)
    """
    spread = SHARED_CONSTANT if term.kind == "shared" else 1.0
    constant = pm.Normal(f"{prefix}_const", 0, spread * scale)
    z = design.standardized(term.features)
    if z.shape[1] == 0:
        return constant * np.ones(design.n_rows)
    feature = f"{prefix}_feature"
    pm.modelcontext(None).add_coord(feature, list(z.columns))
    tau = pm.HalfNormal(f"{prefix}_tau", scale)
    raw = pm.Normal(f"{prefix}_raw", 0, 1, dims=feature)
    beta = pm.Deterministic(f"{prefix}_coef", tau * raw, dims=feature)
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
    constant = posterior[f"{prefix}_const"].to_numpy()[..., None]
    z = design.standardized(term.features).to_numpy()
    if z.shape[1] == 0:
        return np.broadcast_to(constant, (*constant.shape[:2], design.n_rows))
    return constant + posterior[f"{prefix}_coef"].to_numpy() @ z.T
