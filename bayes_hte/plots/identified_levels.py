"""The four levels of a mixture: the quantities of each, and the level that a design reaches."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.errors import DataError
from bayes_hte.plots import style

_LOOKS = {
    "identified": {
        "marker": "o",
        "markerfacecolor": style.BLUE,
        "markeredgecolor": style.BLUE,
        "markersize": 9,
    },
    "not identified": {
        "marker": "x",
        "markeredgecolor": style.MUTED,
        "markersize": 6,
        "markeredgewidth": 1.2,
    },
}


@style.styled
def plot_identifiability(
    table: pd.DataFrame, *, title: str | None = None, ax: Axes | None = None
) -> Figure:
    """Draw a grid of quantities by levels, a filled disc where a quantity is identified.

    Parameters
    ----------
    table : DataFrame, one row per quantity and level
        ``quantity`` and ``level`` (in words; rows and columns in the order they come),
        ``identified`` (bool) and ``reached`` (bool: the level of the design, shaded; none if the
        design identifies nothing).

    Raises
    ------
    DataError
        If the table lacks a column, does not hold every quantity at every level once, or shades
        more than one level.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte import plots
    >>> table = pd.DataFrame({"quantity": "average effect", "level": ["3", "4"]})
    >>> figure = plots.plot_identifiability(table.assign(identified=True, reached=[True, False]))
    >>> figure.axes[0].get_xlabel()
    'shaded: this design'
    """
    table = style.need_columns(table, ("quantity", "level", "identified", "reached"))
    quantities, levels = (list(dict.fromkeys(table[name])) for name in ("quantity", "level"))
    pairs = table[["quantity", "level"]].drop_duplicates()
    if not len(pairs) == len(table) == len(quantities) * len(levels):
        raise DataError("the grid needs every quantity at every level, each once.")
    reached = list(dict.fromkeys(table.loc[table["reached"], "level"]))
    if len(reached) > 1:
        raise DataError(f"a design reaches one level, the table marks {len(reached)}.")
    figure, ax = style.new_axes(ax, height=1.6 + 0.44 * len(quantities), title=title)
    for level in reached:
        at = levels.index(level)
        ax.axvspan(at - 0.46, at + 0.46, color=style.SKY, alpha=0.3, linewidth=0, zorder=0)
    for label, look in _LOOKS.items():
        part = table[table["identified"] == (label == "identified")]
        columns = [levels.index(level) for level in part["level"]]
        rows = [quantities.index(quantity) for quantity in part["quantity"]]
        ax.plot(columns, rows, linestyle="none", label=label, **look)
    style.rows_axis(ax, [style.wrap(str(quantity), 24) for quantity in quantities])
    ax.set_xticks(range(len(levels)), [style.wrap(str(level), 9) for level in levels])
    for tick, level in zip(ax.get_xticklabels(), levels, strict=True):
        tick.set_fontweight("bold" if level in reached else "normal")
        tick.set_color(style.INK)
    ax.set_xlim(-0.5, len(levels) - 0.5)
    ax.tick_params(axis="x", length=0)
    ax.grid(axis="y", color=style.RULE, linewidth=0.6)
    ax.set_xlabel("shaded: this design" if reached else "this design reaches no level", loc="right")
    style.legend_above(ax, ncols=2)
    return figure
