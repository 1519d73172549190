"""Qini and TOC curves: what treating the most promising people first gains, with bands."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.errors import DataError
from bayes_hte.plots.style import (
    LINES,
    MARKERS,
    draw_band,
    effect_height,
    interval_of,
    legend_above,
    need_columns,
    new_axes,
    styled,
    with_column,
    wrap,
)


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
    table = with_column(table, "fraction")
    need_columns(table, ("fraction", "mean", "ci_lower", "ci_upper"))
    note = interval_of(table)
    named = "curve" in table.columns
    series = list(table.groupby("curve", sort=False)) if named else [("", table)]
    if len(series) > len(LINES):
        raise DataError(f"a figure holds at most {len(LINES)} curves, got {len(series)}.")
    figure, ax = new_axes(ax, height=3.4, title=title)
    effect_height(ax, ylabel, better=None)
    words = labels or {}
    for i, (name, rows) in enumerate(series):
        look = {"marker": MARKERS[i], "markersize": 4, "linewidth": 1.5}
        percent = rows.assign(fraction=100 * rows["fraction"])
        label = words.get(str(name), str(name))
        draw_band(ax, "fraction", percent, series=i, label=label, **look)
    ax.set_xlim(0, 100)
    ax.set_xlabel(f"{wrap(xlabel)}\npointwise band: {note}", loc="right")
    if named:
        legend_above(ax, ncols=len(series))
    return figure
