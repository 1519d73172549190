"""The law of a mixture, its PyMC model and what follows from the law; nothing is sampled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.special import expit

from bayes_hte.errors import SpecError
from bayes_hte.mixtures import (
    MixturePriors,
    empirical_moments,
    mixture_arrays,
    solve_mixture,
    starting_values,
)
from bayes_hte.mixtures.likelihood import membership as membership_module
from bayes_hte.mixtures.likelihood.law import class_law, class_means, collapse
from bayes_hte.mixtures.likelihood.membership import (
    class_shares,
    log_likelihood,
    mean_membership,
    membership_draws,
)
from bayes_hte.mixtures.likelihood.model import build_mixture, start_point
from tests.mixtures.fake_mixture import mixture_frame
from tests.mixtures.laws import arrays, joint_by_hand, random_law, some_covariates, some_rows


@pytest.fixture(scope="module")
def frame():
    return mixture_frame(2000)


@pytest.mark.parametrize(
    ("family", "level", "covariates"),
    [
        *[(family, level, None) for family in ("bernoulli", "gaussian") for level in (2, 3, 4)],
        *[(family, 3, None) for family in ("student_t", "poisson", "negative_binomial")],
        ("bernoulli", 3, some_covariates()),
    ],
    ids=lambda value: "covariates" if isinstance(value, pd.DataFrame) else str(value),
)
def test_model_density_is_the_sum_over_rows_and_classes(family, level, covariates):
    z, x, t, y = some_rows(family)
    data = mixture_arrays(z, x, t, y)
    patterns = collapse(data, covariates)
    priors = MixturePriors()
    model = build_mixture(data, patterns, k=2, level=level, family=family, priors=priors)
    rng = np.random.default_rng(9)
    point = {
        name: value + rng.normal(scale=0.7, size=np.shape(value))
        for name, value in model.initial_point().items()
    }
    values = model.compile_fn(model.unobserved_value_vars, mode="FAST_COMPILE")(point)
    names = [variable.name for variable in model.unobserved_value_vars]
    known = xr.Dataset(
        {
            name: (("chain", "draw", *(f"{name}_{i}" for i in range(np.ndim(value)))),
                   np.asarray(value)[None, None])
            for name, value in zip(names, values, strict=True)
        }
    )  # fmt: skip
    draws = class_law(known, level, family)
    law = draws.at(slice(0, 1))
    law = replace(
        law,
        **{name: value[0, 0] for name, value in vars(law).items() if hasattr(value, "ndim")},
        noise={name: value[0, 0] for name, value in law.noise.items()},
    )
    w = covariates.to_numpy() if covariates is not None else np.empty((len(z), 0))
    rows = [
        np.log(joint_by_hand(law, (*row, *extra), family).sum())
        for row, extra in zip(zip(z, x, t, y, strict=True), w, strict=True)
    ]
    potential = model.compile_logp(vars=model.potentials, mode="FAST_COMPILE")
    assert float(potential(point)) == pytest.approx(sum(rows), rel=1e-10)
    by_pattern = log_likelihood(draws, patterns, family)
    np.testing.assert_allclose(by_pattern[0, 0, patterns.row], rows)


def test_equal_rows_are_counted_once_and_every_unit_keeps_its_row():
    z, x, t, y = some_rows("bernoulli", n=500)
    patterns = collapse(mixture_arrays(z, x, t, y))
    assert len(patterns.z) <= 24
    assert patterns.count.sum() == 500
    for name, column in (("z", z), ("x", x), ("arm", t), ("outcome", y)):
        assert (getattr(patterns, name)[patterns.row] == column).all()


@pytest.mark.parametrize("level", [2, 3, 4])
def test_start_is_the_moment_solution_in_the_parameters_of_the_model(frame, level):
    data = arrays(frame)
    moments = empirical_moments(data)
    start = starting_values(solve_mixture(moments, k=2), moments)
    priors = MixturePriors()
    point = start_point(start, data, level=level, family="bernoulli", priors=priors)
    y = data.outcome
    centre = np.log((y.sum() + 0.5) / (len(y) - y.sum() + 0.5))
    means = expit(centre + 1.5 * point["outcome_raw"])
    np.testing.assert_allclose(means, np.broadcast_to(start.baseline[:, None], means.shape))
    treated = expit(point["treatment_logit"])
    assert treated.shape == ((2, 1) if level == 2 else (2, 2))
    overall = (start.z_given_u * start.treated_given_zu).sum(axis=1)
    weights = start.z_given_u if level > 2 else np.ones((2, 1))
    np.testing.assert_allclose((treated * weights).sum(axis=1), overall)


def test_a_gaussian_start_is_on_the_scale_of_its_prior(frame):
    rng = np.random.default_rng(21)
    score = 50 + 4 * frame["y"].to_numpy() + rng.normal(size=len(frame))
    data = arrays(frame, score)
    moments = empirical_moments(data)
    start = starting_values(solve_mixture(moments, k=2), moments)
    priors = MixturePriors(outcome_scale=3.0)
    point = start_point(start, data, level=3, family="gaussian", priors=priors)
    means = score.mean() + 3 * 2 * score.std() * point["outcome_raw"][:, 0]
    np.testing.assert_allclose(means, start.baseline)


def test_class_means_average_over_x_when_the_outcome_depends_on_it():
    law = random_law(np.random.default_rng(2), 3, 2, 4, 4, "bernoulli", draws=(2, 5))
    means = class_means(law, "bernoulli")
    by_hand = sum(
        law.x_given_class[1, 2, 0, x] * expit(law.outcome_predictor[1, 2, 0, x]) for x in range(4)
    )
    np.testing.assert_allclose(means[1, 2, 0], by_hand)


@pytest.mark.parametrize("family", ["bernoulli", "gaussian"])
def test_membership_is_bayes_rule(family):
    z, x, t, y = some_rows(family, n=30)
    patterns = collapse(mixture_arrays(z, x, t, y))
    law = random_law(np.random.default_rng(6), 3, 3, 2, 3, family)
    got = membership_draws(law, patterns, family, "row")[:, patterns.row]
    proxies = membership_draws(law, patterns, family, "proxies")[:, patterns.row]
    for i, row in enumerate(zip(z, x, t, y, strict=True)):
        joint = joint_by_hand(law, row, family)
        np.testing.assert_allclose(got[:, i], joint / joint.sum())
        seen = law.probabilities * law.z_given_class[:, z[i]] * law.x_given_class[:, x[i]]
        np.testing.assert_allclose(proxies[:, i], seen / seen.sum())


def test_mean_membership_does_not_depend_on_the_chunks(monkeypatch):
    patterns = collapse(mixture_arrays(*some_rows("bernoulli")))
    law = random_law(np.random.default_rng(7), 2, 3, 2, 3, "bernoulli", draws=(2, 9))
    whole = mean_membership(law, patterns, "bernoulli", "row")
    monkeypatch.setattr(membership_module, "CHUNK", 4 * 2 * len(patterns.z))
    for a, b in zip(whole, mean_membership(law, patterns, "bernoulli", "row"), strict=True):
        np.testing.assert_allclose(a, b)
    with pytest.raises(SpecError, match="given"):
        mean_membership(law, patterns, "bernoulli", "everything")


def test_priors_must_be_positive():
    with pytest.raises(SpecError, match="treatment_sd"):
        MixturePriors(treatment_sd=0)


def test_shares_of_classes_average_over_their_covariates():
    patterns = collapse(mixture_arrays(*some_rows("bernoulli")), some_covariates())
    rng = np.random.default_rng(17)
    law = random_law(rng, 3, 3, 2, 3, "bernoulli", draws=(2, 4), covariates=2)
    odds = np.log(law.probabilities[1, 2]) + some_covariates().to_numpy() @ law.class_slopes[1, 2]
    by_hand = (np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(class_shares(law, patterns)[1, 2], by_hand)
