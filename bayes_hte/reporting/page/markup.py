"""Pieces of HTML; everything that comes from outside passes through :func:`text`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from markupsafe import Markup, escape

Row = Mapping[str, Any]
Groups = Sequence[tuple[str | None, Sequence[Sequence[object]]]]


def text(value: object) -> Markup:
    """Escape a value for use as text or inside a quoted attribute; safe HTML stays as it is."""
    return escape(value)


def paragraph(inner: str, *, cls: str = "") -> str:
    """Return a paragraph of HTML that is already safe."""
    return f"<p{_class(cls)}>{inner}</p>"


def named_check(name: str, said: str) -> str:
    """Return what a check says, its name before it as a run-in heading; both are plain text."""
    return f"<strong>{text(name[:1].upper() + name[1:])}.</strong> {text(said)}"


def unordered(items: Iterable[str]) -> str:
    """Return a bullet list of pieces of safe HTML."""
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a list of terms (plain text) and what they are (safe HTML)."""
    rows = "".join(f"<div><dt>{text(t)}</dt><dd>{d}</dd></div>" for t, d in pairs)
    return f"<dl>{rows}</dl>"


@dataclass(frozen=True)
class Column:
    """A column of a shown table: its heading (plain text), and whether it holds numbers."""

    heading: str
    numeric: bool = True


def table(
    caption: str,
    columns: Sequence[Column],
    groups: Groups,
    *,
    source: str | None,
    stacks: bool = False,
) -> str:
    """Return a table in a box that scrolls on its own where the page is narrow.

    Parameters
    ----------
    caption : str
        Plain text above the table.
    columns : sequence of Column
        The first one heads the rows.
    groups : sequence of (heading or None, rows)
        Rows are sequences of plain text (or safe HTML), one per column; a heading spans its rows.
    source : str or None
        Key of the CSV file that holds the numbers, if one does.
    stacks : bool, default False
        Put the cells of a row below one another where the page is narrow, for tables of sentences.

    Returns
    -------
    str
        HTML with scoped headers and a caption that names the file.
    """
    # Cells that are no longer laid out as a table lose their part in it without a role.
    role = _role if stacks else _no_role
    head = "".join(
        f'<th scope="col"{role("columnheader")}{_class("num" if c.numeric else "")}>'
        f"{text(c.heading)}</th>"
        for c in columns
    )
    bodies = []
    for heading, rows in groups:
        label = ""
        if heading:
            label = (
                f'<tr><th scope="rowgroup" colspan="{len(columns)}" class="group">'
                f'<span class="stay">{text(heading)}</span></th></tr>'
            )
        cells = "".join(_row(row, columns, role) for row in rows)
        bodies.append(f"<tbody{role('rowgroup')}>{label}{cells}</tbody>")
    cls = _class("stacks") + role("table") if stacks else ""
    link = "" if source is None else f" {csv_link(source)}"
    return (
        f'<div class="scroll" role="region" aria-label="{text(caption)}" tabindex="0"><table{cls}>'
        f'<caption><span class="stay">{text(caption)}{link}</span></caption>'
        f"<thead{role('rowgroup')}><tr{role('row')}>{head}</tr></thead>{''.join(bodies)}</table>"
        "</div>"
    )


@dataclass(frozen=True)
class Field:
    """A column of a shown table: its heading, the cell of a row, and whether it holds numbers."""

    heading: str
    cell: Callable[[Row], object]
    numeric: bool = True


def words(heading: str, cell: str | Callable[[Row], object]) -> Field:
    """Return a column of words: those under a key of each row, or what a function returns."""
    return Field(heading, cell if callable(cell) else lambda row: row[cell], numeric=False)


def field_table(
    caption: str,
    fields: Sequence[Field],
    rows: pd.DataFrame | Iterable[tuple[str | None, pd.DataFrame]],
    *,
    source: str,
) -> str:
    """Return a table with one row per row of a frame.

    Parameters
    ----------
    caption : str
        Plain text above the table.
    fields : sequence of Field
        The first one heads the rows.
    rows : DataFrame, or iterable of (heading, DataFrame)
        What is shown; frames without rows are left out with their headings.
    source : str
        Key of the CSV file that holds the numbers.

    Returns
    -------
    str
        As :func:`table`.
    """
    frames = [(None, rows)] if isinstance(rows, pd.DataFrame) else rows
    groups = [
        (heading, [[field.cell(row) for field in fields] for row in frame.to_dict("records")])
        for heading, frame in frames
        if len(frame)
    ]
    columns = [Column(field.heading, field.numeric) for field in fields]
    return table(caption, columns, groups, source=source)


def csv_link(*keys: str) -> str:
    """Return the small links that say in which CSV files the numbers are."""
    links = ", ".join(f'<a href="tables/{key}.csv">tables/{key}.csv</a>' for key in keys)
    return f'<span class="source">Numbers: {links}</span>'


def figure(svg: str, caption: str, *, source: str) -> str:
    """Return an inline figure with its caption (plain text) and the file of its numbers."""
    return f"<figure>{svg}<figcaption>{text(caption)} {csv_link(source)}</figcaption></figure>"


def grid(figures: Iterable[str]) -> str:
    """Return figures side by side where the page is wide enough."""
    return f'<div class="grid">{"".join(figures)}</div>'


def details(summary: str, inner: str, *, is_open: bool, cls: str = "") -> str:
    """Return a block that opens on a click, open from the start if asked."""
    opened = " open" if is_open else ""
    return f"<details{_class(cls)}{opened}><summary>{text(summary)}</summary>{inner}</details>"


def _row(cells: Sequence[object], columns: Sequence[Column], role: Callable[[str], str]) -> str:
    first, *rest = cells
    tail = "".join(
        f"<td{role('cell')}{_class('num' if column.numeric else '')}>{text(cell)}</td>"
        for cell, column in zip(rest, columns[1:], strict=True)
    )
    return f'<tr{role("row")}><th scope="row"{role("rowheader")}>{text(first)}</th>{tail}</tr>'


def _role(name: str) -> str:
    return f' role="{name}"'


def _no_role(name: str) -> str:
    return ""


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""
