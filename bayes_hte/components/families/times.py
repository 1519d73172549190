r"""Families of times to an event: lognormal, loglogistic, log-Student-t and Weibull.

The log of a time is the linear predictor plus an error, ``log T = eta + sigma e`` (an accelerated
failure time model): a covariate stretches or shrinks time. With ``Censoring`` a row that was
censored has the probability of surviving its time as its likelihood, one whose event lies in an
interval the probability of that, and a row that was observed from its entry on has its likelihood
divided by the probability of surviving until then. Densities are those of the time itself, so that
families can be compared by them.

References
----------
Kalbfleisch, J. D., Prentice, R. L. (2002). The Statistical Analysis of Failure Time Data, 2nd ed.
Wiley. doi:10.1002/9781118032985

Royston, P., Parmar, M. K. B. (2013). Restricted mean survival time: an alternative to the hazard
ratio for the design and analysis of randomized trials with a time-to-event outcome. BMC Medical
Research Methodology 13, 152. doi:10.1186/1471-2288-13-152
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from scipy import optimize, special

from bayes_hte.components.families.base import Family, Noise, needed
from bayes_hte.components.families.continuous import NU_LOWER, NU_RATE, NU_SHAPE, SIGMA_DF
from bayes_hte.errors import DataError, UnsupportedError
from bayes_hte.study.time_to_event import Censoring, Estimand
from bayes_hte.surfaces.error_laws import EXTREME, LOGISTIC, NORMAL, STUDENT_T, ErrorLaw

# Nodes for the mean of a restricted time under a Student-t: its error is below 1e-4 of the horizon.
QUANTILE_NODES = 128
# Above this sigma the incomplete beta function of the loglogistic mean loses its digits.
LARGEST_BETA_SIGMA = 0.9
# Above this sigma a Weibull time is next to 0 or far beyond any horizon.
LARGEST_GAMMA_SIGMA = 100.0
# Logarithm of the longest time that is drawn: the largest numbers are little longer.
LARGEST_LOG = 700.0
# Smallest sigma of the start of priors, in units of the spread of the log times.
LEAST_SPREAD = 0.05


class Times(Family):
    """A law of times to an event, bound to what is known of them by :meth:`given`."""

    times = True
    mean_needs_noise = True
    has_scale = True
    noise = ("sigma",)
    law: ErrorLaw
    #: The law by which offset and scale of the priors are found.
    start_law: ErrorLaw
    #: What is known of the rows next to their times; None if every event was seen.
    censoring: Censoring | None = None

    def given(self, censoring: Censoring | None) -> Self:
        """Return the family bound to events and entries of some rows."""
        bound = copy.copy(self)
        bound.censoring = censoring
        return bound

    def check(self, y: np.ndarray, what: str) -> None:
        """Accept positive times only; the law must be able to use their entries."""
        if (y <= 0).any():
            raise DataError(
                f"{what}: times to an event are positive, got {int((y <= 0).sum())} that are 0 or "
                f"less (smallest {y.min():g}). Correct them, or use family='gaussian'."
            )

    def inverse_link(self, eta: np.ndarray) -> np.ndarray:
        """Return the time at an error of 0, its median under symmetric laws."""
        return np.exp(eta)

    def link(self, mean: np.ndarray) -> np.ndarray:
        """Logarithm."""
        return np.log(mean)

    def offset(self, y: np.ndarray) -> float:
        """Location of the log times under censoring, by maximum likelihood."""
        return self._start(y)[0]

    def latent_sd(self, y: np.ndarray) -> float:
        """Standard deviation of the log times under censoring, by maximum likelihood."""
        return self._start(y)[1] * self.start_law.sd

    def _start(self, y: np.ndarray) -> tuple[float, float]:
        """Return location and scale of the log times, all of one law."""
        log_time, known = np.log(y), self._known(y)
        middle, spread = float(log_time.mean()), float(log_time.std()) or 1.0

        def minus_log_likelihood(parameters: np.ndarray) -> float:
            eta = np.full(y.shape, middle + spread * parameters[0])
            sigma = spread * np.exp(np.clip(parameters[1], -6.0, 6.0))
            values = log_likelihood_of(self.start_law, log_time, eta, sigma, 30.0, known)
            # Weakly towards the spread that is seen, so that few events have an estimate too.
            return -float(values.sum()) + float(parameters[0] ** 2 / 50 + parameters[1] ** 2 / 8)

        found = optimize.minimize(minus_log_likelihood, np.array([0.2, 0.0]), method="Nelder-Mead")
        scale = max(float(np.exp(np.clip(found.x[1], -6.0, 6.0))), LEAST_SPREAD)
        return middle + spread * float(found.x[0]), spread * scale

    def _known(self, y: np.ndarray) -> Censoring:
        if self.censoring is not None:
            return self.censoring
        return Censoring(np.ones(np.shape(y)[-1], dtype=bool))

    def parameters(self, name: str, y: np.ndarray) -> dict[str, Any]:
        """``sigma``, with a half-t prior with 3 df and the scale of the log times."""
        import pymc as pm

        return {"sigma": pm.HalfStudentT(f"{name}_sigma", nu=SIGMA_DF, sigma=self.latent_sd(y))}

    def distribution(self, eta: Any, noise: Noise) -> Any:
        """Return the law of the times, censored and with late entry where the family is bound."""
        import pymc as pm
        import pytensor
        import pytensor.tensor as pt

        known = self.censoring
        # Shared, not constant: a compiled function with a large constant could not be cached.
        event = None if known is None else pytensor.shared(known.event, name="event")
        late = None if known is None or known.entry is None else known.entry > 0
        inside = None if known is None else known.within
        first = None if late is None else np.where(late, np.log(np.where(late, known.entry, 1)), 0)

        def logp(value: Any, eta: Any, sigma: Any, *nu: Any) -> Any:
            log_time = pt.log(value)
            residual = (log_time - eta) / sigma
            total = self._log_density(residual, *nu) - pt.log(sigma) - log_time
            if event is not None:
                total = pt.where(event, total, self._log_survival(residual, *nu))
            if inside is not None:
                between = self._log_between(known, value, eta, sigma, *nu)
                total = pt.where(pytensor.shared(inside), between, total)
            if first is not None:
                before = self._log_survival((pytensor.shared(first) - eta) / sigma, *nu)
                total = total - pt.where(pytensor.shared(late), before, 0.0)
            return total

        def random(eta: Any, sigma: Any, *nu: Any, rng: Any = None, size: Any = None) -> Any:
            shape = np.broadcast_shapes(np.shape(eta), np.shape(sigma), size or ())
            error = self.law.inverse(-rng.standard_exponential(shape), *(nu or (None,)))
            return np.exp(eta + sigma * error)

        given = [noise[name] for name in self.noise]
        return pm.CustomDist.dist(eta, *given, logp=logp, random=random, class_name=self.name)

    def _log_between(self, known: Censoring, value: Any, eta: Any, sigma: Any, *nu: Any) -> Any:
        """Log probability of the interval of each row as a graph, of any number where none is."""
        import pytensor
        import pytensor.tensor as pt

        ends = known.log_ends(np.zeros(known.event.shape))
        low, high = ((pytensor.shared(end) - eta) / sigma for end in ends)
        # The tail in which logarithms of probabilities are exact.
        near, far = low, high
        if self.law.symmetric:
            turned = pt.lt(low + high, 0.0)
            near, far = pt.where(turned, -high, low), pt.where(turned, -low, high)
        # Of other rows constants, so that no gradient is lost in what is not used.
        inside = pytensor.shared(known.within)
        near, far = pt.where(inside, near, 0.0), pt.where(inside, far, 1.0)
        first, last = (self._log_survival(r, *nu) for r in (near, far))
        return first + pt.log(-pt.expm1(last - first))

    @abstractmethod
    def _log_density(self, residual: Any, *nu: Any) -> Any:
        """Log density of the standard law as a graph."""

    @abstractmethod
    def _log_survival(self, residual: Any, *nu: Any) -> Any:
        """Log survival of the standard law as a graph."""

    def log_likelihood(self, y: np.ndarray, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Log density of times whose event was seen, log survival of the others."""
        sigma, log_time = needed(noise, "sigma", self), np.log(y)
        values = log_likelihood_of(
            self.law, log_time, eta, sigma, self._nu(noise), known := self._known(y)
        )
        seen = known.event if known.within is None else known.event & ~known.within
        return values - np.where(seen, log_time, 0.0)

    def cdf(self, y: np.ndarray, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Pr(T <= y), given survival until the entry."""
        sigma, nu = needed(noise, "sigma", self), self._nu(noise)
        with np.errstate(divide="ignore"):
            # Nobody has an event at time 0 or before.
            residual = (np.log(np.maximum(y, 0.0)) - eta) / sigma
        log_survival = self.law.log_survival(residual, nu) - self._log_entered(eta, sigma, nu)
        return -np.expm1(np.minimum(log_survival, 0.0))

    def draw(self, rng: np.random.Generator, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Draw times to the event, of nobody censored, given survival until the entry."""
        sigma, nu = needed(noise, "sigma", self), self._nu(noise)
        log_survival = self._log_entered(eta, sigma, nu) - rng.standard_exponential(eta.shape)
        return np.exp(np.minimum(eta + sigma * self.law.inverse(log_survival, nu), LARGEST_LOG))

    def _log_entered(self, eta: np.ndarray, sigma: np.ndarray, nu: Any) -> np.ndarray | float:
        entry = None if self.censoring is None else self.censoring.entry
        if entry is None:
            return 0.0
        late = entry > 0
        residual = (np.log(np.where(late, entry, 1.0)) - eta) / sigma
        return np.where(late, self.law.log_survival(residual, nu), 0.0)

    def support(
        self, eta: np.ndarray, noise: Noise, *, nodes: int | None = None
    ) -> Iterator[tuple[Any, Any]]:
        """Refuse: a time to an event is no mediator.

        Raises
        ------
        UnsupportedError
        """
        raise self._no_mediator()

    def variance(self, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Refuse, as :meth:`support`."""
        raise self._no_mediator()

    def _no_mediator(self) -> UnsupportedError:
        return UnsupportedError(
            f"a {self.name} mediator is not supported: a time to an event may be censored, and "
            "then the outcome has no mediator. Use a measured quantity as the mediator."
        )

    def mean(self, eta: np.ndarray, noise: Noise, estimand: Estimand | None = None) -> np.ndarray:
        """Return the restricted mean survival time, or the probability of surviving.

        Parameters
        ----------
        eta : ndarray, shape (..., unit)
            Linear predictor.
        noise : mapping of str to ndarray broadcastable to `eta`
            ``sigma``, and ``nu`` of a t.
        estimand : Estimand
            The quantity and its time.

        Returns
        -------
        ndarray, shape of `eta`
        """
        if estimand is None:
            raise UnsupportedError(f"the mean of {self.name} times needs a horizon.")
        sigma, nu = needed(noise, "sigma", self), self._nu(noise)
        log_time = np.log(estimand.at)
        if estimand.name == "survival":
            return np.exp(self.law.log_survival((log_time - eta) / sigma, nu))
        return self._restricted_mean(eta, sigma, nu, log_time)

    @abstractmethod
    def _restricted_mean(
        self, eta: np.ndarray, sigma: np.ndarray, nu: Any, log_horizon: float
    ) -> np.ndarray:
        """Return E[min(T, horizon)], shape of `eta`."""

    def _nu(self, noise: Noise) -> Any:
        return needed(noise, "nu", self) if "nu" in self.noise else None


class Lognormal(Times):
    """``log T ~ Normal(eta, sigma)``."""

    name = "lognormal"
    law = start_law = NORMAL
    normal_predictor = True

    def _log_density(self, residual: Any, *nu: Any) -> Any:
        return -(residual**2) / 2 - np.log(2 * np.pi) / 2

    def _log_survival(self, residual: Any, *nu: Any) -> Any:
        import pymc as pm

        return pm.logcdf(pm.Normal.dist(0.0, 1.0), -residual)

    def _restricted_mean(
        self, eta: np.ndarray, sigma: np.ndarray, nu: Any, log_horizon: float
    ) -> np.ndarray:
        distance = (log_horizon - eta) / sigma
        below = np.exp(eta + sigma**2 / 2 + special.log_ndtr(distance - sigma))
        return below + np.exp(log_horizon) * special.ndtr(-distance)


class Loglogistic(Times):
    """``log T ~ Logistic(eta, sigma)``: odds of surviving fall as a power of time."""

    name = "loglogistic"
    law = start_law = LOGISTIC

    def _log_density(self, residual: Any, *nu: Any) -> Any:
        import pytensor.tensor as pt

        return residual - 2 * pt.softplus(residual)

    def _log_survival(self, residual: Any, *nu: Any) -> Any:
        import pytensor.tensor as pt

        return -pt.softplus(residual)

    def _restricted_mean(
        self, eta: np.ndarray, sigma: np.ndarray, nu: Any, log_horizon: float
    ) -> np.ndarray:
        distance = (log_horizon - eta) / sigma
        share, survival = special.expit(distance), special.expit(-distance)
        sigma = np.broadcast_to(sigma, distance.shape)
        small = sigma < LARGEST_BETA_SIGMA
        s = np.where(small, sigma, 0.5)
        beta = np.exp(eta) * special.gamma(1 + s) * special.gamma(1 - s)
        mean = beta * special.betainc(1 + s, 1 - s, share) + np.exp(log_horizon) * survival
        if not small.all():
            wide = ~small
            series = special.hyp2f1(1.0, 1.0, 1 + sigma[wide], share[wide])
            mean[wide] = np.exp(log_horizon) * survival[wide] * series
        return mean


class LogStudentT(Times):
    """``log T ~ eta + sigma t_nu``: like a lognormal, robust to very early and very late times."""

    name = "log_student_t"
    noise = ("sigma", "nu")
    law, start_law = STUDENT_T, LOGISTIC

    def check(self, y: np.ndarray, what: str) -> None:
        """Accept positive times only, and no late entries."""
        super().check(y, what)
        if self.censoring is not None and self.censoring.entry is not None:
            raise UnsupportedError(
                f"{what}: family 'log_student_t' does not allow for late entry (entry=); use "
                "'lognormal', 'loglogistic' or 'weibull'."
            )

    def parameters(self, name: str, y: np.ndarray) -> dict[str, Any]:
        """``sigma``, and ``nu`` with a Gamma(2, 0.1) prior kept above 2."""
        import pymc as pm

        degrees = pm.Gamma.dist(alpha=NU_SHAPE, beta=NU_RATE)
        nu = pm.Truncated(f"{name}_nu", degrees, lower=NU_LOWER)
        return {**super().parameters(name, y), "nu": nu}

    def _log_density(self, residual: Any, *nu: Any) -> Any:
        import pymc as pm

        return pm.logp(pm.StudentT.dist(nu=nu[0], mu=0.0, sigma=1.0), residual)

    def _log_survival(self, residual: Any, *nu: Any) -> Any:
        import pymc as pm

        return pm.logcdf(pm.StudentT.dist(nu=nu[0], mu=0.0, sigma=1.0), -residual)

    def _restricted_mean(
        self, eta: np.ndarray, sigma: np.ndarray, nu: Any, log_horizon: float
    ) -> np.ndarray:
        # In units of the horizon, so that nothing overflows. A mean over quantiles of the error,
        # which lie closer where it is large.
        eta = eta - log_horizon
        total = np.zeros(np.broadcast_shapes(np.shape(eta), np.shape(sigma)))
        nodes = (np.arange(QUANTILE_NODES) + 0.5) / QUANTILE_NODES
        weights = nodes * (1 - nodes)
        for node, weight in zip(nodes, weights / weights.sum(), strict=True):
            error = special.stdtrit(nu, node**2 * (3 - 2 * node))
            total += weight * np.exp(np.minimum(eta + sigma * error, 0.0))
        return np.exp(log_horizon) * total


class Weibull(Times):
    """``T ~ Weibull`` of shape ``1/sigma`` and scale ``exp(eta)``: also proportional hazards."""

    name = "weibull"
    law = start_law = EXTREME

    def _log_density(self, residual: Any, *nu: Any) -> Any:
        import pytensor.tensor as pt

        return residual - pt.exp(residual)

    def _log_survival(self, residual: Any, *nu: Any) -> Any:
        import pytensor.tensor as pt

        return -pt.exp(residual)

    def _restricted_mean(
        self, eta: np.ndarray, sigma: np.ndarray, nu: Any, log_horizon: float
    ) -> np.ndarray:
        with np.errstate(over="ignore"):
            hazard = np.exp((log_horizon - eta) / sigma)
        s = np.minimum(sigma, LARGEST_GAMMA_SIGMA)
        below = np.exp(eta + special.gammaln(1 + s)) * special.gammainc(1 + s, hazard)
        return np.where(sigma > s, 0.0, below) + np.exp(log_horizon - hazard)


def log_likelihood_of(
    law: ErrorLaw,
    log_time: np.ndarray,
    eta: np.ndarray,
    sigma: np.ndarray | float,
    nu: Any,
    known: Censoring,
) -> np.ndarray:
    """Return the log-likelihood of log times: density or survival, given survival until entry.

    Parameters
    ----------
    law : ErrorLaw
        Law of the error.
    log_time : ndarray, shape (unit,)
        Logs of the times.
    eta, sigma, nu : arrays broadcastable to (..., unit)
        Parameters of the law.
    known : Censoring
        Events and entries of the units.

    Returns
    -------
    ndarray, shape (..., unit)
        Densities are those of the log time; a time within an interval has its probability.
    """
    residual = (log_time - eta) / sigma
    density = law.log_density(residual, nu) - np.log(sigma)
    values = np.where(known.event, density, law.log_survival(residual, nu))
    if (inside := known.within) is not None:
        low, high = ((end - eta) / sigma for end in known.log_ends(log_time))
        values = np.where(inside, law.log_between(low, high, nu), values)
    if known.entry is None:
        return values
    late = known.entry > 0
    before = (np.log(np.where(late, known.entry, 1.0)) - eta) / sigma
    return values - np.where(late, law.log_survival(before, nu), 0.0)
