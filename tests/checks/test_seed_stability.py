"""Fits that differ in their seed alone: fake posteriors that agree, and ones that must fail."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from scipy.stats import rankdata

from bayes_hte.checks import seed_stability as module
from bayes_hte.checks.seed_stability import compare_seeds, seed_stability
from bayes_hte.errors import DataError, SamplingError, SpecError
from bayes_hte.names import SAMPLE, UNIT
from tests.fakes import fake_effect

TRUTH = np.linspace(-1, 3, 80)


def fake(seed: int, truth: np.ndarray = TRUTH, **kwargs) -> xr.DataArray:
    return fake_effect(np.random.default_rng(seed), truth, **{"shared_sd": 0.3, **kwargs})


def test_fits_that_agree_pass():
    result = compare_seeds({1: fake(1), 2: fake(2), 3: fake(3)})
    assert result.passed is True
    assert list(result.table.index) == [1, 2, 3]
    assert result.table.attrs == {"ci_prob": 0.95, "ci_kind": "eti"}
    assert "Over 3 seeds of the full model" in result.text


def test_the_numbers_are_those_of_the_draws():
    first, other = fake(1), fake(2, TRUTH[::-1] ** 2)
    row = compare_seeds({7: first, 8: other}).table.loc[8]
    a, b = (x.mean(SAMPLE).to_numpy() for x in (first, other))
    ranks = np.corrcoef(rankdata(a), rankdata(b))[0, 1]
    assert row["rank correlation"] == pytest.approx(ranks)
    assert row["sign changes"] == pytest.approx(np.mean((a > 0) != (b > 0)))
    sds = [x.mean(UNIT).std(ddof=1).item() for x in (first, other)]
    expected = (b.mean() - a.mean()) / np.sqrt(np.mean(np.square(sds)))
    assert row["difference"] == pytest.approx(expected)
    assert row["sate"] == pytest.approx(b.mean())
    assert row["spread"] == pytest.approx(b.std())


def test_another_average_effect_fails_and_nothing_else_does():
    result = compare_seeds({1: fake(1), 2: fake(2, TRUTH + 0.15, unit_sd=0.01)})
    assert result.passed is False
    assert "the average effect depends on the seed" in result.text
    assert "the ranking of units depends" not in result.text


def test_another_ranking_fails():
    shuffled = np.random.default_rng(0).permutation(TRUTH + 2)
    result = compare_seeds({1: fake(1, TRUTH + 2), 2: fake(2, shuffled)})
    assert result.passed is False
    assert "the ranking of units depends on the seed" in result.text
    assert "the average effect depends" not in result.text


def test_signs_that_change_fail():
    # Ranks agree, and so do the averages in units of a wide posterior; one unit in ten flips.
    result = compare_seeds(
        {
            1: fake(1, TRUTH, shared_sd=3, draws=1000),
            2: fake(1, TRUTH - 0.4, shared_sd=3, draws=1000),
        }
    )
    assert result.passed is False
    assert "who benefits depends on the seed" in result.text
    assert "the average effect depends" not in result.text
    assert "the ranking of units depends" not in result.text


def test_the_worst_seed_decides():
    assert compare_seeds({1: fake(1), 2: fake(2), 3: fake(3, -TRUTH)}).passed is False


def test_effects_that_do_not_vary_have_no_ranking_to_judge():
    constant = [fake(seed, np.ones(5), unit_sd=0.0) for seed in (1, 2)]
    result = compare_seeds(dict(enumerate(constant)))
    assert result.passed is True
    assert "there is no ranking" in result.text


def test_a_ranking_that_one_seed_does_not_find_fails():
    constant = fake(2, np.full(80, TRUTH.mean()), unit_sd=0.0)
    result = compare_seeds({1: fake(1), 2: constant})
    assert result.table.loc[2, "rank correlation"] == 0
    assert "the ranking of units depends on the seed" in result.text


def test_draws_that_are_not_numbers_are_refused():
    broken = fake(2)
    broken[0, 0, 0] = np.nan
    with pytest.raises(DataError, match="seed 2 has draws that are not finite"):
        compare_seeds({1: fake(1), 2: broken})


def test_one_fit_and_other_units_are_refused():
    with pytest.raises(DataError, match="at least two fits, got 1"):
        compare_seeds({1: fake(1)})
    with pytest.raises(DataError, match="the fit of seed 2 is about other units"):
        compare_seeds({1: fake(1), 2: fake(2).assign_coords(unit=np.arange(80) + 1)})


class FakeFit(SimpleNamespace):
    """What the check reads of a fit."""

    whole = None

    def cate(self) -> xr.DataArray:
        return fake(self.seed)


def test_refits_get_seeds_of_their_own(monkeypatch):
    asked = []

    def refit(study, plan, *, seed, draws, tune, chains):
        asked.append((study, plan, seed, draws, tune, chains))
        return FakeFit(seed=seed)

    monkeypatch.setattr(module, "refit_plan", refit)
    fit = FakeFit(seed=5, study="study", plan="plan")
    result = seed_stability(fit, seeds=2, draws=20, tune=10, chains=3)
    assert result.passed is True
    assert [a[:2] + a[3:] for a in asked] == [("study", "plan", 20, 10, 3)] * 2
    assert [5, *(a[2] for a in asked)] == list(result.table.index)
    assert len(set(result.table.index)) == 3


def test_a_refit_that_cannot_be_sampled_is_a_failure_with_its_reason(monkeypatch):
    def refit(*args, **kwargs):
        raise SamplingError("chains 0 and 1 are identical")

    monkeypatch.setattr(module, "refit_plan", refit)
    result = seed_stability(FakeFit(seed=5, study=None, plan=None))
    assert result.passed is False
    assert result.text == "Could not be judged: chains 0 and 1 are identical"


def test_no_further_seed_is_refused():
    with pytest.raises(SpecError, match="seeds must be a whole number, at least 1, got 0"):
        seed_stability(FakeFit(seed=5), seeds=0)
