"""Tables of times to an event: curves, follow-up, mean survival by arm, and hazards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Unpack

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.companions.curves import at_risk, follow_up, observed_survival
from bayes_hte.companions.incidence import observed_incidence
from bayes_hte.effects.summaries import summarize
from bayes_hte.reporting.page.words import arm_names, horizon
from bayes_hte.reporting.results import Interval, Results
from bayes_hte.subgroups import subgroup_labels

CURVES, OBSERVED, AT_RISK = "survival_curves", "survival_observed", "survival_at_risk"
FOLLOW_UP, HAZARDS = "survival_follow_up", "survival_hazards"
INCIDENCE, OBSERVED_INCIDENCE = "incidence_curves", "incidence_observed"
SUBGROUPS, SUBGROUPS_AT_RISK = "curves_of_subgroups", "at_risk_in_subgroups"
ALL = "all"
GROUPS = (ALL, "shortest third", "middle third", "longest third")
RISK_GROUPS = (ALL, "lowest third", "middle third", "highest third")
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
        events (of several causes those of each as well), censored and follow-up, with the posterior
        of the expected outcome; and ``survival_hazards``. Where events have several causes
        ``incidence_curves``, as ``survival_curves``, and ``incidence_observed``: ``arm``,
        ``arm_index``, ``time``, ``incidence`` and bounds (Aalen-Johansen). Where subgroups were
        found ``curves_of_subgroups``, with ``effect`` and ``group``, and
        ``at_risk_in_subgroups``.
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
    thirds = dict(enumerate(group_names(results)))
    if results.curves is not None:
        tables[CURVES] = _curves(results.curves, names, thirds, **how)
    if study.causes:
        tables[OBSERVED_INCIDENCE] = _named(observed_incidence(study), names)
    if results.incidence is not None:
        tables[INCIDENCE] = _curves(results.incidence, names, thirds, **how)
    return tables | _of_subgroups(results, names, times, **how)


def group_names(results: Results) -> tuple[str, ...]:
    """Return everybody and the thirds of the outcome expected in the reference arm, in order."""
    return RISK_GROUPS if results.spec.estimand == "cumulative_incidence" else GROUPS


def _of_subgroups(
    results: Results, names: tuple[str, str], times: np.ndarray, **how: Unpack[Interval]
) -> dict[str, pd.DataFrame]:
    """Curves of subgroups, and how many of each are at risk; nothing without subgroups."""
    curves, counts = [], []
    for name, draws in results.subgroup_curves.items():
        groups = results.subgroups[name]
        labels = subgroup_labels(draws.sizes["group"], better=results.spec.outcome.better)
        table = _curves(draws, names, labels, **how)
        table.insert(0, "effect", name)
        curves.append(table)
        for number, label in labels.items():
            rows = groups.labels.to_numpy() == number
            seen = at_risk(results.study, times, rows)
            seen = seen.melt(ignore_index=False, var_name="time", value_name="n_units")
            counts.append(_named(seen.reset_index(), names).assign(effect=name, group=label))
    if not curves:
        return {}
    return {SUBGROUPS: pd.concat(curves), SUBGROUPS_AT_RISK: pd.concat(counts)}


def _named(table: pd.DataFrame, names: tuple[str, str]) -> pd.DataFrame:
    """Add the names of arms to their positions."""
    return table.assign(arm_index=table["arm"], arm=[names[int(a)] for a in table["arm"]])


def _curves(
    draws: xr.DataArray,
    names: tuple[str, str],
    groups: Mapping[int, str],
    **how: Unpack[Interval],
) -> pd.DataFrame:
    draws = draws.reset_coords(drop=True)
    draws = draws.assign_coords(arm=range(draws.sizes["arm"])).astype(np.float64)
    table = summarize(draws, **how).reset_index()
    table["group"] = [groups[int(g)] for g in table["group"]]
    return _named(table, names)


def _follow_up(results: Results, **how: Unpack[Interval]) -> pd.DataFrame:
    study = results.study
    table = follow_up(study).reset_index()
    for cause in study.causes:
        counts = np.bincount(study.arm_index()[study.event_of(cause)], minlength=len(table))
        table[f"events of {cause}"] = counts
    table = _named(table, arm_names(results))
    if results.arm_means is None:
        return table
    means = results.arm_means.reset_coords(drop=True)
    means = summarize(means.assign_coords(arm=range(means.sizes["arm"])), **how).reset_index()
    columns = ["mean", "ci_lower", "ci_upper", "ci_prob", "ci_kind"]
    return table.join(means[columns].add_prefix("restricted_"))
