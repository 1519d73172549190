"""Group average treatment effects (GATE): effects averaged within groups of units, draw by draw."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.errors import DataError, SpecError
from bayes_hte.names import SAMPLE, UNIT
from bayes_hte.study.study import is_numeric

# More groups than this are no summary, and most of them hold few units.
MAX_GROUPS = 50


def group_average(effect: xr.DataArray, groups: xr.DataArray | np.ndarray) -> xr.DataArray:
    """Average an effect within groups of units, draw by draw (GATE).

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit)
        Unit-level effects.
    groups : array, shape (unit,)
        Group label of each unit.

    Returns
    -------
    DataArray, dims (chain, draw, group)
        In outcome units; groups in sorted order.

    Raises
    ------
    DataError
        If a unit has no label, or the labels are not one a unit.
    """
    labels = np.asarray(groups)
    if labels.shape != (effect.sizes[UNIT],):
        raise DataError(f"groups must have shape ({effect.sizes[UNIT]},), got {labels.shape}.")
    if pd.isna(labels).any():
        raise DataError(f"groups: {int(pd.isna(labels).sum())} units have no label.")
    keys = xr.DataArray(labels, dims=UNIT, name="group")
    grouped = effect.drop_vars(UNIT, errors="ignore").groupby(keys).mean(UNIT)
    return grouped.transpose(*SAMPLE, "group").rename(effect.name).assign_attrs(effect.attrs)


def gate(
    effect: xr.DataArray, column: pd.Series, *, cuts: Sequence[float] | None = None
) -> xr.DataArray:
    """Average an effect within the levels of a column, or between cut points of a numeric one.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit)
        Unit-level effects.
    column : Series, shape (unit,)
        Any column of the study's frame, in its order.
    cuts : sequence of float, optional
        Inner cut points; a unit at a cut belongs to the group below it.

    Returns
    -------
    DataArray, dims (chain, draw, group)
        In outcome units. ``group`` holds the levels, or intervals as text from low to high;
        ``units`` (group) counts their units.

    Raises
    ------
    DataError
        If the column does not fit the effect, has missing values, or cuts are asked of text.
    SpecError
        If there are too many groups, or an interval between cuts is empty.
    """
    if column.isna().any():
        raise DataError(f"column {column.name!r} has {int(column.isna().sum())} missing values.")
    if cuts is None:
        labels = column.astype(str) if not is_numeric(column) else column
        order = sorted(labels.unique())
    else:
        labels, order = _cut(column, cuts)
    if len(order) > MAX_GROUPS:
        raise SpecError(
            f"column {column.name!r} has {len(order)} levels, at most {MAX_GROUPS} make a summary; "
            "give cut points: cuts=[...]."
        )
    averages = group_average(effect, labels.to_numpy())
    counts = labels.value_counts()
    # By position: to `sel`, levels that are true and false would be a mask.
    place = averages.get_index("group").get_indexer(order)
    units = ("group", [int(counts[g]) for g in order])
    return averages.isel(group=place).assign_coords(units=units)


def _cut(column: pd.Series, cuts: Sequence[float]) -> tuple[pd.Series, list[str]]:
    if not is_numeric(column):
        raise DataError(f"cuts need a numeric column; {column.name!r} is {column.dtype}.")
    edges = [-np.inf, *sorted(cuts), np.inf]
    names = [
        f"over {low:g}"
        if high == np.inf
        else f"up to {high:g}"
        if low == -np.inf
        else f"over {low:g} to {high:g}"
        for low, high in itertools.pairwise(edges)
    ]
    labels = pd.cut(column, edges, labels=names).astype(object)
    empty = [name for name in names if not (labels == name).any()]
    if empty:
        raise SpecError(
            f"no unit has {column.name!r} {empty[0]}; its values go from {column.min():g} to "
            f"{column.max():g}. Choose other cut points."
        )
    return labels, names
