"""Calibration of individual effects: predicted against observed, in bins of the prediction."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bayes_hte.errors import DataError
from bayes_hte.plots import style


@style.styled
def plot_calibration(
    table: pd.DataFrame,
    *,
    xlabel: str = "predicted effect",
    ylabel: str = "observed effect",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the observed average effect of each bin over the predicted one, both with intervals.

    Parameters
    ----------
    table : DataFrame, index (quantity, bin) or these two as columns
        Rows of the quantities ``predicted`` and ``observed`` with ``mean``, ``ci_lower``,
        ``ci_upper``, ``ci_prob``, ``ci_kind``, as :meth:`bayes_hte.targeting.Calibration.summary`
        returns them; other quantities are left out.
    xlabel, ylabel : str
        The two effects, with their unit.

    Raises
    ------
    DataError
        If the table lacks a column or quantity, or mixes intervals.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte import plots
    >>> bins = {"quantity": ["predicted"] * 2 + ["observed"] * 2, "bin": [0, 1, 0, 1]}
    >>> table = pd.DataFrame({**bins, "mean": [1, 3, 1.2, 2.5], "ci_lower": [0, 2, 0, 1]})
    >>> table = table.assign(ci_upper=table["mean"] + 1, ci_prob=0.9, ci_kind="eti")
    >>> plots.plot_calibration(table, ylabel="observed effect (points)").axes[0].get_ylabel()
    'observed effect (points)'
    """
    table, note = style.summaries(table, "quantity", "bin")
    x, y = (
        table[table["quantity"] == name].set_index("bin").sort_index()
        for name in ("predicted", "observed")
    )
    if x.empty or not x.index.equals(y.index):
        raise DataError(
            "calibration needs the same bins of the quantities 'predicted' and 'observed', got "
            f"{list(x.index)} and {list(y.index)}."
        )
    figure, ax = style.new_axes(ax, height=4.1, title=title)
    ax.axline((0, 0), slope=1, **style.REFERENCE)
    for zero in (ax.axhline, ax.axvline):
        zero(0, **style.FAINT)
    colour, means = style.BLUE, (x["mean"].to_numpy(), y["mean"].to_numpy())
    ax.vlines(x["mean"], y["ci_lower"], y["ci_upper"], color=colour, linewidth=2.0)
    ax.hlines(y["mean"], x["ci_lower"], x["ci_upper"], color=colour, linewidth=1.0)
    ax.plot(*means, "o", color=colour, markeredgecolor="white", markersize=7)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5))
    ax.grid(color=style.RULE, linewidth=0.6)
    ax.set_xlabel(f"{style.wrap(xlabel)}\nlines: {note}\ndashed: predicted and observed agree")
    ax.set_ylabel(style.wrap(ylabel, 30))
    return figure
