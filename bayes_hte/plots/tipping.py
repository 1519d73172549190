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
from bayes_hte.plots import style

# More names than these run into each other; the weaker covariates are drawn without.
_NAMED = 4
_BELOW = -13.0  # points
_SHADES = LinearSegmentedColormap.from_list("tipping", [style.VERMILLION, "white", style.BLUE])


@style.styled
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
    table : DataFrame, one row per point of a grid
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

    Raises
    ------
    DataError
        If a table lacks a column or is no full grid, or there are too many levels.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from bayes_hte import plots
    >>> gamma, delta = (grid.ravel() for grid in np.meshgrid([0, 1, 2], [0, 1]))
    >>> table = pd.DataFrame({"gamma": gamma, "delta": delta})
    >>> table["prob_benefit"] = 1 - table["gamma"] * table["delta"] / 4
    >>> figure = plots.plot_tipping(table, tips=pd.DataFrame({"bias": [1.0]}, index=[0.75]))
    >>> figure.legends[0].get_texts()[0].get_text()
    'falls below 0.75'
    """
    table = style.need_columns(table, ("gamma", "delta", "prob_benefit"))
    grid = table.pivot_table(index="gamma", columns="delta", values="prob_benefit")
    if min(grid.shape) < 2 or grid.isna().to_numpy().any():
        raise DataError("the table must hold every pair of at least two gammas and two deltas.")
    figure, ax = style.new_axes(ax, height=4.0, title=title)
    x, y, z = grid.columns.to_numpy(), grid.index.to_numpy(), grid.to_numpy()
    look = {"cmap": _SHADES, "alpha": 0.55, "vmin": 0, "vmax": 1}
    shades = ax.contourf(x, y, z, levels=np.linspace(0, 1, 11), **look)
    bar = figure.colorbar(shades, ax=ax, ticks=[0, 0.25, 0.5, 0.75, 1])
    bar.set_label("probability of benefit left")
    if tips is not None:
        _draw_tips(ax, tips, x, y)
    names: list[Annotation] = []
    if benchmarks is not None:
        names = _draw_benchmarks(ax, benchmarks, (_side(x), _side(y)))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel(style.wrap(xlabel, 48), loc="left")
    ax.set_ylabel(style.wrap(ylabel, 30))
    style.legend_above(ax, ncols=2)
    _separate(figure, names)
    return figure


def _side(values: np.ndarray) -> int:
    """The sign of the larger end of an axis."""
    return 1 if values.max() >= -values.min() else -1


def _draw_tips(ax: Axes, tips: pd.DataFrame, x: np.ndarray, y: np.ndarray) -> None:
    """Draw, within the grid, the lines on which the bias is that of a tip."""
    style.need_columns(tips, ("bias",))
    if len(tips) > len(style.LINES):
        raise DataError(f"at most {len(style.LINES)} levels can be distinguished, got {len(tips)}.")
    along = np.linspace(x.min(), x.max(), 801)
    along = np.where(along == 0, np.nan, along)
    for (level, bias), line in zip(tips["bias"].items(), style.LINES, strict=False):
        height = bias / along
        inside = (height >= y.min()) & (height <= y.max())
        look = {"linestyle": line, "linewidth": 1.6, "label": f"falls below {level:g}"}
        ax.plot(along, np.where(inside, height, np.nan), color=style.INK, **look)


def _draw_benchmarks(
    ax: Axes, benchmarks: pd.DataFrame, sides: tuple[int, int]
) -> list[Annotation]:
    """Draw the strengths of covariates; return the names of the strongest."""
    style.need_columns(benchmarks, ("gamma", "delta"))
    sizes = benchmarks[["delta", "gamma"]].abs().to_numpy() * sides
    strongest = np.argsort(-np.abs(sizes.prod(axis=1)), kind="stable")[:_NAMED]
    ax.plot(
        *sizes.T,
        "D",
        color=style.INK,
        markerfacecolor="white",
        markersize=5.5,
        linestyle="none",
        clip_on=False,  # the strongest covariate may lie on the edge of the grid
        label="strength of a covariate",
    )
    middle, labels = sum(ax.get_xlim()) / 2, list(benchmarks.index)
    names: list[Annotation] = []
    for place in strongest:
        # Names run towards the middle, so as not to leave the axes.
        on_right = sizes[place, 0] > middle
        look = {"ha": "right" if on_right else "left", "fontsize": 9.5}
        name = style.wrap(str(labels[place]), 18)
        offset = {"xytext": (-6 if on_right else 6, 5), "textcoords": "offset points"}
        names.append(ax.annotate(name, tuple(sizes[place]), **offset, **look))
    return names


def _separate(figure: Figure, names: list[Annotation]) -> None:
    """Put a name that lies on one of a stronger covariate below its point, or leave it out."""
    style.show_names(figure)
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
