from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes_hte.errors import DataError, SpecError
from bayes_hte.mixtures.proxies.bases import QuantileBins, Ranks, Splines
from bayes_hte.mixtures.proxies.features import fit_proxies

RNG_SEED = 3


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(RNG_SEED)
    return pd.DataFrame(
        {
            "age": rng.normal(50, 10, size=300),
            "crp": rng.lognormal(size=300),
            "sex": rng.choice(["f", "m"], size=300),
            "grade": rng.integers(1, 4, size=300),
            "ward": pd.Categorical(rng.choice(list("abcdefgh"), size=300)),
            "smoker": rng.random(300) < 0.4,
        }
    )


@pytest.mark.parametrize("continuous", [QuantileBins(4), Ranks(2), Splines(n_knots=3)])
@pytest.mark.parametrize("columns", [["age"], ["age", "sex"], ["crp", "age", "grade"]])
def test_constant_is_in_the_span_and_bounds_hold(frame, continuous, columns):
    features = fit_proxies(frame, columns, continuous=continuous).apply(frame)
    matrix = features.dense()
    np.testing.assert_allclose(matrix @ features.constant, 1)
    assert len(features.names) == matrix.shape[1] == features.bounds.shape[1]
    assert (matrix >= features.bounds[0]).all()
    assert (matrix <= features.bounds[1]).all()
    assert np.abs(matrix).max() <= 1
    assert np.linalg.matrix_rank(matrix) == matrix.shape[1]


def test_small_categories_are_crossed_and_large_ones_added(frame):
    crossed = fit_proxies(frame, ["sex", "grade"]).apply(frame)
    assert crossed.names[1] == "sex=f & grade=2"
    assert len(crossed.names) == 6
    expected = (frame["sex"] == "m") * 3 + frame["grade"] - 1
    np.testing.assert_array_equal(crossed.codes, expected)
    added = fit_proxies(frame, ["ward", "grade"]).apply(frame)
    assert added.codes is None
    assert len(added.names) == 1 + 7 + 2
    assert fit_proxies(frame, ["ward", "smoker"]).apply(frame).codes is not None


def test_combinations_that_never_occur_get_no_feature(frame):
    part = frame[(frame["sex"] == "f") | (frame["grade"] == 1)]
    fitted = fit_proxies(part, ["sex", "grade"])
    features = fitted.apply(part)
    assert len(features.names) == 4
    assert np.bincount(features.codes).min() > 0
    with pytest.raises(DataError, match="sex=m & grade="):
        fitted.apply(frame)


def test_bins_hold_equal_shares(frame):
    codes = fit_proxies(frame, ["age"], continuous=QuantileBins(5)).apply(frame).codes
    np.testing.assert_array_equal(np.bincount(codes), [60] * 5)


def test_ties_leave_fewer_bins_and_none_empty():
    values = np.concatenate([np.zeros(70), np.arange(1, 31)]).astype(float)
    features = fit_proxies(pd.DataFrame({"a": values}), ["a"], continuous=QuantileBins(4))
    counts = np.bincount(features.apply(pd.DataFrame({"a": values})).codes)
    assert len(counts) == 2
    assert counts.min() > 0


def test_ranks_do_not_depend_on_the_scale_of_a_column(frame):
    first = fit_proxies(frame, ["crp"], continuous=Ranks(2)).apply(frame).dense()
    logged = frame.assign(crp=np.log(frame["crp"]))
    second = fit_proxies(logged, ["crp"], continuous=Ranks(2)).apply(logged).dense()
    np.testing.assert_allclose(first, second, atol=0.02)
    assert abs(first[:, 1].mean()) < 0.01


@pytest.mark.parametrize("continuous", [QuantileBins(4), Ranks(2), Splines(n_knots=3)])
def test_new_rows_get_the_features_of_the_stored_state(frame, continuous):
    fitted = fit_proxies(frame, ["age", "sex"], continuous=continuous)
    whole = fitted.apply(frame)
    part = fitted.apply(frame.iloc[40:50])
    np.testing.assert_array_equal(part.dense(), whole.dense()[40:50])
    extreme = fitted.apply(pd.DataFrame({"age": [-1e9, 1e9], "sex": ["f", "m"]}))
    assert np.abs(extreme.dense()).max() <= 1


def test_bad_columns_are_named(frame):
    with pytest.raises(DataError, match="Did you mean 'age'"):
        fit_proxies(frame, ["agee"])
    with pytest.raises(DataError, match="'age' has 1 missing"):
        fit_proxies(frame.assign(age=frame["age"].mask(frame.index == 3)), ["age"])
    with pytest.raises(DataError, match="'age' has 300 missing or infinite"):
        fit_proxies(frame.assign(age=np.inf), ["age"])
    with pytest.raises(DataError, match="does not vary"):
        fit_proxies(frame.assign(sex="f"), ["sex"])
    with pytest.raises(DataError, match="300 categories"):
        fit_proxies(frame.assign(sex=[f"id{i}" for i in range(300)]), ["sex"])
    with pytest.raises(DataError, match="not among its levels"):
        fit_proxies(frame, ["sex"]).apply(frame.assign(sex="x"))
    for none in ([], "sex"):
        with pytest.raises(DataError, match="non-empty list"):
            fit_proxies(frame, none)
    for bad in (QuantileBins(1), Ranks(0), Splines(n_knots=1), Splines(degree=0)):
        with pytest.raises(SpecError, match=r"at least|need"):
            fit_proxies(frame, ["age"], continuous=bad)
