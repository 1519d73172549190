"""The profile of the subgroups as an outline: one row a question, indented by its depth."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.plots.style import COLOURS, INK, MARKERS, MUTED, need_columns, new_axes, styled, wrap

_ROW = 0.46
_CHARACTERS = 52


@styled
def plot_profile_tree(
    table: pd.DataFrame, *, title: str | None = None, ax: Axes | None = None
) -> Figure:
    """Draw a tree as an indented outline, which stays readable on a narrow page.

    Parameters
    ----------
    table : DataFrame, one row a node, parents before children, in the order to be read
        ``depth`` (0 is the root), ``condition`` (words of the step from the parent), ``n_units``,
        ``group`` (label of the subgroup of a leaf, None for inner nodes), ``group_number``
        (position of that subgroup, for its colour and marker; -1 for inner nodes).
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
    figure, ax = new_axes(ax, height=0.3 + _ROW * len(table), title=title)
    nodes = table.to_dict("records")
    for row, node in enumerate(nodes):
        depth = int(node["depth"])
        if depth:
            parent = max(r for r in range(row) if nodes[r]["depth"] == depth - 1)
            ax.plot(
                [depth - 1, depth - 1, depth - 0.25], [parent + 0.3, row, row],
                color=MUTED, linewidth=1.1,
            )  # fmt: skip
        words = f"{node['condition']}: {node['n_units']} people"
        if node["group_number"] >= 0:
            number = int(node["group_number"])
            ax.plot(depth, row, MARKERS[number % len(MARKERS)], markersize=9,
                    color=COLOURS[number % len(COLOURS)])  # fmt: skip
            words = f"{words} \N{RIGHTWARDS ARROW} {node['group']}"
        ax.text(
            depth + 0.4,
            row,
            wrap(words, _CHARACTERS - 3 * depth),
            va="center",
            color=INK,
            fontweight="bold" if node["group_number"] >= 0 else "normal",
        )
    deepest = int(table["depth"].max())
    ax.set_xlim(-0.3, deepest + 9)
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.set_axis_off()
    return figure
