"""Simulated trials: the truth that comes with the data is the truth of the data."""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
import pytest
from scipy import special

from bayes_hte.errors import SpecError
from bayes_hte.study.simulation import SCENARIOS, simulate_scenario
from bayes_hte.study.study import Study

EFFECTS = ["te", "tnie", "pnde", "pnie", "tnde"]


def trial(name: str, **options):
    return simulate_scenario(name, np.random.default_rng(1), **options)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_trial_has_equal_arms_and_makes_a_study(name):
    simulated = trial(name, n=101)
    frame = simulated.frame
    assert frame["treat"].sum() == 50
    assert len(simulated.covariates) == 10
    mediated = SCENARIOS[name].mediated
    assert ("m" in frame) == mediated
    assert list(simulated.effects) == (EFFECTS if mediated else ["te"])
    study = Study.from_frame(
        frame,
        outcome="y",
        treatment="treat",
        mediator="m" if mediated else None,
        covariates=simulated.covariates,
    )
    assert study.n_units == 101


def test_the_mean_indirect_effect_of_the_first_scenario_is_the_published_one():
    simulated = trial("simple_all", n=400_000)
    # E[x1 + x2 | both positive] = 2 sqrt(2 / pi); a quarter of the units is in S.
    inside = simulated.effects.loc[simulated.in_subgroup, "tnie"]
    assert 2 * sqrt(2 / pi) == pytest.approx(1.5958, abs=1e-4)
    assert inside.mean() == pytest.approx(1.5958, abs=0.015)
    assert simulated.effects["tnie"].mean() == pytest.approx(0.3989, abs=0.008)
    assert simulated.in_subgroup.mean() == pytest.approx(0.25, abs=0.004)
    assert (simulated.effects.loc[~simulated.in_subgroup, "tnie"] == 0).all()


@pytest.mark.parametrize(
    ("name", "tnie", "pnde"),
    [
        ("simple_all", "g", 0.0),
        ("simple_part", "g", "g"),
        ("null_1", 0.0, "g"),
        ("null_2", 0.0, "g"),
        ("global", 1.0, 0.0),
    ],
)
def test_linear_scenarios_have_the_effects_of_their_table(name, tnie, pnde):
    simulated = trial(name, n=200)
    g = (simulated.frame["x1"] + simulated.frame["x2"]) * simulated.in_subgroup
    for effect, expected in (("tnie", tnie), ("pnde", pnde)):
        wanted = g if expected == "g" else np.full(200, expected)
        np.testing.assert_allclose(simulated.effects[effect], wanted, atol=1e-12)


@pytest.mark.parametrize("name", [n for n, s in SCENARIOS.items() if s.mediated])
def test_effects_add_up(name):
    effects = trial(name, n=50).effects
    np.testing.assert_allclose(effects["te"], effects["tnie"] + effects["pnde"])
    np.testing.assert_allclose(effects["te"], effects["pnie"] + effects["tnde"])


@pytest.mark.parametrize("name", ["complex_all", "complex_part"])
def test_logistic_truth_agrees_with_brute_force(name):
    # Written out once more, from the formulas of the docstring.
    simulated, noise, size = trial(name, n=12, noise=1.0), 1.0, 200_000
    rng = np.random.default_rng(2)
    e1, e2 = noise * rng.normal(size=(2, size, 1))
    x = simulated.frame[simulated.covariates].to_numpy().T
    g, others = x[0] + x[1], x[2] + x[3]
    effect = g * ((x[0] > 0) & (x[1] > 0))
    direct = effect if name == "complex_part" else 0.0

    def outcome(t, other):
        m = others + 0.5 * g + effect * other + e1
        return special.expit(-(1 + m + 0.5 * others + direct * t + e2))

    for effect_name, high, low in (
        ("tnie", (1, 1), (1, 0)),
        ("pnde", (1, 0), (0, 0)),
        ("te", (1, 1), (0, 0)),
    ):
        difference = outcome(*high) - outcome(*low)
        standard_error = difference.std(axis=0) / sqrt(size)
        gap = np.abs(difference.mean(axis=0) - simulated.effects[effect_name])
        assert (gap < 5 * standard_error + 1e-12).all()


def test_logistic_total_effect_agrees_with_brute_force():
    simulated, size = trial("total_complex", n=12, noise=1.0), 200_000
    e = np.random.default_rng(3).normal(size=(size, 1))
    x = simulated.frame[simulated.covariates].to_numpy().T
    g = x[0] + x[1]
    base = 1 + x[2] + x[3] + 0.5 * g + e
    treated = special.expit(-(base + g * ((x[0] > 0) & (x[1] > 0))))
    difference = treated - special.expit(-base)
    gap = np.abs(difference.mean(axis=0) - simulated.effects["te"])
    assert (gap < 5 * difference.std(axis=0) / sqrt(size) + 1e-12).all()


@pytest.mark.parametrize("name", ["simple_part", "complex_part", "total_simple", "total_global"])
def test_data_and_truth_belong_together(name):
    # Among units of S, arms differ on average by the average true total effect.
    simulated = trial(name, n=40_000, noise=0.5)
    frame = simulated.frame[simulated.in_subgroup]
    by_arm = frame.groupby("treat")["y"].agg(["mean", "sem"])
    difference = by_arm.loc[1, "mean"] - by_arm.loc[0, "mean"]
    standard_error = sqrt((by_arm["sem"] ** 2).sum())
    truth = simulated.effects.loc[simulated.in_subgroup, "te"].mean()
    assert difference == pytest.approx(truth, abs=4 * standard_error)
    assert standard_error < 0.06


def test_heterogeneous_scenarios_are_those_whose_effect_varies():
    for name, scenario in SCENARIOS.items():
        effects = trial(name, n=300, noise=0.0).effects
        varies = effects["tnie" if scenario.mediated else "te"].std() > 1e-9
        assert varies == scenario.heterogeneous, name


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("simple_al", {}, "Did you mean 'simple_all'"),
        ("simple_all", {"n": 1}, "n of at least 2"),
        ("simple_all", {"noise": -1.0}, "noise of 0 or more"),
    ],
)
def test_what_cannot_be_simulated_is_refused(name, options, message):
    with pytest.raises(SpecError, match=message):
        trial(name, **options)
