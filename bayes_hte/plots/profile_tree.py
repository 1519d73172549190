"""The profile of the subgroups as an outline: one row a question, indented by its depth."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.plots.style import (
    COLOURS,
    INK,
    MARKERS,
    MUTED,
    WIDTH,
    need_columns,
    new_axes,
    styled,
    wrap,
)

# Inches: of a row with one line of words, of each further line, of a bold letter, and the share of
# the figure that the margins leave.
_ROW = 0.42
_LINE = 0.18
_LETTER = 0.092
_INSIDE = 0.96
# Room for words right of the deepest node, in steps of depth.
_STEPS = 9.0
_LEFT = 0.3
_GAP = 0.4


@styled
def plot_profile_tree(
    table: pd.DataFrame,
    *,
    units: str = "people",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw a tree as an indented outline, which stays readable on a narrow page.

    Parameters
    ----------
    table : DataFrame, one row a node, parents before children, in the order to be read
        ``depth`` (0 is the root), ``condition`` (words of the step from the parent), ``n_units``,
        ``group`` (label of the subgroup of a leaf, None for inner nodes), ``group_number``
        (position of that subgroup, for its colour and marker; -1 for inner nodes).
    units : str, default "people"
        Word for what is studied.
    title : str, optional
        Title of the axes.
    ax : Axes, optional
        Where to draw; default a new figure.

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        If the table lacks a column.
    """
    need_columns(table, ("depth", "condition", "n_units", "group", "group_number"))
    nodes = table.to_dict("records")
    deepest = int(table["depth"].max())
    words = [_words(node, units, deepest) for node in nodes]
    lines = max(w.count("\n") for w in words)
    height = 0.3 + (_ROW + _LINE * lines) * len(nodes)
    figure, ax = new_axes(ax, height=height, title=title)
    for row, (node, said) in enumerate(zip(nodes, words, strict=True)):
        depth, leaf = int(node["depth"]), node["group_number"] >= 0
        if depth:
            parent = max(r for r in range(row) if nodes[r]["depth"] == depth - 1)
            ax.plot(
                [depth - 1, depth - 1, depth - 0.25], [parent + 0.3, row, row],
                color=MUTED, linewidth=1.1,
            )  # fmt: skip
        if leaf:
            number = int(node["group_number"])
            ax.plot(depth, row, MARKERS[number % len(MARKERS)], markersize=9,
                    color=COLOURS[number % len(COLOURS)])  # fmt: skip
        weight = "bold" if leaf else "normal"
        ax.text(depth + _GAP, row, said, va="center", color=INK, fontweight=weight)
    ax.set_xlim(-_LEFT, deepest + _STEPS)
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.set_axis_off()
    return figure


def _words(node: dict[str, Any], units: str, deepest: int) -> str:
    """Say what a node holds, in lines that end within the figure."""
    words = f"{node['condition']}: {node['n_units']} {units}"
    if node["group_number"] >= 0:
        words = f"{words} \N{RIGHTWARDS ARROW} {node['group']}"
    step = WIDTH * _INSIDE / (_LEFT + deepest + _STEPS)
    room = step * (deepest + _STEPS - node["depth"] - _GAP)
    return wrap(words, int(room / _LETTER))
