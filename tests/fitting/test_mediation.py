"""The g-formula against closed forms, quadrature and brute force; plugging in the mean is wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import xarray as xr
from scipy import special

from bayes_hte.components.families import FAMILIES as EVERY
from bayes_hte.components.families import get_family
from bayes_hte.components.predictor import LinearPredictor
from bayes_hte.effects.contrasts import (
    check_potential_outcomes,
    controlled_direct_effect,
    decompose,
    total_natural_indirect,
)
from bayes_hte.errors import DataError, UnsupportedError
from bayes_hte.fitting.mediation import arm_coords, outcomes_at, potential_outcomes
from bayes_hte.names import ARM, MEDIATOR_ARM, SAMPLE, UNIT

# Times to an event are tested in components/test_times.
FAMILIES = {name: family for name, family in EVERY.items() if not family.times}
CHAINS, DRAWS, UNITS = 2, 3, 4
SHAPE = (CHAINS, DRAWS, UNITS, 2)
# The exponential of a mediator with such tails has, or may have, no mean.
NO_EXPECTATION = [
    (outcome, mediator)
    for outcome in ("poisson", "negative_binomial")
    for mediator in ("student_t", "negative_binomial")
]
CELLS = [(arm, mediator_arm) for arm in (0, 1) for mediator_arm in (0, 1)]


@dataclass(frozen=True)
class Posterior:
    """Random draws of both models; nothing is equal by accident."""

    outcome: LinearPredictor
    mediator: xr.DataArray
    expected: np.ndarray
    sigma: xr.DataArray

    def intercept(self, arm: int) -> np.ndarray:
        """Linear predictor of the outcome at mediator zero."""
        return self.outcome.base.values[..., arm] - self.slope(arm) * self.expected[:, arm]

    def slope(self, arm: int) -> np.ndarray:
        return self.outcome.slope.values[..., arm]

    def eta(self, mediator_arm: int) -> np.ndarray:
        return self.mediator.values[..., mediator_arm]

    @property
    def noise(self) -> np.ndarray:
        return self.sigma.values[..., np.newaxis]

    def noise_of(self, mediator: str) -> dict[str, np.ndarray]:
        """Return the mediator's other parameters; `sigma` is all of them that varies."""
        given = {"sigma": self.noise, "nu": np.full_like(self.noise, 5.0), "size": 2 * self.noise}
        return {name: given[name] for name in get_family(mediator).noise}

    def mu(self, outcome: str, mediator: str) -> xr.DataArray:
        return potential_outcomes(
            self.outcome,
            get_family(outcome),
            self.mediator,
            get_family(mediator),
            expected=self.expected,
            noise=self.noise_of(mediator),
        )


def random_posterior(seed: int = 1, *, slope: float = 0.5, noise: float = 1.0) -> Posterior:
    rng = np.random.default_rng(seed)
    coords = {
        "chain": range(CHAINS),
        "draw": range(DRAWS),
        UNIT: [f"p{i}" for i in range(UNITS)],
    }
    base, slopes, mediator = (
        xr.DataArray(values, dims=(*SAMPLE, UNIT, ARM), coords=coords)
        for values in (
            rng.normal(scale=0.7, size=SHAPE),
            slope * (1 + rng.uniform(-0.3, 0.3, size=SHAPE)),
            rng.normal(scale=0.7, size=SHAPE),
        )
    )
    sigma = xr.DataArray(noise * rng.uniform(0.7, 1.3, size=SHAPE[:2]), dims=SAMPLE)
    return Posterior(LinearPredictor(base, slopes), mediator, rng.normal(size=(UNITS, 2)), sigma)


def assert_cells(mu: xr.DataArray, expected, **tolerance) -> None:
    """Compare every (arm, mediator_arm) with a function of them."""
    for arm, mediator_arm in CELLS:
        got = mu.isel({ARM: arm, MEDIATOR_ARM: mediator_arm})
        np.testing.assert_allclose(got, expected(arm, mediator_arm), **tolerance)


# ---------------------------------------------------------------- closed forms


@pytest.mark.parametrize("mediator", FAMILIES)
def test_an_outcome_linear_in_the_mediator_takes_its_mean_exactly(mediator):
    p = random_posterior()
    mean = get_family(mediator).inverse_link
    assert_cells(
        p.mu("student_t" if mediator == "student_t" else "gaussian", mediator),
        lambda t, s: (
            p.outcome.base.values[..., t] + p.slope(t) * (mean(p.eta(s)) - p.expected[:, t])
        ),
        rtol=1e-12,
    )


@pytest.mark.parametrize(("slope", "noise"), [(0.5, 1.0), (-0.8, 1.5), (1.5, 1.0)])
def test_a_count_outcome_of_a_gaussian_mediator_is_log_normal(slope, noise):
    p = random_posterior(slope=slope, noise=noise)
    assert_cells(
        p.mu("poisson", "gaussian"),
        lambda t, s: np.exp(
            p.intercept(t) + p.slope(t) * p.eta(s) + (p.slope(t) * p.noise) ** 2 / 2
        ),
        rtol=1e-8,
    )


