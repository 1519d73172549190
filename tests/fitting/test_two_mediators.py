"""Two mediators against closed forms, enumeration and brute force, on draws made up for it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import xarray as xr
from scipy import special

from bayes_hte.components.families import get_family
from bayes_hte.components.predictor import LinearPredictor
from bayes_hte.effects import decompose, interventional_effects, path_effects
from bayes_hte.errors import DataError, UnsupportedError
from bayes_hte.fitting.mediation import arm_coords, noise_in_arm
from bayes_hte.fitting.two_mediators import (
    TwoMediators,
    joint_outcomes,
    mean_of_second,
    separate_outcomes,
)
from bayes_hte.names import ARM, SAMPLE, UNIT
from bayes_hte.study.time_to_event import Estimand

SHAPE = (2, 3, 4, 2)
NAMES = ["m1", "m2"]
NORMALS = ("gaussian", "gaussian")
MIXED = [("gaussian", "bernoulli"), ("bernoulli", "gaussian"), ("poisson", "gaussian")]
SCALE = "bounded(-1, 2)"
BOUNDED = [("gaussian", SCALE), (SCALE, "gaussian"), (SCALE, SCALE)]
MONTHS = Estimand("rmst", 3.0)


def random_models(
    outcome: str = "gaussian",
    families: tuple[str, str] = ("gaussian", "gaussian"),
    *,
    seed: int = 1,
    slope: float = 0.6,
    product: float = 0.3,
) -> TwoMediators:
    """Random draws of the three models; nothing is equal by accident."""
    rng = np.random.default_rng(seed)

    def draws(center: float, scale: float) -> xr.DataArray:
        values = rng.normal(center, scale, size=SHAPE)
        return xr.DataArray(values, dims=(*SAMPLE, UNIT, ARM))

    y = LinearPredictor(draws(0, 0.7), draws(slope, 0.2), draws(-slope, 0.2), draws(product, 0.1))
    if outcome == "poisson":
        y = replace(y, product=None)
    sigma = [{"sigma": rng.uniform(0.7, 1.2, size=(*SHAPE[:2], 1))} for _ in range(2)]
    found = [get_family(f) for f in families]
    noise = [s if f.noise else {} for s, f in zip(sigma, found, strict=True)]
    family = get_family(outcome)
    own = {name: rng.uniform(0.7, 1.2, size=(*SHAPE[:2], 1, 2)) for name in family.noise}
    return TwoMediators(
        y,
        family,
        LinearPredictor(draws(0.2, 0.5), None),
        LinearPredictor(draws(0.1, 0.5), draws(0.5, 0.2)),
        (found[0], found[1]),
        (noise[0], noise[1]),
        rng.normal(size=(2, *SHAPE[2:])),
        own if family.mean_needs_noise else {},
        MONTHS if family.times else None,
    )


def brute(models: TwoMediators, t: int, a: int, b: int, *, apart: bool, n: int = 3_000):
    """Mean and Monte Carlo error of the outcome in draws of both mediators."""
    rng = np.random.default_rng(5)

    def first(arm: int) -> np.ndarray:
        eta = np.broadcast_to(models.eta_first(arm), (n, *SHAPE[:3]))
        return models.families[0].draw(rng, eta, models.noise[0])

    own = first(a)
    cause = first(b) if apart else own
    second = models.families[1].draw(rng, models.eta_second(b, cause), models.noise[1])
    intercept, slope = models.at_first(t, own)
    own_noise = noise_in_arm(models.outcome_noise, t)
    y = models.outcome_family.mean(intercept + slope * second, own_noise, models.estimand)
    return y.mean(axis=0), y.std(axis=0) / np.sqrt(n)


CASES = [
    *((o, f) for o in ("gaussian", "bernoulli", "poisson") for f in [NORMALS, *MIXED]),
    *((o, f) for o in ("gaussian", "bernoulli") for f in BOUNDED),
    ("poisson", BOUNDED[2]),
    (SCALE, NORMALS),
    (SCALE, BOUNDED[0]),
    ("lognormal", NORMALS),
    ("lognormal", MIXED[2]),
    ("loglogistic", BOUNDED[1]),
]


@pytest.mark.parametrize(("outcome", "families"), CASES)
def test_every_array_agrees_with_brute_force(outcome, families):
    models = random_models(outcome, families)
    joint = joint_outcomes(models)
    arrays = {
        relation: separate_outcomes(models, relation=relation)
        for relation in ("independent", "along the order")
    }
    for t, a, b in [(1, 0, 1), (0, 1, 0), (1, 1, 1)]:
        for relation, values in arrays.items():
            mean, error = brute(models, t, a, b, apart=relation == "independent")
            got = values.isel(arm=t, first_arm=a, second_arm=b).to_numpy()
            # Six Monte Carlo standard errors for each of 24 numbers.
            assert np.all(np.abs(got - mean) < 6 * error), (relation, t, a, b)
    for t, m in product((0, 1), repeat=2):
        along = arrays["along the order"].isel(arm=t, first_arm=m, second_arm=m)
        np.testing.assert_allclose(joint.isel(arm=t, mediator_arm=m), along)


def test_the_joint_effect_of_a_linear_outcome_has_the_closed_form():
    models = random_models()
    b1, b2, p = (getattr(models.outcome, k)[..., 1] for k in ("slope", "second", "product"))
    c1, c2 = models.expected[0][:, 1], models.expected[1][:, 1]
    covariance = models.second.slope * models.noise[0]["sigma"][..., None] ** 2

    def mean(arm: int) -> np.ndarray:
        one, two = models.eta_first(arm), mean_of_second(models, arm)
        moments = (one - c1) * (two - c2) + covariance[..., arm]
        return b1 * (one - c1) + b2 * (two - c2) + p * moments

    joint = decompose(arm_coords(joint_outcomes(models), (0, 1)))["tnie"]
    np.testing.assert_allclose(joint, mean(1) - mean(0), rtol=1e-12)
    # The part that the covariance makes is the remainder, to the last digit.
    found = effects_of(models)
    np.testing.assert_allclose(
        found["remainder"], p * (covariance[..., 1] - covariance[..., 0]), atol=1e-12
    )


def effects_of(models: TwoMediators) -> xr.Dataset:
    apart = separate_outcomes(models, relation="independent")
    return interventional_effects(
        arm_coords(joint_outcomes(models), (0, 1)), arm_coords(apart, (0, 1)), mediators=NAMES
    )


def test_mediators_taken_for_independent_give_another_joint_effect():
    # The negative test: separate models of the mediators, whose relation differs between the arms.
    models = random_models(product=1.0)
    related = effects_of(models)["joint"]
    apart = effects_of(replace(models, second=without_slope(models)))["joint"]
    assert np.abs(related - apart).max() > 0.3


def without_slope(models: TwoMediators) -> LinearPredictor:
    """The second mediator's model with the same means and no relation to the first."""
    means = [mean_of_second(models, arm) for arm in (0, 1)]
    base = models.second.base.copy(data=np.stack(means, axis=-1))
    return LinearPredictor(base, xr.zeros_like(base))


