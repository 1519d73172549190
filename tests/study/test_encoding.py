"""Columns become matrices the same way every time, and ranks do not care about units."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes_hte.errors import DataError
from bayes_hte.study.encoding import MAX_KNOTS, MAX_SPLIT_LEVELS, ColumnEncoding, Encoding

N = 300


def normal_column() -> pd.Series:
    return pd.Series(np.random.default_rng(2).normal(size=N), name="x")


def ranked(column: pd.Series) -> np.ndarray:
    return ColumnEncoding.learn(column).split_columns(column)["x"]


def mixed_frame() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "x": rng.normal(10, 3, size=N),
            "count": rng.poisson(2, size=N),
            "flag": rng.random(N) < 0.3,
            "sex": pd.Categorical(rng.choice(["m", "f"], size=N)),
            "site": rng.choice(["a", "b", "c"], size=N),
        }
    )


# ---------------------------------------------------------------- ranks


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(4).normal(size=N),
        np.random.default_rng(4).poisson(3, size=N),
        np.arange(N) % 2 == 0,
        np.random.default_rng(4).uniform(size=N) * 1e-9,
    ],
    ids=["continuous", "counts", "boolean", "tiny numbers"],
)
def test_ranks_are_mid_ranks_between_zero_and_one(values):
    expected = (stats.rankdata(values) - 0.5) / N
    got = ranked(pd.Series(values, name="x"))
    np.testing.assert_allclose(got, expected, atol=1 / (2 * N))
    assert got.min() > 0
    assert got.max() < 1


@pytest.mark.parametrize(
    "transform",
    [
        lambda x: 3 * x - 7,
        lambda x: 1e9 * x,
        np.exp,
        np.arctan,
        lambda x: x**3,
        lambda x: np.exp(3 * x),
        lambda x: x.where(x < x.max(), 1e9),
    ],
    ids=["linear", "units", "exp", "arctan", "cube", "log-normal", "one far outlier"],
)
def test_ranks_are_invariant_to_monotone_transformations(transform):
    column = normal_column()
    # Half a rank: nobody changes places.
    np.testing.assert_allclose(ranked(transform(column)), ranked(column), atol=1 / (2 * N))


def test_ranks_follow_a_decreasing_transformation_in_reverse():
    column = normal_column()
    np.testing.assert_allclose(ranked(-column), 1 - ranked(column), atol=1 / (2 * N))


def test_new_values_beyond_the_study_get_the_extreme_ranks():
    column = normal_column()
    encoding = ColumnEncoding.learn(column)
    far = encoding.split_columns(pd.Series([-1e6, 1e6], name="x"))["x"]
    np.testing.assert_allclose(far, [ranked(column).min(), ranked(column).max()])


def test_new_values_between_those_of_the_study_get_ranks_between_theirs():
    encoding = ColumnEncoding.learn(pd.Series([0.0, 1.0, 2.0, 3.0], name="x"))
    got = encoding.split_columns(pd.Series([0.5, 1.5], name="x"))["x"]
    np.testing.assert_allclose(got, [0.25, 0.5], atol=1e-5)


def test_long_columns_are_thinned_without_moving_a_rank_visibly():
    values = np.random.default_rng(6).normal(size=20_000)
    encoding = ColumnEncoding.learn(pd.Series(values, name="x"))
    assert len(encoding.knots) == len(encoding.ranks) <= MAX_KNOTS
    got = encoding.split_columns(pd.Series(values, name="x"))["x"]
    np.testing.assert_allclose(got, (stats.rankdata(values) - 0.5) / values.size, atol=1e-3)


# ---------------------------------------------------------------- standardised columns


def test_numeric_columns_are_centred_and_scaled_by_the_study():
    column = normal_column() * 4 + 100
    encoding = ColumnEncoding.learn(column)
    z = encoding.standardized(column)["x"]
    np.testing.assert_allclose([z.mean(), z.std()], [0, 1], atol=1e-12)
    new = encoding.standardized(pd.Series([column.mean() + 2 * column.std(ddof=0)], name="x"))
    np.testing.assert_allclose(new["x"], [2.0])


def test_categories_are_indicators_without_the_first_level_when_standardised():
    frame = pd.DataFrame({"site": ["b", "a", "c", "a"]})
    z = Encoding.learn(frame).standardized(frame)
    expected = pd.DataFrame({"site=b": [1.0, 0, 0, 0], "site=c": [0.0, 0, 1, 0]})
    pd.testing.assert_frame_equal(z, expected)


def test_categories_are_codes_for_trees_and_an_indicator_for_two_levels():
    frame = pd.DataFrame({"site": ["b", "a", "c", "a"], "sex": ["m", "f", "m", "f"]})
    encoding = Encoding.learn(frame)
    expected = pd.DataFrame({"site": [1.0, 0, 2, 0], "sex=m": [1.0, 0, 1, 0]})
    pd.testing.assert_frame_equal(encoding.split_columns(frame), expected)
    np.testing.assert_array_equal(encoding.split_levels, [3, 0])


@pytest.mark.parametrize("levels", [MAX_SPLIT_LEVELS, MAX_SPLIT_LEVELS + 1])
def test_more_levels_than_a_split_can_hold_are_indicators_of_every_level(levels):
    names = [f"s{k:02d}" for k in range(levels)]
    column = pd.Series(names * 2, name="site")
    encoding = Encoding.learn(column.to_frame())
    columns = encoding.split_columns(column.to_frame())
    if levels == MAX_SPLIT_LEVELS:
        np.testing.assert_array_equal(columns["site"], np.tile(np.arange(levels), 2))
        np.testing.assert_array_equal(encoding.split_levels, [levels])
        return
    assert list(columns) == [f"site={name}" for name in names]
    np.testing.assert_array_equal(columns, np.tile(np.eye(levels), (2, 1)))
    np.testing.assert_array_equal(encoding.split_levels, np.zeros(levels))


def test_there_is_one_number_of_levels_for_each_split_column():
    encoding = Encoding.learn(mixed_frame())
    columns = encoding.split_columns(mixed_frame())
    assert list(columns) == ["x", "count", "flag", "sex=m", "site"]
    np.testing.assert_array_equal(encoding.split_levels, [0, 0, 0, 0, 3])


def test_a_constant_column_of_a_derived_frame_is_harmless():
    column = pd.Series(np.full(N, 0.4), name="x")
    encoding = ColumnEncoding.learn(column)
    np.testing.assert_array_equal(encoding.standardized(column)["x"], 0)
    np.testing.assert_allclose(encoding.split_columns(column)["x"], 0.5)


# ---------------------------------------------------------------- replay


@pytest.mark.parametrize("how", ["standardized", "split_columns"])
def test_any_rows_of_the_study_get_the_numbers_they_had(how):
    frame = mixed_frame()
    encoding = Encoding.learn(frame)
    whole = getattr(encoding, how)(frame)
    some = frame.iloc[[200, 3, 3, 77]]
    pd.testing.assert_frame_equal(getattr(encoding, how)(some), whole.iloc[[200, 3, 3, 77]])


@pytest.mark.parametrize("how", ["standardized", "split_columns"])
def test_the_order_of_features_is_that_of_the_study_not_of_the_new_frame(how):
    frame = mixed_frame()
    encoding = Encoding.learn(frame)
    shuffled = frame[["site", "flag", "x", "sex", "count"]].assign(other=1)
    apply = getattr(encoding, how)
    pd.testing.assert_frame_equal(apply(shuffled), apply(frame))
    assert encoding.names == ("x", "count", "flag", "sex", "site")


@pytest.mark.parametrize("how", ["standardized", "split_columns"])
def test_the_state_survives_json(how):
    frame = mixed_frame()
    encoding = Encoding.learn(frame)
    again = Encoding.from_state(json.loads(json.dumps(encoding.to_state())))
    assert again == encoding
    pd.testing.assert_frame_equal(getattr(again, how)(frame), getattr(encoding, how)(frame))


def test_levels_are_known_by_their_text_whatever_the_dtype():
    frame = mixed_frame()
    encoding = Encoding.learn(frame)
    as_text = frame.astype({"sex": str, "site": "category"})
    pd.testing.assert_frame_equal(encoding.split_columns(as_text), encoding.split_columns(frame))


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize("how", ["standardized", "split_columns"])
def test_a_level_the_study_never_saw_is_refused_with_the_known_ones(how):
    encoding = Encoding.learn(mixed_frame())
    new = mixed_frame().assign(site="d")
    with pytest.raises(DataError, match=r"'site' has levels the model never saw: d\. Known: a, b"):
        getattr(encoding, how)(new)


@pytest.mark.parametrize("how", ["standardized", "split_columns"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_missing_or_infinite_new_numbers_are_refused_with_their_count(how, value):
    encoding = Encoding.learn(mixed_frame())
    new = mixed_frame()
    new.loc[[1, 2], "x"] = value
    with pytest.raises(DataError, match="'x' has 2 missing or infinite values"):
        getattr(encoding, how)(new)


@pytest.mark.parametrize("levels", [["a", None], [None, "zz"]], ids=["alone", "beside unseen"])
def test_a_missing_new_category_is_refused(levels):
    encoding = Encoding.learn(mixed_frame())
    new = mixed_frame().iloc[:2].assign(site=levels)
    with pytest.raises(DataError, match="'site'"):
        encoding.split_columns(new)


def test_text_in_a_column_that_was_numeric_is_refused():
    encoding = Encoding.learn(mixed_frame())
    with pytest.raises(DataError, match="'x' was numeric in the study"):
        encoding.split_columns(mixed_frame().assign(x="ten"))


def test_an_absent_column_is_refused_and_the_nearest_named():
    encoding = Encoding.learn(mixed_frame())
    with pytest.raises(DataError, match=r"unknown column 'count'\. Did you mean 'counts'"):
        encoding.split_columns(mixed_frame().rename(columns={"count": "counts"}))


@pytest.mark.parametrize(
    "categories",
    [pd.date_range("2020", periods=3), np.float32([0.1, 0.2, 0.3]), [1, 2, 3], [True, False]],
    ids=["times", "short floats", "numbers", "booleans"],
)
def test_categories_of_any_values_are_known_again(categories):
    column = pd.Series(pd.Categorical.from_codes(np.arange(12) % len(categories), categories))
    encoding = ColumnEncoding.learn(column.rename("g"))
    assert len(encoding.levels) == len(categories)
    np.testing.assert_array_equal(
        np.sum(list(encoding.standardized(column).values()), axis=0),
        column.astype(str) != encoding.levels[0],
    )
