"""Families: which values they allow, their links, and expectations over them."""

from __future__ import annotations

import itertools
import typing

import numpy as np
import pymc as pm
import pytest
from scipy import integrate, special, stats

from bayes_hte.components.families import FAMILIES as EVERY
from bayes_hte.components.families import get_family
from bayes_hte.errors import DataError, SpecError, UnsupportedError
from bayes_hte.study.spec import FamilyName, OutcomeFamilyName

# Times to an event are tested in test_times.
FAMILIES = {name: family for name, family in EVERY.items() if not family.times}
ETA = np.array([[-2.0, 0.0, 1.5], [0.3, -0.7, 0.9]])
SIGMA = np.array([[0.5], [2.0]])
NU = np.array([[9.0], [12.0]])
SIZE = np.array([[4.0], [1.5]])
NOISE = {
    "gaussian": {"sigma": SIGMA},
    "student_t": {"sigma": SIGMA, "nu": NU},
    "bernoulli": {},
    "poisson": {},
    "negative_binomial": {"size": SIZE},
}
# Exact moments of each family at ETA and NOISE.
MEAN = {
    "gaussian": ETA,
    "student_t": ETA,
    "bernoulli": special.expit(ETA),
    "poisson": np.exp(ETA),
    "negative_binomial": np.exp(ETA),
}
VARIANCE = {
    "gaussian": np.broadcast_to(SIGMA**2, ETA.shape),
    "student_t": np.broadcast_to(SIGMA**2 * NU / (NU - 2), ETA.shape),
    "bernoulli": special.expit(ETA) * special.expit(-ETA),
    "poisson": np.exp(ETA),
    "negative_binomial": np.exp(ETA) + np.exp(2 * ETA) / SIZE,
}
COUNTS = ("poisson", "negative_binomial")
CONTINUOUS = ("gaussian", "student_t")


def expectation(name: str, function, eta=ETA, noise=None) -> np.ndarray:
    support = get_family(name).support(eta, NOISE[name] if noise is None else noise)
    return sum(weight * function(value) for value, weight in support)


def test_the_families_are_those_a_study_file_can_name():
    assert set(EVERY) == set(typing.get_args(OutcomeFamilyName))
    assert set(FAMILIES) == set(NOISE) == set(typing.get_args(FamilyName))
    assert all(get_family(name).name == name for name in EVERY)


def test_an_unknown_family_is_refused_and_the_nearest_named():
    with pytest.raises(SpecError, match=r"unknown family 'binomal'.*Known: bernoulli, gaussian"):
        get_family("binomal")
    assert get_family("binomial").name == "bernoulli"


# ---------------------------------------------------------------- allowed values


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("bernoulli", [0, 1, 2], r"outcome: a bernoulli column holds only 0 and 1, got \[2\.0\]"),
        ("bernoulli", [0, 1, -1], "only 0 and 1"),
        ("bernoulli", [0, 0.5, 1], r"got \[0\.5\]\. Recode it, or use family='gaussian'"),
        ("poisson", [0, 1, -3, -1], r"outcome: .*negative, got 2 negative values \(smallest -3\)"),
        ("poisson", [0, 1.5, 2, 0.25], r"must be whole, got 2 fractional values \(e\.g\. 1\.5\)"),
        ("negative_binomial", [0, -1], r"got 1 negative values \(smallest -1\)"),
        ("negative_binomial", [0, 0.5], r"must be whole, got 1 fractional values"),
    ],
)
def test_impossible_values_are_refused_with_what_was_got(name, values, message):
    with pytest.raises(DataError, match=message):
        get_family(name).check(np.array(values, dtype=float), "outcome")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("gaussian", [-1.5, 0, 1e6]),
        ("student_t", [-1.5, 0, 1e6]),
        ("bernoulli", [0, 1, 1, 0]),
        ("bernoulli", [1, 1]),
        ("poisson", [0, 3, 1000]),
        ("negative_binomial", [0, 3, 1000]),
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
        assert family.linear_mean == (name in CONTINUOUS)
        linear = np.allclose(family.inverse_link(2 * ETA), 2 * family.inverse_link(ETA))
        assert family.linear_mean == linear


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("gaussian", [1.0, 4.0, 7.0]),
        ("student_t", [1.0, 4.0, 7.0]),
        ("bernoulli", [0, 1] * 500),
        ("poisson", [3] * 999),
        ("negative_binomial", [3] * 999),
    ],
)
def test_the_offset_is_the_linear_predictor_of_the_overall_mean(name, values):
    family, y = get_family(name), np.array(values, dtype=float)
    assert family.inverse_link(np.array(family.offset(y))) == pytest.approx(y.mean(), rel=1e-3)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("bernoulli", [0, 0]),
        ("bernoulli", [1, 1]),
        ("poisson", [0, 0]),
        ("negative_binomial", [0, 0]),
    ],
)
def test_the_offset_of_a_column_at_its_edge_is_finite(name, values):
    assert np.isfinite(get_family(name).offset(np.array(values, dtype=float)))


