"""The probability of each arm to be the best, unit by unit."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayes_hte.errors import DataError
from bayes_hte.names import ARM, UNIT
from bayes_hte.plots import style

# Longest name of an arm, in characters, of which three stand side by side in the legend.
SHORT = 14


@style.styled
def plot_best_arms(
    probability: xr.DataArray, *, title: str | None = None, ax: Axes | None = None
) -> Figure:
    """Draw the probability of each arm to be a unit's best, the units side by side.

    Units stand in the order of the arm that is most probably their best, and within it from the
    surest to the least sure: a wide band of one colour up to the top is an arm that is best for
    many, and columns of several colours are units whose choice is open.

    Parameters
    ----------
    probability : DataArray, dims (unit, arm)
        From :func:`bayes_hte.probability_best`.

    Raises
    ------
    DataError
        If the dims differ, or the probabilities of a unit do not sum to 1.

    Examples
    --------
    >>> import xarray as xr
    >>> from bayes_hte import plots
    >>> chances = [[0.1, 0.2, 0.7], [0.6, 0.3, 0.1]]
    >>> probability = xr.DataArray(
    ...     chances, dims=["unit", "arm"], coords={"arm": ["none", "low", "high"]}
    ... )
    >>> figure = plots.plot_best_arms(probability)
    >>> figure.axes[0].get_xlabel()
    '2 units, by their most probable best arm'
    """
    dims = probability.dims if isinstance(probability, xr.DataArray) else ()
    if set(dims) != {UNIT, ARM}:
        raise DataError(f"probability must have dims ('unit', 'arm'), got {dims}.")
    values = probability.transpose(UNIT, ARM).to_numpy()
    if not np.allclose(values.sum(axis=1), 1):
        raise DataError("the probabilities of the arms must sum to 1 in each unit.")
    arms = [str(arm) for arm in probability[ARM].to_numpy().tolist()]
    best = values.argmax(axis=1)
    ordered = values[np.lexsort((-values.max(axis=1), best))]
    figure, ax = style.new_axes(ax, height=3.2, title=title)
    edges, low = np.arange(len(values) + 1), np.zeros(len(values))
    for a, arm in enumerate(arms):
        high = low + 100 * ordered[:, a]
        look = {
            "facecolor": style.COLOURS[a % len(style.COLOURS)],
            "hatch": style.HATCHES[a % len(style.HATCHES)],
            "edgecolor": "white",
            "linewidth": 0,
        }
        ax.stairs(high, edges, baseline=low, fill=True, label=style.legend_label(arm), **look)
        low = high
    ax.set_xlim(0, len(values))
    ax.set_ylim(0, 100)
    ax.set_ylabel("probability of being best (%)")
    ax.set_xlabel(f"{len(values)} units, by their most probable best arm")
    # Beside each other only where the names are short enough for the width of the axes.
    columns = min(3, len(arms)) if max(map(len, arms)) <= SHORT else 1
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.24), ncols=columns)
    return figure
