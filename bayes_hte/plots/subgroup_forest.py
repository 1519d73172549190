"""Forest plot of the subgroups: mean effect and interval of each, and of everyone."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.plots.style import (
    COLOURS,
    INK,
    MARKERS,
    Better,
    effect_axis,
    interval_of,
    need_columns,
    new_axes,
    rows_axis,
    styled,
)


@styled
def plot_subgroup_forest(
    table: pd.DataFrame,
    *,
    better: Better | None = None,
    important: float | None = None,
    xlabel: str = "mean effect",
    units: str = "people",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw one row a subgroup, its size in the label; other rows (all units) in black below.

    Parameters
    ----------
    table : DataFrame, one row a subgroup, then optional rows for comparison
        ``group`` (label), ``n_units``, ``is_subgroup`` (bool), ``mean``, ``ci_lower``,
        ``ci_upper``, ``ci_prob``, ``ci_kind``.
    better, important : optional
        Direction of benefit and minimal important difference (drawn dotted).
    xlabel : str
        What the axis shows, with its unit.
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
        If the table lacks a column or mixes intervals.
    """
    columns = ("group", "n_units", "is_subgroup", "mean", "ci_lower", "ci_upper")
    need_columns(table, columns)
    note = "line: " + interval_of(table)
    figure, ax = new_axes(ax, height=1.3 + 0.52 * len(table), title=title)
    colours = np.where(table["is_subgroup"], np.resize(COLOURS, len(table)), INK)
    for row, (colour, numbers) in enumerate(zip(colours, table.to_dict("records"), strict=True)):
        ends = [numbers["ci_lower"], numbers["ci_upper"]]
        ax.plot(ends, [row] * 2, color=colour, linewidth=2.2, solid_capstyle="butt")
        marker = MARKERS[row % len(MARKERS)] if numbers["is_subgroup"] else "|"
        ax.plot(
            numbers["mean"],
            row,
            marker,
            color=colour,
            markersize=8,
            markeredgewidth=1.8,
            markeredgecolor="white" if numbers["is_subgroup"] else INK,
        )
    rows_axis(
        ax, [f"{g}\n({n} {units})" for g, n in zip(table["group"], table["n_units"], strict=True)]
    )
    effect_axis(ax, label=xlabel, note=note, better=better, important=important)
    return figure
