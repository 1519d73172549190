"""Table 1: who was in each arm, before the treatment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.reporting.results import Results
from bayes_hte.study.kinds import is_numeric, levels_in_use

PARTICIPANTS = "participants"
ARMS = ("reference", "other")


def participants(results: Results) -> pd.DataFrame:
    """Describe the covariates of the analysed units by arm.

    Parameters
    ----------
    results : Results
        A finished run.

    Returns
    -------
    DataFrame
        One row per number and per level of a category: ``covariate``, ``level`` (empty for
        numbers), ``kind`` (``"number"``, ``"level"`` or ``"missing"``); for each arm,
        ``reference`` and ``other``: ``n_``, the units that have it (of a number, those with a
        value); ``share_``, of the units with a value (NaN for numbers); ``mean_`` and ``sd_`` (NaN
        for levels); and ``standardised_difference``, other less reference in standard deviations,
        of the recorded values, and of whether one is missing. Levels come in their order; of two
        numbers that are 0 and 1, only 1 is listed.
    """
    study, arm = results.study, results.study.arm_index()
    rows: list[dict[str, Any]] = []
    for name in study.roles.covariates:
        column = study.frame[name]
        rows += _rows(name, column, arm)
    return pd.DataFrame(rows)


def _rows(name: str, column: pd.Series, arm: np.ndarray) -> Iterator[dict[str, Any]]:
    known = column.notna().to_numpy()
    if is_numeric(column):
        values = column.to_numpy(dtype=float, na_value=np.nan)
        if set(np.unique(values[known])) == {0.0, 1.0}:
            yield _level(name, "1", values == 1, known, arm)
        else:
            yield _number(name, values, known, arm)
    else:
        texts = column.astype(str).to_numpy(dtype=object)
        for level in levels_in_use(column):
            yield _level(name, level, (texts == level) & known, known, arm)
    if not known.all():
        everybody = np.ones(len(column), dtype=bool)
        missing = _level(name, "missing", ~known, everybody, arm)
        yield {**missing, "kind": "missing"}


def _number(name: str, values: np.ndarray, known: np.ndarray, arm: np.ndarray) -> dict[str, Any]:
    row: dict[str, Any] = {"covariate": name, "level": "", "kind": "number"}
    for place, which in enumerate(ARMS):
        here = values[known & (arm == place)]
        row |= {f"n_{which}": here.size, f"share_{which}": np.nan}
        row |= {f"mean_{which}": _mean(here), f"sd_{which}": float(np.std(here, ddof=1))}
    variance = (row["sd_reference"] ** 2 + row["sd_other"] ** 2) / 2
    difference = row["mean_other"] - row["mean_reference"]
    return {**row, "standardised_difference": _standardised(difference, variance)}


def _level(
    name: str, level: str, inside: np.ndarray, known: np.ndarray, arm: np.ndarray
) -> dict[str, Any]:
    row: dict[str, Any] = {"covariate": name, "level": level, "kind": "level"}
    for place, which in enumerate(ARMS):
        here = inside[known & (arm == place)]
        row |= {f"n_{which}": int(here.sum()), f"share_{which}": _mean(here)}
        row |= {f"mean_{which}": np.nan, f"sd_{which}": np.nan}
    shares = np.array([row["share_reference"], row["share_other"]])
    variance = float((shares * (1 - shares)).mean())
    difference = shares[1] - shares[0]
    return {**row, "standardised_difference": _standardised(difference, variance)}


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


def _standardised(difference: float, variance: float) -> float:
    """Divide by the pooled standard deviation; 0 where both arms are constant and alike."""
    if variance > 0:
        return float(difference / np.sqrt(variance))
    return 0.0 if difference == 0 else float("nan")
