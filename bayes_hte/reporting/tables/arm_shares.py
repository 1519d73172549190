"""Histograms of the two arms, each as shares of its own units."""

from __future__ import annotations

import numpy as np
import pandas as pd


def shares_by_arm(
    values: np.ndarray, arm: np.ndarray, names: tuple[str, str], *, edges: np.ndarray
) -> pd.DataFrame:
    """Count the units of each arm in bins of a value.

    Parameters
    ----------
    values : ndarray, shape (unit,)
        Propensities or weights; those outside the bins are not counted.
    arm : ndarray of 0/1, shape (unit,)
        The arm each unit received.
    names : (str, str)
        Names of the arms, reference first.
    edges : ndarray, shape (bin + 1,)
        Ends of the bins, increasing.

    Returns
    -------
    DataFrame
        One row per arm and bin: ``arm``, ``bin_lower``, ``bin_upper``, ``n_units``, ``share`` (of
        the units counted in the arm).
    """
    tables = []
    for value, name in enumerate(names):
        counts, _ = np.histogram(values[arm == value], bins=edges)
        bins = {"arm": name, "bin_lower": edges[:-1], "bin_upper": edges[1:]}
        tables.append(pd.DataFrame({**bins, "n_units": counts, "share": counts / counts.sum()}))
    return pd.concat(tables, ignore_index=True)
