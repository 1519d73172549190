"""Who belongs to which subgroup, and how surely: one thin column per person."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from bayes_hte.plots import style


@style.styled
def plot_membership(
    table: pd.DataFrame,
    *,
    units: str = "people",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Stack the membership probabilities of each unit.

    Parameters
    ----------
    table : DataFrame, shape (unit, subgroup)
        Membership probabilities; every row sums to 1. Columns are the labels of the subgroups;
        units are drawn in the order of the rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte import plots
    >>> table = pd.DataFrame({"Subgroup A": [0.9, 0.4], "Subgroup B": [0.1, 0.6]})
    >>> plots.plot_membership(table, units="patients").axes[0].get_xlabel()
    'patients, ordered by their membership'
    """
    figure, ax = style.new_axes(ax, height=2.6, title=title)
    edges = np.arange(len(table) + 1)
    top = np.zeros(len(table))
    handles = []
    for i, name in enumerate(table.columns):
        bottom, top = top, top + table.iloc[:, i].to_numpy()
        look = {
            "facecolor": style.COLOURS[i % len(style.COLOURS)],
            "hatch": style.HATCHES[i % len(style.HATCHES)],
            "edgecolor": "white",
            "linewidth": 0,
        }
        ax.stairs(top, edges, baseline=bottom, fill=True, **look)
        handles.append(Patch(label=style.legend_label(name), **look))
    ax.set_xlim(0, len(table))
    ax.set_ylim(0, 1)
    ax.set_ylabel("membership\nprobability")
    ax.set_xlabel(f"{units}, ordered by their membership")
    ax.set_xticks([])
    figure.legend(handles=handles, loc="outside upper left", ncols=min(len(handles), 3))
    return figure
