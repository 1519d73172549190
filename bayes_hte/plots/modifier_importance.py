"""Which covariates an effect varies with: their share of the splits of the trees."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.plots.style import (
    BLUE,
    MUTED,
    RULE,
    interval_of,
    need_columns,
    new_axes,
    rows_axis,
    styled,
    wrap,
)


@styled
def plot_modifier_importance(
    table: pd.DataFrame,
    *,
    largest: int = 15,
    xlabel: str = "share of splits of the effect's trees",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the share of splits that each covariate takes, the largest on top.

    A covariate that most draws do not use at all is drawn pale; the probability that it is used
    stands in its label.

    Parameters
    ----------
    table : DataFrame, one row a covariate
        ``covariate``, ``mean``, ``ci_lower``, ``ci_upper``, ``prob_used``, ``ci_prob``,
        ``ci_kind``, as :meth:`bayes_hte.Fit.modifiers` returns them, of one component.
    largest : int, default 15
        Covariates drawn at most.
    xlabel : str
        What the axis shows.
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
    need_columns(table, ("covariate", "mean", "ci_lower", "ci_upper", "prob_used"))
    note = "marker: mean; line: " + interval_of(table)
    rows = table.sort_values("mean", ascending=False, kind="stable").head(largest)
    figure, ax = new_axes(ax, height=1.5 + 0.42 * len(rows), title=title)
    places, used = np.arange(len(rows)), rows["prob_used"].to_numpy() >= 0.5
    for chosen, colour in ((used, BLUE), (~used, MUTED)):
        some = rows[chosen]
        ax.hlines(places[chosen], some["ci_lower"], some["ci_upper"], color=colour, linewidth=2.2)
        ax.plot(some["mean"].to_numpy(), places[chosen], "o", color=colour, markersize=6.5)
    labels = zip(rows["covariate"], rows["prob_used"], strict=True)
    rows_axis(ax, [f"{wrap(str(name), 22)}\n(used: {prob:.2f})" for name, prob in labels])
    ax.set_xlim(0, min(1.0, 1.05 * max(float(rows["ci_upper"].max()), 0.1)))
    ax.grid(axis="x", color=RULE, linewidth=0.6)
    ax.set_xlabel(f"{wrap(xlabel)}\n{note}", loc="right")
    return figure
