"""Features of all proxies of one side, and the fitted map that forms them again on new rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_hte.errors import DataError, SpecError
from bayes_hte.mixtures.arrays import Array, check_whole, unit_range
from bayes_hte.mixtures.proxies.bases import Basis, ContinuousBasis, Discrete, Levels, QuantileBins
from bayes_hte.study.frames import check_present, names_given
from bayes_hte.study.kinds import is_numeric, plain

MAX_LEVELS: Final = 8
"""Numeric columns with at most this many distinct values are taken as categories."""
MAX_JOINT_LEVELS: Final = 16
"""Categories are crossed while the crossing has at most this many levels."""


@dataclass(frozen=True)
class Features:
    """Values of a feature map, one row per unit.

    Attributes
    ----------
    codes : ndarray of int, shape (n,), or None
        The level of each unit when the features are one-hot.
    matrix : ndarray, shape (n, d), or None
        The features when they are not.
    names : tuple of str, length d
        Description of each feature.
    constant : ndarray, shape (d,)
        Features times this vector is 1 for every unit.
    bounds : ndarray, shape (2, d)
        Lowest and highest possible value of each feature.
    """

    codes: NDArray[np.intp] | None
    matrix: Array | None
    names: tuple[str, ...]
    constant: Array
    bounds: Array

    @property
    def n_units(self) -> int:
        """Number of rows."""
        return len(self.matrix if self.codes is None else self.codes)  # type: ignore[arg-type]

    def dense(self) -> Array:
        """Return the features as a matrix, shape (n, d)."""
        if self.matrix is not None:
            return self.matrix
        return np.eye(len(self.names))[self.codes]


@dataclass(frozen=True)
class ProxyMap:
    """A fitted feature map of one side of the design.

    Attributes
    ----------
    bases : tuple of Basis
        One per column.
    crossed : ndarray of int or None
        For crossed categories, the feature of every combination of levels (-1: never seen);
        None when columns are combined additively.
    """

    bases: tuple[Basis, ...]
    crossed: NDArray[np.intp] | None

    @property
    def columns(self) -> tuple[str, ...]:
        """The proxies."""
        return tuple(basis.column for basis in self.bases)

    def apply(self, frame: pd.DataFrame) -> Features:
        """Form the features of the rows of a frame.

        Raises
        ------
        DataError
            If a column is missing, holds missing values, or holds an unseen level.
        """
        series = [clean_column(frame, column) for column in self.columns]
        if self.crossed is not None:
            return self._one_hot(series)
        parts = [basis.matrix(s) for basis, s in zip(self.bases, series, strict=True)]
        if len(parts) == 1:
            return _dense(parts[0], self.bases[0].names(), self.bases[0].constant())
        matrix = np.column_stack([np.ones(len(frame)), *(part[:, 1:] for part in parts)])
        names = ("1", *(name for basis in self.bases for name in basis.names()[1:]))
        return _dense(matrix, names, np.eye(len(names))[0])

    def _one_hot(self, series: list[pd.Series]) -> Features:
        """Crossed categories as level codes."""
        combination, names = _combination(self.bases, series)
        codes = self.crossed[combination]  # type: ignore[index]
        if (codes < 0).any():
            raise DataError(
                f"columns {list(self.columns)} hold the combination "
                f"{names[combination[codes < 0][0]]!r}, which was not among the rows before."
            )
        seen = np.flatnonzero(self.crossed >= 0)  # type: ignore[operator]
        kept = tuple(names[i] for i in seen)
        return Features(codes, None, kept, np.ones(len(kept)), unit_range(len(kept)))


def fit_proxies(
    frame: pd.DataFrame,
    columns: Sequence[str],
    *,
    continuous: ContinuousBasis | None = None,
    max_joint_levels: int = MAX_JOINT_LEVELS,
) -> ProxyMap:
    """Choose features for the proxies of one side and fit their state.

    Columns that are not numeric, and numeric ones with at most 8 distinct values, are categories;
    the others are continuous. One-hot columns are crossed while the crossing has at most
    `max_joint_levels` levels; otherwise all columns are combined additively.

    Parameters
    ----------
    frame : DataFrame, shape (n, columns)
    columns : sequence of str
        Proxies of one side.
    continuous : QuantileBins, Ranks or Splines, optional
        Features of continuous columns; default ``QuantileBins(4)``.
    max_joint_levels : int, default 16
        Largest crossing.

    Returns
    -------
    ProxyMap

    Raises
    ------
    DataError
        If no column is given, or one is absent, has missing values, does not vary, or has too many
        categories.
    SpecError
        If an option is unknown or out of range.
    """
    columns = names_given(columns, "proxy column")
    choice = QuantileBins() if continuous is None else continuous
    if not isinstance(choice, ContinuousBasis):
        raise SpecError(f"continuous must be QuantileBins, Ranks or Splines; got {continuous!r}.")
    check_whole("max_joint_levels", max_joint_levels, 1)
    bases = tuple(_fit_basis(clean_column(frame, column), choice) for column in columns)
    size = int(np.prod([len(basis.names()) for basis in bases], dtype=float))
    one_hot = all(isinstance(basis, Discrete) for basis in bases)
    if len(bases) == 1 and one_hot:
        return ProxyMap(bases, np.arange(size))  # every level of one column has been seen
    if not one_hot or size > max_joint_levels:
        return ProxyMap(bases, None)
    combination, _ = _combination(bases, [clean_column(frame, column) for column in columns])
    seen = np.bincount(combination, minlength=size) > 0
    return ProxyMap(bases, np.where(seen, np.cumsum(seen) - 1, -1))


def clean_column(frame: pd.DataFrame, column: str) -> pd.Series:
    """Return a column without missing or infinite values; objects that are numbers become numbers.

    Raises
    ------
    DataError
        If the column is missing or holds missing or infinite values.
    """
    check_present(frame, [column])
    values = plain(frame[column])
    bad = values.isna().to_numpy()
    if pd.api.types.is_float_dtype(values.dtype):
        bad = bad | np.isinf(values.to_numpy(dtype=float, na_value=np.nan))
    if bad.any():
        raise DataError(
            f"column {column!r} has {int(bad.sum())} missing or infinite values of {len(values)}; "
            "drop these rows, impute them, or make missingness a level of its own."
        )
    return values


def _fit_basis(values: pd.Series, continuous: ContinuousBasis) -> Basis:
    """Choose the basis of one column, by its kind."""
    levels = _sorted(pd.unique(values.to_numpy()))
    if len(levels) < 2:
        raise DataError(f"proxy {values.name!r} does not vary; it cannot distinguish classes.")
    if is_numeric(values) and len(levels) > MAX_LEVELS:
        return continuous.fit(values)
    if len(levels) > MAX_JOINT_LEVELS:
        raise DataError(
            f"proxy {values.name!r} has {len(levels)} categories, at most {MAX_JOINT_LEVELS} are "
            "allowed; merge rare ones."
        )
    return Levels(values.name, tuple(levels))


def _sorted(levels: np.ndarray) -> list[Any]:
    """Levels in ascending order; by their text if they cannot be compared."""
    try:
        return np.sort(levels).tolist()
    except TypeError:
        return sorted(levels.tolist(), key=str)


def _combination(
    bases: Sequence[Basis], series: Sequence[pd.Series]
) -> tuple[NDArray[np.intp], list[str]]:
    """Index of each unit's combination of levels, and the name of every combination."""
    combination = np.zeros(len(series[0]), dtype=np.intp)
    names = [""]
    for basis, values in zip(bases, series, strict=True):
        own = basis.names()
        combination = combination * len(own) + basis.codes(values)
        names = [f"{a} & {b}" if a else b for a in names for b in own]
    return combination, names


def _dense(matrix: Array, names: tuple[str, ...], constant: Array) -> Features:
    """Dense features with the ranges seen in the rows."""
    return Features(None, matrix, names, constant, np.stack([matrix.min(0), matrix.max(0)]))
