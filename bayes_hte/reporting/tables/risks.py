"""Effects by predicted outcome: the risk-based view, which comes before any modelled effect.

References
----------
Kent, D. M., Paulus, J. K., van Klaveren, D., et al. (2020). The Predictive Approaches to Treatment
effect Heterogeneity (PATH) Statement. Annals of Internal Medicine 172, 35-45. doi:10.7326/M18-3667
"""

from __future__ import annotations

from typing import Unpack

import numpy as np
import pandas as pd

from bayes_hte.companions.restricted_means import restricted_means
from bayes_hte.effects.averages import probability_of_benefit
from bayes_hte.effects.summaries import summarize
from bayes_hte.errors import DataError
from bayes_hte.fitting.plan import scale_of_times
from bayes_hte.names import UNIT
from bayes_hte.reporting.results import Interval, Results
from bayes_hte.reporting.tables.keys import focus
from bayes_hte.targeting import BucketEffects, effect_by_bucket

RISK = "risk_groups"
CONTRAST = "risk_contrast"
N_GROUPS = 4


def risk_tables(
    results: Results, *, n_groups: int = N_GROUPS, **how: Unpack[Interval]
) -> dict[str, pd.DataFrame]:
    """Average effects over groups of units with similar predicted outcomes, then summarise.

    Parameters
    ----------
    results : Results
        A finished run.
    n_groups : int, default 4
        Groups of about equal size, by the outcome expected under the reference arm.
    **how
        The interval.

    Returns
    -------
    dict of str to DataFrame
        ``risk_groups``, one row per effect and group from the lowest prediction up: ``effect``,
        ``group``, ``position`` (mean prediction), ``n_units``, ``observed_reference`` and
        ``observed_other`` (mean outcomes in the arms as they are), the columns of `summarize`,
        ``prob_benefit`` and ``prob_important``; ``risk_contrast``, one row per effect: the effect
        in the last group minus that in the first. Empty where predictions were not kept, or are too
        alike to form two groups.
    """
    predicted = results.reference_outcome
    if predicted is None:
        return {}
    rows, contrasts = [], []
    for name in focus(results):
        try:
            groups = effect_by_bucket(results.effects[name], predicted, n_buckets=n_groups)
        except DataError:  # one group; the page says so
            return {}
        rows.append(_rows(results, name, groups, **how))
        last, first = (groups.draws.isel(bucket=i, drop=True) for i in (-1, 0))
        contrast = summarize(last - first, **how).reset_index(drop=True)
        contrast.insert(0, "effect", name)
        contrasts.append(contrast)
    return {
        RISK: pd.concat(rows, ignore_index=True),
        CONTRAST: pd.concat(contrasts, ignore_index=True),
    }


def _rows(
    results: Results, name: str, groups: BucketEffects, **how: Unpack[Interval]
) -> pd.DataFrame:
    better, important = results.direction["better"], results.direction["important"]
    table = groups.summary(**how).reset_index(names="group").rename(columns={"n": "n_units"})
    table.insert(0, "effect", name)
    for place, (column, values) in enumerate(_means(results, groups.codes).items(), start=2):
        table.insert(place, column, values.to_numpy())
    for column, beyond in (("prob_benefit", 0.0), ("prob_important", important)):
        chance = probability_of_benefit(groups.draws, better=better, beyond=beyond)
        table[column] = chance.to_numpy()
    return table


def _means(results: Results, codes: np.ndarray) -> dict[str, pd.Series]:
    """Mean prediction, and mean outcome of either arm, of every group; NaN for an absent arm."""
    units = results.effects[UNIT].to_numpy()
    study = restricted_means(results.study, scale_of_times(results.spec, results.study))
    seen = pd.DataFrame({"y": study.outcome(), "arm": study.arm_index()}, index=study.units)
    seen = seen.loc[units]
    predicted = results.reference_outcome.sel({UNIT: units}).to_numpy()
    groups = range(codes.max() + 1)
    observed = seen.assign(group=codes).pivot_table(index="group", columns="arm", values="y")
    observed = observed.reindex(groups)
    return {
        "position": pd.Series(predicted).groupby(codes).mean(),
        "observed_reference": observed[0],
        "observed_other": observed[1],
    }