def test_two_binary_mediators_are_enumerated():
    models = random_models("bernoulli", ("bernoulli", "bernoulli"))
    found, along = effects_of(models), separate_outcomes(models, relation="along the order")

    def law(arm: int) -> dict[tuple[int, int], np.ndarray]:
        p = special.expit(models.eta_first(arm))
        q = [special.expit(models.eta_second(arm, np.full(SHAPE[:3], v))) for v in (0.0, 1.0)]
        return {
            (i, j): (p if i else 1 - p) * (q[i] if j else 1 - q[i])
            for i, j in product((0, 1), repeat=2)
        }

    def y(i: int, j: int) -> np.ndarray:
        intercept, slope = models.at_first(1, np.full(SHAPE[:3], float(i)))
        return special.expit(intercept + slope * j)

    both = {arm: law(arm) for arm in (0, 1)}
    one = {arm: {i: both[arm][i, 0] + both[arm][i, 1] for i in (0, 1)} for arm in (0, 1)}
    two = {arm: {j: both[arm][0, j] + both[arm][1, j] for j in (0, 1)} for arm in (0, 1)}
    cells = list(product((0, 1), repeat=2))
    first = sum(y(i, j) * (one[1][i] - one[0][i]) * two[0][j] for i, j in cells)
    second = sum(y(i, j) * one[1][i] * (two[1][j] - two[0][j]) for i, j in cells)
    joint = sum(y(i, j) * (both[1][i, j] - both[0][i, j]) for i, j in cells)
    np.testing.assert_allclose(found["joint"], joint, atol=1e-12)
    np.testing.assert_allclose(found["through"].sel(mediator="m1"), first, atol=1e-12)
    np.testing.assert_allclose(found["through"].sel(mediator="m2"), second, atol=1e-12)
    np.testing.assert_allclose(found["remainder"], joint - first - second, atol=1e-12)
    paths = path_effects(along, mediators=NAMES)
    np.testing.assert_allclose(paths["joint"], joint, atol=1e-12)
    np.testing.assert_allclose(paths["through"].sum("mediator"), joint, atol=1e-12)
    np.testing.assert_allclose(paths["direct"], found["direct"], atol=1e-12)


