"""Outcome families: what values they allow, their link, and their PyMC likelihood.

Each family models ``E[Y | eta] = inverse_link(eta)``; its `offset` and `latent_sd` put the linear
predictor and its priors on the scale of the data.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import special, stats

from bayes_hte.errors import DataError, UnsupportedError, unknown_name

# Largest error of a logistic outcome's mean: 1e-7 where slope times sd of the mediator is 2, 1e-5
# at 3, 8e-4 at 5.
HERMITE_NODES = 32
# Mass of a count mediator's support that may be left out, and the longest support summed.
COUNT_TAIL = 1e-10
LONGEST_SUPPORT = 5000


class Family(ABC):
    """A conditional distribution with one linear predictor."""

    name: str
    #: Whether the mean is the linear predictor itself, so that expectations pass through.
    linear_mean: bool = False
    #: Whether the mean is the exponential of the linear predictor.
    exponential_mean: bool = False

    @abstractmethod
    def check(self, y: np.ndarray, what: str) -> None:
        """Raise DataError unless every value is possible, y of shape (unit,)."""

    @abstractmethod
    def inverse_link(self, eta: np.ndarray) -> np.ndarray:
        """Return the mean for a linear predictor, elementwise."""

    @abstractmethod
    def offset(self, y: np.ndarray) -> float:
        """Return the linear predictor of the overall mean."""

    @abstractmethod
    def latent_sd(self, y: np.ndarray) -> float:
        """Return the unit in which priors of the linear predictor are scaled."""

    @abstractmethod
    def observe(self, name: str, eta: Any, y: np.ndarray) -> Any | None:
        """Add the likelihood to the PyMC model in context; return its noise scale, if any."""

    @abstractmethod
    def support(self, eta: np.ndarray, sigma: np.ndarray | None) -> Iterator[tuple[Any, Any]]:
        """Yield values and weights whose weighted sum is an expectation over the family.

        Parameters
        ----------
        eta : ndarray, shape (..., unit)
            Linear predictor.
        sigma : ndarray broadcastable to `eta`, or None
            Noise scale of a gaussian.

        Yields
        ------
        value, weight : arrays broadcastable to `eta`
        """

    @abstractmethod
    def mean_exponential(
        self, slope: np.ndarray, eta: np.ndarray, sigma: np.ndarray | None
    ) -> np.ndarray:
        """Return E[exp(slope Y)] in closed form, arrays as in :meth:`support`."""

    @abstractmethod
    def draw(
        self, rng: np.random.Generator, eta: np.ndarray, sigma: np.ndarray | None
    ) -> np.ndarray:
        """Draw replicated observations, shape of `eta`."""


class Gaussian(Family):
    """``Y ~ Normal(eta, sigma)``."""

    name = "gaussian"
    linear_mean = True

    def check(self, y: np.ndarray, what: str) -> None:
        """Accept any finite numbers (the study has checked that)."""

    def inverse_link(self, eta: np.ndarray) -> np.ndarray:
        """Identity."""
        return eta

    def offset(self, y: np.ndarray) -> float:
        """Mean of the column."""
        return float(y.mean())

    def latent_sd(self, y: np.ndarray) -> float:
        """Standard deviation of the column."""
        return float(y.std())

    def observe(self, name: str, eta: Any, y: np.ndarray) -> Any:
        """Normal likelihood; sigma has a half-t prior with 3 df and the scale of the column."""
        import pymc as pm

        sigma = pm.HalfStudentT(f"{name}_sigma", nu=3, sigma=self.latent_sd(y))
        pm.Normal(f"{name}_observed", mu=eta, sigma=sigma, observed=y, dims="unit")
        return sigma

    def support(self, eta: np.ndarray, sigma: np.ndarray | None) -> Iterator[tuple[Any, Any]]:
        """Gauss-Hermite nodes of the normal."""
        if sigma is None:
            raise ValueError("a gaussian needs its sigma")
        nodes, weights = special.roots_hermitenorm(HERMITE_NODES)
        for node, weight in zip(nodes, weights / weights.sum(), strict=True):
            yield eta + sigma * node, weight

    def mean_exponential(
        self, slope: np.ndarray, eta: np.ndarray, sigma: np.ndarray | None
    ) -> np.ndarray:
        """Mean of a log-normal."""
        if sigma is None:
            raise ValueError("a gaussian needs its sigma")
        return np.exp(slope * eta + (slope * sigma) ** 2 / 2)

    def draw(
        self, rng: np.random.Generator, eta: np.ndarray, sigma: np.ndarray | None
    ) -> np.ndarray:
        """Normal draws."""
        return rng.normal(eta, sigma)


class Bernoulli(Family):
    """``Y ~ Bernoulli(1 / (1 + exp(-eta)))``."""

    name = "bernoulli"

    def check(self, y: np.ndarray, what: str) -> None:
        """Only 0 and 1."""
        other = np.setdiff1d(y, [0, 1])
        if other.size:
            raise DataError(
                f"{what}: a bernoulli column holds only 0 and 1, got {other[:3].tolist()}. "
                "Recode it, or use family='gaussian'."
            )

    def inverse_link(self, eta: np.ndarray) -> np.ndarray:
        """Logistic function."""
        return special.expit(eta)

    def offset(self, y: np.ndarray) -> float:
        """Logit of the (slightly shrunk) mean."""
        return float(special.logit((y.sum() + 0.5) / (y.size + 1)))

    def latent_sd(self, y: np.ndarray) -> float:
        """1.5 on the logit scale: two sd reach from 5% to 95%."""
        return 1.5

    def observe(self, name: str, eta: Any, y: np.ndarray) -> None:
        """Bernoulli likelihood with the logit link."""
        import pymc as pm

        pm.Bernoulli(f"{name}_observed", logit_p=eta, observed=y.astype(np.int64), dims="unit")

    def support(self, eta: np.ndarray, sigma: np.ndarray | None) -> Iterator[tuple[Any, Any]]:
        """Both values with their probabilities: exact."""
        p = special.expit(eta)
        yield 0.0, 1 - p
        yield 1.0, p

    def mean_exponential(
        self, slope: np.ndarray, eta: np.ndarray, sigma: np.ndarray | None
    ) -> np.ndarray:
        """Two-term sum."""
        return 1 + special.expit(eta) * np.expm1(slope)

    def draw(
        self, rng: np.random.Generator, eta: np.ndarray, sigma: np.ndarray | None
    ) -> np.ndarray:
        """Zeros and ones."""
        return (rng.random(eta.shape) < special.expit(eta)).astype(np.float64)


class Poisson(Family):
    """``Y ~ Poisson(exp(eta))``."""

    name = "poisson"
    exponential_mean = True

    def check(self, y: np.ndarray, what: str) -> None:
        """Only whole numbers from 0 up."""
        if (y < 0).any():
            raise DataError(
                f"{what}: a count cannot be negative, got {int((y < 0).sum())} negative values "
                f"(smallest {y.min():g}). Use family='gaussian', or mend the column."
            )
        if (y != np.round(y)).any():
            bad = y[y != np.round(y)]
            raise DataError(
                f"{what}: a count must be whole, got {bad.size} fractional values (e.g. "
                f"{bad[0]:g}). Use family='gaussian', or model the count before dividing it."
            )

    def inverse_link(self, eta: np.ndarray) -> np.ndarray:
        """Exponential."""
        return np.exp(eta)

    def offset(self, y: np.ndarray) -> float:
        """Log of the (slightly shrunk) mean."""
        return float(np.log((y.sum() + 0.5) / y.size))

    def latent_sd(self, y: np.ndarray) -> float:
        """1 on the log scale: two sd reach a ratio of 7."""
        return 1.0

    def observe(self, name: str, eta: Any, y: np.ndarray) -> None:
        """Poisson likelihood with the log link."""
        import pymc as pm
        import pytensor.tensor as pt

        counts = y.astype(np.int64)
        pm.Poisson(f"{name}_observed", mu=pt.exp(eta), observed=counts, dims="unit")

    def support(self, eta: np.ndarray, sigma: np.ndarray | None) -> Iterator[tuple[Any, Any]]:
        """Every count up to where at most 1e-10 of the largest mean's mass is left."""
        rate = np.exp(eta)
        # Beyond this mean the quantile itself is out of reach of the routine, and of the sum.
        reachable = rate.max() < LONGEST_SUPPORT
        largest = int(stats.poisson.isf(COUNT_TAIL, rate.max())) + 1 if reachable else np.inf
        if largest > LONGEST_SUPPORT:
            raise UnsupportedError(
                f"a count mediator with mean {rate.max():.3g} would need a sum over {largest} "
                f"values; at most {LONGEST_SUPPORT} are summed. Rescale it, or use gaussian."
            )
        for count in range(largest + 1):
            yield float(count), stats.poisson.pmf(count, rate)

    def mean_exponential(
        self, slope: np.ndarray, eta: np.ndarray, sigma: np.ndarray | None
    ) -> np.ndarray:
        """Moment generating function of a Poisson."""
        return np.exp(np.exp(eta) * np.expm1(slope))

    def draw(
        self, rng: np.random.Generator, eta: np.ndarray, sigma: np.ndarray | None
    ) -> np.ndarray:
        """Counts."""
        return rng.poisson(np.exp(eta)).astype(np.float64)


FAMILIES: dict[str, Family] = {f.name: f for f in (Gaussian(), Bernoulli(), Poisson())}


def get_family(name: str) -> Family:
    """Return a family by name.

    Raises
    ------
    SpecError
        If the name is unknown.
    """
    if name not in FAMILIES:
        raise unknown_name("family", name, FAMILIES)
    return FAMILIES[name]
