"""A user's table before anything reads it: names of columns, doubled columns, labels of units.

Data enter the package as the frame of a study, as new rows of a fit, as the frame of a companion
and as the columns of a mixture. All of them are checked here, in the same words.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.errors import DataError, unknown_name
from bayes_hte.names import UNIT
from bayes_hte.study.kinds import is_numeric

# Texts that readers of files take for missing values, and that are sometimes names of levels.
READ_AS_MISSING = ("NA", "N/A", "None", "null", "nan")


def check_table(frame: object, what: str) -> None:
    """Refuse anything but a frame.

    Parameters
    ----------
    frame : object
        What the user gave.
    what : str
        What it is called, for the message.

    Raises
    ------
    DataError
        If it is no pandas DataFrame.
    """
    if not isinstance(frame, pd.DataFrame):
        raise DataError(
            f"{what} must be a pandas DataFrame, got {type(frame).__name__}; make one with "
            "pd.DataFrame(...), one row per unit and one column per variable."
        )


def check_names(names: Iterable[object], role: str) -> None:
    """Refuse names of columns that are not text.

    Parts of pandas, of xarray and of this package take names apart, sort them and save them. Names
    of other types would be other names there, and their columns would be lost.

    Parameters
    ----------
    names : iterable of object
        Names that the user gave.
    role : str
        What the columns are, for the message.

    Raises
    ------
    DataError
        If a name is not text.
    """
    for name in names:
        if not isinstance(name, str):
            raise DataError(
                f"{role} {name!r} is of type {type(name).__name__}, and names of columns must be "
                "text. Rename the columns, frame.columns = frame.columns.map(str), and give the "
                "new names."
            )


def names_given(names: Any, role: str) -> tuple[str, ...]:
    """Return a list of column names as a tuple.

    Parameters
    ----------
    names : sequence of str
        What the user gave.
    role : str
        What each column is, for the message.

    Returns
    -------
    tuple of str

    Raises
    ------
    DataError
        If it is no list, is empty, or holds a name that is not text.
    """
    listed = () if isinstance(names, str) or not isinstance(names, Iterable) else tuple(names)
    if not listed:
        example = [names] if isinstance(names, str) else ["age"]
        raise DataError(
            f"{role}s must be a non-empty list of column names, got {names!r}; write {example}."
        )
    names = listed
    check_names(names, role)
    return names


def column(frame: pd.DataFrame, name: str, role: str) -> pd.Series:
    """Return one complete column of a frame.

    Parameters
    ----------
    frame : DataFrame, shape (row, ...)
        The data.
    name : str
        Column name.
    role : str
        What the column is, for the messages.

    Returns
    -------
    Series, shape (row,)

    Raises
    ------
    DataError
        If the name is not text, or the column is absent, doubled or incomplete.
    """
    check_names([name], f"{role} column")
    check_present(frame, [name], f"{role} column")
    values = frame[name]
    missing = int(values.isna().sum())
    if missing:
        raise DataError(
            f"{role} {name!r} has {missing} missing values in {len(values)} rows; impute them or "
            f"drop those rows with frame.dropna(subset=[{name!r}]) if that is defensible."
            + missing_hint([values])
        )
    return values


def check_present(frame: pd.DataFrame, names: Sequence[str], what: str = "column") -> None:
    """Refuse a frame that lacks a column, or has it more than once.

    Parameters
    ----------
    frame : DataFrame
        The data.
    names : sequence of str
        Columns that are needed.
    what : str, default "column"
        What a column is called, for the message.

    Raises
    ------
    DataError
        If a column is absent or doubled.
    """
    have = list(frame.columns)
    for name in names:
        if name not in have:
            raise unknown_name(what, name, have, DataError)
        if (n := have.count(name)) > 1:
            raise DataError(f"{what} {name!r} occurs {n} times; rename or drop the others.")


def missing_hint(columns: Iterable[pd.Series]) -> str:
    """Return what to do if a missing value was a level that a reader of files took for one."""
    named = [repr(c.name) for c in columns if c.isna().any() and not is_numeric(c)]
    if not named:
        return ""
    texts = ", ".join(map(repr, READ_AS_MISSING))
    return (
        f" If {' or '.join(named)} has a level spelled like one of {texts}, pandas has read it as "
        "missing: spell it otherwise in the file (for instance 'none'), or read the file with "
        "pd.read_csv(path, keep_default_na=False, na_values=[''])."
    )


def free_name(name: str, taken: Container[str]) -> str:
    """Return the name of the indicator of a level, another one if something else is called so.

    Level b of column g is called ``g=b``, which may be the name of a column too.
    """
    while name in taken:
        name += " (level)"
    return name


def with_columns(frame: pd.DataFrame, columns: Mapping[str, Any]) -> pd.DataFrame:
    """Return a frame with columns added or replaced; unlike ``assign``, whatever their names."""
    frame = frame.copy(deep=False)
    for name, values in columns.items():
        frame[name] = values
    return frame


def unit_labels(index: pd.Index, taken: Iterable[str] = ()) -> pd.Index:
    """Return labels of units that every part of the package keeps, from any index.

    Parameters
    ----------
    index : Index, shape (unit,)
        The index of a user's table.
    taken : iterable of str, optional
        Columns of the table, none of which may be called as the index is.

    Returns
    -------
    Index, shape (unit,)
        Numbers, times and text as they are, of plain types. Anything else (several levels, times
        with a zone, tuples) as text: ``"3, b"`` for 3 and "b". Named ``"unit"`` or not at all.
    """
    name = UNIT if index.name == UNIT and UNIT not in taken else None
    return _plain_labels(index).rename(name)


def _plain_labels(index: pd.Index) -> pd.Index:
    if _is_plain(index):
        return index
    inferred = pd.Index(index.to_numpy()).infer_objects()
    if _is_plain(inferred) and not index.hasnans:
        return inferred
    labels = index.tolist()
    texts = [", ".join(map(str, v)) if isinstance(v, tuple) else str(v) for v in labels]
    # Text may be the same for labels that differ, such as 1 and "1".
    return pd.Index(texts if len(set(texts)) == index.nunique() else [repr(v) for v in labels])


def _is_plain(index: pd.Index) -> bool:
    """Whether labels are numbers, times or text of types that xarray and saved files keep."""
    if isinstance(index.dtype, np.dtype):
        return index.dtype.kind in "biufmM"
    return isinstance(index.dtype, pd.StringDtype)
