"""Censoring that depends on the time itself: how much of it would change the conclusion.

Models of censored times assume that units alike are censored whatever their time. If those who
left did worse (or better) than others alike, the unseen log times are shifted by a number delta:
a unit censored at c, of which the model expects the time T > c, has the time
``max(c, T exp(delta))``. The average effect on restricted mean survival time changes by the mean
change of ``min(T, h)`` in one arm less that in the other, draw by draw. ``exp(delta)`` is the
factor of the table: .5 halves the time until the event of all who were censored.

References
----------
Jackson, D., White, I. R., Seaman, S., Evans, H., Baisley, K., Carpenter, J. (2014). Relaxing the
independent censoring assumption in the Cox proportional hazards model using multiple imputation.
Statistics in Medicine 33, 4681-4694. doi:10.1002/sim.6274
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.arguments import Better
from bayes_hte.effects.averages import probability_of_benefit
from bayes_hte.effects.summaries import CiKind, summarize
from bayes_hte.errors import DataError, SpecError
from bayes_hte.names import SAMPLE
from bayes_hte.sensitivity.arguments import check_average
from bayes_hte.study.time_to_event import EstimandName

FACTORS = (0.5, 0.67, 0.8, 1.0, 1.25, 1.5, 2.0)
REFERENCE, OTHER, BOTH = "reference arm", "other arm", "both arms"
APPLIED = {REFERENCE: (0,), OTHER: (1,), BOTH: (0, 1)}


def informative_censoring(
    effect: xr.DataArray,
    unseen: np.ndarray,
    *,
    time: np.ndarray,
    event: np.ndarray,
    arm: np.ndarray,
    horizon: float,
    better: Better,
    factors: Sequence[float] = FACTORS,
    weights: np.ndarray | None = None,
    estimand: EstimandName = "rmst",
    of_cause: np.ndarray | None = None,
    ci_prob: float = 0.95,
    ci_kind: CiKind = "eti",
) -> pd.DataFrame:
    """Shift the unseen times of censored units, and see how the average effect changes.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw)
        Average effect on restricted mean survival time, or on the probability of `estimand`.
    unseen : ndarray, shape (chain, draw, censored)
        Times of the event of the censored units, drawn from the model given survival until then,
        in the order of the units.
    time, event, arm : ndarray, shape (unit,)
        Times, whether the event was seen, and arms (0 and 1).
    horizon : float
        Up to which times count.
    better : {"higher", "lower"}
        Whether longer times are good.
    factors : sequence of float
        Factors of the unseen times.
    weights : ndarray, shape (unit,), optional
        One over the probability of the unit's own arm, where it differs between units.
    estimand : {"rmst", "survival", "cumulative_incidence"}
        Scale of the effect; a probability is that at the horizon.
    of_cause : ndarray of bool, shape of `unseen`, optional
        Of a cumulative incidence: whether the unseen event is of the cause of interest.
    ci_prob, ci_kind
        The interval.

    Returns
    -------
    DataFrame
        One row per arm that the factor applies to and factor: ``applied_to``, ``factor``,
        ``mean``, ``ci_lower``, ``ci_upper``, ``prob_benefit``.

    Raises
    ------
    DataError
        If shapes do not fit, a drawn time is not later than its censoring, or the causes of unseen
        events are not given where they count.
    SpecError
        If a factor is not a positive number.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> from bayes_hte.sensitivity import informative_censoring
    >>> effect = xr.DataArray(np.full((1, 2), 0.5), dims=("chain", "draw"))
    >>> found = informative_censoring(
    ...     effect, np.full((1, 2, 1), 4.0), time=np.array([1.0, 2.0]), event=np.array([1, 0]),
    ...     arm=np.array([0, 1]), horizon=3.0, better="higher", factors=[0.5, 1.0],
    ... )
    >>> found.set_index(["applied_to", "factor"])["mean"].loc["other arm"].to_dict()
    {0.5: -0.5, 1.0: 0.5}
    """
    check_average(effect, "effect")
    event = np.asarray(event).astype(bool)
    left = np.flatnonzero(~event)
    if unseen.shape != (*(effect.sizes[d] for d in SAMPLE), left.size):
        raise DataError(
            f"unseen times must have one value per draw and censored unit, got {unseen.shape}."
        )
    if (unseen < time[left]).any():
        raise DataError("an unseen time lies before the time at which its unit was censored.")
    if not all(np.isfinite(f) and f > 0 for f in factors):
        raise SpecError(f"factors of unseen times are positive numbers, got {list(factors)}.")
    weights = np.ones(time.size) if weights is None else weights
    effect = effect.transpose(*SAMPLE)
    if estimand == "cumulative_incidence" and np.shape(of_cause) != unseen.shape:
        raise DataError("a cumulative incidence needs of_cause, one value per unseen time.")

    def value(times: np.ndarray) -> np.ndarray:
        if estimand == "rmst":
            return np.minimum(times, horizon)
        if estimand == "survival":
            return (times > horizon).astype(np.float64)
        return (of_cause & (times <= horizon)).astype(np.float64)

    expected, rows = value(unseen), []
    for applied, arms in APPLIED.items():
        for factor in factors:
            moved = value(np.maximum(time[left], unseen * factor)) - expected
            shift = np.zeros(effect.shape)
            for a in arms:
                own = arm[left] == a
                total = (moved[..., own] * weights[left][own]).sum(axis=-1)
                shift += (1 if a else -1) * total / weights[arm == a].sum()
            shifted = effect + shift
            row = summarize(shifted.rename("effect"), ci_prob=ci_prob, ci_kind=ci_kind).iloc[0]
            rows.append(
                {
                    "applied_to": applied,
                    "factor": factor,
                    **row[["mean", "ci_lower", "ci_upper"]],
                    "prob_benefit": float(probability_of_benefit(shifted, better=better)),
                }
            )
    return pd.DataFrame(rows)
