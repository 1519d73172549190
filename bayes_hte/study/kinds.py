"""The kind of a column: numbers, booleans, categories, dates, or values that no model can use.

One place decides, however a column is stored (NumPy, nullable, Arrow, sparse, Python objects), so
that every part of the package takes a column for the same thing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.errors import DataError


class Kind(StrEnum):
    """The kinds of columns, in words for messages."""

    NUMBER = "numbers"
    BOOLEAN = "true/false values"
    CATEGORY = "categories"
    DATE = "dates, times or durations"
    UNUSABLE = "values of a type that models cannot use"


# What pandas infers from the values where the type of a column does not say; all else is unusable.
_INFERRED = {
    **dict.fromkeys(("integer", "floating", "mixed-integer-float", "decimal"), Kind.NUMBER),
    "boolean": Kind.BOOLEAN,
    **dict.fromkeys(("string", "categorical", "empty"), Kind.CATEGORY),
    **dict.fromkeys(
        ("datetime64", "datetime", "date", "timedelta64", "timedelta", "time", "period"), Kind.DATE
    ),
}
_SHOWN = 3


def kind_of(column: pd.Series) -> Kind:
    """Return the kind of a column; missing values do not count, and any categorical is one."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return Kind.CATEGORY
    if pd.api.types.is_bool_dtype(column.dtype):
        return Kind.BOOLEAN
    if pd.api.types.is_complex_dtype(column.dtype):
        return Kind.UNUSABLE
    if pd.api.types.is_numeric_dtype(column.dtype):
        return Kind.NUMBER
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    if inferred == "unknown-array" and all(isinstance(v, str) for v in column.dropna()):
        return Kind.CATEGORY
    return _INFERRED.get(inferred, Kind.UNUSABLE)


def is_numeric(column: pd.Series) -> bool:
    """Whether a column holds numbers (booleans count: False is 0, True is 1)."""
    return kind_of(column) in (Kind.NUMBER, Kind.BOOLEAN)


def plain(column: pd.Series) -> pd.Series:
    """Return a column with numbers and booleans of types that pandas computes with.

    Columns that pandas knows to be numeric, and those that are not, stay as they are.
    """
    if pd.api.types.is_numeric_dtype(column.dtype) or not is_numeric(column) or column.isna().any():
        return column
    if kind_of(column) is Kind.BOOLEAN:
        return column.astype(bool)
    # Before types are inferred, as not every whole number can be one.
    values = _as_float(column, "column")
    inferred = column.infer_objects()
    if pd.api.types.is_numeric_dtype(inferred.dtype):
        return inferred
    return pd.Series(values, column.index, name=column.name)


def numeric_column(column: pd.Series, role: str) -> np.ndarray:
    """Return a column as float64.

    Parameters
    ----------
    column : pandas.Series, shape (unit,)
        The values.
    role : str
        The role of the column, for the message.

    Returns
    -------
    ndarray of float64, shape (unit,)

    Raises
    ------
    DataError
        If the column does not hold numbers, or whole ones that no floating-point number reaches.
    """
    if not is_numeric(column):
        seen = ", ".join(list(dict.fromkeys(map(repr, column)))[:_SHOWN])
        raise DataError(
            f"{role} {column.name!r} must be numeric, got {described(column)} (e.g. {seen}). "
            "Recode it as numbers, for a yes/no column as 0 and 1."
        )
    return _as_float(column, role)


def _as_float(column: pd.Series, role: str) -> np.ndarray:
    try:
        return column.to_numpy(dtype=np.float64)
    except OverflowError as error:
        raise DataError(
            f"{role} {column.name!r} holds whole numbers of more than 308 digits, and the largest "
            "number that can be computed with is 1.8e308. Rescale it, or make it text if it names "
            "things."
        ) from error


def check_usable(column: pd.Series, role: str) -> None:
    """Raise a DataError if a column holds neither numbers nor categories, with the remedy."""
    name, kind = column.name, kind_of(column)
    if kind not in (Kind.DATE, Kind.UNUSABLE):
        return
    remedy = (
        "Turn it into a number, a date for instance into days since a fixed day."
        if kind is Kind.DATE
        else f"Make all its values numbers, pd.to_numeric(df[{name!r}]), or text, "
        f"df[{name!r}].astype(str)."
    )
    raise DataError(
        f"{role} {name!r} holds {described(column)}: {role}s are numbers, true/false, "
        f"text or categories. {remedy}"
    )


def distinct(column: pd.Series, role: str) -> list[Any]:
    """Return the values of a column, each once, as they occur.

    Raises
    ------
    DataError
        If values cannot be compared, such as lists.
    """
    try:
        return column.unique().tolist()
    except (TypeError, NotImplementedError) as error:
        raise DataError(
            f"{role} {column.name!r} holds {described(column)}, which are no levels; recode it as "
            "numbers or text."
        ) from error


def check_covariate(column: pd.Series) -> None:
    """Raise a DataError if no model can use a complete column as a covariate.

    It holds neither numbers nor categories, has a level for most units, or has different levels
    that read the same.
    """
    check_usable(column, "covariate")
    if kind_of(column) is not Kind.CATEGORY:
        return
    if (n_levels := column.nunique()) > len(column) / 2:
        raise DataError(
            f"covariate {column.name!r} has {n_levels} levels in {len(column)} units: it "
            "looks like an identifier. Remove it, or group its levels."
        )
    check_levels(column.unique(), f"covariate {column.name!r}")


def check_levels(levels: np.ndarray | list, what: str) -> None:
    """Raise a DataError if different levels are the same text, such as 1 and "1"."""
    seen: set[str] = set()
    for text in map(str, levels):
        if text not in seen:
            seen.add(text)
            continue
        raise DataError(
            f"{what} has different levels that read the same, {text!r}; make them one "
            "level with .astype(str), or give them names of their own."
        )


def levels_in_use(column: pd.Series) -> tuple[str, ...]:
    """Return the levels that a column has, as text: as its categories are ordered, else sorted.

    Missing values are no level.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        # Sorted by category; as text in the way the column itself becomes text.
        return tuple(column.dropna().drop_duplicates().sort_values().astype(str))
    return tuple(sorted(set(column.dropna().astype(str))))


def label_text(column: pd.Series) -> np.ndarray:
    """Return labels as text, shape (row,); a whole number reads the same as int and as float."""
    column = plain(column)
    if is_numeric(column) and (column == column.round()).all():
        column = column.astype(np.int64)
    return column.astype(str).to_numpy(dtype=object)


def described(column: pd.Series) -> str:
    """Return the kind and the type of a column in words; of mixed objects, each type."""
    kind = kind_of(column)
    if kind is Kind.UNUSABLE and column.dtype == object:
        types = sorted({type(value).__name__ for value in column.dropna()})
        return f"values of type {' and '.join(types)}"
    return f"{kind} ({column.dtype})"
