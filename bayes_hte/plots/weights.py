"""Weights of the two arms: whether a few people speak for many."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, Locator, MaxNLocator, NullLocator

from bayes_hte.errors import DataError
from bayes_hte.plots import style

# In the order of the arms, reference arm first, as in the overlap figure.
_LOOKS = ((style.ORANGE, "////", "-"), (style.BLUE, "", (0, (4, 2))))
# Share of the axis (of its logarithm) left free on either side.
_ROOM = 0.03
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@style.styled
def plot_weights(
    table: pd.DataFrame,
    *,
    bounds: Mapping[str, float] | None = None,
    xlabel: str = "stabilised weight (log scale)",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the share of each arm's people in each bin of their weights.

    Parameters
    ----------
    table : DataFrame, one row per arm and bin
        ``arm`` (label; the reference arm first, two in all), ``bin_lower``, ``bin_upper`` (positive
        and adjoining, as equal steps of the logarithm), ``share`` (of the units of the arm).
    bounds : mapping of str to float, optional
        For an arm, the largest weight that clipped propensities allow; drawn as a line in the style
        of the arm, the number in the legend.
    xlabel : str
        What the axis shows.

    Raises
    ------
    DataError
        If the table lacks a column, does not hold two arms or has a bin that is not positive, or
        if `bounds` names another arm.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte import plots
    >>> bins = {"bin_lower": [0.5, 1.0] * 2, "bin_upper": [1.0, 2.0] * 2}
    >>> arms = {"arm": ["usual", "usual", "new", "new"], "share": [0.9, 0.1, 0.4, 0.6]}
    >>> figure = plots.plot_weights(pd.DataFrame({**arms, **bins}), bounds={"new": 3.0})
    >>> [label.get_text() for label in figure.legends[0].get_texts()]
    ['usual', 'new (clipped: at most 3)']
    """
    table = style.need_columns(table, ("arm", "bin_lower", "bin_upper", "share"))
    arms = list(dict.fromkeys(table["arm"]))
    bounds = bounds or {}
    if len(arms) != 2:
        raise DataError(f"a figure of weights compares two arms, got {len(arms)}: {arms}.")
    if unknown := set(bounds) - set(arms):
        raise DataError(f"bounds names {sorted(unknown, key=str)}; the arms are {arms}.")
    if not (table["bin_lower"] > 0).all():
        raise DataError("weights are drawn on a log scale: every bin must start above 0.")
    figure, ax = style.new_axes(ax, height=3.4, title=title)
    for arm, (colour, hatch, line) in zip(arms, _LOOKS, strict=True):
        rows = table[table["arm"] == arm]
        edges = np.append(rows["bin_lower"].to_numpy(), rows["bin_upper"].iloc[-1])
        shares = 100 * rows["share"].to_numpy()
        clip = f" (clipped: at most {bounds[arm]:.3g})" if arm in bounds else ""
        ax.stairs(shares, edges, fill=True, color=colour, alpha=0.45, hatch=hatch)
        look = {"linewidth": 1.6, "linestyle": line, "label": style.legend_label(f"{arm}{clip}")}
        ax.stairs(shares, edges, color=colour, **look)
        if arm in bounds:
            ax.axvline(bounds[arm], color=colour, linewidth=1.6, linestyle=line)
    ax.axvline(1, color=style.INK, linewidth=1.0, linestyle=(0, (1, 1.5)), zorder=3)
    ax.set_xscale("log")
    ends = [table["bin_lower"].min(), max([table["bin_upper"].max(), *bounds.values()])]
    ax.xaxis.set_major_locator(_locator(*ends))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    room = (ends[1] / ends[0]) ** _ROOM
    ax.set_xlim(ends[0] / room, ends[1] * room)
    ax.set_ylim(bottom=0)
    ax.grid(axis="y", color=style.RULE, linewidth=0.6)
    ax.set_ylabel("share of the arm (%)")
    ax.set_xlabel(f"{xlabel}\ndotted: a weight of 1")
    style.legend_above(ax)
    return figure


def _locator(low: float, high: float) -> Locator:
    """Place round numbers, or equal steps where the axis is too short to hold three of them."""
    round_numbers = [tick for tick in _TICKS if low <= tick <= high]
    return FixedLocator(_TICKS) if len(round_numbers) >= 3 else MaxNLocator(4)
