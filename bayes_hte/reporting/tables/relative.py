"""Outcomes of both arms, their difference and their ratios, for all units and for groups of them.

Every number is computed from the draws of the expected outcomes: averaged over the group in each
draw first, compared next, summarised last.

References
----------
Altman, D. G. (1998). Confidence intervals for the number needed to treat. BMJ 317, 1309-1312.
doi:10.1136/bmj.317.7168.1309
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Unpack

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.arguments import benefit_sign
from bayes_hte.effects.summaries import summarize
from bayes_hte.errors import DataError
from bayes_hte.names import ARM, SAMPLE, UNIT
from bayes_hte.reporting.page.scale import Kind, scale_of
from bayes_hte.reporting.results import Interval, Results
from bayes_hte.reporting.tables.subgroups import count
from bayes_hte.subgroups.describing.effect_table import subgroup_labels
from bayes_hte.targeting import effect_by_bucket

RELATIVE = "absolute_and_relative"
ALL, BY_RISK = "all", "predicted outcome"
NUMBER_NEEDED = "number_needed"
RATIOS: dict[Kind, tuple[str, ...]] = {
    "risk": ("risk_ratio", "odds_ratio", NUMBER_NEEDED),
    "rate": ("rate_ratio",),
    "mean": (),
}
"""Relative measures of each kind of outcome; the first one is said in sentences."""

Pair = tuple[xr.DataArray, xr.DataArray]


def relative_table(results: Results, **how: Unpack[Interval]) -> pd.DataFrame | None:
    """Compare the arms on the absolute and the relative scale.

    Parameters
    ----------
    results : Results
        A finished run.
    **how
        The interval.

    Returns
    -------
    DataFrame or None
        One row per group of units and quantity: ``view`` (``"all"``, ``"predicted outcome"``, or
        ``"subgroups of TE"``), ``group``, ``n_units``, ``quantity`` and the columns of `summarize`.
        Quantities are ``outcome_reference`` and ``outcome_other``, expected outcomes in outcome
        units; ``difference``; ``risk_ratio``, ``odds_ratio`` and ``number_needed`` of two-valued
        outcomes; ``rate_ratio`` of counts. The number needed to treat is 1 over the difference in
        the direction of benefit: below 0 it is the number that harms one, and an interval whose
        lower end is below 0 and whose upper end is above it passes through infinity. None if the
        run kept no outcomes of the arms.
    """
    rows = []
    for view, group, n_units, pair in _groups(results):
        table = compare(pair, results, **how)
        head = {"view": view, "group": group, "n_units": n_units}
        rows.append(table.assign(**head)[[*head, *table.columns]])
    return pd.concat(rows, ignore_index=True) if rows else None


def compare(pair: Pair, results: Results, **how: Unpack[Interval]) -> pd.DataFrame:
    """Compare the expected outcomes of two arms.

    Parameters
    ----------
    pair : (DataArray, DataArray), dims (chain, draw)
        Expected outcomes of the reference and of the other arm, in outcome units.
    results : Results
        For the kind of outcome and the direction of benefit.
    **how
        The interval.

    Returns
    -------
    DataFrame
        One row per quantity; see :func:`relative_table`.
    """
    reference, other = pair
    quantities = {
        "outcome_reference": reference,
        "outcome_other": other,
        "difference": other - reference,
    }
    kind = scale_of(results.spec).kind
    if kind != "mean":
        quantities[RATIOS[kind][0]] = other / reference
    if kind == "risk":
        quantities["odds_ratio"] = (other / (1 - other)) / (reference / (1 - reference))
    draws = xr.Dataset({name: value.drop_attrs() for name, value in quantities.items()})
    table = summarize(draws, **how).rename_axis("quantity").reset_index()
    if kind == "risk":
        benefit = benefit_sign(results.spec.outcome.better) * quantities["difference"]
        needed = _number_needed(summarize(benefit.rename(NUMBER_NEEDED), **how))
        table = pd.concat([table, needed], ignore_index=True)
    return table


def _number_needed(benefit: pd.DataFrame) -> pd.DataFrame:
    """Turn the summary of a benefit into that of its inverse, which has no mean."""
    row = benefit.rename_axis("quantity").reset_index()
    lower, upper = row["ci_lower"].item(), row["ci_upper"].item()
    with np.errstate(divide="ignore"):
        ends = {"median": 1 / row["median"], "ci_lower": 1 / np.float64(upper)}
        ends["ci_upper"] = 1 / np.float64(lower)
    if lower < 0 < upper:  # through infinity: the end on the side of harm comes first
        ends["ci_lower"], ends["ci_upper"] = ends["ci_upper"], ends["ci_lower"]
    return row.assign(mean=np.nan, sd=np.nan, **ends)


def _groups(results: Results) -> Iterator[tuple[str, str, int, Pair]]:
    """Yield each group of units with the outcomes of its arms."""
    n_units = results.effects.sizes[UNIT]
    if results.arm_means is not None:
        means = results.arm_means.drop_attrs()
        pair = (means.isel({ARM: 0}, drop=True), means.isel({ARM: 1}, drop=True))
        yield ALL, "all", n_units, pair
    draws = results.reference_draws
    if draws is None:
        return
    if results.reference_outcome is not None:
        yield from _by_risk(results, draws)
    for name, groups in results.subgroups.items():
        if count(groups) < 2:
            continue
        labels = groups.labels.to_numpy()
        named = subgroup_labels(count(groups), better=results.spec.outcome.better)
        for number, label in named.items():
            inside = labels == number
            pair = _pair(results, draws, inside)
            yield f"subgroups of {name.upper()}", label, int(inside.sum()), pair


def _by_risk(results: Results, draws: xr.DataArray) -> Iterator[tuple[str, str, int, Pair]]:
    from bayes_hte.reporting.tables.risks import N_GROUPS

    try:
        buckets = effect_by_bucket(draws, results.reference_outcome, n_buckets=N_GROUPS)
    except DataError:  # one group; the page says so
        return
    for place, (name, n_units) in enumerate(buckets.sizes.items()):
        pair = _pair(results, draws, buckets.codes == place)
        yield BY_RISK, str(name), int(n_units), pair


def _pair(results: Results, draws: xr.DataArray, inside: np.ndarray) -> Pair:
    """Average the outcomes of both arms over some units, draw by draw."""
    effect = results.effects["te"]
    where = {UNIT: np.flatnonzero(inside)}
    reference = draws.isel(where).mean(UNIT)
    return reference, reference + effect.isel(where).mean(UNIT).drop_vars(
        [c for c in effect.coords if c not in SAMPLE], errors="ignore"
    )
