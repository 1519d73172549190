"""Predicted against observed effects, in the top of a ranking and in bins.

Predicted: the posterior of the average effect over a set of units. Observed: the mean score of the
same units (see :func:`bayes_hte.companions.effect_scores`), with one set of Bayesian-bootstrap
weights per draw. On units that the effects were not learned from the two are independent, and the
draws of their difference say whether the model's effects can be believed; on training units they
flatter.
The posterior mean effect forms the sets; equal values are never split by row order.

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
from bayes_hte.effects.arguments import Better, benefit_sign
from bayes_hte.effects.summaries import CiKind, interval_parameters, summarize
from bayes_hte.targeting.buckets import quantile_codes
from bayes_hte.targeting.posterior import (
    as_draws,
    bootstrap_sums,
    effect_rows,
    posterior_mean,
    shares_of_units,
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

    @interval_parameters
    def summary(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Return one row per quantity and fraction: posterior mean and interval.

        Returns
        -------
        DataFrame, index (quantity, fraction)
            The columns of :func:`bayes_hte.summarize`, in outcome units.

        Examples
        --------
        >>> import numpy as np
        >>> import xarray as xr
        >>> import bayes_hte as hte
        >>> treatment, truth = np.arange(100) % 2, np.linspace(-1, 1, 100)
        >>> effect = xr.DataArray([[truth, truth + 0.1]], dims=["chain", "draw", "unit"])
        >>> rng = np.random.default_rng(1)
        >>> found = hte.uplift_at(
        ...     effect, outcome=truth * treatment, treatment=treatment, better="higher", rng=rng
        ... )
        >>> found.summary().loc["predicted", "mean"].round(2).to_dict()
        {0.1: 0.96, 0.2: 0.86, 0.3: 0.76}
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
        units are right, 0 if they are noise, in between if they are exaggerated.
    """

    draws: xr.Dataset
    counts: pd.DataFrame
    slope: xr.DataArray

    @interval_parameters
    def summary(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Return one row per quantity and bin: posterior mean and interval.

        Returns
        -------
        DataFrame, index (quantity, bin)
            As :func:`bayes_hte.plots.plot_calibration` draws it: the columns of
            :func:`bayes_hte.summarize`, in outcome units.

        Examples
        --------
        >>> import numpy as np
        >>> import xarray as xr
        >>> import bayes_hte as hte
        >>> treatment, truth = np.arange(100) % 2, np.linspace(-1, 1, 100)
        >>> effect = xr.DataArray([[truth, truth + 0.1]], dims=["chain", "draw", "unit"])
        >>> rng = np.random.default_rng(1)
        >>> found = hte.calibration_by_bins(
        ...     effect, outcome=truth * treatment, treatment=treatment, rng=rng, n_bins=2
        ... )
        >>> found.summary().loc["predicted", "mean"].round(2).to_dict()
        {1: -0.46, 2: 0.56}
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
        If a fraction is not in (0, 1], `better` is unknown or `rng` is no generator.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> treatment, truth = np.arange(100) % 2, np.linspace(-1, 1, 100)
    >>> effect = xr.DataArray([[truth, truth + 0.1]], dims=["chain", "draw", "unit"])
    >>> rng = np.random.default_rng(1)
    >>> found = hte.uplift_at(
    ...     effect, outcome=truth * treatment, treatment=treatment, better="higher", rng=rng
    ... )
    >>> found.counts["n_treated"].to_dict()
    {0.1: 5.0, 0.2: 10.0, 0.3: 15.0}
    """
    shares = shares_of_units(fractions)
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
        If an array breaks its contract, or too many posterior means are equal for two bins.
    SpecError
        If `n_bins` is below 2 or `rng` is no generator.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> treatment, truth = np.arange(100) % 2, np.linspace(-1, 1, 100)
    >>> effect = xr.DataArray([[truth, truth + 0.1]], dims=["chain", "draw", "unit"])
    >>> rng = np.random.default_rng(1)
    >>> found = hte.calibration_by_bins(
    ...     effect, outcome=truth * treatment, treatment=treatment, rng=rng, n_bins=2
    ... )
    >>> bool(abs(found.slope.mean() - 1) < 0.2)
    True
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
    """Return the part of each unit in the top share: 1, 0, or a common part of a tie at the cut."""
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
