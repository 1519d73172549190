"""Inputs of the companions: a plain frame, a 0/1 treatment, and one number per unit.

Every companion reads its arguments through these functions, so that a wrong column, a missing
value or labels that do not match are refused in the same words everywhere.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.errors import DataError
from bayes_hte.names import SAMPLE, UNIT
from bayes_hte.study.frames import column, unit_labels
from bayes_hte.study.kinds import Kind, described, kind_of, numeric_column

type UnitValues = str | pd.Series | np.ndarray | xr.DataArray
"""One number per unit: the name of a column, or values in the order or with the labels of units."""

ARMS = ("control", "treated")


def numbers(frame: pd.DataFrame, name: str, role: str) -> np.ndarray:
    """Return one column as finite float64 numbers, shape (unit,).

    Raises
    ------
    DataError
        As :func:`column`, or if the column is not numeric or holds infinite values.
    """
    return _finite(numeric_column(column(frame, name, role), role), role)


def treated_mask(values: np.ndarray, name: str) -> np.ndarray:
    """Return which units are treated, from a 0/1 coding.

    Parameters
    ----------
    values : ndarray, shape (unit,)
        0 (or False) for control, 1 (or True) for treated.
    name : str
        Name of the values, for the messages.

    Returns
    -------
    ndarray of bool, shape (unit,)

    Raises
    ------
    DataError
        If there are other values than 0 and 1, or an arm has no unit.
    """
    levels = np.unique(values)
    if not np.isin(levels, (0, 1)).all():
        shown = ", ".join(f"{v:g}" for v in levels[:5]) + (", ..." if levels.size > 5 else "")
        raise DataError(
            f"treatment {name!r} must be coded 0 (control) and 1 (treated), got {shown}. "
            "Recode it, e.g. frame.assign(treated=frame[column].eq(level))."
        )
    if levels.size < 2:
        only = ARMS[int(levels[0])]
        raise DataError(
            f"treatment {name!r} has one arm only: all {values.size} units are {only}. "
            "Both arms are needed to compare them."
        )
    return values == 1


def treated(frame: pd.DataFrame, treatment: str) -> np.ndarray:
    """Return which units of a frame are treated, shape (unit,), bool; see :func:`treated_mask`."""
    return treated_mask(numbers(frame, treatment, "treatment"), treatment)


def align(values: pd.Series | np.ndarray | xr.DataArray, units: pd.Index, what: str) -> np.ndarray:
    """Return one finite number per unit, in the order of the units.

    Labelled values (a Series, or a DataArray with a ``unit`` coordinate) are matched by label,
    plain arrays by position.

    Parameters
    ----------
    values : Series, ndarray or DataArray, shape (unit,)
        The numbers.
    units : Index, shape (unit,)
        Labels of the units.
    what : str
        Name of the values, for the messages.

    Returns
    -------
    ndarray of float64, shape (unit,)

    Raises
    ------
    DataError
        If the length or the labels differ, or a value is not a finite number.
    """
    array = in_unit_order(values, units, what)
    column = pd.Series(array)
    try:
        if kind_of(column) in (Kind.DATE, Kind.UNUSABLE):
            raise TypeError("a conversion would read numbers into it")
        array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} must be numeric, got {described(column)}.") from error
    return _finite(array, what)


def in_unit_order(
    values: pd.Series | np.ndarray | xr.DataArray, units: pd.Index, what: str
) -> np.ndarray:
    """Return values of any type in the order of the units, shape (unit,); see :func:`align`."""
    if isinstance(values, xr.DataArray):
        if values.dims != (UNIT,):
            raise DataError(f"{what} must have dims ('{UNIT}',), got {values.dims}.")
        labels, labelled, array = values.get_index(UNIT), UNIT in values.coords, values.to_numpy()
    elif isinstance(values, pd.Series):
        labels, labelled, array = values.index, True, values.to_numpy()
    else:
        array = np.asarray(values)
        if array.ndim != 1:
            raise DataError(f"{what} must have shape ({len(units)},), got {array.shape}.")
        labels, labelled = pd.RangeIndex(array.size), False
    return array[_label_order(labels, units, what, labelled=labelled)]


def unit_values(frame: pd.DataFrame, values: UnitValues, what: str) -> np.ndarray:
    """Return one number per unit from a column name or from values; see :func:`align`."""
    if isinstance(values, str):
        return numbers(frame, values, what)
    return align(values, frame.index, what)


def has_draws(propensity: UnitValues) -> bool:
    """Whether a propensity is an array of posterior draws, by its chain and draw dimensions."""
    return isinstance(propensity, xr.DataArray) and set(SAMPLE) <= set(propensity.dims)


def propensity_draws(frame: pd.DataFrame, propensity: xr.DataArray) -> xr.DataArray:
    """Return checked posterior draws of the propensity in the order of the frame.

    Parameters
    ----------
    frame : DataFrame, shape (unit, ...)
        The data.
    propensity : DataArray, dims (chain, draw, unit) in any order
        Draws of P(treated | covariates).

    Returns
    -------
    DataArray, dims (chain, draw, unit)

    Raises
    ------
    DataError
        If dims, length or labels differ, or a value is outside (0, 1) or missing.
    """
    if set(propensity.dims) != {*SAMPLE, UNIT}:
        raise DataError(
            f"propensity draws must have dims {(*SAMPLE, UNIT)}, got {propensity.dims}."
        )
    order = _label_order(
        propensity.get_index(UNIT), frame.index, "propensity", labelled=UNIT in propensity.coords
    )
    draws = propensity.transpose(*SAMPLE, UNIT)
    if not np.array_equal(order, np.arange(order.size)):
        draws = draws.isel({UNIT: order})
    _check_probability(draws.to_numpy())
    return draws


def point_propensity(frame: pd.DataFrame, propensity: UnitValues) -> np.ndarray:
    """Return one propensity per unit; posterior draws are averaged to their posterior mean.

    The posterior mean of P(treated | covariates) is the posterior predictive propensity.

    Parameters
    ----------
    frame : DataFrame, shape (unit, ...)
        The data.
    propensity : str, Series, ndarray or DataArray
        Column name; values, shape (unit,); or draws, dims (chain, draw, unit).

    Returns
    -------
    ndarray of float64, shape (unit,)
        Strictly between 0 and 1.

    Raises
    ------
    DataError
        If length or labels differ, or a value is outside (0, 1) or missing.
    """
    if has_draws(propensity):
        return propensity_draws(frame, propensity).to_numpy().mean(axis=(0, 1), dtype=np.float64)
    values = unit_values(frame, propensity, "propensity")
    _check_probability(values)
    return values


def _label_order(have: pd.Index, want: pd.Index, what: str, *, labelled: bool) -> np.ndarray:
    """Positions in `have` of the labels of `want`; plain positions where nothing is labelled."""
    if len(have) != len(want):
        raise DataError(f"{what} has {len(have)} values for {len(want)} units.")
    have, want = unit_labels(have), unit_labels(want)
    if not labelled or have.equals(want):
        return np.arange(len(want))
    if not (have.is_unique and want.is_unique):
        raise DataError(
            f"{what} and the units carry repeated labels in different order; "
            "call reset_index(drop=True) on the frame first."
        )
    order = have.get_indexer(want)
    absent = int((order < 0).sum())
    if absent:
        raise DataError(
            f"{what} has no value for {absent} of {len(want)} units (e.g. "
            f"{want[order < 0][0]!r}): its labels differ. If the order is already right, "
            "pass it without labels (.to_numpy())."
        )
    return order


def _finite(values: np.ndarray, what: str) -> np.ndarray:
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise DataError(f"{what} has {bad} NaN or infinite values in {values.size}; remove them.")
    return values


def _check_probability(values: np.ndarray) -> None:
    low, high = values.min(), values.max()
    if np.isnan(low):
        raise DataError("propensity has NaN values; refit it on complete rows.")
    if low <= 0 or high >= 1:
        share = np.mean((values <= 0) | (values >= 1))
        raise DataError(
            f"propensity must lie strictly between 0 and 1, got [{low:g}, {high:g}]; "
            f"{share:.2%} of the values are outside. A unit that can only be in one arm has no "
            "comparison: leave such units out (and rename the estimand), or refit the propensity."
        )
