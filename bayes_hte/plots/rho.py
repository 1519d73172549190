"""Indirect and direct effect over the assumed correlation of the errors of mediator and outcome."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bayes_hte.errors import DataError
from bayes_hte.plots import style

_WORDS = {"tnie": "indirect effect (TNIE)", "pnde": "direct effect (PNDE)"}


@style.styled
def plot_rho(
    table: pd.DataFrame,
    *,
    root: pd.DataFrame | None = None,
    labels: Mapping[str, str] = _WORDS,
    better: style.Better | None = None,
    xlabel: str = "assumed correlation of the errors (rho)",
    ylabel: str = "average effect",
    limits: tuple[float, float] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    r"""Draw average effects over rho with their bands, and where the indirect effect is zero.

    Parameters
    ----------
    table : DataFrame, index (quantity, rho) or these two as columns
        ``mean``, ``ci_lower``, ``ci_upper``, ``ci_prob``, ``ci_kind``, as
        :meth:`bayes_hte.sensitivity.MediationRho.summary` returns them; at most two quantities.
    root : DataFrame, optional
        With a row ``rho_zero``, as `MediationRho.root_summary` returns it: drawn on the line of
        zero as median and interval.
    labels : mapping of str to str
        Words shown instead of the names of the quantities.
    xlabel, ylabel : str
        The correlation, and the effect with its unit.
    limits : (float, float), optional
        Ends of the axis of the effect; effects run far away as rho nears -1 or 1.

    Raises
    ------
    DataError
        If a table lacks a column or row, mixes intervals, or holds more than two quantities.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte import plots
    >>> table = pd.DataFrame({"quantity": "tnie", "rho": [-0.5, 0.0, 0.5], "mean": [3.0, 2.0, 1.0]})
    >>> table = table.assign(ci_lower=0.0, ci_upper=4.0, ci_prob=0.9, ci_kind="eti")
    >>> plots.plot_rho(table, better="lower").axes[0].get_ylabel()
    'average effect\n(below 0: benefit)'
    """
    table, note = style.summaries(table, "quantity", "rho")
    series = list(table.groupby("quantity", sort=False))
    if len(series) > 2:
        raise DataError(f"a figure over rho holds at most two effects, got {len(series)}.")
    figure, ax = style.new_axes(ax, height=3.7, title=title)
    style.effect_height(ax, ylabel, better=better)
    ax.axvline(0, **style.FAINT)
    for i, (name, rows) in enumerate(series):
        label = labels.get(str(name), str(name))
        style.draw_band(ax, "rho", rows, series=i, label=label, linewidth=1.8)
    if root is not None:
        _draw_root(ax, root)
    ax.set_xlabel(f"{style.wrap(xlabel)}\nband: {note}")
    ax.set_xlim(table["rho"].min(), table["rho"].max())
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 3, 10]))
    if limits is not None:
        ax.set_ylim(*limits)
    style.legend_above(ax, ncols=2)
    return figure


def _draw_root(ax: Axes, root: pd.DataFrame) -> None:
    style.need_columns(root, ("median", "ci_lower", "ci_upper"))
    if "rho_zero" not in root.index:
        raise DataError(f"the table of the root lacks the row rho_zero; got {list(root.index)}.")
    zero = root.loc["rho_zero"]
    line = {"linewidth": 3.0, "solid_capstyle": "butt", "gid": "root-interval"}
    ax.plot([zero["ci_lower"], zero["ci_upper"]], [0, 0], color=style.INK, **line)
    point = {"markeredgecolor": "white", "markersize": 6.5, "linestyle": "none"}
    label = f"indirect effect zero at {zero['median']:.2f}"
    ax.plot(zero["median"], 0, "D", color=style.INK, label=label, **point)
