"""The g-formula of an outcome that bends in its mediator, against closed forms and fine grids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from bayes_hte.components.families import get_family
from bayes_hte.components.predictor import BentPart
from bayes_hte.fitting.mediation import outcomes_at, potential_outcomes
from bayes_hte.names import ARM, BEND, SAMPLE, UNIT
from bayes_hte.surfaces.bends import Bends
from tests.fitting.test_mediation import SHAPE, UNITS, Posterior, assert_cells, random_posterior


@pytest.fixture(scope="module")
def bent() -> Posterior:
    rng = np.random.default_rng(6)
    p = random_posterior()
    expected = rng.normal(size=200)
    bends = Bends.learn(expected + rng.normal(size=200), expected)
    coefficients = xr.DataArray(
        rng.normal(scale=0.25, size=(*SHAPE, bends.number)), dims=(*SAMPLE, UNIT, ARM, BEND)
    )
    return replace(p, outcome=replace(p.outcome, bent=BentPart(coefficients, bends, p.expected)))


def around(p: Posterior, arm: int) -> tuple[np.ndarray, np.ndarray]:
    """The expected mediators under an arm, and the means of the splines around them."""
    own = p.expected[:, arm]
    return own, p.outcome.bent.bends.expectation(own)


def at_values(p: Posterior, arm: int, values: np.ndarray) -> np.ndarray:
    """The linear predictor under an arm at values of the mediator, written out from the bends."""
    part = p.outcome.bent
    away = values - p.expected[:, arm]
    own = part.bends.combined(part.bends.nonlinear(values), values, *around(p, arm))
    bend = (part.coefficients.to_numpy()[..., arm, :] * own).sum(axis=-1)
    return p.outcome.base.to_numpy()[..., arm] + p.slope(arm) * away + bend


def on_a_grid(p: Posterior, arm: int, mediator_arm: int, inverse_link) -> np.ndarray:
    """The mean over a gaussian mediator by a rule of 601 values."""
    z = np.linspace(-9, 9, 601)
    weights = stats.norm.pdf(z) * (z[1] - z[0])
    values = p.eta(mediator_arm) + p.noise * z[:, None, None, None]
    return np.tensordot(weights, inverse_link(at_values(p, arm, values)), axes=1)


def test_a_gaussian_outcome_takes_the_mean_of_the_splines_in_closed_form(bent):
    assert_cells(
        bent.mu("gaussian", "gaussian"), lambda t, s: on_a_grid(bent, t, s, lambda x: x), atol=1e-5
    )


@pytest.mark.parametrize("outcome", ["bernoulli", "poisson"])
def test_other_links_agree_with_a_fine_grid(bent, outcome):
    link = get_family(outcome).inverse_link
    assert_cells(bent.mu(outcome, "gaussian"), lambda t, s: on_a_grid(bent, t, s, link), rtol=6e-3)


def test_a_count_mediator_is_summed(bent):
    counts = np.arange(60.0)[:, None, None, None]

    def mean(arm: int, mediator_arm: int) -> np.ndarray:
        rate = np.exp(bent.eta(mediator_arm))
        values = at_values(bent, arm, np.broadcast_to(counts, (60, *rate.shape)))
        return (stats.poisson.pmf(counts, rate) * values).sum(axis=0)

    assert_cells(bent.mu("gaussian", "poisson"), mean, rtol=1e-6, atol=1e-8)


def test_plugging_in_the_mean_of_the_mediator_is_wrong(bent):
    plugged = at_values(bent, 1, bent.eta(0))
    found = bent.mu("gaussian", "gaussian").isel(arm=1, mediator_arm=0)
    assert np.abs(found - plugged).max() > 0.02


def test_a_held_mediator_is_put_into_the_bends(bent):
    held = outcomes_at(bent.outcome, get_family("gaussian"), 0.7, expected=bent.expected)
    for arm in (0, 1):
        there = at_values(bent, arm, np.full(SHAPE[:3], 0.7))
        np.testing.assert_allclose(held.isel(arm=arm), there, rtol=1e-12)


def test_each_unit_is_seen_in_its_own_arm_at_its_own_mediator(bent):
    rng = np.random.default_rng(8)
    arm, mediator = np.arange(UNITS) % 2, rng.normal(size=UNITS)
    own = bent.expected[np.arange(UNITS), arm]
    found = bent.outcome.as_observed(arm, mediator - own)
    for unit in range(UNITS):
        there = at_values(bent, arm[unit], np.broadcast_to(mediator, SHAPE[:3]))
        np.testing.assert_allclose(found[..., unit], there[..., unit], rtol=1e-12)


def test_coefficients_of_nothing_are_a_straight_line(bent):
    flat = replace(bent.outcome.bent, coefficients=0 * bent.outcome.bent.coefficients)
    straight = replace(bent, outcome=replace(bent.outcome, bent=None))
    same = replace(bent, outcome=replace(bent.outcome, bent=flat))
    for outcome in ("gaussian", "bernoulli"):
        np.testing.assert_allclose(
            same.mu(outcome, "gaussian"), straight.mu(outcome, "gaussian"), rtol=1e-7
        )


def test_times_to_an_event_take_the_nodes(bent):
    """A lognormal mean to a horizon, whose closed form for a line no longer holds."""
    from bayes_hte.study.time_to_event import Estimand

    family, rmst = get_family("lognormal"), Estimand("rmst", 3.0)
    noise = {"sigma": np.full((*SHAPE[:2], 1, 1), 0.8)}
    mu = potential_outcomes(
        bent.outcome,
        family,
        bent.mediator,
        get_family("gaussian"),
        expected=bent.expected,
        noise=bent.noise_of("gaussian"),
        outcome_noise=noise,
        estimand=rmst,
    )
    own = {"sigma": np.full((*SHAPE[:2], 1), 0.8)}
    assert_cells(
        mu, lambda t, s: on_a_grid(bent, t, s, lambda eta: family.mean(eta, own, rmst)), rtol=1e-2
    )
