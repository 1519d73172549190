r"""Gaussian working models of times to an event, some of them censored, some with late entry.

The log of a time is ``eta + sigma e``. As a function of ``eta`` the likelihood of a row, density
or probability of surviving, becomes gaussian after these draws:

- lognormal: the log time of a censored row, from the normal beyond the censoring time.
- log_student_t: that log time from the t, then a Gamma precision of each row.
- loglogistic: with ``r = (log time - eta) / sigma`` the density is ``e^r / (1 + e^r)^2`` and the
  probability of surviving ``1 / (1 + e^r)``; a Polya-Gamma variable of shape 2 or 1 makes each
  gaussian, without a log time drawn.
- weibull: they are ``exp(r - e^r)`` and ``exp(-e^r)``, the likelihoods of a Poisson count of 1 and
  of 0 with log rate r, whose normal mixtures :func:`poisson_mixture` has. That is the only
  approximation here.

A row that came under observation late has the likelihood divided by its probability of surviving
until then. The number of rows like it that were never seen, because their events came before, is
geometric; they are drawn with their times, and each adds its working response to that of the row.

The log time of a row whose event lies in an interval is drawn from the error law between both ends;
the row is then one whose event was seen.

References
----------
Tanner, M. A., Wong, W. H. (1987). The calculation of posterior distributions by data augmentation.
JASA 82, 528-540. doi:10.1080/01621459.1987.10478458

Polson, N. G., Scott, J. G., Windle, J. (2013). Bayesian inference for logistic models using
Polya-Gamma latent variables. JASA 108, 1339-1349. doi:10.1080/01621459.2013.829001

Henderson, N. C., Louis, T. A., Rosner, G. L., Varadhan, R. (2020). Individualized treatment effects
with censored data via fully nonparametric Bayesian accelerated failure time models. Biostatistics
21, 50-68. doi:10.1093/biostatistics/kxy028
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bayes_hte.study.time_to_event import Censoring
from bayes_hte.surfaces.error_laws import LAWS, NORMAL, STUDENT_T, ErrorLaw

# A row that survived until its entry with a smaller probability is taken to have had this one: its
# unseen rows would be too many to draw. Where predictions are that wrong, the chain has just begun.
LEAST_SURVIVAL = 1e-3

# Residual and precision of each row, given log times, events, eta, sigma and nu.
Rows = tuple[np.ndarray, np.ndarray]


def time_rows(
    family: str,
    time: np.ndarray,
    eta: np.ndarray,
    sigma: np.ndarray,
    nu: np.ndarray | None,
    censoring: Censoring,
    draws: RowDraws,
) -> Rows:
    """Draw the augmentation of every row, and return its gaussian working response.

    Parameters
    ----------
    family : {"lognormal", "loglogistic", "log_student_t", "weibull"}
        Law of the times.
    time : ndarray, shape (row,)
        Times to the event, or to censoring.
    eta : ndarray, shape (row,)
        Current linear predictor of the log time.
    sigma : ndarray, shape () or (row,)
        Scale of the error.
    nu : ndarray, shape (), or None
        Degrees of freedom of ``"log_student_t"``.
    censoring : Censoring
        Events and entries of the rows.
    draws : RowDraws
        The draws that the families need.

    Returns
    -------
    residual, precision : ndarray, shape (row,)
        Working response less `eta`, and one over the variance of the working noise.
    """
    draw = getattr(draws, family)
    sigma = np.broadcast_to(sigma, time.shape)
    log_time = inside_intervals(LAWS[family], np.log(time), eta, sigma, nu, censoring, draws.rng)
    if censoring.entry is None or not (censoring.entry > 0).any():
        return draw(log_time, censoring.event, eta, sigma, nu)
    row, log_unseen = _unseen(family, censoring.entry, eta, sigma, nu, draws.rng)
    every = np.concatenate([np.arange(time.size), row])
    event = np.concatenate([censoring.event, np.ones(row.size, dtype=bool)])
    residual, precision = draw(
        np.concatenate([log_time, log_unseen]), event, eta[every], sigma[every], nu
    )
    total = np.bincount(every, precision, minlength=time.size)
    return np.bincount(every, precision * residual, minlength=time.size) / total, total


def _unseen(
    family: str,
    entry: np.ndarray,
    eta: np.ndarray,
    sigma: np.ndarray,
    nu: np.ndarray | None,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows whose events came before they could enter: the row they are like, log time."""
    law, late = LAWS[family], np.flatnonzero(entry > 0)
    residual = (np.log(entry[late]) - eta[late]) / sigma[late]
    survival = np.exp(law.log_survival(residual, nu))
    number = rng.geometric(np.maximum(survival, LEAST_SURVIVAL)) - 1
    row = np.repeat(late, number)
    error = law.below(np.repeat(residual, number), nu, rng)
    return row, eta[row] + sigma[row] * error


