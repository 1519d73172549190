"""Posterior densities of a few quantities, one under the other, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.errors import DataError
from bayes_hte.plots import style

GRID = 200


@style.styled
def plot_densities(
    draws: xr.Dataset | Mapping[str, xr.DataArray],
    table: pd.DataFrame,
    *,
    labels: Mapping[str, str] | None = None,
    better: style.Better | None = None,
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
    table : DataFrame, one row per name of `draws`
        ``mean``, ``ci_lower``, ``ci_upper``, ``ci_prob``, ``ci_kind``, as `summarize` returns.
        Its order is the order of the rows, the first on top.
    labels : mapping of str to str, optional
        Words shown instead of the names.
    xlabel : str
        What the axis shows, with its unit.

    Raises
    ------
    DataError
        If a row of the table has no draws, or the table lacks a column.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> from bayes_hte import plots
    >>> values = np.random.default_rng(1).normal(size=(2, 50))
    >>> draws = xr.Dataset({"te": (("chain", "draw"), values)})
    >>> figure = plots.plot_densities(draws, hte.summarize(draws), labels={"te": "total"})
    >>> figure.axes[0].get_yticklabels()[0].get_text()
    'total'
    """
    _, note = style.summaries(table)
    absent = [str(name) for name in table.index if name not in draws]
    if absent:
        raise DataError(f"no draws for {', '.join(absent)}; the draws hold {', '.join(draws)}.")
    figure, ax = style.new_axes(ax, height=1.1 + 0.62 * len(table), title=title)
    for row, (name, numbers) in enumerate(table.iterrows()):
        at, ends = row + 0.2, [numbers["ci_lower"], numbers["ci_upper"]]
        _density(ax, np.asarray(draws[name]).ravel(), base=at)
        line = {"linewidth": 2.2, "solid_capstyle": "butt", "gid": f"interval-{name}"}
        ax.plot(ends, [at] * 2, color=style.INK, **line)
        ax.plot(numbers["mean"], at, "o", color=style.INK, markersize=5.5, gid=f"mean-{name}")
    words = labels or {}
    style.rows_axis(ax, [words.get(name, str(name)) for name in table.index])
    style.effect_axis(ax, label=xlabel, note=f"line: {note}", better=better, important=important)
    return figure


def _density(ax: Axes, values: np.ndarray, *, base: float) -> None:
    """Fill a density of height 0.6 upwards (towards smaller y) from `base`."""
    if np.ptp(values) == 0:
        return  # A point mass has no density; its mean is drawn all the same.
    from arviz_stats.base import array_stats  # slow to import, and only needed here

    grid, density, _ = array_stats.kde(values, grid_len=GRID)
    top = base - 0.6 * density / density.max()
    ax.fill_between(grid, base, top, color=style.BLUE, alpha=0.3, linewidth=0)
    ax.plot(grid, top, color=style.BLUE, linewidth=1.2)
