"""One line per person: the individual effects in order, with their intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.plots import style


@style.styled
def plot_caterpillar(
    table: pd.DataFrame,
    *,
    better: style.Better | None = None,
    important: float | None = None,
    xlabel: str = "individual effect",
    units: str = "people",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw each unit's posterior mean and interval at its rank.

    Parameters
    ----------
    table : DataFrame, one row per unit
        ``rank`` (1 is the smallest effect), ``mean``, ``ci_lower``, ``ci_upper``, ``ci_prob``,
        ``ci_kind``. Every row is drawn; thin a long table first.
    xlabel : str
        What the axis shows, with its unit.

    Raises
    ------
    DataError
        If the table lacks a column or mixes intervals.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte import plots
    >>> table = pd.DataFrame({"rank": [1, 2, 3], "mean": [-1.0, 0.5, 2.0]})
    >>> table = table.assign(ci_lower=table["mean"] - 1, ci_upper=table["mean"] + 1)
    >>> figure = plots.plot_caterpillar(table.assign(ci_prob=0.9, ci_kind="eti"), units="patients")
    >>> figure.axes[0].get_ylabel()
    'patients, ordered by their mean effect'
    """
    table, note = style.summaries(table, "rank")
    figure, ax = style.new_axes(ax, height=4.6, title=title)
    rank, ends = table["rank"].to_numpy(), (table["ci_lower"], table["ci_upper"])
    # Lines take about half of the room between two people, so that neighbours stay apart.
    width = float(np.clip(140 / max(len(table), 1), 0.4, 2.5))
    ax.hlines(rank, *ends, color=style.BLUE, alpha=0.55, linewidth=width)
    points = {"color": style.INK, "markersize": 1.6 + width, "markeredgewidth": 0}
    ax.plot(table["mean"], rank, "o", **points)
    ax.set_ylim(rank.min() - 1, rank.max() + 1)
    ax.set_ylabel(f"{units}, ordered by their mean effect")
    style.effect_axis(ax, label=xlabel, note=f"line: {note}", better=better, important=important)
    return figure
