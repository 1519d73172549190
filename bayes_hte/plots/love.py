"""Love plot: how far the arms differ in each covariate, before and after matching or weighting."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bayes_hte.errors import DataError
from bayes_hte.plots import style


@style.styled
def plot_love(
    table: pd.DataFrame,
    *,
    threshold: float = 0.1,
    xlabel: str = "standardised mean difference (treated \N{MINUS SIGN} control)",
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the standardised mean differences of each covariate, one marker per weighting.

    Parameters
    ----------
    table : DataFrame, index covariate, one column per weighting
        Standardised mean differences, as :func:`bayes_hte.companions.compare_balance` returns them:
        ``raw`` first. NaN where there is none. Covariates are drawn by falling size of the first
        column, those without one last.
    threshold : float, default 0.1
        Size below which a difference is usually called small; drawn dotted on both sides.
    xlabel : str
        What the axis shows.

    Raises
    ------
    DataError
        If the table is empty or holds anything but numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte import plots
    >>> table = pd.DataFrame({"raw": [0.1, -0.4], "weighted": [0.0, 0.1]}, index=["age", "sex"])
    >>> figure = plots.plot_love(table)
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['sex', 'age']
    """
    kinds = zip(table.columns, table.dtypes, strict=True)
    words = [str(name) for name, kind in kinds if not pd.api.types.is_numeric_dtype(kind)]
    if table.empty or words:
        raise DataError(
            "a love plot needs one row per covariate and one numeric column per weighting, got "
            + (f"words in {', '.join(words)}." if words else "an empty table.")
        )
    # By position, as a name may be that of the index.
    rows = table.iloc[np.argsort(-table.iloc[:, 0].abs().to_numpy(dtype=float), kind="stable")]
    figure, ax = style.new_axes(ax, height=1.5 + 0.34 * len(rows), title=title)
    ax.axvspan(-threshold, threshold, color=style.RULE, alpha=0.45, linewidth=0, zorder=0)
    for edge in (-threshold, threshold):
        ax.axvline(edge, **style.DOTTED)
    ax.axvline(0, **style.REFERENCE)
    for i, name in enumerate(rows.columns):
        # Side by side within the row, as equal differences would hide each other.
        places = np.arange(len(rows)) + 0.22 * (i - (rows.shape[1] - 1) / 2)
        ax.plot(
            rows.iloc[:, i].to_numpy(),
            places,
            style.MARKERS[i % len(style.MARKERS)],
            color=style.COLOURS[i % len(style.COLOURS)],
            # Hollow: before anything was done.
            markerfacecolor="white" if i == 0 else None,
            markeredgewidth=1.5,
            markersize=6,
            linestyle="none",
            label=style.legend_label(name),
        )
    style.rows_axis(ax, [style.wrap(str(name), 22) for name in rows.index])
    for between in range(1, len(rows)):
        ax.axhline(between - 0.5, color=style.RULE, linewidth=0.6, zorder=0)
    ax.margins(x=0.06)
    ax.xaxis.set_major_locator(MaxNLocator(3))
    ax.set_xlabel(f"{style.wrap(xlabel, 52)}\n(shaded: within {threshold:g})", loc="right")
    style.legend_above(ax, ncols=3)
    return figure
