"""The look of results in a notebook, and the way from a result to its figure.

Names of columns, arms and levels are the user's text and are escaped. Figures live above the
results that they show, so they are found by name when one is drawn.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import pandas as pd

from bayes_hte.names import visible

# Rows of a table in a notebook; the whole table is in the result.
MOST_ROWS = 40


def html_block(
    title: str,
    facts: Mapping[str, object],
    *,
    sentences: Iterable[str] = (),
    table: pd.DataFrame | None = None,
    details: Mapping[str, pd.DataFrame] | None = None,
) -> str:
    """Return a result as a block of HTML.

    Parameters
    ----------
    title : str
        Name of the kind of result.
    facts : mapping of str to object
        Words and what they say, one row each.
    sentences : iterable of str
        Paragraphs below.
    table : DataFrame, optional
        Shown with three significant digits, and at most 40 rows.
    details : mapping of str to DataFrame, optional
        Further tables by their titles, folded.

    Returns
    -------
    str
        Every text is escaped.

    Examples
    --------
    >>> from bayes_hte.views import html_block
    >>> "&lt;b&gt;" in html_block("Study", {"outcome": "<b>"})
    True
    """
    parts = [f"<div><strong>{escape(title)}</strong>"]
    rows = "".join(
        f'<tr><th style="text-align:left">{escape(str(name))}</th>'
        f'<td style="text-align:left">{escape(str(said))}</td></tr>'
        for name, said in facts.items()
    )
    parts.append(f"<table>{rows}</table>" if rows else "")
    parts += [f"<p>{escape(sentence)}</p>" for sentence in sentences]
    if table is not None:
        parts.append(_table(table))
    for name, more in (details or {}).items():
        parts.append(f"<details><summary>{escape(name)}</summary>{_table(more)}</details>")
    return visible("".join([*parts, "</div>"]))


def _table(table: pd.DataFrame) -> str:
    shown = table.head(MOST_ROWS)
    text = shown.to_html(border=0, escape=True, float_format=lambda value: f"{value:.3g}")
    left = len(table) - len(shown)
    return text + (f"<p>{left} more rows</p>" if left else "")


def counted(n: int, what: str) -> str:
    """Return a number with its noun, in the plural where it is not one.

    Examples
    --------
    >>> from bayes_hte.views import counted
    >>> counted(1, "check"), counted(3, "check")
    ('1 check', '3 checks')
    """
    return f"{n} {what}" + ("" if n == 1 else "s")


def draw(name: str, *data: Any, **look: Any) -> Any:
    """Draw a figure of :mod:`bayes_hte.plots`, which is loaded now.

    Parameters
    ----------
    name : str
        Of the function there.
    *data, **look
        Its arguments.

    Returns
    -------
    matplotlib.figure.Figure
    """
    return getattr(importlib.import_module("bayes_hte.plots"), name)(*data, **look)
