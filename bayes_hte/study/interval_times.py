"""Interval-censored times: an event that is known to lie between two times, such as two visits.

The outcome then holds the lower end of each unit's interval and a further column the upper one.
Equal ends are a time that was seen; without an upper end (a missing value, or infinity) the event
was not seen and the unit censored at the lower end; a lower end of 0 is an event of which only a
time is known that it came before.

What compares outcomes needs one number per unit, and takes the middle of the interval. Models use
both ends.

References
----------
Sun, J. (2006). The Statistical Analysis of Interval-censored Failure Time Data. Springer.
doi:10.1007/0-387-37119-2
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes_hte.errors import DataError
from bayes_hte.study.frames import with_columns
from bayes_hte.study.kinds import Kind, described, kind_of, numeric_column
from bayes_hte.study.roles import Roles


def with_open_ends(frame: pd.DataFrame, roles: Roles) -> pd.DataFrame:
    """Return a frame in which an upper end that is missing is infinite, beside a lower end.

    So it is no gap, which a study may be asked to drop. Both ends missing stay so.

    Parameters
    ----------
    frame : DataFrame
        With the columns of the roles.
    roles : Roles
        Theirs.

    Returns
    -------
    DataFrame
        Itself without an upper end among the roles, or if this is no column of numbers.
    """
    if roles.upper is None or kind_of(frame[roles.upper]) is Kind.DATE:
        return frame
    upper = numeric_column(frame[roles.upper], "upper")
    lower_known = frame[roles.outcome].notna().to_numpy()
    return with_columns(
        frame, {roles.upper: np.where(np.isnan(upper) & lower_known, np.inf, upper)}
    )


def check_intervals(frame: pd.DataFrame, roles: Roles) -> np.ndarray:
    """Check both ends of every interval, and return whether the event was seen or lies within.

    Parameters
    ----------
    frame : DataFrame
        As :func:`with_open_ends` returns it.
    roles : Roles
        Its roles.

    Returns
    -------
    ndarray of 0 and 1, shape (unit,)

    Raises
    ------
    DataError
        If ends are dates, both are missing, one is negative, a lower end is missing or above its
        upper end, or an interval from 0 has no upper end or ends at 0.
    """
    column = frame[roles.upper]
    if kind_of(column) is Kind.DATE:
        raise DataError(
            f"upper {column.name!r} holds {described(column)}, and the end of an interval is a "
            "number, as the outcome: time since each unit's start."
        )
    lower, upper = (numeric_column(frame[c], "time") for c in (roles.outcome, roles.upper))
    names = f"outcome {roles.outcome!r} (lower ends) and upper {roles.upper!r}"
    if n := int((np.isnan(lower) & np.isnan(upper)).sum()):
        raise DataError(
            f"{names}: both ends are missing for {n} units, so nothing is known of their times; "
            "drop these rows."
        )
    if n := int(np.isnan(lower).sum()):
        raise DataError(
            f"{names}: the lower end is missing for {n} units with an upper end; write 0 where the "
            "event is only known to have come before the upper end."
        )
    if n := int((lower < 0).sum()):
        raise DataError(f"{names}: {n} lower ends are negative; times start at 0.")
    if n := int((lower > upper).sum()):
        first = int(np.flatnonzero(lower > upper)[0])
        raise DataError(
            f"{names}: the lower end is above the upper one in {n} units (first "
            f"{frame.index[first]!r}: {lower[first]:g} and {upper[first]:g}); the event lies "
            "between them, so exchange them, or leave the upper end empty for a unit that was "
            "censored at the lower one."
        )
    if n := int(((lower == 0) & (np.isinf(upper) | (upper == 0))).sum()):
        raise DataError(
            f"{names}: {n} intervals go from 0 to 0 or have no end, which is no time; drop these "
            "rows, or correct the upper end."
        )
    return np.isfinite(upper).astype(np.float64)


def middles(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Return the middle of each interval, shape (unit,); the lower end where there is no upper."""
    return np.where(np.isfinite(upper), (lower + upper) / 2, lower)
