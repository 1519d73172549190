"""What companions are given: tables, names, kinds of columns and labels of units."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes_hte as hte
from bayes_hte.companions.classical import classical
from bayes_hte.companions.scores import effect_scores
from bayes_hte.errors import DataError, SpecError
from bayes_hte.names import CHAIN, DRAW, UNIT
from bayes_hte.sensitivity import benchmark_covariates
from bayes_hte.study.study import Study
from tests.study.test_names import HOSTILE, NAMES_NOT_TEXT, N, frame_with

COMPANIONS = {
    "balance": lambda f, x: hte.balance(f, treatment="t", covariates=x),
    "compare_balance": lambda f, x: hte.compare_balance(f, treatment="t", covariates=x, weights={}),
    "benchmarks": lambda f, x: benchmark_covariates(f, outcome="y", treatment="t", covariates=x),
    "iptw": lambda f, x: hte.iptw(f, outcome=x[0], treatment="t", propensity="e"),
    "match": lambda f, x: hte.match_nearest(f, outcome=x[0], treatment="t", propensity="e"),
    "overlap": lambda f, x: hte.overlap_report(f, treatment=x[0], propensity="e"),
    "trim": lambda f, x: hte.trim(f, treatment=x[0], propensity="e"),
}


@pytest.mark.parametrize("companion", COMPANIONS)
@pytest.mark.parametrize("names", NAMES_NOT_TEXT[:3])
def test_companions_refuse_names_that_are_not_text(companion, names):
    with pytest.raises(DataError, match="names of columns must be text"):
        COMPANIONS[companion](frame_with(names), names)


def test_a_propensity_is_no_column_of_a_number():
    with pytest.raises(DataError, match=r"propensity must have shape"):
        hte.iptw(frame_with([0, 1]), outcome="y", treatment="t", propensity=0)


def test_a_column_called_as_the_level_of_another_has_a_row_of_its_own():
    frame = frame_with(["g=v"]).assign(g=np.tile(["u", "v"], N // 2))
    table = hte.balance(frame, treatment="t", covariates=["g", "g=v"])
    assert table.index.tolist() == ["g=u", "g=v (level)", "g=v"]
    alone = hte.balance(frame, treatment="t", covariates=["g=v"])
    assert table.loc["g=v", "smd"] == alone.loc["g=v", "smd"]


@pytest.mark.parametrize("name", HOSTILE)
def test_the_classical_estimates_take_a_treatment_of_any_name(name):
    frame = frame_with(["a", "b"])
    renamed = frame.rename(columns={"t": name})
    studies = (
        Study.from_frame(f, outcome="y", treatment=t, covariates=["a", "b"])
        for f, t in ((frame, "t"), (renamed, name))
    )
    values = np.broadcast_to(frame["e"], (2, 20, N))
    draws = xr.DataArray(values, dims=(CHAIN, DRAW, UNIT), coords={UNIT: np.arange(N)})
    one, other = (classical(s, draws, rng=np.random.default_rng(1)) for s in studies)
    assert one.weighted.estimate == other.weighted.estimate
    np.testing.assert_array_equal(one.balance["raw"], other.balance["raw"])


def test_weights_are_not_called_as_the_column_without_weights():
    frame = frame_with(["a", "b"])
    with pytest.raises(DataError, match="'raw' is the column of the SMDs without weights"):
        hte.compare_balance(frame, treatment="t", covariates=["a"], weights={"raw": "e"})


def test_scores_take_no_dates_for_outcomes():
    days = pd.date_range("2020", periods=N)
    with pytest.raises(DataError, match=r"outcome must be numeric, got dates"):
        effect_scores(pd.RangeIndex(N), outcome=pd.Series(days), treatment=np.arange(N) % 2)


@pytest.mark.parametrize("values", [1j * np.arange(N), np.array([1, "a"] * (N // 2), object)])
def test_scores_take_numbers_alone(values):
    with pytest.raises(DataError, match="outcome must be numeric"):
        effect_scores(pd.RangeIndex(N), outcome=values, treatment=np.arange(N) % 2)


@pytest.mark.parametrize("frame", [{"t": [0, 1]}, np.zeros((3, 2)), pd.Series([0, 1]), None])
def test_a_table_is_a_frame(frame):
    with pytest.raises(DataError, match=r"frame must be a pandas DataFrame, got"):
        hte.balance(frame, treatment="t", covariates=["a"])


@pytest.mark.parametrize("covariates", [None, 3, "a", []])
def test_covariates_are_a_list(covariates):
    with pytest.raises(DataError, match=r"covariates must be a non-empty list of column names"):
        hte.balance(frame_with(["a"]), treatment="t", covariates=covariates)


@pytest.mark.parametrize("covariate", ["day", "mixed"])
def test_balance_refuses_columns_without_a_kind(covariate):
    frame = frame_with(["a"]).assign(
        day=pd.date_range("2020", periods=N), mixed=np.array([1, "a"] * (N // 2), dtype=object)
    )
    with pytest.raises(DataError, match=f"covariate '{covariate}' holds .*covariates are numbers"):
        hte.balance(frame, treatment="t", covariates=[covariate])


@pytest.mark.parametrize("dtype", [object, "boolean", "bool[pyarrow]", "int64[pyarrow]", "Float64"])
def test_a_treatment_of_zeros_and_ones_may_be_stored_in_any_way(dtype):
    frame = frame_with(["a"])
    arm = frame["t"].astype(bool if "bool" in str(dtype) or dtype is object else float)
    stored = frame.assign(t=arm.astype(dtype))
    expected = hte.iptw(frame, outcome="y", treatment="t", propensity="e").estimate
    assert hte.iptw(stored, outcome="y", treatment="t", propensity="e").estimate == expected


def test_labels_of_several_levels_are_matched():
    frame = frame_with(["a"]).set_axis(
        pd.MultiIndex.from_product([range(N // 2), ["l", "r"]], names=["person", "eye"])
    )
    study = Study.from_frame(frame, outcome="y", treatment="t", covariates=["a"])
    values = np.broadcast_to(frame["e"], (2, 20, N))
    draws = xr.DataArray(values, dims=(CHAIN, DRAW, UNIT), coords={UNIT: study.units})
    shuffled = frame.sample(frac=1, random_state=1)
    options = {"outcome": "y", "treatment": "t"}
    expected = hte.iptw(frame, propensity="e", **options)
    for propensity in (draws.isel({UNIT: slice(None, None, -1)}), shuffled["e"]):
        found = hte.iptw(frame, propensity=propensity, **options)
        assert found.estimate == pytest.approx(expected.estimate, rel=1e-12)
        pd.testing.assert_index_equal(found.weights.index, frame.index)


def test_a_generator_is_a_generator():
    frame = frame_with(["a"])
    values = np.broadcast_to(frame["e"], (2, 20, N))
    draws = xr.DataArray(values, dims=(CHAIN, DRAW, UNIT))
    with pytest.raises(SpecError, match="rng"):
        hte.iptw(frame, outcome="y", treatment="t", propensity=draws, rng=1)
