"""Times to an event with known individual effects on restricted mean survival time.

Five designs of the paper on causal survival forests (``type 1`` to ``type 5``) and four of our own:
hazards that cross, censoring that depends on the time itself, fifty covariates, and no effect at
all. The truth is a closed form of the law of the time given covariates and arm; it is never the
difference of two times that were drawn.

In types 3 and 4 times are counts, which may be 0. Half a unit is added to time and horizon there,
for every method: ``min(T + 1/2, h + 1/2)`` is ``min(T, h) + 1/2``, so that effects stay as they
are.
As in the paper nobody is followed beyond the horizon.

References
----------
Cui, Y., Kosorok, M. R., Sverdrup, E., Wager, S., Zhu, R. (2023). Estimating heterogeneous treatment
effects with right-censored data via causal survival forests. Journal of the Royal Statistical
Society B 85, 179-211. doi:10.1093/jrsssb/qkac001
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from scipy import special, stats

HALF = 0.5


class Law(Protocol):
    """The law of times given covariates and one arm; arrays of shape (unit,)."""

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Draw one time for each unit."""

    def rmst(self, horizon: float) -> np.ndarray:
        """Expected time up to the horizon."""

    def survival(self, at: float) -> np.ndarray:
        """Probability of a later time."""


@dataclass(frozen=True)
class Lognormal:
    """Log time is normal."""

    mean: np.ndarray
    sd: float = 1.0

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Draw one time for each unit."""
        return np.exp(self.mean + self.sd * rng.normal(size=self.mean.shape))

    def rmst(self, horizon: float) -> np.ndarray:
        """Expected time up to the horizon."""
        z = (np.log(horizon) - self.mean) / self.sd
        below = np.exp(self.mean + self.sd**2 / 2) * special.ndtr(z - self.sd)
        return below + horizon * special.ndtr(-z)

    def survival(self, at: float) -> np.ndarray:
        """Probability of a later time."""
        return special.ndtr((self.mean - np.log(at)) / self.sd)


@dataclass(frozen=True)
class Weibull:
    """Survival is ``exp(-(t / scale)^shape)``."""

    scale: np.ndarray
    shape: float

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Draw one time for each unit."""
        return self.scale * rng.exponential(size=self.scale.shape) ** (1 / self.shape)

    def rmst(self, horizon: float) -> np.ndarray:
        """Expected time up to the horizon."""
        whole = self.scale * special.gamma(1 + 1 / self.shape)
        return whole * special.gammainc(1 / self.shape, (horizon / self.scale) ** self.shape)

    def survival(self, at: float) -> np.ndarray:
        """Probability of a later time."""
        return np.exp(-((at / self.scale) ** self.shape))


