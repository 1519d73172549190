"""Likelihood and moments compared: two intervals per quantity, and the truth where known."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.plots import style

# Name, colour, marker and height above the row.
_WAYS: Final = (("likelihood", style.BLUE, "o", 0.16), ("moments", style.VERMILLION, "s", -0.16))
_PARTS: Final = ("median", "lower", "upper")


@style.styled
def plot_agreement(
    table: pd.DataFrame,
    *,
    quantity: Literal["effect", "probability"] = "effect",
    better: style.Better | None = None,
    important: float | None = None,
    xlabel: str = "mean effect of the class",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the two answers to each quantity, one above the other.

    Parameters
    ----------
    table : DataFrame, one row per quantity
        ``label``; for each of ``likelihood`` and ``moments`` the columns ``_median``, ``_lower``
        and ``_upper`` (NaN where there is no answer); ``ci_prob``, ``ci_kind``; optionally
        ``truth``.
    quantity : {"effect", "probability"}
        Effects have a zero and a direction, probabilities an axis from 0 to 1.
    xlabel : str
        Quantity on the axis, with its unit.

    Raises
    ------
    DataError
        If the table lacks a column or mixes intervals.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte import plots
    >>> rows = {f"{way}_{part}": [0.1] for way in ("likelihood", "moments")
    ...         for part in ("median", "lower", "upper")}
    >>> table = pd.DataFrame({"label": ["Class 0"], **rows}).assign(ci_prob=0.95, ci_kind="eti")
    >>> [t.get_text() for t in plots.plot_agreement(table).legends[0].get_texts()]
    ['likelihood', 'moments']
    """
    columns = ("label", *(f"{way}_{part}" for way, *_ in _WAYS for part in _PARTS))
    table = style.need_columns(table, columns)
    note = "marker: median; line: " + style.interval_of(table)
    figure, ax = style.new_axes(ax, height=1.9 + 0.55 * len(table), title=title)
    rows = np.arange(len(table))
    for way, colour, marker, above in _WAYS:
        middle, low, high = (table[f"{way}_{part}"].to_numpy(dtype=float) for part in _PARTS)
        seen = np.isfinite(middle)
        if not seen.any():
            continue
        # The y axis points down.
        places = rows[seen] - above
        look = {"color": colour, "markersize": 7, "markeredgecolor": "white", "label": way}
        ax.hlines(places, low[seen], high[seen], color=colour, linewidth=2.2)
        ax.plot(middle[seen], places, marker, **look)
    if "truth" in table:
        look = {"color": style.INK, "linewidth": 1.8, "label": "truth"}
        ax.vlines(table["truth"], rows - 0.36, rows + 0.36, **look)
    style.rows_axis(ax, [style.wrap(str(label), 20) for label in table["label"]])
    if quantity == "effect":
        style.effect_axis(ax, label=xlabel, note=note, better=better, important=important)
    else:
        ax.set_xlim(0, 1)
        ax.grid(axis="x", color=style.RULE, linewidth=0.6)
        ax.set_xlabel(f"{style.wrap(xlabel)}\n{note}", loc="right")
    style.legend_above(ax, ncols=3, columnspacing=1.2)
    return figure
