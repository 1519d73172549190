"""The direct sampler and PyMC's samplers of the same model have one posterior."""

from __future__ import annotations

import arviz_stats
import numpy as np
import pytest

from bayes_hte.fitting.plan import Plan
from bayes_hte.fitting.sampling import SamplerSize, sample_component, sample_with_pymc
from bayes_hte.fitting.stages import build_stage
from bayes_hte.study.spec import PriorSpec
from bayes_hte.study.study import Study
from tests.fakes import fake_study

SIZE = SamplerSize(chains=2, draws=1000, tune=300, cores=1, progress=False)
# Few trees mix fast.
FEW = [
    PriorSpec(component="outcome", term=term, trees=8, because="a test")
    for term in ("shared", "arm")
]


def study_of(family: str) -> Study:
    rng = np.random.default_rng(11)
    study = fake_study(rng, n_units=60, mediator=False)[0]
    frame = study.frame.copy()
    eta = frame["x1"] + frame["treat"].astype(float) * 0.5
    draw = {
        "gaussian": lambda: eta + rng.normal(size=60),
        "student_t": lambda: eta + rng.standard_t(4, size=60),
        "bernoulli": lambda: (rng.random(60) < 1 / (1 + np.exp(-eta))) * 1.0,
        "poisson": lambda: rng.poisson(np.exp(eta)) * 1.0,
        "negative_binomial": lambda: rng.poisson(np.exp(eta) * rng.gamma(2, 0.5, 60)) * 1.0,
    }
    return study.alike(frame.assign(y=draw[family]()))


def summaries(fitted) -> dict[str, np.ndarray]:
    """Draws, shape (chain, draw), of the numbers the samplers are compared by."""
    mean = fitted.linear_predictor().base.mean("unit").to_numpy()
    unit = fitted.linear_predictor().base[:, :, 0, 1].to_numpy()
    found = {"effect": mean[..., 1] - mean[..., 0], "level": mean.mean(axis=-1), "unit": unit}
    for name in ("sigma", "nu", "overdispersion"):
        if f"outcome_{name}" in fitted.posterior:
            found[name] = np.log(fitted.posterior[f"outcome_{name}"].to_numpy())
    found["leaf_sd"] = np.log(fitted.posterior["outcome_shared_leaf_sd"].to_numpy())
    return found


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Distance of two means in Monte Carlo standard errors."""
    errors = [float(arviz_stats.mcse(draws, method="mean")) for draws in (one, other)]
    return abs(one.mean() - other.mean()) / np.hypot(*errors)


def draws_of(family: str, sampler, *, noise: str = "constant", size: SamplerSize = SIZE):
    plan = Plan(family=family, noise=noise, propensity_covariate=False, priors=tuple(FEW))
    component = build_stage("outcome", study_of(family), plan, {})
    return summaries(sampler(component, seed=5, size=size))


@pytest.mark.slow
@pytest.mark.parametrize(
    "family", ["gaussian", "student_t", "bernoulli", "poisson", "negative_binomial"]
)
def test_forests_have_the_posterior_of_the_pymc_model(family):
    direct, pymc = draws_of(family, sample_component), draws_of(family, sample_with_pymc)
    assert direct.keys() == pymc.keys()
    for name in direct:
        # Of 30 comparisons, one in 1,000 times any is this far apart by chance.
        assert apart(direct[name], pymc[name]) < 4.2, name
        assert direct[name].std() == pytest.approx(pymc[name].std(), rel=0.35), name


def test_the_comparison_sees_another_model():
    small = SamplerSize(chains=2, draws=400, tune=100, cores=1, progress=False)
    told = draws_of("gaussian", sample_component, size=small)
    wrong = PriorSpec(component="outcome", term="shared", scale=0.1, trees=8, because="a test")
    plan = Plan(propensity_covariate=False, priors=(wrong,))
    component = build_stage("outcome", study_of("gaussian"), plan, {})
    other = summaries(sample_component(component, seed=5, size=small))
    assert apart(told["leaf_sd"], other["leaf_sd"]) > 10
