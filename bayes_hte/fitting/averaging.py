"""Averages of effects over units or groups of them, computed in blocks of units.

The draws of all units are never in memory together, so this works at any number of units. Sums are
in double precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.groups import MAX_GROUPS
from bayes_hte.errors import DataError, SpecError
from bayes_hte.fitting.blocks import Rows
from bayes_hte.names import SAMPLE, UNIT
from bayes_hte.study.frames import check_present
from bayes_hte.threads import in_threads

GROUP = "group"


def group_codes(
    by: str | pd.Series | np.ndarray | None, frame: pd.DataFrame
) -> tuple[np.ndarray, list]:
    """Return the group of each row as a number, and the groups in sorted order.

    Parameters
    ----------
    by : str, Series, ndarray or None
        A column of the frame, or one label per row (a Series with other labels than the frame is
        refused); None for one group of all rows.
    frame : DataFrame, shape (row, ...)
        The rows.

    Returns
    -------
    codes : ndarray of int, shape (row,)
    groups : list

    Raises
    ------
    DataError
        If the column is absent, a label is missing, or there is not one label per row.
    SpecError
        If there are more than 50 groups.
    """
    if by is None:
        return np.zeros(len(frame), dtype=np.int64), [None]
    if isinstance(by, str):
        check_present(frame, [by])
        by = frame[by]
    if np.shape(by) != (len(frame),):
        raise DataError(f"by needs one label for each of {len(frame)} rows, got {np.shape(by)}.")
    if isinstance(by, pd.Series) and not by.index.equals(frame.index):
        raise DataError(
            "the labels of by are not those of the rows; give a column of the same frame, or the "
            "values alone, by.to_numpy(), in the order of the rows."
        )
    labels = pd.Series(np.asarray(by))
    if labels.isna().any():
        raise DataError(f"by: {int(labels.isna().sum())} units have no label.")
    codes, groups = pd.factorize(labels, sort=True)
    if len(groups) > MAX_GROUPS:
        raise SpecError(
            f"by has {len(groups)} levels, at most {MAX_GROUPS} make a summary; cut a numeric "
            "column first, pd.cut(frame[column], 10)."
        )
    return codes, list(groups)


def block_averages(
    effects_of: Callable[[Rows], xr.Dataset],
    blocks: Iterable[tuple[Rows, np.ndarray]],
    groups: list,
) -> xr.Dataset:
    """Average effects within groups, block by block.

    Parameters
    ----------
    effects_of : callable (rows) -> Dataset, dims (chain, draw, unit[, contrast])
        The effects of some rows; called by several threads.
    blocks : iterable of (rows, ndarray of int, shape (row,))
        The rows, and the group of each by number.
    groups : list
        The groups; ``[None]`` for all units together.

    Returns
    -------
    Dataset, dims (chain, draw[, group][, contrast])
        With the number of ``units`` of each group as a coordinate.
    """

    def summed(block: tuple[Rows, np.ndarray]) -> tuple[xr.DataArray, np.ndarray, dict]:
        rows, codes = block
        member = xr.DataArray(np.equal.outer(codes, np.arange(len(groups))), dims=(UNIT, GROUP))
        # Without the labels of units, by which xarray would match.
        part = effects_of(rows).drop_vars(UNIT, errors="ignore")
        sums = xr.dot(part.to_dataarray("effect"), member.astype(np.float64), dim=UNIT)
        attrs = {name: array.attrs for name, array in part.data_vars.items()}
        return sums, member.sum(UNIT).to_numpy(), attrs

    total, counts = None, np.zeros(len(groups))
    for sums, members, described in in_threads(summed, blocks):
        total = sums if total is None else total + sums
        counts += members
        attrs = described
    averages = (total / xr.DataArray(counts, dims=GROUP)).to_dataset("effect")
    averages = averages.transpose(*SAMPLE, GROUP, ...)
    for name, array in averages.data_vars.items():
        array.attrs = attrs[name]
    if groups == [None]:
        return averages.isel({GROUP: 0}, drop=True)
    return averages.assign_coords({GROUP: groups, "units": (GROUP, counts.astype(np.int64))})
