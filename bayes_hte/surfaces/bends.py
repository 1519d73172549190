"""Bends of an outcome in its mediator: functions that vary with it and are no straight line.

The basis is the natural cubic spline of the mediator itself, less what is linear: cubic between
knots at quantiles of what was observed, and straight beyond the outermost, so that predictions do
not run away there. As the mediator enters by its deviation from its expectation (the learners say
why), so do these functions: each is taken less its mean over the residuals of the mediator around
the expectation, so that the height of the outcome, and with it the total effect, stays with the
functions of the covariates. At the rows they were learned on they are uncorrelated with the
deviation and with one another, with standard deviation 1.

References
----------
Hastie, T., Tibshirani, R., Friedman, J. (2009). The Elements of Statistical Learning, 2nd ed.,
Springer; natural cubic splines, equation 5.4. doi:10.1007/978-0-387-84858-7
Harrell, F. E. (2015). Regression Modeling Strategies, 2nd ed., Springer; places of the knots.
doi:10.1007/978-3-319-19425-7
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.special import ndtr

from bayes_hte.errors import DataError

# Shares of the units below each knot.
KNOTS = (0.02, 0.275, 0.5, 0.725, 0.98)
# Functions of so many knots.
BENDS = len(KNOTS) - 2
# Residuals that stand for all of them in means over their distribution.
RESIDUALS = 100


@dataclass(frozen=True, eq=False)
class Bends:
    """Functions of the mediator and of its expectation, learned on the rows of a study.

    Attributes
    ----------
    knots : ndarray, shape (knot,)
        In units of the mediator, increasing; with k knots there are k - 2 functions.
    residuals : ndarray, shape (residual,)
        Quantiles of the mediator less its expectation.
    slopes : ndarray, shape (function,)
        What each function loses times the deviation.
    mix : ndarray, shape (function, bend)
        What makes them uncorrelated, with standard deviation 1.
    """

    knots: np.ndarray
    residuals: np.ndarray
    slopes: np.ndarray
    mix: np.ndarray

    @classmethod
    def learn(cls, mediator: np.ndarray, expected: np.ndarray) -> Self:
        """Place the knots, and learn what the functions are free of.

        Parameters
        ----------
        mediator : ndarray, shape (unit,)
            As observed, without gaps.
        expected : ndarray, shape (unit,)
            Its expectation in each unit's own arm.

        Returns
        -------
        Bends

        Raises
        ------
        DataError
            If the mediator has fewer than three values.

        Examples
        --------
        >>> import numpy as np
        >>> m = np.random.default_rng(1).normal(size=200)
        >>> bends = Bends.learn(m, np.zeros(200))
        >>> found = bends.at(m, np.zeros(200))
        >>> found.shape, bool(np.allclose(np.cov(found.T), np.eye(3)))
        ((200, 3), True)
        """
        deviation = mediator - expected
        quantiles = (np.arange(RESIDUALS) + 0.5) / RESIDUALS
        raw = cls(knots_of(mediator), np.quantile(deviation, quantiles), np.zeros(1), np.eye(1))
        values = raw.nonlinear(mediator) - raw.expectation(expected)
        centred = deviation - deviation.mean()
        slopes = centred @ values / (centred @ centred)
        free = values - slopes * deviation[:, None]
        covariance = np.atleast_2d(np.cov(free, rowvar=False))
        mix = np.linalg.inv(np.linalg.cholesky(covariance)).T
        return cls(raw.knots, raw.residuals, slopes, mix)

    @property
    def number(self) -> int:
        """How many functions there are."""
        return self.knots.size - 2

    def at(self, mediator: np.ndarray | float, expected: np.ndarray) -> np.ndarray:
        """Return the functions at values of the mediator.

        Parameters
        ----------
        mediator : ndarray or float
            In its units, of any shape that broadcasts to that of `expected`, or the other way.
        expected : ndarray
            Expectations.

        Returns
        -------
        ndarray, shape (..., bend)
        """
        value = np.asarray(mediator)
        return self.combined(self.nonlinear(value), value, expected, self.expectation(expected))

    def combined(
        self,
        nonlinear: np.ndarray,
        mediator: np.ndarray,
        expected: np.ndarray,
        expectation: np.ndarray,
    ) -> np.ndarray:
        """Return the functions, or their means, from those of the splines and of the mediator.

        Parameters
        ----------
        nonlinear : ndarray, shape (..., function)
            :meth:`nonlinear`, or its mean over a law of the mediator.
        mediator : ndarray, shape (...,)
            The mediator, or its mean over the same law.
        expected : ndarray
            Expectations.
        expectation : ndarray, shape (..., function)
            :meth:`expectation` at them.

        Returns
        -------
        ndarray, shape (..., bend)
        """
        deviation = (mediator - expected - self.residuals.mean())[..., None]
        return (nonlinear - expectation - self.slopes * deviation) @ self.mix

    def nonlinear(self, mediator: np.ndarray) -> np.ndarray:
        """Return the splines without what is linear, shape (..., function)."""
        return self._splines([np.clip(mediator - knot, 0, None) ** 3 for knot in self.knots])

    def normal_mean(self, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
        """Return the mean of :meth:`nonlinear` over a normal mediator, in closed form.

        Parameters
        ----------
        mean, sd : ndarray
            Of the mediator, in its units; of shapes that broadcast to the first.

        Returns
        -------
        ndarray, shape (..., function)
        """
        above = [(mean - knot) / sd for knot in self.knots]
        return self._splines([sd**3 * _cubed_part(a) for a in above])

    def _splines(self, cubes: list[np.ndarray]) -> np.ndarray:
        """Return the splines from the cubes of what lies above each knot."""
        *others, last = cubes
        left, width = self.knots[-1] - self.knots[:-1], self.knots[-1] - self.knots[0]
        steps = [(c - last) / (k * width**2) for c, k in zip(others, left, strict=True)]
        return np.stack([step - steps[-1] for step in steps[:-1]], axis=-1)

    def expectation(self, expected: np.ndarray) -> np.ndarray:
        """Return the mean of the splines around expectations, shape (..., function)."""
        total = 0.0
        for residual in self.residuals:
            total = total + self.nonlinear(expected + residual)
        return np.asarray(total) / self.residuals.size

    def to_state(self) -> dict[str, list]:
        """Return plain lists, for JSON."""
        names = ("knots", "residuals", "slopes", "mix")
        return {name: getattr(self, name).tolist() for name in names}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return what :meth:`to_state` gave."""
        return cls(**{name: np.array(values, dtype=float) for name, values in state.items()})


def _cubed_part(mean: np.ndarray) -> np.ndarray:
    """Return E[max(Z, 0)^3] of normal Z with a mean and standard deviation 1."""
    density = np.exp(-(mean**2) / 2) / np.sqrt(2 * np.pi)
    return (mean**3 + 3 * mean) * ndtr(mean) + (mean**2 + 2) * density


def knots_of(mediator: np.ndarray) -> np.ndarray:
    """Return the places of the knots, shape (knot,): five, or as many as there are values.

    Where many units share a value, quantiles coincide; those of the different values then serve.

    Raises
    ------
    DataError
        If the mediator has fewer than three values.
    """
    different = np.unique(mediator)
    if different.size < 3:
        raise DataError(
            f"the mediator has {different.size} different values, and through two points every "
            "function is a straight line: nothing could bend. Use mediator_shape='linear'."
        )
    knots = np.unique(np.quantile(mediator, KNOTS))
    if knots.size < min(len(KNOTS), different.size):
        places = np.linspace(0, different.size - 1, min(len(KNOTS), different.size))
        knots = different[np.round(places).astype(int)]
    return knots.astype(float)
