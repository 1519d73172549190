"""The g-formula of two mediators: potential outcomes in which each follows an arm of its own.

The second mediator is modelled given the first, so that both models together are a joint
distribution, and three arrays follow from it, each E[Y(t, M1, M2) | x] with

- joint: M1 and M2 both as under one arm. Their natural effects are those through both together;
  the order in which the mediators are modelled plays no part.
- independent: M1 as under arm a and M2 as under arm b, each drawn by itself given covariates. Of
  these are interventional effects made (:mod:`bayes_hte.effects.interventional`).
- along the order: M1 as under arm a, and M2 as under arm b at this very value of M1. Of these are
  effects along paths made, which exist only if the first mediator comes before the second.

For each posterior draw the mediators are integrated out: in closed form for an outcome with an
identity link and mediators that are linear in one another, else by Gauss-Hermite nodes of the first
mediator (an exact sum if it is binary or a count) around the g-formula of the second.

References
----------
Vansteelandt, S., Daniel, R. M. (2017). Interventional effects for mediation analysis with multiple
mediators. Epidemiology 28, 258-265. doi:10.1097/EDE.0000000000000596
VanderWeele, T. J., Vansteelandt, S. (2014). Mediation analysis with multiple mediators.
Epidemiologic Methods 2, 95-115. doi:10.1515/em-2012-0010
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Literal

import numpy as np
import xarray as xr

from bayes_hte.components.families import Family, Noise
from bayes_hte.components.families.base import NO_NOISE
from bayes_hte.components.predictor import LinearPredictor
from bayes_hte.errors import DataError
from bayes_hte.fitting.mediation import expected_outcome, noise_in_arm
from bayes_hte.names import FIRST_ARM, MEDIATOR_ARM, SECOND_ARM
from bayes_hte.study.time_to_event import Estimand

# Nodes of each continuous mediator around a nonlinear outcome. Largest error of the mean of a
# logistic outcome where slope times sd of each mediator is 1: 2e-5; where it is 2: 4e-4.
NODES = 16

# A share of a distribution: its weight, and linear predictor and other parameters of a family.
Law = tuple[np.ndarray | float, np.ndarray, Noise]
Relation = Literal["independent", "along the order"]


@dataclass(frozen=True)
class TwoMediators:
    """Draws of the models of two mediators and of the outcome, paired by index.

    Attributes
    ----------
    outcome : LinearPredictor
        With slopes of both mediators.
    outcome_family : Family
        Family of the outcome.
    first, second : LinearPredictor
        Of the mediators; the second has a slope of the first.
    families : (Family, Family)
        Families of the mediators.
    noise : (mapping, mapping)
        Their other parameters, each of shape (chain, draw, 1).
    expected : ndarray, shape (mediator, unit, arm)
        Expected mediators that the linear predictors subtract.
    outcome_noise : mapping of str to ndarray, shape (chain, draw, unit or 1, arm or 1)
        The outcome family's other parameters, where its mean depends on them.
    estimand : Estimand or None
        The scale of outcomes that are times to an event.
    """

    outcome: LinearPredictor
    outcome_family: Family
    first: LinearPredictor
    second: LinearPredictor
    families: tuple[Family, Family]
    noise: tuple[Noise, Noise]
    expected: np.ndarray
    outcome_noise: Noise = field(default_factory=lambda: NO_NOISE)
    estimand: Estimand | None = None

    def __post_init__(self) -> None:
        if self.outcome.slope is None or self.outcome.second is None or self.second.slope is None:
            raise DataError("these models lack slopes of a mediator; nothing to integrate.")
        shapes = {p.base.shape for p in (self.outcome, self.first, self.second)}
        if len(shapes) > 1:
            raise DataError(
                f"draws of the three models have shapes {sorted(shapes)}; they need the same "
                "chains, draws and units to be paired."
            )

    @property
    def n_arms(self) -> int:
        """Arms of the study."""
        return self.outcome.base.shape[-1]

    def eta_first(self, arm: int) -> np.ndarray:
        """Linear predictor of the first mediator under an arm, shape (chain, draw, unit)."""
        return self.first.base.to_numpy()[..., arm]

    def eta_second(self, arm: int, first: np.ndarray) -> np.ndarray:
        """Linear predictor of the second under an arm at values of the first."""
        slope = self.second.slope.to_numpy()[..., arm]
        return self.second.base.to_numpy()[..., arm] + slope * (first - self.expected[0][:, arm])

    def values_of_first(self, arm: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield values of the first mediator under an arm with their weights."""
        return self.families[0].support(self.eta_first(arm), self.noise[0], nodes=NODES)

    def at_first(self, arm: int, first: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return intercept and slope of the outcome in the second mediator, at a first value."""
        away = first - self.expected[0][:, arm]
        slope = self.outcome.second.to_numpy()[..., arm]
        if self.outcome.product is not None:
            slope = slope + self.outcome.product.to_numpy()[..., arm] * away
        moved = self.outcome.base.to_numpy()[..., arm]
        moved = moved + self.outcome.slope.to_numpy()[..., arm] * away
        return moved - slope * self.expected[1][:, arm], slope


def joint_outcomes(models: TwoMediators) -> xr.DataArray:
    """Return potential outcomes with both mediators as under one arm.

    Parameters
    ----------
    models : TwoMediators

    Returns
    -------
    DataArray, dims (chain, draw, unit, arm, mediator_arm)
        Expected outcomes on the response scale.
    """
    arms = range(models.n_arms)
    cells = [[_along(models, t, m, m) for m in arms] for t in arms]
    values = np.stack([np.stack(row, axis=-1) for row in cells], axis=-2)
    return _labelled(models, values, (MEDIATOR_ARM,))


def separate_outcomes(models: TwoMediators, *, relation: Relation) -> xr.DataArray:
    """Return potential outcomes with each mediator as under an arm of its own.

    Parameters
    ----------
    models : TwoMediators
    relation : {"independent", "along the order"}
        Whether the mediators are drawn by themselves given covariates, or the second at the value
        of the first.

    Returns
    -------
    DataArray, dims (chain, draw, unit, arm, first_arm, second_arm)
        Expected outcomes on the response scale.
    """
    n = models.n_arms
    cell = _along if relation == "along the order" else _apart
    values = np.empty((*models.outcome.base.shape, n, n))
    for t, a, b in product(range(n), repeat=3):
        values[..., t, a, b] = cell(models, t, a, b)
    return _labelled(models, values, (FIRST_ARM, SECOND_ARM))


def own_outcomes(models: TwoMediators) -> xr.DataArray:
    """Return potential outcomes with both mediators as under the arm that is given.

    Parameters
    ----------
    models : TwoMediators

    Returns
    -------
    DataArray, dims (chain, draw, unit, arm)
        Expected outcomes on the response scale.
    """
    cells = [_along(models, t, t, t) for t in range(models.n_arms)]
    return _labelled(models, np.stack(cells, axis=-1), ())


def outcomes_at_second(models: TwoMediators, value: float) -> xr.DataArray:
    """Return potential outcomes with the second mediator held, and the first as under the arm.

    Parameters
    ----------
    models : TwoMediators
    value : float
        The value of the second mediator.

    Returns
    -------
    DataArray, dims (chain, draw, unit, arm)
        With the value in its attribute ``mediator_value``.
    """
    cells = []
    for t in range(models.n_arms):
        outcome, away = models.outcome, value - models.expected[1][:, t]
        slope = outcome.slope.to_numpy()[..., t]
        if outcome.product is not None:
            slope = slope + outcome.product.to_numpy()[..., t] * away
        intercept = outcome.base.to_numpy()[..., t] + outcome.second.to_numpy()[..., t] * away
        intercept = intercept - slope * models.expected[0][:, t]
        law = (models.eta_first(t), models.families[0], models.noise[0])
        how = {
            "outcome_noise": noise_in_arm(models.outcome_noise, t),
            "estimand": models.estimand,
        }
        cells.append(expected_outcome(intercept, slope, models.outcome_family, *law, **how))
    held = _labelled(models, np.stack(cells, axis=-1), ())
    return held.assign_attrs(mediator_value=value)


def mean_of_second(models: TwoMediators, arm: int) -> np.ndarray:
    """Return the mean of the second mediator under an arm, the first integrated out.

    Parameters
    ----------
    models : TwoMediators
    arm : int

    Returns
    -------
    ndarray, shape (chain, draw, unit)
    """
    return marginal_mean(
        models.first, models.second, models.families, models.noise, models.expected[0], arm
    )


def marginal_mean(
    first: LinearPredictor,
    second: LinearPredictor,
    families: tuple[Family, Family],
    noise: tuple[Noise, Noise],
    expected: np.ndarray,
    arm: int,
) -> np.ndarray:
    """Return the mean of the second mediator under an arm; see :func:`mean_of_second`.

    Parameters
    ----------
    first, second, families, noise
        As in :class:`TwoMediators`.
    expected : ndarray, shape (unit, arm)
        Expectation of the first mediator.
    arm : int
        The arm.

    Returns
    -------
    ndarray, shape (chain, draw, unit)
    """
    slope, eta = second.slope.to_numpy()[..., arm], first.base.to_numpy()[..., arm]
    intercept = second.base.to_numpy()[..., arm] - slope * expected[:, arm]
    return expected_outcome(intercept, slope, families[1], eta, families[0], noise[0], noise[1])


def _along(models: TwoMediators, t: int, a: int, b: int) -> np.ndarray:
    """E[Y(t, M1(a), M2(b, M1(a)))], shape (chain, draw, unit)."""
    if models.outcome_family.linear_mean:
        return _linear(models, t, a, b, together=True)
    if models.outcome_family.exponential_mean and models.families[1].linear_mean:
        return _log_normal(models, t, a, b)
    total = np.zeros(models.outcome.base.shape[:-1])
    for value, weight in models.values_of_first(a):
        intercept, slope = models.at_first(t, value)
        eta = models.eta_second(b, value)
        total += weight * _over_second(models, t, intercept, slope, eta, models.noise[1])
    return total


def _apart(models: TwoMediators, t: int, a: int, b: int) -> np.ndarray:
    """E[Y(t, M1(a), M2(b))] with M1 and M2 drawn by themselves, shape (chain, draw, unit)."""
    if models.outcome_family.linear_mean:
        return _linear(models, t, a, b, together=False)
    laws = list(_laws_of_second(models, b))
    if models.outcome_family.exponential_mean:
        return _factors(models, t, a, laws)
    total = np.zeros(models.outcome.base.shape[:-1])
    for value, weight in models.values_of_first(a):
        intercept, slope = models.at_first(t, value)
        for share, eta, noise in laws:
            total += weight * share * _over_second(models, t, intercept, slope, eta, noise)
    return total


def _over_second(
    models: TwoMediators,
    t: int,
    intercept: np.ndarray,
    slope: np.ndarray,
    eta: np.ndarray,
    noise: Noise,
) -> np.ndarray:
    """Mean of the outcome in arm t, the second mediator integrated out."""
    own, family = noise_in_arm(models.outcome_noise, t), models.families[1]
    how = {"outcome_noise": own, "estimand": models.estimand, "nodes": NODES}
    return expected_outcome(intercept, slope, models.outcome_family, eta, family, noise, **how)


def _laws_of_second(models: TwoMediators, arm: int) -> Iterator[Law]:
    """Yield the distribution of the second mediator as weighted members of its family."""
    first, second = models.families
    if second.name == "bernoulli":
        yield 1.0, second.link(mean_of_second(models, arm)), models.noise[1]
    elif first.name == "gaussian" and (second.name == "gaussian" or second.normal_predictor):
        slope = models.second.slope.to_numpy()[..., arm]
        own, passed = models.noise[1]["sigma"], slope * models.noise[0]["sigma"]
        eta = models.eta_second(arm, models.eta_first(arm))
        yield 1.0, eta, {"sigma": np.hypot(own, passed)}
    else:
        for value, weight in models.values_of_first(arm):
            yield weight, models.eta_second(arm, value), models.noise[1]


def _linear(models: TwoMediators, t: int, a: int, b: int, *, together: bool) -> np.ndarray:
    """Means of an outcome with an identity link: of both mediators, and of their product."""
    away = models.families[0].mean(models.eta_first(a), models.noise[0])
    away = away - models.expected[0][:, t]
    if together:
        later, covariance = _second_given(models, a, b)
    else:
        later, covariance = mean_of_second(models, b), np.zeros_like(away)
    second_away = later - models.expected[1][:, t]
    mu = models.outcome.base.to_numpy()[..., t]
    mu = mu + models.outcome.slope.to_numpy()[..., t] * away
    mu = mu + models.outcome.second.to_numpy()[..., t] * second_away
    if models.outcome.product is None:
        return mu
    coefficient = models.outcome.product.to_numpy()[..., t]
    return mu + coefficient * (away * second_away + covariance)


def _second_given(models: TwoMediators, a: int, b: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean of M2(b, M1(a)), and its covariance with M1(a)."""
    first, second = models.families
    mean = first.mean(models.eta_first(a), models.noise[0])
    if second.linear_mean:
        slope = models.second.slope.to_numpy()[..., b]
        variance = first.variance(models.eta_first(a), models.noise[0])
        return models.eta_second(b, mean), slope * variance
    later, together = np.zeros_like(mean), np.zeros_like(mean)
    for value, weight in models.values_of_first(a):
        given = weight * second.mean(models.eta_second(b, value), models.noise[1])
        later += given
        together += given * (value - mean)
    return later, together


def _log_normal(models: TwoMediators, t: int, a: int, b: int) -> np.ndarray:
    """Mean of an outcome with a log link and a second mediator that is linear in the first."""
    first, second = models.families
    slope = models.outcome.second.to_numpy()[..., t]
    passed = models.second.slope.to_numpy()[..., b]
    at_zero = np.zeros_like(slope)
    intercept, _ = models.at_first(t, at_zero)
    own = second.mean_exponential(slope, models.eta_second(b, at_zero), models.noise[1])
    total = models.outcome.slope.to_numpy()[..., t] + slope * passed
    first_part = first.mean_exponential(total, models.eta_first(a), models.noise[0])
    return np.exp(intercept) * own * first_part


def _factors(models: TwoMediators, t: int, a: int, laws: list[Law]) -> np.ndarray:
    """Mean of an outcome with a log link: a product, as the mediators are independent."""
    first, second = models.families
    slope = models.outcome.second.to_numpy()[..., t]
    intercept, _ = models.at_first(t, np.zeros_like(slope))
    later = sum(share * second.mean_exponential(slope, eta, n) for share, eta, n in laws)
    own = models.outcome.slope.to_numpy()[..., t]
    return (
        np.exp(intercept)
        * later
        * first.mean_exponential(own, models.eta_first(a), models.noise[0])
    )


def _labelled(models: TwoMediators, values: np.ndarray, further: tuple[str, ...]) -> xr.DataArray:
    base = models.outcome.base
    result = xr.DataArray(values, dims=(*base.dims, *further), coords=base.coords, name="mu")
    return result.assign_attrs(scale="response")
