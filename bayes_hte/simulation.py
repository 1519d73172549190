"""Data-generating processes with known individual effects; each takes a generator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import special

# Enough nodes that the truth is exact to ten digits for the slopes used here.
NODES = 64


@dataclass(frozen=True)
class SimulatedMediation:
    """A simulated mediation study with its truth.

    Attributes
    ----------
    frame : DataFrame, shape (unit, 6)
        ``y``, ``treat`` (0/1, half each), ``m``, covariates ``x1``, ``x2``, ``x3``.
    effects : DataFrame, shape (unit, 5)
        True ``te``, ``tnie``, ``pnde``, ``pnie``, ``tnde`` of each unit's covariates, on the
        response scale.
    plug_in_tnie : ndarray, shape (unit,)
        What plugging the mean of the mediator into the outcome would give for ``tnie``.
    """

    frame: pd.DataFrame
    effects: pd.DataFrame
    plug_in_tnie: np.ndarray


def simulate_mediation(
    rng: np.random.Generator,
    *,
    n: int,
    family: Literal["gaussian", "bernoulli"] = "gaussian",
    noise: float = 1.0,
) -> SimulatedMediation:
    """Simulate a randomised study with a gaussian mediator and effects that vary.

    ``M = 0.5 x2 + (0.5 + 1[x1 > 0]) t + noise e``; the linear predictor of the outcome is
    ``0.3 x2 + 0.4 t + (1 + 0.3 t) M`` (for a binary outcome 1.5 times that, on the logit scale),
    with unit normal noise if it is gaussian. x3 does nothing.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    n : int
        Number of units.
    family : {"gaussian", "bernoulli"}
        Outcome; the binary one makes the outcome nonlinear in the mediator.
    noise : float, default 1
        Standard deviation of the mediator given covariates and arm.

    Returns
    -------
    SimulatedMediation
    """
    x = rng.normal(size=(n, 3))
    arm = rng.permutation(np.arange(n) % 2)
    steepness = 1.5 if family == "bernoulli" else 1.0

    def mediator_mean(t: np.ndarray | int) -> np.ndarray:
        return 0.5 * x[:, 1] + (0.5 + (x[:, 0] > 0)) * t

    def predictor(t: np.ndarray | int, m: np.ndarray) -> np.ndarray:
        return steepness * (0.3 * x[:, 1] + 0.4 * t + (1 + 0.3 * t) * m)

    def response(eta: np.ndarray) -> np.ndarray:
        return special.expit(eta) if family == "bernoulli" else eta

    def expected(t: int, other: int) -> np.ndarray:
        nodes, weights = special.roots_hermitenorm(NODES)
        values = [response(predictor(t, mediator_mean(other) + noise * z)) for z in nodes]
        return np.average(values, axis=0, weights=weights)

    m = mediator_mean(arm) + noise * rng.normal(size=n)
    eta = predictor(arm, m)
    y = rng.random(n) < special.expit(eta) if family == "bernoulli" else eta + rng.normal(size=n)
    mu = {(t, other): expected(t, other) for t in (0, 1) for other in (0, 1)}
    effects = pd.DataFrame(
        {
            "te": mu[1, 1] - mu[0, 0],
            "tnie": mu[1, 1] - mu[1, 0],
            "pnde": mu[1, 0] - mu[0, 0],
            "pnie": mu[0, 1] - mu[0, 0],
            "tnde": mu[1, 1] - mu[0, 1],
        }
    )
    plug_in = response(predictor(1, mediator_mean(1))) - response(predictor(1, mediator_mean(0)))
    frame = pd.DataFrame({"y": y.astype(float), "treat": arm, "m": m})
    return SimulatedMediation(frame.assign(x1=x[:, 0], x2=x[:, 1], x3=x[:, 2]), effects, plug_in)
