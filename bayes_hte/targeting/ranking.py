"""How sure the posterior is about who benefits most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.contrasts import Better
from bayes_hte.effects.summaries import CiKind, summarize
from bayes_hte.errors import DataError, SpecError
from bayes_hte.names import UNIT
from bayes_hte.targeting.posterior import (
    as_draws,
    benefit_sign,
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
        a draw that ranks nobody (all effects equal). Near 1: the ranking is known.
    top : float
        The share `p_top` is about.
    """

    ranks: xr.DataArray
    p_top: pd.Series
    agreement: xr.DataArray
    top: float

    def summary(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Return one row: the posterior of the agreement on the ranking.

        Parameters
        ----------
        ci_prob : float, default 0.95
            Posterior probability of the interval.
        ci_kind : {"eti", "hdi"}
            Equal-tailed or highest-density.

        Returns
        -------
        DataFrame
            The columns of :func:`bayes_hte.summarize`; ``sure_of_top`` is the share of units whose
            probability to be in the top exceeds `ci_prob`.

        Raises
        ------
        SpecError
            If the interval request is not meaningful.
        """
        table = summarize(self.agreement, ci_prob=ci_prob, ci_kind=ci_kind)
        return table.assign(n_units=self.p_top.size, sure_of_top=(self.p_top > ci_prob).mean())

    def unit_summary(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Return one row a unit: the posterior of its percentile and the probability of the top.

        Parameters
        ----------
        ci_prob : float, default 0.95
            Posterior probability of the interval.
        ci_kind : {"eti", "hdi"}
            Equal-tailed or highest-density.

        Returns
        -------
        DataFrame, index unit
            The columns of :func:`bayes_hte.summarize` for the percentile, and the probability of
            being in the top.

        Raises
        ------
        SpecError
            If the interval request is not meaningful.
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
    """
    if not 0 < top < 1:
        raise SpecError(f"top must be a share of the units in (0, 1), got {top}; try 0.2.")
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
    """Middle-of-place percentiles of units, shape (unit,); they average 1/2."""
    order, ends = places(benefit)
    starts = np.concatenate([[0], ends[:-1] + 1])
    percentiles = np.empty(benefit.size)
    percentiles[order] = np.repeat(1 - (starts + ends + 1) / (2 * benefit.size), ends - starts + 1)
    return percentiles


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two centred vectors; 0 if the first is constant."""
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else 0.0
