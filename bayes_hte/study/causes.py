"""Causes of events, where there are several: competing risks.

The column of events then holds the cause of each event, or a level for no event (a censored unit).
The first event ends a time, so the study is one of the time to any event, and each cause has a
hazard of its own. For the hazard of one cause an event of another is like the end of observation,
which supposes nothing about what would have happened without it; the probability of an event of
one cause (its cumulative incidence) takes the hazards of all.

References
----------
Putter, H., Fiocco, M., Geskus, R. B. (2007). Tutorial in biostatistics: competing risks and
multi-state models. Statistics in Medicine 26, 2389-2430. doi:10.1002/sim.2712
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.errors import DataError
from bayes_hte.study.kinds import is_numeric

#: Levels of a column of causes that mean no event, as text in small letters.
NO_EVENT = ("0", "false", "none", "no event", "censored")


def cause_codes(column: pd.Series) -> np.ndarray:
    """Return the cause of each unit's event as text, shape (unit,); ``""`` where none was seen.

    Parameters
    ----------
    column : Series, shape (unit,)
        Causes, and levels that mean no event; missing values count as no event.

    Returns
    -------
    ndarray of object, shape (unit,)

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte.study.causes import cause_codes
    >>> cause_codes(pd.Series([0.0, 2.0, 1.0])).tolist(), cause_codes(pd.Series(["none", "flu"]))[1]
    (['', '2', '1'], 'flu')
    """
    words = {value: _text(value) for value in column.dropna().unique()}
    kept = {value: "" if word.lower() in NO_EVENT else word for value, word in words.items()}
    gaps = column.isna().to_numpy()
    codes = ["" if gap else kept[value] for value, gap in zip(column.tolist(), gaps, strict=True)]
    return np.array(codes, dtype=object)


def causes_of(column: pd.Series, cause: Any) -> tuple[str, ...]:
    """Return the causes of a column as text, the one of interest first, the others sorted."""
    own = _text(cause)
    return (own, *sorted(set(cause_codes(column)) - {"", own}))


def check_causes(column: pd.Series, cause: Any, known: np.ndarray) -> np.ndarray:
    """Check a column of causes, and return whether each unit had any event, as 0 and 1.

    Parameters
    ----------
    column : Series, shape (unit,)
        Causes.
    cause : object
        The one of interest.
    known : ndarray of bool, shape (unit,)
        Whether the unit has a time.

    Returns
    -------
    ndarray, shape (unit,)

    Raises
    ------
    DataError
        If a cause is missing where the time is known, the cause of interest does not occur or
        means no event, or no other one occurs.
    """
    name = column.name
    if missing := int((column.isna().to_numpy() & known).sum()):
        raise DataError(
            f"event {name!r} is missing for {missing} units with a time; name the cause of each "
            "event, and write 0 (or 'none') for a censored unit."
        )
    codes = np.where(known, cause_codes(column), "")
    seen = sorted(set(codes) - {""})
    if _text(cause) not in seen:
        raise DataError(
            f"cause={cause!r} is no cause of an event in {name!r}; its causes are "
            f"{', '.join(map(repr, seen[:8])) or 'none'}, and {', '.join(map(repr, NO_EVENT))} "
            "mean no event."
        )
    if len(seen) < 2:
        raise DataError(
            f"event {name!r} has one cause only, {seen[0]!r}, so there are no competing risks; "
            "leave cause= out and code the event as 1 and 0."
        )
    return (codes != "").astype(np.float64)


def _text(value: Any) -> str:
    """Return a cause as text; whole numbers without a point, as gaps make them decimal."""
    number = not isinstance(value, bool | np.bool_) and is_numeric(pd.Series([value]))
    if number and np.isfinite(value) and float(value) == int(value):
        return str(int(value))
    return str(value)
