"""Tables of times to an event: curves, follow-up, mean survival by arm, and hazards."""

from __future__ import annotations

from typing import Unpack

import numpy as np
import pandas as pd

from bayes_hte.companions.curves import at_risk, follow_up, observed_survival
from bayes_hte.effects.summaries import summarize
from bayes_hte.reporting.page.words import arm_names, horizon
from bayes_hte.reporting.results import Interval, Results

CURVES, OBSERVED, AT_RISK = "survival_curves", "survival_observed", "survival_at_risk"
FOLLOW_UP, HAZARDS = "survival_follow_up", "survival_hazards"
ALL = "all"
GROUPS = (ALL, "shortest third", "middle third", "longest third")
N_AT_RISK = 6


def survival_tables(results: Results, **how: Unpack[Interval]) -> dict[str, pd.DataFrame]:
    """Compute the tables of times to an event.

    Parameters
    ----------
    results : Results
        A finished run.
    **how
        The interval.

    Returns
    -------
    dict of str to DataFrame
        Empty for other outcomes. ``survival_curves``: ``group``, ``arm`` (its name),
        ``arm_index``, ``time`` and the columns of `summarize`; ``survival_observed``: ``arm``,
        ``arm_index``, ``time``, ``survival`` and bounds (Kaplan-Meier); ``survival_at_risk``:
        ``arm``, ``arm_index``, ``time``, ``n_units``; ``survival_follow_up``: ``arm``, units,
        events, censored and follow-up, with the posterior of the restricted mean; and
        ``survival_hazards``.
    """
    study, names = results.study, arm_names(results)
    if study.event is None:
        return {}
    seen = _named(observed_survival(study), names)
    times = np.linspace(0, horizon(results), N_AT_RISK)
    counts = at_risk(study, times).melt(ignore_index=False, var_name="time", value_name="n_units")
    counts = counts.reset_index().sort_values(["arm", "time"], ignore_index=True)
    tables = {OBSERVED: seen, AT_RISK: _named(counts, names), FOLLOW_UP: _follow_up(results, **how)}
    if results.classical.hazards is not None:
        tables[HAZARDS] = results.classical.hazards.reset_index()
    if results.curves is not None:
        tables[CURVES] = _curves(results, names, **how)
    return tables


def _named(table: pd.DataFrame, names: tuple[str, str]) -> pd.DataFrame:
    """Add the names of arms to their positions."""
    return table.assign(arm_index=table["arm"], arm=[names[int(a)] for a in table["arm"]])


def _curves(results: Results, names: tuple[str, str], **how: Unpack[Interval]) -> pd.DataFrame:
    draws = results.curves.reset_coords(drop=True)
    draws = draws.assign_coords(arm=range(draws.sizes["arm"])).astype(np.float64)
    table = summarize(draws, **how).reset_index()
    table["group"] = [GROUPS[int(g)] for g in table["group"]]
    return _named(table, names)


def _follow_up(results: Results, **how: Unpack[Interval]) -> pd.DataFrame:
    table = _named(follow_up(results.study).reset_index(), arm_names(results))
    if results.arm_means is None:
        return table
    means = results.arm_means.reset_coords(drop=True)
    means = summarize(means.assign_coords(arm=range(means.sizes["arm"])), **how).reset_index()
    columns = ["mean", "ci_lower", "ci_upper", "ci_prob", "ci_kind"]
    return table.join(means[columns].add_prefix("restricted_"))
