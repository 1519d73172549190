"""Times within intervals: probabilities and draws against SciPy, in PyMC and compiled code."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from scipy import stats

from bayes_hte.components.families import get_family
from bayes_hte.fitting.gibbs.compiled_times import COMPILED_LAWS, _log_between
from bayes_hte.study.time_to_event import Censoring
from bayes_hte.surfaces.error_laws import LAWS
from bayes_hte.surfaces.forest.time_models import inside_intervals
from tests.components.test_times import ETA, NAMES, NU, SIGMA, log_density, survival

# An interval, an exact time, a censored unit, a left-censored one, an interval.
LOWER = np.array([0.2, 1.2, 2.5, 0.0, 0.7])
UPPER = np.array([0.5, 1.2, np.inf, 4.0, 0.9])
TIME = np.where(np.isfinite(UPPER), (LOWER + UPPER) / 2, LOWER)
ENTRY = np.array([0.1, 0.0, 1.0, 0.0, 0.7])
STANDARD = {
    "lognormal": stats.norm(),
    "loglogistic": stats.logistic(),
    "log_student_t": stats.t(NU),
    "weibull": stats.gumbel_l(),
}


def known(entry=None):
    return Censoring(np.isfinite(UPPER), entry, LOWER, UPPER)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("entry", [None, ENTRY])
def test_likelihood_is_the_probability_of_the_interval(name, entry):
    family = get_family(name).given(known(entry))
    got = family.log_likelihood(TIME, ETA, {"sigma": SIGMA, "nu": np.array([[NU]])})
    alive = [survival(name, np.minimum(end, 1e9), ETA, SIGMA) for end in (LOWER, UPPER)]
    with np.errstate(divide="ignore"):  # of the exact time, next
        wanted = np.log(alive[0] - np.where(np.isinf(UPPER), 0.0, alive[1]))
    wanted[:, 1] = log_density(name, TIME, ETA, SIGMA)[:, 1]
    if entry is not None:
        wanted -= np.where(entry > 0, np.log(survival(name, entry, ETA, SIGMA)), 0.0)
    np.testing.assert_allclose(got, wanted, rtol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_the_pymc_model_has_the_same_likelihood_and_finite_gradients(name):
    family = get_family(name).given(known())
    noise = {"sigma": np.array(0.6), "nu": np.array(NU)}
    with pm.Model() as model:
        eta = pm.Flat("eta", shape=5)
        sigma = {k: pt.as_tensor(v) for k, v in noise.items() if k in family.noise}
        pm.Potential("y", pm.logp(family.distribution(eta, sigma), TIME).sum())
    at = {"eta": ETA[0]}
    wanted = family.log_likelihood(TIME, ETA[:1], {k: v[None, None] for k, v in noise.items()})
    both = model.compile_fn([model.logp(), model.dlogp()], mode="FAST_COMPILE")
    total, gradient = both(at)
    assert float(total) == pytest.approx(float(wanted.sum()), rel=1e-7)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", NAMES)
def test_probabilities_keep_their_digits_in_both_tails(name):
    """Against a density times a width so small that it is nearly constant."""
    law, standard = LAWS[name], STANDARD[name]
    low = np.array([-30.0, -9.0, -1.0, 0.0, 3.0, 9.0])
    low = low[low < 4] if name == "weibull" else low
    width = 1e-7
    got = law.log_between(low, low + width, NU)
    np.testing.assert_allclose(got, standard.logpdf(low + width / 2) + np.log(width), atol=1e-5)
    whole = law.log_between(np.array([-690.0]), np.array([0.3]), NU)
    np.testing.assert_allclose(whole, standard.logcdf(0.3), rtol=1e-6)
    if law.name in COMPILED_LAWS:
        compiled = [_log_between(r, r + width, COMPILED_LAWS[law.name]) for r in low]
        np.testing.assert_allclose(compiled, got, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_log_times_are_drawn_from_the_law_between_the_ends(name):
    rng, n = np.random.default_rng(1), 4000
    standard, eta, sigma = STANDARD[name], 0.4, 0.7
    low, high = np.full(n, 0.5), np.full(n, 2.5)
    low[1::2], high[1::2] = 0.0, 0.8
    censoring = Censoring(np.ones(n, dtype=bool), None, low, high)
    start = np.log((low + high) / 2)
    nu = np.array(NU)
    drawn = inside_intervals(
        LAWS[name], start, np.full(n, eta), np.array(sigma), nu, censoring, rng
    )
    assert (drawn <= np.log(high)).all()
    assert (drawn[::2] >= np.log(0.5)).all()
    with np.errstate(divide="ignore"):
        ends = [standard.cdf((np.log(end) - eta) / sigma) for end in (low, high)]
    place = (standard.cdf((drawn - eta) / sigma) - ends[0]) / (ends[1] - ends[0])
    for part in (place[::2], place[1::2]):
        assert stats.kstest(part, "uniform").pvalue > 0.01
    # Far out nothing is lost but the place within the interval.
    far = inside_intervals(LAWS[name], start, np.full(n, 60.0), np.array(0.1), nu, censoring, rng)
    assert np.isfinite(far).all()
    assert (far <= np.log(high) + 1e-9).all()
    # Without intervals nothing is drawn.
    plain = Censoring(np.ones(n, dtype=bool))
    assert inside_intervals(LAWS[name], start, start, np.array(1.0), nu, plain, rng) is start
