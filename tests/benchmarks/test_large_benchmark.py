"""The shards of the benchmark of large studies have the likelihood that they claim."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from tests.benchmarks.large import COVARIATES, simulate
from tests.benchmarks.large_methods import Posteriors, powered


@pytest.fixture(scope="module")
def frame():
    return simulate(120, seed=2)[0]


def average(frame):
    """Draws of the average effect of a linear model without propensity."""
    roles = {"outcome": "y", "treatment": "t", "covariates": COVARIATES[:2]}
    size = {"draws": 400, "tune": 100, "chains": 2, "cores": 1, "progress": False}
    study = hte.Study.from_frame(frame, **roles)
    fit = hte.fit(study, seed=1, surface="linear", propensity_covariate=False, **size)
    return fit.cate().mean("unit").to_numpy().ravel()


def test_a_power_of_the_likelihood_is_that_of_repeated_rows(frame):
    once, repeated = average(frame), average(pd.concat([frame] * 4, ignore_index=True))
    with powered(4):
        powers = average(frame)
    assert powers.std() == pytest.approx(repeated.std(), rel=0.15)
    assert powers.mean() == pytest.approx(repeated.mean(), abs=0.3 * repeated.std())
    # A likelihood without its power would be noticed.
    assert once.std() > 1.6 * powers.std()


def test_quantiles_of_posteriors_are_averaged():
    rng = np.random.default_rng(1)
    draws = rng.normal(size=(4000, 6))
    both = Posteriors([draws, 3 + 2 * draws])
    mean, lower, upper = both.units()
    np.testing.assert_allclose(mean, 1.5, atol=0.1)
    np.testing.assert_allclose(upper - lower, 2 * 1.96 * 1.5, rtol=0.06)
    lower, upper = both.averages(np.array([0, 0, 0, 0, 1, 1]))
    np.testing.assert_allclose(upper - lower, 2 * 1.96 * 1.5 / np.sqrt([4, 2]), rtol=0.06)
