"""Noise parameters: posteriors on grids, free movement, values and records."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bayes_hte.components.noise import noise_at
from bayes_hte.fitting.gibbs.noise import noise_part
from tests.fitting.gibbs.driver import as_dataset
from tests.fitting.gibbs.test_joint_distribution import component_of

DRAWS = 3000
AT = np.array([0.05, 0.25, 0.5, 0.75, 0.95])


def records_of(component, y, *, draws: int = DRAWS) -> list:
    """Draws of the noise parameters given a column around a predictor of 0."""
    rng = np.random.default_rng(1)
    part, eta, kept = noise_part(component, rng), np.zeros(y.size), []
    for i in range(draws + 50):
        part.update(y, eta, rng)
        if i >= 50:
            kept.append(part.record())
    return kept


def on_grid(log_density, low: float, high: float) -> np.ndarray:
    grid = np.linspace(low, high, 2001)
    log_weight = np.array([log_density(x) for x in grid])
    weight = np.exp(log_weight - log_weight.max())
    return np.interp(AT, np.cumsum(weight) / weight.sum(), grid)


def test_sigma_has_the_posterior_of_a_grid():
    component = component_of()
    y, scale = np.random.default_rng(2).normal(0, 2, component.y.size), component.y.std()

    def log_density(x: float) -> float:
        sigma = np.exp(x)
        prior = stats.t.logpdf(sigma, 3, scale=scale) + x
        return prior + stats.norm.logpdf(y, 0, sigma).sum()

    draws = np.log([r["outcome_sigma"] for r in records_of(component, y)])
    expected = on_grid(log_density, -2, 4)
    np.testing.assert_allclose(np.quantile(draws, AT), expected, atol=0.15 * draws.std())
    # One step is nearly an independent draw.
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.3


def test_the_overdispersion_has_the_posterior_of_a_grid():
    component = component_of(family="negative_binomial")
    y = np.random.default_rng(3).poisson(1.2, component.y.size).astype(np.float64)

    def log_density(x: float) -> float:
        noise = {"size": np.exp(-2 * x)}
        prior = stats.halfnorm.logpdf(np.exp(x)) + x
        return prior + component.family.log_likelihood(y, np.zeros(y.size), noise).sum()

    kept = records_of(component, y)
    draws = np.log([r["outcome_overdispersion"] for r in kept])
    # Not on the log scale, whose lower tail is long.
    got, expected = np.quantile(np.exp(draws), AT), np.exp(on_grid(log_density, -8, 3))
    np.testing.assert_allclose(got, expected, atol=0.1 * np.exp(draws).std())
    np.testing.assert_allclose([r["outcome_size"] for r in kept], np.exp(-2 * draws))


def test_degrees_of_freedom_stay_above_two_and_follow_the_tails():
    component = component_of(family="student_t")
    rng = np.random.default_rng(4)
    nu = {}
    for df in (2.1, 100.0):
        kept = records_of(component, rng.standard_t(df, size=component.y.size), draws=1000)
        nu[df] = np.array([r["outcome_nu"] for r in kept])
    assert nu[2.1].min() > 2
    assert np.median(nu[2.1]) < np.median(nu[100.0])


def test_scales_that_vary_are_those_that_predictions_see():
    component = component_of(noise="varying")
    part = noise_part(component, np.random.default_rng(5))
    part.update(component.y, np.zeros(component.y.size), np.random.default_rng(6))
    posterior = as_dataset(component, [[part.record()]])
    assert posterior["outcome_log_spread"].dims[2:] == ("outcome_log_spread_feature",)
    at = noise_at(posterior, "outcome", component.family, component.design, "varying")
    np.testing.assert_allclose(part.values()["sigma"], at["sigma"][0, 0])


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("gaussian", {"sigma"}),
        ("student_t", {"sigma", "nu"}),
        ("negative_binomial", {"size"}),
        ("poisson", set()),
        ("bernoulli", set()),
    ],
)
def test_a_family_gets_the_parameters_it_needs_as_numbers(family, names):
    component = component_of(family=family)
    rng = np.random.default_rng(7)
    part = noise_part(component, rng)
    part.update(component.y, np.zeros(component.y.size), rng)
    assert set(part.values()) == names == set(component.family.noise)
    assert all(isinstance(v, float) and v > 0 for v in part.values().values())
