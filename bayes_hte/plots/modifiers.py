"""The effect along one modifier: averages of groups of people, with posterior bands."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.plots.style import (
    COLOURS,
    MARKERS,
    Better,
    draw_band,
    effect_axis,
    effect_height,
    interval_of,
    legend_above,
    need_columns,
    new_axes,
    rows_axis,
    styled,
    wrap,
)


@styled
def plot_modifier(
    table: pd.DataFrame,
    *,
    labels: dict[str, str] | None = None,
    better: Better | None = None,
    xlabel: str = "modifier",
    ylabel: str = "effect",
    limits: tuple[float, float] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the average effect of groups of units along a modifier.

    A modifier in quantile groups is drawn along the x axis, with a line and a band; a modifier with
    levels is drawn one level a row, the effect along the x axis, as its labels are words.

    Parameters
    ----------
    table : DataFrame, one row an effect and group
        ``effect`` (name), ``group`` (label), ``position`` (mean of the modifier in the group, NaN
        in every row for levels), ``n_units``, ``mean``, ``ci_lower``, ``ci_upper``, ``ci_prob``,
        ``ci_kind``.
    labels : dict of str to str, optional
        Words shown instead of the names of the effects.
    better : {"higher", "lower"}, optional
        Direction of benefit, said on the axis of the effect.
    xlabel, ylabel : str
        The modifier, and the effect with its unit.
    limits : (float, float), optional
        Ends of the axis of the effect, to make several modifiers comparable.
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
    columns = ("effect", "group", "position", "n_units", "mean", "ci_lower", "ci_upper")
    need_columns(table, columns)
    note = interval_of(table)
    series = list(table.groupby("effect", sort=False))
    words = labels or {}
    if table["position"].isna().all():
        n_levels = table["group"].nunique()
        figure, ax = new_axes(ax, height=1.5 + n_levels * (0.16 * len(series) + 0.2), title=title)
        for i, (name, rows) in enumerate(series):
            _levels(ax, rows, i, len(series), words.get(str(name), str(name)))
        first = series[0][1]
        rows_axis(
            ax,
            [
                f"{wrap(g, 22)}\n({n})"
                for g, n in zip(first["group"], first["n_units"], strict=True)
            ],
        )
        effect_axis(ax, label=ylabel, note="line: " + note, better=better, limits=limits)
    else:
        figure, ax = new_axes(ax, height=3.4, title=title)
        for i, (name, rows) in enumerate(series):
            look = {"marker": MARKERS[i], "markersize": 5, "linewidth": 1.5}
            label = words.get(str(name), str(name))
            draw_band(ax, "position", rows, series=i, label=label, **look)
        effect_height(ax, ylabel, better=better)
        ax.set_xlabel(f"{xlabel}\nband: {note}")
        if limits is not None:
            ax.set_ylim(*limits)
    if len(series) > 1:
        legend_above(ax, ncols=len(series))
    return figure


def _levels(ax: Axes, rows: pd.DataFrame, i: int, n_series: int, label: str) -> None:
    y = [row + (i - (n_series - 1) / 2) * 0.3 for row in range(len(rows))]
    ax.hlines(y, rows["ci_lower"], rows["ci_upper"], color=COLOURS[i], linewidth=1.6)
    ax.plot(rows["mean"].to_numpy(), y, MARKERS[i], color=COLOURS[i], markersize=5.5, label=label)
