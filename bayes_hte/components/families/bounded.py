"""The family of a bounded scale: a mean of items, a percentage, a visual analogue scale.

``logit((Y - low) / (high - low)) ~ Normal(eta, sigma)``: the logit-normal distribution, whose
density follows a skewed column that piles up near an end. ``low`` and ``high`` lie a little outside
of the scale's ends, so that answers at an end are possible. The expectation on the scale itself,
which effects are made of, depends on `sigma`, and is a Gauss-Hermite sum.

References
----------
Aitchison, J., Shen, S. M. (1980). Logistic-normal distributions: some properties and uses.
Biometrika 67, 261-272. doi:10.1093/biomet/67.2.261
Smithson, M., Verkuilen, J. (2006). A better lemon squeezer? Maximum-likelihood regression with
beta-distributed dependent variables. Psychological Methods 11, 54-71.
doi:10.1037/1082-989X.11.1.54
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from scipy import special, stats

from bayes_hte.components.families.base import Family, Noise, needed
from bayes_hte.components.families.continuous import SIGMA_DF
from bayes_hte.errors import DataError, SpecError
from bayes_hte.study.spec import bounded_name
from bayes_hte.study.time_to_event import Estimand

# Share of the scale by which the distribution reaches beyond each end. In the JOBS II study, with
# a tenth of the outcomes at the lower end, left-out predictions were calibrated with .025 to .05;
# with .0125 they were too high, with .125 too low.
BEYOND = 0.025
# Largest error of a mean, as a share of the scale: 2e-7 where sigma is 1, 4e-5 at 2, 5e-4 at 3.
NODES = 20


class Bounded(Family):
    """A column on a scale from `lower` to `upper`, normal on the logit scale.

    Parameters
    ----------
    lower, upper : float
        The ends of the scale; values may lie at them, and not beyond.
    """

    noise = ("sigma",)
    has_scale = True
    mean_needs_noise = True
    normal_predictor = True
    working = "gaussian"

    def __init__(self, lower: float, upper: float) -> None:
        if not (np.isfinite([lower, upper]).all() and lower < upper):
            raise SpecError(
                f"a bounded scale runs from a lower to an upper end, got {lower:g} and {upper:g}; "
                "write for instance family='bounded(1, 5)'."
            )
        self.lower, self.upper = float(lower), float(upper)
        self.name = bounded_name(self.lower, self.upper)
        margin = BEYOND * (self.upper - self.lower)
        self._low, self._width = self.lower - margin, self.upper - self.lower + 2 * margin

    def check(self, y: np.ndarray, what: str) -> None:
        """Only values from the lower to the upper end."""
        outside = y[(y < self.lower) | (y > self.upper)]
        if outside.size:
            raise DataError(
                f"{what}: family {self.name!r} is for values from {self.lower:g} to "
                f"{self.upper:g}, got {outside.size} others ({outside.min():g} to "
                f"{outside.max():g}). Write the ends of the scale, or use family='gaussian'."
            )

    def working_column(self, y: np.ndarray) -> np.ndarray:
        """Logit of the place on the scale; infinite beyond it."""
        share = np.clip((y - self._low) / self._width, 0.0, 1.0)
        return special.logit(share)

    def inverse_link(self, eta: np.ndarray) -> np.ndarray:
        """The *median*; see :meth:`mean`."""
        return self._low + self._width * special.expit(eta)

    def link(self, mean: np.ndarray) -> np.ndarray:
        """Undo :meth:`inverse_link`."""
        return self.working_column(mean)

    def mean(self, eta: np.ndarray, noise: Noise, estimand: Estimand | None = None) -> np.ndarray:
        """Gauss-Hermite sum of the scale over the normal distribution of its logit."""
        return sum(weight * value for value, weight in self.support(eta, noise))

    def offset(self, y: np.ndarray) -> float:
        """Mean of the logits."""
        return float(self.working_column(y).mean())

    def latent_sd(self, y: np.ndarray) -> float:
        """Standard deviation of the logits."""
        return float(self.working_column(y).std())

    def parameters(self, name: str, y: np.ndarray) -> dict[str, Any]:
        """``sigma``: half-t with 3 df and the scale of the logits."""
        import pymc as pm

        return {"sigma": pm.HalfStudentT(f"{name}_sigma", nu=SIGMA_DF, sigma=self.latent_sd(y))}

    def distribution(self, eta: Any, noise: Noise) -> Any:
        """A normal through the inverse logit, on the scale."""
        import pymc as pm

        low, width = self._low, self._width

        def on_scale(eta: Any, sigma: Any, size: Any) -> Any:
            return low + width * pm.math.sigmoid(pm.Normal.dist(eta, sigma, size=size))

        return pm.CustomDist.dist(eta, noise["sigma"], dist=on_scale, class_name="Bounded")

    def log_likelihood(self, y: np.ndarray, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Log density on the scale, comparable with that of other families."""
        share = (y - self._low) / self._width
        log_jacobian = -np.log(self._width) - np.log(share) - np.log1p(-share)
        z = special.logit(share)
        return stats.norm.logpdf(z, eta, needed(noise, "sigma", self)) + log_jacobian

    def cdf(self, y: np.ndarray, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Normal distribution function of the logit."""
        return stats.norm.cdf(self.working_column(y), eta, needed(noise, "sigma", self))

    def draw(self, rng: np.random.Generator, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Draws on the scale, a few of them a little beyond its ends."""
        return self.inverse_link(rng.normal(eta, needed(noise, "sigma", self)))

    def support(
        self, eta: np.ndarray, noise: Noise, *, nodes: int | None = None
    ) -> Iterator[tuple[Any, Any]]:
        """Gauss-Hermite nodes of the logit, on the scale."""
        sigma = needed(noise, "sigma", self)
        points, weights = special.roots_hermitenorm(nodes or NODES)
        for node, weight in zip(points, weights / weights.sum(), strict=True):
            yield self.inverse_link(eta + sigma * node), weight

    def variance(self, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Sum over the support."""
        mean = self.mean(eta, noise)
        return sum(weight * (value - mean) ** 2 for value, weight in self.support(eta, noise))

    def mean_exponential(self, slope: np.ndarray, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Sum over the support: the scale is bounded."""
        return sum(weight * np.exp(slope * value) for value, weight in self.support(eta, noise))


@cache
def bounded(lower: float, upper: float) -> Bounded:
    """Return the family of a scale from `lower` to `upper`.

    Raises
    ------
    SpecError
        If the ends are not two numbers in order.
    """
    return Bounded(lower, upper)
