"""Group average treatment effects (GATE): effects averaged within groups of units, draw by draw."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from numbers import Real

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.arguments import check_draws
from bayes_hte.effects.units import unit_order
from bayes_hte.errors import DataError, SpecError
from bayes_hte.names import CONTRAST, SAMPLE, UNIT
from bayes_hte.study.kinds import is_numeric, levels_in_use

# More groups than this are no summary, and most of them hold few units.
MAX_GROUPS = 50


def group_average(
    effect: xr.DataArray, groups: pd.Series | np.ndarray | xr.DataArray
) -> xr.DataArray:
    """Average an effect within groups of units, draw by draw (GATE).

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit)
        Unit-level effects.
    groups : Series, ndarray or DataArray, shape (unit,)
        Group label of each unit. Values with the unit labels of the effect are matched by label,
        others by position.

    Returns
    -------
    DataArray, dims (chain, draw, group)
        In outcome units; groups in sorted order.

    Raises
    ------
    DataError
        If `effect` is no array of draws, a unit has no label, or there is not one label per unit.

    Examples
    --------
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> effect = xr.DataArray([[[1.0, 2.0, 6.0]]], dims=["chain", "draw", "unit"])
    >>> hte.group_average(effect, ["a", "a", "b"]).values.ravel().tolist()
    [1.5, 6.0]
    """
    check_draws(effect, "effect", (*SAMPLE, UNIT))
    labels = np.asarray(groups)[unit_order(groups, effect, "groups")]
    if pd.isna(labels).any():
        raise DataError(f"groups: {int(pd.isna(labels).sum())} units have no label.")
    keys = xr.DataArray(labels, dims=UNIT, name="group")
    # All other coordinates go: levels of one index together, and any that is called "group".
    others = [name for name in effect.coords if name not in (*SAMPLE, CONTRAST)]
    grouped = effect.drop_vars(others).groupby(keys).mean(UNIT)
    return grouped.transpose(*SAMPLE, "group", ...).rename(effect.name).assign_attrs(effect.attrs)


def gate(
    effect: xr.DataArray, column: pd.Series, *, cuts: Sequence[float] | None = None
) -> xr.DataArray:
    """Average an effect within the levels of a column, or between cut points of a numeric one.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit)
        Unit-level effects.
    column : Series, shape (unit,)
        Any column of the study's frame. One with the unit labels of the effect is matched by label,
        another by position.
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
        If there are too many groups, the cut points are no numbers, or an interval between them is
        empty.

    Examples
    --------
    >>> import pandas as pd
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> effect = xr.DataArray([[[1.0, 2.0, 6.0]]], dims=["chain", "draw", "unit"])
    >>> hte.gate(effect, pd.Series([20, 30, 60]), cuts=[40]).to_series().round(1).tolist()
    [1.5, 6.0]
    """
    check_draws(effect, "effect", (*SAMPLE, UNIT))
    if not isinstance(column, pd.Series):
        raise DataError(
            f"column must be a pandas Series, got {type(column).__name__}; pass study.frame[name]."
        )
    column = column.iloc[unit_order(column, effect, "groups")]
    if column.isna().any():
        raise DataError(f"column {column.name!r} has {int(column.isna().sum())} missing values.")
    if cuts is None:
        labels = column.astype(str) if not is_numeric(column) else column
        order = sorted(labels.unique()) if is_numeric(column) else list(levels_in_use(column))
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
    inner = list(cuts) if isinstance(cuts, Iterable) else [cuts]
    if isinstance(cuts, Real) or not all(isinstance(c, Real) and np.isfinite(c) for c in inner):
        raise SpecError(f"cuts must be a list of numbers, got {cuts!r}; for instance [40, 60].")
    edges = [-np.inf, *sorted(set(inner)), np.inf]
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
