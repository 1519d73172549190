"""Arrays of draws at units, computed in blocks of units where they are large.

Up to :data:`KEPT` numbers (draws times units) nothing is done in blocks, and all is in double
precision. Above, the sampler keeps trees and not their values at the units, and an array that is
asked for is filled block by block in single precision; each block is computed in double precision,
as many at a time as there are cores.
An array that would take most of the machine's memory is refused before anything is computed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.errors import DataError, UnsupportedError
from bayes_hte.names import UNIT
from bayes_hte.study.frames import as_table, unit_labels
from bayes_hte.threads import in_threads

# Rows predicted at once: bounds the memory of the arrays between parameters and outcomes.
BATCH = 4000
# Draws times units up to which values at units are kept: 320 MB for each function.
KEPT = 40_000_000
# Share of the machine's memory that one array may take.
LARGEST_SHARE = 0.5
# Rows of the study by position, or a table of new rows.
Rows = np.ndarray | pd.DataFrame
_GIB = 1024**3


def is_large(draws: int, units: int) -> bool:
    """Whether an array of draws at units is computed in blocks.

    Parameters
    ----------
    draws : int
        Draws of all chains.
    units : int
        Units.

    Returns
    -------
    bool
    """
    return draws * units > KEPT


def positions(n_rows: int, batch: int = BATCH) -> Iterator[np.ndarray]:
    """Yield the positions of rows in blocks.

    Parameters
    ----------
    n_rows : int
        Rows.
    batch : int
        Rows of a block.

    Yields
    ------
    ndarray of int, shape (row,)

    Raises
    ------
    DataError
        If a block has no row.
    """
    check_batch(batch)
    for start in range(0, n_rows, batch):
        yield np.arange(start, min(start + batch, n_rows))


def check_batch(batch: int) -> None:
    """Raise a DataError if a batch has no row."""
    if batch < 1:
        raise DataError(f"batch must be at least 1 row, got {batch}.")


def new_rows_in_batches(
    predict: Callable[[pd.DataFrame], xr.DataArray], newdata: pd.DataFrame, batch: int, draws: int
) -> xr.DataArray:
    """Predict new rows in batches, and join along the units.

    Parameters
    ----------
    predict : callable (DataFrame) -> DataArray, dims (chain, draw, unit, ...)
        Predicts the rows of a table.
    newdata : DataFrame
        New rows.
    batch : int
        Rows predicted at once.
    draws : int
        Draws of all chains.

    Returns
    -------
    DataArray, dims (chain, draw, unit, ...)
        In single precision if it is large.

    Raises
    ------
    DataError
        If `newdata` is no table.
    UnsupportedError
        If the result would take most of the machine's memory.
    """
    newdata = as_table(newdata, "new rows")
    if len(newdata) <= batch:
        return predict(newdata)
    # The labels of all rows decide their type, not those of each part.
    newdata = newdata.set_axis(unit_labels(newdata.index, newdata.columns), axis=0)
    blocks = (newdata.iloc[rows] for rows in positions(len(newdata), batch))
    if is_large(draws, len(newdata)):
        return filled(predict, blocks, len(newdata))
    return xr.concat(list(in_threads(predict, blocks)), UNIT, combine_attrs="override")


def filled[T: (xr.DataArray, xr.Dataset)](
    predict: Callable[[Rows], T], blocks: Iterable[Rows], n_units: int
) -> T:
    """Fill arrays in single precision from blocks of units.

    Parameters
    ----------
    predict : callable (rows) -> DataArray or Dataset, dims (chain, draw, unit, ...)
        Called for each block.
    blocks : iterable of rows
        Together all units, in their order.
    n_units : int
        Their number.

    Returns
    -------
    Same type, of float32, dims (chain, draw, unit, ...)

    Raises
    ------
    UnsupportedError
        If it would take most of the machine's memory; found out from the first block.
    """
    first, values, labels, done = None, {}, [], 0
    for part in in_threads(predict, blocks):
        arrays = dict(part.data_vars) if isinstance(part, xr.Dataset) else {None: part}
        if first is None:
            first = part.isel({UNIT: slice(0)})
            shapes = {k: _with_units(array, n_units) for k, array in arrays.items()}
            check_memory(list(shapes.values()))
            values = {k: np.empty(shape, dtype=np.float32) for k, shape in shapes.items()}
        stop = done + part.sizes[UNIT]
        for name, array in arrays.items():
            axis = array.get_axis_num(UNIT)
            np.moveaxis(values[name], axis, 0)[done:stop] = np.moveaxis(array.to_numpy(), axis, 0)
        labels.append(part[UNIT].to_numpy())
        done = stop
    return _completed(first, values, np.concatenate(labels))


def _with_units(array: xr.DataArray, n_units: int) -> tuple[int, ...]:
    return tuple(n_units if d == UNIT else n for d, n in array.sizes.items())


def _completed[T: (xr.DataArray, xr.Dataset)](first: T, values: dict, labels: np.ndarray) -> T:
    """Return arrays of all units with the names, attributes and coordinates of a first block."""
    others = {name: c for name, c in first.coords.items() if UNIT not in c.dims}
    coords = {**others, UNIT: labels}
    if isinstance(first, xr.DataArray):
        how = {"name": first.name, "attrs": first.attrs}
        return xr.DataArray(values[None], dims=first.dims, coords=coords, **how)
    variables = {name: (a.dims, values[name], a.attrs) for name, a in first.data_vars.items()}
    return xr.Dataset(variables, coords=coords, attrs=first.attrs)


def check_memory(shapes: Sequence[tuple[int, ...]]) -> None:
    """Refuse arrays in single precision that would take most of the machine's memory.

    Parameters
    ----------
    shapes : sequence of tuple of int
        The shape of each.

    Raises
    ------
    UnsupportedError
        With its size, and what does the same in less memory.
    """
    needed, have = sum(4 * float(np.prod(s, dtype=float)) for s in shapes), memory()
    if have is None or needed <= LARGEST_SHARE * have:
        return
    sizes = " x ".join(map(str, shapes[0]))
    raise UnsupportedError(
        f"the draws of all units ({sizes}) take {needed / _GIB:.1f} GiB in single precision, and "
        f"this machine has {have / _GIB:.0f} GiB. hte.predict_effects(fit, source, to=...) writes "
        "means, intervals and probabilities of every unit to disk in blocks, fit.averages(by=...) "
        "averages draws over all units or groups in blocks; or ask for the draws of some units, "
        "fit.cate(frame.head(1000))."
    )


def memory() -> float | None:
    """Return the bytes of the machine's memory; None where the system does not say."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
