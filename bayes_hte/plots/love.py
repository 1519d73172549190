"""Love plot: how far the arms differ in each covariate, before and after matching or weighting."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bayes_hte.errors import DataError
from bayes_hte.plots.style import (
    COLOURS,
    MARKERS,
    MUTED,
    REFERENCE,
    RULE,
    legend_above,
    new_axes,
    rows_axis,
    styled,
    wrap,
)


@styled
def plot_love(
    table: pd.DataFrame,
    *,
    threshold: float = 0.1,
    xlabel: str = "standardised mean difference (treated \N{MINUS SIGN} control)",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the standardised mean differences of each covariate, one marker a weighting.

    Parameters
    ----------
    table : DataFrame, index covariate, one column a weighting
        Standardised mean differences, as :func:`bayes_hte.companions.compare_balance` returns them:
        ``raw`` first. NaN where there is none. Covariates are drawn by falling size of the first
        column, those without one last.
    threshold : float, default 0.1
        Size below which a difference is usually called small; drawn dotted on both sides.
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
        If the table is empty or holds something else than numbers.
    """
    words = [str(c) for c in table.columns if not pd.api.types.is_numeric_dtype(table[c])]
    if table.empty or words:
        raise DataError(
            "a love plot needs a row a covariate and a numeric column a weighting, got "
            + (f"words in {', '.join(words)}." if words else "an empty table.")
        )
    rows = table.sort_values(
        table.columns[0], key=np.abs, ascending=False, na_position="last", kind="stable"
    )
    figure, ax = new_axes(ax, height=1.5 + 0.34 * len(rows), title=title)
    ax.axvspan(-threshold, threshold, color=RULE, alpha=0.45, linewidth=0, zorder=0)
    for edge in (-threshold, threshold):
        ax.axvline(edge, color=MUTED, linewidth=1.2, linestyle=(0, (1, 1.5)), zorder=1)
    ax.axvline(0, **REFERENCE)
    for i, name in enumerate(rows.columns):
        # Side by side within the row, as equal differences would hide each other.
        places = np.arange(len(rows)) + 0.22 * (i - (rows.shape[1] - 1) / 2)
        ax.plot(
            rows[name].to_numpy(),
            places,
            MARKERS[i % len(MARKERS)],
            color=COLOURS[i % len(COLOURS)],
            # Hollow: before anything was done.
            markerfacecolor="white" if i == 0 else None,
            markeredgewidth=1.5,
            markersize=6,
            linestyle="none",
            label=str(name),
        )
    rows_axis(ax, [wrap(str(name), 22) for name in rows.index])
    for between in range(1, len(rows)):
        ax.axhline(between - 0.5, color=RULE, linewidth=0.6, zorder=0)
    ax.margins(x=0.06)
    ax.xaxis.set_major_locator(MaxNLocator(3))
    ax.set_xlabel(f"{wrap(xlabel, 52)}\n(shaded: within {threshold:g})", loc="right")
    legend_above(ax, ncols=3)
    return figure
