"""Planted cases of the benchmark of the verdict: data, and what the verdict must say of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

Rng = np.random.Generator
Make = Callable[[Rng], pd.DataFrame]
NAMES = ["x1", "x2", "x3", "x4"]
N = 300


@dataclass(frozen=True)
class Case:
    """A planted case.

    Attributes
    ----------
    make : callable
        Draws its data: covariates, ``t``, ``y``.
    effects : {"equal", "strong", "moderate", "unknown"}
        Whether effects differ.
    sound : bool
        Whether the numbers may be used: False where "do not trust" is right.
    assignment : {"randomised", "observational"} or None
        As declared to the verdict.
    family : str
        Of the outcome.
    covariates : list of str
        Columns that are given as covariates.
    """

    make: Make
    effects: str = "equal"
    sound: bool | None = True
    assignment: str | None = "randomised"
    family: str = "gaussian"
    covariates: list[str] = field(default_factory=lambda: list(NAMES))

    def study(self, trial: int) -> dict[str, Any]:
        """Return the arguments of `Study.from_frame` for a trial."""
        frame = self.make(np.random.default_rng([17, trial]))
        return {"df": frame, "outcome": "y", "treatment": "t", "covariates": self.covariates}


def covariates(rng: Rng, n: int) -> pd.DataFrame:
    """Draw four independent standard normal covariates."""
    return pd.DataFrame(rng.normal(size=(n, 4)), columns=NAMES)


def gaussian(rng: Rng, *, effect: Callable, n: int = N, noise: Callable | None = None):
    """Draw a trial with noise of standard deviation 1 and a prognosis of x1 and x2."""
    frame = covariates(rng, n)
    t = rng.permutation(np.arange(n) % 2)
    e = rng.normal(size=n) if noise is None else noise(rng, n)
    y = 0.5 * frame["x1"] + 0.5 * frame["x2"] + t * effect(frame) + e
    return frame.assign(t=t, y=y)


def binary(rng: Rng, *, low: float, high: float, n: int):
    """Draw a trial of a binary outcome whose risk differences are `low` and `high` by halves."""
    frame = covariates(rng, n)
    t = rng.permutation(np.arange(n) % 2)
    base = 0.35 + 0.08 * np.tanh(frame["x1"])
    risk = base + t * np.where(frame["x3"] > 0, high, low)
    return frame.assign(t=t, y=rng.binomial(1, risk))


def no_overlap(rng: Rng) -> pd.DataFrame:
    """Draw a study in which the sign of x1 all but decides the arm."""
    frame = covariates(rng, N)
    t = rng.binomial(1, 1 / (1 + np.exp(-6 * frame["x1"])))
    return frame.assign(t=t, y=frame["x1"] + 0.5 * t + rng.normal(size=N))


def clusters(rng: Rng) -> pd.DataFrame:
    """Draw five visits each of 60 people, with an intercept of each person that nobody declares."""
    people = covariates(rng, N // 5)
    own, t = rng.normal(size=len(people)), rng.permutation(np.arange(len(people)) % 2)
    rows = np.repeat(np.arange(len(people)), 5)
    frame = people.iloc[rows].reset_index(drop=True)
    y = 0.5 * frame["x1"] + 0.5 * t[rows] + own[rows] + rng.normal(size=N)
    return frame.assign(t=t[rows], y=y)


def hidden_confounder(rng: Rng) -> pd.DataFrame:
    """Draw a study in which something unmeasured moves both arm and outcome; no true effect."""
    frame = covariates(rng, N)
    u = rng.normal(size=N)
    t = rng.binomial(1, 1 / (1 + np.exp(-u - 0.5 * frame["x1"])))
    return frame.assign(t=t, y=0.5 * frame["x1"] + u + rng.normal(size=N))


def post_treatment(rng: Rng) -> pd.DataFrame:
    """Draw a trial with a covariate, x5, that the treatment has moved, and that moves outcomes."""
    frame = gaussian(rng, effect=lambda f: 0.5)
    after = 0.8 * frame["t"] + rng.normal(size=N)
    return frame.assign(x5=after, y=frame["y"] + after)


def heavy(rng: Rng, n: int) -> np.ndarray:
    """Draw noise with two degrees of freedom."""
    return rng.standard_t(2, size=n)


def _by_half(low: float, high: float) -> Callable:
    return lambda f: np.where(f["x3"] > 0, high, low)


CASES: dict[str, Case] = {
    "null": Case(lambda r: gaussian(r, effect=lambda f: 0.0)),
    "constant effect": Case(lambda r: gaussian(r, effect=lambda f: 0.5)),
    "strong, gaussian": Case(lambda r: gaussian(r, effect=lambda f: 0.5 + f["x3"]), "strong"),
    "moderate, gaussian (600)": Case(
        lambda r: gaussian(r, effect=_by_half(0.3, 0.8), n=600), "moderate"
    ),
    "strong, binary (600)": Case(
        lambda r: binary(r, low=-0.15, high=0.4, n=600), "strong", family="bernoulli"
    ),
    "moderate, binary (600)": Case(
        lambda r: binary(r, low=0.0, high=0.25, n=600), "moderate", family="bernoulli"
    ),
    "constant effect, binary": Case(
        lambda r: binary(r, low=0.15, high=0.15, n=N), family="bernoulli"
    ),
    "no overlap": Case(no_overlap, sound=False, assignment="observational"),
    "undeclared clusters": Case(clusters, sound=False),
    "tiny n (30)": Case(lambda r: gaussian(r, effect=lambda f: 0.5, n=30)),
    "heavy tails": Case(lambda r: gaussian(r, effect=lambda f: 0.5, noise=heavy)),
    "hidden confounder, observational": Case(
        hidden_confounder, sound=None, assignment="observational"
    ),
    "hidden confounder, undeclared": Case(hidden_confounder, sound=None, assignment=None),
    "post-treatment covariate": Case(post_treatment, sound=None, covariates=[*NAMES, "x5"]),
}
