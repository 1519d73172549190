"""Likelihood and moments side by side: two intervals a quantity, and the truth where known."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.plots.style import (
    BLUE,
    INK,
    RULE,
    VERMILLION,
    Better,
    effect_axis,
    interval_of,
    legend_above,
    need_columns,
    new_axes,
    rows_axis,
    styled,
    wrap,
)

# Name, colour, marker and height above the row.
WAYS: Final = (("likelihood", BLUE, "o", 0.16), ("moments", VERMILLION, "s", -0.16))


@styled
def plot_agreement(
    table: pd.DataFrame,
    *,
    quantity: Literal["effect", "probability"] = "effect",
    better: Better | None = None,
    important: float | None = None,
    xlabel: str = "mean effect of the class",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the two answers to each quantity, one above the other.

    Parameters
    ----------
    table : DataFrame, one row a quantity
        ``label``; for each of ``likelihood`` and ``moments`` the columns ``_median``, ``_lower``
        and ``_upper`` (NaN where there is no answer); ``ci_prob``, ``ci_kind``; optionally
        ``truth``.
    quantity : {"effect", "probability"}
        What the rows are: effects have a zero and a direction, probabilities an axis from 0 to 1.
    better, important : optional
        Direction of benefit and minimal important difference of effects.
    xlabel : str
        What the axis shows, with its unit.
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
    parts = ("median", "lower", "upper")
    need_columns(table, ("label", *(f"{way}_{part}" for way, *_ in WAYS for part in parts)))
    note = "marker: median; line: " + interval_of(table)
    figure, ax = new_axes(ax, height=1.9 + 0.55 * len(table), title=title)
    rows = np.arange(len(table))
    for way, colour, marker, above in WAYS:
        middle, low, high = (table[f"{way}_{part}"].to_numpy(dtype=float) for part in parts)
        seen = np.isfinite(middle)
        if not seen.any():
            continue
        # The y axis points down.
        places = rows[seen] - above
        ax.hlines(places, low[seen], high[seen], color=colour, linewidth=2.2)
        ax.plot(
            middle[seen],
            places,
            marker,
            color=colour,
            markersize=7,
            markeredgecolor="white",
            label=way,
        )
    if "truth" in table:
        ax.vlines(table["truth"], rows - 0.36, rows + 0.36, color=INK, linewidth=1.8, label="truth")
    rows_axis(ax, [wrap(str(label), 20) for label in table["label"]])
    if quantity == "effect":
        effect_axis(ax, label=xlabel, note=note, better=better, important=important)
    else:
        ax.set_xlim(0, 1)
        ax.grid(axis="x", color=RULE, linewidth=0.6)
        ax.set_xlabel(f"{wrap(xlabel)}\n{note}", loc="right")
    legend_above(ax, ncols=3, columnspacing=1.2)
    return figure
