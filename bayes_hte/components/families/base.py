"""The form of every outcome family: allowed values, link, likelihood, expectations.

Each family models ``E[Y | eta] = mean(eta)``, in all but one ``inverse_link(eta)``; its `offset`
and `latent_sd` put the linear predictor and its priors on the scale of the data. Its other
parameters are passed as a mapping from name to values (``noise``): ``sigma``, ``nu`` or ``size``,
as the family needs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bayes_hte.errors import DataError, SpecError, UnsupportedError
from bayes_hte.study.time_to_event import Censoring, Estimand

Noise = Mapping[str, Any]
NO_NOISE: Noise = {}


class Family(ABC):
    """A conditional distribution with one linear predictor."""

    name: str
    #: Names of the other parameters.
    noise: tuple[str, ...] = ()
    #: Whether the mean is the linear predictor itself, so that expectations pass through.
    linear_mean: bool = False
    #: Whether the mean is the exponential of the linear predictor.
    exponential_mean: bool = False
    #: Whether a noise scale may differ between units.
    has_scale: bool = False
    #: Whether it is a law of times to an event, which may be censored.
    times: bool = False
    #: Whether the mean depends on the noise parameters too.
    mean_needs_noise: bool = False
    #: Whether the outcome is normal around the linear predictor on the scale of the link.
    normal_predictor: bool = False

    @property
    def working(self) -> str:
        """Name of the working model of :meth:`working_column`; that of the family by default."""
        return self.name

    def working_column(self, y: np.ndarray) -> np.ndarray:
        """Return the column that the working model sees, elementwise; itself by default."""
        return y

    def given(self, censoring: Censoring | None) -> Family:
        """Return the family bound to events and entries of rows; itself unless it is of times."""
        return self

    def mean(self, eta: np.ndarray, noise: Noise, estimand: Estimand | None = None) -> np.ndarray:
        """Return the mean for a linear predictor and noise parameters that broadcast to it.

        Only families of times have several scales, of which `estimand` names one.
        """
        return self.inverse_link(eta)

    @abstractmethod
    def check(self, y: np.ndarray, what: str) -> None:
        """Raise DataError unless every value is possible, y of shape (unit,)."""

    @abstractmethod
    def inverse_link(self, eta: np.ndarray) -> np.ndarray:
        """Return the mean for a linear predictor, elementwise."""

    @abstractmethod
    def link(self, mean: np.ndarray) -> np.ndarray:
        """Return the linear predictor of a mean, elementwise: undoes :meth:`inverse_link`."""

    @abstractmethod
    def offset(self, y: np.ndarray) -> float:
        """Return the linear predictor of the overall mean."""

    @abstractmethod
    def latent_sd(self, y: np.ndarray) -> float:
        """Return the unit in which priors of the linear predictor are scaled."""

    @abstractmethod
    def parameters(self, name: str, y: np.ndarray) -> dict[str, Any]:
        """Add the noise parameters to the PyMC model in context, by their names in `noise`."""

    @abstractmethod
    def distribution(self, eta: Any, noise: Noise) -> Any:
        """Return the unnamed PyMC distribution of the observations."""

    @abstractmethod
    def log_likelihood(self, y: np.ndarray, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Return the log density of each observation, shape of `eta`."""

    @abstractmethod
    def cdf(self, y: np.ndarray, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Return Pr(Y <= y), shape of `eta`."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Draw replicated observations, shape of `eta`."""

    @abstractmethod
    def support(
        self, eta: np.ndarray, noise: Noise, *, nodes: int | None = None
    ) -> Iterator[tuple[Any, Any]]:
        """Yield values and weights whose weighted sum is an expectation over the family.

        Parameters
        ----------
        eta : ndarray, shape (..., unit)
            Linear predictor.
        noise : mapping of str to ndarray broadcastable to `eta`
            The family's other parameters.
        nodes : int, optional
            Number of values of a gaussian, where its default is more than is needed.

        Yields
        ------
        value, weight : arrays broadcastable to `eta`
        """

    @abstractmethod
    def variance(self, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Return the variance of observations, arrays as in :meth:`support`."""

    def mean_exponential(self, slope: np.ndarray, eta: np.ndarray, noise: Noise) -> np.ndarray:
        """Return E[exp(slope Y)] in closed form, arrays as in :meth:`support`.

        Raises
        ------
        UnsupportedError
            If it is infinite: such a mediator has no expected outcome under a log link.
        """
        raise UnsupportedError(
            f"with a {self.name} mediator and a log link the expected outcome is infinite; use "
            "a gaussian, bernoulli or poisson mediator, or an outcome family without log link."
        )


def needed(noise: Noise, name: str, family: Family) -> Any:
    """Return a noise parameter.

    Raises
    ------
    SpecError
        If it was not given.
    """
    if name not in noise:
        raise SpecError(f"family {family.name!r} needs {name}, got {sorted(noise) or 'nothing'}.")
    return noise[name]


def check_counts(y: np.ndarray, what: str) -> None:
    """Accept only whole numbers from 0 up.

    Raises
    ------
    DataError
        Saying how many values are negative or fractional.
    """
    if (y < 0).any():
        raise DataError(
            f"{what}: a count cannot be negative, got {int((y < 0).sum())} negative values "
            f"(smallest {y.min():g}). Use family='gaussian', or correct the column."
        )
    if (y != np.round(y)).any():
        bad = y[y != np.round(y)]
        raise DataError(
            f"{what}: a count must be whole, got {bad.size} fractional values (e.g. "
            f"{bad[0]:g}). Use family='gaussian', or model the count before dividing it."
        )
