"""Which covariates an effect varies with: their share of the splits of the trees."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.plots import style


@style.styled
def plot_modifier_importance(
    table: pd.DataFrame,
    *,
    largest: int = 15,
    xlabel: str = "share of splits of the effect's trees",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the share of splits that each covariate takes, the largest on top.

    A covariate that most draws do not use at all is drawn pale; its label gives the probability
    that it is used.

    Parameters
    ----------
    table : DataFrame, one row per covariate
        ``covariate``, ``mean``, ``ci_lower``, ``ci_upper``, ``prob_used``, ``ci_prob``,
        ``ci_kind``, as :meth:`bayes_hte.Fit.modifiers` returns them, of one component.
    largest : int, default 15
        Largest number of covariates drawn.
    xlabel : str
        What the axis shows.

    Raises
    ------
    DataError
        If the table lacks a column or mixes intervals.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte import plots
    >>> table = pd.DataFrame({"covariate": ["sex", "age"], "mean": [0.2, 0.8]})
    >>> table = table.assign(ci_lower=0.1, ci_upper=0.9, prob_used=1.0, ci_prob=0.9, ci_kind="eti")
    >>> figure = plots.plot_modifier_importance(table, largest=1)
    >>> [label.get_text().split()[0] for label in figure.axes[0].get_yticklabels()]
    ['age']
    """
    table, note = style.summaries(table, "covariate", "prob_used")
    rows = table.sort_values("mean", ascending=False, kind="stable").head(largest)
    figure, ax = style.new_axes(ax, height=1.5 + 0.42 * len(rows), title=title)
    places, used = np.arange(len(rows)), rows["prob_used"].to_numpy() >= 0.5
    for chosen, colour in ((used, style.BLUE), (~used, style.MUTED)):
        some = rows[chosen]
        ax.hlines(places[chosen], some["ci_lower"], some["ci_upper"], color=colour, linewidth=2.2)
        ax.plot(some["mean"].to_numpy(), places[chosen], "o", color=colour, markersize=6.5)
    labels = zip(rows["covariate"], rows["prob_used"], strict=True)
    style.rows_axis(
        ax, [f"{style.wrap(str(name), 22)}\n(used: {prob:.2f})" for name, prob in labels]
    )
    ax.set_xlim(0, min(1.0, 1.05 * max(float(rows["ci_upper"].max()), 0.1)))
    ax.grid(axis="x", color=style.RULE, linewidth=0.6)
    ax.set_xlabel(f"{style.wrap(xlabel)}\nmarker: mean; line: {note}", loc="right")
    return figure
