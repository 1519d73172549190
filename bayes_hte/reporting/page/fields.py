"""Columns that several tables of the report share."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bayes_hte.reporting.page.markup import Column, Field, table
from bayes_hte.reporting.page.numbers import Style, number, percent, plain, probability, span
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import important, interval_phrase


def numbers(heading: str, key: str, decimals: int | Style) -> Field:
    """Return a column of numbers."""
    return Field(heading, lambda row: number(row[key], decimals))


def counts(heading: str, key: str) -> Field:
    """Return a column of whole numbers."""
    return Field(heading, lambda row: str(row[key]))


def percents(heading: str, key: str) -> Field:
    """Return a column of shares."""
    return Field(heading, lambda row: percent(row[key]))


def intervals(material: Material, decimals: int | Style | None = None, *, of: str = "") -> Field:
    """Return the column of intervals; `of` names their quantity where the heading needs it."""
    d = material.style if decimals is None else decimals
    heading = interval_phrase(material.results) + of
    return Field(heading, lambda row: span(row["ci_lower"], row["ci_upper"], d))


def effect_fields(material: Material, heading: str) -> list[Field]:
    """Return mean, interval and probabilities of benefit of an effect."""
    beyond = important(material.results)
    fields = [
        numbers(heading, "mean", material.style),
        intervals(material),
        Field("Probability of benefit", lambda row: probability(row["prob_benefit"])),
    ]
    if beyond > 0:
        heading = f"Probability of benefit beyond {material.scale.sized(beyond)}"
        fields.append(Field(heading, lambda row: probability(row["prob_important"])))
    return fields


def plain_table(
    caption: str, frame: pd.DataFrame, *, source: str, headings: Mapping[str, str] | None = None
) -> str:
    """Return a table of all columns of a frame, the first of which heads the rows.

    Parameters
    ----------
    caption : str
        Plain text above the table.
    frame : DataFrame
        Its columns may have any names, also the same.
    source : str
        Key of the CSV file that holds the numbers.
    headings : mapping of str to str, optional
        Words shown instead of the names of the columns.

    Returns
    -------
    str
    """
    shown = [(headings or {}).get(name, str(name)) for name in frame.columns]
    columns = [Column(heading, numeric=bool(i)) for i, heading in enumerate(shown)]
    rows = [[plain(value) for value in row] for row in frame.itertuples(index=False, name=None)]
    return table(caption, columns, [(None, rows)], source=source)
