"""Families of times to an event: likelihood, expectations and PyMC model, against other sources."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from scipy import integrate, stats

from bayes_hte.components.families import get_family
from bayes_hte.components.predictor import LinearPredictor
from bayes_hte.errors import DataError, SpecError, UnsupportedError
from bayes_hte.fitting.mediation import potential_outcomes
from bayes_hte.study.time_to_event import Censoring, Estimand

NAMES = ("lognormal", "loglogistic", "log_student_t", "weibull")
NU = 4.0


def law_of(name: str, eta, sigma):
    """The law of the times in SciPy; of a Student-t that of the log times."""
    return {
        "lognormal": lambda: stats.lognorm(sigma, scale=np.exp(eta)),
        "loglogistic": lambda: stats.fisk(1 / sigma, scale=np.exp(eta)),
        "weibull": lambda: stats.weibull_min(1 / sigma, scale=np.exp(eta)),
        "log_student_t": lambda: stats.t(NU, eta, sigma),
    }[name]()


def survival(name: str, time, eta, sigma):
    law = law_of(name, eta, sigma)
    with np.errstate(divide="ignore"):
        log_time = np.log(time)
    return law.sf(log_time) if name == "log_student_t" else law.sf(time)


def log_density(name: str, time, eta, sigma):
    law = law_of(name, eta, sigma)
    if name == "log_student_t":
        return law.logpdf(np.log(time)) - np.log(time)
    return law.logpdf(time)


TIME = np.array([0.3, 1.2, 2.5, 4.0, 0.8])
EVENT = np.array([True, False, True, False, True])
ENTRY = np.array([0.0, 0.5, 1.0, 0.0, 0.7])
ETA = np.array([[0.1, 0.4, -0.3, 1.0, 0.2], [0.5, -0.2, 0.3, 0.0, 1.1]])
SIGMA = np.array([[0.6], [1.3]])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("entry", [None, ENTRY])
def test_likelihood_is_density_or_survival_given_entry(name, entry):
    family = get_family(name).given(Censoring(EVENT, entry))
    noise = {"sigma": SIGMA, "nu": np.array([[NU]])}
    got = family.log_likelihood(TIME, ETA, noise)
    dead, alive = (f(name, TIME, ETA, SIGMA) for f in (log_density, survival))
    wanted = np.where(EVENT, dead, np.log(alive))
    if entry is not None:
        late = entry > 0
        wanted[:, late] -= np.log(survival(name, entry, ETA, SIGMA))[:, late]
    np.testing.assert_allclose(got, wanted, rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_the_pymc_model_has_the_same_likelihood(name):
    # No late entry for the t, which does not allow it.
    family = get_family(name).given(Censoring(EVENT, None if "student" in name else ENTRY))
    noise = {"sigma": np.array(0.6), "nu": np.array(NU)}
    graph = family.distribution(
        pt.as_tensor(ETA[0]), {k: pt.as_tensor(v) for k, v in noise.items()}
    )
    got = pm.logp(graph, TIME).eval(mode="FAST_COMPILE")
    given = {k: np.broadcast_to(v, (1, 1)) for k, v in noise.items()}
    np.testing.assert_allclose(got, family.log_likelihood(TIME, ETA[:1], given)[0], rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_draws_have_the_distribution_function(name):
    rng = np.random.default_rng(1)
    entry = np.full(4000, 0.5)
    family = get_family(name).given(Censoring(np.ones(4000, dtype=bool), entry))
    eta, noise = np.full(4000, 0.3), {"sigma": np.array([0.8]), "nu": np.array([NU])}
    drawn = family.draw(rng, eta, noise)
    assert drawn.min() > 0.5
    assert stats.kstest(family.cdf(drawn, eta, noise), "uniform").pvalue > 0.01
    graph = get_family(name).distribution(pt.as_tensor(eta), {k: v[0] for k, v in noise.items()})
    plain = get_family(name).cdf(pm.draw(graph, random_seed=2, mode="FAST_COMPILE"), eta, noise)
    assert stats.kstest(plain, "uniform").pvalue > 0.01


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sigma", [0.15, 1.0, 1.6])
def test_expectations_are_integrals_of_survival(name, sigma):
    eta, noise = np.array([-0.5, 0.4, 2.0]), {"sigma": np.array([sigma]), "nu": np.array([NU])}
    family = get_family(name)
    got = family.expected(eta, noise, Estimand("rmst", 2.5))
    wanted = [
        integrate.quad(lambda t, m=m: survival(name, t, m, sigma), 0, 2.5, points=[np.exp(m)])[0]
        for m in eta
    ]
    # The t has a sum over quantiles.
    np.testing.assert_allclose(got, wanted, atol=1e-4 * 2.5 if "student" in name else 1e-6)
    alive = family.expected(eta, noise, Estimand("survival", 2.5))
    np.testing.assert_allclose(alive, survival(name, 2.5, eta, sigma), rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_expectations_agree_with_simulation(name):
    rng = np.random.default_rng(3)
    eta, noise = np.full(40_000, 0.6), {"sigma": np.array([0.8]), "nu": np.array([NU])}
    family, estimand = get_family(name), Estimand("rmst", 3.0)
    drawn = np.minimum(family.draw(rng, eta, noise), 3.0)
    error = drawn.std() / np.sqrt(drawn.size)
    assert abs(drawn.mean() - family.expected(eta[:1], noise, estimand)[0]) < 4 * error


def through_mediator(name: str, mediator: str, *, slope: float) -> float:
    """Expected restricted time of one unit with the mediator integrated out."""
    shape = (1, 1, 1, 1)
    import xarray as xr

    def array(value: float) -> xr.DataArray:
        return xr.DataArray(np.full(shape, value), dims=("chain", "draw", "unit", "arm"))

    mu = potential_outcomes(
        LinearPredictor(array(0.3), array(slope)),
        get_family(name),
        array(0.2),
        get_family(mediator),
        expected=np.array([[0.1]]),
        noise={"sigma": np.full((1, 1, 1), 0.9), "nu": np.full((1, 1, 1), 5.0)},
        outcome_noise=[{"sigma": np.full((1, 1, 1), 0.6), "nu": np.full((1, 1, 1), NU)}],
        estimand=Estimand("rmst", 2.5),
    )
    return mu.item()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mediator", ["gaussian", "bernoulli"])
def test_the_mediator_is_integrated_out(name, mediator):
    rng, n, slope = np.random.default_rng(4), 60_000, 1.4
    probability = 1 / (1 + np.exp(-0.2))
    m = rng.normal(0.2, 0.9, n) if mediator == "gaussian" else rng.random(n) < probability
    eta = 0.3 + slope * (m - 0.1)
    noise = {"sigma": np.array([0.6]), "nu": np.array([NU])}
    drawn = np.minimum(get_family(name).draw(rng, eta, noise), 2.5)
    error = drawn.std() / np.sqrt(n)
    assert abs(drawn.mean() - through_mediator(name, mediator, slope=slope)) < 4 * error
    # Without its variation the mediator would give another answer (a Weibull by chance does not).
    plugged = get_family(name).expected(np.array([0.3 + slope * 0.1]), noise, Estimand("rmst", 2.5))
    if mediator == "gaussian" and name != "weibull":
        assert abs(drawn.mean() - plugged[0]) > 4 * error


@pytest.mark.parametrize("name", NAMES)
def test_scales_of_priors_allow_for_censoring(name):
    rng = np.random.default_rng(5)
    n, sigma = 800, 0.7
    family = get_family(name)
    noise = {"sigma": np.array([sigma]), "nu": np.array([NU])}
    time = family.draw(rng, np.full(n, 1.0), noise)
    end = rng.exponential(3.0, n)
    observed, event = np.minimum(time, end), time <= end
    assert 0.3 < 1 - event.mean() < 0.7
    told = family.given(Censoring(event))
    assert told.offset(observed) == pytest.approx(1.0, abs=0.15)
    spread = np.std(np.log(time))
    assert told.latent_sd(observed) == pytest.approx(spread, rel=0.2)
    # Taken for events, censored times are too short.
    assert family.offset(observed) < told.offset(observed) - 0.2


def test_entries_raise_the_bar_of_the_start():
    rng = np.random.default_rng(6)
    time = np.exp(rng.normal(0.5, 0.8, 4000))
    kept = time > 1.0
    entry = np.ones(kept.sum())
    family = get_family("lognormal").given(Censoring(np.ones(kept.sum(), dtype=bool), entry))
    assert family.offset(time[kept]) == pytest.approx(0.5, abs=0.15)


def test_impossible_uses_are_refused():
    with pytest.raises(DataError, match="positive"):
        get_family("weibull").check(np.array([0.0, 1.0]), "outcome")
    late = get_family("log_student_t").given(Censoring(EVENT, ENTRY))
    with pytest.raises(UnsupportedError, match="late entry"):
        late.check(TIME, "outcome")
    with pytest.raises(UnsupportedError, match="mediator"):
        get_family("weibull").support(ETA, {})
    with pytest.raises(SpecError, match="sigma"):
        get_family("lognormal").log_likelihood(TIME, ETA, {})
