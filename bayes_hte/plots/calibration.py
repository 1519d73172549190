"""Calibration of individual effects: predicted against observed, in bins of the prediction."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bayes_hte.errors import DataError
from bayes_hte.plots.style import (
    BLUE,
    MUTED,
    REFERENCE,
    RULE,
    interval_of,
    need_columns,
    new_axes,
    styled,
    with_column,
    wrap,
)


@styled
def plot_calibration(
    table: pd.DataFrame,
    *,
    xlabel: str = "predicted effect",
    ylabel: str = "observed effect",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the observed average effect of each bin over the predicted one, both with intervals.

    Parameters
    ----------
    table : DataFrame, index (quantity, bin) or these two as columns
        Rows of the quantities ``predicted`` and ``observed`` with ``mean``, ``ci_lower``,
        ``ci_upper``, ``ci_prob``, ``ci_kind``, as :meth:`bayes_hte.targeting.Calibration.summary`
        returns them; other quantities are left out.
    xlabel, ylabel : str
        The two effects, with their unit.
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
        If the table lacks a column or quantity, or mixes intervals.
    """
    table = with_column(table, "quantity")
    need_columns(table, ("quantity", "bin", "mean", "ci_lower", "ci_upper"))
    note = interval_of(table)
    x, y = (
        table[table["quantity"] == name].set_index("bin").sort_index()
        for name in ("predicted", "observed")
    )
    if x.empty or not x.index.equals(y.index):
        raise DataError(
            "calibration needs the same bins of the quantities 'predicted' and 'observed', got "
            f"{list(x.index)} and {list(y.index)}."
        )
    figure, ax = new_axes(ax, height=4.1, title=title)
    ax.axline((0, 0), slope=1, **REFERENCE)
    for zero in (ax.axhline, ax.axvline):
        zero(0, color=MUTED, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=1)
    ax.vlines(x["mean"], y["ci_lower"], y["ci_upper"], color=BLUE, linewidth=2.0)
    ax.hlines(y["mean"], x["ci_lower"], x["ci_upper"], color=BLUE, linewidth=1.0)
    ax.plot(
        x["mean"].to_numpy(),
        y["mean"].to_numpy(),
        "o",
        color=BLUE,
        markeredgecolor="white",
        markersize=7,
    )
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    ax.grid(color=RULE, linewidth=0.6)
    ax.set_xlabel(f"{wrap(xlabel)}\nlines: {note}\ndashed: predicted and observed agree")
    ax.set_ylabel(wrap(ylabel, 30))
    return figure
