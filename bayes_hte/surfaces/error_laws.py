"""Standard laws of the error of log times: normal, logistic, Student-t and least extreme value.

The log of a time is ``eta + sigma e`` with ``e`` from one of these laws; the time is then
lognormal, loglogistic, log-Student-t or Weibull.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

# Nothing is drawn further out: the probability of such an error is below any that is computed.
SMALLEST_LOG = -700.0


@dataclass(frozen=True)
class ErrorLaw:
    """One standard law; functions of residuals in units of sigma take ``nu`` last, used by the t.

    Attributes
    ----------
    name : str
        ``"normal"``, ``"logistic"``, ``"student_t"`` or ``"extreme"``.
    log_density, log_survival : callable (residual, nu)
        Logarithms of the density, and of the probability of a larger error; elementwise.
    inverse : callable (log_probability, nu)
        The error that is exceeded with a probability, given its logarithm.
    sd : float
        Standard deviation; of a t that of the logistic law that it resembles.
    """

    name: str
    log_density: Callable[[np.ndarray, Any], np.ndarray]
    log_survival: Callable[[np.ndarray, Any], np.ndarray]
    inverse: Callable[[np.ndarray, Any], np.ndarray]
    sd: float

    def beyond(
        self, residual: np.ndarray, nu: float | np.ndarray | None, rng: np.random.Generator
    ) -> np.ndarray:
        """Draw errors that are larger than residuals, shape of `residual`."""
        log_uniform = -rng.standard_exponential(np.shape(residual))
        chosen = np.maximum(self.log_survival(residual, nu) + log_uniform, SMALLEST_LOG)
        # Rounding must not put an error on the wrong side.
        return np.maximum(self.inverse(chosen, nu), residual)

    def below(
        self, residual: np.ndarray, nu: float | np.ndarray | None, rng: np.random.Generator
    ) -> np.ndarray:
        """Draw errors that are smaller than residuals, shape of `residual`."""
        above = np.exp(self.log_survival(residual, nu))
        chosen = above + rng.random(np.shape(residual)) * (1 - above)
        return np.minimum(self.inverse(np.log(chosen), nu), residual)

    @property
    def symmetric(self) -> bool:
        """Whether large errors are as probable as small ones, so that tails can be exchanged."""
        return self.name != "extreme"

    def log_between(
        self, low: np.ndarray, high: np.ndarray, nu: float | np.ndarray | None
    ) -> np.ndarray:
        """Return the log probability of errors between two residuals, elementwise."""
        near, far, _ = self._towards_tail(low, high)
        # Of probabilities in the upper tail, where their logarithms are exact.
        first, last = self.log_survival(near, nu), self.log_survival(far, nu)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = first + np.log(-np.expm1(last - first))
        return np.where(np.isneginf(first), -np.inf, found)

    def between(
        self,
        low: np.ndarray,
        high: np.ndarray,
        nu: float | np.ndarray | None,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Draw errors between two residuals, shape of `low`."""
        near, far, turned = self._towards_tail(low, high)
        first, last = self.log_survival(near, nu), self.log_survival(far, nu)
        share = rng.random(np.shape(near))
        with np.errstate(divide="ignore", invalid="ignore"):
            chosen = first + np.log1p(share * np.expm1(last - first))
            found = self.inverse(np.maximum(chosen, SMALLEST_LOG), nu)
        found = np.where(turned, -found, found)
        # Rounding must not put an error outside; where nothing can be computed any place will do.
        return np.clip(np.where(np.isfinite(found), found, (low + high) / 2), low, high)

    def _towards_tail(
        self, low: np.ndarray, high: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the ends as seen from the centre if both can be put into the upper tail."""
        turned = np.asarray((low + high) < 0) & self.symmetric
        return np.where(turned, -high, low), np.where(turned, -low, high), turned


def _normal_log_density(residual: np.ndarray, nu: Any) -> np.ndarray:
    return -(residual**2) / 2 - np.log(2 * np.pi) / 2


def _logistic_log_density(residual: np.ndarray, nu: Any) -> np.ndarray:
    return special.log_expit(residual) + special.log_expit(-residual)


def _t_log_density(residual: np.ndarray, nu: Any) -> np.ndarray:
    norm = special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2) - np.log(nu * np.pi) / 2
    return norm - (nu + 1) / 2 * np.log1p(residual**2 / nu)


def _t_log_survival(residual: np.ndarray, nu: Any) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(special.stdtr(nu, -residual))


def _extreme_log_density(residual: np.ndarray, nu: Any) -> np.ndarray:
    with np.errstate(over="ignore"):
        return residual - np.exp(residual)


def _extreme_log_survival(residual: np.ndarray, nu: Any) -> np.ndarray:
    with np.errstate(over="ignore"):
        return -np.exp(residual)


def _logistic_inverse(log_probability: np.ndarray, nu: Any) -> np.ndarray:
    # log((1 - p) / p), from the logarithm of p.
    return np.log(-np.expm1(log_probability)) - log_probability


def _extreme_inverse(log_probability: np.ndarray, nu: Any) -> np.ndarray:
    return np.log(-log_probability)


NORMAL = ErrorLaw(
    "normal",
    _normal_log_density,
    lambda residual, nu: special.log_ndtr(-residual),
    lambda log_probability, nu: -special.ndtri_exp(log_probability),
    1.0,
)
LOGISTIC = ErrorLaw(
    "logistic",
    _logistic_log_density,
    lambda residual, nu: special.log_expit(-residual),
    _logistic_inverse,
    float(np.pi / np.sqrt(3)),
)
STUDENT_T = ErrorLaw(
    "student_t",
    _t_log_density,
    _t_log_survival,
    lambda log_probability, nu: -special.stdtrit(nu, np.exp(log_probability)),
    float(np.pi / np.sqrt(3)),
)
EXTREME = ErrorLaw(
    "extreme",
    _extreme_log_density,
    _extreme_log_survival,
    _extreme_inverse,
    float(np.pi / np.sqrt(6)),
)

# By the family of the times.
LAWS = {
    "lognormal": NORMAL,
    "loglogistic": LOGISTIC,
    "log_student_t": STUDENT_T,
    "weibull": EXTREME,
}
