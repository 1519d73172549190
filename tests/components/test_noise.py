"""Noise that differs between units: recovered, evaluated at new rows, and its algebra."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from scipy import stats

import bayes_hte as hte
from bayes_hte.components.families import get_family
from bayes_hte.components.fitted import FittedComponent
from bayes_hte.components.noise import noise_at, noise_parameters
from bayes_hte.fitting.fitted import Fit
from bayes_hte.fitting.plan import Plan
from bayes_hte.study.design import Design
from bayes_hte.study.study import Study
from bayes_hte.surfaces.terms import Term

N = 240
# Log ratio of the arms' scales, and change of the log scale by one sd of x1.
ARM_EFFECT, SLOPE = 0.9, 0.4


def noisy_study() -> Study:
    rng = np.random.default_rng(3)
    x1, x2 = rng.normal(size=(2, N))
    arm = np.arange(N) % 2
    z = (x1 - x1.mean()) / x1.std()
    y = 1 + 0.5 * arm + 0.5 * np.exp(ARM_EFFECT * arm + SLOPE * z) * rng.normal(size=N)
    return Study.from_frame(
        pd.DataFrame({"y": y, "treat": arm, "x1": x1, "x2": x2}),
        outcome="y",
        treatment="treat",
        covariates=["x1", "x2"],
    )


@pytest.fixture(scope="module")
def study() -> Study:
    return noisy_study()


@pytest.fixture(scope="module")
def fitted(study):
    """The outcome model with its mean known, at the mode of the noise parameters: one draw."""
    design, family = Design.learn(study), get_family("gaussian")
    mean = 1 + 0.5 * study.arm_index()
    with pm.Model(coords={"unit": design.units.to_numpy()}) as model:
        noise = noise_parameters("outcome", family, study.outcome(), design, "varying")
        distribution = family.distribution(mean, noise)
        model.register_rv(distribution, "observed", observed=study.outcome())
        mode = pm.find_MAP(
            progressbar=False,
            compile_kwargs={"mode": "FAST_COMPILE"},
            return_inferencedata=True,
            jitter=False,
        )
    posterior = mode["posterior"].to_dataset()
    return FittedComponent(
        role="outcome",
        family_name="gaussian",
        surface="linear",
        noise_model="varying",
        terms=(Term("effect", "effect", "none", arm=1),),
        design=design,
        offset=1.0,
        clustered=False,
        posterior=posterior.assign(
            outcome_effect_const=xr.full_like(posterior["outcome_sigma"], 0.5)
        ),
        stats=xr.Dataset(),
        trees={},
    )


def test_the_ratio_of_the_arms_scales_and_the_slope_are_recovered(fitted):
    slopes = fitted.posterior["outcome_log_spread"]
    truth = {"(arm)": ARM_EFFECT, "x1": SLOPE, "x2": 0.0}
    assert list(slopes["outcome_log_spread_feature"].values) == list(truth)
    for got, (name, value) in zip(slopes.to_numpy().ravel(), truth.items(), strict=True):
        # The Fisher information of a log scale is 2 a unit.
        sd = 1 / np.sqrt(2 * N * (0.25 if name == "(arm)" else 1))
        assert got == pytest.approx(value, abs=3 * sd), name
    assert fitted.posterior["outcome_sigma"].item() == pytest.approx(0.5, rel=0.15)


def test_each_row_has_the_scale_of_its_own_arm_and_covariates(fitted, study):
    sigma = fitted.noise()["sigma"]
    assert sigma.shape == (1, 1, N)
    x1 = study.frame["x1"]
    truth = 0.5 * np.exp(ARM_EFFECT * study.arm_index() + SLOPE * (x1 - x1.mean()) / x1.std(ddof=0))
    assert np.corrcoef(np.log(sigma.mean(axis=(0, 1))), np.log(truth))[0, 1] > 0.95
    rows = fitted.design.replay(study.frame.iloc[[4, 9]])
    for arm in (0, 1):
        new = fitted.noise(rows.under(arm))["sigma"]
        own = study.arm_index()[[4, 9]] == arm
        np.testing.assert_allclose(new[..., own], sigma[..., [4, 9]][..., own])
    ratio = fitted.noise(rows.under(1))["sigma"] / fitted.noise(rows.under(0))["sigma"]
    slope = fitted.posterior["outcome_log_spread"].to_numpy()[..., :1]
    np.testing.assert_allclose(ratio, np.exp(np.broadcast_to(slope, ratio.shape)))


def test_the_log_likelihood_uses_each_units_own_scale(fitted, study):
    fit = Fit(study, Plan(learner="homogeneous"), 1, {"outcome": fitted})
    eta, sigma = fit.observed_predictor().to_numpy(), fitted.noise()["sigma"]
    expected = stats.norm.logpdf(study.outcome(), eta, sigma)
    np.testing.assert_allclose(fit.log_likelihood(), expected)


@pytest.mark.parametrize(("noise", "names"), [("by_arm", ["(arm)"]), ("varying", ["(arm)", "x1"])])
def test_the_scale_is_log_linear_in_arm_and_covariates(noise, names):
    frame = noisy_study().frame.drop(columns="x2")
    study = Study.from_frame(frame, outcome="y", treatment="treat", covariates=["x1"])
    rng = np.random.default_rng(1)
    slopes = rng.normal(size=(2, 5, len(names)))
    posterior = xr.Dataset(
        {
            "outcome_sigma": (("chain", "draw"), rng.gamma(2, size=(2, 5))),
            "outcome_nu": (("chain", "draw"), rng.gamma(2, size=(2, 5))),
            "outcome_log_spread": (("chain", "draw", "outcome_log_spread_feature"), slopes),
        }
    )
    design = Design.learn(study)
    got = noise_at(posterior, "outcome", get_family("student_t"), design, noise)
    z = pd.DataFrame({"(arm)": study.arm_index(), **design.standardized("covariates")})[names]
    spread = np.exp(slopes @ z.to_numpy().T)
    sigma = posterior["outcome_sigma"].to_numpy()[..., None]
    np.testing.assert_allclose(got["sigma"], sigma * spread)
    # What is no scale stays one number a draw.
    np.testing.assert_array_equal(got["nu"], posterior["outcome_nu"].to_numpy()[..., None])
    constant = noise_at(posterior, "outcome", get_family("gaussian"), design, "constant")
    np.testing.assert_array_equal(constant["sigma"], sigma)
    assert list(constant) == ["sigma"]


@pytest.mark.slow
def test_sampling_from_end_to_end_finds_the_arms_scales():
    fitted = hte.fit(
        noisy_study(),
        noise="varying",
        seed=1,
        chains=2,
        cores=1,
        draws=100,
        tune=150,
        progress=False,
    )
    outcome = fitted.components["outcome"]
    log_scale = [np.log(outcome.noise(outcome.design.under(a))["sigma"]) for a in (0, 1)]
    # The standard error of a log ratio of two sds is about 1 / sqrt(N / 2) = 0.09.
    assert np.mean(log_scale[1] - log_scale[0]) == pytest.approx(ARM_EFFECT, abs=0.3)
    assert np.isfinite(fitted.cate()).all()
