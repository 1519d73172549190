"""The part of the direct sampler that draws a family's parameters other than the mean.

Each is drawn by slice steps on a scale without bounds, from the likelihood of the column given its
linear predictor: the augmentation of the working model is integrated out, so that the parameters
move as far as the data let them. Scales that differ between units are moved along the principal
axes of an approximate posterior of log sigma and the slopes, in units of its standard deviations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from bayes_hte.components.component import Component
from bayes_hte.components.families.continuous import NU_LOWER, NU_RATE, NU_SHAPE, SIGMA_DF
from bayes_hte.components.families.discrete import OVERDISPERSION_SCALE
from bayes_hte.components.noise import slope_sd, spread_columns
from bayes_hte.fitting.gibbs.compiled_noise import (
    update_degrees,
    update_overdispersion,
    update_scales,
)
from bayes_hte.fitting.gibbs.compiled_times import COMPILED_LAWS, update_time_scales
from bayes_hte.study.time_to_event import Censoring
from bayes_hte.surfaces.error_laws import LAWS
from bayes_hte.surfaces.forest.time_models import completed, inside_intervals

# Rounds of sigma and the degrees of freedom, which a heavy tail and a large scale can trade for.
ROUNDS = 2
# Information of one row on the log of its scale: of a gaussian; of a t with 6 df two thirds of it.
INFORMATION = 2.0
# Starts: factors of typical values, on the log scale.
SPREAD_LOG = 0.4
TYPICAL_SIGMA, TYPICAL_DEGREES, TYPICAL_OVERDISPERSION = 0.75, 8.0, 0.4


class NoisePart(Protocol):
    """A family's parameters in one chain; made by :func:`noise_part`."""

    def values(self) -> Mapping[str, float | np.ndarray]:
        """Return what the working model needs; ``sigma`` of shape (row,) where it varies."""

    def update(self, y: np.ndarray, eta: np.ndarray, rng: np.random.Generator) -> None:
        """Draw the parameters given the column and its linear predictor, each of shape (row,)."""

    def record(self) -> dict[str, float | np.ndarray]:
        """Return the current values, by the names of the PyMC model's variables."""


class NoNoise:
    """Families whose distribution follows from the mean."""

    def values(self) -> Mapping[str, float | np.ndarray]:
        """Return nothing."""
        return {}

    def update(self, y: np.ndarray, eta: np.ndarray, rng: np.random.Generator) -> None:
        """Do nothing."""

    def record(self) -> dict[str, float | np.ndarray]:
        """Return nothing."""
        return {}


class Scale:
    """``sigma`` and its slopes, of a gaussian or (with ``nu``) of a Student-t column.

    Parameters
    ----------
    component : Component
        The component.
    rng : numpy.random.Generator
        Draws the start.
    """

    def __init__(self, component: Component, rng: np.random.Generator) -> None:
        self._role = component.role
        self._varies = component.noise_model != "constant"
        self._rows = component.informing
        self._scale = float(component.family.latent_sd(component.y[self._rows]))
        self._every, self._slope_sd = _spread(component)
        z = self._every[self._rows]
        self._directions = _principal_axes(z, self._slope_sd)
        self._along = self._directions @ z.T
        start = TYPICAL_SIGMA * np.exp(SPREAD_LOG * rng.normal())
        slopes = self._slope_sd * rng.normal(size=self._slope_sd.size) / 2
        # The slopes leave the scale of a typical row alone.
        middle = z[:, 1:].mean(axis=0) @ slopes
        self._theta = np.concatenate([[np.log(start * self._scale) - middle], slopes])
        self._log_sigma = z @ self._theta
        self._heavy = "nu" in component.family.noise
        rest = TYPICAL_DEGREES * np.exp(SPREAD_LOG * rng.normal())
        self._nu = NU_LOWER + rest if self._heavy else 0.0

    def values(self) -> Mapping[str, float | np.ndarray]:
        """Return ``sigma``, of shape (row,) where it varies, and perhaps ``nu``."""
        rows = self._every @ self._theta if self._varies else self._theta[0]
        sigma = np.exp(rows) if self._varies else float(np.exp(rows))
        return {"sigma": sigma, "nu": self._nu} if self._heavy else {"sigma": sigma}

    def update(self, y: np.ndarray, eta: np.ndarray, rng: np.random.Generator) -> None:
        """Draw sigma, its slopes and ``nu``."""
        residual = np.ascontiguousarray((y - eta)[self._rows], dtype=np.float64)
        self._rounds(residual, rng)

    def _rounds(self, residual: np.ndarray, rng: np.random.Generator) -> None:
        """Draw the parameters given residuals of the rows that inform, shape (informing,)."""
        for _ in range(ROUNDS if self._heavy else 1):
            update_scales(
                self._theta,
                self._directions,
                self._along,
                self._log_sigma,
                residual,
                self._nu,
                self._scale,
                float(SIGMA_DF),
                self._slope_sd,
                rng,
            )
            if self._heavy:
                squares = (residual / np.exp(self._log_sigma)) ** 2
                self._nu = update_degrees(self._nu, squares, NU_SHAPE, NU_RATE, NU_LOWER, rng)

    def record(self) -> dict[str, float | np.ndarray]:
        """Return ``sigma``, perhaps ``log_spread`` and ``nu``, by their names in the model."""
        record: dict[str, float | np.ndarray] = {
            f"{self._role}_sigma": float(np.exp(self._theta[0]))
        }
        if self._varies:
            record[f"{self._role}_log_spread"] = self._theta[1:].copy()
        if self._heavy:
            record[f"{self._role}_nu"] = self._nu
        return record


