"""Predicted against observed effects, in the top of a ranking and in bins.

Predicted: the posterior of the average effect over a set of units. Observed: the mean score of the
same units (see :func:`bayes_hte.companions.effect_scores`), with one set of Bayesian-bootstrap
weights a draw. On units the effects were not learned from the two are independent, and the draws
of their difference say whether the model's effects can be believed; on training units they flatter.
The sets are formed by the posterior mean effect; equal values are never split by row order.

References
----------
Chernozhukov, V., Demirer, M., Duflo, E., Fernandez-Val, I. (2018). Generic machine learning
inference on heterogeneous treatment effects in randomized experiments. doi:10.3386/w24678
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.companions.inputs import align
from bayes_hte.companions.scores import LabelledValues, effect_scores
from bayes_hte.effects.contrasts import Better
from bayes_hte.effects.summaries import CiKind, summarize
from bayes_hte.errors import SpecError
from bayes_hte.targeting.buckets import quantile_codes
from bayes_hte.targeting.posterior import (
    as_draws,
    benefit_sign,
    bootstrap_sums,
    effect_rows,
    posterior_mean,
    units_of,
    weighted_means,
)


@dataclass(frozen=True, eq=False)
class Uplift:
    """Predicted and observed effects among the units ranked first.

    Attributes
    ----------
    draws : Dataset of ``predicted``, ``observed``, ``difference``, dims (chain, draw, fraction)
        Average effects among the top share, in outcome units; difference is observed - predicted.
    counts : DataFrame, index fraction
        ``n_control``, ``n_treated`` (fractions where a tie is cut), plain ``mean_control`` and
        ``mean_treated`` outcomes and their ``mean_difference``, NaN where an arm is absent.
    """

    draws: xr.Dataset
    counts: pd.DataFrame

    def summary(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Return one row a quantity and fraction: posterior mean and interval.

        Parameters
        ----------
        ci_prob : float, default 0.95
            Posterior probability of the interval.
        ci_kind : {"eti", "hdi"}
            Equal-tailed or highest-density.

        Returns
        -------
        DataFrame, index (quantity, fraction)
            The columns of :func:`bayes_hte.summarize`, in outcome units.

        Raises
        ------
        SpecError
            If the interval request is not meaningful.
        """
        return summarize(self.draws, ci_prob=ci_prob, ci_kind=ci_kind)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Predicted and observed effects in bins of the predicted effect.

    Attributes
    ----------
    draws : Dataset of ``predicted``, ``observed``, ``difference``, dims (chain, draw, bin)
        Average effects in each bin, in outcome units; bin 1 has the lowest predictions.
    counts : DataFrame, index bin
        As in :class:`Uplift`.
    slope : DataArray, dims (chain, draw)
        Slope of the scores on the posterior mean effect: 1 if the predicted differences between
        units are borne out, 0 if they are noise, between if they are exaggerated.
    """

    draws: xr.Dataset
    counts: pd.DataFrame
    slope: xr.DataArray

    def summary(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Return one row a quantity and bin: posterior mean and interval.

        Parameters
        ----------
        ci_prob : float, default 0.95
            Posterior probability of the interval.
        ci_kind : {"eti", "hdi"}
            Equal-tailed or highest-density.

        Returns
        -------
        DataFrame, index (quantity, bin)
            As :func:`bayes_hte.plots.plot_calibration` draws it: the columns of
            :func:`bayes_hte.summarize`, in outcome units.

        Raises
        ------
        SpecError
            If the interval request is not meaningful.
        """
        return summarize(self.draws, ci_prob=ci_prob, ci_kind=ci_kind)


