"""Covariate balance between the arms: raw, matched, weighted.

Where covariates have gaps, means and variances are of the recorded values, and whether a value is
missing is a covariate of its own: arms may be alike in what was recorded and differ in how often.

References
----------
Austin, P. C. (2009). Balance diagnostics for comparing the distribution of baseline covariates
between treatment groups in propensity-score matched samples. Statistics in Medicine 28, 3083-3107.
doi:10.1002/sim.3697
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.companions.inputs import ARMS, UnitValues, treated, unit_values
from bayes_hte.errors import DataError
from bayes_hte.study.frames import column, free_name, names_given
from bayes_hte.study.kinds import check_usable, is_numeric, numeric_column
from bayes_hte.study.missing import with_nan

RAW = "raw"


def balance(
    frame: pd.DataFrame,
    *,
    treatment: str,
    covariates: Sequence[str],
    weights: UnitValues | None = None,
) -> pd.DataFrame:
    """Compare the covariates of the arms, raw or weighted.

    The standardised mean difference (SMD) is the mean of the treated minus the mean of the
    controls over the square root of the average of the two variances. Without weights these are
    sample variances (divisor n - 1); with weights, weighted variances around weighted means
    (divisor: sum of weights), each arm on its own weights.

    Parameters
    ----------
    frame : DataFrame, shape (unit, ...)
        One row per unit.
    treatment : str
        Column coded 0/1.
    covariates : sequence of str
        Columns; text and categories give one 0/1 row per level, named ``column=level``
        (``column=level (level)`` if a covariate has that name). A column with missing values is
        described by those it has, and gives a further 0/1 row, ``column (missing)``.
    weights : str, Series, ndarray or DataArray, shape (unit,), optional
        Non-negative weights, for instance ``iptw(...).weights`` or ``match_nearest(...).weights``.

    Returns
    -------
    DataFrame, index covariate
        ``mean_control``, ``mean_treated`` (units of the covariate), ``smd`` (standard deviations),
        ``variance_ratio`` (treated over control) and ``note``, which says why a number is NaN.

    Raises
    ------
    DataError
        If a column or the weights cannot be used (all values missing, infinite or negative values,
        an arm of one unit or without weight).

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_hte as hte
    >>> frame = pd.DataFrame({"y": [1, 2, 4, 6], "t": [0, 0, 1, 1], "e": [0.4, 0.5, 0.4, 0.5]})
    >>> frame = frame.assign(age=[30, 50, 40, 60])
    >>> table = hte.balance(frame, treatment="t", covariates=["age"])
    >>> table.loc["age", ["mean_control", "mean_treated"]].tolist()
    [40.0, 50.0]
    """
    arm = treated(frame, treatment)
    values = _numeric_covariates(frame, covariates)
    means, variances = zip(
        *(_moments(values[group], weights, frame, group) for group in (~arm, arm)), strict=True
    )
    table = pd.DataFrame(
        {f"mean_{name}": mean for name, mean in zip(ARMS, means, strict=True)}, index=values.columns
    )
    spread = np.sqrt((variances[0] + variances[1]) / 2)
    difference = means[1] - means[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        table["smd"] = np.where(spread > 0, difference / spread, np.nan)
        table["variance_ratio"] = np.where(variances[0] > 0, variances[1] / variances[0], np.nan)
    table["note"] = np.select(
        [np.isnan(spread), spread == 0, variances[0] == 0],
        [
            "fewer than two recorded values in an arm: no SMD",
            "constant within both arms: no SMD",
            "constant among controls: no variance ratio",
        ],
        default="",
    )
    return table.rename_axis("covariate")


def compare_balance(
    frame: pd.DataFrame,
    *,
    treatment: str,
    covariates: Sequence[str],
    weights: Mapping[str, UnitValues],
) -> pd.DataFrame:
    """Put the SMDs of several weightings in one table, as a love plot needs them.

    Parameters
    ----------
    frame, treatment, covariates
        As in :func:`balance`.
    weights : mapping of str to weights
        Column name of the result to weights, e.g.
        ``{"matched": matched.weights, "weighted": weighted.weights}``.

    Returns
    -------
    DataFrame, index covariate
        SMDs in the columns ``raw`` and the names of `weights`, in standard deviations.

    Raises
    ------
    DataError
        As :func:`balance`, or if weights are called ``"raw"``.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_hte as hte
    >>> frame = pd.DataFrame({"y": [1, 2, 4, 6], "t": [0, 0, 1, 1], "e": [0.4, 0.5, 0.4, 0.5]})
    >>> weighted = hte.iptw(frame, outcome="y", treatment="t", propensity="e")
    >>> frame, weights = frame.assign(age=[30, 50, 40, 60]), {"weighted": weighted.weights}
    >>> table = hte.compare_balance(frame, treatment="t", covariates=["age"], weights=weights)
    >>> table.round(2).loc["age"].to_dict()
    {'raw': 0.71, 'weighted': 0.8}
    """
    if RAW in weights:
        raise DataError(
            f"{RAW!r} is the column of the SMDs without weights; name these weights otherwise."
        )
    options: dict[str, UnitValues | None] = {RAW: None, **weights}
    return pd.DataFrame(
        {
            name: balance(frame, treatment=treatment, covariates=covariates, weights=w)["smd"]
            for name, w in options.items()
        }
    )


def _numeric_covariates(frame: pd.DataFrame, covariates: Sequence[str]) -> pd.DataFrame:
    names = names_given(covariates, "covariate")
    columns: dict[str, np.ndarray] = {}
    for name in names:
        values = column(frame, name, "covariate", gaps=True)
        check_usable(values, "covariate")
        gaps = values.isna().to_numpy()
        if is_numeric(values):
            columns[name] = numeric_column(with_nan(values), "covariate")
        else:
            known = values[~gaps]
            levels = values.cat.categories if hasattr(values, "cat") else sorted(known.unique())
            for level in levels:
                row = free_name(f"{name}={level}", {*names, *columns})
                inside = np.full(len(values), np.nan)
                inside[~gaps] = known == level
                columns[row] = inside
        if gaps.any():
            columns[free_name(f"{name} (missing)", {*names, *columns})] = gaps.astype(float)
    table = pd.DataFrame(columns, index=frame.index)
    infinite = table.columns[np.isinf(table.to_numpy()).any(axis=0)]
    if len(infinite):
        raise DataError(f"infinite values in {', '.join(infinite)}. Replace or drop them.")
    return table


def _moments(
    values: pd.DataFrame, weights: UnitValues | None, frame: pd.DataFrame, group: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances of the covariates in one arm, each shape (covariate,)."""
    x = values.to_numpy()
    w = None
    if weights is not None:
        w = unit_values(frame, weights, "weights")
        if w.min() < 0:
            raise DataError(f"weights must not be negative, got {w.min():g}.")
        w = w[group]
        if not w.sum() > 0:
            raise DataError("an arm has no weight at all: nobody in it is matched or weighted.")
    elif len(x) < 2:
        raise DataError("an arm has a single unit; variances need two.")
    mean, variance = _of_columns(x, w)
    for j in np.flatnonzero(np.isnan(x).any(axis=0)):
        known = ~np.isnan(x[:, j])
        enough = known.sum() >= 2 and (w is None or w[known].sum() > 0)
        mean[j], variance[j] = np.nan, np.nan
        if enough:
            mean[j], variance[j] = _of_columns(x[known, j], None if w is None else w[known])
    return mean, variance


def _of_columns(x: np.ndarray, w: np.ndarray | None) -> tuple[Any, Any]:
    """Return the mean and the variance of complete columns, shape (unit,) or (unit, column)."""
    if w is None:
        return x.mean(axis=0), x.var(axis=0, ddof=1)
    mean = np.average(x, axis=0, weights=w)
    return mean, np.average((x - mean) ** 2, axis=0, weights=w)
