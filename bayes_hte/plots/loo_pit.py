"""Calibration of left-out predictions: where the outcomes fall in their predictive distribution."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.checks.loo_pit import BAND
from bayes_hte.errors import DataError
from bayes_hte.plots.style import (
    BLUE,
    ORANGE,
    REFERENCE,
    RULE,
    legend_above,
    need_columns,
    new_axes,
    styled,
    with_column,
)

# In the order of the arms, reference arm first, as in the overlap figure.
_LOOKS = ((ORANGE, "o", "////"), (BLUE, "s", ""))


@styled
def plot_loo_pit(
    table: pd.DataFrame, *, title: str | None = None, ax: Axes | None = None
) -> Figure:
    """Draw the share of each arm's outcomes in each tenth of their left-out predictions.

    Boxes span what a calibrated model gives; markers outside are shown filled. Too many in the
    outer tenths mean predictions that are too narrow, too few that are too wide, a slope a bias.

    Parameters
    ----------
    table : DataFrame, index (arm, from) or these two as columns
        ``to``, ``share``, ``lower``, ``upper``: the table of the check of left-out predictions by
        arm; the reference arm first, at most two.
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
        If the table lacks a column, is empty (the check could not run) or has more than two arms.
    """
    table = with_column(table, "arm")
    need_columns(table, ("arm", "from", "to", "share", "lower", "upper"))
    arms = list(dict.fromkeys(table["arm"]))
    if not 1 <= len(arms) <= len(_LOOKS):
        raise DataError(f"a figure of left-out predictions shows one or two arms, got {arms}.")
    figure, ax = new_axes(ax, height=3.5, title=title)
    for i, (arm, (colour, marker, hatch)) in enumerate(zip(arms, _LOOKS, strict=False)):
        rows = table[table["arm"] == arm]
        step = (rows["to"] - rows["from"]).to_numpy()
        width = 0.8 * step / len(arms)
        left = rows["from"].to_numpy() + 0.1 * step + i * width
        lower, share, upper = (100 * rows[c].to_numpy() for c in ("lower", "share", "upper"))
        ax.bar(
            left,
            upper - lower,
            width=0.92 * width,
            bottom=lower,
            align="edge",
            color=colour,
            alpha=0.35,
            hatch=hatch,
            linewidth=0,
        )
        outside = (share < lower) | (share > upper)
        for chosen, face in ((~outside, "white"), (outside, colour)):
            ax.plot(
                (left + 0.46 * width)[chosen],
                share[chosen],
                marker,
                color=colour,
                markerfacecolor=face,
                markeredgewidth=1.5,
                markersize=6,
                linestyle="none",
                label=str(arm) if face == "white" else "_outside",
            )
    ax.axhline(100 * float(rows["to"].iloc[0] - rows["from"].iloc[0]), **REFERENCE)
    ax.set_xlim(0, 1)
    ax.set_ylim(bottom=0)
    ax.set_ylabel("share of the arm (%)")
    ax.set_xlabel(
        "place of the outcome in its left-out prediction\n(0: lowest, 1: highest)\n"
        f"boxes: {BAND:.0%} of calibrated models; filled: outside"
    )
    ax.grid(axis="y", color=RULE, linewidth=0.6)
    legend_above(ax)
    return figure
