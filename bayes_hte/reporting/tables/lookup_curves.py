"""Curves over time of units like one that a reader describes, under each arm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Unpack

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.summaries import CiKind, summarize
from bayes_hte.errors import DataError
from bayes_hte.names import ARM
from bayes_hte.reporting.page.words import arm_names
from bayes_hte.reporting.results import Interval, Results
from bayes_hte.reporting.tables.lookup import CHOICE, LOOKUP, cells, spread, spreads_along
from bayes_hte.reporting.tables.modifiers import modifier_effects
from bayes_hte.study.study import Study

LOOKUP_CURVES = "curves_of_units_like_this"
GROUP = "group"
# The interval plays no part in the choice of covariates.
_ANY: dict[str, float | CiKind] = {"ci_prob": 0.95, "ci_kind": "eti"}


def codes_like(study: Study, effect: xr.DataArray) -> np.ndarray | None:
    """Return the combination of covariates of each unit, as the look-up of a report has it.

    Parameters
    ----------
    study : Study
        Under the words that the report uses.
    effect : DataArray, dims (chain, draw, unit)
        The total effect.

    Returns
    -------
    ndarray of int, shape (unit,), or None
        None where no covariate can be chosen.
    """
    spreads, shown = {}, xr.Dataset({"te": effect})
    for covariate in study.roles.covariates:
        try:
            means = modifier_effects(shown, study, covariate, **_ANY)["mean"]
        except DataError:
            continue
        spreads[covariate] = spread(means)
    found = cells(study, spreads)
    return None if found is None else found[1]


def lookup_curves(
    results: Results, tables: Mapping[str, pd.DataFrame], **how: Unpack[Interval]
) -> pd.DataFrame | None:
    """Summarise the curves of each combination of the look-up.

    Parameters
    ----------
    results : Results
        A finished run.
    tables : mapping of str to DataFrame
        Those of the modifiers, and the look-up.
    **how
        The interval.

    Returns
    -------
    DataFrame or None
        One row per combination, arm and time: ``row`` (its place in the look-up), the columns
        ``choice`` with the covariates, ``arm``, ``arm_index``, ``time`` and the columns of
        `summarize`. None where a run kept no such curves, or its look-up has other combinations.
    """
    saved, table = results.curves_like, tables.get(LOOKUP)
    if saved is None or table is None:
        return None
    found = cells(results.study, spreads_along(results, tables))
    groups = None if found is None else _same_groups(found[1], saved["label"].to_numpy())
    if groups is None:
        return None
    draws = saved["curve"].sel({GROUP: groups}).reset_coords(drop=True)
    draws = draws.assign_coords({GROUP: range(len(groups)), ARM: range(draws.sizes[ARM])})
    numbers = (
        summarize(draws.astype(np.float64), **how).reset_index().rename(columns={GROUP: "row"})
    )
    names = arm_names(results)
    numbers["arm_index"] = numbers[ARM]
    numbers[ARM] = [names[int(a)] for a in numbers[ARM]]
    chosen = table[[c for c in table.columns if c.startswith(CHOICE)]]
    return chosen.merge(numbers, left_index=True, right_on="row").reset_index(drop=True)


def _same_groups(codes: np.ndarray, labels: np.ndarray) -> list[int] | None:
    """Return the saved group of each combination; None unless both divide the units alike."""
    pairs = pd.DataFrame({"code": codes, "label": labels}).drop_duplicates().sort_values("code")
    if not len(pairs) == pairs["code"].nunique() == pairs["label"].nunique():
        return None
    return pairs["label"].tolist()
