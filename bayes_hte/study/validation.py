"""The conditions that a frame meets before it becomes a study.

Each function raises DataError if one of them fails, and says what was got and what to try.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.errors import DataError
from bayes_hte.study.frames import (
    check_names,
    check_present,
    missing_hint,
    names_given,
    unit_labels,
)
from bayes_hte.study.kinds import is_numeric, numeric_column, plain
from bayes_hte.study.missing import with_nan
from bayes_hte.study.roles import Roles

MIN_UNITS_PER_ARM = 5


def check_frame(df: pd.DataFrame, roles: Roles) -> None:
    """Check names, presence and single use of the columns of the roles."""
    if df.empty:
        raise DataError(f"the frame is empty: {len(df)} rows, {df.shape[1]} columns.")
    check_names([roles.outcome], "outcome")
    check_names([roles.treatment], "treatment")
    of_times = (roles.event, roles.entry, roles.upper)
    further = (*roles.mediators, roles.cluster, roles.weights, *of_times)
    check_names([c for c in further if c is not None], "further column")
    names_given(roles.covariates, "covariate")
    doubled = sorted({str(c) for c in df.columns[df.columns.duplicated()]})
    if doubled:
        raise DataError(
            f"duplicate column names: {', '.join(doubled)}. Rename or drop them before "
            "building the study."
        )
    check_present(df, roles.columns)
    repeated = sorted({c for c in roles.columns if roles.columns.count(c) > 1})
    if repeated:
        raise DataError(
            f"{', '.join(repeated)} would play two parts: outcome, treatment, mediator, cluster, "
            "weights, event, entry, upper and covariates must be different columns, each named "
            "once."
        )


def own_copy(df: pd.DataFrame, roles: Roles) -> pd.DataFrame:
    """Return a copy of the used columns with plain types and labels of units of its own."""
    # Treatments and clusters are levels, of any type. Built at once: column by column, frames of
    # many columns become slow.
    levels = (roles.treatment, roles.cluster)
    columns = {
        name: df[name] if name in levels else with_nan(plain(df[name])) for name in roles.columns
    }
    frame = pd.DataFrame(columns, index=df.index, columns=list(roles.columns), copy=True)
    return frame.set_axis(unit_labels(frame.index, roles.columns), axis=0)


def check_index(frame: pd.DataFrame) -> None:
    """Check that the labels of units are unique."""
    if not frame.index.is_unique:
        n = int(frame.index.duplicated().sum())
        raise DataError(
            f"the index labels the units and must be unique; {n} labels are repeated. "
            "Call df.reset_index(drop=True) first."
        )


def check_complete(frame: pd.DataFrame, names: Sequence[str | None]) -> None:
    """Refuse missing values where a unit cannot do without: treatment, cluster, weight."""
    missing = {c: int(frame[c].isna().sum()) for c in names if c is not None}
    missing = {name: count for name, count in missing.items() if count}
    if missing:
        counts = ", ".join(f"{name} ({count})" for name, count in missing.items())
        rows = int(frame[list(missing)].isna().any(axis=1).sum())
        raise DataError(
            f"missing values in {counts}; {rows} of {len(frame)} rows are affected. Treatment, "
            "cluster and weights must be known: find the values, or drop the rows with "
            "df.dropna(subset=[...]) if that is defensible."
            + missing_hint(frame[name] for name in missing)
        )


def check_finite(frame: pd.DataFrame, *, but: str | None = None) -> None:
    """Refuse infinite values, but in one column."""
    infinite = {
        name: int(np.isinf(frame[name].to_numpy(dtype=np.float64)).sum())
        for name in frame.columns
        if name != but and is_numeric(frame[name])
    }
    if any(infinite.values()):
        counts = ", ".join(f"{name} ({count})" for name, count in infinite.items() if count)
        raise DataError(f"infinite values in {counts}. Replace or drop them.")


def check_variation(frame: pd.DataFrame, roles: Roles) -> None:
    """Refuse columns with a single value."""
    # Nobody need be censored, nor enter at a time of his own.
    may_be_constant = (roles.weights, roles.event, roles.entry, roles.upper)
    used = [c for c in roles.columns if c not in may_be_constant]
    constant = [c for c in used if frame[c].nunique() < 2]
    if constant:
        raise DataError(
            f"constant column{'s' * (len(constant) > 1)}: {', '.join(constant)}. A column with one "
            "value carries no information; remove it from the roles."
            + missing_hint(frame[c] for c in constant)
        )


def check_weights(frame: pd.DataFrame, roles: Roles) -> None:
    """Refuse negative weights, and weights that are all 0."""
    if roles.weights is None:
        return
    weights = numeric_column(frame[roles.weights], "weights")
    negative = int((weights < 0).sum())
    if negative or weights.sum() == 0:
        got = f"{negative} negative weights" if negative else "weights that are all 0"
        raise DataError(
            f"weights {roles.weights!r}: got {got}. A weight says how many members of the "
            "population a unit stands for, 0 or more, and one at least is positive."
        )


def check_size(treatment: pd.Series, arms: tuple[Any, ...]) -> None:
    """Check that each arm has units enough."""
    counts = {arm: int((treatment == arm).sum()) for arm in arms}
    small = {arm: n for arm, n in counts.items() if n < MIN_UNITS_PER_ARM}
    if small:
        shown = ", ".join(f"{arm!r}: {n}" for arm, n in counts.items())
        raise DataError(
            f"too few units for the model: {len(treatment)} ({shown}). At least "
            f"{MIN_UNITS_PER_ARM} per arm, each with an outcome, are needed; collect more."
        )
