"""Forest plot of the subgroups: mean effect and interval of each, and of everyone."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.plots import style


@style.styled
def plot_subgroup_forest(
    table: pd.DataFrame,
    *,
    better: style.Better | None = None,
    important: float | None = None,
    xlabel: str = "mean effect",
    units: str = "people",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    r"""Draw one row per subgroup, its size in the label; other rows (all units) in black below.

    Parameters
    ----------
    table : DataFrame, one row per subgroup, then optional rows for comparison
        ``group`` (label), ``n_units``, ``is_subgroup`` (bool), ``mean``, ``ci_lower``,
        ``ci_upper``, ``ci_prob``, ``ci_kind``.
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
    >>> table = pd.DataFrame({"group": ["young", "all"], "n_units": [4, 9], "mean": [2.0, 1.0]})
    >>> table = table.assign(is_subgroup=[True, False], ci_lower=0.0, ci_upper=3.0)
    >>> figure = plots.plot_subgroup_forest(table.assign(ci_prob=0.9, ci_kind="eti"))
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['young\n(4 people)', 'all\n(9 people)']
    """
    table, note = style.summaries(table, "group", "n_units", "is_subgroup")
    figure, ax = style.new_axes(ax, height=1.3 + 0.52 * len(table), title=title)
    colours = np.where(table["is_subgroup"], np.resize(style.COLOURS, len(table)), style.INK)
    for row, (colour, numbers) in enumerate(zip(colours, table.to_dict("records"), strict=True)):
        ends = [numbers["ci_lower"], numbers["ci_upper"]]
        ax.plot(ends, [row] * 2, color=colour, linewidth=2.2, solid_capstyle="butt")
        found = numbers["is_subgroup"]
        marker = style.MARKERS[row % len(style.MARKERS)] if found else "|"
        edge = {"markeredgewidth": 1.8, "markeredgecolor": "white" if found else style.INK}
        ax.plot(numbers["mean"], row, marker, color=colour, markersize=8, **edge)
    sizes = zip(table["group"], table["n_units"], strict=True)
    style.rows_axis(ax, [f"{group}\n({n} {units})" for group, n in sizes])
    style.effect_axis(ax, label=xlabel, note=f"line: {note}", better=better, important=important)
    return figure