def test_priors_are_scaled_by_the_data_or_by_the_link():
    y = np.array([1.0, 4.0, 7.0])
    scales = {name: family.latent_sd(y) for name, family in FAMILIES.items()}
    assert scales == {
        "gaussian": y.std(),
        "student_t": y.std(),
        "bernoulli": 1.5,
        "poisson": 1.0,
        "negative_binomial": 1.0,
    }


# ---------------------------------------------------------------- expectations

# Scale and largest error: the narrower, the more the tail matters that lies beyond the last node.
STUDENT_ERRORS = [(0.5, 2e-6), (2.0, 2e-8), (10.0, 1e-12)]


# The quadrature of a student_t is for bounded functions; its heavy tails make its variance rougher,
# as the cut tail does that of an overdispersed count.
MOMENT_ERRORS = {"student_t": (1e-9, 5e-3), "negative_binomial": (1e-7, 1e-4)}


@pytest.mark.parametrize("name", FAMILIES)
def test_weights_sum_to_one_and_give_the_first_two_moments(name):
    of_mean, of_variance = MOMENT_ERRORS.get(name, (1e-8, 1e-6))
    np.testing.assert_allclose(expectation(name, np.ones_like), 1, atol=1e-9)
    mean = expectation(name, lambda value: value)
    np.testing.assert_allclose(mean, MEAN[name], atol=of_mean)
    second = expectation(name, np.square)
    np.testing.assert_allclose(second - mean**2, VARIANCE[name], atol=of_variance)


@pytest.mark.parametrize("scale", [0.2, 1.0, 2.0])
def test_gauss_hermite_integrates_an_exponential_exactly(scale):
    got = expectation("gaussian", np.exp, ETA, {"sigma": np.array(scale)})
    np.testing.assert_allclose(got, np.exp(ETA + scale**2 / 2), rtol=1e-9)


@pytest.mark.parametrize(
    ("scale", "tolerance"), [(0.5, 1e-12), (1.0, 1e-8), (2.0, 1e-4), (4.0, 5e-3)]
)
def test_gauss_hermite_integrates_a_logistic_to_the_stated_accuracy(scale, tolerance):
    # The logistic has poles near the real axis, so wide normals are integrated less exactly.
    for eta in (-3.0, 0.0, 1.5):
        exact = logistic_mean(eta, scale, stats.norm)
        got = expectation("gaussian", special.expit, np.array([eta]), {"sigma": np.array(scale)})
        assert abs(got.item() - exact) < tolerance


@pytest.mark.parametrize("nu", [2.1, 4.0, 30.0])
@pytest.mark.parametrize(("scale", "tolerance"), STUDENT_ERRORS)
def test_the_nodes_of_a_student_t_integrate_a_logistic_to_the_stated_accuracy(scale, nu, tolerance):
    noise = {"sigma": np.array(scale), "nu": np.array(nu)}
    for eta in (-3.0, 0.0, 1.5):
        got = expectation("student_t", special.expit, np.array([eta]), noise)
        assert abs(got.item() - logistic_mean(eta, scale, stats.t(nu))) < tolerance


