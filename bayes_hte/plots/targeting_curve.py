"""Qini and TOC curves: what treating the most promising people first gains, with bands."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bayes_hte.errors import DataError
from bayes_hte.plots.style import (
    COLOURS,
    INK,
    MARKERS,
    RULE,
    interval_of,
    need_columns,
    new_axes,
    styled,
    wrap,
)

_LINES = ("-", (0, (4, 2)), (0, (1, 1)))


@styled
def plot_targeting_curve(
    table: pd.DataFrame,
    *,
    labels: Mapping[str, str] | None = None,
    xlabel: str = "share treated, most promising first (%)",
    ylabel: str = "gain over a random choice",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the height of one or several curves at each share of people, in a band.

    Parameters
    ----------
    table : DataFrame, one row a fraction, or a curve and fraction
        ``fraction`` (may be the index), ``mean``, ``ci_lower``, ``ci_upper``, ``ci_prob``,
        ``ci_kind``, as :meth:`bayes_hte.targeting.TargetingCurve.curve_summary` returns them; with
        several curves also ``curve``, the name of each (at most three).
    labels : mapping of str to str, optional
        Words shown instead of the names of the curves.
    xlabel, ylabel : str
        What the axes show; the height is in units of benefit, positive is good.
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
        If the table lacks a column, mixes intervals or holds too many curves.
    """
    if "fraction" not in table.columns and "fraction" in table.index.names:
        table = table.reset_index()
    need_columns(table, ("fraction", "mean", "ci_lower", "ci_upper"))
    note = interval_of(table)
    named = "curve" in table.columns
    series = list(table.groupby("curve", sort=False)) if named else [("", table)]
    if len(series) > len(_LINES):
        raise DataError(f"a figure holds at most {len(_LINES)} curves, got {len(series)}.")
    figure, ax = new_axes(ax, height=3.4, title=title)
    ax.axhline(0, color=INK, linewidth=1.0, linestyle=(0, (5, 3)), zorder=1)
    words = labels or {}
    for i, (name, rows) in enumerate(series):
        share = 100 * rows["fraction"].to_numpy()
        band = (rows["ci_lower"].to_numpy(), rows["ci_upper"].to_numpy())
        ax.fill_between(share, *band, color=COLOURS[i], alpha=0.22, linewidth=0)
        ax.plot(
            share,
            rows["mean"].to_numpy(),
            color=COLOURS[i],
            linestyle=_LINES[i],
            marker=MARKERS[i],
            markersize=4,
            linewidth=1.5,
            label=words.get(str(name), str(name)),
        )
    ax.set_xlim(0, 100)
    ax.yaxis.set_major_locator(MaxNLocator(6))
    ax.grid(axis="y", color=RULE, linewidth=0.6)
    ax.set_xlabel(f"{wrap(xlabel)}\npointwise band: {note}", loc="right")
    ax.set_ylabel(wrap(ylabel, 30))
    if named:
        figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=len(series))
    return figure