class TimeScale(Scale):
    """``sigma`` and its slopes, and perhaps ``nu``, of log times to an event.

    The likelihood is that of censored times, so that no log time need be drawn; only of a Student-t
    they are, whose probability of surviving is slow to compute.
    """

    def __init__(self, component: Component, rng: np.random.Generator) -> None:
        super().__init__(component, rng)
        known = component.censoring
        rows = component.design.n_rows
        known = Censoring(np.ones(rows, dtype=bool)) if known is None else known
        known = known.among(self._rows)
        self._event, self._law, self._known = known.event, LAWS[component.family.name], known
        entry = np.zeros(known.event.size) if known.entry is None else known.entry
        with np.errstate(divide="ignore"):
            self._log_entry = np.log(entry)

    def update(self, y: np.ndarray, eta: np.ndarray, rng: np.random.Generator) -> None:
        """Draw sigma, its slopes and ``nu``, given times ``y``."""
        log_time, eta = np.log(y[self._rows]), eta[self._rows]
        if self._heavy:
            sigma = np.exp(self._log_sigma)
            given = (eta, sigma, self._nu)
            log_time = inside_intervals(self._law, log_time, *given, self._known, rng)
            residual = completed(self._law, log_time, self._event, *given, rng)
            # Of the log times that were drawn.
            self._rounds(residual, rng)
            return
        last = np.full(log_time.shape, -np.inf)
        if (inside := self._known.within) is not None:
            low, high = self._known.log_ends(log_time)
            log_time, last = np.where(inside, low, log_time), np.where(inside, high - eta, last)
        update_time_scales(
            self._theta,
            self._directions,
            self._along,
            self._log_sigma,
            log_time - eta,
            last,
            self._event,
            self._log_entry - eta,
            COMPILED_LAWS[self._law.name],
            self._scale,
            float(SIGMA_DF),
            self._slope_sd,
            rng,
        )


class Overdispersion:
    """``1/sqrt(size)`` of a negative binomial column.

    Parameters
    ----------
    component : Component
        The component.
    rng : numpy.random.Generator
        Draws the start.
    """

    def __init__(self, component: Component, rng: np.random.Generator) -> None:
        self._role, self._rows = component.role, component.informing
        self._value = TYPICAL_OVERDISPERSION * float(np.exp(SPREAD_LOG * rng.normal()))

    def values(self) -> Mapping[str, float | np.ndarray]:
        """Return ``size``."""
        return {"size": self._value**-2}

    def update(self, y: np.ndarray, eta: np.ndarray, rng: np.random.Generator) -> None:
        """Draw the overdispersion."""
        y = np.ascontiguousarray(y[self._rows], dtype=np.float64)
        mean = np.ascontiguousarray(np.exp(eta[self._rows]), dtype=np.float64)
        self._value = update_overdispersion(self._value, y, mean, OVERDISPERSION_SCALE, rng)

    def record(self) -> dict[str, float | np.ndarray]:
        """Return the overdispersion and ``size``, by their names in the model."""
        names = (f"{self._role}_overdispersion", f"{self._role}_size")
        return dict(zip(names, (self._value, self._value**-2), strict=True))


def noise_part(component: Component, rng: np.random.Generator) -> NoisePart:
    """Build the part of a component's noise parameters, for one chain.

    Parameters
    ----------
    component : Component
        The component.
    rng : numpy.random.Generator
        Draws the start: within a factor of about 1.5 of typical values.

    Returns
    -------
    NoisePart
    """
    if component.family.times:
        return TimeScale(component, rng)
    if component.family.has_scale:
        return Scale(component, rng)
    if component.family.noise:
        return Overdispersion(component, rng)
    return NoNoise()


def _spread(component: Component) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns of the log scale, a 1 first, and the prior sd of their slopes."""
    one = np.ones((component.design.n_rows, 1))
    if component.noise_model == "constant":
        return one, np.zeros(0)
    columns = spread_columns(component.design, component.noise_model)
    return np.hstack([one, columns.to_numpy()]), slope_sd(columns).astype(np.float64)


def _principal_axes(z: np.ndarray, slope_sd: np.ndarray) -> np.ndarray:
    """Return directions of nearly independent steps of size 1, shape (parameter, parameter)."""
    precision = INFORMATION * z.T @ z
    precision[1:, 1:] += np.diag(slope_sd**-2.0)
    size, axes = np.linalg.eigh(precision)
    return np.ascontiguousarray((axes / np.sqrt(size)).T)