@dataclass(frozen=True)
class Counts:
    """A Poisson count, and a half."""

    mean: np.ndarray

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Draw one time for each unit."""
        return rng.poisson(self.mean) + HALF

    def rmst(self, horizon: float) -> np.ndarray:
        """Expected time up to the horizon, a whole number and a half."""
        below = np.arange(round(horizon - HALF))[:, np.newaxis]
        return HALF + stats.poisson.sf(below, self.mean).sum(axis=0)

    def survival(self, at: float) -> np.ndarray:
        """Probability of a later time."""
        return stats.poisson.sf(np.floor(at - HALF), self.mean)


@dataclass(frozen=True)
class Times:
    """One data set with its truth.

    Attributes
    ----------
    frame : DataFrame, shape (unit, covariates + 3)
        ``time``, ``event`` (1 if it was seen, 0 if the time is censored), ``treat`` (0/1) and
        covariates ``x1``, ``x2``, ...
    horizon : float
        Up to which times count: that of the design, or the last time at which both arms are
        observed, if that is earlier.
    effect : ndarray, shape (unit,)
        True difference of restricted mean survival time of each unit.
    at : float
        A time.
    survival_effect : ndarray, shape (unit,)
        True difference of the probability of surviving it.
    """

    frame: pd.DataFrame
    horizon: float
    effect: np.ndarray
    at: float
    survival_effect: np.ndarray

    @property
    def covariates(self) -> list[str]:
        """Names of the covariates."""
        return [c for c in self.frame.columns if c.startswith("x")]


@dataclass(frozen=True)
class Design:
    """A law of data.

    Attributes
    ----------
    horizon, at : float
        As in :class:`Times`.
    laws : callable
        From covariates to the laws of the control arm and of the other.
    censored : callable
        From covariates, arm, times and generator to censoring times.
    propensity : callable
        From covariates to the probability of treatment.
    p : int
        Covariates, uniform on (0, 1).
    """

    horizon: float
    at: float
    laws: Callable[[np.ndarray], tuple[Law, Law]]
    censored: Callable[[np.ndarray, np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
    propensity: Callable[[np.ndarray], np.ndarray]
    p: int = 5


def load(design: str, n: int, replication: int) -> Times:
    """Make one data set; the same names always give the same data."""
    seed = zlib.crc32(f"survival/{design}/{n}/{replication}".encode())
    return simulate(design, n, np.random.default_rng(seed))


def simulate(design: str, n: int, rng: np.random.Generator) -> Times:
    """Draw one data set of a design.

    Parameters
    ----------
    design : str
        A key of `DESIGNS`.
    n : int
        Units.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Times
    """
    chosen = DESIGNS[design]
    x = rng.random((n, chosen.p))
    treat = rng.binomial(1, chosen.propensity(x))
    control, treated = chosen.laws(x)
    failed = np.where(treat == 1, treated.draw(rng), control.draw(rng))
    last = np.minimum(chosen.censored(x, treat, failed, rng), chosen.horizon)
    time = np.minimum(failed, last)
    # Where an arm ends before the horizon of the paper, so does everything here.
    horizon = min(chosen.horizon, *(float(time[treat == a].max()) for a in (0, 1)))
    columns = {"time": time, "event": (failed <= last).astype(int)}
    columns |= {"treat": treat} | {f"x{j + 1}": x[:, j] for j in range(chosen.p)}
    return Times(
        frame=pd.DataFrame(columns),
        horizon=horizon,
        effect=treated.rmst(horizon) - control.rmst(horizon),
        at=chosen.at,
        survival_effect=treated.survival(chosen.at) - control.survival(chosen.at),
    )


# --- The paper's designs -------------------------------------------------------------------------


def _bump(x: np.ndarray) -> np.ndarray:
    return (1 + stats.beta.pdf(x[:, 0], 2, 4)) / 4


def _two_products(x: np.ndarray) -> np.ndarray:
    return special.expit(x[:, 0]) * special.expit(x[:, 1])


def _aft(x: np.ndarray) -> tuple[Law, Law]:
    early, root = x[:, 0] < 0.5, np.sqrt(x[:, 1])
    base = -1.85 - 0.8 * early + 0.7 * root + 0.2 * x[:, 2]
    return Lognormal(base), Lognormal(base + 0.7 - 0.4 * early - 0.4 * root)


def _cox_censored(x: np.ndarray, w: np.ndarray, _, rng: np.random.Generator) -> np.ndarray:
    early, root = x[:, 0] < 0.5, np.sqrt(x[:, 1])
    hazard = -1.75 - 0.5 * root + 0.2 * x[:, 2] + (1.15 + 0.5 * early - 0.3 * root) * w
    return np.sqrt(rng.exponential(size=len(x)) / np.exp(hazard))


def _cox(x: np.ndarray, center: float) -> tuple[Law, Law]:
    """Proportional hazards, ``S(t) = exp(-sqrt(t) exp(x1 + (x2 - center) w))``."""
    control, treated = (np.exp(-2 * (x[:, 0] + w * (x[:, 1] - center))) for w in (0, 1))
    return Weibull(control, 0.5), Weibull(treated, 0.5)


def _aft_censored(x: np.ndarray, w: np.ndarray, _, rng: np.random.Generator) -> np.ndarray:
    return np.exp(x[:, 0] - x[:, 2] * w + rng.normal(size=len(x)))


def _many_counts(x: np.ndarray) -> tuple[Law, Law]:
    base = x[:, 1] ** 2 + x[:, 2] + 6
    return Counts(base), Counts(base + 2 * (np.sqrt(x[:, 0]) - 0.3))


def _few_counts(x: np.ndarray) -> tuple[Law, Law]:
    base = x[:, 1] + x[:, 2]
    return Counts(base), Counts(base + np.maximum(0, x[:, 0] - 0.3))


def _count_censored(start: float) -> Callable[..., np.ndarray]:
    def censored(x: np.ndarray, w: np.ndarray, _, rng: np.random.Generator) -> np.ndarray:
        return rng.poisson(start + np.log1p(np.exp(x[:, 2]))) + HALF

    return censored


def _uniform(low: float, high: float) -> Callable[..., np.ndarray]:
    return lambda x, w, _, rng: rng.uniform(low, high, len(x))


# --- Designs of our own --------------------------------------------------------------------------


def _fair(x: np.ndarray) -> np.ndarray:
    return np.full(len(x), 0.5)


def _crossing(x: np.ndarray) -> tuple[Law, Law]:
    """Hazards that fall in one arm and rise in the other."""
    scale = np.exp(0.4 * x[:, 1] + 0.3 * x[:, 2])
    return Weibull(scale, 0.7), Weibull(scale * np.exp(0.8 * (x[:, 0] - 0.3)), 1.8)


def _smooth(x: np.ndarray) -> tuple[Law, Law]:
    base = 0.5 * x[:, 1] + 0.5 * x[:, 2]
    return Lognormal(base, 0.8), Lognormal(base + 1.2 * (x[:, 0] - 0.3), 0.8)


def _with_times(x: np.ndarray, w: np.ndarray, failed: np.ndarray, rng) -> np.ndarray:
    """Censoring times that are long where times are long, among units alike (correlation .6)."""
    control, treated = _smooth(x)
    error = (np.log(failed) - np.where(w == 1, treated.mean, control.mean)) / 0.8
    return np.exp(0.8 + 0.8 * (0.6 * error + 0.8 * rng.normal(size=len(x))))


def _wide(x: np.ndarray) -> tuple[Law, Law]:
    """Two covariates that modify and three that predict."""
    base = x[:, 2] + 0.7 * np.abs(2 * x[:, 3] - 1) + 0.5 * x[:, 4]
    effect = 0.9 * (x[:, 0] > 0.5) - 0.4 * (x[:, 1] > 0.5)
    return Lognormal(base, 0.7), Lognormal(base + effect, 0.7)


def _null(x: np.ndarray) -> tuple[Law, Law]:
    law = Lognormal(x[:, 0] + 0.7 * np.abs(2 * x[:, 1] - 1), 0.8)
    return law, law


def _exponential(mean: float) -> Callable[..., np.ndarray]:
    return lambda x, w, _, rng: rng.exponential(mean, len(x))


PUBLISHED = {
    "type 1": Design(1.5, 0.8, _aft, _cox_censored, _bump),
    "type 2": Design(2.0, 1.2, lambda x: _cox(x, 0.5), _uniform(0, 3), _bump),
    "type 3": Design(15 + HALF, 10 + HALF, _many_counts, _count_censored(12), _bump),
    "type 4": Design(3 + HALF, 2 + HALF, _few_counts, _count_censored(1), _two_products),
    "type 5": Design(2.0, 0.17, lambda x: _cox(x, 0.4), _aft_censored, _bump),
}
OWN = {
    "crossing": Design(3.0, 1.0, _crossing, _uniform(0.5, 4), _fair),
    "informative": Design(4.0, 2.0, _smooth, _with_times, _fair),
    "p=50": Design(6.0, 3.0, _wide, _exponential(8), _fair, p=50),
    "no effect": Design(5.0, 2.0, _null, _exponential(6), _fair),
}
DESIGNS = PUBLISHED | OWN