@pytest.mark.parametrize("outcome", ["bernoulli", "poisson"])
def test_a_binary_mediator_is_summed_exactly(outcome):
    p = random_posterior(slope=1.5)
    mean = get_family(outcome).inverse_link

    def mixture(t: int, s: int) -> np.ndarray:
        share = special.expit(p.eta(s))
        without, with_it = mean(p.intercept(t)), mean(p.intercept(t) + p.slope(t))
        return (1 - share) * without + share * with_it

    assert_cells(p.mu(outcome, "bernoulli"), mixture, rtol=1e-12)


@pytest.mark.parametrize("slope", [-1.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("rate", [0.5, 1.0, 3.0])
def test_a_count_outcome_of_a_count_mediator_has_the_closed_form(slope, rate):
    # E exp(a + b M) = exp(a + rate (e^b - 1)): large counts are rare, and their outcomes large.
    p = random_posterior(slope=slope)
    p = Posterior(p.outcome, np.log(rate) + 0.4 * p.mediator, p.expected, p.sigma)
    assert_cells(
        p.mu("poisson", "poisson"),
        lambda t, s: np.exp(p.intercept(t) + np.exp(p.eta(s)) * np.expm1(p.slope(t))),
        rtol=1e-6,
    )


# ---------------------------------------------------------------- brute force


@pytest.mark.parametrize("mediator", ["gaussian", "student_t", "poisson", "negative_binomial"])
def test_a_binary_outcome_agrees_with_brute_force_and_its_plug_in_does_not(mediator):
    p = random_posterior(slope=2.0, noise=1.5)
    n = 100_000
    mu = p.mu("bernoulli", mediator)
    rng = np.random.default_rng(2)
    plug_in_errors = []
    for arm, mediator_arm in CELLS:
        eta = p.eta(mediator_arm)
        draws = get_family(mediator).draw(
            rng, np.broadcast_to(eta, (n, *eta.shape)), p.noise_of(mediator)
        )
        draws *= p.slope(arm)
        draws += p.intercept(arm)
        values = special.expit(draws, out=draws)
        brute, error = values.mean(axis=0), values.std(axis=0) / np.sqrt(n)
        got = mu.isel({ARM: arm, MEDIATOR_ARM: mediator_arm}).values
        # Five Monte Carlo standard errors, at most 0.008 here, for each of 96 numbers a family.
        assert np.all(np.abs(got - brute) < 5 * error)
        mean = get_family(mediator).inverse_link(eta)
        plug_in = special.expit(p.intercept(arm) + p.slope(arm) * mean)
        plug_in_errors.append(np.abs(plug_in - brute) / error)
    # The negative test: the mean of the mediator plugged in is far outside the same tolerance.
    assert np.median(plug_in_errors) > 20


def test_plugging_in_the_mean_would_bias_the_indirect_effect():
    p = random_posterior(slope=2.0, noise=1.5)
    exact = total_natural_indirect(arm_coords(p.mu("bernoulli", "gaussian"), (0, 1)))
    plug_in = special.expit(p.intercept(1) + p.slope(1) * p.eta(1)) - special.expit(
        p.intercept(1) + p.slope(1) * p.eta(0)
    )
    # Averaging flattens a logistic curve, so the plug-in claims too much.
    assert np.abs(plug_in - exact.values).max() > 0.05
    assert np.abs(plug_in).mean() > 1.3 * np.abs(exact.values).mean()


# ---------------------------------------------------------------- algebra


@pytest.mark.parametrize(
    ("outcome", "mediator"),
    [(y, m) for y in FAMILIES for m in FAMILIES if (y, m) not in NO_EXPECTATION],
)
def test_the_result_honours_the_contract_and_keeps_labels(outcome, mediator):
    p = random_posterior()
    mu = arm_coords(p.mu(outcome, mediator), ("control", "drug"))
    check_potential_outcomes(mu, mediated=True)
    assert mu.dims == (*SAMPLE, UNIT, ARM, MEDIATOR_ARM)
    assert list(mu[UNIT].values) == ["p0", "p1", "p2", "p3"]
    assert list(mu[ARM].values) == list(mu[MEDIATOR_ARM].values) == ["control", "drug"]
    assert mu.attrs["scale"] == "response"
    parts = decompose(mu)
    np.testing.assert_allclose(parts.te, parts.tnie + parts.pnde, atol=1e-12)


@pytest.mark.parametrize("outcome", ["gaussian", "bernoulli", "poisson"])
def test_a_mediator_that_does_not_act_or_does_not_move_has_no_indirect_effect(outcome):
    p = random_posterior()
    unmoved = Posterior(
        p.outcome, xr.zeros_like(p.mediator) + p.mediator.isel({ARM: 0}), p.expected, p.sigma
    )
    idle = Posterior(
        LinearPredictor(p.outcome.base, xr.zeros_like(p.outcome.slope)),
        p.mediator,
        p.expected,
        p.sigma,
    )
    for posterior in (unmoved, idle):
        parts = decompose(arm_coords(posterior.mu(outcome, "gaussian"), (0, 1)))
        np.testing.assert_allclose(parts.tnie, 0, atol=1e-12)
        np.testing.assert_allclose(parts.pnde, parts.te, atol=1e-12)
    assert np.abs(decompose(arm_coords(p.mu(outcome, "gaussian"), (0, 1))).tnie).max() > 0.05


def test_permuting_units_permutes_the_result():
    p = random_posterior()
    order = np.array([2, 0, 3, 1])
    moved = Posterior(
        LinearPredictor(p.outcome.base.isel(unit=order), p.outcome.slope.isel(unit=order)),
        p.mediator.isel(unit=order),
        p.expected[order],
        p.sigma,
    )
    for mediator in ("gaussian", "bernoulli"):
        expected = p.mu("bernoulli", mediator).isel(unit=order)
        xr.testing.assert_allclose(moved.mu("bernoulli", mediator), expected, rtol=1e-12)


@pytest.mark.parametrize("outcome", ["gaussian", "bernoulli", "poisson"])
def test_what_is_subtracted_is_a_change_of_origin_only(outcome):
    p = random_posterior()
    base = p.outcome.base - p.outcome.slope * xr.DataArray(p.expected, dims=(UNIT, ARM))
    shifted = Posterior(
        LinearPredictor(base.transpose(*p.outcome.base.dims), p.outcome.slope),
        p.mediator,
        np.zeros((UNITS, 2)),
        p.sigma,
    )
    xr.testing.assert_allclose(shifted.mu(outcome, "gaussian"), p.mu(outcome, "gaussian"))


# ---------------------------------------------------------------- the mediator held at a value


@pytest.mark.parametrize("outcome", ["gaussian", "bernoulli", "poisson"])
@pytest.mark.parametrize("value", [-1.0, 3.5])
def test_holding_the_mediator_gives_the_outcome_at_that_value(outcome, value):
    p = random_posterior()
    mean = get_family(outcome).inverse_link
    mu = outcomes_at(p.outcome, get_family(outcome), value, expected=p.expected)
    assert mu.dims == (*SAMPLE, UNIT, ARM)
    assert mu.attrs["mediator_value"] == value
    for arm in (0, 1):
        expected = mean(p.intercept(arm) + p.slope(arm) * value)
        np.testing.assert_allclose(mu.isel({ARM: arm}), expected, rtol=1e-12)
    cde = controlled_direct_effect(arm_coords(mu, ("control", "drug")))
    assert cde.attrs["mediator_value"] == value
    assert cde.attrs["contrast"] == "drug vs control"
    np.testing.assert_allclose(
        cde,
        mean(p.intercept(1) + p.slope(1) * value) - mean(p.intercept(0) + p.slope(0) * value),
        rtol=1e-9,
        atol=1e-12,
    )


def test_with_equal_slopes_in_both_arms_the_controlled_effect_is_the_same_everywhere():
    p = random_posterior()
    slope = xr.zeros_like(p.outcome.slope) + p.outcome.slope.isel({ARM: 0})
    outcome = LinearPredictor(p.outcome.base, slope)
    low, high = (
        controlled_direct_effect(
            outcomes_at(outcome, get_family("gaussian"), m, expected=p.expected)
        )
        for m in (0.0, 10.0)
    )
    np.testing.assert_allclose(low, high, atol=1e-12)


# ---------------------------------------------------------------- failures


def test_an_outcome_without_mediator_terms_is_refused():
    p = random_posterior()
    plain = Posterior(LinearPredictor(p.outcome.base, None), p.mediator, p.expected, p.sigma)
    with pytest.raises(DataError, match="no mediator terms; nothing to integrate"):
        plain.mu("gaussian", "gaussian")
    with pytest.raises(DataError, match="no mediator terms; no value can be set"):
        outcomes_at(plain.outcome, get_family("gaussian"), 1.0, expected=p.expected)


@pytest.mark.parametrize("dim", [*SAMPLE, UNIT])
def test_posteriors_of_other_sizes_cannot_be_paired(dim):
    p = random_posterior()
    shorter = Posterior(p.outcome, p.mediator.isel({dim: slice(1)}), p.expected, p.sigma)
    with pytest.raises(DataError, match=r"shape \(2, 3, 4, 2\), mediator draws .*to be paired"):
        shorter.mu("bernoulli", "gaussian")


@pytest.mark.parametrize(("outcome", "mediator"), NO_EXPECTATION)
def test_a_log_link_on_a_mediator_with_heavy_tails_is_refused(outcome, mediator):
    with pytest.raises(UnsupportedError, match=f"a {mediator} mediator and a log link .*infinite"):
        random_posterior().mu(outcome, mediator)


def test_a_count_mediator_too_large_to_sum_is_refused():
    p = random_posterior()
    large = Posterior(p.outcome, p.mediator + np.log(1e5), p.expected, p.sigma)
    with pytest.raises(UnsupportedError, match=r"would need a sum over .* Rescale it"):
        large.mu("bernoulli", "poisson")
    # A linear outcome needs no sum.
    assert np.isfinite(large.mu("gaussian", "poisson")).all()
