"""Indirect and direct effect over the assumed correlation of the errors of mediator and outcome."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bayes_hte.errors import DataError
from bayes_hte.plots.style import (
    INK,
    MUTED,
    Better,
    draw_band,
    effect_height,
    interval_of,
    legend_above,
    need_columns,
    new_axes,
    styled,
    with_column,
    wrap,
)

_WORDS = {"tnie": "indirect effect (TNIE)", "pnde": "direct effect (PNDE)"}


@styled
def plot_rho(
    table: pd.DataFrame,
    *,
    root: pd.DataFrame | None = None,
    labels: Mapping[str, str] = _WORDS,
    better: Better | None = None,
    xlabel: str = "assumed correlation of the errors (rho)",
    ylabel: str = "average effect",
    limits: tuple[float, float] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw average effects over rho with their bands, and where the indirect effect is zero.

    Parameters
    ----------
    table : DataFrame, index (quantity, rho) or these two as columns
        ``mean``, ``ci_lower``, ``ci_upper``, ``ci_prob``, ``ci_kind``, as
        :meth:`bayes_hte.sensitivity.MediationRho.summary` returns them; at most two quantities.
    root : DataFrame, optional
        With a row ``rho_zero``, as `MediationRho.root_summary` returns it: drawn on the line of
        zero as median and interval.
    labels : mapping of str to str
        Words shown instead of the names of the quantities.
    better : {"higher", "lower"}, optional
        Direction of benefit, said on the axis of the effect.
    xlabel, ylabel : str
        The correlation, and the effect with its unit.
    limits : (float, float), optional
        Ends of the axis of the effect; effects run far away as rho nears -1 or 1.
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
        If a table lacks a column or row, mixes intervals, or holds more than two quantities.
    """
    table = with_column(table, "quantity")
    need_columns(table, ("quantity", "rho", "mean", "ci_lower", "ci_upper"))
    note = interval_of(table)
    series = list(table.groupby("quantity", sort=False))
    if len(series) > 2:
        raise DataError(f"a figure over rho holds at most two effects, got {len(series)}.")
    figure, ax = new_axes(ax, height=3.7, title=title)
    effect_height(ax, ylabel, better=better)
    ax.axvline(0, color=MUTED, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=1)
    for i, (name, rows) in enumerate(series):
        label = labels.get(str(name), str(name))
        draw_band(ax, "rho", rows, series=i, label=label, linewidth=1.8)
    if root is not None:
        _draw_root(ax, root)
    ax.set_xlabel(f"{wrap(xlabel)}\nband: {note}")
    ax.set_xlim(table["rho"].min(), table["rho"].max())
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 3, 10]))
    if limits is not None:
        ax.set_ylim(*limits)
    legend_above(ax, ncols=2)
    return figure


def _draw_root(ax: Axes, root: pd.DataFrame) -> None:
    need_columns(root, ("median", "ci_lower", "ci_upper"))
    if "rho_zero" not in root.index:
        raise DataError(f"the table of the root lacks the row rho_zero; got {list(root.index)}.")
    zero = root.loc["rho_zero"]
    ax.plot(
        [zero["ci_lower"], zero["ci_upper"]],
        [0, 0],
        color=INK,
        linewidth=3.0,
        solid_capstyle="butt",
        gid="root-interval",
    )
    ax.plot(
        zero["median"],
        0,
        "D",
        color=INK,
        markeredgecolor="white",
        markersize=6.5,
        linestyle="none",
        label=f"indirect effect zero at {zero['median']:.2f}",
    )
