"""Families: which values they allow, their links, and expectations over them."""

from __future__ import annotations

import typing

import numpy as np
import pymc as pm
import pytest
from scipy import integrate, special, stats

from bayes_hte.components.families import FAMILIES, get_family
from bayes_hte.errors import DataError, SpecError, UnsupportedError
from bayes_hte.spec import FamilyName

ETA = np.array([[-2.0, 0.0, 1.5], [0.3, -0.7, 0.9]])
SIGMA = np.array([[0.5], [2.0]])
# Exact moments of each family at ETA (and SIGMA for the gaussian).
MEAN = {"gaussian": ETA, "bernoulli": special.expit(ETA), "poisson": np.exp(ETA)}
VARIANCE = {
    "gaussian": np.broadcast_to(SIGMA**2, ETA.shape),
    "bernoulli": special.expit(ETA) * special.expit(-ETA),
    "poisson": np.exp(ETA),
}


def expectation(name: str, function, eta=ETA, sigma=SIGMA) -> np.ndarray:
    return sum(weight * function(value) for value, weight in get_family(name).support(eta, sigma))


def test_the_families_are_those_a_study_file_can_name():
    assert set(FAMILIES) == set(typing.get_args(FamilyName))
    assert all(get_family(name).name == name for name in FAMILIES)


def test_an_unknown_family_is_refused_and_the_nearest_named():
    with pytest.raises(SpecError, match=r"unknown family 'binomial'.*Known: bernoulli, gaussian"):
        get_family("binomial")


# ---------------------------------------------------------------- allowed values


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("bernoulli", [0, 1, 2], r"outcome: a bernoulli column holds only 0 and 1, got \[2\.0\]"),
        ("bernoulli", [0, 1, -1], "only 0 and 1"),
        ("bernoulli", [0, 0.5, 1], r"got \[0\.5\]\. Recode it, or use family='gaussian'"),
        ("poisson", [0, 1, -3, -1], r"outcome: .*negative, got 2 negative values \(smallest -3\)"),
        ("poisson", [0, 1.5, 2, 0.25], r"must be whole, got 2 fractional values \(e\.g\. 1\.5\)"),
    ],
)
def test_impossible_values_are_refused_with_what_was_got(name, values, message):
    with pytest.raises(DataError, match=message):
        get_family(name).check(np.array(values, dtype=float), "outcome")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("gaussian", [-1.5, 0, 1e6]),
        ("bernoulli", [0, 1, 1, 0]),
        ("bernoulli", [1, 1]),
        ("poisson", [0, 3, 1000]),
    ],
)
def test_possible_values_pass(name, values):
    get_family(name).check(np.array(values, dtype=float), "outcome")


# ---------------------------------------------------------------- links and scales


@pytest.mark.parametrize("name", FAMILIES)
def test_the_inverse_link_gives_the_mean(name):
    np.testing.assert_allclose(get_family(name).inverse_link(ETA), MEAN[name])


def test_only_an_identity_link_passes_expectations_through():
    for name, family in FAMILIES.items():
        assert family.linear_mean == (name == "gaussian")
        linear = np.allclose(family.inverse_link(2 * ETA), 2 * family.inverse_link(ETA))
        assert family.linear_mean == linear


@pytest.mark.parametrize(
    ("name", "values"),
    [("gaussian", [1.0, 4.0, 7.0]), ("bernoulli", [0, 1] * 500), ("poisson", [3] * 999)],
)
def test_the_offset_is_the_linear_predictor_of_the_overall_mean(name, values):
    family, y = get_family(name), np.array(values, dtype=float)
    assert family.inverse_link(np.array(family.offset(y))) == pytest.approx(y.mean(), rel=1e-3)


@pytest.mark.parametrize(
    ("name", "values"), [("bernoulli", [0, 0]), ("bernoulli", [1, 1]), ("poisson", [0, 0])]
)
def test_the_offset_of_a_column_at_its_edge_is_finite(name, values):
    assert np.isfinite(get_family(name).offset(np.array(values, dtype=float)))


def test_priors_are_scaled_by_the_data_or_by_the_link():
    y = np.array([1.0, 4.0, 7.0])
    scales = {name: family.latent_sd(y) for name, family in FAMILIES.items()}
    assert scales == {"gaussian": y.std(), "bernoulli": 1.5, "poisson": 1.0}


# ---------------------------------------------------------------- expectations


@pytest.mark.parametrize("name", FAMILIES)
def test_weights_sum_to_one_and_give_the_first_two_moments(name):
    np.testing.assert_allclose(expectation(name, np.ones_like), 1, atol=1e-9)
    mean = expectation(name, lambda value: value)
    np.testing.assert_allclose(mean, MEAN[name], atol=1e-8)
    second = expectation(name, np.square)
    np.testing.assert_allclose(second - mean**2, VARIANCE[name], atol=1e-6)


