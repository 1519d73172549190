"""Effects of groups of units: along each modifier, and by predicted outcome."""

from __future__ import annotations

from typing import Unpack

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.summaries import CiKind
from bayes_hte.errors import DataError
from bayes_hte.names import UNIT
from bayes_hte.reporting.results import Interval, Results
from bayes_hte.reporting.tables.keys import focus, modifier_keys
from bayes_hte.study.kinds import is_numeric
from bayes_hte.study.missing import MISSING_LEVEL
from bayes_hte.study.study import Study
from bayes_hte.targeting import effect_by_bucket

N_BUCKETS = 5
# A numeric modifier with this many values or fewer is shown value by value.
FEW_VALUES = 6


def modifier_effects(
    effects: xr.Dataset,
    study: Study,
    covariate: str,
    *,
    ci_prob: float,
    ci_kind: CiKind,
    n_buckets: int = N_BUCKETS,
) -> pd.DataFrame:
    """Average effects over groups of units along a covariate, then summarise.

    Parameters
    ----------
    effects : Dataset of DataArray, dims (chain, draw, unit)
        Unit-level draws by effect name.
    study : Study
        Holds the covariate, for the same units.
    covariate : str
        A column of the study.
    ci_prob, ci_kind
        The interval.
    n_buckets : int, default 5
        Number of quantile groups of a numeric covariate with more than six values; any other
        covariate is shown level by level. Units whose value is missing are left out of the former,
        and are a level of the latter.

    Returns
    -------
    DataFrame
        One row per effect and group, as :func:`bayes_hte.plots.plot_modifier` draws it:
        ``covariate``, ``effect``, ``group``, ``position`` (mean of the covariate in the group, NaN
        for levels), ``n_units`` and the columns of `summarize`.

    Raises
    ------
    DataError
        If the covariate has too many levels, or its quantile groups collapse into one.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> from bayes_hte import reporting
    >>> rng = np.random.default_rng(1)
    >>> frame = hte.simulate_mediation(rng, n=60).frame
    >>> study = hte.Study.from_frame(frame, outcome="y", treatment="treat", covariates=["x1"])
    >>> draws = rng.normal(size=(2, 50, 60))
    >>> effects = xr.Dataset({"te": (("chain", "draw", "unit"), draws)}, {"unit": study.units})
    >>> how = {"ci_prob": 0.9, "ci_kind": "eti"}
    >>> reporting.modifier_effects(effects, study, "x1", **how)["n_units"].tolist()
    [12, 12, 12, 12, 12]
    """
    column = study.frame[covariate].loc[effects[UNIT].to_numpy()]
    spread = is_numeric(column) and column.nunique() > FEW_VALUES
    if spread:
        # Units with a gap have no place along a number; among levels, missing is one.
        effects = effects.isel({UNIT: column.notna().to_numpy()})
        column = column.dropna()
    elif column.isna().any():
        column = column.astype(str).where(column.notna(), MISSING_LEVEL)
    tables = []
    for name, effect in effects.data_vars.items():
        buckets = effect_by_bucket(effect, column, n_buckets=n_buckets if spread else None)
        numbers = buckets.summary(ci_prob=ci_prob, ci_kind=ci_kind).reset_index(names="group")
        numbers = numbers.rename(columns={"n": "n_units"})
        position = column.astype(float).groupby(buckets.codes).mean() if spread else np.nan
        numbers.insert(0, "covariate", covariate)
        numbers.insert(1, "effect", str(name))
        numbers.insert(3, "position", position)
        tables.append(numbers)
    return pd.concat(tables, ignore_index=True)


def modifier_tables(results: Results, **how: Unpack[Interval]) -> dict[str, pd.DataFrame]:
    """One table per covariate; ``modifiers_not_shown`` gives the reason for each absent one."""
    shown = results.effects[list(focus(results))]
    tables: dict[str, pd.DataFrame] = {}
    refused: list[dict[str, str]] = []
    for covariate, key in modifier_keys(results).items():
        try:
            tables[key] = modifier_effects(shown, results.study, covariate, **how)
        except DataError as error:
            refused.append({"covariate": covariate, "reason": str(error)})
    if refused:
        tables["modifiers_not_shown"] = pd.DataFrame(refused)
    return tables
