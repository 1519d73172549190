"""Expectations of the mediator: each unit without its own, and what that does for its slope."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from scipy import special, stats

from bayes_hte.components.families import get_family
from bayes_hte.components.predictor import LinearPredictor
from bayes_hte.effects import decompose
from bayes_hte.expected_mediator import expected_mediator, expected_seen, expected_unseen
from bayes_hte.fitted_study import Fit
from bayes_hte.fitting import fit_stage, posterior_sampler, stages
from bayes_hte.names import ARM, SAMPLE, UNIT
from bayes_hte.plan import Plan
from bayes_hte.sampling import SamplerSize
from bayes_hte.simulation import simulate_scenario
from bayes_hte.spec import PriorSpec
from bayes_hte.study import Study

SIGMA = 1.0


def fake_mediator(eta: np.ndarray, family: str = "gaussian") -> SimpleNamespace:
    """A mediator model with these linear predictors, shape (chain, draw, unit, arm)."""
    base = xr.DataArray(eta, dims=(*SAMPLE, UNIT, ARM))
    return SimpleNamespace(
        family=get_family(family),
        linear_predictor=lambda: LinearPredictor(base, None),
        noise=lambda: (
            {"sigma": np.full((*eta.shape[:2], 1), SIGMA)} if family == "gaussian" else {}
        ),
    )


def fake_study(mediator: np.ndarray, arm: np.ndarray) -> SimpleNamespace:
    return SimpleNamespace(n_units=arm.size, mediator=lambda: mediator, arm_index=lambda: arm)


def normal_posterior(draws: int) -> tuple[SimpleNamespace, SimpleNamespace, np.ndarray]:
    """Exact draws of a normal regression, its study, and what each unit's others expect."""
    rng = np.random.default_rng(4)
    n = 40
    x, arm = rng.normal(size=(n, 2)), rng.permutation(np.repeat([0, 1], n // 2))
    columns = np.column_stack([np.ones(n), x, arm])
    y = columns @ [1.0, 0.8, -0.5, 0.7] + rng.normal(size=n)

    def posterior(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        precision = columns[rows].T @ columns[rows] / SIGMA**2 + np.eye(4) / 4
        covariance = np.linalg.inv(precision)
        return covariance @ columns[rows].T @ y[rows] / SIGMA**2, covariance

    everybody = np.arange(n)
    without = np.array([columns[i] @ posterior(np.delete(everybody, i))[0] for i in everybody])
    beta = stats.multivariate_normal(*posterior(everybody)).rvs(draws, random_state=rng)
    under = [np.column_stack([columns[:, :3], np.full(n, t)]) for t in (0, 1)]
    eta = np.stack([beta @ rows.T for rows in under], axis=-1).reshape(2, -1, n, 2)
    return fake_mediator(eta), fake_study(y, arm), without


def test_the_expectation_without_a_unit_is_that_of_the_posterior_without_it():
    mediator, study, without = normal_posterior(20_000)
    np.testing.assert_allclose(expected_unseen(mediator, study), without, atol=0.03)
    # The posterior mean, which has seen the unit, would fail that.
    assert np.abs(expected_seen(mediator, study) - without).max() > 0.1


def test_expectations_are_of_the_mediator_not_of_its_linear_predictor():
    eta = np.random.default_rng(5).normal(size=(2, 100, 6, 2))
    arm = np.array([0, 1, 0, 1, 1, 0])
    mediator, study = fake_mediator(eta, "bernoulli"), fake_study(np.array([0, 1, 1, 0, 1, 0]), arm)
    expected = special.expit(eta).mean((0, 1))
    np.testing.assert_allclose(
        expected_mediator(mediator, mediator.linear_predictor().base), expected
    )
    np.testing.assert_allclose(expected_seen(mediator, study), expected[np.arange(6), arm])
    # Who had it was expected to have it by those who have seen it, less so by the others.
    gap = expected_unseen(mediator, study) - expected_seen(mediator, study)
    assert (np.sign(gap) == np.where(study.mediator() == 1, -1, 1)).all()


def test_few_draws_are_weighted_without_smoothing():
    eta = np.random.default_rng(6).normal(size=(2, 5, 3, 2))
    y, arm = np.array([0.5, -1.0, 2.0]), np.array([0, 1, 0])
    own = np.take_along_axis(eta, arm[None, None, :, None], axis=3)[..., 0]
    weights = special.softmax((y - own) ** 2 / 2, axis=(0, 1))
    expected = (weights * own).sum((0, 1))
    np.testing.assert_allclose(expected_unseen(fake_mediator(eta), fake_study(y, arm)), expected)


def fit_part_direct(expect, priors: tuple[PriorSpec, ...] = ()) -> tuple[Fit, np.ndarray]:
    """Fit 500 units, in a quarter of whom half of the effect is direct; return who they are."""
    truth = simulate_scenario("simple_part", np.random.default_rng(2), n=500, noise=1.0)
    columns = {"outcome": "y", "treatment": "treat", "mediator": "m"}
    study = Study.from_frame(truth.frame, **columns, covariates=truth.covariates)
    plan = Plan(priors=priors)
    size = SamplerSize(chains=2, draws=100, tune=100, cores=1, progress=False)
    done, sample = {}, posterior_sampler(seed=1, size=size)
    for stage in stages(study, plan):
        done[stage] = fit_stage(stage, study, plan, done, sample, expect=expect)
    return Fit(study, plan, 1, done), truth.in_subgroup


def average_over_arms(mediator, study) -> np.ndarray:
    return expected_mediator(mediator, mediator.linear_predictor().base).mean(axis=1)


def test_a_direct_effect_is_not_taken_for_an_indirect_one():
    # The indirect effect in the subgroup is 1.58; the direct effect is as large, in the same units.
    fit, inside = fit_part_direct(expected_unseen)
    tnie = decompose(fit.potential_outcomes())["tnie"].mean(SAMPLE).to_numpy()
    assert tnie[inside].mean() == pytest.approx(1.58, abs=0.35)
    # Mediator less the average of both arms, its expectation without a coefficient: a model that
    # says the same of the data, but whose slope takes what its shrunk surfaces miss.
    none = PriorSpec(component="outcome", term="expected_mediator", because="none", scale=1e-6)
    before, _ = fit_part_direct(average_over_arms, (none,))
    tnie = decompose(before.potential_outcomes())["tnie"].mean(SAMPLE).to_numpy()
    assert tnie[inside].mean() > 1.58 + 0.5