@pytest.mark.parametrize("scale", [0.2, 1.0, 2.0])
def test_gauss_hermite_integrates_an_exponential_exactly(scale):
    got = expectation("gaussian", np.exp, ETA, np.array(scale))
    np.testing.assert_allclose(got, np.exp(ETA + scale**2 / 2), rtol=1e-9)


@pytest.mark.parametrize(
    ("scale", "tolerance"), [(0.5, 1e-12), (1.0, 1e-8), (2.0, 1e-4), (4.0, 5e-3)]
)
def test_gauss_hermite_integrates_a_logistic_to_the_stated_accuracy(scale, tolerance):
    # The logistic has poles near the real axis, so wide normals are integrated less exactly.
    for eta in (-3.0, 0.0, 1.5):
        exact = integrate.quad(
            lambda z, a=eta: special.expit(a + scale * z) * stats.norm.pdf(z), -15, 15, limit=400
        )[0]
        got = expectation("gaussian", special.expit, np.array([eta]), np.array(scale))
        assert abs(got.item() - exact) < tolerance


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("slope", [-1.0, 0.0, 0.3])
def test_the_mean_of_an_exponential_is_that_of_the_sum(name, slope):
    # At these slopes the sum still holds; at larger ones its cut tail would count.
    closed = get_family(name).mean_exponential(np.full(ETA.shape, slope), ETA, SIGMA)
    np.testing.assert_allclose(closed, expectation(name, lambda y: np.exp(slope * y)), rtol=1e-8)


def test_only_a_logarithmic_link_has_an_exponential_mean():
    for family in FAMILIES.values():
        product = family.inverse_link(ETA) * family.inverse_link(0.1 * ETA)
        exponential = np.allclose(family.inverse_link(1.1 * ETA), product)
        assert family.exponential_mean == exponential


def test_a_gaussian_without_its_noise_is_an_error():
    gaussian = get_family("gaussian")
    with pytest.raises(ValueError, match="needs its sigma"):
        next(gaussian.support(ETA, None))
    with pytest.raises(ValueError, match="needs its sigma"):
        gaussian.mean_exponential(ETA, ETA, None)


def test_counts_are_summed_until_nothing_is_left():
    # One rate of 0.01 beside one of 50: the sum is as long as the larger needs.
    eta = np.log(np.array([0.01, 50.0]))
    support = list(get_family("poisson").support(eta, None))
    assert [value for value, _ in support] == list(range(len(support)))
    left = 1 - sum(weight for _, weight in support)
    assert np.all(left <= 1e-9)


@pytest.mark.parametrize("mean", [1e4, 1e13, 1e300])
def test_counts_too_long_to_sum_are_refused_with_the_way_out(mean):
    with pytest.raises(UnsupportedError, match="Rescale it, or use gaussian"):
        next(get_family("poisson").support(np.log(np.array([1.0, mean])), None))


# ---------------------------------------------------------------- draws


@pytest.mark.parametrize("name", FAMILIES)
def test_replicated_data_have_the_moments_of_the_family(name):
    n = 100_000
    eta = np.broadcast_to(ETA, (n, *ETA.shape))
    draws = get_family(name).draw(np.random.default_rng(1), eta, SIGMA)
    assert draws.shape == eta.shape
    # Five standard errors of a mean; a variance has a standard error of about 1% here.
    assert np.all(np.abs(draws.mean(axis=0) - MEAN[name]) < 5 * np.sqrt(VARIANCE[name] / n))
    np.testing.assert_allclose(draws.var(axis=0), VARIANCE[name], rtol=0.06)
    get_family(name).check(draws.ravel(), "replicate")


@pytest.mark.parametrize("name", FAMILIES)
def test_equal_seeds_replicate_equal_data(name):
    first, second = (get_family(name).draw(np.random.default_rng(5), ETA, SIGMA) for _ in range(2))
    np.testing.assert_array_equal(first, second)


# ---------------------------------------------------------------- likelihoods


@pytest.mark.parametrize(
    ("name", "y", "logp"),
    [
        ("gaussian", [0.5, -1.0, 2.0], lambda y, eta: stats.norm.logpdf(y, eta, 0.8)),
        ("bernoulli", [1, 0, 1], lambda y, eta: stats.bernoulli.logpmf(y, special.expit(eta))),
        ("poisson", [2, 0, 4], lambda y, eta: stats.poisson.logpmf(y, np.exp(eta))),
    ],
)
def test_the_pymc_likelihood_is_the_density_of_the_family(name, y, logp):
    y, eta = np.array(y, dtype=float), ETA[0]
    with pm.Model(coords={"unit": range(3)}) as model:
        sigma = get_family(name).observe("outcome", eta, y)
    assert (sigma is not None) == (name == "gaussian")
    point = model.initial_point()
    if sigma is not None:
        assert sigma.name == "outcome_sigma"
        point["outcome_sigma_log__"] = np.array(np.log(0.8))
    observed = model["outcome_observed"]
    got = model.compile_fn(model.logp(vars=[observed], jacobian=False), mode="FAST_COMPILE")(point)
    assert got == pytest.approx(logp(y, eta).sum())
