"""Times to an event: whether it was seen, since when a unit was observed, and the horizon.

A unit whose event was not seen (a censored unit) is known to have survived its recorded time. A
unit that came under observation late (its entry) is in the study because it had survived until
then. Both enter the likelihood; see :mod:`bayes_hte.components.families.survival`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from bayes_hte.errors import DataError, SpecError, unknown_name
from bayes_hte.study.causes import check_causes
from bayes_hte.study.interval_times import check_intervals
from bayes_hte.study.kinds import Kind, described, is_numeric, kind_of, numeric_column
from bayes_hte.study.roles import Roles

# Share of each arm that is still at risk at the default horizon.
AT_RISK = 0.1
# Stands for 0 where a logarithm is taken.
SMALLEST_TIME = 1e-300


@dataclass(frozen=True, eq=False)
class Censoring:
    """What is known of times to an event next to the times themselves.

    Attributes
    ----------
    event : ndarray of bool, shape (unit,)
        Whether the event was seen; if not, the time is when the unit was last known without it.
    entry : ndarray, shape (unit,), or None
        Time from which each unit was observed, 0 from the start; None if all were.
    lower, upper : ndarray, shape (unit,), or None
        Ends of the intervals that times lie in, equal where a time was seen, the upper one infinite
        where the event was not; None if no times lie in intervals.
    """

    event: np.ndarray
    entry: np.ndarray | None = None
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None

    def among(self, rows: np.ndarray | slice) -> Censoring:
        """Return what is known of some units, by a mask, positions or a slice."""
        parts = (self.event, self.entry, self.lower, self.upper)
        return Censoring(*(None if part is None else part[rows] for part in parts))

    @property
    def within(self) -> np.ndarray | None:
        """Whether each unit's time lies within an interval, shape (unit,); None if none does."""
        if self.lower is None or self.upper is None:
            return None
        inside = self.event & (self.upper > self.lower)
        return inside if inside.any() else None

    def log_ends(self, log_time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the logs of both ends, shape (unit,); around the time of a unit without interval.

        A lower end of 0 is the smallest number instead, so that nothing is infinite.
        """
        inside = self.within
        if inside is None:
            return log_time - 0.5, log_time + 0.5
        lower = np.log(np.where(inside, np.maximum(self.lower, SMALLEST_TIME), 1.0))
        upper = np.log(np.where(inside, self.upper, 1.0))
        return (
            np.where(inside, lower, log_time - 0.5),
            np.where(inside, upper, log_time + 0.5),
        )


EstimandName = Literal["rmst", "survival", "cumulative_incidence"]
ANY_EVENT = "any event"


@dataclass(frozen=True)
class Estimand:
    """The scale on which outcomes of times to an event are expected.

    Attributes
    ----------
    name : {"rmst", "survival", "cumulative_incidence"}
        The mean of the time, restricted to a horizon; the probability of surviving a time; or that
        of an event of one cause by a time.
    at : float
        That horizon, or that time, in the unit of the outcome.
    event : str
        Where events have several causes, the event that counts: the cause, or ``"any event"``.
    """

    name: EstimandName
    at: float
    event: str = ""

    def words(self, unit: str = "") -> str:
        """Return the estimand in words, with the unit of time if there is one.

        Examples
        --------
        >>> from bayes_hte.study.time_to_event import Estimand
        >>> Estimand("rmst", 5.0).words("years")
        'restricted mean survival time to 5 years'
        >>> Estimand("cumulative_incidence", 5.0, "relapse").words("years")
        'cumulative incidence of relapse by 5 years'
        """
        time = f"{self.at:g} {unit}".strip()
        if self.name == "cumulative_incidence":
            return f"cumulative incidence of {self.event} by {time}"
        if self.event:
            what = "restricted mean time" if self.name == "rmst" else "probability of a time"
            join = "to" if self.name == "rmst" else "beyond"
            return f"{what} without {self.event} {join} {time}"
        what = "restricted mean survival time to" if self.name == "rmst" else "survival beyond"
        return f"{what} {time}"

    def attrs(self) -> dict[str, str | float]:
        """Return the attributes of arrays on this scale: ``estimand``, ``at``, ``estimand_words``.

        Where events have several causes also ``event``. The words have no unit; :meth:`of` makes
        the estimand from the attributes again.
        """
        event = {"event": self.event} if self.event else {}
        words = self.words()
        return {"estimand": self.name, "at": float(self.at), "estimand_words": words, **event}

    @classmethod
    def about(cls, name: EstimandName, at: float, *, causes: Sequence[str] = ()) -> Estimand:
        """Return the estimand of a study whose events have some causes, that of interest first.

        Parameters
        ----------
        name : {"rmst", "survival", "cumulative_incidence"}
            As the attribute.
        at : float
            As the attribute.
        causes : sequence of str
            Empty where events have one cause.

        Returns
        -------
        Estimand

        Raises
        ------
        SpecError
            If the name is unknown, or a cumulative incidence is asked for without causes.

        Examples
        --------
        >>> from bayes_hte.study.time_to_event import Estimand
        >>> Estimand.about("survival", 5.0, causes=["relapse", "death"]).event
        'any event'
        """
        if name not in get_args(EstimandName):
            raise unknown_name("estimand", str(name), get_args(EstimandName))
        if name != "cumulative_incidence":
            return cls(name, float(at), ANY_EVENT if causes else "")
        if not causes:
            raise SpecError(
                'estimand="cumulative_incidence" is for events of several causes; name the one of '
                "interest in Study.from_frame(..., cause=...), or, of one kind of event, use "
                'estimand="survival".'
            )
        return cls(name, float(at), causes[0])

    @classmethod
    def of(cls, attrs: Mapping[Any, Any]) -> Estimand | None:
        """Return the estimand of an array by its attributes; None if it is not on such a scale."""
        if "estimand" not in attrs:
            return None
        return cls(attrs["estimand"], float(attrs["at"]), attrs.get("event", ""))


def check_times(frame: pd.DataFrame, roles: Roles, arm: np.ndarray, arms: tuple[Any, ...]) -> None:
    """Check times, events and entries of a study of times to an event; nothing for another study.

    Parameters
    ----------
    frame : DataFrame, shape (unit, column)
        The used columns.
    roles : Roles
        Their roles.
    arm : ndarray of int, shape (unit,)
        Position of each unit's arm.
    arms : tuple
        The arms, for messages.

    Raises
    ------
    DataError
        If times are dates, zero or negative; if events are not coded 0 and 1, are missing where
        the time is known, or none was seen, in all units or in one arm; if an entry is missing,
        negative, or not before the time; or if there are entries without events. Causes:
        see :func:`bayes_hte.study.causes.check_causes`.
    """
    if roles.upper is not None:
        _check_upper(frame, roles, arm, arms)
        return
    if roles.event is None:
        if roles.cause is not None:
            raise DataError(
                f"cause={roles.cause!r} needs the column of the causes of events: pass "
                "event=<column>."
            )
        if roles.entry is not None:
            raise DataError(
                f"entry {roles.entry!r} needs the column that says whether the event was seen: "
                "pass event=<column> (in a study file under [roles])."
            )
        return
    time = _times(frame[roles.outcome])
    known = ~np.isnan(time)
    if (time[known] <= 0).any():
        raise DataError(
            f"outcome {roles.outcome!r}: times to an event are positive, got "
            f"{int((time[known] <= 0).sum())} that are 0 or less (smallest {time[known].min():g}). "
            "Correct them; for an event on the first day of a study counted in whole days, write "
            "0.5."
        )
    column = frame[roles.event]
    if roles.cause is None:
        event = _events(column, known)
    else:
        event = check_causes(column, roles.cause, known, roles.no_event)
    _check_seen(event[known] == 1, arm[known], arms, roles.event)
    if roles.entry is not None:
        _check_entry(frame[roles.entry], time, roles)


def _check_upper(frame: pd.DataFrame, roles: Roles, arm: np.ndarray, arms: tuple[Any, ...]) -> None:
    """Check a study of interval-censored times."""
    for name, value in (("event", roles.event), ("cause", roles.cause)):
        if value is not None:
            raise DataError(
                f"upper={roles.upper!r} says where each event lies, and {name}={value!r} says what "
                f"was seen at one time; give one of the two. Without {name}, a unit that was "
                "censored has no upper end."
            )
    lower = _times(frame[roles.outcome])
    event = check_intervals(frame, roles)
    _check_seen(event == 1, arm, arms, roles.upper)
    if roles.entry is not None:
        within = frame[roles.upper].to_numpy(dtype=np.float64) > lower
        # In an interval the event comes after the lower end, at which the unit may have entered.
        before = np.where(within, np.nextafter(lower, np.inf), lower)
        _check_entry(frame[roles.entry], before, roles)


def default_horizon(
    time: np.ndarray, event: np.ndarray, arm: np.ndarray, entry: np.ndarray | None = None
) -> float:
    """Return the latest time at which each arm still has a tenth of its units at risk.

    Parameters
    ----------
    time : ndarray, shape (unit,)
        Times to the event or to censoring; units without one (NaN) do not count.
    event : ndarray of bool, shape (unit,)
        Whether the event was seen. A unit is at risk until its time either way.
    arm : ndarray of int, shape (unit,)
        Arm of each unit.
    entry : ndarray, shape (unit,), optional
        Time from which each unit was observed.

    Returns
    -------
    float
        A recorded time, in its unit.

    Examples
    --------
    >>> import numpy as np
    >>> from bayes_hte.study.time_to_event import default_horizon
    >>> time = np.arange(1.0, 41.0)
    >>> default_horizon(time, np.ones(40, dtype=bool), np.arange(40) % 2)
    37.0
    """
    known = ~np.isnan(time)
    return min(
        _last_time(time[known & (arm == a)], None if entry is None else entry[known & (arm == a)])
        for a in np.unique(arm[known])
    )


def last_follow_up(time: np.ndarray, arm: np.ndarray) -> tuple[float, int]:
    """Return the last time at which every arm has a unit at risk, and the arm that sets it."""
    known = ~np.isnan(time)
    last = {int(a): float(time[known & (arm == a)].max()) for a in np.unique(arm[known])}
    first_to_end = min(last, key=lambda a: last[a])
    return last[first_to_end], first_to_end


def check_horizon(
    horizon: float, time: np.ndarray, arm: np.ndarray, arms: Sequence[Any], *, what: str = "horizon"
) -> None:
    """Refuse a time beyond which an arm has nobody at risk.

    Parameters
    ----------
    horizon : float
        The time, in the unit of the outcome.
    time, arm : ndarray, shape (unit,)
        Recorded times, and the arm of each unit.
    arms : sequence
        The arms.
    what : str
        The option, for the message.

    Raises
    ------
    SpecError
        If it is not a positive number.
    DataError
        If it lies beyond the follow-up of an arm.
    """
    number = isinstance(horizon, int | float | np.number) and not isinstance(horizon, bool)
    if not number or not 0 < horizon < np.inf:
        raise SpecError(
            f"{what} must be a positive number, in the time unit of the outcome, got {horizon!r}."
        )
    last, shortest = last_follow_up(time, arm)
    if horizon > last:
        raise DataError(
            f"{what}={horizon:g} lies beyond the follow-up: the last unit of arm "
            f"{arms[shortest]!r} was observed until {last:g}. Choose {last:g} at most; left out, "
            "the horizon is the latest time at which every arm has a tenth of its units at risk."
        )


def _last_time(time: np.ndarray, entry: np.ndarray | None) -> float:
    """Return the latest time of one arm with a tenth of its units at risk."""
    ordered = np.sort(time)
    at_risk = time.size - np.searchsorted(ordered, ordered, side="left")
    if entry is not None:
        at_risk = at_risk - (time.size - np.searchsorted(np.sort(entry), ordered, side="left"))
    enough = np.flatnonzero(at_risk >= AT_RISK * time.size)
    return float(ordered[enough[-1]] if enough.size else np.median(ordered))


def _times(column: pd.Series) -> np.ndarray:
    """Return times as numbers, shape (unit,); say how dates become times."""
    if kind_of(column) is Kind.DATE:
        name = column.name
        raise DataError(
            f"outcome {name!r} holds {described(column)}, and a time to an event is a number: the "
            f"days from each unit's start to its event or to the end of its observation. Make it "
            f"with (df[{name!r}] - df['start']).dt.days, with the column of the units' starts "
            "(for durations alone, .dt.days)."
        )
    return numeric_column(column, "outcome")


def _events(column: pd.Series, known: np.ndarray) -> np.ndarray:
    """Return events as 0 and 1, shape (unit,); NaN where they are missing."""
    name, missing = column.name, column.isna().to_numpy()
    if (missing & known).any():
        raise DataError(
            f"event {name!r} is missing for {int((missing & known).sum())} units with a time; say "
            "for each of them whether the event was seen, or make its time missing too."
        )
    values = column[~missing]
    if is_numeric(column) and set(values.unique()) <= {0, 1}:
        return column.to_numpy(dtype=np.float64)
    shown = sorted(values.unique().tolist(), key=str)[:5]
    code = f"df[{name!r}] = df[{name!r}] == {shown[-1]!r}"
    coded = ""
    if len(shown) == 2 and is_numeric(column):
        coded = (
            f" Where {shown[0]:g} and {shown[1]:g} are codes, {shown[1]:g} is mostly the event "
            f"(death) and {shown[0]:g} a censored unit; check that in the description of the data."
        )
    raise DataError(
        f"event {name!r} must be 1 where the event was seen and 0 where the unit was censored "
        f"(or true and false), got {', '.join(map(repr, shown))}.{coded} Name the value that means "
        f"the event: {code}; in a study file [columns.{name}] event = "
        f"{f'"{shown[-1]}"' if isinstance(shown[-1], str) else shown[-1]}."
    )


def _check_seen(seen: np.ndarray, arm: np.ndarray, arms: tuple[Any, ...], name: str) -> None:
    """Refuse studies, and arms, in which no event was seen."""
    if not seen.any():
        raise DataError(
            f"event {name!r}: every unit is censored (all 0), so nothing says when events happen. "
            "Check that 1 means the event."
        )
    for position in np.unique(arm):
        if not seen[arm == position].any():
            raise DataError(
                f"event {name!r}: no event was seen in arm {arms[position]!r}, so nothing says "
                "when events happen there. Leave the arm out, or wait for longer follow-up."
            )


def _check_entry(column: pd.Series, time: np.ndarray, roles: Roles) -> None:
    """Refuse entries that are missing, negative or not before the time."""
    entry = numeric_column(column, "entry")
    known = ~np.isnan(time)
    if (n := int(np.isnan(entry[known]).sum())) or (entry[known] < 0).any():
        got = f"{n} missing values" if n else f"{int((entry[known] < 0).sum())} negative values"
        raise DataError(
            f"entry {roles.entry!r}: got {got}; it is the time from which a unit was observed, 0 "
            "for one that was observed from the start."
        )
    late = int((entry[known] >= time[known]).sum())
    if late:
        raise DataError(
            f"entry {roles.entry!r} is not before {roles.outcome!r} for {late} units: a unit "
            "enters before its event or the end of its observation. Both count from the same start."
        )
