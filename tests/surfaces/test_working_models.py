"""Working models leave the posterior of the linear predictor as it is, family by family.

Many short chains of the smallest conjugate model (one constant linear predictor with a normal
prior) run side by side; their mean and mean square are compared with quadrature. The chains are
independent, so their spread gives the Monte Carlo error. Tolerance: 4 standard errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import special, stats

from bayes_hte.errors import DataError, SpecError
from bayes_hte.surfaces.error_laws import LAWS
from bayes_hte.surfaces.forest.working_models import (
    FAMILIES,
    _gamma_series,
    _polya_gamma,
    poisson_mixture,
    working_model,
)

PRIOR_SD = 1.5
CHAINS, WARM, DRAWS = 60, 40, 200
COUNTS = np.array([0, 0, 1, 2, 0, 3, 1, 6.0])
REALS = np.array([-0.4, 0.3, 1.1, 5.0, 0.8, -1.0])
SIGMAS = np.array([0.5, 1.0, 2.0, 3.0, 0.7, 1.5])


@dataclass(frozen=True)
class Case:
    family: str
    y: np.ndarray
    noise: dict[str, float | np.ndarray]

    def log_likelihood(self, eta):
        """Sum over rows, eta of shape (grid,)."""
        y, x, noise = self.y, eta[:, None], self.noise
        mean = np.exp(x)
        each = {
            "gaussian": lambda: stats.norm.logpdf(y, x, noise["sigma"]),
            "student_t": lambda: stats.t.logpdf(y, noise["nu"], x, noise["sigma"]),
            "bernoulli": lambda: stats.bernoulli.logpmf(y, special.expit(x)),
            "poisson": lambda: stats.poisson.logpmf(y, mean),
            "negative_binomial": lambda: stats.nbinom.logpmf(
                y, noise["size"], noise["size"] / (noise["size"] + mean)
            ),
        }
        return each[self.family]().sum(axis=1)


CASES = {
    "gaussian": Case("gaussian", REALS, {"sigma": 1.3}),
    "gaussian, a sigma a row": Case("gaussian", REALS, {"sigma": SIGMAS}),
    "student_t": Case("student_t", REALS, {"sigma": 0.8, "nu": 3.0}),
    "student_t, a sigma a row": Case("student_t", REALS, {"sigma": SIGMAS, "nu": 5.0}),
    "bernoulli": Case("bernoulli", np.array([1, 1, 0, 1, 1, 1.0]), {}),
    "bernoulli, all alike": Case("bernoulli", np.ones(6), {}),
    "negative_binomial": Case("negative_binomial", COUNTS, {"size": 1.7}),
    "negative_binomial, small": Case("negative_binomial", COUNTS, {"size": 0.3}),
    "negative_binomial, large": Case("negative_binomial", np.array([180.0, 230]), {"size": 20.0}),
    "poisson": Case("poisson", COUNTS, {}),
    "poisson, only zeros": Case("poisson", np.zeros(4), {}),
    "poisson, large": Case("poisson", np.array([201.0, 187, 220]), {}),
}


def quadrature(case: Case) -> tuple[float, float]:
    grid = np.linspace(-12, 12, 24_001)
    log_p = case.log_likelihood(grid) - (grid / PRIOR_SD) ** 2 / 2
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    mean = p @ grid
    return mean, np.sqrt(p @ (grid - mean) ** 2)


def gibbs(case: Case, *, noise=None, seed=1) -> np.ndarray:
    """Draws of the constant, shape (chain, draw); `noise` is what the sampler is told."""
    rng = np.random.default_rng(seed)
    rows = case.y.size
    y = np.tile(case.y, CHAINS)
    told = case.noise if noise is None else noise
    told = {k: np.tile(v, CHAINS) if np.ndim(v) else v for k, v in told.items()}
    constant = np.full(CHAINS, quadrature(case)[0])
    draws = np.empty((CHAINS, DRAWS))
    for i in range(-WARM, DRAWS):
        model = working_model(case.family, y, np.repeat(constant, rows), told, rng)
        precision = model.precision.reshape(CHAINS, rows)
        response = model.residual.reshape(CHAINS, rows) + constant[:, None]
        total = precision.sum(axis=1) + PRIOR_SD**-2
        centre = (precision * response).sum(axis=1) / total
        constant = rng.normal(centre, total**-0.5)
        if i >= 0:
            draws[:, i] = constant
    return draws


def distance(case: Case, draws: np.ndarray) -> float:
    """Largest distance of mean and sd from quadrature, in Monte Carlo standard errors."""
    mean, sd = quadrature(case)
    z = (draws - mean) / sd
    found = []
    for value, truth in ((z.mean(axis=1), 0.0), ((z**2).mean(axis=1), 1.0)):
        found.append(abs(value.mean() - truth) / (value.std(ddof=1) / np.sqrt(CHAINS)))
    return max(found)


@pytest.mark.parametrize("name", CASES)
def test_gibbs_sampler_reproduces_mean_and_sd_of_quadrature(name):
    case = CASES[name]
    assert distance(case, gibbs(case)) < 4


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gaussian", {"sigma": 1.0}),
        ("gaussian, a sigma a row", {"sigma": SIGMAS.mean()}),
        ("student_t", {"sigma": 0.8, "nu": 30.0}),
        ("student_t", {"sigma": 1.2, "nu": 3.0}),
        ("negative_binomial", {"size": 4.0}),
    ],
)
def test_a_wrong_noise_parameter_fails_the_same_check(name, told):
    case = CASES[name]
    assert distance(case, gibbs(case, noise=told)) > 8


def test_a_wrong_outcome_model_fails_the_same_check():
    poisson = Case("poisson", COUNTS, {})
    overdispersed = Case("negative_binomial", COUNTS, {"size": 1.7})
    assert distance(overdispersed, gibbs(poisson)) > 8


@pytest.mark.parametrize("rate", [0.05, 0.5, 2.0, 30.0])
def test_the_poisson_mixture_moves_the_posterior_of_a_log_rate_by_less_than_a_hundredth_sd(rate):
    y = np.random.default_rng(3).poisson(rate, 1000)
    total = y.sum()
    exact_sd = np.sqrt(special.polygamma(1, total))
    exact = special.digamma(total) - np.log(y.size)
    grid = exact + exact_sd * np.linspace(-8, 8, 801)
    log_p = np.zeros_like(grid)
    for count, rows in zip(*np.unique(y, return_counts=True), strict=True):
        m = poisson_mixture(int(count))
        curves = m.log_height - ((grid[:, None] - m.mean) / m.sd) ** 2 / 2
        log_p += rows * special.logsumexp(curves, axis=1)
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    mean = p @ grid
    assert abs(mean - exact) < 0.01 * exact_sd
    assert np.sqrt(p @ (grid - mean) ** 2) == pytest.approx(exact_sd, rel=0.01)


@pytest.mark.parametrize(
    ("shape", "tilt"), [(0.3, 0.0), (2.5, 0.01), (2.5, 4.0), (15.0, 29.9), (15.0, 50.0), (1.0, 800)]
)
def test_polya_gamma_draws_have_the_known_mean_and_variance(shape, tilt):
    n = 40_000
    rng = np.random.default_rng(5)
    draw = _polya_gamma(np.full(n, shape), np.full(n, float(tilt)), rng, _gamma_series)
    z = max(tilt, 1e-3)
    mean = shape * np.tanh(z / 2) / (2 * z)
    # (sinh z - z) / cosh(z/2)^2, written so that a large tilt does not overflow.
    ratio = 2 * np.tanh(z / 2) - z * 4 * np.exp(-z) / (1 + np.exp(-z)) ** 2
    variance = shape * ratio / (4 * z**3)
    assert abs(draw.mean() - mean) < 4 * np.sqrt(variance / n)
    squares = (draw - mean) ** 2
    assert abs(squares.mean() - variance) < 4 * squares.std() / np.sqrt(n)


@pytest.mark.parametrize("family", FAMILIES)
def test_extreme_predictors_and_counts_give_finite_numbers(family):
    rng = np.random.default_rng(0)
    eta, y = np.meshgrid([-800.0, -40.0, -5.0, 0.0, 5.0, 40.0, 800.0], [0.0, 1.0, 200.0, 1e6])
    y = np.minimum(y, 1) if family == "bernoulli" else y + (family in LAWS)
    noise = {"sigma": 0.5, "nu": 2.5, "size": 0.4}
    model = working_model(family, y.ravel(), eta.ravel(), noise, rng)
    assert np.isfinite(model.residual).all()
    assert np.isfinite(model.precision).all()
    assert (model.precision > 0).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_one_seed_gives_one_answer_and_inputs_stay_as_they_were(family):
    y, eta = np.array([0.0, 1.0, 1.0]) + (family in LAWS), np.array([0.1, -0.2, 0.3])
    before = y.copy()
    noise = {"sigma": 0.5, "nu": 4.0, "size": 2.0}
    first, second = (
        working_model(family, y, eta, noise, np.random.default_rng(7)) for _ in range(2)
    )
    np.testing.assert_array_equal(first.residual, second.residual)
    np.testing.assert_array_equal(first.precision, second.precision)
    np.testing.assert_array_equal(y, before)
    np.testing.assert_array_equal(eta, [0.1, -0.2, 0.3])


@pytest.mark.parametrize(
    ("family", "noise", "message"),
    [
        ("gausian", {"sigma": 1.0}, "Did you mean 'gaussian'"),
        ("gaussian", {}, "needs noise\\['sigma'\\]; got no noise parameter"),
        ("student_t", {"sigma": 1.0}, "needs noise\\['nu'\\]; got sigma"),
        ("negative_binomial", {"sigma": 1.0}, "needs noise\\['size'\\]"),
        ("gaussian", {"sigma": np.ones(3)}, "shape \\(3,\\)"),
        ("gaussian", {"sigma": 0.0}, "must be positive and finite"),
        ("negative_binomial", {"size": np.array([1.0, np.nan])}, "must be positive and finite"),
    ],
)
def test_a_bad_request_is_refused_by_name(family, noise, message):
    with pytest.raises(SpecError, match=message):
        working_model(family, np.zeros(2), np.zeros(2), noise, np.random.default_rng(0))


@pytest.mark.parametrize("value", [-1.0, 0.5])
def test_poisson_refuses_what_is_not_a_count(value):
    with pytest.raises(DataError, match="holds counts"):
        working_model("poisson", np.array([1.0, value]), np.zeros(2), {}, np.random.default_rng(0))