class RowDraws:
    """Gaussian working responses of rows, by family; the methods take arrays of shape (row,).

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the augmentation.
    polya_gamma : callable (shape, tilt, rng)
        Draws Polya-Gamma variables of whole shapes.
    mixture : callable (event, log rate, rng)
        Draws a component of the normal mixture of a Poisson count of 1 or 0: mean and precision.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        *,
        polya_gamma: Callable[..., np.ndarray],
        mixture: Callable[..., Rows],
    ) -> None:
        self.rng, self._polya_gamma, self._mixture = rng, polya_gamma, mixture

    def lognormal(
        self, log_time: np.ndarray, event: np.ndarray, eta: np.ndarray, sigma: np.ndarray, nu: Any
    ) -> Rows:
        """Complete the log times."""
        return completed(NORMAL, log_time, event, eta, sigma, nu, self.rng), sigma**-2.0

    def log_student_t(
        self, log_time: np.ndarray, event: np.ndarray, eta: np.ndarray, sigma: np.ndarray, nu: Any
    ) -> Rows:
        """Complete the log times, then draw precisions."""
        residual = completed(STUDENT_T, log_time, event, eta, sigma, nu, self.rng)
        rate = (nu + (residual / sigma) ** 2) / 2
        precision = self.rng.standard_gamma((nu + 1) / 2, size=residual.shape) / rate
        return residual, precision / sigma**2

    def loglogistic(
        self, log_time: np.ndarray, event: np.ndarray, eta: np.ndarray, sigma: np.ndarray, nu: Any
    ) -> Rows:
        """Draw Polya-Gamma variables: of shape 2 for densities, of shape 1 for survival."""
        residual = (log_time - eta) / sigma
        omega = self._polya_gamma(np.where(event, 2.0, 1.0), residual, self.rng)
        shift = np.where(event, 0.0, 1 / (2 * omega))
        return sigma * (residual + shift), omega / sigma**2

    def weibull(
        self, log_time: np.ndarray, event: np.ndarray, eta: np.ndarray, sigma: np.ndarray, nu: Any
    ) -> Rows:
        """Draw components of the mixtures of Poisson counts of 1 for events and of 0 else."""
        residual = (log_time - eta) / sigma
        mean, precision = self._mixture(event, residual, self.rng)
        return sigma * (residual - mean), precision / sigma**2


def completed(
    law: Any,
    log_time: np.ndarray,
    event: np.ndarray,
    eta: np.ndarray,
    sigma: np.ndarray,
    nu: Any,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return log times less `eta`, those of censored rows drawn beyond their censoring."""
    residual = log_time - eta
    open_ = np.flatnonzero(~event)
    if open_.size:
        scale = np.broadcast_to(sigma, residual.shape)[open_]
        residual[open_] = scale * law.beyond(residual[open_] / scale, nu, rng)
    return residual


def inside_intervals(
    law: ErrorLaw,
    log_time: np.ndarray,
    eta: np.ndarray,
    sigma: np.ndarray,
    nu: Any,
    censoring: Censoring,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return log times, those that lie within intervals drawn there; themselves if none does.

    Parameters
    ----------
    law : ErrorLaw
        Of the error.
    log_time, eta, sigma : ndarray, shape (row,)
        Log times, linear predictor and scale.
    nu : ndarray, shape (), or None
        Degrees of freedom of a t.
    censoring : Censoring
        With the ends of intervals.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    ndarray, shape (row,)
    """
    if (inside := censoring.within) is None:
        return log_time
    rows = np.flatnonzero(inside)
    scale = np.broadcast_to(sigma, log_time.shape)[rows]
    low, high = ((end[rows] - eta[rows]) / scale for end in censoring.log_ends(log_time))
    drawn = log_time.copy()
    drawn[rows] = eta[rows] + scale * law.between(low, high, nu, rng)
    return drawn
