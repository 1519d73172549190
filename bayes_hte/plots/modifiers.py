"""The effect along one modifier: averages of groups of people, with posterior bands."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.plots import style


@style.styled
def plot_modifier(
    table: pd.DataFrame,
    *,
    labels: dict[str, str] | None = None,
    better: style.Better | None = None,
    xlabel: str = "modifier",
    ylabel: str = "effect",
    limits: tuple[float, float] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    r"""Draw the average effect of groups of units along a modifier.

    A modifier in quantile groups is drawn along the x axis, with a line and a band; a modifier with
    levels is drawn one level per row, the effect along the x axis, as its labels are words.

    Parameters
    ----------
    table : DataFrame, one row per effect and group
        ``effect`` (name), ``group`` (label), ``position`` (mean of the modifier in the group, NaN
        in every row for levels), ``n_units``, ``mean``, ``ci_lower``, ``ci_upper``, ``ci_prob``,
        ``ci_kind``.
    labels : dict of str to str, optional
        Words shown instead of the names of the effects.
    xlabel, ylabel : str
        The modifier, and the effect with its unit.

    Raises
    ------
    DataError
        If the table lacks a column or mixes intervals.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte import plots
    >>> table = pd.DataFrame({"effect": "te", "group": ["young", "old"], "position": [30.0, 70.0]})
    >>> table = table.assign(n_units=9, mean=[1.0, 2.0], ci_lower=0.0, ci_upper=3.0)
    >>> figure = plots.plot_modifier(table.assign(ci_prob=0.9, ci_kind="eti"), xlabel="age")
    >>> figure.axes[0].get_xlabel()
    'age\nband: 90% posterior interval, equal-tailed'
    """
    table, note = style.summaries(table, "effect", "group", "position", "n_units")
    words, n_levels = labels or {}, table["group"].nunique()
    series = [(words.get(n, str(n)), rows) for n, rows in table.groupby("effect", sort=False)]
    if table["position"].isna().all():
        height = 1.5 + n_levels * (0.16 * len(series) + 0.2)
        figure, ax = style.new_axes(ax, height=height, title=title)
        for i, (label, rows) in enumerate(series):
            _levels(ax, rows, i, len(series), label)
        first = series[0][1][["group", "n_units"]]
        style.rows_axis(ax, [f"{style.wrap(str(g), 22)}\n({n})" for g, n in first.to_numpy()])
        style.effect_axis(ax, label=ylabel, note=f"line: {note}", better=better, limits=limits)
    else:
        figure, ax = style.new_axes(ax, height=3.4, title=title)
        for i, (label, rows) in enumerate(series):
            look = {"marker": style.MARKERS[i], "markersize": 5, "linewidth": 1.5}
            style.draw_band(ax, "position", rows, series=i, label=label, **look)
        style.effect_height(ax, ylabel, better=better)
        ax.set_xlabel(f"{xlabel}\nband: {note}")
        if limits is not None:
            ax.set_ylim(*limits)
    if len(series) > 1:
        style.legend_above(ax, ncols=len(series))
    return figure


def _levels(ax: Axes, rows: pd.DataFrame, i: int, n_series: int, label: str) -> None:
    y = [row + (i - (n_series - 1) / 2) * 0.3 for row in range(len(rows))]
    colour = style.COLOURS[i]
    ax.hlines(y, rows["ci_lower"], rows["ci_upper"], color=colour, linewidth=1.6)
    marker = style.MARKERS[i]
    ax.plot(rows["mean"].to_numpy(), y, marker, color=colour, markersize=5.5, label=label)
