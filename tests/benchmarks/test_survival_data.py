"""The designs of survival: their truth against simulation, and what they censor."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.survival_data import DESIGNS, Counts, load, simulate

DRAWS = 40_000


@pytest.mark.parametrize("name", DESIGNS)
def test_truth_is_the_mean_of_many_times(name):
    design, rng = DESIGNS[name], np.random.default_rng(1)
    x = np.repeat(rng.random((3, design.p)), DRAWS, axis=0)
    for law in design.laws(x):
        times = law.draw(rng).reshape(3, DRAWS)
        capped = np.minimum(times, design.horizon)
        tolerance = 5 * capped.std() / np.sqrt(DRAWS)
        np.testing.assert_allclose(
            law.rmst(design.horizon).reshape(3, DRAWS)[:, 0], capped.mean(axis=1), atol=tolerance
        )
        np.testing.assert_allclose(
            law.survival(design.at).reshape(3, DRAWS)[:, 0],
            (times > design.at).mean(axis=1),
            atol=2.5 / np.sqrt(DRAWS),
        )


def test_half_a_unit_changes_no_effect_of_counts():
    few, more = Counts(np.array([1.0])), Counts(np.array([2.0]))
    rng = np.random.default_rng(2)
    counted = [np.minimum(rng.poisson(m, DRAWS), 3).mean() for m in (1.0, 2.0)]
    assert more.rmst(3.5) - few.rmst(3.5) == pytest.approx(counted[1] - counted[0], abs=0.03)


@pytest.mark.parametrize("name", DESIGNS)
def test_times_are_positive_and_end_at_the_horizon(name):
    data = load(name, 500, 0)
    assert data.frame["time"].gt(0).all()
    assert data.frame.groupby("treat")["time"].max().min() >= data.horizon
    assert 0.6 * DESIGNS[name].horizon < data.horizon <= DESIGNS[name].horizon
    assert 0.05 < data.frame["event"].mean() < 0.97
    assert data.frame["treat"].nunique() == 2
    assert data.frame.equals(load(name, 500, 0).frame)


def test_effects_of_the_null_are_zero_and_others_vary():
    spread = {name: load(name, 500, 0).effect.std() for name in DESIGNS}
    assert spread.pop("no effect") == 0
    assert min(spread.values()) > 0.01


def test_censoring_of_the_informative_design_goes_with_the_time():
    """Among units alike, those who are censored late live long: the negative control of others."""
    design = DESIGNS["informative"]
    x = np.full((DRAWS, 5), 0.5)
    arm, rng = np.zeros(DRAWS, dtype=int), np.random.default_rng(3)
    failed = design.laws(x)[0].draw(rng)
    censored = design.censored(x, arm, failed, rng)
    assert np.corrcoef(np.log(failed), np.log(censored))[0, 1] == pytest.approx(0.6, abs=0.02)


def test_other_seeds_give_other_data():
    one, other = (simulate("type 1", 50, np.random.default_rng(s)) for s in (1, 2))
    assert not one.frame.equals(other.frame)
