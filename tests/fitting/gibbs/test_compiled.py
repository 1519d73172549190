"""The compiled pieces one by one: exact laws, and ranks of draws whose law is known."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest
from scipy import stats

from bayes_hte.components.families import get_family
from bayes_hte.fitting.gibbs import compiled_noise, products, scale_densities
from bayes_hte.fitting.gibbs.slice_step import slice_step
from bayes_hte.surfaces import additive

# Smallest p-value of a test of uniform ranks with a fixed seed.
SMALLEST = 1e-3


@numba.njit
def _log_normal(x, args):
    mean, sd = args
    return -(((x - mean) / sd) ** 2) / 2


@numba.njit
def _log_exponential(x, args):
    return -x if x > 0 else -math.inf


@numba.njit
def _no_number(x, args):
    return math.nan


normal_step = slice_step(_log_normal)
exponential_step = slice_step(_log_exponential)
no_number_step = slice_step(_no_number)


@numba.njit
def _run(start, draws, mean, sd, width, rng):
    out, x = np.empty(draws), start
    for i in range(draws):
        x = normal_step(x, (mean, sd), width, rng)
        out[i] = x
    return out


@pytest.mark.parametrize("width", [0.3, 2.0, 30.0])
def test_the_slice_step_keeps_the_law_of_a_normal_at_any_width(width):
    # Independent exact draws in, one step each: exact draws out.
    rng = np.random.default_rng(1)
    out = [_run(rng.normal(3, 2), 1, 3.0, 2.0, width, rng)[0] for _ in range(4000)]
    assert stats.kstest(out, stats.norm(3, 2).cdf).pvalue > SMALLEST


def test_the_slice_step_moves_to_the_law_from_afar():
    draws = _run(60.0, 4000, 3.0, 2.0, 2.0, np.random.default_rng(2))[500:]
    assert draws.mean() == pytest.approx(3, abs=0.2)
    assert draws.std() == pytest.approx(2, rel=0.1)


def test_the_slice_step_respects_an_edge():
    rng = np.random.default_rng(3)
    out = [exponential_step(rng.exponential(), (0.0,), 2.0, rng) for _ in range(4000)]
    assert stats.kstest(out, stats.expon.cdf).pvalue > SMALLEST


def test_a_density_that_is_not_a_number_leaves_the_start():
    assert no_number_step(1.5, (0.0,), 2.0, np.random.default_rng(4)) == 1.5


def test_sums_of_products_are_those_of_numpy():
    rng = np.random.default_rng(5)
    # More rows than one block.
    x, weight, cluster = (
        rng.normal(size=(4, 1300)),
        rng.gamma(2, size=1300),
        rng.integers(3, size=1300),
    )
    got = products.gram(x, cluster, 3, weight)
    z = np.eye(3)[:, cluster]
    np.testing.assert_allclose(got.q, x * weight @ x.T)
    np.testing.assert_allclose(got.m, z * weight @ x.T)
    np.testing.assert_allclose(got.t, z @ weight)


def test_joint_normal_draws_have_the_mean_and_covariance_of_their_precision():
    rng = np.random.default_rng(6)
    a = rng.normal(size=(3, 5))
    precision, h = a @ a.T + np.eye(3), rng.normal(size=3)
    draws = np.array([products.draw_normal(precision.copy(), h, rng) for _ in range(20_000)])
    covariance = np.linalg.inv(precision)
    error = np.sqrt(np.diag(covariance) / len(draws))
    assert (np.abs(draws.mean(axis=0) - covariance @ h) < 4 * error).all()
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.03 * covariance.max())


def test_the_spectral_density_of_curves_is_that_of_the_surface():
    frequency, mean_square = np.arange(1.0, 11.0), np.linspace(1, 2, 10)
    relative = np.empty(10)
    scale_densities.fill_relative(relative, 0.4, frequency, mean_square)
    density = (1 + (0.4 * frequency) ** 2 / 5) ** -3
    np.testing.assert_allclose(relative, np.sqrt(density / (density @ mean_square)))
    own = additive.relative_density(np.array([[0.4]]))[0]
    scale_densities.fill_relative(relative, 0.4, additive.FREQUENCIES, np.ones(10))
    np.testing.assert_allclose(relative, np.sqrt(own / own.sum()))


# ---------------------------------------------------------------- likelihoods of noise parameters


def differences(log_density, points) -> np.ndarray:
    return np.diff([log_density(p) for p in points])


def test_the_density_of_a_half_t_on_the_log_scale():
    points = np.linspace(-3, 3, 7)
    ours = differences(lambda x: scale_densities.log_half_t(x, 2.0, 3.0), points)
    exact = differences(lambda x: stats.t.logpdf(np.exp(x), 3, scale=2.0) + x, points)
    np.testing.assert_allclose(ours, exact)


def test_the_density_of_the_degrees_of_freedom():
    rng = np.random.default_rng(7)
    z = rng.standard_t(4, size=50)

    def exact(x: float) -> float:
        nu = 2 + np.exp(x)
        prior = stats.gamma.logpdf(nu, 2, scale=1 / 0.1) + x
        return prior + stats.t.logpdf(z, nu).sum()

    points = np.linspace(-4, 5, 8)
    ours = differences(lambda x: compiled_noise._log_degrees(x, (z**2, 2.0, 0.1, 2.0)), points)
    np.testing.assert_allclose(ours, differences(exact, points), rtol=1e-8)


def test_the_density_of_the_overdispersion_also_near_a_poisson():
    rng = np.random.default_rng(8)
    mean = rng.gamma(2, size=60)
    y = rng.poisson(mean).astype(np.float64)
    family = get_family("negative_binomial")

    def exact(x: float) -> float:
        # scipy's own loses digits beyond a size of about 1e6; the poisson is then exact to 1e-6.
        prior = x - np.exp(2 * x) / 2
        if x < -9:
            return prior + stats.poisson.logpmf(y, mean).sum()
        noise = {"size": np.exp(-2 * x)}
        return prior + family.log_likelihood(y, np.log(mean), noise).sum()

    points = np.array([-12.0, -10.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0])
    ours = differences(lambda x: compiled_noise._log_overdispersion(x, (y, mean, 1.0)), points)
    np.testing.assert_allclose(ours, differences(exact, points), atol=1e-5)


def test_the_density_along_a_direction_is_that_of_scales_that_vary():
    rng = np.random.default_rng(9)
    z = np.column_stack([np.ones(40), rng.normal(size=(40, 2))])
    theta, direction, sd = (
        np.array([0.2, 0.3, -0.1]),
        np.array([0.5, -1.0, 2.0]),
        np.array([0.5, 0.25]),
    )
    residual = rng.normal(size=40)

    def exact(x: float, nu: float) -> float:
        at = theta + x * direction
        prior = stats.t.logpdf(np.exp(at[0]), 3, scale=1.5) + at[0]
        prior += stats.norm.logpdf(at[1:], 0, sd).sum()
        law = stats.t(nu, scale=np.exp(z @ at)) if nu else stats.norm(scale=np.exp(z @ at))
        return prior + law.logpdf(residual).sum()

    points = np.linspace(-1, 1, 6)
    for nu in (0.0, 4.0):
        args = (theta, direction, z @ theta, z @ direction, residual**2, nu, 1.5, 3.0, sd)
        ours = differences(lambda x, args=args: compiled_noise._log_scale_along(x, args), points)
        np.testing.assert_allclose(ours, differences(lambda x, nu=nu: exact(x, nu), points))
    args = (float((residual**2).sum()), 40, 1.5, 3.0)
    ours = differences(lambda x: compiled_noise._log_constant_scale(x, args), points)

    def constant(x: float) -> float:
        prior = stats.t.logpdf(np.exp(x), 3, scale=1.5) + x
        return prior + stats.norm.logpdf(residual, 0, np.exp(x)).sum()

    np.testing.assert_allclose(ours, differences(constant, points))
