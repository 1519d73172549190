"""Probability of benefit over the strength of a hidden confounder, with covariates to compare."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import MaxNLocator

from bayes_hte.errors import DataError
from bayes_hte.plots.style import (
    BLUE,
    INK,
    LINES,
    VERMILLION,
    legend_above,
    need_columns,
    new_axes,
    styled,
    wrap,
)

# More names than these run into each other; the weaker covariates are drawn without.
_NAMED = 4
_BELOW = -13.0  # points
_SHADES = LinearSegmentedColormap.from_list("tipping", [VERMILLION, "white", BLUE])


@styled
def plot_tipping(
    table: pd.DataFrame,
    *,
    tips: pd.DataFrame | None = None,
    benchmarks: pd.DataFrame | None = None,
    xlabel: str = "difference of the confounder between the arms",
    ylabel: str = "effect of the confounder on the outcome",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the probability of benefit that a confounder would leave, with lines where it tips.

    Parameters
    ----------
    table : DataFrame, one row a point of a grid
        ``gamma``, ``delta``, ``prob_benefit``, as the `probability` of
        :class:`bayes_hte.sensitivity.TippingPoint` holds them.
    tips : DataFrame, index level, optional
        ``bias`` at which the probability falls below each level, at most three, as the `tips` of
        `TippingPoint` holds them: drawn as the line of all pairs with that product.
    benchmarks : DataFrame, index covariate, optional
        ``gamma`` and ``delta`` of each covariate; drawn at their sizes, in the corner of the grid
        where a confounder flatters, the strongest with their names.
    xlabel, ylabel : str
        What the axes show: `delta` and `gamma`, with the unit of the outcome.
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
        If a table lacks a column or is no full grid, or there are too many levels.
    """
    need_columns(table, ("gamma", "delta", "prob_benefit"))
    grid = table.pivot_table(index="gamma", columns="delta", values="prob_benefit")
    if min(grid.shape) < 2 or grid.isna().to_numpy().any():
        raise DataError("the table must hold every pair of at least two gammas and two deltas.")
    figure, ax = new_axes(ax, height=4.0, title=title)
    x, y, z = grid.columns.to_numpy(), grid.index.to_numpy(), grid.to_numpy()
    shades = ax.contourf(
        x, y, z, levels=np.linspace(0, 1, 11), cmap=_SHADES, alpha=0.55, vmin=0, vmax=1
    )
    bar = figure.colorbar(shades, ax=ax, ticks=[0, 0.25, 0.5, 0.75, 1])
    bar.set_label("probability of benefit left")
    if tips is not None:
        _draw_tips(ax, tips, x, y)
    names: list[Annotation] = []
    if benchmarks is not None:
        names = _draw_benchmarks(ax, benchmarks, (_side(x), _side(y)))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel(wrap(xlabel, 48), loc="left")
    ax.set_ylabel(wrap(ylabel, 30))
    legend_above(ax, ncols=2)
    _separate(figure, names)
    return figure


def _side(values: np.ndarray) -> int:
    """The sign of the larger end of an axis."""
    return 1 if values.max() >= -values.min() else -1


def _draw_tips(ax: Axes, tips: pd.DataFrame, x: np.ndarray, y: np.ndarray) -> None:
    """Draw, within the grid, the lines on which the bias is that of a tip."""
    need_columns(tips, ("bias",))
    if len(tips) > len(LINES):
        raise DataError(f"at most {len(LINES)} levels can be told apart, got {len(tips)}.")
    along = np.linspace(x.min(), x.max(), 801)
    along = np.where(along == 0, np.nan, along)
    for (level, bias), line in zip(tips["bias"].items(), LINES, strict=False):
        height = bias / along
        inside = (height >= y.min()) & (height <= y.max())
        ax.plot(
            along,
            np.where(inside, height, np.nan),
            color=INK,
            linestyle=line,
            linewidth=1.6,
            label=f"falls below {level:g}",
        )


def _draw_benchmarks(
    ax: Axes, benchmarks: pd.DataFrame, sides: tuple[int, int]
) -> list[Annotation]:
    """Draw the strengths of covariates; return the names of the strongest."""
    need_columns(benchmarks, ("gamma", "delta"))
    sizes = benchmarks[["delta", "gamma"]].abs() * list(sides)
    strength = sizes.prod(axis=1).abs().sort_values(ascending=False, kind="stable")
    ax.plot(
        sizes["delta"].to_numpy(),
        sizes["gamma"].to_numpy(),
        "D",
        color=INK,
        markerfacecolor="white",
        markersize=5.5,
        linestyle="none",
        clip_on=False,  # the strongest covariate may lie on the edge of the grid
        label="strength of a covariate",
    )
    middle = sum(ax.get_xlim()) / 2
    names: list[Annotation] = []
    for name in strength.index[:_NAMED]:
        # Names run towards the middle, so as not to leave the axes.
        on_right = sizes.loc[name, "delta"] > middle
        names.append(
            ax.annotate(
                wrap(str(name), 18),
                tuple(sizes.loc[name]),
                xytext=(-6 if on_right else 6, 5),
                textcoords="offset points",
                ha="right" if on_right else "left",
                fontsize=9.5,
            )
        )
    return names


def _separate(figure: Figure, names: list[Annotation]) -> None:
    """Put a name that lies on one of a stronger covariate below its point, or leave it out."""
    figure.draw_without_rendering()
    kept: list[Annotation] = []
    for name in names:
        for height in (name.xyann[1], _BELOW):
            name.xyann = (name.xyann[0], height)
            box = name.get_window_extent()
            inside = box.y0 >= name.axes.bbox.y0
            if inside and not any(box.overlaps(other.get_window_extent()) for other in kept):
                kept.append(name)
                break
        else:
            name.remove()
