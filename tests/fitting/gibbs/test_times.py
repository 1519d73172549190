"""Times to an event in the direct sampler: joint distribution, scale on a grid, PyMC's draws."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes_hte.components.component import Component
from bayes_hte.components.outcome import build_outcome
from bayes_hte.fitting.gibbs.coefficients import coefficients_part
from bayes_hte.fitting.gibbs.noise import noise_part
from bayes_hte.fitting.plan import Plan
from bayes_hte.fitting.sampling import SamplerSize, sample_component, sample_with_pymc
from bayes_hte.fitting.stages import build_stage
from bayes_hte.study.design import Design
from bayes_hte.study.study import Study
from tests.fitting.gibbs.driver import iterate
from tests.fitting.gibbs.test_against_pymc import FEW, apart, summaries
from tests.fitting.gibbs.test_joint_distribution import (
    FRESH,
    REPLICATES,
    SMALLEST,
    prior_draws,
    put,
)

N = 16


def study_of(n: int, family: str = "lognormal", *, entry: bool = False, seed: int = 3) -> Study:
    rng = np.random.default_rng(seed)
    x, arm = rng.normal(size=n), np.arange(n) % 2
    error = {"lognormal": rng.normal(size=n), "weibull": np.log(rng.exponential(size=n))}
    log_time = 0.5 + 0.5 * x + 0.5 * arm + 0.7 * error.get(family, error["lognormal"])
    end = 0.6 + rng.exponential(3.0, size=n)
    frame = pd.DataFrame({"x1": x, "x2": rng.normal(size=n), "t": arm})
    frame["time"] = np.minimum(np.exp(log_time), end)
    frame["died"] = np.exp(log_time) <= end
    frame["start"] = np.where(np.arange(n) % 3 == 0, frame["time"] / 3, 0.0)
    roles = {"outcome": "time", "event": "died", "treatment": "t", "covariates": ["x1", "x2"]}
    return Study.from_frame(frame, **roles, entry="start" if entry else None)


def linear(family: str, *, entry: bool = False, **how) -> Component:
    study = study_of(N, entry=entry)
    design = Design.learn(study)
    return build_outcome(
        study, design, family=family, surface="linear", learner="homogeneous", **how
    )


@cache
def prior_of(family: str) -> dict[str, np.ndarray]:
    return prior_draws(linear(family, noise="by_arm"))


def smallest_p(component: Component, alternations: int, *, factor: float = 1.0) -> float:
    """As in ``test_joint_distribution``, with times that are censored at fixed times.

    Nobody enters late: priors allow for entries that nobody survives, and unseen rows are then too
    many to draw. The conditionals with late entry are held against grids.
    """
    rng, prior = np.random.default_rng(7), prior_of(component.family.name)
    part, noise = coefficients_part(component, rng), noise_part(component, rng)
    noise._scale *= factor
    family, known, after = component.family, component.censoring, []
    end = 2.0 + np.arange(N) / 4
    for k in range(REPLICATES):
        put(part, noise, {name: values[k] for name, values in prior.items()})
        eta = component.offset + part.predictor()
        for _ in range(alternations):
            sigma = {n: np.atleast_1d(v) for n, v in noise.values().items()}
            time = np.maximum(family.draw(rng, eta, sigma), 1e-300)
            known.event[:] = time <= end
            y = np.minimum(time, end)
            eta = iterate(family.name, y, eta, part, noise, rng, known)
        after.append(part.record() | noise.record())
    p_values = []
    for name, values in prior.items():
        here = np.array([record[name] for record in after]).reshape(REPLICATES, -1)
        there = values[REPLICATES:].reshape(FRESH, -1)
        p_values += [stats.ks_2samp(a, b).pvalue for a, b in zip(here.T, there.T, strict=True)]
    return min(p_values) * len(p_values)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["lognormal", "weibull"])
def test_parameters_keep_the_prior_of_the_pymc_model(family):
    assert smallest_p(linear(family, noise="by_arm"), 5) > SMALLEST


@pytest.mark.slow
@pytest.mark.parametrize("family", ["lognormal", "weibull"])
def test_a_wrong_prior_of_the_scale_is_found(family):
    assert smallest_p(linear(family, noise="by_arm"), 6, factor=5.0) < SMALLEST


@pytest.mark.parametrize("family", ["lognormal", "weibull", "loglogistic"])
def test_the_scale_has_the_posterior_of_a_grid(family):
    component = linear(family, entry=True)
    rng = np.random.default_rng(1)
    part, eta = noise_part(component, rng), np.full(N, component.offset)
    kept = []
    for _ in range(2000):
        part.update(component.y, eta, rng)
        kept.append(np.log(part.record()["outcome_sigma"]))
    grid = np.linspace(-4, 4, 801)
    scale = component.family.latent_sd(component.y)
    log_p = stats.t.logpdf(np.exp(grid), 3, scale=scale) + grid
    noise = {"sigma": np.exp(grid)[:, None]}
    log_p += component.family.log_likelihood(component.y, eta, noise).sum(axis=1)
    weight = np.exp(log_p - log_p.max())
    at = np.array([0.1, 0.5, 0.9])
    wanted = np.interp(at, np.cumsum(weight) / weight.sum(), grid)
    np.testing.assert_allclose(np.quantile(kept[50:], at), wanted, atol=0.15 * np.std(kept))


def draws_of(family: str, sampler, size: SamplerSize) -> dict[str, np.ndarray]:
    plan = Plan(family=family, propensity_covariate=False, priors=tuple(FEW))
    component = build_stage("outcome", study_of(60, family), plan, {})
    return summaries(sampler(component, seed=5, size=size))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["lognormal", "weibull"])
def test_forests_have_the_posterior_of_the_pymc_model(family):
    size = SamplerSize(chains=2, draws=300, tune=150, cores=1, progress=False)
    direct, pymc = (draws_of(family, s, size) for s in (sample_component, sample_with_pymc))
    for name in direct:
        assert apart(direct[name], pymc[name]) < 4.2, name
        if name != "leaf_sd":  # few draws say little of how much it varies
            assert direct[name].std() == pytest.approx(pymc[name].std(), rel=0.35), name


def test_the_comparison_sees_censored_times_taken_for_events():
    size = SamplerSize(chains=2, draws=150, tune=100, cores=1, progress=False)
    told = draws_of("lognormal", sample_component, size)
    study = study_of(60)
    every = study.alike(study.frame.assign(died=True))
    plan = Plan(family="lognormal", propensity_covariate=False, priors=tuple(FEW))
    component = build_stage("outcome", every, plan, {})
    other = summaries(sample_component(component, seed=5, size=size))
    assert apart(told["level"], other["level"]) > 4.2


def test_units_without_a_time_say_nothing():
    study = study_of(60, entry=True)
    frame = study.frame.copy()
    frame["died"] = frame["died"].astype(float)
    frame.loc[frame.index[:5], ["time", "died", "start"]] = np.nan
    gaps = study.alike(frame)
    plan = Plan(family="lognormal", propensity_covariate=False)
    component = build_stage("outcome", gaps, plan, {})
    assert component.family.censoring.event.size == 55
    assert component.censoring.event.size == 60
    size = SamplerSize(chains=2, draws=20, tune=20, cores=1, progress=False)
    assert np.isfinite(sample_component(component, seed=1, size=size).linear_predictor().base).all()
    assert replace(component, known=None).informing == slice(None)
