"""The PyMC step method: seeds, chains, processes, prediction, exactness with a logit link."""

from __future__ import annotations

import os
import subprocess

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from scipy import special

from bayes_hte.components.families import get_family
from bayes_hte.errors import SpecError
from bayes_hte.surfaces.forest.core import ForestPrior
from bayes_hte.surfaces.forest.draws import predict, stack
from bayes_hte.surfaces.forest.step import STAT, ForestData, ForestStep
from bayes_hte.surfaces.forest.surface import forest_function

N = 60


def small_model(*, family="gaussian"):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 2))
    arm = np.arange(N) % 2.0
    y = np.sin(2 * x[:, 0]) + arm + rng.normal(scale=0.3, size=N)
    if family == "bernoulli":
        y = (y > 0.3).astype(float)
    forests = {
        "shared": ForestData(ForestPrior(scale=1.0, trees=10), x),
        "effect": ForestData(ForestPrior(scale=0.5, trees=5), x, basis=arm),
    }
    with pm.Model(coords={"unit": np.arange(N)}) as model:
        f = {name: forest_function(name, data) for name, data in forests.items()}
        eta = f["shared"] + f["effect"] * arm
        noise = {}
        if family == "gaussian":
            noise = {"sigma": pm.HalfNormal("sigma", 1.0)}
            pm.Normal("y", eta, noise["sigma"], observed=y)
        else:
            pm.Bernoulli("y", logit_p=eta, observed=y)
        step = ForestStep(
            list(f.values()), forests=forests, eta=eta, noise=noise, y=y, family=family
        )
    return model, step, forests


def draw(*, seed=1, cores=1, chains=2, family="gaussian"):
    model, step, forests = small_model(family=family)
    with model:
        tree = pm.sample(
            draws=30,
            tune=20,
            chains=chains,
            cores=cores,
            step=[step],
            random_seed=seed,
            progressbar=False,
            compute_convergence_checks=False,
        )
    return tree, forests


@pytest.fixture(scope="module")
def reference():
    return draw(cores=1)


def children() -> set[str]:
    listing = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "comm="],
        capture_output=True,
        text=True,
        check=False,
    )
    return {name for name in listing.stdout.split() if name != "ps"}


def test_same_seed_same_draws_on_one_core_and_on_two(reference):
    before = children()
    again, _ = draw(cores=2)
    for name in ("shared", "effect", "sigma"):
        np.testing.assert_array_equal(again["posterior"][name], reference[0]["posterior"][name])
    assert children() <= before, "a worker process survived the fit"


def test_another_seed_gives_other_draws(reference):
    other, _ = draw(seed=2)
    assert not np.array_equal(other["posterior"]["shared"], reference[0]["posterior"]["shared"])


def test_chains_differ(reference):
    shared = reference[0]["posterior"]["shared"].to_numpy()
    assert not np.array_equal(shared[0], shared[1])


def test_stored_trees_predict_what_the_sampler_traced(reference):
    tree, forests = reference
    kept = tree["sample_stats"][STAT].to_numpy().reshape(2, 30)
    for i, name in enumerate(forests):
        trees = stack([[cell.forests[i] for cell in chain] for chain in kept])
        np.testing.assert_allclose(
            predict(trees, forests[name].x), tree["posterior"][name], atol=1e-12
        )
        # Any rows will do, in any order.
        some = forests[name].x[[5, 2, 2]]
        np.testing.assert_allclose(
            predict(trees, some), tree["posterior"][name].to_numpy()[..., [5, 2, 2]], atol=1e-12
        )


def test_binary_outcomes_reproduce_too():
    one, _ = draw(family="bernoulli", cores=1)
    two, _ = draw(family="bernoulli", cores=2)
    np.testing.assert_array_equal(one["posterior"]["shared"], two["posterior"]["shared"])


def test_logit_of_a_stump_has_the_exact_posterior():
    rng = np.random.default_rng(3)
    y = (np.arange(40) < 28).astype(float)
    x = rng.normal(size=(40, 1))
    prior = ForestPrior(scale=1.5, trees=1, alpha=1e-9, adaptive=False)
    data = ForestData(prior, x)
    with pm.Model(coords={"unit": np.arange(40)}) as model:
        f = forest_function("f", data)
        pm.Bernoulli("y", logit_p=f, observed=y)
        step = ForestStep([f], forests={"f": data}, eta=f + 0.0, noise={}, y=y, family="bernoulli")
        tree = pm.sample(
            draws=4000,
            tune=50,
            chains=2,
            cores=1,
            step=[step],
            random_seed=4,
            progressbar=False,
            compute_convergence_checks=False,
            model=model,
        )
    draws = tree["posterior"]["f"].to_numpy()[..., 0].ravel()
    grid = np.linspace(-6, 6, 20001)
    log_density = 28 * special.log_expit(grid) + 12 * special.log_expit(-grid) - grid**2 / 4.5
    weight = np.exp(log_density - log_density.max())
    weight /= weight.sum()
    mean = (weight * grid).sum()
    sd = np.sqrt((weight * (grid - mean) ** 2).sum())
    assert draws.mean() == pytest.approx(mean, abs=0.03)
    assert draws.std() == pytest.approx(sd, rel=0.05)