def logistic_mean(eta: float, scale: float, law) -> float:
    integrand = lambda z: special.expit(eta + scale * z) * law.pdf(z)  # noqa: E731
    ends = [-np.inf, -15, 15, np.inf]
    return sum(
        integrate.quad(integrand, a, b, limit=400, epsabs=1e-13)[0]
        for a, b in itertools.pairwise(ends)
    )


@pytest.mark.parametrize("name", ["gaussian", "bernoulli", "poisson"])
@pytest.mark.parametrize("slope", [-1.0, 0.0, 0.3])
def test_the_mean_of_an_exponential_is_that_of_the_sum(name, slope):
    # At these slopes the sum still holds; at larger ones its cut tail would count.
    closed = get_family(name).mean_exponential(np.full(ETA.shape, slope), ETA, NOISE[name])
    np.testing.assert_allclose(closed, expectation(name, lambda y: np.exp(slope * y)), rtol=1e-8)


@pytest.mark.parametrize("name", ["student_t", "negative_binomial"])
def test_a_mean_of_an_exponential_that_may_be_infinite_is_refused(name):
    with pytest.raises(UnsupportedError, match=f"{name} mediator and a log link .* infinite"):
        get_family(name).mean_exponential(ETA, ETA, NOISE[name])


def test_only_a_logarithmic_link_has_an_exponential_mean():
    for family in FAMILIES.values():
        product = family.inverse_link(ETA) * family.inverse_link(0.1 * ETA)
        exponential = np.allclose(family.inverse_link(1.1 * ETA), product)
        assert family.exponential_mean == exponential


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("gaussian", {}, "'gaussian' needs sigma, got nothing"),
        ("gaussian", {"size": 1.0}, r"needs sigma, got \['size'\]"),
        ("student_t", {"sigma": 1.0}, r"'student_t' needs nu, got \['sigma'\]"),
        ("negative_binomial", {}, "'negative_binomial' needs size"),
    ],
)
def test_a_family_without_its_noise_is_an_error(name, given, message):
    family, y = get_family(name), np.zeros(3)
    for use in (
        lambda: next(family.support(ETA, given)),
        lambda: family.log_likelihood(y, ETA, given),
        lambda: family.cdf(y, ETA, given),
        lambda: family.draw(np.random.default_rng(0), ETA, given),
    ):
        with pytest.raises(SpecError, match=message):
            use()


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_summed_until_nothing_is_left(name):
    # One rate of 0.01 beside one of 50: the sum is as long as the larger needs.
    eta = np.log(np.array([0.01, 50.0]))
    support = list(get_family(name).support(eta, {"size": np.array([0.5, 5.0])}))
    assert [value for value, _ in support] == list(range(len(support)))
    left = 1 - sum(weight for _, weight in support)
    assert np.all(left <= 1e-9)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("mean", [1e4, 1e13, 1e300])
def test_counts_too_long_to_sum_are_refused_with_the_way_out(mean, name):
    eta = np.log(np.array([1.0, mean]))
    with pytest.raises(UnsupportedError, match="Rescale it, or use gaussian"):
        next(get_family(name).support(eta, {"size": np.array(2.0)}))


def test_overdispersion_can_make_a_moderate_count_too_long_to_sum():
    with pytest.raises(UnsupportedError, match=r"mean 300 would need a sum over \d+ values"):
        next(get_family("negative_binomial").support(np.log([300.0]), {"size": np.array(0.1)}))


# ---------------------------------------------------------------- draws


@pytest.mark.parametrize("name", FAMILIES)
def test_replicated_data_have_the_moments_of_the_family(name):
    n = 100_000
    eta = np.broadcast_to(ETA, (n, *ETA.shape))
    draws = get_family(name).draw(np.random.default_rng(1), eta, NOISE[name])
    assert draws.shape == eta.shape
    # Five standard errors of a mean; a variance has a standard error of about 1% here.
    assert np.all(np.abs(draws.mean(axis=0) - MEAN[name]) < 5 * np.sqrt(VARIANCE[name] / n))
    np.testing.assert_allclose(draws.var(axis=0), VARIANCE[name], rtol=0.06)
    get_family(name).check(draws.ravel(), "replicate")


