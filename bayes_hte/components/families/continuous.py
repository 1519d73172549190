"""Families of continuous columns: gaussian and Student-t."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import special, stats

from bayes_hte.components.families.base import Family, Noise, needed

# Largest error of a logistic outcome's mean: 1e-7 where slope times sd of the mediator is 2, 1e-5
# at 3, 8e-4 at 5.
HERMITE_NODES = 32
# Nodes of a Student-t on the probability scale.
LEGENDRE_NODES = 128
# Prior of the degrees of freedom, kept above 2 so that the variance exists: Juarez, M. A., Steel,
# M. F. J. (2010), doi:10.1198/jbes.2009.07145.
NU_SHAPE, NU_RATE, NU_LOWER = 2.0, 0.1, 2.0
# Degrees of freedom of the half-t prior of sigma.
SIGMA_DF = 3


class Continuous(Family):
    """A location family: the mean is the linear predictor, `sigma` the scale."""

    linear_mean = True
    has_scale = True

    def check(self, y: np.ndarray, what: str) -> None:
        """Accept any finite numbers (the study has checked that)."""

    def inverse_link(self, eta: np.ndarray) -> np.ndarray:
        """Identity."""
        return eta

    def link(self, mean: np.ndarray) -> np.ndarray:
        """Identity."""
        return mean

    def offset(self, y: np.ndarray) -> float:
        """Mean of the column."""
        return float(y.mean())

    def latent_sd(self, y: np.ndarray) -> float:
        """Standard deviation of the column."""
        return float(y.std())

    def _sigma(self, name: str, y: np.ndarray) -> Any:
        """Half-t prior with 3 df and the scale of the column."""
        import pymc as pm

        return pm.HalfStudentT(f"{name}_sigma", nu=SIGMA_DF, sigma=self.latent_sd(y))


class Gaussian(Continuous):
    """``Y ~ Normal(eta, sigma)``."""

    name = "gaussian"
    noise = ("sigma",)

    def parameters(self, name: str, y: np.ndarray) -> dict[str, Any]:
        """``sigma``."""
        return {"sigma": self._sigma(name, y)}

    def distribution(self, eta: Any, noise: Noise) -> Any:
        """Normal."""
        import pymc as pm

        return pm.Normal.dist(mu=eta, sigma=noise["sigma"])

    def log_likelihood(self, y: np.ndarray, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Normal log density."""
        return stats.norm.logpdf(y, eta, needed(noise, "sigma", self))

    def cdf(self, y: np.ndarray, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Normal distribution function."""
        return stats.norm.cdf(y, eta, needed(noise, "sigma", self))

    def draw(self, rng: np.random.Generator, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Normal draws."""
        return rng.normal(eta, needed(noise, "sigma", self))

    def support(
        self, eta: np.ndarray, noise: Noise, *, nodes: int | None = None
    ) -> Iterator[tuple[Any, Any]]:
        """Gauss-Hermite nodes of the normal."""
        sigma = needed(noise, "sigma", self)
        points, weights = special.roots_hermitenorm(nodes or HERMITE_NODES)
        for node, weight in zip(points, weights / weights.sum(), strict=True):
            yield eta + sigma * node, weight

    def variance(self, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """``sigma^2``."""
        return np.broadcast_to(needed(noise, "sigma", self) ** 2, eta.shape)

    def mean_exponential(self, slope: np.ndarray, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Mean of a log-normal."""
        return np.exp(slope * eta + (slope * needed(noise, "sigma", self)) ** 2 / 2)


class StudentT(Continuous):
    """``Y ~ eta + sigma t_nu``: like a gaussian, but robust to outliers."""

    name = "student_t"
    noise = ("sigma", "nu")

    def parameters(self, name: str, y: np.ndarray) -> dict[str, Any]:
        """``sigma``, and ``nu`` with a Gamma(2, 0.1) prior kept above 2."""
        import pymc as pm

        degrees = pm.Gamma.dist(alpha=NU_SHAPE, beta=NU_RATE)
        nu = pm.Truncated(f"{name}_nu", degrees, lower=NU_LOWER)
        return {"sigma": self._sigma(name, y), "nu": nu}

    def distribution(self, eta: Any, noise: Noise) -> Any:
        """Student-t."""
        import pymc as pm

        return pm.StudentT.dist(nu=noise["nu"], mu=eta, sigma=noise["sigma"])

    def log_likelihood(self, y: np.ndarray, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Student-t log density."""
        nu, sigma = needed(noise, "nu", self), needed(noise, "sigma", self)
        return stats.t.logpdf(y, nu, eta, sigma)

    def cdf(self, y: np.ndarray, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Student-t distribution function."""
        nu, sigma = needed(noise, "nu", self), needed(noise, "sigma", self)
        return stats.t.cdf(y, nu, eta, sigma)

    def draw(self, rng: np.random.Generator, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Student-t draws."""
        nu, sigma = needed(noise, "nu", self), needed(noise, "sigma", self)
        return eta + sigma * rng.standard_t(np.broadcast_to(nu, eta.shape))

    def support(
        self, eta: np.ndarray, noise: Noise, *, nodes: int | None = None
    ) -> Iterator[tuple[Any, Any]]:
        """Gauss-Legendre nodes on the probability scale; for bounded functions of Y."""
        nu, sigma = needed(noise, "nu", self), needed(noise, "sigma", self)
        points, weights = special.roots_legendre(LEGENDRE_NODES)
        for node, weight in zip((points + 1) / 2, weights / 2, strict=True):
            yield eta + sigma * stats.t.ppf(node, nu), weight

    def variance(self, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """``sigma^2 nu / (nu - 2)``."""
        nu, sigma = needed(noise, "nu", self), needed(noise, "sigma", self)
        return np.broadcast_to(sigma**2 * nu / (nu - 2), eta.shape)
