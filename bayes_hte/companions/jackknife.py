"""Pseudo-observations: one number per unit that stands for an outcome which censoring hides.

The restricted mean survival time ``E[min(T, h)]`` of a group is the area under its Kaplan-Meier
curve up to the horizon h. The pseudo-observation of unit i among n is the jackknife value

    ``n R - (n - 1) R_{-i}``,

with R that area of all units and ``R_{-i}`` of all but i (Andersen, Klein, Rosthoj 2003). Without
censoring it is ``min(T_i, h)`` itself. With censoring that does not depend on the time among the
units of an arm, its expectation given covariates is ``E[min(T_i, h) | x]`` but for terms that
vanish as units are added, so it takes the place of an outcome in means, regressions and scores.
Censoring that depends on covariates which also predict the time biases it; nothing in it repairs
censoring that depends on the time itself.

References
----------
Andersen, P. K., Klein, J. P., Rosthoj, S. (2003). Generalised linear models for correlated
pseudo-observations, with applications to multi-state models. Biometrika 90, 15-27.
doi:10.1093/biomet/90.1.15
"""

from __future__ import annotations

import numpy as np

from bayes_hte.errors import DataError, SpecError

# Numbers in the matrix of units by event times that is held at once.
HELD = 4_000_000


def pseudo_observations(
    time: np.ndarray,
    event: np.ndarray,
    *,
    horizon: float,
    arm: np.ndarray | None = None,
    entry: np.ndarray | None = None,
    at: float | None = None,
    of_cause: np.ndarray | None = None,
) -> np.ndarray:
    """Return the pseudo-observation of each unit, from the curve of its arm.

    The curve is that of Kaplan and Meier, or with `of_cause` that of Aalen and Johansen.

    Parameters
    ----------
    time : ndarray, shape (unit,)
        Time of the event, or of censoring; positive.
    event : ndarray of bool or 0/1, shape (unit,)
        Whether the event was seen at that time.
    horizon : float
        Up to which times count, in units of time.
    arm : ndarray, shape (unit,), optional
        The group that a unit's curve is of; by default all units have one.
    entry : ndarray, shape (unit,), optional
        Time from which a unit is observed (left truncation); by default 0.
    at : float, optional
        Give pseudo-observations of the probability of surviving this time instead.
    of_cause : ndarray of bool, shape (unit,), optional
        Whether the event was seen and of the cause of interest, where events have several. Needs
        `at`: they are then of the probability of an event of that cause by then.

    Returns
    -------
    ndarray of float64, shape (unit,)
        In units of time, or without unit with `at`. A censored unit's may be above the horizon,
        or a failed one's below 0: only their averages mean something.

    Raises
    ------
    SpecError
        If the horizon (or `at`) is not a positive number, or `of_cause` comes without `at`.
    DataError
        If shapes differ, a time is not positive, an event is neither 0 nor 1, or an event of the
        cause is none.

    Examples
    --------
    >>> import numpy as np
    >>> from bayes_hte.companions import pseudo_observations
    >>> time, event = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1, 1, 0, 1])
    >>> pseudo_observations(time, event, horizon=3.5).round(2)
    array([1. , 2. , 3.5, 3.5])
    """
    time, event, entry = _checked(time, event, entry)
    end = horizon if at is None else at
    if not 0 < end < np.inf:
        name = "horizon" if at is None else "at"
        raise SpecError(f"{name} must be a positive number of units of time, got {end!r}.")
    if of_cause is not None:
        of_cause = _checked_causes(of_cause, event, at)
    arm = np.zeros(time.size) if arm is None else arm
    found = np.empty(time.size)
    for level in np.unique(arm):
        own = arm == level
        cause = None if of_cause is None else of_cause[own]
        given = (time[own], event[own], entry[own], end)
        found[own] = _jackknife(*given, area=at is None, of_cause=cause)
    return found


