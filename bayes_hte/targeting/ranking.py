"""The certainty of the posterior about the units that benefit most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.arguments import Better, benefit_sign, check_number
from bayes_hte.effects.summaries import CiKind, interval_parameters, summarize
from bayes_hte.errors import DataError
from bayes_hte.names import UNIT
from bayes_hte.targeting.posterior import (
    as_draws,
    effect_rows,
    places,
    posterior_mean,
    units_of,
)

UNIT_CELLS = 4_000_000
"""Draws times units summarised at once: quantiles need a float64 copy."""


@dataclass(frozen=True, eq=False)
class RankUncertainty:
    """Posterior of the ranking of units by benefit.

    Attributes
    ----------
    ranks : DataArray, dims (chain, draw, unit)
        Percentile of the unit's benefit among all units in each draw (float32): near 1 benefits
        most, near 0 least; ties share the middle of their places.
    p_top : Series, shape (unit,)
        Posterior probability to be among the share `top` that benefits most.
    agreement : DataArray, dims (chain, draw)
        Spearman correlation between the ranking of a draw and the ranking by posterior mean; 0 for
        a draw without a ranking (all effects equal). Near 1: the ranking is known.
    top : float
        The share that `p_top` is about.
    """

    ranks: xr.DataArray
    p_top: pd.Series
    agreement: xr.DataArray
    top: float

    @interval_parameters
    def summary(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Return one row: the posterior of the agreement on the ranking.

        Returns
        -------
        DataFrame
            The columns of :func:`bayes_hte.summarize`; ``sure_of_top`` is the share of units whose
            probability to be in the top exceeds `ci_prob`.

        Examples
        --------
        >>> import xarray as xr
        >>> import bayes_hte as hte
        >>> dims = ["chain", "draw", "unit"]
        >>> effect = xr.DataArray([[[3.0, 1.0, 2.0], [3.0, 2.0, 1.0]]], dims=dims)
        >>> found = hte.rank_uncertainty(effect, better="higher", top=0.4)
        >>> found.summary()[["n_units", "sure_of_top"]].round(2).to_dict("list")
        {'n_units': [3], 'sure_of_top': [0.33]}
        """
        table = summarize(self.agreement, ci_prob=ci_prob, ci_kind=ci_kind)
        return table.assign(n_units=self.p_top.size, sure_of_top=(self.p_top > ci_prob).mean())

    @interval_parameters
    def unit_summary(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Return one row per unit: the posterior of its percentile and the probability of the top.

        Returns
        -------
        DataFrame, index unit
            The columns of :func:`bayes_hte.summarize` for the percentile, and the probability of
            being in the top.
        """
        step = max(1, UNIT_CELLS // self.ranks[..., 0].size)
        parts = [
            summarize(self.ranks.isel({UNIT: slice(k, k + step)}), ci_prob=ci_prob, ci_kind=ci_kind)
            for k in range(0, self.ranks.sizes[UNIT], step)
        ]
        return pd.concat(parts).drop(columns="prob_positive").assign(p_top=self.p_top.to_numpy())


def rank_uncertainty(effect: xr.DataArray, *, better: Better, top: float = 0.2) -> RankUncertainty:
    """Rank the units by benefit in every draw.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit)
        Unit-level effects.
    better : {"higher", "lower"}
        Which direction of the outcome is good for the patient; the most beneficial effect ranks
        highest.
    top : float, default 0.2
        Share of units called the top, in (0, 1).

    Returns
    -------
    RankUncertainty

    Raises
    ------
    DataError
        If `effect` breaks its contract or all posterior mean effects are equal.
    SpecError
        If `top` is not a share or `better` is unknown.

    Examples
    --------
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> effect = xr.DataArray([[[3.0, 1.0, 2.0], [3.0, 2.0, 1.0]]], dims=["chain", "draw", "unit"])
    >>> hte.rank_uncertainty(effect, better="higher", top=0.4).p_top.tolist()
    [1.0, 0.0, 0.0]
    """
    check_number(
        "top", top, "a share of the units in (0, 1)", lambda share: 0 < share < 1, hint="try 0.2"
    )
    sign, rows = benefit_sign(better), effect_rows(effect)
    reference = _percentiles(sign * posterior_mean(rows)) - 0.5
    if not reference.any():
        raise DataError("all units have the same posterior mean effect: there is no ranking.")
    ranks = np.empty(rows.shape, dtype=np.float32)
    agreement, in_top = np.empty(len(rows)), np.zeros(rows.shape[1])
    for k, row in enumerate(rows):
        percentiles = _percentiles(sign * row)
        ranks[k] = percentiles
        in_top += percentiles > 1 - top
        agreement[k] = _correlation(percentiles - 0.5, reference)
    units = units_of(effect)
    labelled = as_draws(ranks, effect, "percentile", (UNIT, units), scale="percentile")
    return RankUncertainty(
        ranks=labelled.assign_attrs(better=better),
        p_top=pd.Series(in_top / len(rows), units, name="p_top"),
        agreement=as_draws(agreement, effect, "rank_agreement", scale="correlation"),
        top=top,
    )


def _percentiles(benefit: np.ndarray) -> np.ndarray:
    """Return the percentiles of units, shape (unit,); ties share the middle; the mean is 1/2."""
    order, ends = places(benefit)
    starts = np.concatenate([[0], ends[:-1] + 1])
    percentiles = np.empty(benefit.size)
    percentiles[order] = np.repeat(1 - (starts + ends + 1) / (2 * benefit.size), ends - starts + 1)
    return percentiles


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Return the correlation of two centred vectors; 0 if the first is constant."""
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else 0.0
