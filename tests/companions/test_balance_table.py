"""Balance tables: hand cases, weights, categories, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes_hte.companions import balance, compare_balance, iptw, match_nearest
from bayes_hte.errors import DataError


@pytest.fixture
def six() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "t": [0, 0, 0, 1, 1, 1],
            "x": [0.0, 1.0, 2.0, 2.0, 4.0, 6.0],
            "g": ["a", "a", "b", "b", "b", "a"],
            "k": 3.0,
        }
    )


def test_hand_computed_raw_smd(six):
    row = balance(six, treatment="t", covariates=["x"]).loc["x"]
    assert (row["mean_control"], row["mean_treated"]) == (1, 4)
    assert row["smd"] == pytest.approx(3 / np.sqrt((1 + 4) / 2))
    assert row["variance_ratio"] == pytest.approx(4)


def test_hand_computed_weighted_smd(six):
    weights = np.array([0.0, 1.0, 1.0, 2.0, 2.0, 0.0])
    row = balance(six, treatment="t", covariates=["x"], weights=weights).loc["x"]
    assert (row["mean_control"], row["mean_treated"]) == (1.5, 3)
    assert row["smd"] == pytest.approx(1.5 / np.sqrt((0.25 + 1) / 2))
    assert row["variance_ratio"] == pytest.approx(4)


def test_weights_of_one_arm_do_not_depend_on_scale(six):
    w = np.array([1.0, 2.0, 3.0, 1.0, 1.0, 2.0])
    scaled = w * np.where(six["t"] == 1, 10, 0.1)
    a, b = (balance(six, treatment="t", covariates=["x"], weights=v)["smd"] for v in (w, scaled))
    pd.testing.assert_series_equal(a, b)


def test_categories_give_a_row_a_level(six):
    table = balance(six, treatment="t", covariates=["g"])
    assert table.index.tolist() == ["g=a", "g=b"]
    assert table["mean_control"].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert table.loc["g=a", "smd"] == pytest.approx(-table.loc["g=b", "smd"])
    ordered = six.assign(g=pd.Categorical(six["g"], categories=["b", "a"]))
    assert balance(ordered, treatment="t", covariates=["g"]).index.tolist() == ["g=b", "g=a"]


def test_an_undefined_number_is_nan_with_its_reason(six):
    table = balance(six.assign(c=[1, 1, 1, 0, 1, 0]), treatment="t", covariates=["k", "c"])
    assert np.isnan(table.loc["k", "smd"])
    assert "no SMD" in table.loc["k", "note"]
    assert np.isfinite(table.loc["c", "smd"])
    assert np.isnan(table.loc["c", "variance_ratio"])
    assert "no variance ratio" in table.loc["c", "note"]


def test_matching_and_weighting_improve_balance_side_by_side(small):
    roles = {"outcome": "y", "treatment": "t", "propensity": "e"}
    table = compare_balance(
        small,
        treatment="t",
        covariates=["e"],
        weights={
            "matched": match_nearest(small, **roles).weights,
            "weighted": iptw(small, **roles).weights,
        },
    )
    assert table.columns.tolist() == ["raw", "matched", "weighted"]
    assert table.loc["e", "raw"] > 0.8
    assert abs(table.loc["e", "matched"]) < 1e-12
    assert abs(table.loc["e", "weighted"]) < 0.1


def test_gaps_are_described_and_not_filled(six):
    holed = six.assign(x=six["x"].mask(six.index == six.index[0]), g=six["g"].astype(object))
    holed.loc[holed.index[-1], "g"] = None
    table = balance(holed, treatment="t", covariates=["x", "g"])
    assert table.index.tolist() == ["x", "x (missing)", "g=a", "g=b", "g (missing)"]
    # Of the recorded values, as if the others were not in the table.
    known = balance(holed.dropna(subset="x"), treatment="t", covariates=["x"])
    pd.testing.assert_series_equal(table.loc["x"], known.loc["x"])
    alone = balance(
        six.assign(gone=holed["x"].isna().astype(float)), treatment="t", covariates=["gone"]
    )
    pd.testing.assert_series_equal(table.loc["x (missing)"], alone.loc["gone"], check_names=False)
    weights = np.arange(1.0, 7.0)
    weighed = balance(holed, treatment="t", covariates=["x"], weights=weights)
    kept = balance(
        holed.dropna(subset="x"),
        treatment="t",
        covariates=["x"],
        weights=weights[holed["x"].notna()],
    )
    pd.testing.assert_series_equal(weighed.loc["x"], kept.loc["x"])


def test_too_few_recorded_values_have_no_difference(six):
    first = six["x"].where(six.index == six[six["t"] == 1].index[0]).where(six["t"] == 1, six["x"])
    table = balance(six.assign(x=first), treatment="t", covariates=["x"])
    assert np.isnan(table.loc["x", "smd"])
    assert "fewer than two recorded values" in table.loc["x", "note"]
    assert np.isfinite(table.loc["x (missing)", "mean_treated"])


def test_bad_requests_are_refused(six):
    with pytest.raises(DataError, match="non-empty list"):
        balance(six, treatment="t", covariates="x")
    with pytest.raises(DataError, match="unknown covariate column 'z'"):
        balance(six, treatment="t", covariates=["z"])
    with pytest.raises(DataError, match="missing values"):
        balance(six.assign(x=np.nan), treatment="t", covariates=["x"])
    with pytest.raises(DataError, match="infinite values in x"):
        balance(six.assign(x=np.inf), treatment="t", covariates=["x"])
    with pytest.raises(DataError, match="must not be negative"):
        balance(six, treatment="t", covariates=["x"], weights=-np.ones(6))
    with pytest.raises(DataError, match="no weight at all"):
        balance(six, treatment="t", covariates=["x"], weights=six["t"])
    with pytest.raises(DataError, match="single unit"):
        balance(six.iloc[2:4], treatment="t", covariates=["x"])
    with pytest.raises(DataError, match="5 values for 6 units"):
        balance(six, treatment="t", covariates=["x"], weights=np.ones(5))
    with pytest.raises(DataError, match="must be a pandas DataFrame"):
        balance(six.to_numpy(), treatment="t", covariates=["x"])
    with pytest.raises(DataError, match="occurs 2 times"):
        balance(six[["t", "x", "x"]], treatment="t", covariates=["x"])