@pytest.mark.parametrize(("slope", "atol"), [(1.0, 5e-5), (2.0, 5e-4)])
def test_few_nodes_are_enough_for_a_logistic_outcome(slope, atol, monkeypatch):
    models = random_models("bernoulli", slope=slope)
    coarse = joint_outcomes(models)
    monkeypatch.setattr("bayes_hte.fitting.two_mediators.NODES", 64)
    np.testing.assert_allclose(coarse, joint_outcomes(models), atol=atol)


def test_the_order_of_the_mediators_does_not_matter_to_the_joint_effect():
    """Two gaussian mediators written as M1 then M2, and as M2 then M1, are one distribution."""
    models = random_models()
    s1, s2 = (n["sigma"][..., None] for n in models.noise)
    slope = models.second.slope
    one = [models.eta_first(arm) for arm in (0, 1)]
    two = [mean_of_second(models, arm) for arm in (0, 1)]
    one, two = (xr.zeros_like(slope) + np.stack(v, axis=-1) for v in (one, two))
    variance = s2**2 + slope**2 * s1**2
    back = slope * s1**2 / variance
    swapped = replace(
        models,
        outcome=LinearPredictor(
            models.outcome.base,
            models.outcome.second,
            models.outcome.slope,
            models.outcome.product,
        ),
        first=LinearPredictor(two, None),
        second=LinearPredictor(one - back * (two - models.expected[1]), back),
        expected=models.expected[::-1],
    )
    # A linear outcome takes the variance of the first alone, which differs between the arms here.
    for arm in (0, 1):
        noise = ({"sigma": np.sqrt(variance[..., arm : arm + 1].to_numpy())[..., 0]}, {})
        again = joint_outcomes(replace(swapped, noise=noise)).isel(mediator_arm=arm)
        np.testing.assert_allclose(again, joint_outcomes(models).isel(mediator_arm=arm), rtol=1e-9)


def test_models_that_do_not_fit_together_are_refused():
    models = random_models()
    with pytest.raises(DataError, match="lack slopes"):
        replace(models, outcome=replace(models.outcome, second=None))
    with pytest.raises(DataError, match="same chains, draws and units"):
        replace(models, first=LinearPredictor(models.first.base.isel({UNIT: [0]}), None))


def test_arrays_that_do_not_suit_are_refused():
    models = random_models()
    apart = separate_outcomes(models, relation="independent")
    mu = arm_coords(joint_outcomes(models), (0, 1))
    with pytest.raises(DataError, match="second_arm is missing"):
        interventional_effects(mu, apart.isel(second_arm=0), mediators=NAMES)
    with pytest.raises(DataError, match="names of two"):
        interventional_effects(mu, apart, mediators=["m1"])
    with pytest.raises(DataError, match="NaN"):
        path_effects(apart * np.nan, mediators=NAMES)
    with pytest.raises(UnsupportedError, match="two arms"):
        path_effects(apart.isel(arm=[0, 1, 1]), mediators=NAMES)
