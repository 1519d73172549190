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
NO_EVENT = (
    "0",
    "false",
    "no",
    "none",
    "no event",
    "censored",
    "alive",
    "event-free",
    "lost to follow-up",
    "end of study",
)
#: Words in levels that may mean a censored unit or an event, so that the user must say which.
UNCLEAR = ("alive", "censor", "drop", "event", "lost", "ltfu", "none", "unknown", "withdr")


def cause_codes(column: pd.Series, no_event: Any = None) -> np.ndarray:
    """Return the cause of each unit's event as text, shape (unit,); ``""`` where none was seen.

    Parameters
    ----------
    column : Series, shape (unit,)
        Causes, and levels that mean no event; missing values count as no event.
    no_event : object or list, optional
        The level, or levels, that mean no event. Default: those of `NO_EVENT`.

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
    kept = {value: "" if _means_none(word, no_event) else word for value, word in words.items()}
    gaps = column.isna().to_numpy()
    codes = ["" if gap else kept[value] for value, gap in zip(column.tolist(), gaps, strict=True)]
    return np.array(codes, dtype=object)


def causes_of(column: pd.Series, cause: Any, no_event: Any = None) -> tuple[str, ...]:
    """Return the causes of a column as text, the one of interest first, the others sorted."""
    own = _text(cause)
    return (own, *sorted(set(cause_codes(column, no_event)) - {"", own}))


def check_causes(
    column: pd.Series, cause: Any, known: np.ndarray, no_event: Any = None
) -> np.ndarray:
    """Check a column of causes, and return whether each unit had any event, as 0 and 1.

    Parameters
    ----------
    column : Series, shape (unit,)
        Causes.
    cause : object
        The one of interest.
    known : ndarray of bool, shape (unit,)
        Whether the unit has a time.
    no_event : object or list, optional
        As in :func:`cause_codes`; an empty list says that every unit had an event.

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
    codes = np.where(known, cause_codes(column, no_event), "")
    seen = sorted(set(codes) - {""})
    meaning_none = NO_EVENT if no_event is None else [_text(v) for v in as_levels(no_event)]
    if _text(cause) not in seen:
        raise DataError(
            f"cause={cause!r} is no cause of an event in {name!r}; its causes are "
            f"{', '.join(map(repr, seen[:8])) or 'none'}, and "
            f"{', '.join(map(repr, meaning_none)) or 'no level'} mean no event."
        )
    if len(seen) < 2:
        raise DataError(
            f"event {name!r} has one cause only, {seen[0]!r}, so there are no competing risks; "
            "leave cause= out and code the event as 1 and 0."
        )
    return (codes != "").astype(np.float64)


def as_levels(no_event: Any) -> list[Any]:
    """Return the levels that mean no event as a list, whether one or several were given."""
    return list(no_event) if isinstance(no_event, list | tuple | set) else [no_event]


def _means_none(word: str, no_event: Any) -> bool:
    if no_event is None:
        return word.lower() in NO_EVENT
    return word in [_text(level) for level in as_levels(no_event)]


def check_no_event(column: pd.Series, cause: Any, no_event: Any = None) -> None:
    """Refuse columns in which a censored unit may have been taken for one with an event.

    For whole studies: in a part of one every unit may have had an event.

    Parameters
    ----------
    column, cause, no_event
        As in :func:`check_causes`.

    Raises
    ------
    DataError
        If a declared level does not occur, or it is not clear which levels mean no event.
    """
    column = column.dropna()
    name, levels = column.name, [_text(value) for value in column.unique()]
    how = "Study.from_frame(..., no_event=...), in a study file [roles] no_event"
    if no_event is not None:
        strange = [v for v in as_levels(no_event) if _text(v) not in levels]
        if strange:
            raise DataError(
                f"no_event={no_event!r}: event {name!r} has no level "
                f"{', '.join(map(repr, strange))}; its levels are "
                f"{', '.join(map(repr, sorted(levels)[:8]))}."
            )
        return
    codes = cause_codes(column)
    causes = sorted(set(codes) - {""})
    unclear = [c for c in causes if c != _text(cause) and _is_unclear(c)]
    none = [level for level in levels if _means_none(level, None)]
    if unclear:
        raise DataError(
            f"event {name!r}: {', '.join(map(repr, unclear))} may be a cause of an event or mean "
            f"that none was seen. Say which levels mean no event, with {how}: "
            f"{[*none, *unclear]!r} if these do, {none!r} if they are causes."
        )
    if (codes != "").all():
        raise DataError(
            f"event {name!r}: none of its levels is known to mean a censored unit, so each of "
            f"{', '.join(map(repr, causes[:8]))} would be a cause. Name the level that means no "
            f"event, with {how}; an empty list says that every unit had an event."
        )


def _is_unclear(word: str) -> bool:
    return any(part in word.lower() for part in UNCLEAR)


def _text(value: Any) -> str:
    """Return a cause as text; whole numbers without a point, as gaps make them decimal."""
    number = not isinstance(value, bool | np.bool_) and is_numeric(pd.Series([value]))
    if number and np.isfinite(value) and float(value) == int(value):
        return str(int(value))
    return str(value)
