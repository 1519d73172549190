"""Propensities of the two arms, mirrored, so that missing overlap is seen at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bayes_hte.errors import DataError
from bayes_hte.plots.style import BLUE, INK, ORANGE, RULE, need_columns, new_axes, styled


@styled
def plot_overlap(
    table: pd.DataFrame, *, title: str | None = None, ax: Axes | None = None
) -> Figure:
    """Draw the propensities of one arm upwards and of the other downwards.

    Parameters
    ----------
    table : DataFrame, one row an arm and bin
        ``arm`` (label; the reference arm first, two in all), ``bin_lower``, ``bin_upper``,
        ``share`` (of the units of the arm).
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
        If the table lacks a column or has not two arms.
    """
    need_columns(table, ("arm", "bin_lower", "bin_upper", "share"))
    arms = list(dict.fromkeys(table["arm"]))
    if len(arms) != 2:
        raise DataError(f"an overlap figure compares two arms, the table has {len(arms)}: {arms}.")
    figure, ax = new_axes(ax, height=3.2, title=title)
    looks = ((-1, ORANGE, "////"), (1, BLUE, ""))
    for arm, (sign, colour, hatch) in zip(arms, looks, strict=True):
        rows = table[table["arm"] == arm]
        ax.bar(
            rows["bin_lower"],
            sign * 100 * rows["share"].to_numpy(),
            width=(rows["bin_upper"] - rows["bin_lower"]).to_numpy(),
            align="edge",
            color=colour,
            hatch=hatch,
            edgecolor="white",
            linewidth=0.6,
        )
        # The emptier side of [0, 1] has room for the words.
        middle = np.average(rows["bin_lower"], weights=rows["share"])
        left = bool(middle > 0.5)
        ax.text(
            0.02 if left else 0.98,
            0.95 if sign > 0 else 0.05,
            f"{arm} {'(up)' if sign > 0 else '(down)'}",
            transform=ax.transAxes,
            ha="left" if left else "right",
            va="top" if sign > 0 else "bottom",
            fontweight="bold",
        )
    limit = 1.35 * 100 * float(table["share"].max())
    ax.axhline(0, color=INK, linewidth=1.0)
    ax.set_ylim(-limit, limit)
    ax.set_xlim(0, 1)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):g}"))
    ax.grid(axis="y", color=RULE, linewidth=0.6)
    ax.set_ylabel("share of the arm (%)")
    ax.set_xlabel(f"propensity: probability of being given\n{arms[1]}")
    return figure
