"""One line a person: the individual effects in order, with their intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.plots.style import (
    BLUE,
    INK,
    Better,
    effect_axis,
    interval_of,
    need_columns,
    new_axes,
    styled,
)


@styled
def plot_caterpillar(
    table: pd.DataFrame,
    *,
    better: Better | None = None,
    important: float | None = None,
    xlabel: str = "individual effect",
    units: str = "people",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw each unit's posterior mean and interval at its rank.

    Parameters
    ----------
    table : DataFrame, one row a unit
        ``rank`` (1 is the smallest effect), ``mean``, ``ci_lower``, ``ci_upper``, ``ci_prob``,
        ``ci_kind``. Every row is drawn; thin a long table before.
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
    need_columns(table, ("rank", "mean", "ci_lower", "ci_upper"))
    note = "line: " + interval_of(table)
    figure, ax = new_axes(ax, height=4.6, title=title)
    rank = table["rank"].to_numpy()
    # Lines take about half of the room between two people, so that neighbours stay apart.
    width = float(np.clip(140 / max(len(table), 1), 0.4, 2.5))
    ax.hlines(rank, table["ci_lower"], table["ci_upper"], color=BLUE, alpha=0.55, linewidth=width)
    ax.plot(table["mean"], rank, "o", color=INK, markersize=1.6 + width, markeredgewidth=0)
    ax.set_ylim(rank.min() - 1, rank.max() + 1)
    ax.set_ylabel(f"{units}, ordered by their mean effect")
    effect_axis(ax, label=xlabel, note=note, better=better, important=important)
    return figure
