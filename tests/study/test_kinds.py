"""The kind of a column is decided once: however values are stored, they are the same covariate."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import bayes_hte as hte
from bayes_hte.effects.groups import gate
from bayes_hte.errors import DataError
from bayes_hte.study.design import Design
from bayes_hte.study.kinds import Kind, kind_of, label_text, plain
from bayes_hte.study.study import Study
from bayes_hte.subgroups.finding.tree_columns import encode_covariates
from tests.fakes import fake_effect

N = 60
RNG = np.random.default_rng(6)
NUMBERS = pd.Series(RNG.permutation(np.arange(N) % 20) / 4)
FLAGS = pd.Series(RNG.permutation(np.arange(N) % 2 == 0))
TEXTS = pd.Series(RNG.permutation(np.tile(["u", "v", "w"], N // 3)))

DECIMALS = NUMBERS.map(lambda v: Decimal(str(v)))
STORED_NUMBERS = {
    "objects": NUMBERS.astype(object),
    "decimals": DECIMALS,
    "nullable": NUMBERS.astype("Float64"),
    "Arrow": NUMBERS.astype("double[pyarrow]"),
    "Arrow decimals": DECIMALS.astype(pd.ArrowDtype(pa.decimal128(10, 2))),
    "sparse": pd.Series(pd.arrays.SparseArray(NUMBERS)),
    "objects of NumPy": pd.Series([np.float64(v) for v in NUMBERS], dtype=object),
    "whole and other numbers": pd.Series([int(v) if v % 1 == 0 else v for v in NUMBERS], dtype="O"),
}
STORED_FLAGS = {
    "objects": FLAGS.astype(object),
    "nullable": FLAGS.astype("boolean"),
    "Arrow": FLAGS.astype("bool[pyarrow]"),
    "sparse": pd.Series(pd.arrays.SparseArray(FLAGS)),
}
STORED_TEXTS = {
    "objects": TEXTS.astype(object),
    "text": TEXTS.astype("string"),
    "Arrow": TEXTS.astype(pd.ArrowDtype(pa.string())),
    "Arrow dictionary": TEXTS.astype(pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))),
    "categories": TEXTS.astype("category"),
}
STORED = [
    *((NUMBERS, stored) for stored in STORED_NUMBERS.values()),
    *((FLAGS, stored) for stored in STORED_FLAGS.values()),
    *((TEXTS, stored) for stored in STORED_TEXTS.values()),
]
STUDY_FRAME = pd.DataFrame(
    {"y": RNG.normal(size=N), "treat": np.arange(N) // 2 % 2, "x": RNG.normal(size=N)}
)
NAMES = [
    f"{kind}-{name}"
    for kind, stored in (
        ("numbers", STORED_NUMBERS),
        ("booleans", STORED_FLAGS),
        ("texts", STORED_TEXTS),
    )
    for name in stored
]
either_way = pytest.mark.parametrize(("values", "stored"), STORED, ids=NAMES)

UNUSABLE = {
    "dates": pd.Series(pd.date_range("2020", periods=N)),
    "dates with a zone": pd.Series(pd.date_range("2020", periods=N, tz="UTC")),
    "days": pd.Series([datetime.date(2020, 1, 1 + i % 28) for i in range(N)]),
    "Arrow dates": pd.Series(pd.date_range("2020", periods=N)).astype("date32[pyarrow]"),
    "durations": pd.Series(pd.to_timedelta(np.arange(N), unit="D")),
    "periods": pd.Series(pd.period_range("2020", periods=N, freq="D")),
    "text and numbers": pd.Series([1, "a"] * (N // 2)),
    "booleans and numbers": pd.Series([True, 2] * (N // 2), dtype=object),
    "complex numbers": pd.Series(np.arange(N) + 1j),
    "lists": pd.Series([[1], [2]] * (N // 2)),
    "bytes": pd.Series([b"a", b"b"] * (N // 2)),
}


def frame_with(**columns) -> pd.DataFrame:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"y": rng.normal(size=N), "t": np.arange(N) % 2, "a": rng.normal(size=N)})
    return frame.assign(**columns)


def build(frame: pd.DataFrame, **changes) -> Study:
    roles = {"outcome": "y", "treatment": "t", "covariates": ["a", "c"]}
    return Study.from_frame(frame, **(roles | changes))


# ---------------------------------------------------------------- one decision


@either_way
def test_a_covariate_is_the_same_to_every_model_however_it_is_stored(values, stored):
    plainly, otherwise = (build(frame_with(c=c)) for c in (values, stored))
    expected, found = Design.learn(plainly), Design.learn(otherwise)
    for how in ("standardized", "split_columns"):
        want, got = (getattr(design, how)("covariates+arm") for design in (expected, found))
        pd.testing.assert_frame_equal(got, want)
        again = getattr(found.replay(frame_with(c=stored)), how)("covariates")
        pd.testing.assert_frame_equal(again, getattr(expected, how)("covariates"))
    np.testing.assert_array_equal(
        encode_covariates(otherwise.covariate_frame())[0],
        encode_covariates(plainly.covariate_frame())[0],
    )


@either_way
def test_new_rows_may_be_stored_otherwise_than_the_study(values, stored):
    design = Design.learn(build(frame_with(c=values)))
    pd.testing.assert_frame_equal(
        design.replay(frame_with(c=stored)).standardized("covariates"),
        design.standardized("covariates"),
    )


@either_way
def test_a_proxy_is_the_same_however_it_is_stored(values, stored):
    want, got = (
        hte.mixture_data(build(frame_with(c=c)), z=["c"], x=["a"]).z.dense()
        for c in (values, stored)
    )
    np.testing.assert_array_equal(got, want)


@either_way
def test_balance_is_the_same_however_a_covariate_is_stored(values, stored):
    want, got = (
        hte.balance(frame_with(c=c), treatment="t", covariates=["c"]) for c in (values, stored)
    )
    pd.testing.assert_frame_equal(got, want)


@either_way
def test_groups_are_the_same_however_a_column_is_stored(values, stored):
    effect = fake_effect(np.random.default_rng(1), np.arange(N) / N, draws=5)
    want, got = (gate(effect, c).transpose("group", ...).to_numpy() for c in (values, stored))
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("stored", STORED_NUMBERS.values(), ids=STORED_NUMBERS)
def test_outcomes_and_mediators_may_be_stored_in_any_way(stored):
    study = build(frame_with(y=stored, c=FLAGS))
    np.testing.assert_array_equal(study.outcome(), NUMBERS)
    mediated = build(frame_with(m=stored, c=FLAGS), mediator="m")
    np.testing.assert_array_equal(mediated.mediator(), NUMBERS)


@pytest.mark.parametrize("stored", STORED_FLAGS.values(), ids=STORED_FLAGS)
def test_booleans_are_treatments_and_outcomes_however_they_are_stored(stored):
    study = build(frame_with(t=stored, c=NUMBERS))
    np.testing.assert_array_equal(study.arm_index(), FLAGS)
    assert study.contrast == "True vs False"
    np.testing.assert_array_equal(build(frame_with(y=stored, c=NUMBERS)).outcome(), FLAGS)


def test_infinite_numbers_among_objects_are_found():
    values = NUMBERS.astype(object)
    values.iloc[3] = np.inf
    with pytest.raises(DataError, match=r"infinite values in c \(1\)"):
        build(frame_with(c=values))


def test_a_categorical_of_numbers_is_a_category():
    assert kind_of(pd.Series([1, 2]).astype("category")) is Kind.CATEGORY
    assert build(frame_with(c=(np.arange(N) % 3).astype(int))).n_units == N


@pytest.mark.parametrize("stored", STORED_TEXTS.values(), ids=STORED_TEXTS)
def test_columns_that_pandas_understands_stay_as_they_are(stored):
    assert plain(stored) is stored
    assert plain(NUMBERS) is NUMBERS


@pytest.mark.parametrize("values", [[3, 1], [3.0, 1.0], [Decimal(3), Decimal(1)]])
def test_a_whole_number_reads_the_same_however_it_is_stored(values):
    assert label_text(pd.Series(values)).tolist() == ["3", "1"]
    assert label_text(pd.Series(values, dtype=object)).tolist() == ["3", "1"]


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_column_without_a_kind_is_refused_with_its_name_its_kind_and_the_remedy(name):
    values = UNUSABLE[name]
    date = kind_of(values) is Kind.DATE
    said = r"Turn it into a number, a date" if date else r"pd\.to_numeric\(df\['c'\]\)"
    with pytest.raises(DataError, match=rf"covariate 'c' holds .*covariates are numbers.*{said}"):
        build(frame_with(c=values))


def test_the_types_of_mixed_objects_are_named():
    with pytest.raises(DataError, match="holds values of type int and str"):
        build(frame_with(c=UNUSABLE["text and numbers"]))


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_outcome_without_a_kind_is_refused(name):
    frame = frame_with(c=NUMBERS, y=UNUSABLE[name])
    with pytest.raises(DataError, match="outcome 'y' must be numeric, got"):
        build(frame)


@pytest.mark.parametrize("name", UNUSABLE)
def test_new_rows_without_a_kind_are_refused(name):
    design = Design.learn(build(frame_with(c=NUMBERS)))
    said = r"'c' was numeric in the study, and now holds .*pd\.to_numeric\(frame\['c'\]\)"
    with pytest.raises(DataError, match=said):
        design.replay(frame_with(c=UNUSABLE[name])).standardized("covariates")


# ---------------------------------------------------------------- order of levels, other libraries


def test_the_order_of_categories_is_kept_everywhere():
    order = ["low", "medium", "high"]
    frame = STUDY_FRAME.assign(g=pd.Categorical(np.tile(order, N // 3), categories=order))
    study = Study.from_frame(frame, outcome="y", treatment="treat", covariates=["g"])
    design = Design.learn(study)
    (column,) = (c for c in design.encoding.columns if c.name == "g")
    assert column.levels == tuple(order)
    assert list(design.standardized("covariates").columns) == ["g=medium", "g=high"]
    codes = design.split_columns("covariates")["g"]
    np.testing.assert_array_equal(codes, np.tile([0, 1, 2], N // 3))
    # New rows may hold the same levels as plain text.
    again = design.replay(frame.assign(g=frame["g"].astype(str)))
    np.testing.assert_array_equal(again.split_columns("covariates")["g"], codes)
    assert design.levels("g") == tuple(order)
    effect = fake_effect(np.random.default_rng(1), np.zeros(N), draws=5)
    assert gate(effect, study.frame["g"])["group"].to_numpy().tolist() == order
    buckets = hte.effect_by_bucket(effect, study.frame["g"], n_buckets=None)
    assert buckets.draws["bucket"].to_numpy().tolist() == order
    np.testing.assert_array_equal(buckets.codes, np.tile([0, 1, 2], N // 3))


def test_another_order_is_another_study_and_the_alphabet_leaves_no_trace():
    def fingerprint(values):
        frame = STUDY_FRAME.assign(g=values)
        roles = {"outcome": "y", "treatment": "treat", "covariates": ["g"]}
        return Study.from_frame(frame, **roles).fingerprint()

    text = np.tile(["a", "b", "c"], N // 3)
    assert fingerprint(text) == fingerprint(pd.Categorical(text))
    assert fingerprint(text) != fingerprint(pd.Categorical(text, categories=["c", "b", "a"]))


@pytest.mark.parametrize("role", ["treatment", "cluster"])
@pytest.mark.parametrize("kind", [object, pd.ArrowDtype(pa.list_(pa.int64()))])
def test_values_that_cannot_be_compared_are_no_levels(role, kind):
    frame = STUDY_FRAME.assign(z=pd.Series([[1], [2]] * (N // 2), dtype=kind))
    roles = {"outcome": "y", "treatment": "treat", "covariates": ["x"], role: "z"}
    with pytest.raises(DataError, match=f"{role} 'z' holds .* which are no levels"):
        Study.from_frame(frame, **roles)


def test_tables_of_other_libraries_are_read_through_narwhals():
    roles = {"outcome": "y", "treatment": "treat", "covariates": ["x", "g"]}
    frame = STUDY_FRAME.assign(g=np.tile(["u", "v"], N // 2))
    table = pa.table({name: frame[name].to_numpy() for name in frame})
    study = Study.from_frame(table, **roles)
    assert study.fingerprint() == Study.from_frame(frame, **roles).fingerprint()
    new = Design.learn(study).replay(table.slice(0, 3))
    assert new.n_rows == 3


class LazyTable:
    """Like a query of polars that has not been collected."""

    columns = ("y",)

    def collect(self):
        return None


def test_a_query_is_collected_first():
    with pytest.raises(DataError, match=r"got .*LazyTable. Call \.collect\(\) first"):
        Study.from_frame(LazyTable(), outcome="y", treatment="t", covariates=["x"])