def uplift_at(
    effect: xr.DataArray,
    *,
    outcome: LabelledValues,
    treatment: LabelledValues,
    better: Better,
    rng: np.random.Generator,
    fractions: Sequence[float] = (0.1, 0.2, 0.3),
    propensity: LabelledValues | None = None,
    expected: xr.DataArray | None = None,
) -> Uplift:
    """Compare predicted and observed effects among the top shares of a ranking.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit)
        Posterior effects of the units to evaluate on, best held out.
    outcome, treatment : Series, ndarray or DataArray, shape (unit,)
        Observed outcome and arm (0/1) of the same units.
    better : {"higher", "lower"}
        Which direction of the outcome is good for the patient: the top benefits most.
    rng : numpy.random.Generator
        Source of the bootstrap weights.
    fractions : sequence of float, default (0.1, 0.2, 0.3)
        Top shares of the units, in (0, 1].
    propensity, expected : optional
        As in :func:`bayes_hte.companions.effect_scores`; needed unless treatment was randomised.

    Returns
    -------
    Uplift
        Effects stay in outcome units whatever `better` is.

    Raises
    ------
    DataError
        If an array breaks its contract or does not fit the units.
    SpecError
        If a fraction is not in (0, 1] or `better` is unknown.
    """
    shares = np.asarray(fractions, dtype=np.float64)
    if not shares.size or not ((shares > 0) & (shares <= 1)).all():
        raise SpecError(f"fractions must be shares in (0, 1], got {list(fractions)}.")
    sign, rows = benefit_sign(better), effect_rows(effect)
    units = units_of(effect)
    scores = effect_scores(
        units, outcome=outcome, treatment=treatment, propensity=propensity, expected=expected
    )
    benefit = sign * posterior_mean(rows)
    sets = np.column_stack([_top(benefit, share) for share in shares])
    sums = bootstrap_sums(rng, np.column_stack([sets * scores[:, None], sets]), len(rows))
    k = shares.size
    draws = _compare(rows, sets, sums[:, :k] / sums[:, k:], effect, ("fraction", shares))
    counts = _count(sets, align(outcome, units, "outcome"), align(treatment, units, "treatment"))
    return Uplift(draws, counts.set_index(pd.Index(shares, name="fraction")))


def calibration_by_bins(
    effect: xr.DataArray,
    *,
    outcome: LabelledValues,
    treatment: LabelledValues,
    rng: np.random.Generator,
    n_bins: int = 5,
    propensity: LabelledValues | None = None,
    expected: xr.DataArray | None = None,
) -> Calibration:
    """Compare predicted and observed effects in quantile bins of the posterior mean effect.

    Parameters
    ----------
    effect, outcome, treatment, rng, propensity, expected
        As in :func:`uplift_at`.
    n_bins : int, default 5
        Bins wanted; ties give fewer.

    Returns
    -------
    Calibration

    Raises
    ------
    DataError
        If an array breaks its contract, or posterior means are too tied for two bins.
    SpecError
        If `n_bins` is below 2.
    """
    rows, units = effect_rows(effect), units_of(effect)
    scores = effect_scores(
        units, outcome=outcome, treatment=treatment, propensity=propensity, expected=expected
    )
    mean = posterior_mean(rows)
    codes = quantile_codes(mean, n_bins)
    sets = np.eye(codes.max() + 1)[codes]
    # Centring keeps the weighted covariances below free of cancellation.
    x, y = mean - mean.mean(), scores - scores.mean()
    columns = np.column_stack([sets * scores[:, None], sets, np.ones_like(x), x, y, x * y, x * x])
    sums = bootstrap_sums(rng, columns, len(rows))
    k = sets.shape[1]
    one, sx, sy, sxy, sxx = sums[:, 2 * k :].T
    slope = (one * sxy - sx * sy) / (one * sxx - sx**2)
    bins = np.arange(1, k + 1)
    counts = _count(sets, align(outcome, units, "outcome"), align(treatment, units, "treatment"))
    return Calibration(
        draws=_compare(rows, sets, sums[:, :k] / sums[:, k : 2 * k], effect, ("bin", bins)),
        counts=counts.set_index(pd.Index(bins, name="bin")),
        slope=as_draws(slope, effect, "calibration_slope", scale="slope"),
    )


def _top(benefit: np.ndarray, share: float) -> np.ndarray:
    """How much of each unit is in the top share: 1, 0, or a common part for a tie at the cut."""
    wanted = share * benefit.size
    cut = np.sort(benefit)[::-1][int(np.ceil(wanted - 1e-9)) - 1]
    above, tied = benefit > cut, benefit == cut
    return above + tied * ((wanted - above.sum()) / tied.sum())


def _compare(
    rows: np.ndarray,
    sets: np.ndarray,
    observed: np.ndarray,
    effect: xr.DataArray,
    axis: tuple[str, np.ndarray],
) -> xr.Dataset:
    predicted = as_draws(weighted_means(rows, sets), effect, "predicted", axis)
    seen = as_draws(observed, effect, "observed", axis)
    return xr.Dataset({"predicted": predicted, "observed": seen, "difference": seen - predicted})


def _count(sets: np.ndarray, y: np.ndarray, treated: np.ndarray) -> pd.DataFrame:
    columns: dict[str, np.ndarray] = {}
    for name, group in (("control", treated == 0), ("treated", treated == 1)):
        size = columns[f"n_{name}"] = sets[group].sum(axis=0)
        total = sets[group].T @ y[group]
        columns[f"mean_{name}"] = np.divide(
            total, size, out=np.full(size.size, np.nan), where=size > 0
        )
    table = pd.DataFrame(columns)
    return table.assign(mean_difference=table["mean_treated"] - table["mean_control"])
