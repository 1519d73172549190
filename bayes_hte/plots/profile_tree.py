"""The profile of the subgroups as an outline: one row per question, indented by its depth."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.plots import style

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


@style.styled
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
    table : DataFrame, one row per node, parents before children, in the order to be read
        ``depth`` (0 is the root), ``condition`` (words of the step from the parent), ``n_units``,
        ``group`` (label of the subgroup of a leaf, None for inner nodes), ``group_number``
        (position of that subgroup, for its colour and marker; -1 for inner nodes).

    Raises
    ------
    DataError
        If the table lacks a column.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte import plots
    >>> steps = {"depth": [0, 1, 1], "condition": ["all", "age at most 40", "age above 40"]}
    >>> table = pd.DataFrame({**steps, "n_units": [10, 4, 6], "group_number": [-1, 0, 1]})
    >>> figure = plots.plot_profile_tree(table.assign(group=[None, "Subgroup A", "Subgroup B"]))
    >>> figure.axes[0].texts[0].get_text()
    'all: 10 people'
    """
    table = style.need_columns(table, ("depth", "condition", "n_units", "group", "group_number"))
    nodes = table.to_dict("records")
    deepest = int(table["depth"].max())
    words = [_words(node, units, deepest) for node in nodes]
    lines = max(w.count("\n") for w in words)
    height = 0.3 + (_ROW + _LINE * lines) * len(nodes)
    figure, ax = style.new_axes(ax, height=height, title=title)
    for row, (node, said) in enumerate(zip(nodes, words, strict=True)):
        depth, leaf = int(node["depth"]), node["group_number"] >= 0
        if depth:
            parent = max(r for r in range(row) if nodes[r]["depth"] == depth - 1)
            step = [depth - 1, depth - 1, depth - 0.25], [parent + 0.3, row, row]
            ax.plot(*step, color=style.MUTED, linewidth=1.1)
        if leaf:
            number = int(node["group_number"])
            colour = style.COLOURS[number % len(style.COLOURS)]
            marker = style.MARKERS[number % len(style.MARKERS)]
            ax.plot(depth, row, marker, markersize=9, color=colour)
        weight = "bold" if leaf else "normal"
        ax.text(depth + _GAP, row, said, va="center", color=style.INK, fontweight=weight)
    ax.set_xlim(-_LEFT, deepest + _STEPS)
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.set_axis_off()
    return figure


def _words(node: dict[str, Any], units: str, deepest: int) -> str:
    """Say what a node holds, in lines that end within the figure."""
    words = f"{node['condition']}: {node['n_units']} {units}"
    if node["group_number"] >= 0:
        words = f"{words} \N{RIGHTWARDS ARROW} {node['group']}"
    step = style.WIDTH * _INSIDE / (_LEFT + deepest + _STEPS)
    room = step * (deepest + _STEPS - node["depth"] - _GAP)
    return style.wrap(words, int(room / _LETTER))
