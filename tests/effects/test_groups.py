"""Effects averaged within groups of units: levels, cut points, order, counts, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_hte.effects.groups import MAX_GROUPS, gate
from bayes_hte.errors import DataError, SpecError
from tests.fakes import fake_effect

N = 30
AGE = pd.Series(np.arange(N) + 20.0, name="age")


@pytest.fixture(scope="module")
def effect() -> xr.DataArray:
    rng = np.random.default_rng(1)
    return fake_effect(rng, rng.normal(size=N), chains=2, draws=5)


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (["b", "a", "c"], ["a", "b", "c"]),
        ([10, 9, 100], [9, 10, 100]),
        ([True, False, True], [False, True]),
        (pd.Categorical(["high", "low", "mid"]), ["high", "low", "mid"]),
    ],
    ids=["text", "numbers", "boolean", "categories"],
)
def test_levels_are_averaged_draw_by_draw_in_sorted_order_and_counted(effect, values, levels):
    column = pd.concat([pd.Series(values, name="site")] * (N // 3), ignore_index=True)
    result = gate(effect, column)
    assert result.dims == ("chain", "draw", "group")
    assert list(result["group"].values) == levels
    assert result.attrs == effect.attrs
    for level in levels:
        mask = (column == level).to_numpy()
        np.testing.assert_allclose(result.sel(group=level), effect[..., mask].mean("unit"))
        assert int(result["units"].sel(group=level)) == mask.sum()


def test_cuts_make_intervals_from_low_to_high_closed_above(effect):
    # Given in any order; as text "over 3" would sort before "up to 25".
    result = gate(effect, AGE, cuts=[40, 25])
    assert list(result["group"].values) == ["up to 25", "over 25 to 40", "over 40"]
    assert list(result["units"].values) == [6, 15, 9]
    parts = [AGE <= 25, (AGE > 25) & (AGE <= 40), AGE > 40]
    for group, mask in enumerate(parts):
        expected = effect[..., mask.to_numpy()].mean("unit")
        np.testing.assert_allclose(result.isel(group=group), expected)


def test_groups_weighted_by_their_counts_give_the_average_over_all(effect):
    result = gate(effect, AGE, cuts=[30, 41.5])
    np.testing.assert_allclose(result.weighted(result["units"]).mean("group"), effect.mean("unit"))


def test_columns_with_labels_of_their_own_are_matched_by_position(effect):
    labelled = AGE.set_axis([f"p{i}" for i in range(N)])
    xr.testing.assert_equal(gate(effect, labelled, cuts=[30]), gate(effect, AGE, cuts=[30]))
    unlabelled = effect.drop_vars("unit")
    np.testing.assert_array_equal(
        gate(unlabelled, AGE[::-1], cuts=[30]),
        gate(effect, AGE[::-1].reset_index(drop=True), cuts=[30]),
    )


@pytest.mark.parametrize("dtype", ["int64", "Int64", "object"])
def test_columns_with_the_labels_of_the_effect_are_matched_by_label(effect, dtype):
    shuffled = AGE.sample(frac=1, random_state=1)
    shuffled.index = shuffled.index.astype(dtype)
    xr.testing.assert_equal(gate(effect, shuffled, cuts=[30]), gate(effect, AGE, cuts=[30]))


def test_columns_with_some_of_the_labels_of_the_effect_are_refused(effect):
    moved = AGE.set_axis(AGE.index + 1)
    with pytest.raises(DataError, match=r"1 of the 30 units of the effect are not among its lab"):
        gate(effect, moved, cuts=[30])
    cured = moved.set_axis(effect.get_index("unit"))
    xr.testing.assert_equal(gate(effect, cured, cuts=[30]), gate(effect, AGE, cuts=[30]))


# ---------------------------------------------------------------- failures


def test_a_column_of_another_length_is_refused(effect):
    with pytest.raises(DataError, match=r"groups must have shape \(30,\), got \(29,\)"):
        gate(effect, (AGE > 30).iloc[1:])


@pytest.mark.parametrize("cuts", [None, [30]])
def test_units_without_a_value_are_refused_with_their_count(effect, cuts):
    column = AGE.where(AGE > 21) if cuts else pd.Series([None, None, *"ab" * 14], name="age")
    with pytest.raises(DataError, match="'age' has 2 missing values"):
        gate(effect, column, cuts=cuts)


def test_cuts_of_text_are_refused(effect):
    with pytest.raises(DataError, match="cuts need a numeric column; 'site' is"):
        gate(effect, pd.Series(["a", "b"] * 15, name="site"), cuts=[1])


@pytest.mark.parametrize(("cuts", "empty"), [([10], "up to 10"), ([30, 30.5], "over 30 to 30.5")])
def test_an_interval_without_units_is_refused_with_the_range(effect, cuts, empty):
    with pytest.raises(SpecError, match=f"no unit has 'age' {empty}; its values go from 20 to 49"):
        gate(effect, AGE, cuts=cuts)


@pytest.mark.parametrize("cuts", [30, "30", [30, "x"], [float("nan")], [None]])
def test_cuts_that_are_no_list_of_numbers_are_refused(effect, cuts):
    with pytest.raises(SpecError, match="cuts must be a list of numbers, got"):
        gate(effect, AGE, cuts=cuts)


def test_equal_cuts_count_once(effect):
    xr.testing.assert_equal(gate(effect, AGE, cuts=[30, 30]), gate(effect, AGE, cuts=[30]))


def test_what_is_no_column_or_no_effect_is_refused(effect):
    with pytest.raises(DataError, match=r"column must be a pandas Series, got list"):
        gate(effect, [1, 2])
    with pytest.raises(DataError, match=r"effect must be a DataArray of draws .*, got ndarray"):
        gate(effect.to_numpy(), AGE)


def test_too_many_levels_are_refused_with_the_way_out():
    n = MAX_GROUPS + 1
    effect = fake_effect(np.random.default_rng(1), np.zeros(n), chains=1, draws=2)
    column = pd.Series(np.arange(n), name="age")
    with pytest.raises(SpecError, match=rf"'age' has {n} levels, .*cuts="):
        gate(effect, column)
    assert gate(effect.isel(unit=slice(1, None)), column.iloc[1:]).sizes["group"] == MAX_GROUPS