@pytest.mark.parametrize("name", FAMILIES)
def test_equal_seeds_replicate_equal_data(name):
    first, second = (
        get_family(name).draw(np.random.default_rng(5), ETA, NOISE[name]) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


# ---------------------------------------------------------------- likelihoods

Y = {
    "gaussian": [0.5, -1.0, 2.0],
    "student_t": [0.5, -1.0, 20.0],
    "bernoulli": [1, 0, 1],
    "poisson": [2, 0, 4],
    "negative_binomial": [2, 0, 40],
}
AT = {"sigma": np.array(0.8), "nu": np.array(5.0), "size": np.array(1.7)}
LAW = {
    "gaussian": lambda eta: stats.norm(eta, 0.8),
    "student_t": lambda eta: stats.t(5, eta, 0.8),
    "bernoulli": lambda eta: stats.bernoulli(special.expit(eta)),
    "poisson": lambda eta: stats.poisson(np.exp(eta)),
    # Failures before the 1.7th success, with the mean at exp(eta).
    "negative_binomial": lambda eta: stats.nbinom(1.7, 1.7 / (1.7 + np.exp(eta))),
}


def noise_at(family) -> dict[str, np.ndarray]:
    return {name: AT[name] for name in family.noise}


@pytest.mark.parametrize("name", FAMILIES)
def test_density_and_distribution_function_are_those_of_pymc_and_of_the_law(name):
    family, y, eta = get_family(name), np.array(Y[name], dtype=float), ETA[0]
    law, distribution = LAW[name](eta), family.distribution(eta, noise_at(family))
    values = y.astype(int) if "int" in distribution.dtype else y
    log_density = family.log_likelihood(y, eta, noise_at(family))
    below = family.cdf(y, eta, noise_at(family))
    np.testing.assert_allclose(
        log_density, law.logpdf(y) if name in CONTINUOUS else law.logpmf(y), rtol=1e-10
    )
    np.testing.assert_allclose(below, law.cdf(y), rtol=1e-10)
    fast = {"mode": "FAST_COMPILE"}
    np.testing.assert_allclose(pm.logp(distribution, values).eval(**fast), log_density, rtol=1e-8)
    np.testing.assert_allclose(
        np.exp(pm.logcdf(distribution, values).eval(**fast)), below, rtol=1e-6
    )


def test_the_log_density_of_a_certain_event_stays_finite():
    bernoulli = get_family("bernoulli")
    y, eta = np.array([1.0, 0.0]), np.array([-800.0, 800.0])
    np.testing.assert_allclose(bernoulli.log_likelihood(y, eta), [-800.0, -800.0])


@pytest.mark.parametrize("name", [name for name in FAMILIES if FAMILIES[name].noise])
def test_the_noise_parameters_enter_the_model_under_their_names(name):
    family, y = get_family(name), np.array(Y[name], dtype=float)
    with pm.Model() as model:
        parameters = family.parameters("outcome", y)
    assert tuple(parameters) == family.noise
    assert all(model[f"outcome_{key}"] is value for key, value in parameters.items())
    values = pm.draw(list(parameters.values()), 2000, random_seed=1, mode="FAST_COMPILE")
    draws = dict(zip(parameters, values, strict=True))
    assert all((v > 0).all() for v in values)
    if "nu" in draws:
        assert draws["nu"].min() > 2
        # Gamma(2, 0.1) kept above 2.
        median = stats.gamma(2, scale=10).isf(0.5 * stats.gamma(2, scale=10).sf(2))
        assert np.median(draws["nu"]) == pytest.approx(median, rel=0.1)
    if "sigma" in draws:
        half_t = stats.t(3, scale=y.std()).ppf(0.75)
        assert np.median(draws["sigma"]) == pytest.approx(half_t, rel=0.1)
    if "size" in draws:
        assert np.median(draws["size"]) == pytest.approx(stats.norm.ppf(0.75) ** -2, rel=0.15)


def test_only_location_families_have_a_scale_that_may_vary():
    assert {name for name, family in FAMILIES.items() if family.has_scale} == set(CONTINUOUS)