STUMPS = {
    "gaussian": (lambda rng: rng.normal(0.5, 1.0, 40), {"sigma": np.linspace(0.3, 3.0, 40)}),
    "student_t": (lambda rng: rng.standard_t(3, 40), {"sigma": np.full(40, 0.7), "nu": 3.0}),
    "poisson": (lambda rng: rng.poisson(2.0, 40), {}),
    "negative_binomial": (lambda rng: rng.negative_binomial(2, 0.4, 40), {"size": 2.0}),
}


@pytest.mark.parametrize("name", STUMPS)
def test_a_stump_has_the_exact_posterior_in_every_family(name):
    make, noise = STUMPS[name]
    rng, family = np.random.default_rng(5), get_family(name)
    y, x = make(rng).astype(float), rng.normal(size=(40, 1))
    data = ForestData(ForestPrior(scale=1.0, trees=1, alpha=1e-9, adaptive=False), x)
    with pm.Model(coords={"unit": np.arange(40)}) as model:
        f = forest_function("f", data)
        graph = {key: pt.as_tensor_variable(value) for key, value in noise.items()}
        # The outcome as a graph, as imputed outcomes are.
        shared = pytensor.shared(y)
        step = ForestStep([f], forests={"f": data}, eta=f + 0.0, noise=graph, y=shared, family=name)
    step.setup_chain(np.random.default_rng(6), tune=0, draws=1500)
    point, draws = model.initial_point(), np.empty(1500)
    for i in range(-50, 1500):
        point = step.step(point)[0]
        draws[max(i, 0)] = point["f"][0]
    grid = np.linspace(-4, 4, 8001)
    log_density = family.log_likelihood(y, grid[:, None], noise).sum(axis=1) - grid**2 / 2
    weight = np.exp(log_density - log_density.max())
    weight /= weight.sum()
    mean = (weight * grid).sum()
    sd = np.sqrt((weight * (grid - mean) ** 2).sum())
    # Four Monte Carlo errors of 500 effective draws, fewer than there are.
    assert draws.mean() == pytest.approx(mean, abs=4 * sd / np.sqrt(500))
    assert draws.std() == pytest.approx(sd, rel=0.1)


def test_prior_predictive_sampling_draws_functions_from_the_tree_prior():
    model, _, _ = small_model()
    with model:
        prior = pm.sample_prior_predictive(20, random_seed=1)
    shared = prior["prior"]["shared"].to_numpy()[0]
    assert shared.shape == (20, N)
    assert 0.3 < shared.std() < 3
    assert len(np.unique(shared[:, 0])) == 20


def test_a_family_without_working_model_is_refused():
    model, _, forests = small_model()
    f, y = model["shared"], np.zeros(N)
    with model, pytest.raises(SpecError, match=r"unknown family of a forest 'gausian'.*'gaussian'"):
        ForestStep([f], forests=forests, eta=f, noise={}, y=y, family="gausian")


def test_a_predictor_that_is_not_affine_in_a_forest_is_refused():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(N, 1)), rng.normal(size=N)
    data = ForestData(ForestPrior(scale=1.0, trees=5), x)
    with pm.Model(coords={"unit": np.arange(N)}):
        f = forest_function("f", data)
        sigma = pm.HalfNormal("sigma", 1.0)
        eta = f**2 + f
        pm.Normal("y", eta, sigma, observed=y)
        with pytest.raises(SpecError, match="not affine in forest 'f'"):
            ForestStep(
                [f], forests={"f": data}, eta=eta, noise={"sigma": sigma}, y=y, family="gaussian"
            )


def test_a_forest_with_the_wrong_basis_is_refused():
    rng = np.random.default_rng(0)
    x, y, arm = rng.normal(size=(N, 1)), rng.normal(size=N), np.arange(N) % 2.0
    data = ForestData(ForestPrior(scale=1.0, trees=5), x, basis=arm)
    with pm.Model(coords={"unit": np.arange(N)}):
        f = forest_function("f", data)
        sigma = pm.HalfNormal("sigma", 1.0)
        pm.Normal("y", f, sigma, observed=y)
        with pytest.raises(SpecError, match="basis"):
            ForestStep(
                [f],
                forests={"f": data},
                eta=f + 0.0,
                noise={"sigma": sigma},
                y=y,
                family="gaussian",
            )
