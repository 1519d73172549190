"""Intercepts of clusters (clinics, families), drawn from a common normal distribution."""

from __future__ import annotations

import numpy as np
import pymc as pm
import xarray as xr
from pytensor.tensor.variable import TensorVariable

from bayes_hte.seeds import text_key
from bayes_hte.study.design import Design

# Clusters are expected to differ less than units do.
SCALE = 0.5


def cluster_intercepts(role: str, design: Design, *, scale: float) -> TensorVariable:
    """Add the intercepts to the PyMC model in context.

    ``a_c = s z_c,  z_c ~ Normal(0, 1),  s ~ HalfNormal(scale / 2)``.

    Parameters
    ----------
    role : str
        Start of the variables' names: ``<role>_cluster_sd``, ``<role>_cluster_raw``.
    design : Design
        Rows with clusters.
    scale : float
        Latent sd of the modelled column.

    Returns
    -------
    TensorVariable, shape (unit,)
    """
    pm.modelcontext(None).add_coord("cluster", list(design.clusters))
    sd = pm.HalfNormal(f"{role}_cluster_sd", sd_scale(scale))
    raw = pm.Normal(f"{role}_cluster_raw", 0, 1, dims="cluster")
    return sd * raw[design.cluster_index]


def sd_scale(latent_sd: float) -> float:
    """Return the scale of the half-normal prior of the intercepts' standard deviation."""
    return SCALE * latent_sd


def predict_clusters(posterior: xr.Dataset, role: str, rows: Design) -> np.ndarray:
    """Evaluate the intercepts at rows, draw by draw.

    A cluster that the study never saw is drawn from the distribution of clusters, once for all its
    rows and with a seed made of its label, so that predictions repeat.

    Parameters
    ----------
    posterior : Dataset
        Draws of the variables of :func:`cluster_intercepts`.
    role, rows
        As there.

    Returns
    -------
    ndarray, shape (chain, draw, row)
    """
    raw = posterior[f"{role}_cluster_raw"].to_numpy()
    index = rows.cluster_index
    z = raw[..., index]
    for label in sorted(set(rows.cluster_labels[index < 0])):
        rng = np.random.default_rng(text_key(label))
        z[..., rows.cluster_labels == label] = rng.normal(size=raw.shape[:2])[..., None]
    return posterior[f"{role}_cluster_sd"].to_numpy()[..., None] * z
