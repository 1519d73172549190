"""Columns as a study file declares them: numbers or categories, the order of levels, the event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bayes_hte.errors import DataError, unknown_name
from bayes_hte.study.frames import with_columns
from bayes_hte.study.kinds import Kind, kind_of, label_text
from bayes_hte.study.spec import ColumnSpec

_SHOWN = 5


def declared_columns(
    frame: pd.DataFrame, declared: Mapping[str, ColumnSpec], *, new_rows: bool = False
) -> pd.DataFrame:
    """Return a frame with its columns as declared.

    Parameters
    ----------
    frame : DataFrame
        The data as read.
    declared : mapping of str to ColumnSpec
        What the study file says of some of its columns.
    new_rows : bool, default False
        Whether these are rows to predict: a column may be absent, events are left as they are, and
        a level without a place in the order stays what it is.

    Returns
    -------
    DataFrame
        Numbers as numbers, categories as categoricals, ordered where an order is declared, and a
        column with an event as 1 where it has happened and 0 where it has not. Missing values stay
        missing.

    Raises
    ------
    DataError
        If a column is absent, a value is no number, a level has no place in the declared order, or
        the event is not one of two levels.
    """
    changed = {}
    for name, column in declared.items():
        if new_rows and (name not in frame.columns or column.event is not None):
            continue
        if name not in frame.columns:
            raise unknown_name("column of [columns]", name, frame.columns, DataError)
        levels = new_rows and (column.order or column.type == "category")
        changed[name] = _text(frame[name]) if levels else _declared(frame[name], column)
    return with_columns(frame, changed)


def _declared(values: pd.Series, column: ColumnSpec) -> pd.Series:
    if column.event is not None:
        return _event(values, column.event)
    if column.order:
        return _ordered(values, column.order)
    if column.type == "number":
        return _numbers(values)
    if column.type == "category":
        return _text(values).astype("category")
    return values


def _event(values: pd.Series, event: Any) -> pd.Series:
    levels = _levels(values)
    if event not in levels:
        shown = ", ".join(map(repr, levels[:_SHOWN]))
        raise DataError(
            f"columns.{values.name}: the event {event!r} is not a level of the column; it has "
            f"{shown}."
        )
    if len(levels) != 2:
        raise DataError(
            f"columns.{values.name}: an event has happened or not, and the column has "
            f"{len(levels)} levels ({', '.join(map(repr, levels[:_SHOWN]))}); recode it to two."
        )
    happened = (values == event).astype("float64").where(values.notna())
    return happened if values.isna().any() else happened.astype("int64")


def _ordered(values: pd.Series, order: tuple[Any, ...]) -> pd.Series:
    text, wanted = _text(values), [str(level) for level in order]
    left = [level for level in _levels(text) if level not in wanted]
    if left:
        raise DataError(
            f"columns.{values.name}.order lacks {', '.join(map(repr, left[:_SHOWN]))}, which the "
            f"column has; it lists {', '.join(map(repr, wanted))}."
        )
    return text.astype(pd.CategoricalDtype(wanted, ordered=True))


def _numbers(values: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce")
    lost = values[numbers.isna() & values.notna()]
    if len(lost):
        shown = ", ".join(map(repr, list(dict.fromkeys(lost))[:_SHOWN]))
        raise DataError(
            f"columns.{values.name}: {len(lost)} values are no numbers ({shown}); correct them, or "
            "list them in missing_values under [data]."
        )
    return numbers


def _text(values: pd.Series) -> pd.Series:
    """Return levels as text; whole numbers without a decimal point."""
    text = pd.Series(index=values.index, dtype="str", name=values.name)
    filled = values.notna()
    if kind_of(values) is Kind.CATEGORY:
        text[filled] = values[filled].astype(str)
    else:
        text[filled] = label_text(values[filled])
    return text


def _levels(values: pd.Series) -> list[Any]:
    """Return the levels of a column in the order in which they occur."""
    return values.dropna().unique().tolist()
