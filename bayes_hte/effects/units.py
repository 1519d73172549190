"""Labels of units: whether two sets agree, and values matched to the units of an effect."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.errors import DataError
from bayes_hte.names import UNIT
from bayes_hte.study.frames import unit_labels


def same_labels(first: pd.Index, second: pd.Index) -> bool:
    """Whether two indexes hold the same labels in the same order.

    Their names and types do not matter: the labels of a study are plain, and those of a user's
    effect may still be nullable, categorical or of several levels.

    Parameters
    ----------
    first, second : Index
        Labels of units.

    Returns
    -------
    bool
    """
    if first.equals(second):
        return True
    return unit_labels(first).tolist() == unit_labels(second).tolist()


def unit_order(
    values: pd.Series | np.ndarray | xr.DataArray, effect: xr.DataArray | xr.Dataset, what: str
) -> np.ndarray:
    """Return where the value of each unit of an effect stands.

    Values with labels are matched by label, where the effect has the same labels. Labels that have
    nothing in common with those of the effect say nothing about the order, which is then kept.

    Parameters
    ----------
    values : Series, ndarray or DataArray, shape (unit,)
        One value per unit.
    effect : DataArray or Dataset with the dimension unit
        The units.
    what : str
        Name of the values.

    Returns
    -------
    ndarray of int, shape (unit,)
        Positions in `values`.

    Raises
    ------
    DataError
        If there is not one value per unit, or only some labels are those of the effect.
    """
    units = effect.get_index(UNIT)
    if np.shape(values) != (len(units),):
        raise DataError(f"{what} must have shape ({len(units)},), got {np.shape(values)}.")
    labels = _labels(values)
    in_order = np.arange(len(units))
    if labels is None or UNIT not in effect.coords or same_labels(labels, units):
        return in_order
    place = {label: i for i, label in enumerate(unit_labels(labels))}
    order = np.array([place.get(unit, -1) for unit in unit_labels(units)])
    absent = int((order < 0).sum())
    if absent == len(units):
        return in_order
    if absent or len(place) < len(labels):
        raise DataError(
            f"{what}: {absent} of the {len(units)} units of the effect are not among its labels. "
            "If the order is right, give it those of the effect: "
            ".set_axis(effect.get_index('unit'))."
        )
    return order


def _labels(values: pd.Series | np.ndarray | xr.DataArray) -> pd.Index | None:
    if isinstance(values, pd.Series):
        return values.index
    if isinstance(values, xr.DataArray) and UNIT in values.coords:
        return values.get_index(UNIT)
    return None
