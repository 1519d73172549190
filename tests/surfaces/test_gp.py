"""Gaussian-process surfaces: the marginal likelihood, its draws, and prediction from them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import stats

from bayes_hte.errors import SamplingError, SavedResultError
from bayes_hte.study.design import Design
from bayes_hte.study.study import Study
from bayes_hte.surfaces.gp import collapsed as gp_collapsed
from bayes_hte.surfaces.gp.inducing import inducing_count, inducing_points, kernel, point_labels
from bayes_hte.surfaces.gp.model import GPRegression, collapsed_model
from bayes_hte.surfaces.gp.sampling import MODE, sample_collapsed
from bayes_hte.surfaces.gp.surface import gp_function, gp_term, predict_gp
from bayes_hte.surfaces.terms import Term

CONSTANT = Term("effect", "effect", "none", arm=1)
TERMS = (
    Term("shared", "shared", "covariates"),
    Term("arm_0", "arm", arm=0),
    Term("arm_1", "arm", arm=1),
)
SIZE = {"chains": 2, "draws": 6, "hyper_draws": 3, "tune": 2, "seed": 4}


def make_design(n: int, *, p: int = 2, seed: int = 0) -> Design:
    rng = np.random.default_rng(seed)
    columns = [f"x{j}" for j in range(p)]
    frame = pd.DataFrame(rng.normal(size=(n, p)), columns=columns)
    frame = frame.assign(t=rng.permutation(n) % 2, y=rng.normal(size=n))
    return Design.learn(Study.from_frame(frame, outcome="y", treatment="t", covariates=columns))


def make_regression(
    design: Design,
    y: np.ndarray,
    *,
    terms: tuple[Term, ...] = TERMS,
    n_inducing: int | None = None,
) -> GPRegression:
    made = tuple(
        gp_term(
            f"outcome_{term.name}",
            term,
            design,
            scale=1.0 if term.kind == "shared" else 0.5,
            basis=term.basis(design.arm, None),
            n_inducing=n_inducing,
        )
        for term in terms
    )
    return GPRegression("outcome", made, y, 0.3, 1.0)


def fitc_covariance(regression: GPRegression, theta: np.ndarray) -> np.ndarray:
    """Covariance of y written from the definition, n by n."""
    n = len(regression.y)
    covariance, start = theta[-1] ** 2 * np.eye(n), 0
    for term in regression.terms:
        p, z = len(term.features), term.z
        own = np.full((n, n), term.constant_scale**2)
        if p:
            scale, a, s = theta[start : start + p], *theta[start + p : start + p + 2]
            start += p + 2
            inner = kernel(term.points, term.points, scale) + 1e-6 * np.eye(len(term.points))
            cross = kernel(term.points, z, scale)
            low = cross.T @ np.linalg.solve(inner, cross)
            own = own + a**2 * (low + np.diag(1 - np.diag(low))) + s**2 * z @ z.T
        covariance += own * np.outer(term.basis, term.basis)
    return covariance


def some_theta(regression: GPRegression, seed: int = 1) -> np.ndarray:
    size = sum(term.n_hyper for term in regression.terms) + 1
    return np.exp(0.3 * np.random.default_rng(seed).normal(size=size))


# ---------------------------------------------------------------- inducing points


def test_few_distinct_rows_are_their_own_inducing_points():
    z = np.array([[0.0, 1.0], [2.0, 3.0], [0.0, 1.0]])
    np.testing.assert_array_equal(inducing_points(z, 2), [[0.0, 1.0], [2.0, 3.0]])
    assert [inducing_count(n) for n in (100, 2500, 10**6)] == [100, 200, 300]


def test_inducing_points_are_the_same_each_time_and_have_distinct_labels():
    z = np.random.default_rng(0).normal(size=(60, 3))
    points = inducing_points(z, 10)
    np.testing.assert_array_equal(inducing_points(z.copy(), 10), points)
    assert len(set(point_labels(points))) == 10


# ---------------------------------------------------------------- the marginal likelihood


@pytest.mark.parametrize("n_inducing", [8, 30])
def test_the_log_likelihood_is_the_dense_gaussian_density(n_inducing):
    design = make_design(30)
    y = np.random.default_rng(2).normal(size=30)
    terms = (*TERMS, CONSTANT)
    regression = make_regression(design, y, terms=terms, n_inducing=n_inducing)
    # With every row a point there are two ways to the same number.
    for made in (regression.terms, tuple(_inexact(t) for t in regression.terms)):
        theta = some_theta(regression)
        groups = gp_collapsed.group_rows(made)
        got = gp_collapsed.log_likelihood(made, groups, theta, y)
        want = stats.multivariate_normal(cov=fitc_covariance(regression, theta)).logpdf(y)
        # The exact process has no jitter, of which the definition above has 1e-6.
        assert got == pytest.approx(want, abs=1e-4 if made[0].exact else 1e-8)


def test_without_jitter_the_exact_log_likelihood_is_the_dense_gaussian_density():
    design = make_design(30)
    y = np.random.default_rng(2).normal(size=30)
    regression = make_regression(design, y, terms=(Term("arm_1", "arm", arm=1),))
    (term,), theta = regression.terms, np.array([0.8, 1.5, 0.7, 0.4, 0.6])
    own = 0.49 * kernel(term.z, term.z, theta[:2]) + 0.16 * term.z @ term.z.T + 0.25
    covariance = own * np.outer(term.basis, term.basis) + 0.36 * np.eye(30)
    got = gp_collapsed.log_likelihood((term,), gp_collapsed.group_rows((term,)), theta, y)
    assert got == pytest.approx(stats.multivariate_normal(cov=covariance).logpdf(y), abs=1e-8)


@pytest.mark.parametrize("n_inducing", [8, 30])
def test_the_gradient_is_that_of_the_log_likelihood(n_inducing):
    y = np.random.default_rng(2).normal(size=30)
    terms = (*TERMS, CONSTANT)
    regression = make_regression(make_design(30), y, terms=terms, n_inducing=n_inducing)
    theta, groups = some_theta(regression), gp_collapsed.group_rows(regression.terms)

    def value(at: np.ndarray) -> float:
        return gp_collapsed.log_likelihood(regression.terms, groups, at, y)

    steps = 1e-5 * np.eye(len(theta))
    numeric = [(value(theta + step) - value(theta - step)) / 2e-5 for step in steps]
    got, gradient = gp_collapsed.log_likelihood_gradient(regression.terms, groups, theta, y)
    assert got == value(theta)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-6)


def test_the_model_adds_the_priors_and_draws_from_them():
    design, y = make_design(20), np.random.default_rng(3).normal(size=20)
    regression = make_regression(design, y)
    model = collapsed_model(regression)
    theta = some_theta(regression)
    got, _ = model.logp_dlogp_function(ravel_inputs=True, mode=MODE)(np.log(theta))
    prior, start = stats.t(3).logpdf(theta[-1]) + np.log(2) + np.log(theta[-1]), 0
    middle = np.sqrt(2) + 0.5 * np.log(2) - 0.5
    for term in regression.terms:
        prior += stats.norm(middle, 1).logpdf(np.log(theta[start : start + 2])).sum()
        scales = theta[start + 2 : start + 4]
        prior += (stats.halfnorm(scale=term.scale).logpdf(scales) + np.log(scales)).sum()
        start += 4
    groups = gp_collapsed.group_rows(regression.terms)
    likelihood = gp_collapsed.log_likelihood(regression.terms, groups, theta, y - 0.3)
    # PyMC keeps a normalising constant in single precision.
    assert float(got) == pytest.approx(prior + likelihood, abs=1e-6)
    observed = model["outcome_observed"]
    first, second = (pm.draw(observed, random_seed=seed, mode=MODE) for seed in (1, 2))
    assert first.shape == (20,)
    assert not np.allclose(first, second)


# ---------------------------------------------------------------- weights


def test_the_mean_of_the_weights_is_exact_gaussian_process_regression():
    design = make_design(25)
    y = np.random.default_rng(5).normal(size=25)
    regression = make_regression(design, y, terms=(Term("shared", "shared", "covariates"),))
    (term,) = regression.terms
    theta = np.array([0.9, 1.4, 1.2, 0.5, 0.4])
    covariance = fitc_covariance(regression, theta)
    signal = covariance - 0.16 * np.eye(25)
    mean = signal @ np.linalg.solve(covariance, y)
    spread = np.sqrt(np.diag(signal - signal @ np.linalg.solve(covariance, signal)))
    phi, _, _ = gp_collapsed._features((term,), theta)
    for used in (term, _inexact(term)):
        groups, rng = gp_collapsed.group_rows((used,)), np.random.default_rng(1)
        draws = gp_collapsed.draw_weights((used,), groups, theta, y, size=20_000, rng=rng) @ phi.T
        np.testing.assert_allclose(draws.mean(axis=0), mean, atol=5 * spread.max() / np.sqrt(2e4))
        np.testing.assert_allclose(draws.std(axis=0), spread, rtol=0.03)
    solved = gp_collapsed._solve((_inexact(term),), groups, theta, y)
    np.testing.assert_allclose(phi @ solved.mean, mean, atol=1e-4)


def _inexact(term: gp_collapsed.GPTerm) -> gp_collapsed.GPTerm:
    """The same term, sent through the inducing points."""
    return dataclasses.replace(term, exact=False)


# ---------------------------------------------------------------- sampling and prediction


@pytest.fixture(scope="module")
def fitted():
    design = make_design(90, p=2, seed=6)
    x = design.frame["x0"].to_numpy()
    effect = 1.0 + np.sin(1.5 * x)
    noise = np.random.default_rng(7).normal(scale=0.3, size=90)
    y = design.frame["x1"].to_numpy() + design.arm * effect + noise
    regression = make_regression(design, y, n_inducing=30)
    model = collapsed_model(regression)
    size = {"chains": 2, "draws": 60, "hyper_draws": 15, "tune": 8, "seed": 1}
    posterior, stats_ = sample_collapsed(regression, model, **size)
    return design, regression, effect, posterior, stats_


def test_a_smooth_effect_is_recovered(fitted):
    design, _, effect, posterior, sample_stats = fitted
    arms = [predict_gp(posterior, f"outcome_{t.name}", t, design, design) for t in TERMS[1:]]
    draws = (arms[1] - arms[0]).reshape(-1, 90)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    assert np.sqrt(np.mean((draws.mean(axis=0) - effect) ** 2)) < 0.35 * effect.std()
    assert np.mean((low <= effect) & (effect <= high)) > 0.85
    assert int(sample_stats["diverging"].sum()) == 0


def test_prediction_at_the_study_is_the_sampled_function(fitted):
    design, regression, _, posterior, _ = fitted
    draw = {"chain": 1, "draw": 17}
    for term, made in zip(TERMS, regression.terms, strict=True):
        prefix = made.prefix
        got = predict_gp(posterior, prefix, term, design, design, residual=False)[1, 17]
        own = posterior.isel(draw)
        theta = np.concatenate(
            [own[f"{prefix}_lengthscale"], [own[f"{prefix}_amplitude"], own[f"{prefix}_tau"], 1.0]]
        )
        everywhere = dataclasses.replace(made, basis=np.ones(90))
        phi, _, _ = gp_collapsed._features((everywhere,), theta)
        weights = [own[f"{prefix}_weight"], own[f"{prefix}_raw"]]
        constant = own[f"{prefix}_const"] / made.constant_scale
        np.testing.assert_allclose(got, phi @ np.concatenate([*weights, [constant]]), atol=1e-8)


def test_the_residual_has_the_variance_the_points_leave_and_belongs_to_the_row(fitted):
    design, regression, _, posterior, _ = fitted
    term, made = TERMS[2], regression.terms[2]
    both = [
        predict_gp(posterior, made.prefix, term, design, design, residual=r) for r in (True, False)
    ]
    left = np.empty(both[0].shape)
    for chain in range(2):
        for draw in range(60):
            own = posterior.isel(chain=chain, draw=draw)
            theta = np.array(
                [*own[f"{made.prefix}_lengthscale"], own[f"{made.prefix}_amplitude"], 1.0, 1e-9]
            )
            everywhere = dataclasses.replace(made, basis=np.ones(90))
            left[chain, draw] = gp_collapsed._features((everywhere,), theta)[1]
    noise = (both[0] - both[1]) / np.sqrt(left)
    assert noise.std() == pytest.approx(1, abs=0.05)
    rows = dataclasses.replace(design, frame=design.frame.iloc[[3, 77, 3]])
    again = predict_gp(posterior, made.prefix, term, design, rows)
    np.testing.assert_allclose(again, both[0][..., [3, 77, 3]], atol=1e-10)


def test_other_inducing_points_are_refused(fitted):
    design, regression, _, posterior, _ = fitted
    other = make_design(90, p=2, seed=8)
    with pytest.raises(SavedResultError, match="inducing points found in this study are not"):
        predict_gp(posterior, regression.terms[0].prefix, TERMS[0], other, design)


def test_same_seed_same_draws_and_chains_differ():
    y = np.random.default_rng(9).normal(size=24)
    regression = make_regression(make_design(24), y, terms=(Term("shared", "shared"), CONSTANT))
    model = collapsed_model(regression)
    first, again = (sample_collapsed(regression, model, **SIZE) for _ in range(2))
    assert first[0].equals(again[0])
    assert first[1].sizes == {"chain": 2, "draw": 6}
    lengthscale = first[0]["outcome_shared_lengthscale"].to_numpy()
    assert not np.allclose(lengthscale[0], lengthscale[1])
    # Two draws of the weights for each draw of the hyperparameters.
    np.testing.assert_array_equal(lengthscale[:, 0], lengthscale[:, 1])
    assert not np.allclose(lengthscale[:, 1], lengthscale[:, 2])


def test_the_collapsed_model_has_the_variables_of_the_full_one():
    design, y = make_design(24), np.random.default_rng(9).normal(size=24)
    terms = (Term("shared", "shared"), CONSTANT)
    regression = make_regression(design, y, terms=terms)
    posterior, _ = sample_collapsed(regression, collapsed_model(regression), **SIZE)
    with pm.Model(coords={"unit": np.arange(24)}) as model:
        for term in terms:
            gp_function(f"outcome_{term.name}", term, design, scale=1.0)
        pm.HalfStudentT("outcome_sigma", nu=3, sigma=1)
    for name in posterior.data_vars:
        dims = tuple(d for d in posterior[name].dims if d not in ("chain", "draw"))
        assert tuple(model.named_vars_to_dims.get(name, ())) == dims
        for dim in dims:
            np.testing.assert_array_equal(np.array(model.coords[dim]), posterior[dim].to_numpy())
    assert {v.name for v in model.unobserved_RVs} == set(posterior.data_vars)


def test_the_function_in_a_model_is_what_prediction_evaluates():
    design = make_design(24)
    for term in (Term("shared", "shared", "covariates+arm"), CONSTANT):
        with pm.Model(coords={"unit": np.arange(24)}) as model:
            function = gp_function("f", term, design, scale=1.0, n_inducing=9)
            pm.Deterministic("value", function, dims="unit")
        with model:
            drawn = pm.sample_prior_predictive(2, random_seed=1, compile_kwargs={"mode": MODE})
        posterior = drawn["prior"].to_dataset()
        got = predict_gp(posterior, "f", term, design, design, residual=False)
        np.testing.assert_allclose(got, posterior["value"].to_numpy(), atol=1e-8)


# ---------------------------------------------------------------- failures


def test_an_optimiser_at_its_cap_is_an_error():
    y = np.random.default_rng(9).normal(size=24)
    regression = make_regression(make_design(24), y, terms=(Term("shared", "shared"), CONSTANT))
    model = collapsed_model(regression)
    with pytest.raises(SamplingError, match=r"stopped after 2 steps.*surface='forest'"):
        sample_collapsed(regression, model, optimiser_steps=2, **SIZE)
