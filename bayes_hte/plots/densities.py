"""Posterior densities of a few quantities, one under the other, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.errors import DataError
from bayes_hte.plots.style import (
    BLUE,
    INK,
    Better,
    effect_axis,
    interval_of,
    need_columns,
    new_axes,
    rows_axis,
    styled,
)

GRID = 200


@styled
def plot_densities(
    draws: xr.Dataset | Mapping[str, xr.DataArray],
    table: pd.DataFrame,
    *,
    labels: Mapping[str, str] | None = None,
    better: Better | None = None,
    important: float | None = None,
    xlabel: str = "effect",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the posterior density of each quantity above its mean and interval.

    Parameters
    ----------
    draws : Dataset or mapping of str to DataArray, each of dims (chain, draw)
        Posterior draws by name; the density is estimated from them.
    table : DataFrame, one row a name of `draws`
        ``mean``, ``ci_lower``, ``ci_upper``, ``ci_prob``, ``ci_kind``, as `summarize` returns.
        Its order is the order of the rows, the first on top.
    labels : mapping of str to str, optional
        Words shown instead of the names.
    better, important : optional
        Direction of benefit and minimal important difference (drawn dotted).
    xlabel : str
        What the axis shows, with its unit.
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
        If a row of the table has no draws, or the table lacks a column.
    """
    need_columns(table, ("mean", "ci_lower", "ci_upper"))
    note = "line: " + interval_of(table)
    absent = [str(name) for name in table.index if name not in draws]
    if absent:
        raise DataError(f"no draws for {', '.join(absent)}; the draws hold {', '.join(draws)}.")
    figure, ax = new_axes(ax, height=1.1 + 0.62 * len(table), title=title)
    for row, (name, numbers) in enumerate(table.iterrows()):
        _density(ax, np.asarray(draws[str(name)]).ravel(), base=row + 0.2)
        ax.plot(
            [numbers["ci_lower"], numbers["ci_upper"]],
            [row + 0.2] * 2,
            color=INK,
            linewidth=2.2,
            solid_capstyle="butt",
            gid=f"interval-{name}",
        )
        ax.plot(numbers["mean"], row + 0.2, "o", color=INK, markersize=5.5, gid=f"mean-{name}")
    words = labels or {}
    rows_axis(ax, [words.get(str(name), str(name)) for name in table.index])
    effect_axis(ax, label=xlabel, note=note, better=better, important=important)
    return figure


def _density(ax: Axes, values: np.ndarray, *, base: float) -> None:
    """Fill a density of height 0.6 upwards (towards smaller y) from `base`."""
    if np.ptp(values) == 0:
        return  # A point mass has no density; its mean is drawn all the same.
    from arviz_stats.base import array_stats  # slow to import, and only needed here

    grid, density, _ = array_stats.kde(values, grid_len=GRID)
    top = base - 0.6 * density / density.max()
    ax.fill_between(grid, base, top, color=BLUE, alpha=0.3, linewidth=0)
    ax.plot(grid, top, color=BLUE, linewidth=1.2)
