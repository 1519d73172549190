"""The share of the differences between units' effects that a description by groups keeps.

References
----------
Woody, S., Carvalho, C. M., Murray, J. S. (2021). Model interpretation through lower-dimensional
posterior summarization. Journal of Computational and Graphical Statistics 30, 144-161.
doi:10.1080/10618600.2020.1796684
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.arguments import check_draws
from bayes_hte.effects.pairs import check_one_contrast
from bayes_hte.effects.units import unit_order
from bayes_hte.names import CHAIN, DRAW, SAMPLE, UNIT
from bayes_hte.subgroups.membership import draw_blocks

# Effects of a draw that differ by less than this, relative to the largest, differ by rounding.
ROUNDING = 1e-6


def explained_share(
    effect: xr.DataArray, labels: pd.Series | np.ndarray | xr.DataArray
) -> xr.DataArray:
    """Return in every draw the share of the variance of unit effects that lies between groups.

    The R-squared of the description: the effects of each draw are projected on the groups, whose
    averages are free to differ from draw to draw. It is about the units' effects, not about
    outcomes. It is low where units' effects are uncertain even if the groups are right: each
    unit's posterior noise is variance within groups.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit)
        Unit-level draws.
    labels : Series, ndarray or DataArray of int, shape (unit,)
        Group of each unit: of :meth:`Profile.assign_leaves` for the leaves of the profile tree, of
        :meth:`Profile.assign` for the subgroups. Values with the unit labels of the effect are
        matched by label, others by position.

    Returns
    -------
    DataArray, dims (chain, draw)
        From 0 to 1; NaN in a draw in which all units have the same effect, where there is nothing
        to explain. The attribute ``undefined_draws`` counts them.

    Raises
    ------
    DataError
        If `effect` is no array of draws, or there is not one label per unit.

    Examples
    --------
    >>> import xarray as xr
    >>> from bayes_hte.subgroups import explained_share
    >>> effect = xr.DataArray([[[1.0, 2.0, 6.0, 7.0]]], dims=["chain", "draw", "unit"])
    >>> explained_share(effect, [0, 0, 1, 1]).round(3).item()
    0.962
    """
    check_draws(effect, "effect", (*SAMPLE, UNIT))
    check_one_contrast(effect, "an explained share")
    order = unit_order(labels, effect, "labels")
    _, groups = np.unique(np.asarray(labels)[order], return_inverse=True)
    sizes = np.bincount(groups)
    indicators = np.eye(len(sizes))[groups]
    share = np.empty((effect.sizes[CHAIN], effect.sizes[DRAW]))
    for chain, draws, values in draw_blocks(effect):
        middle = values.mean(axis=1, keepdims=True)
        largest = np.abs(values).max(axis=1)
        centred = values - middle
        total = (centred**2).mean(axis=1)
        between = ((centred @ indicators) ** 2 / sizes).sum(axis=1) / groups.size
        varies = np.sqrt(total) > ROUNDING * largest
        share[chain, draws] = np.divide(
            between, total, out=np.full(len(values), np.nan), where=varies
        )
    return xr.DataArray(
        share,
        dims=SAMPLE,
        coords={d: effect[d] for d in SAMPLE},
        name="explained_share",
        attrs={"undefined_draws": int(np.isnan(share).sum())},
    )
