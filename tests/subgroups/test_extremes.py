"""The outer leaves: whose effects look highest and lowest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_hte.errors import DataError, SpecError
from bayes_hte.study.study import Study
from bayes_hte.subgroups import m_learner
from bayes_hte.subgroups.honest import extremes
from bayes_hte.subgroups.honest.extremes import find_extremes
from tests.fakes import fake_effect


def people(rng: np.random.Generator, *, n: int = 400) -> Study:
    frame = pd.DataFrame(rng.normal(size=(n, 3)), columns=["x1", "x2", "x3"])
    frame["site"] = rng.choice(["Hull", "Leeds", "York"], size=n)
    frame = frame.assign(w=np.arange(n) % 2, y=rng.normal(size=n))
    covariates = ["x1", "x2", "x3", "site"]
    return Study.from_frame(frame, outcome="y", treatment="w", covariates=covariates)


def draws_around(means: np.ndarray, study: Study) -> xr.DataArray:
    """Draws whose means are exactly these."""
    noise = np.array([-0.1, 0.1])[np.newaxis, :, np.newaxis]
    return xr.DataArray(
        means + noise, dims=("chain", "draw", "unit"), coords={"unit": study.units}, name="te"
    )


def corner(study: Study) -> np.ndarray:
    """Effects that rise from nought in the corner where x1 and x2 are positive."""
    x1, x2 = study.frame["x1"], study.frame["x2"]
    return np.where((x1 > 0) & (x2 > 0), x1 + x2, 0.0)


def test_a_step_makes_two_groups_and_nothing_else_is_asked():
    study = people(np.random.default_rng(0))
    truth = (study.frame["x1"] > 0.3).to_numpy(dtype=float)
    found = find_extremes(draws_around(truth, study), study, seed=0)
    assert found.covariates == ("x1",)
    np.testing.assert_array_equal(found.assign(study.covariate_frame()), truth)


def test_levels_are_named():
    study = people(np.random.default_rng(1))
    truth = (study.frame["site"] == "York").to_numpy(dtype=float)
    found = find_extremes(draws_around(truth, study), study, seed=0)
    assert found.leaves["rule"].tolist() == ["site is Hull or Leeds", "site is York"]


def test_the_outer_leaves_lie_further_apart_than_subgroups_to_be_read():
    study = people(np.random.default_rng(2), n=1000)
    truth = corner(study)
    draws = fake_effect(np.random.default_rng(3), truth).assign_coords(unit=study.units)
    outer = find_extremes(draws, study, seed=0)
    labels = outer.assign(study.covariate_frame())
    assert set(labels) == {0, 1, 2}
    assert set(outer.covariates) == {"x1", "x2"}
    high, low = truth[labels == 2], truth[labels == 0]
    assert len(high) >= 100 <= len(low)
    groups = m_learner(draws, study, seed=0).labels.to_numpy()
    apart = truth[groups == groups.max()].mean() - truth[groups == 0].mean()
    assert high.mean() - low.mean() > 1.1 * apart


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_groups_hold_their_share(share):
    study = people(np.random.default_rng(4))
    draws = draws_around(study.frame["x1"].to_numpy(), study)
    found = find_extremes(draws, study, seed=0, leaf_share=share)
    sizes = np.bincount(found.assign(study.covariate_frame()))
    assert sizes[0] >= share * 400 <= sizes[-1]
    # Six leaves of a straight line, if they may be small; else two or three.
    assert (sizes[0] < 100) == (share < 0.2)


def test_effects_that_no_covariate_tells_about_are_not_divided():
    study = people(np.random.default_rng(5))
    noise = np.random.default_rng(6).normal(size=400)
    for means, why in ((noise, "no split"), (np.full(400, 2.0), "same posterior-mean effect")):
        found = find_extremes(draws_around(means, study), study, seed=0)
        assert set(found.assign(study.covariate_frame())) == {0}
        assert why in found.text


def test_the_order_of_the_rows_does_not_matter():
    study = people(np.random.default_rng(7))
    draws = draws_around(corner(study), study)
    order = np.random.default_rng(8).permutation(400)
    there = find_extremes(draws, study, seed=0)
    elsewhere = find_extremes(draws.isel(unit=order), study.subset(order), seed=0)
    assert there.text == elsewhere.text


def test_of_several_effects_the_first_is_used():
    study = people(np.random.default_rng(9))
    x1, x2 = (draws_around(study.frame[x].to_numpy(), study) for x in ("x1", "x2"))
    assert find_extremes(xr.Dataset({"te": x1, "tnie": x2}), study, seed=0).covariates == ("x1",)


def test_very_many_units_are_divided_by_a_tree_of_some(monkeypatch):
    monkeypatch.setattr(extremes, "TREE_UNITS", 200)
    study = people(np.random.default_rng(10), n=600)
    truth = (study.frame["x2"] > 0).to_numpy(dtype=float)
    found = find_extremes(draws_around(truth, study), study, seed=0)
    assert found.leaves["n"].sum() == 600
    agree = found.assign(study.covariate_frame()) == truth
    assert agree.mean() > 0.97


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed must be a whole number"),
        ({"leaf_share": 0.0}, "leaf_share must be above 0"),
        ({"leaf_share": 0.6}, "leaf_share must be above 0 and at most 0.5, got 0.6"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    study = people(np.random.default_rng(11))
    with pytest.raises(SpecError, match=message):
        find_extremes(draws_around(corner(study), study), study, **{"seed": 0, **options})


def test_draws_that_are_not_numbers_are_refused():
    study = people(np.random.default_rng(12))
    broken = draws_around(corner(study), study)
    broken[0, 0, 3] = np.nan
    with pytest.raises(DataError, match="NaN or infinite"):
        find_extremes(broken, study, seed=0)
