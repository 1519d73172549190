"""Calibration of left-out predictions: where the outcomes fall in their predictive distribution."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.checks.loo_pit import BAND
from bayes_hte.errors import DataError
from bayes_hte.plots import style

# In the order of the arms, reference arm first, as in the overlap figure.
_LOOKS = ((style.ORANGE, "o", "////"), (style.BLUE, "s", ""))


@style.styled
def plot_loo_pit(
    table: pd.DataFrame, *, title: str | None = None, ax: Axes | None = None
) -> Figure:
    """Draw the share of each arm's outcomes in each tenth of their left-out predictions.

    Boxes span the shares that a calibrated model gives; markers outside are filled. Too many
    outcomes in the outer tenths mean predictions that are too narrow, too few mean predictions that
    are too wide, and a slope means a bias.

    Parameters
    ----------
    table : DataFrame, index (arm, from) or these two as columns
        ``to``, ``share``, ``lower``, ``upper``: the table of the check of left-out predictions by
        arm; the reference arm first, at most two.

    Raises
    ------
    DataError
        If the table lacks a column, is empty (the check could not run) or has more than two arms.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte import plots
    >>> halves = {"arm": "new", "from": [0.0, 0.5], "to": [0.5, 1.0], "share": [0.4, 0.6]}
    >>> figure = plots.plot_loo_pit(pd.DataFrame({**halves, "lower": 0.35, "upper": 0.65}))
    >>> figure.legends[0].get_texts()[0].get_text()
    'new'
    """
    table = style.need_columns(table, ("arm", "from", "to", "share", "lower", "upper"))
    arms = list(dict.fromkeys(table["arm"]))
    if not 1 <= len(arms) <= len(_LOOKS):
        raise DataError(f"a figure of left-out predictions shows one or two arms, got {arms}.")
    figure, ax = style.new_axes(ax, height=3.5, title=title)
    for i, (arm, (colour, marker, hatch)) in enumerate(zip(arms, _LOOKS, strict=False)):
        rows = table[table["arm"] == arm]
        step = (rows["to"] - rows["from"]).to_numpy()
        width = 0.8 * step / len(arms)
        left = rows["from"].to_numpy() + 0.1 * step + i * width
        lower, share, upper = (100 * rows[c].to_numpy() for c in ("lower", "share", "upper"))
        boxes = {"color": colour, "alpha": 0.35, "hatch": hatch, "linewidth": 0}
        ax.bar(left, upper - lower, width=0.92 * width, bottom=lower, align="edge", **boxes)
        outside = (share < lower) | (share > upper)
        points = {"color": colour, "markeredgewidth": 1.5, "markersize": 6, "linestyle": "none"}
        for chosen, face, label in (
            (~outside, "white", style.legend_label(arm)),
            (outside, colour, "_outside"),
        ):
            at = (left + 0.46 * width)[chosen]
            ax.plot(at, share[chosen], marker, markerfacecolor=face, label=label, **points)
    ax.axhline(100 * float(rows["to"].iloc[0] - rows["from"].iloc[0]), **style.REFERENCE)
    ax.set_xlim(0, 1)
    ax.set_ylim(bottom=0)
    ax.set_ylabel("share of the arm (%)")
    ax.set_xlabel(
        "place of the outcome in its left-out prediction\n(0: lowest, 1: highest)\n"
        f"boxes: {BAND:.0%} of calibrated models; filled: outside"
    )
    ax.grid(axis="y", color=style.RULE, linewidth=0.6)
    style.legend_above(ax)
    return figure
