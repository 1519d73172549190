"""Propensities of the two arms, mirrored, so that missing overlap shows at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from bayes_hte.errors import DataError
from bayes_hte.plots import style


@style.styled
def plot_overlap(
    table: pd.DataFrame, *, title: str | None = None, ax: Axes | None = None
) -> Figure:
    """Draw the propensities of one arm upwards and of the other downwards.

    Parameters
    ----------
    table : DataFrame, one row per arm and bin
        ``arm`` (label; the reference arm first, two in all), ``bin_lower``, ``bin_upper``,
        ``share`` (of the units of the arm).

    Raises
    ------
    DataError
        If the table lacks a column or does not hold two arms.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte import plots
    >>> bins = {"bin_lower": [0.0, 0.5] * 2, "bin_upper": [0.5, 1.0] * 2}
    >>> arms = {"arm": ["usual", "usual", "new", "new"], "share": [0.9, 0.1, 0.3, 0.7]}
    >>> figure = plots.plot_overlap(pd.DataFrame({**arms, **bins}))
    >>> [words.get_text() for words in figure.axes[0].texts]
    ['usual (down)', 'new (up)']
    """
    table = style.need_columns(table, ("arm", "bin_lower", "bin_upper", "share"))
    arms = list(dict.fromkeys(table["arm"]))
    if len(arms) != 2:
        raise DataError(f"an overlap figure compares two arms, the table has {len(arms)}: {arms}.")
    figure, ax = style.new_axes(ax, height=3.2, title=title)
    for arm, sign, look in zip(
        arms,
        (-1, 1),
        ({"color": style.ORANGE, "hatch": "////"}, {"color": style.BLUE, "hatch": ""}),
        strict=True,
    ):
        rows = table[table["arm"] == arm]
        width, heights = rows["bin_upper"] - rows["bin_lower"], sign * 100 * rows["share"]
        look |= {"width": width.to_numpy(), "align": "edge", "edgecolor": "white"}
        ax.bar(rows["bin_lower"], heights.to_numpy(), linewidth=0.6, **look)
        # The emptier side of [0, 1] has room for the words.
        left = bool(np.average(rows["bin_lower"], weights=rows["share"]) > 0.5)
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
    ax.axhline(0, color=style.INK, linewidth=1.0)
    ax.set_ylim(-limit, limit)
    ax.set_xlim(0, 1)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{abs(value):g}"))
    ax.grid(axis="y", color=style.RULE, linewidth=0.6)
    ax.set_ylabel("share of the arm (%)")
    ax.set_xlabel(f"propensity: probability of being given\n{arms[1]}")
    return figure
