"""Units like one that a reader describes: both outcomes and the effect by a few covariates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Unpack

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.averages import probability_of_benefit
from bayes_hte.effects.summaries import summarize
from bayes_hte.names import SAMPLE, UNIT
from bayes_hte.reporting.results import Interval, Results
from bayes_hte.reporting.tables.keys import modifier_keys
from bayes_hte.study.kinds import is_numeric, levels_in_use
from bayes_hte.study.missing import MISSING_LEVEL
from bayes_hte.study.study import Study

LOOKUP = "units_like_this"
MOST_COVARIATES, MOST_LEVELS, N_PARTS = 4, 4, 3
# With fewer units per combination on average, a covariate less is asked for.
UNITS_PER_CELL = 8
CHOICE = "choice "
QUANTITIES = ("reference", "other", "effect")


def lookup_table(
    results: Results, tables: Mapping[str, pd.DataFrame], **how: Unpack[Interval]
) -> pd.DataFrame | None:
    """Average outcomes and effects over units that agree on three or four covariates.

    Parameters
    ----------
    results : Results
        A finished run.
    tables : mapping of str to DataFrame
        Those of the modifiers, by which the covariates are chosen: effects differ most along them.
    **how
        The interval.

    Returns
    -------
    DataFrame or None
        One row per combination that the study has: for each covariate a column ``choice`` with its
        name, holding a level or a range; ``n_units``; for ``reference``, ``other`` (expected
        outcomes) and ``effect``: ``mean_``, ``sd_``, ``ci_lower_`` and ``ci_upper_``, in outcome
        units; ``prob_benefit``. None where the run kept no outcomes of the arms, or no covariate
        can be chosen.
    """
    if results.reference_draws is None:
        return None
    found = cells(results.study, spreads_along(results, tables))
    if found is None:
        return None
    kinds, codes = found
    member = np.eye(len(kinds))[codes]
    member /= member.sum(axis=0)
    reference, effect = results.reference_draws, results.effects["te"]
    draws = {
        "reference": _averaged(reference, member),
        "effect": _averaged(effect, member),
    }
    draws["other"] = draws["reference"] + draws["effect"]
    table = kinds.astype(str).add_prefix(CHOICE)
    table["n_units"] = np.bincount(codes)
    for name in QUANTITIES:
        numbers = summarize(draws[name].rename(name), **how)
        for column in ("mean", "sd", "ci_lower", "ci_upper"):
            table[f"{column}_{name}"] = numbers[column].to_numpy()
    better = results.spec.outcome.better
    table["prob_benefit"] = probability_of_benefit(draws["effect"], better=better).to_numpy()
    return table.reset_index(drop=True)


def _averaged(draws: xr.DataArray, member: np.ndarray) -> xr.DataArray:
    values = draws.transpose(*SAMPLE, UNIT).to_numpy() @ member
    return xr.DataArray(values, dims=(*SAMPLE, "cell"), coords={"cell": range(member.shape[1])})


def spreads_along(results: Results, tables: Mapping[str, pd.DataFrame]) -> dict[str, float]:
    """Return the range of average total effects along each covariate that has a table."""
    keys = {name: key for name, key in modifier_keys(results).items() if key in tables}
    return {name: spread(tables[key].query("effect == 'te'")["mean"]) for name, key in keys.items()}


def spread(means: pd.Series) -> float:
    """Return the range of average effects along a covariate."""
    return float(means.max() - means.min())


def cells(study: Study, spreads: Mapping[str, float]) -> tuple[pd.DataFrame, np.ndarray] | None:
    """Divide units by the covariates along which effects differ most, cut into few parts.

    Parameters
    ----------
    study : Study
        The units.
    spreads : mapping of str to float
        Of each covariate that may be used, the range of average effects along it.

    Returns
    -------
    kinds : DataFrame, one row per combination that the study has
        The level or range of each covariate.
    codes : ndarray of int, shape (unit,)
        The row of each unit.
    """
    parts = _choices(study, spreads)
    if not parts:
        return None
    keys = pd.DataFrame(parts)
    codes = keys.groupby(list(keys), sort=True, observed=True).ngroup().to_numpy()
    return keys.groupby(codes).first(), codes


def _choices(study: Study, spreads: Mapping[str, float]) -> dict[str, pd.Series]:
    """Return the covariates along which effects differ most, cut into few parts."""
    chosen: dict[str, pd.Series] = {}
    n_cells = 1
    for name in sorted(spreads, key=lambda one: -spreads[one]):
        part = _parts(study.frame[name])
        n_levels = 0 if part is None else part.nunique()
        roomy = len(chosen) < 2 or n_cells * n_levels * UNITS_PER_CELL <= study.n_units
        if part is not None and 2 <= n_levels <= MOST_LEVELS and roomy:
            chosen[name], n_cells = part.reset_index(drop=True), n_cells * n_levels
        if len(chosen) == MOST_COVARIATES:
            break
    return chosen


def _parts(column: pd.Series) -> pd.Series | None:
    """Cut a covariate into levels or ranges, ordered; None where it has too many levels."""
    if is_numeric(column) and column.nunique() > N_PARTS:
        return _ranges(column)
    texts = column.astype(str).where(column.notna(), MISSING_LEVEL)
    levels: Sequence[str] = (
        [str(v) for v in sorted(column.dropna().unique())]
        if is_numeric(column)
        else list(levels_in_use(column))
    )
    levels = [*levels, *([MISSING_LEVEL] if column.isna().any() else [])]
    if len(levels) > MOST_LEVELS:
        return None
    return pd.Series(pd.Categorical(texts, categories=levels, ordered=True))


def _ranges(column: pd.Series) -> pd.Series | None:
    values = column.to_numpy(dtype=float, na_value=np.nan)
    inner = np.unique(np.nanquantile(values, np.linspace(0, 1, N_PARTS + 1)[1:-1]))
    inner = inner[inner < np.nanmax(values)]
    if not len(inner):
        return None
    names = [f"up to {inner[0]:.4g}"]
    names += [f"over {low:.4g}, up to {high:.4g}" for low, high in pairwise(inner)]
    names.append(f"over {inner[-1]:.4g}")
    codes = np.searchsorted(inner, values, side="left")
    texts = np.array(names, dtype=object)[np.minimum(codes, len(names) - 1)]
    texts[np.isnan(values)] = MISSING_LEVEL
    if np.isnan(values).any():
        names.append(MISSING_LEVEL)
    return pd.Series(pd.Categorical(texts, categories=names, ordered=True))
