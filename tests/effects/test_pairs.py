"""Contrasts of more than two arms by name."""

import numpy as np
import pytest
import xarray as xr

import bayes_hte as hte
from bayes_hte import effects
from bayes_hte.effects.pairs import check_one_contrast, pairs_of
from bayes_hte.errors import SpecError, UnsupportedError

ARMS = ["none", "low", "high"]


@pytest.fixture
def mu():
    values = np.random.default_rng(0).normal(size=(2, 5, 7, 3, 3))
    dims = ["chain", "draw", "unit", "arm", "mediator_arm"]
    return xr.DataArray(values, dims=dims, coords={"arm": ARMS, "mediator_arm": ARMS})


@pytest.fixture
def plain(mu):
    return effects.own_mediator(mu)


def test_by_default_every_arm_is_compared_with_the_reference(plain):
    effect = hte.cate(plain)
    assert effect.dims == ("chain", "draw", "unit", "contrast")
    assert effect["contrast"].values.tolist() == ["low vs none", "high vs none"]
    direct = plain.sel(arm="high") - plain.sel(arm="none")
    np.testing.assert_allclose(effect.sel(contrast="high vs none"), direct)
    assert "contrast" not in effect.attrs


@pytest.mark.parametrize("asked", [("high", "low"), "high vs low"])
def test_one_contrast_has_no_dimension_of_its_own(plain, asked):
    effect = hte.cate(plain, contrast=asked)
    assert effect.dims == ("chain", "draw", "unit")
    assert effect.attrs["contrast"] == "high vs low"
    np.testing.assert_allclose(effect, plain.sel(arm="high") - plain.sel(arm="low"))


def test_a_contrast_turned_round_has_the_other_sign(plain):
    there, back = (hte.cate(plain, contrast=pair) for pair in (("high", "low"), ("low", "high")))
    np.testing.assert_allclose(there, -back)


def test_all_pairs_agree_with_each_other_in_every_draw(plain):
    every = hte.cate(plain, contrast="all")
    assert every["contrast"].values.tolist() == ["low vs none", "high vs none", "high vs low"]
    difference = every.sel(contrast="high vs none") - every.sel(contrast="low vs none")
    np.testing.assert_allclose(every.sel(contrast="high vs low"), difference)


def test_natural_effects_of_a_contrast_are_those_of_its_two_arms(mu):
    two = mu.sel(arm=["low", "high"], mediator_arm=["low", "high"])
    of_two, of_three = hte.decompose(two), hte.decompose(mu, contrast=("high", "low"))
    for name in of_two:
        np.testing.assert_allclose(of_two[name], of_three[name])
        assert of_three[name].attrs == of_two[name].attrs
    by_default = hte.decompose(mu)
    total = by_default["tnie"] + by_default["pnde"]
    np.testing.assert_allclose(by_default["te"], total)


def test_two_arms_have_no_dimension_unless_all_pairs_are_asked_for(plain):
    two = plain.isel(arm=[0, 1])
    assert hte.cate(two).dims == ("chain", "draw", "unit")
    assert hte.cate(two, contrast="all")["contrast"].values.tolist() == ["low vs none"]


def test_averages_and_summaries_name_the_contrast(plain):
    effect = hte.cate(plain)
    averages = hte.average(effect)
    assert averages.dims == ("chain", "draw", "contrast")
    assert hte.summarize(averages).index.tolist() == ["low vs none", "high vs none"]
    benefit = hte.probability_of_benefit(averages, better="higher")
    assert benefit.dims == ("contrast",)


def test_groups_are_averaged_for_every_contrast(plain):
    labels = ["a", "b", "a", "b", "a", "b", "b"]
    effect = hte.cate(plain)
    every = hte.group_average(effect, labels)
    assert every.dims == ("chain", "draw", "group", "contrast")
    one = hte.group_average(effect.sel(contrast="high vs none"), labels)
    np.testing.assert_allclose(every.sel(contrast="high vs none"), one)
    with pytest.raises(UnsupportedError, match="a comparison of fits takes the effect of one"):
        hte.compare_effects({"a": effect, "b": effect})


def test_a_held_mediator_has_a_contrast_too(plain):
    held = plain.assign_attrs(mediator_value=1.0)
    effect = hte.controlled_direct_effect(held, contrast=("high", "none"))
    assert effect.attrs["contrast"] == "high vs none"
    assert effect.attrs["mediator_value"] == 1.0


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("hgih", "low"), "unknown arm 'hgih'"),
        (("low", "low"), "two different arms, got 'low' twice"),
        ("low against high", "unknown contrast 'low against high'"),
        (("low", "high", "none"), "contrast must be two arms, such as"),
        (3, "contrast must be two arms, such as"),
    ],
)
def test_other_contrasts_are_refused(plain, asked, message):
    with pytest.raises(SpecError, match=message):
        hte.cate(plain, contrast=asked)


def test_arms_that_are_numbers_are_found_by_number():
    assert pairs_of([0, 1.5, 3], (3, 1.5)) == ([(2, 1)], False)
    assert pairs_of([0, 1.5, 3], "1.5 vs 0") == ([(1, 0)], False)


def test_where_one_contrast_is_needed_several_are_refused_by_name(plain):
    with pytest.raises(UnsupportedError, match=r"effect\.sel\(contrast='low vs none'\)"):
        check_one_contrast(hte.cate(plain), "a ranking")
    check_one_contrast(hte.cate(plain, contrast="low vs none"), "a ranking")


def test_the_search_for_subgroups_takes_one_contrast(plain):
    from bayes_hte.errors import DataError
    from tests.fakes import fake_study

    study = fake_study(np.random.default_rng(0), n_units=60)[0]
    effect = (
        xr.concat([hte.cate(plain)] * 9, "unit")
        .isel(unit=slice(0, 60))
        .assign_coords(unit=study.units)
    )
    with pytest.raises(UnsupportedError, match="takes the effect of one contrast"):
        hte.m_learner(effect, study, seed=1)
    with pytest.raises(DataError, match="select one contrast"):
        hte.rank_uncertainty(effect, better="higher")