def _checked_causes(of_cause: np.ndarray, event: np.ndarray, at: float | None) -> np.ndarray:
    of_cause = np.asarray(of_cause)
    if at is None:
        raise SpecError("of_cause needs at, the time by which the event of the cause has come.")
    if of_cause.shape != event.shape or (of_cause.astype(bool) & ~event).any():
        raise DataError("of_cause has one value per unit, and is true for events alone.")
    return of_cause.astype(bool)


def _checked(
    time: np.ndarray, event: np.ndarray, entry: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    time, event = np.asarray(time, dtype=np.float64), np.asarray(event)
    entry = np.zeros(time.shape) if entry is None else np.asarray(entry, dtype=np.float64)
    if time.ndim != 1 or not time.shape == event.shape == entry.shape:
        raise DataError(
            f"times, events and entries need one value per unit, got shapes {time.shape}, "
            f"{event.shape} and {entry.shape}."
        )
    if not (np.isfinite(time).all() and (time > 0).all()):
        raise DataError("times must be positive numbers; count them from the start of follow-up.")
    if not np.isin(event, (0, 1)).all():
        raise DataError("events must be 0 (censored) or 1 (seen), or False and True.")
    return time, event.astype(bool), entry


def _jackknife(
    time: np.ndarray,
    event: np.ndarray,
    entry: np.ndarray,
    end: float,
    *,
    area: bool,
    of_cause: np.ndarray | None = None,
) -> np.ndarray:
    """Return the jackknife values of one group, shape (unit,)."""
    counted = event if of_cause is None else of_cause
    n, grid = time.size, np.unique(time[event & (time <= end)])
    gaps = np.diff(np.concatenate([[0.0], grid, [end]]))
    at_risk = _upto(time, grid) - _upto(entry, grid)
    failed, own_failed = (
        np.bincount(np.searchsorted(grid, time[kind & (time <= end)]), minlength=grid.size)
        for kind in (event, counted)
    )

    def value(at_risk: np.ndarray, failed: np.ndarray, own_failed: np.ndarray) -> np.ndarray:
        if of_cause is not None:
            return _incidence(at_risk, failed, own_failed)
        return _value(at_risk, failed, gaps, area=area)

    whole = value(at_risk[np.newaxis], failed[np.newaxis], own_failed[np.newaxis])
    left_out, step = np.empty(n), max(1, HELD // max(1, grid.size))
    for start in range(0, n, step):
        some = slice(start, start + step)
        own = time[some, np.newaxis]
        there = (entry[some, np.newaxis] < grid) & (own >= grid)
        same = own == grid
        fails, own_fails = event[some, np.newaxis] & same, counted[some, np.newaxis] & same
        left_out[some] = value(at_risk - there, failed - fails, own_failed - own_fails)
    return n * whole - (n - 1) * left_out


def _upto(values: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Number of values at each time of the grid or later, shape (time,)."""
    return values.size - np.searchsorted(np.sort(values), grid, side="left")


def _value(at_risk: np.ndarray, failed: np.ndarray, gaps: np.ndarray, *, area: bool) -> np.ndarray:
    """Area under Kaplan-Meier curves, or their last value, shape (curve,)."""
    hazard = np.divide(failed, at_risk, out=np.zeros(at_risk.shape), where=at_risk > 0)
    survival = np.cumprod(1 - hazard, axis=1)
    if not area:
        return survival[:, -1] if survival.shape[1] else np.ones(len(survival))
    return gaps[0] + survival @ gaps[1:]


def _incidence(at_risk: np.ndarray, failed: np.ndarray, own_failed: np.ndarray) -> np.ndarray:
    """Last value of Aalen-Johansen curves, shape (curve,)."""
    any_event, own = (
        np.divide(kind, at_risk, out=np.zeros(at_risk.shape), where=at_risk > 0)
        for kind in (failed, own_failed)
    )
    survival = np.cumprod(1 - any_event, axis=1)
    before = np.concatenate([np.ones((len(survival), 1)), survival[:, :-1]], axis=1)
    return (before[:, : own.shape[1]] * own).sum(axis=1)
