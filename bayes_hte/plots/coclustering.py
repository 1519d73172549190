"""Who belongs together: a heat map of pairs of people, with the certainty of each above it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.errors import DataError
from bayes_hte.plots import style


@style.styled
def plot_co_clustering(
    similarity: pd.DataFrame,
    units: pd.DataFrame,
    *,
    clear: float | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the share of draws in which each pair of people is together.

    Parameters
    ----------
    similarity : DataFrame, shape (unit, unit)
        Share of draws in which two units are in the same group, in the order to be drawn: units of
        a group stand together.
    units : DataFrame
        The same units in the same order: ``group`` (label) and ``certainty`` (largest membership
        probability, drawn as a strip above the map).
    clear : float, optional
        Certainty below which a membership counts as uncertain; a line across the strip.

    Raises
    ------
    DataError
        If the units of the two tables differ, or those of a group do not stand together.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte import plots
    >>> similarity = pd.DataFrame([[1, 0.9, 0.2], [0.9, 1, 0.1], [0.2, 0.1, 1]])
    >>> units = pd.DataFrame({"group": [0, 0, 1], "certainty": [0.9, 0.8, 0.7]})
    >>> figure = plots.plot_co_clustering(similarity, units, clear=0.75)
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['group 0', 'group 1']
    """
    style.need_columns(units, ("group", "certainty"))
    if not similarity.index.equals(units.index) or not similarity.columns.equals(units.index):
        raise DataError(
            f"the heat map has {similarity.shape[0]} by {similarity.shape[1]} units and the strip "
            f"{len(units)}; both must list the same units in the same order."
        )
    # As an array: labels of the units may be numbers, by which pandas would slice.
    groups = units["group"].to_numpy()
    starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
    if len(starts) != units["group"].nunique():
        raise DataError("the units of a group must stand together; sort them by group first.")
    own_figure = ax is None
    figure, ax = style.new_axes(ax, height=5.2, title=None)
    n = len(units)
    image = ax.imshow(
        similarity.to_numpy(dtype=float), cmap="Blues", vmin=0, vmax=1, interpolation="nearest"
    )
    for start in starts[1:]:
        ax.axhline(start - 0.5, color=style.INK, linewidth=1.0)
        ax.axvline(start - 0.5, color=style.INK, linewidth=1.0)
    middles = (starts + np.r_[starts[1:], n] - 1) / 2
    ax.set_yticks(middles, [f"group {g}" for g in groups[starts]])
    ax.tick_params(axis="y", length=0)
    ax.set_xticks([])
    ax.set_xlabel("ordered by group, then by mean effect")
    ax.spines[:].set_visible(False)
    label = "share of draws together"
    figure.colorbar(image, ax=ax, label=label, location="bottom", shrink=0.8, ticks=[0, 0.5, 1])
    strip = _strip(ax, units["certainty"].to_numpy(), clear)
    if title is not None and own_figure:
        style.set_title(strip, title)
    elif title is not None:
        strip.set_title(title)
    return figure


def _strip(ax: Axes, certainty: np.ndarray, clear: float | None) -> Axes:
    """Draw the certainty of each unit above its column."""
    strip = ax.inset_axes((0, 1.03, 1, 0.18))
    edges = np.arange(len(certainty) + 1) - 0.5
    strip.stairs(certainty, edges, fill=True, color=style.SKY)
    if clear is not None:
        strip.axhline(clear, color=style.MUTED, linewidth=1.0, linestyle=(0, (4, 2)))
    strip.set_xlim(-0.5, len(certainty) - 0.5)
    strip.set_ylim(0, 1)
    strip.set_xticks([])
    strip.set_yticks([0, 1] if clear is None else [0, clear])
    strip.set_ylabel("largest\nmembership", rotation=0, ha="right", va="center", labelpad=2)
    return strip
