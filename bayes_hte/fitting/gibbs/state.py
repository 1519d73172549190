"""The arrays that compiled updates of coefficients read, and those that they update."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Columns(NamedTuple):
    """What stays fixed: columns, clusters and priors.

    A *part* is a run of columns that share a scale of a horseshoe: one column, or the basis of one
    curve. Columns with a prior of fixed scale come first, then parts, horseshoe by horseshoe.

    Attributes
    ----------
    x : ndarray, shape (column, row)
        Columns, each times the basis of its term.
    cluster : ndarray of int64, shape (row,)
        Cluster of each row; not read if there are no clusters.
    fixed_sd : ndarray, shape (column,)
        Prior sd of the columns before the first part.
    start : ndarray of int64, shape (part + 1,)
        First column of each part, and the number of columns.
    first : ndarray of int64, shape (horseshoe + 1,)
        First part of each horseshoe, and the number of parts.
    slab, tau_scale : ndarray, shape (horseshoe,)
        Largest sd, and scale of the half-t prior of tau.
    frequency, mean_square : ndarray, shape (column,)
        Of a curve's basis; 0 and 1 for a single column.
    cluster_scale : float
        Of the half-normal prior of the intercepts' sd.
    log_lengthscale, sd_log_lengthscale : float
        Mean and sd of the log of a curve's lengthscale.
    tau_df : float
        Degrees of freedom of the prior of tau.
    """

    x: np.ndarray
    cluster: np.ndarray
    fixed_sd: np.ndarray
    start: np.ndarray
    first: np.ndarray
    slab: np.ndarray
    tau_scale: np.ndarray
    frequency: np.ndarray
    mean_square: np.ndarray
    cluster_scale: float
    log_lengthscale: float
    sd_log_lengthscale: float
    tau_df: float


class State(NamedTuple):
    """What is sampled, updated in place.

    Attributes
    ----------
    coef, raw : ndarray, shape (column,)
        Coefficients, and the same divided by `sd`.
    sd, relative : ndarray, shape (column,)
        Prior sd given the scales; for a part the amplitude times `relative`.
    local, lengthscale : ndarray, shape (part,)
        Local scales, and lengthscales (of curves).
    tau : ndarray, shape (horseshoe,)
        Global scales.
    cluster_raw : ndarray, shape (cluster,)
        Intercepts divided by their sd.
    cluster_sd : ndarray, shape (1,)
        Their sd.
    """

    coef: np.ndarray
    raw: np.ndarray
    sd: np.ndarray
    relative: np.ndarray
    local: np.ndarray
    lengthscale: np.ndarray
    tau: np.ndarray
    cluster_raw: np.ndarray
    cluster_sd: np.ndarray
