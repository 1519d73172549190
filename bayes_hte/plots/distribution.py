"""How individual effects are spread over people, with the uncertainty of the spread."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.plots import style


@style.styled
def plot_distribution(
    table: pd.DataFrame,
    *,
    better: style.Better | None = None,
    important: float | None = None,
    xlabel: str = "individual effect",
    units: str = "people",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the share of people whose effect lies in each bin.

    Parameters
    ----------
    table : DataFrame, one row per bin
        ``bin_lower``, ``bin_upper`` in outcome units; ``mean``, ``ci_lower``, ``ci_upper`` of the
        share of units in the bin; ``ci_prob``, ``ci_kind``.
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
    >>> table = pd.DataFrame({"bin_lower": [0, 1], "bin_upper": [1, 2], "mean": [0.7, 0.3]})
    >>> table = table.assign(ci_lower=table["mean"] - 0.1, ci_upper=table["mean"] + 0.1)
    >>> figure = plots.plot_distribution(table.assign(ci_prob=0.9, ci_kind="eti"))
    >>> [f"{bar.get_height():.0f}%" for bar in figure.axes[0].patches]
    ['70%', '30%']
    """
    table, note = style.summaries(table, "bin_lower", "bin_upper")
    figure, ax = style.new_axes(ax, height=3.2, title=title)
    columns = ("bin_lower", "bin_upper", "mean", "ci_lower", "ci_upper")
    lower, upper, mean, low, high = (table[column].to_numpy() for column in columns)
    bars = {"color": style.SKY, "edgecolor": "white", "linewidth": 0.6}
    ax.bar(lower, 100 * mean, width=upper - lower, align="edge", **bars)
    ax.vlines((lower + upper) / 2, 100 * low, 100 * high, color=style.INK, linewidth=1.0)
    ax.set_ylim(bottom=0)
    ax.set_ylabel(f"share of {units} (%)")
    style.effect_axis(
        ax, label=xlabel, note=f"whiskers: {note}", better=better, important=important
    )
    return figure
