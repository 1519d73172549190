"""Who belongs to which subgroup, and how surely: one thin column a person."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from bayes_hte.plots.style import COLOURS, HATCHES, new_axes, styled


@styled
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
    units : str, default "people"
        Word for what is studied.
    title : str, optional
        Title of the axes.
    ax : Axes, optional
        Where to draw; default a new figure.

    Returns
    -------
    Figure
    """
    figure, ax = new_axes(ax, height=2.6, title=title)
    edges = np.arange(len(table) + 1)
    top = np.zeros(len(table))
    handles = []
    for i, name in enumerate(table.columns):
        bottom, top = top, top + table[name].to_numpy()
        look = {
            "facecolor": COLOURS[i % len(COLOURS)],
            "hatch": HATCHES[i % len(HATCHES)],
            "edgecolor": "white",
            "linewidth": 0,
        }
        ax.stairs(top, edges, baseline=bottom, fill=True, **look)
        handles.append(Patch(label=str(name), **look))
    ax.set_xlim(0, len(table))
    ax.set_ylim(0, 1)
    ax.set_ylabel("membership\nprobability")
    ax.set_xlabel(f"{units}, ordered by their membership")
    ax.set_xticks([])
    figure.legend(handles=handles, loc="outside upper left", ncols=min(len(handles), 3))
    return figure
