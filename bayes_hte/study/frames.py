"""A user's table before anything reads it: its type, names of columns, labels of units.

Data enter the package as the frame of a study, as new rows for a fit, as the frame of a companion
and as the columns of a mixture. All of them are checked here, in the same words.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.errors import DataError, MissingDependencyError, unknown_name
from bayes_hte.names import UNIT
from bayes_hte.study.kinds import is_numeric, plain

# Texts that pandas reads as missing values, and that are sometimes names of levels.
READ_AS_MISSING = ("NA", "N/A", "None", "null", "nan")


def check_table(frame: object, what: str) -> None:
    """Raise a DataError unless a table, called `what`, is a pandas DataFrame."""
    if not isinstance(frame, pd.DataFrame):
        kind, convert = type(frame).__name__, "make one with pd.DataFrame(...)"
        if hasattr(frame, "to_pandas"):
            kind, convert = _kind(frame), "convert it with .to_pandas()"
        raise DataError(
            f"{what} must be a pandas DataFrame, got {kind}; {convert}, one row per unit and one "
            "column per variable."
        )


def as_table(frame: object, what: str) -> pd.DataFrame:
    """Return a table, called `what`, as a pandas DataFrame.

    Parameters
    ----------
    frame : DataFrame
        Of pandas, or of polars, Arrow and others that narwhals knows (it must be installed).
    what : str
        The table, for the messages.

    Returns
    -------
    DataFrame
        The same object, if it is one of pandas.

    Raises
    ------
    DataError
        If it is no table, or a query of polars that has not been collected.
    MissingDependencyError
        If narwhals, or what it needs to convert the table, is not installed.
    """
    # Of the type first: the columns of a query are found at a cost.
    is_table = hasattr(type(frame), "columns") or hasattr(frame, "columns")
    if isinstance(frame, pd.DataFrame) or not is_table:
        check_table(frame, what)
        return frame
    kind = _kind(frame)
    try:
        import narwhals

        table = narwhals.from_native(frame, eager_only=True)
    except ImportError as error:
        raise MissingDependencyError(
            f"{what} is a {kind}; to read it, pip install narwhals, or convert it yourself with "
            ".to_pandas()."
        ) from error
    except TypeError:
        # Among them polars.LazyFrame.
        collect = " Call .collect() first." if hasattr(frame, "collect") else ""
        raise DataError(
            f"{what} must be a DataFrame of pandas or polars, got {kind}.{collect}"
        ) from None
    try:
        return table.to_pandas()
    except ImportError as error:
        raise MissingDependencyError(
            f"{what} is a {kind}, and its conversion needs another package: {error}."
        ) from error


def _kind(frame: object) -> str:
    """Return the type of a table with its library, such as ``polars.DataFrame``."""
    return f"{type(frame).__module__.split('.')[0]}.{type(frame).__name__}"


def check_names(names: Iterable[object], role: str) -> None:
    """Raise a DataError unless the names of columns that play a role are text.

    pandas, xarray and saved files take names apart, sort them and write them. A name of another
    type would become another name on the way, and its column would be lost.
    """
    for name in names:
        if not isinstance(name, str):
            raise DataError(
                f"{role} {name!r} is of type {type(name).__name__}, and names of columns must be "
                "text. Rename the columns, frame.columns = frame.columns.map(str), and give the "
                "new names."
            )


def names_given(names: Any, role: str) -> tuple[str, ...]:
    """Return the columns that a user named for a role, checked.

    Parameters
    ----------
    names : sequence of str
        The argument of the user.
    role : str
        The role of each column, for the message.

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
    check_names(listed, role)
    return listed


def check_present(frame: pd.DataFrame, names: Sequence[str], what: str = "column") -> None:
    """Raise a DataError if a frame lacks a column, called `what`, or has it more than once."""
    have = list(frame.columns)
    for name in names:
        if name not in have:
            raise unknown_name(what, name, have, DataError)
        if (n := have.count(name)) > 1:
            raise DataError(f"{what} {name!r} occurs {n} times; rename or drop the others.")


def column(frame: pd.DataFrame, name: str, role: str, *, gaps: bool = False) -> pd.Series:
    """Return one column of a user's frame, complete unless it may have gaps.

    Parameters
    ----------
    frame : DataFrame, shape (unit, ...)
        The data.
    name : str
        Column name.
    role : str
        The role of the column, for the messages.
    gaps : bool, default False
        Whether values may be missing, if not all are.

    Returns
    -------
    Series, shape (unit,)

    Raises
    ------
    DataError
        If `frame` is no frame or has no rows, the name is not text, or the column is absent,
        doubled or incomplete.
    """
    check_table(frame, "frame")
    if not len(frame):
        raise DataError("the frame has no rows.")
    check_names([name], f"{role} column")
    check_present(frame, [name], f"{role} column")
    values = frame[name]
    missing = int(values.isna().sum())
    if missing and not (gaps and missing < len(values)):
        raise DataError(
            f"{role} {name!r} has {missing} missing values in {len(values)} rows; impute them or "
            f"drop those rows with frame.dropna(subset=[{name!r}]) if that is defensible."
            + missing_hint([values])
        )
    return plain(values)


def missing_hint(columns: Iterable[pd.Series]) -> str:
    """Return the remedy for missing values that were levels in a file, empty for numbers."""
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
    """Return a name for the indicator of a level that no other column has.

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
        Columns of the table. The index gets none of their names.

    Returns
    -------
    Index, shape (unit,)
        Numbers, times and text stay as they are, of plain types. Anything else (several levels,
        times with a zone, tuples) becomes text: ``"3, b"`` for 3 and "b". Its name is ``"unit"``,
        or it has none.
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
