"""Families of binary and count columns: bernoulli, poisson, negative binomial."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import special, stats

from bayes_hte.components.families.base import NO_NOISE, Family, Noise, check_counts, needed
from bayes_hte.errors import DataError, UnsupportedError

# Mass of a count mediator's support that may be left out, and the longest support summed.
COUNT_TAIL = 1e-10
LONGEST_SUPPORT = 5000
# Prior scale of the overdispersion 1/sqrt(size).
OVERDISPERSION_SCALE = 1.0


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

    def link(self, mean: np.ndarray) -> np.ndarray:
        """Log odds."""
        return special.logit(mean)

    def offset(self, y: np.ndarray) -> float:
        """Logit of the (slightly shrunk) mean."""
        return float(special.logit((y.sum() + 0.5) / (y.size + 1)))

    def latent_sd(self, y: np.ndarray) -> float:
        """1.5 on the logit scale: two sd reach from 5% to 95%."""
        return 1.5

    def parameters(self, name: str, y: np.ndarray) -> dict[str, Any]:
        """None."""
        return {}

    def distribution(self, eta: Any, noise: Noise) -> Any:
        """Bernoulli with the logit link."""
        import pymc as pm

        return pm.Bernoulli.dist(logit_p=eta)

    def log_likelihood(self, y: np.ndarray, eta: np.ndarray, noise: Noise = NO_NOISE) -> np.ndarray:
        """Log probability of the observed value."""
        return special.log_expit(np.where(y == 1, eta, -eta))

    def cdf(self, y: np.ndarray, eta: np.ndarray, noise: Noise = NO_NOISE) -> np.ndarray:
        """Step function at 0 and 1."""
        return stats.bernoulli.cdf(y, special.expit(eta))

    def draw(
        self, rng: np.random.Generator, eta: np.ndarray, noise: Noise = NO_NOISE
    ) -> np.ndarray:
        """Zeros and ones."""
        return (rng.random(eta.shape) < special.expit(eta)).astype(np.float64)

    def support(
        self, eta: np.ndarray, noise: Noise = NO_NOISE, *, nodes: int | None = None
    ) -> Iterator[tuple[Any, Any]]:
        """Both values with their probabilities: exact."""
        p = special.expit(eta)
        yield 0.0, 1 - p
        yield 1.0, p

    def variance(self, eta: np.ndarray, noise: Noise = NO_NOISE) -> np.ndarray:
        """``p (1 - p)``."""
        return special.expit(eta) * special.expit(-eta)

    def mean_exponential(
        self, slope: np.ndarray, eta: np.ndarray, noise: Noise = NO_NOISE
    ) -> np.ndarray:
        """Two-term sum."""
        return 1 + special.expit(eta) * np.expm1(slope)


class Count(Family):
    """A count with mean ``exp(eta)``."""

    exponential_mean = True

    def check(self, y: np.ndarray, what: str) -> None:
        """Only whole numbers from 0 up."""
        check_counts(y, what)

    def inverse_link(self, eta: np.ndarray) -> np.ndarray:
        """Exponential."""
        return np.exp(eta)

    def link(self, mean: np.ndarray) -> np.ndarray:
        """Logarithm."""
        return np.log(mean)

    def offset(self, y: np.ndarray) -> float:
        """Log of the (slightly shrunk) mean."""
        return float(np.log((y.sum() + 0.5) / y.size))

    def latent_sd(self, y: np.ndarray) -> float:
        """1 on the log scale: two sd reach a ratio of 7."""
        return 1.0

    def _law(self, eta: np.ndarray, noise: Noise) -> Any:
        """Frozen scipy distribution."""
        raise NotImplementedError

    def log_likelihood(self, y: np.ndarray, eta: np.ndarray, noise: Noise = NO_NOISE) -> np.ndarray:
        """Log probability of the observed count."""
        return self._law(eta, noise).logpmf(y)

    def cdf(self, y: np.ndarray, eta: np.ndarray, noise: Noise = NO_NOISE) -> np.ndarray:
        """Distribution function."""
        return self._law(eta, noise).cdf(y)

    def support(
        self, eta: np.ndarray, noise: Noise = NO_NOISE, *, nodes: int | None = None
    ) -> Iterator[tuple[Any, Any]]:
        """Every count up to where at most 1e-10 of the largest quantile's mass is left."""
        law = self._law(eta, noise)
        # Beyond this mean the quantile itself is out of reach of the routine, and of the sum.
        reachable = np.exp(eta).max() < LONGEST_SUPPORT
        largest = int(np.max(law.isf(COUNT_TAIL))) + 1 if reachable else np.inf
        if largest > LONGEST_SUPPORT:
            raise UnsupportedError(
                f"a count mediator with mean {np.exp(eta).max():.3g} would need a sum over "
                f"{largest} values; at most {LONGEST_SUPPORT} are summed. Rescale it, or use "
                "gaussian."
            )
        for count in range(largest + 1):
            yield float(count), law.pmf(count)

    def variance(self, eta: np.ndarray, noise: Noise = NO_NOISE) -> np.ndarray:
        """Variance of the count."""
        return self._law(eta, noise).var()


class Poisson(Count):
    """``Y ~ Poisson(exp(eta))``."""

    name = "poisson"

    def parameters(self, name: str, y: np.ndarray) -> dict[str, Any]:
        """None."""
        return {}

    def distribution(self, eta: Any, noise: Noise) -> Any:
        """Poisson with the log link."""
        import pymc as pm
        import pytensor.tensor as pt

        return pm.Poisson.dist(mu=pt.exp(eta))

    def draw(
        self, rng: np.random.Generator, eta: np.ndarray, noise: Noise = NO_NOISE
    ) -> np.ndarray:
        """Counts."""
        return rng.poisson(np.exp(eta)).astype(np.float64)

    def mean_exponential(
        self, slope: np.ndarray, eta: np.ndarray, noise: Noise = NO_NOISE
    ) -> np.ndarray:
        """Moment generating function of a Poisson."""
        return np.exp(np.exp(eta) * np.expm1(slope))

    def _law(self, eta: np.ndarray, noise: Noise) -> Any:
        return stats.poisson(np.exp(eta))


class NegativeBinomial(Count):
    """A count with mean ``mu = exp(eta)`` and variance ``mu + mu^2 / size``."""

    name = "negative_binomial"
    noise = ("size",)

    def parameters(self, name: str, y: np.ndarray) -> dict[str, Any]:
        """``size``, with ``1/sqrt(size) ~ HalfNormal(1)``: most mass near a Poisson."""
        import pymc as pm

        root = pm.HalfNormal(f"{name}_overdispersion", OVERDISPERSION_SCALE)
        return {"size": pm.Deterministic(f"{name}_size", root**-2)}

    def distribution(self, eta: Any, noise: Noise) -> Any:
        """Negative binomial with the log link."""
        import pymc as pm
        import pytensor.tensor as pt

        return pm.NegativeBinomial.dist(mu=pt.exp(eta), alpha=noise["size"])

    def draw(self, rng: np.random.Generator, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Poisson counts whose means are gamma distributed."""
        size = np.broadcast_to(needed(noise, "size", self), eta.shape)
        return rng.poisson(np.exp(eta) * rng.standard_gamma(size) / size).astype(np.float64)

    def _law(self, eta: np.ndarray, noise: Noise) -> Any:
        size = needed(noise, "size", self)
        return stats.nbinom(size, size / (size + np.exp(eta)))
