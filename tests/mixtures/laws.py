"""Rows and laws of mixtures, and the probability of a row by hand, for tests of the likelihood."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit

from bayes_hte.components.families import get_family
from bayes_hte.mixtures import MixtureData, MixtureDesign, mixture_arrays
from bayes_hte.mixtures.likelihood.law import ClassLaw, Patterns

NOISE = {"sigma": (0.5, 2), "nu": (3, 9), "size": (0.5, 3)}
DENSITY = {
    "bernoulli": lambda y, eta: expit(eta) if y == 1 else 1 - expit(eta),
    "gaussian": lambda y, eta, sigma: stats.norm.pdf(y, eta, sigma),
    "student_t": lambda y, eta, sigma, nu: stats.t.pdf(y, nu, eta, sigma),
    "poisson": lambda y, eta: stats.poisson.pmf(y, np.exp(eta)),
    "negative_binomial": lambda y, eta, size: stats.nbinom.pmf(
        y, size, size / (size + np.exp(eta))
    ),
}


def arrays(frame: pd.DataFrame, outcome: np.ndarray | pd.Series | None = None) -> MixtureData:
    """The data of a frame of a design."""
    y = frame["y"] if outcome is None else outcome
    return mixture_arrays(frame["z"], frame["x"], frame["t"], y)


def some_rows(family: str, n: int = 70, seed: int = 8) -> tuple[np.ndarray, ...]:
    """Levels of z (three) and x (two), arms and outcomes without any law."""
    rng = np.random.default_rng(seed)
    z, x, t = rng.integers(3, size=n), rng.integers(2, size=n), rng.integers(2, size=n)
    y = {"bernoulli": rng.integers(2, size=n), "gaussian": rng.normal(size=n).round(1)}
    return z, x, t, y.get(family, rng.poisson(3, size=n))


def some_covariates(n: int = 70, seed: int = 4) -> pd.DataFrame:
    """Two covariates of the class."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"age": rng.normal(size=n).round(1), "ward": rng.integers(2, size=n)})


def random_law(rng, k, dz, dx, level, family, draws=(), covariates=0) -> ClassLaw:
    """A law drawn at random."""
    return ClassLaw(
        level=level,
        probabilities=rng.dirichlet(np.ones(k), size=draws),
        z_given_class=rng.dirichlet(np.ones(dz), size=(*draws, k)),
        x_given_class=rng.dirichlet(np.ones(dx), size=(*draws, k)),
        treatment_logit=rng.normal(size=(*draws, k, 1 if level == 2 else dz)),
        outcome_predictor=rng.normal(size=(*draws, k, dx if level == 4 else 1, 2)),
        noise={name: rng.uniform(*NOISE[name], size=draws) for name in get_family(family).noise},
        class_slopes=rng.normal(size=(*draws, covariates, k)) if covariates else None,
    )


def joint_by_hand(law: ClassLaw, row: tuple, family: str) -> np.ndarray:
    """P(u, z, x, t, y | w) of one row for every class."""
    z, x, t, y, *w = row
    found = []
    classes = law.probabilities * np.exp(w @ law.class_slopes if w else 0)
    classes = classes / classes.sum()
    for u in range(len(law.probabilities)):
        treated = expit(law.treatment_logit[u, 0 if law.level == 2 else z])
        mean = law.outcome_predictor[u, x if law.level == 4 else 0, t]
        outcome = DENSITY[family](y, mean, **law.noise)
        proxies = classes[u] * law.z_given_class[u, z] * law.x_given_class[u, x]
        found.append(proxies * (treated if t == 1 else 1 - treated) * outcome)
    return np.array(found)


def expected_rows(design: MixtureDesign, n: float = 1e6) -> tuple[MixtureData, Patterns]:
    """Every row of a design, with as many units as `n` would have in expectation."""
    z, x, t, y = (part.ravel() for part in np.indices(design.cell_law.shape))
    count = n * design.cell_law.ravel()
    patterns = Patterns(z, x, t, y.astype(float), count, np.arange(count.size))
    return mixture_arrays(z, x, t, y), patterns
