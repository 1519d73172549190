"""Covariates as the numeric matrix that a tree needs, with the meaning of its columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.study.kinds import is_numeric


@dataclass(frozen=True)
class TreeColumn:
    """The meaning of one column of the matrix.

    Attributes
    ----------
    covariate : str
        The covariate that it was made from.
    levels : tuple or None
        All levels of a covariate with levels, in order; None for a number.
    indicator : int or None
        Position in `levels` of the level that this 0/1 column marks. None for a number, and for an
        ordered covariate, whose column holds the position of the level.
    """

    covariate: str
    levels: tuple[Any, ...] | None = None
    indicator: int | None = None


def encode_covariates(frame: pd.DataFrame) -> tuple[np.ndarray, tuple[TreeColumn, ...]]:
    """Turn covariates into numbers for a tree.

    Numbers with more than two values stay as they are. An ordered categorical becomes the position
    of its level. Everything else (text, unordered categories, yes/no, a number with two values)
    becomes one 0/1 column per level, or a single one for two levels. Levels without a unit are left
    out.

    Parameters
    ----------
    frame : DataFrame, shape (unit, covariate)
        Complete covariates.

    Returns
    -------
    matrix : ndarray, shape (unit, column)
    columns : tuple of TreeColumn
    """
    arrays: list[np.ndarray] = []
    columns: list[TreeColumn] = []
    for name in frame.columns:
        for array, column in _encode(frame[name]):
            arrays.append(array)
            columns.append(column)
    return np.column_stack(arrays), tuple(columns)


def _encode(values: pd.Series) -> list[tuple[np.ndarray, TreeColumn]]:
    name = values.name
    if is_numeric(values) and values.nunique() > 2:
        return [(values.to_numpy(dtype=np.float64), TreeColumn(name))]
    levels = _levels(values)
    position = pd.Index(levels, dtype=object).get_indexer(values.to_numpy(dtype=object))
    if isinstance(values.dtype, pd.CategoricalDtype) and values.cat.ordered:
        return [(position.astype(np.float64), TreeColumn(name, levels))]
    marked = (1,) if len(levels) == 2 else range(len(levels))
    return [((position == i).astype(np.float64), TreeColumn(name, levels, i)) for i in marked]


def _levels(values: pd.Series) -> tuple[Any, ...]:
    """Return the levels in use: in the order of the categories, otherwise sorted."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return tuple(values.cat.remove_unused_categories().cat.categories.tolist())
    seen = values.unique().tolist()
    return tuple(sorted(seen, key=None if is_numeric(values) else str))
