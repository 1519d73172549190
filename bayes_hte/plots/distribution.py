"""How individual effects are spread over people, with the uncertainty of the spread."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.plots.style import (
    INK,
    SKY,
    Better,
    effect_axis,
    interval_of,
    need_columns,
    new_axes,
    styled,
)


@styled
def plot_distribution(
    table: pd.DataFrame,
    *,
    better: Better | None = None,
    important: float | None = None,
    xlabel: str = "individual effect",
    units: str = "people",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the share of people whose effect lies in each bin.

    Parameters
    ----------
    table : DataFrame, one row a bin
        ``bin_lower``, ``bin_upper`` in outcome units; ``mean``, ``ci_lower``, ``ci_upper`` of the
        share of units in the bin; ``ci_prob``, ``ci_kind``.
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
    need_columns(table, ("bin_lower", "bin_upper", "mean", "ci_lower", "ci_upper"))
    note = "whiskers: " + interval_of(table)
    figure, ax = new_axes(ax, height=3.2, title=title)
    lower, upper = table["bin_lower"].to_numpy(), table["bin_upper"].to_numpy()
    ax.bar(
        lower,
        100 * table["mean"].to_numpy(),
        width=upper - lower,
        align="edge",
        color=SKY,
        edgecolor="white",
        linewidth=0.6,
    )
    ax.vlines(
        (lower + upper) / 2,
        100 * table["ci_lower"].to_numpy(),
        100 * table["ci_upper"].to_numpy(),
        color=INK,
        linewidth=1.0,
    )
    ax.set_ylim(bottom=0)
    ax.set_ylabel(f"share of {units} (%)")
    effect_axis(ax, label=xlabel, note=note, better=better, important=important)
    return figure
