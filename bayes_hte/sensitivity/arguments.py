"""Checks of the arguments that the analyses of hidden confounding share."""

from __future__ import annotations

import numpy as np
import xarray as xr

from bayes_hte.errors import DataError
from bayes_hte.names import SAMPLE


def check_average(values: object, name: str) -> None:
    """Raise unless something holds draws of an average.

    Parameters
    ----------
    values : object
        The argument.
    name : str
        Its name.

    Raises
    ------
    DataError
        If it is no DataArray with dims (chain, draw), or holds NaN or infinite values.
    """
    dims = values.dims if isinstance(values, xr.DataArray) else type(values).__name__
    if dims is None or set(dims) != set(SAMPLE):
        raise DataError(
            f"{name} must be an average, a DataArray with dims {SAMPLE}, got {dims}; average over "
            "units first."
        )
    check_finite(values, name)


def check_finite(values: xr.DataArray, name: str) -> None:
    """Raise DataError if draws hold NaN or infinite values."""
    if not bool(np.isfinite(values).all()):
        raise DataError(f"{name} holds NaN or infinite values.")


def finite_list(values: object) -> np.ndarray | None:
    """Return a list of finite numbers as float64, shape (n,); None if it is none, or is empty."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    fits = array.ndim == 1 and array.size and bool(np.isfinite(array).all())
    return array if fits else None
