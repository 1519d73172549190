r"""The family of a hazard for each interval of time, with no form of its curve assumed.

Time is cut into intervals. ``h_k`` is the probability of the event in interval ``k`` of a unit that
has survived until it begins; within it an event may come at any time alike. So survival falls
linearly within an interval, from ``S_{k-1}`` to ``S_k = S_{k-1} (1 - h_k)``, and a restricted mean
is the area under these lines (an actuarial life table). The hazards are those of
:class:`bayes_hte.components.hazard.HazardComponent`, passed as ``hazard_1``, ``hazard_2``, ...
among the noise parameters; the linear predictor is not used.

References
----------
Singer, J. D., Willett, J. B. (1993). It's about time: using discrete-time survival analysis to
study duration and the timing of events. Journal of Educational Statistics 18, 155-195.
doi:10.3102/10769986018002155

Sparapani, R. A., Logan, B. R., McCulloch, R. E., Laud, P. W. (2016). Nonparametric survival
analysis using Bayesian additive regression trees (BART). Statistics in Medicine 35, 2741-2753.
doi:10.1002/sim.6893
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

import numpy as np

from bayes_hte.components.families.base import Family, Noise, needed
from bayes_hte.errors import DataError, UnsupportedError
from bayes_hte.study.time_to_event import Censoring, Estimand

# Intervals of equally many events, where each then has so many.
N_INTERVALS = 20
EVENTS_EACH = 8
FEWEST_INTERVALS = 4
# A unit that was observed for this share of an interval counts as at risk in it.
OBSERVED_SHARE = 0.5
# Smallest hazard with which an interval goes on beyond the last edge.
LEAST_HAZARD = 1e-6
# A hazard that is rounded to 1 has no logarithm.
ROUNDED = 1e-15


def interval_edges(time: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Return the edges of intervals that hold equally many events.

    Parameters
    ----------
    time : ndarray, shape (unit,)
        Recorded times, without missing ones.
    event : ndarray of bool, shape (unit,)
        Whether the event was seen.

    Returns
    -------
    ndarray, shape (interval + 1,)
        From 0 to the last time. The intervals are ``(edge, next edge]``: twenty, fewer where there
        are fewer than 160 events or their times are tied, and one more after the last event.

    Examples
    --------
    >>> import numpy as np
    >>> from bayes_hte.components.families.hazard import interval_edges
    >>> time = np.arange(1.0, 41.0)
    >>> interval_edges(time, time <= 32).tolist()
    [0.0, 8.0, 16.0, 24.0, 32.0, 40.0]
    """
    seen = time[event]
    wanted = int(np.clip(seen.size // EVENTS_EACH, FEWEST_INTERVALS, N_INTERVALS))
    shares = np.arange(1, wanted + 1) / wanted
    inner = np.quantile(seen, shares, method="inverted_cdf")
    return np.unique(np.concatenate([[0.0], inner, [time.max()]]))


def events_at_risk(time: np.ndarray, known: Censoring, edges: np.ndarray) -> np.ndarray:
    """Return whether each unit had its event in each interval, NaN where it was not at risk.

    A unit counts as at risk in an interval if it was observed for half of it or more, or had its
    event in it.

    Parameters
    ----------
    time : ndarray, shape (unit,)
        Recorded times; NaN where there is none.
    known : Censoring
        Events and entries.
    edges : ndarray, shape (interval + 1,)
        See :func:`interval_edges`.

    Returns
    -------
    ndarray, shape (unit, interval)
        0, 1 or NaN.
    """
    first, last = edges[:-1], edges[1:]
    entry = np.zeros(time.shape) if known.entry is None else known.entry
    until = np.minimum(time[:, None], last)
    observed = (until - np.maximum(entry[:, None], first)) / (last - first)
    here = known.event[:, None] & (time[:, None] > first) & (time[:, None] <= last)
    return np.where(here, 1.0, np.where(observed >= OBSERVED_SHARE, 0.0, np.nan))


class PiecewiseHazard(Family):
    """A hazard for each interval of time; bound to the intervals by their edges.

    Parameters
    ----------
    edges : iterable of float
        Edges of the intervals, from 0; none before a study is known.
    """

    name = "piecewise_hazard"
    times = True
    mean_needs_noise = True

    def __init__(self, edges: Iterable[float] = ()) -> None:
        self.edges = np.array(tuple(edges), dtype=np.float64)
        self.noise = tuple(f"hazard_{k}" for k in range(1, max(self.edges.size, 1)))
        self.censoring: Censoring | None = None

    def given(self, censoring: Censoring | None) -> Self:
        """Return the family bound to events and entries of some rows."""
        bound = copy.copy(self)
        bound.censoring = censoring
        return bound

    def check(self, y: np.ndarray, what: str) -> None:
        """Accept positive times only."""
        if (y <= 0).any():
            raise DataError(
                f"{what}: times to an event are positive, got {int((y <= 0).sum())} that are 0 or "
                f"less (smallest {y.min():g}). Correct them."
            )

    def mean(self, eta: np.ndarray, noise: Noise, estimand: Estimand | None = None) -> np.ndarray:
        """Return the restricted mean survival time, or the probability of surviving.

        Parameters
        ----------
        eta : ndarray, shape (..., unit)
            Not used.
        noise : mapping of str to ndarray, shape of `eta`
            Hazards.
        estimand : Estimand
            The quantity and its time.

        Returns
        -------
        ndarray, shape of `eta`
        """
        if estimand is None:
            raise UnsupportedError(f"the mean of {self.name} times needs a horizon.")
        return expected(map(self._hazard(noise), self.noise), self.edges, estimand)

    def log_likelihood(self, y: np.ndarray, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Log density of times whose event was seen, log survival of the others.

        That of the rows of intervals that the model was fitted to, summed for each unit; so a time
        censored within an interval counts as its edge.
        """
        known = self.censoring or Censoring(np.ones(y.shape, dtype=bool))
        seen = events_at_risk(y, known, self.edges)
        total, hazard = np.zeros(np.shape(eta)), self._hazard(noise)
        widths = np.diff(self.edges)
        with np.errstate(divide="ignore"):
            for k, name in enumerate(self.noise):
                here, h = seen[:, k], hazard(name)
                total += np.where(here == 0, np.log1p(-h), 0.0)
                total += np.where(here == 1, np.log(h) - np.log(widths[k]), 0.0)
        return total

    def survival(self, y: np.ndarray, noise: Noise) -> np.ndarray:
        """Return the probability of surviving times, shape (..., unit); 0 and before: 1.

        Beyond the last edge survival falls at the rate of the last interval.
        """
        found, hazard, widths = 1.0, self._hazard(noise), np.diff(self.edges)
        for k, name in enumerate(self.noise):
            h = hazard(name)
            share = np.clip((y - self.edges[k]) / widths[k], 0.0, 1.0)
            found = found * (1 - h * share)
        beyond = np.maximum(y - self.edges[-1], 0.0) / widths[-1]
        return found * np.exp(beyond * np.log1p(-np.minimum(h, 1 - LEAST_HAZARD)))

    def cdf(self, y: np.ndarray, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Pr(T <= y), given survival until the entry."""
        entered = self._entered(noise)
        return np.clip(1 - self.survival(y, noise) / np.maximum(entered, 1e-300), 0.0, 1.0)

    def draw(self, rng: np.random.Generator, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Draw times to the event, of nobody censored, given survival until the entry.

        Beyond the last edge times go on at the rate of the last interval, as nothing was seen.
        """
        left = rng.random(np.shape(eta)) * self._entered(noise)
        before, time = np.ones(left.shape), np.full(left.shape, np.nan)
        hazard, widths = self._hazard(noise), np.diff(self.edges)
        for k, name in enumerate(self.noise):
            h = hazard(name)
            after = before * (1 - h)
            share = (before - left) / np.maximum(before - after, 1e-300)
            here = np.isnan(time) & (left >= after)
            time = np.where(here, self.edges[k] + widths[k] * np.clip(share, 0, 1), time)
            before = after
        rate = -np.log1p(-np.clip(h, LEAST_HAZARD, 1 - LEAST_HAZARD)) / widths[-1]
        beyond = np.log(np.maximum(before, 1e-300) / np.maximum(left, 1e-300))
        return np.where(np.isnan(time), self.edges[-1] + np.maximum(beyond, 0) / rate, time)

    def _hazard(self, noise: Noise) -> Any:
        return lambda name: np.asarray(needed(noise, name, self), dtype=np.float64)

    def _entered(self, noise: Noise) -> np.ndarray | float:
        entry = None if self.censoring is None else self.censoring.entry
        return 1.0 if entry is None else self.survival(entry, noise)

    def inverse_link(self, eta: np.ndarray) -> np.ndarray:
        """Refuse: one number does not say when events happen."""
        raise self._no_predictor()

    def link(self, mean: np.ndarray) -> np.ndarray:
        """Refuse, as :meth:`inverse_link`."""
        raise self._no_predictor()

    def offset(self, y: np.ndarray) -> float:
        """Refuse, as :meth:`inverse_link`."""
        raise self._no_predictor()

    def latent_sd(self, y: np.ndarray) -> float:
        """Refuse, as :meth:`inverse_link`."""
        raise self._no_predictor()

    def parameters(self, name: str, y: np.ndarray) -> dict[str, Any]:
        """Refuse, as :meth:`inverse_link`."""
        raise self._no_predictor()

    def distribution(self, eta: Any, noise: Noise) -> Any:
        """Refuse, as :meth:`inverse_link`."""
        raise self._no_predictor()

    def support(
        self, eta: np.ndarray, noise: Noise, *, nodes: int | None = None
    ) -> Iterator[tuple[Any, Any]]:
        """Refuse: a time to an event is no mediator."""
        raise self._no_predictor()

    def variance(self, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Refuse, as :meth:`support`."""
        raise self._no_predictor()

    def _no_predictor(self) -> UnsupportedError:
        return UnsupportedError(
            "family 'piecewise_hazard' has a linear predictor for each interval of time, and none "
            "for a time; use 'lognormal', 'loglogistic', 'log_student_t' or 'weibull' for that."
        )


def expected(hazards: Iterable[np.ndarray], edges: np.ndarray, estimand: Estimand) -> np.ndarray:
    """Return the restricted mean survival time, or the probability of surviving a time.

    Parameters
    ----------
    hazards : iterable of ndarray, shape (...)
        Of each interval in turn; no more than the time needs are taken.
    edges : ndarray, shape (interval + 1,)
        Edges of the intervals.
    estimand : Estimand
        The quantity and its time, which the edges must hold.

    Returns
    -------
    ndarray, shape (...)
        In the unit of the edges, or a probability.

    Raises
    ------
    DataError
        If the time lies beyond the last edge.

    Examples
    --------
    >>> import numpy as np
    >>> from bayes_hte.components.families.hazard import expected
    >>> from bayes_hte.study.time_to_event import Estimand
    >>> hazards = [np.array(0.5), np.array(0.5)]
    >>> float(expected(hazards, np.array([0.0, 1.0, 2.0]), Estimand("rmst", 2.0)))
    1.125
    """
    at = _within(estimand.at, edges)
    survival, area = 1.0, 0.0
    # One at a time, so that the hazards of all intervals are never in memory together.
    for first, last, hazard in zip(edges[:-1], edges[1:], hazards, strict=False):
        width = min(last, at) - first
        after = survival * (1 - hazard * width / (last - first))
        area, survival = area + width * (survival + after) / 2, after
        if last >= at:
            break
    return np.asarray(area if estimand.name == "rmst" else survival)


def incidence(hazards: Iterable[Sequence[np.ndarray]], edges: np.ndarray, at: float) -> np.ndarray:
    """Return the probability of an event of the first of several causes by a time.

    ``h_c``, the hazard of cause ``c`` in an interval, is that of the rows in which an event of
    another cause ends observation, so any event comes with ``1 - prod(1 - h_c)``. It has a cause
    with the share of ``-log(1 - h_c)``, the cumulative hazard in the interval, in that of all.

    Parameters
    ----------
    hazards : iterable of sequence of ndarray, shape (...)
        Of each interval in turn, those of each cause.
    edges : ndarray, shape (interval + 1,)
        Edges of the intervals.
    at : float
        The time, which the edges must hold.

    Returns
    -------
    ndarray, shape (...)
        Over all causes the probabilities add up to 1 less that of no event.

    Raises
    ------
    DataError
        If the time lies beyond the last edge.

    Examples
    --------
    >>> import numpy as np
    >>> from bayes_hte.components.families.hazard import incidence
    >>> half = np.array(0.5)
    >>> float(incidence([[half, half]], np.array([0.0, 1.0]), at=1.0))
    0.375
    """
    at = _within(at, edges)
    survival, found = 1.0, 0.0
    for first, last, causes in zip(edges[:-1], edges[1:], hazards, strict=False):
        cumulative = [-np.log1p(-np.minimum(h, 1 - ROUNDED)) for h in causes]
        every = np.sum(cumulative, axis=0)
        share = np.divide(cumulative[0], every, out=np.zeros_like(every), where=every > 0)
        event = -np.expm1(-every) * (min(last, at) - first) / (last - first)
        found = found + survival * event * share
        survival = survival * (1 - event)
        if last >= at:
            break
    return np.asarray(found)


def at_edges(hazards: Iterable[Sequence[np.ndarray]], *, incidence: bool) -> Iterator[np.ndarray]:
    """Yield a probability at the end of each interval; between the ends it is a straight line.

    Parameters
    ----------
    hazards : iterable of sequence of ndarray, shape (...)
        Of each interval in turn, those of each cause, that of interest first.
    incidence : bool
        Whether the probability is that of an event of the first cause until then, as in
        :func:`incidence`, or of surviving.

    Yields
    ------
    ndarray, shape (...)

    Examples
    --------
    >>> import numpy as np
    >>> from bayes_hte.components.families.hazard import at_edges
    >>> half = [np.array(0.5)]
    >>> [float(v) for v in at_edges([half, half], incidence=False)]
    [0.5, 0.25]
    """
    survival, found = 1.0, 0.0
    for causes in hazards:
        cumulative = [-np.log1p(-np.minimum(h, 1 - ROUNDED)) for h in causes]
        every = np.sum(cumulative, axis=0)
        event = -np.expm1(-every)
        if incidence:
            share = np.divide(cumulative[0], every, out=np.zeros_like(every), where=every > 0)
            found = found + survival * event * share
        survival = survival * (1 - event)
        yield np.asarray(found if incidence else survival)


def _within(at: float, edges: np.ndarray) -> float:
    if at > edges[-1]:
        raise DataError(f"time {at:g} lies beyond the follow-up, which ends at {edges[-1]:g}.")
    return at
