"""Qini and TOC curves: the gain of treating the most promising people first, with bands."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.errors import DataError
from bayes_hte.plots import style


@style.styled
def plot_targeting_curve(
    table: pd.DataFrame,
    *,
    labels: Mapping[str, str] | None = None,
    xlabel: str = "share treated, most promising first (%)",
    ylabel: str = "gain over a random choice",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the height of one or several curves at each share of people, in a band.

    Parameters
    ----------
    table : DataFrame, one row per fraction, or per curve and fraction
        ``fraction`` (may be the index), ``mean``, ``ci_lower``, ``ci_upper``, ``ci_prob``,
        ``ci_kind``, as :meth:`bayes_hte.targeting.TargetingCurve.curve_summary` returns them; with
        several curves also ``curve``, the name of each (at most three).
    labels : mapping of str to str, optional
        Words shown instead of the names of the curves.
    xlabel, ylabel : str
        What the axes show; the height is in units of benefit, positive is good.

    Raises
    ------
    DataError
        If the table lacks a column, mixes intervals or holds too many curves.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte import plots
    >>> table = pd.DataFrame({"fraction": [0.2, 1.0], "mean": [0.4, 0.0]})
    >>> table = table.assign(ci_lower=-0.1, ci_upper=0.6, ci_prob=0.9, ci_kind="eti")
    >>> plots.plot_targeting_curve(table, ylabel="gain (points)").axes[0].get_ylabel()
    'gain (points)'
    """
    table, note = style.summaries(table, "fraction")
    named = "curve" in table.columns
    series = list(table.groupby("curve", sort=False)) if named else [("", table)]
    if len(series) > len(style.LINES):
        raise DataError(f"a figure holds at most {len(style.LINES)} curves, got {len(series)}.")
    figure, ax = style.new_axes(ax, height=3.4, title=title)
    style.effect_height(ax, ylabel, better=None)
    words = labels or {}
    for i, (name, rows) in enumerate(series):
        look = {"marker": style.MARKERS[i], "markersize": 4, "linewidth": 1.5}
        percent = rows.assign(fraction=100 * rows["fraction"])
        label = style.legend_label(words.get(name, name))
        style.draw_band(ax, "fraction", percent, series=i, label=label, **look)
    ax.set_xlim(0, 100)
    ax.set_xlabel(f"{style.wrap(xlabel)}\npointwise band: {note}", loc="right")
    if named:
        style.legend_above(ax, ncols=len(series))
    return figure
