"""Effects by buckets of a covariate, or of anything known about the units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.companions.inputs import align, in_unit_order
from bayes_hte.effects.arguments import check_number
from bayes_hte.effects.summaries import CiKind, interval_parameters, summarize
from bayes_hte.errors import DataError
from bayes_hte.study.kinds import levels_in_use
from bayes_hte.targeting.posterior import as_draws, effect_rows, units_of, weighted_means

MAX_LEVELS = 50
"""A number with more values than this needs quantile buckets, not one bucket per value."""


@dataclass(frozen=True, eq=False)
class BucketEffects:
    """The average effect in each bucket of units.

    Attributes
    ----------
    draws : DataArray, dims (chain, draw, bucket)
        Mean effect over the units of a bucket in each draw, in outcome units.
    sizes : Series, index bucket
        Number of units.
    codes : ndarray of int, shape (unit,)
        Position of each unit's bucket.
    """

    draws: xr.DataArray
    sizes: pd.Series
    codes: np.ndarray

    @interval_parameters
    def summary(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Return one row per bucket: its size and the posterior of its average effect.

        Returns
        -------
        DataFrame, index bucket
            ``n`` and the columns of :func:`bayes_hte.summarize`, in outcome units.

        Examples
        --------
        >>> import numpy as np
        >>> import xarray as xr
        >>> import bayes_hte as hte
        >>> effect = xr.DataArray([[[1.0, 2.0, 6.0, 8.0]]], dims=["chain", "draw", "unit"])
        >>> buckets = hte.effect_by_bucket(effect, np.array([30, 40, 50, 60]), n_buckets=2)
        >>> buckets.summary()[["n", "mean"]].to_dict("list")
        {'n': [2, 2], 'mean': [1.5, 7.0]}
        """
        table = summarize(self.draws, ci_prob=ci_prob, ci_kind=ci_kind)
        table.insert(0, "n", self.sizes)
        return table


def effect_by_bucket(
    effect: xr.DataArray,
    by: pd.Series | np.ndarray | xr.DataArray,
    *,
    n_buckets: int | None,
) -> BucketEffects:
    """Average an effect within buckets of units, draw by draw.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit)
        Unit-level effects.
    by : Series, ndarray or DataArray, shape (unit,)
        The values that make the buckets; labelled values are matched by label.
    n_buckets : int or None
        Number of quantile buckets of a numeric `by`; None makes one bucket per distinct value.
        Equal values are never split, so heavy ties give fewer (and unequal) buckets than asked for.

    Returns
    -------
    BucketEffects
        Buckets in increasing order of `by`. Average effects are about the units given (SATE of
        each bucket).

    Raises
    ------
    DataError
        If labels or values do not fit, values are missing, or only one bucket results.
    SpecError
        If `n_buckets` is not a whole number of at least 2.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> effect = xr.DataArray([[[1.0, 2.0, 6.0, 8.0]]], dims=["chain", "draw", "unit"])
    >>> buckets = hte.effect_by_bucket(effect, np.array(["f", "m", "f", "m"]), n_buckets=None)
    >>> buckets.draws.to_series().tolist()
    [3.5, 5.0]
    """
    rows, units = effect_rows(effect), units_of(effect)
    if n_buckets is None:
        ordered = isinstance(by, pd.Series) and isinstance(by.dtype, pd.CategoricalDtype)
        order = levels_in_use(by) if ordered else None
        codes, names = _level_buckets(in_unit_order(by, units, "by"), order)
    else:
        values = align(by, units, "by")
        codes = quantile_codes(values, n_buckets)
        names = _range_names(values, codes)
    member = np.eye(len(names))[codes]
    draws = as_draws(weighted_means(rows, member), effect, "effect", ("bucket", names))
    index = pd.Index(names, name="bucket")
    return BucketEffects(draws, pd.Series(member.sum(axis=0).astype(int), index, name="n"), codes)


def quantile_codes(values: np.ndarray, n_buckets: int) -> np.ndarray:
    """Put values into quantile buckets, right-closed, without splitting equal values.

    Parameters
    ----------
    values : ndarray, shape (unit,)
        Finite numbers.
    n_buckets : int
        Buckets wanted, at least 2.

    Returns
    -------
    ndarray of int, shape (unit,)
        0 for the lowest bucket; every code up to the largest is in use.

    Raises
    ------
    SpecError
        If `n_buckets` is not a whole number of at least 2.
    DataError
        If the values fall into one bucket.
    """
    check_number(
        "the number of buckets",
        n_buckets,
        "a whole number, at least 2",
        lambda n: n >= 2,
        whole=True,
        hint="try 5",
    )
    edges = np.quantile(values, np.arange(1, n_buckets) / n_buckets)
    _, codes = np.unique(np.searchsorted(edges, values, side="left"), return_inverse=True)
    if codes.max() == 0:
        raise DataError(
            f"{n_buckets} quantile buckets collapse into one: too many values are equal. "
            "Use n_buckets=None for one bucket per value, or another variable."
        )
    return codes


def _level_buckets(
    values: np.ndarray, order: tuple[str, ...] | None
) -> tuple[np.ndarray, list[str]]:
    if pd.isna(values).any():
        raise DataError(f"by has {int(pd.isna(values).sum())} missing values; fill or drop them.")
    if order is None:
        codes, levels = pd.factorize(values, sort=True)
    else:
        codes, levels = pd.Index(order).get_indexer(values.astype(str)), order
    if not 1 < len(levels) <= MAX_LEVELS:
        raise DataError(
            f"by has {len(levels)} distinct values; 2 to {MAX_LEVELS} can be buckets. "
            "For a number with many values pass n_buckets=5."
        )
    return codes, [str(level) for level in levels]


def _range_names(values: np.ndarray, codes: np.ndarray) -> list[str]:
    groups = (values[codes == k] for k in range(codes.max() + 1))
    return [f"{k}: {g.min():.4g} to {g.max():.4g}" for k, g in enumerate(groups, start=1)]
