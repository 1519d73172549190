"""Two mediators against a published example, on the same data.

The quickstart of the R package CMAverse (https://bs1125.github.io/CMAverse, article "quickstart",
of 2025) simulates 100 units with R's generator and prints its regressions and effects. The data are
drawn here again, number by number, which the printed coefficients confirm.

References
----------
Shi, B., Choirat, C., Coull, B. A., VanderWeele, T. J., Valeri, L. (2021). CMAverse: a suite of
functions for reproducible causal mediation analyses. Epidemiology 32, e20-e22.
doi:10.1097/EDE.0000000000001378
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import expit, ndtri

import bayes_hte as hte

UNITS = 100
# Printed there: the regression of the outcome, and that of the first mediator.
OUTCOME = [-0.429317, 1.305199, 0.762169, 0.691868, -0.197350, 2.389790, 0.127853, -0.001608]
FIRST = [0.003446, 0.828694, -0.984454, 0.892199]
# Its effects, by regressions and imputation.
PUBLISHED = {"te": 1.647278, "tnie": 0.289272, "pnde": 1.358006, "pnie": 0.276953, "tnde": 1.370325}


class RNumbers:
    """Random numbers as R draws them after ``set.seed``: Mersenne-Twister, by inversion."""

    def __init__(self, seed: int) -> None:
        words = []
        for i in range(50 + 625):
            seed = (69069 * seed + 1) % 2**32
            words += [seed] if i >= 50 else []
        self._twister = np.random.MT19937()
        state = self._twister.state
        # R fills the place of the position, too, and then starts a new block.
        state["state"] = {"key": np.array(words[1:], dtype=np.uint32), "pos": 624}
        self._twister.state = state

    def uniform(self, size: int) -> np.ndarray:
        return self._twister.random_raw(size) / 2**32

    def normal(self, size: int) -> np.ndarray:
        coarse, fine = self.uniform(2 * size).reshape(size, 2).T
        return ndtri((np.floor(2**27 * coarse) + fine) / 2**27)

    def binary(self, p: np.ndarray) -> np.ndarray:
        """One draw each; the rarer value is that of large numbers."""
        rare = self.uniform(p.size) >= np.maximum(p, 1 - p)
        return np.where(p > 0.5, ~rare, rare).astype(int)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    numbers = RNumbers(1)
    c1 = 1 + numbers.normal(UNITS)
    c2 = numbers.binary(np.full(UNITS, 0.6))
    a = numbers.binary(expit(0.2 - 0.5 * c1 + 0.1 * c2))
    m1 = numbers.binary(expit(1 + 0.5 * a - 1.5 * c1 + 0.5 * c2))
    m2 = 2 + 0.8 * a - m1 + 0.5 * c1 + 2 * c2 + numbers.normal(UNITS)
    mean = 0.5 + 0.4 * a + (0.5 + 0.3 * a) * m1 + (0.6 + 0.2 * a) * m2 - 0.3 * c1 + 2 * c2
    y = mean + numbers.normal(UNITS)
    return pd.DataFrame({"A": a, "M1": m1, "M2": m2, "Y": y, "C1": c1, "C2": c2})


def truth(frame: pd.DataFrame) -> dict[str, float]:
    """Average natural effects through both, given the covariates of these units."""
    c1, c2 = frame["C1"], frame["C2"]
    p = [expit(1 + 0.5 * a - 1.5 * c1 + 0.5 * c2) for a in (0, 1)]
    m2 = [2 + 0.8 * a - p[a] + 0.5 * c1 + 2 * c2 for a in (0, 1)]

    def mu(t: int, a: int) -> float:
        through = (0.5 + 0.3 * t) * p[a] + (0.6 + 0.2 * t) * m2[a]
        return float((0.4 * t + through).mean())

    return {
        "te": mu(1, 1) - mu(0, 0),
        "tnie": mu(1, 1) - mu(1, 0),
        "pnde": mu(1, 0) - mu(0, 0),
        "pnie": mu(0, 1) - mu(0, 0),
        "tnde": mu(1, 1) - mu(0, 1),
    }


def test_the_data_are_those_of_the_example(frame):
    a, m1, m2 = frame["A"], frame["M1"], frame["M2"]
    columns = [np.ones(UNITS), a, m1, m2, frame["C1"], frame["C2"], a * m1, a * m2]
    found = np.linalg.lstsq(np.column_stack(columns), frame["Y"], rcond=None)[0]
    np.testing.assert_allclose(found, OUTCOME, atol=6e-7)
    columns = np.column_stack([np.ones(UNITS), a, frame["C1"], frame["C2"]])
    first = sm.GLM(m1, columns, family=sm.families.Binomial()).fit()
    np.testing.assert_allclose(first.params, FIRST, atol=6e-7)


def test_another_seed_gives_other_data(frame):
    assert np.abs(RNumbers(2).normal(UNITS) - (frame["C1"] - 1)).max() > 1


def test_effects_agree_with_the_published_ones_and_hold_the_truth(frame):
    roles = {"outcome": "Y", "treatment": "A", "covariates": ["C1", "C2"]}
    study = hte.Study.from_frame(frame, mediator=["M1", "M2"], **roles)
    families = {"M1": "bernoulli", "M2": "gaussian"}
    size = {"seed": 1, "draws": 150, "tune": 100, "chains": 2, "cores": 1, "progress": False}
    fit = hte.fit(study, surface="linear", mediator_family=families, **size)
    table, true = fit.summary(ci_prob=0.95), truth(frame)
    for name, published in PUBLISHED.items():
        row = table.loc[name]
        # Their standard errors, by 20 bootstrap samples, are .17 to .29.
        assert abs(row["mean"] - published) < 0.15, name
        assert row["ci_lower"] < true[name] < row["ci_upper"], name
