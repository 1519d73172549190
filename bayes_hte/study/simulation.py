"""Data-generating processes with known individual effects; each takes a generator.

References
----------
Li, X., Liu, Y., Jiang, Z., Xia, L., Hobbs, B. P., Wei, P. (2025). M-learner: a flexible and
powerful framework to study heterogeneous treatment effect in mediation model. arXiv:2505.17917
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import special

from bayes_hte.errors import SpecError, unknown_name

# Enough nodes that the truth is exact to ten digits for the slopes used here.
NODES = 64
N_COVARIATES = 10


@dataclass(frozen=True)
class Scenario:
    """One of the published scenarios of subgroups; see :func:`simulate_scenario`.

    Attributes
    ----------
    on_mediator : {"none", "all", "subgroup"} or None
        Effect of the treatment on the mediator: zero, 1 for everybody, or ``x1 + x2`` in S; None
        where there is no mediator.
    direct : {"none", "all", "subgroup"}
        Effect of the treatment on the outcome that bypasses the mediator, likewise.
    slope : float
        Slope of the outcome in the mediator.
    logistic : bool
        Whether the outcome is ``1 / (1 + exp(L))`` rather than L.
    prognostic : float
        Slope in ``x1 + x2`` of the mediator, or of the outcome where there is none.
    """

    on_mediator: str | None
    direct: str
    slope: float = 1.0
    logistic: bool = False
    prognostic: float = 0.5

    @property
    def mediated(self) -> bool:
        """Whether there is a mediator."""
        return self.on_mediator is not None

    @property
    def heterogeneous(self) -> bool:
        """Whether the indirect effect (without mediator, the total one) is higher in S."""
        return (self.on_mediator if self.mediated else self.direct) == "subgroup"


SCENARIOS: dict[str, Scenario] = {
    "simple_all": Scenario("subgroup", "none"),
    "simple_part": Scenario("subgroup", "subgroup"),
    "complex_all": Scenario("subgroup", "none", logistic=True),
    "complex_part": Scenario("subgroup", "subgroup", logistic=True),
    "null_1": Scenario("none", "subgroup"),
    "null_2": Scenario("none", "subgroup", slope=0.0),
    "global": Scenario("all", "none"),
    "total_simple": Scenario(None, "subgroup"),
    "total_complex": Scenario(None, "subgroup", logistic=True),
    "total_global": Scenario(None, "all", prognostic=0.0),
    "total_null": Scenario(None, "none"),
}


@dataclass(frozen=True)
class SimulatedTrial:
    """A simulated trial of a scenario with its truth.

    Attributes
    ----------
    frame : DataFrame, shape (unit, 12 or 13)
        ``y``, ``treat`` (0/1, half each), ``m`` if there is a mediator, ``x1`` to ``x10``.
    effects : DataFrame, shape (unit, 5 or 1)
        True effects of each unit's covariates, on the response scale: ``te``, and with a mediator
        ``tnie``, ``pnde``, ``pnie``, ``tnde``.
    in_subgroup : ndarray of bool, shape (unit,)
        Whether the unit is in S, x1 and x2 both positive.
    """

    frame: pd.DataFrame
    effects: pd.DataFrame
    in_subgroup: np.ndarray

    @property
    def covariates(self) -> list[str]:
        """Names of the covariates."""
        return [c for c in self.frame.columns if c.startswith("x")]


def simulate_scenario(
    name: str, rng: np.random.Generator, *, n: int = 1000, noise: float = 0.5
) -> SimulatedTrial:
    """Simulate a trial in which the effect is higher in a quarter of the units, or in none.

    Covariates x1, ..., x10 are standard normal, S is where x1 and x2 are positive and
    ``g = x1 + x2``. With a mediator (names without ``total_``)::

        M = x3 + x4 + 0.5 g + a(x) W + noise e1
        L = 1 + b M + 0.5 (x3 + x4) + d(x) W + noise e2

    with (a, b, d) = (g in S, 1, 0) in ``simple_all``, (g in S, 1, g in S) in ``simple_part``,
    (0, 1, g in S) in ``null_1``, (0, 0, g in S) in ``null_2``, (1, 1, 0) in ``global``; without
    one ``L = 1 + x3 + x4 + 0.5 g + d(x) W + noise e2`` with d = g in S in ``total_simple``, 0 in
    ``total_null``, and 1 (and no term in g) in ``total_global``. The outcome is L; in the
    ``complex`` ones, which have the a, b, d of the ``simple`` ones, it is ``1 / (1 + exp(L))``. The
    noise of the outcome is inside L, so there the true effects are expectations over both noises,
    by Gauss-Hermite quadrature; a *higher* L then means a lower outcome, and effects in S are
    negative.

    Parameters
    ----------
    name : str
        A key of ``SCENARIOS`` (in this module).
    rng : numpy.random.Generator
        Source of randomness.
    n : int, default 1000
        Number of units, at least 2; half of them (rounded down) are treated.
    noise : float, default 0.5
        Standard deviation of the noise of mediator and outcome, 0 or more. The paper has 0.01.

    Returns
    -------
    SimulatedTrial

    Raises
    ------
    SpecError
        If the name is unknown, or `n` or `noise` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import bayes_hte as hte
    >>> trial = hte.simulate_scenario("total_simple", np.random.default_rng(1), n=400)
    >>> trial.effects["te"].groupby(trial.in_subgroup).mean().round(1).tolist()
    [0.0, 1.5]
    """
    if name not in SCENARIOS:
        raise unknown_name("scenario", name, SCENARIOS)
    if n < 2 or not 0 <= noise < np.inf:
        raise SpecError(
            f"a trial needs n of at least 2 and noise of 0 or more, got n={n}, noise={noise}."
        )
    scenario = SCENARIOS[name]
    x = rng.normal(size=(n, N_COVARIATES))
    arm = rng.permutation(np.arange(n) % 2)
    means = _ScenarioMeans.of(scenario, x)
    m = means.mediator(arm) + noise * rng.normal(size=n)
    predictor = means.predictor(arm, m) + noise * rng.normal(size=n)
    columns = {"y": special.expit(-predictor) if scenario.logistic else predictor, "treat": arm}
    if scenario.mediated:
        columns["m"] = m
    columns |= {f"x{j + 1}": x[:, j] for j in range(N_COVARIATES)}
    return SimulatedTrial(pd.DataFrame(columns), _scenario_truth(means, noise), means.inside)


@dataclass(frozen=True)
class _ScenarioMeans:
    """Means of mediator and linear predictor given covariates, all arrays of shape (unit,)."""

    scenario: Scenario
    inside: np.ndarray
    on_mediator: np.ndarray
    direct: np.ndarray
    mediator_base: np.ndarray
    base: np.ndarray

    @classmethod
    def of(cls, scenario: Scenario, x: np.ndarray) -> _ScenarioMeans:
        g, others = x[:, 0] + x[:, 1], x[:, 2] + x[:, 3]
        inside = (x[:, 0] > 0) & (x[:, 1] > 0)
        kinds = {"none": np.zeros(len(x)), "all": np.ones(len(x)), "subgroup": g * inside}
        shared = others + scenario.prognostic * g
        return cls(
            scenario=scenario,
            inside=inside,
            on_mediator=kinds[scenario.on_mediator or "none"],
            direct=kinds[scenario.direct],
            mediator_base=shared,
            base=1 + (0.5 * others if scenario.mediated else shared),
        )

    def mediator(self, arm: np.ndarray | int) -> np.ndarray:
        return self.mediator_base + self.on_mediator * arm

    def predictor(self, arm: np.ndarray | int, m: np.ndarray) -> np.ndarray:
        through = self.scenario.slope * m if self.scenario.mediated else 0.0
        return self.base + through + self.direct * arm


def _scenario_truth(means: _ScenarioMeans, noise: float) -> pd.DataFrame:
    """Return the true effects, expectations over the noises of mediator and outcome."""
    scenario = means.scenario
    spread = noise * (np.hypot(scenario.slope, 1.0) if scenario.mediated else 1.0)
    nodes, weights = special.roots_hermitenorm(NODES)

    def expected(arm: int, mediator_arm: int) -> np.ndarray:
        center = means.predictor(arm, means.mediator(mediator_arm))
        if not scenario.logistic:
            return center
        values = special.expit(-(center + spread * nodes[:, np.newaxis]))
        return np.average(values, axis=0, weights=weights)

    if not scenario.mediated:
        return pd.DataFrame({"te": expected(1, 0) - expected(0, 0)})
    return _natural_effects({(t, other): expected(t, other) for t in (0, 1) for other in (0, 1)})


def _natural_effects(mu: dict[tuple[int, int], np.ndarray]) -> pd.DataFrame:
    """Return the natural effects from expected outcomes by (arm, mediator arm)."""
    return pd.DataFrame(
        {
            "te": mu[1, 1] - mu[0, 0],
            "tnie": mu[1, 1] - mu[1, 0],
            "pnde": mu[1, 0] - mu[0, 0],
            "pnie": mu[0, 1] - mu[0, 0],
            "tnde": mu[1, 1] - mu[0, 1],
        }
    )


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

    Examples
    --------
    >>> import numpy as np
    >>> import bayes_hte as hte
    >>> study = hte.simulate_mediation(np.random.default_rng(1), n=400)
    >>> study.effects[["te", "tnie", "pnde"]].mean().round(1).tolist()
    [1.7, 1.3, 0.4]
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
    effects = _natural_effects(mu)
    plug_in = response(predictor(1, mediator_mean(1))) - response(predictor(1, mediator_mean(0)))
    frame = pd.DataFrame({"y": y.astype(float), "treat": arm, "m": m})
    return SimulatedMediation(frame.assign(x1=x[:, 0], x2=x[:, 1], x3=x[:, 2]), effects, plug_in)
