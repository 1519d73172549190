"""Units have labels of their own: whatever the index of the user's table, answers carry them."""

from __future__ import annotations

import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes_hte as hte
from bayes_hte.effects.groups import gate
from bayes_hte.errors import DataError
from bayes_hte.names import CHAIN, DRAW, UNIT
from bayes_hte.store import find_stage, save_stage
from bayes_hte.study.design import Design
from bayes_hte.study.frames import unit_labels
from bayes_hte.study.study import Study
from bayes_hte.subgroups.effect_draws import as_effects
from bayes_hte.trust.unseen import split

N = 60
PEOPLE = [f"p{i}" for i in range(N)]
DAY = datetime.date(2020, 1, 1)
INDEXES = {
    "numbers": pd.RangeIndex(N),
    "numbers called otherwise": pd.RangeIndex(N, name="patient_id"),
    "numbers called by a number": pd.RangeIndex(N, name=0),
    "numbers called as a covariate": pd.RangeIndex(N, name="x1"),
    "numbers called as a dimension": pd.RangeIndex(N, name="chain"),
    "numbers in another order": pd.Index(np.arange(N)[::-1]),
    "nullable numbers": pd.Index(range(N), dtype="Int64"),
    "Arrow numbers": pd.Index(range(N), dtype="int64[pyarrow]"),
    "objects": pd.Index(list(range(N)), dtype=object),
    "nullable fractions": pd.Index(np.arange(N) / 2, dtype="Float64"),
    "text": pd.Index(PEOPLE, name="patient_id"),
    "text as objects": pd.Index(PEOPLE, dtype=object),
    "nullable text": pd.Index(PEOPLE, dtype="string"),
    "categories": pd.CategoricalIndex(PEOPLE),
    "times": pd.date_range("2020", periods=N),
    "times with a zone": pd.date_range("2020", periods=N, tz="UTC"),
    "days": pd.Index([DAY + datetime.timedelta(i) for i in range(N)]),
    "periods": pd.period_range("2020", periods=N, freq="D"),
    "intervals": pd.interval_range(0, N),
    "decimals": pd.Index([Decimal(i) for i in range(N)]),
    "numbers and text": pd.Index([i if i % 2 else f"p{i}" for i in range(N)]),
    "two levels": pd.MultiIndex.from_product([range(N // 2), ["l", "r"]], names=["x1", "eye"]),
    "tuples": pd.Index([(i, "l") for i in range(N)], tupleize_cols=False),
}
every_index = pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)


def frame_with(index: pd.Index) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(N, 2))
    arm = np.arange(N) % 2
    columns = {"y": x[:, 0] + arm * (x[:, 0] > 0), "t": arm, "x1": x[:, 0], "x2": x[:, 1]}
    return pd.DataFrame(columns).set_axis(index, axis=0)


def build(frame: pd.DataFrame, covariates=("x1", "x2"), **roles) -> Study:
    roles = {"outcome": "y", "treatment": "t", "covariates": list(covariates)} | roles
    return Study.from_frame(frame, **roles)


def draws_of(study: Study) -> xr.DataArray:
    """Draws with the labels that models give them."""
    x = study.frame["x1"].to_numpy()
    values = (x > 0) + 0.05 * np.random.default_rng(1).normal(size=(2, 25, N))
    labels = Design.learn(study).units.to_numpy()
    coords = {CHAIN: [0, 1], DRAW: np.arange(25), UNIT: labels}
    return xr.DataArray(values, dims=(CHAIN, DRAW, UNIT), coords=coords, name="te")


@cache
def plain_study() -> Study:
    return build(frame_with(pd.RangeIndex(N)))


@cache
def plain_labels() -> np.ndarray:
    return hte.m_learner(draws_of(plain_study()), plain_study(), seed=1).labels.to_numpy()


@every_index
def test_subgroups_and_groups_of_any_index_are_those_of_plain_numbers(index):
    frame, plain = frame_with(index), plain_study()
    study = build(frame)
    effect, expected = draws_of(study), draws_of(plain)
    found = hte.m_learner(effect, study, seed=1)
    np.testing.assert_array_equal(found.labels, plain_labels())
    assert pd.Index(found.labels[UNIT].to_numpy()).equals(study.units)
    for column in (study.frame["x2"], frame["x2"]):
        np.testing.assert_array_equal(
            gate(effect, column, cuts=[0.0]), gate(expected, plain.frame["x2"], cuts=[0.0])
        )
    assert hte.summarize(effect).index.tolist() == study.units.tolist()


@every_index
def test_saved_draws_of_any_index_are_those_of_the_study_again(index, tmp_path: Path):
    study = build(frame_with(index))
    effect = draws_of(study)
    save_stage(tmp_path, "effects", xr.DataTree(effect.to_dataset()), {})
    loaded = find_stage(tmp_path, "effects").load()["te"]
    np.testing.assert_array_equal(as_effects(loaded, study.units)[0], effect)


@every_index
def test_units_held_out_of_any_index_are_the_same_units(index):
    study, plain = build(frame_with(index)), plain_study()
    kept, held_out = split(study, share=0.3, seed=1)
    positions = study.units.get_indexer(held_out.units)
    np.testing.assert_array_equal(positions, split(plain, share=0.3, seed=1)[1].units)
    assert not kept.units.intersection(held_out.units).size


@every_index
def test_new_rows_of_any_index_have_labels_of_the_same_kind(index):
    frame = frame_with(index)
    study = build(frame)
    rows = Design.learn(study).replay(frame.iloc[::-1])
    assert rows.units.tolist() == study.units.tolist()[::-1]


@every_index
def test_values_of_any_index_are_matched_in_any_order(index):
    frame = frame_with(index)
    study = build(frame)
    shuffled = frame["x2"].sample(frac=1, random_state=2)
    effect = draws_of(study)
    np.testing.assert_array_equal(
        gate(effect, shuffled, cuts=[0.0]), gate(effect, study.frame["x2"], cuts=[0.0])
    )


def test_labels_of_several_levels_read_as_one():
    labels = unit_labels(pd.MultiIndex.from_tuples([(3, "b"), (3, "c")]))
    assert labels.tolist() == ["3, b", "3, c"]


@pytest.mark.parametrize(
    "labels",
    [[1, "1"], [("a, b", "c"), ("a", "b, c")], [Decimal("1"), "1"]],
    ids=["number and text", "commas", "decimal and text"],
)
def test_labels_that_read_the_same_stay_different(labels):
    assert unit_labels(pd.Index(labels)).is_unique


def test_a_nullable_index_with_a_gap_is_text():
    labels = unit_labels(pd.Index([1, None], dtype="Int64"))
    assert labels.tolist() == ["1", "<NA>"]


def test_the_index_is_called_as_no_column_is():
    frame = frame_with(pd.RangeIndex(N, name="unit"))
    assert build(frame).units.name == "unit"
    assert build(frame.rename(columns={"x2": "unit"}), ["x1", "unit"]).units.name is None
    named = frame.rename_axis("x1").rename_axis("x2", axis=1)
    assert build(named).frame.sort_values("x1").columns.name is None


@pytest.mark.parametrize("name", ["numbers", "nullable numbers", "categories", "two levels"])
def test_repeated_labels_are_refused_whatever_the_index(name):
    index = INDEXES[name]
    repeated = index.take([0, 0, *range(2, N)])
    with pytest.raises(DataError, match="must be unique; 1 labels are repeated"):
        build(frame_with(repeated))


def test_new_rows_may_repeat_labels():
    study = build(frame_with(pd.RangeIndex(N)))
    rows = Design.learn(study).replay(frame_with(pd.Index([7] * N)))
    assert rows.units.tolist() == [7] * N


def test_fingerprints_are_those_that_saved_runs_carry():
    frame = frame_with(pd.RangeIndex(N)).assign(g=list("uvw") * (N // 3), c=np.arange(N) // 4)
    people = frame.set_axis(pd.Index(PEOPLE, name="unit"))
    prints = [build(f, ["x1", "x2", "g"], cluster="c").fingerprint() for f in (frame, people)]
    assert prints == [
        "e99f14ca3f1480e1b8702a82297469a5113a5808fe44a3cf6d67897af3d48871",
        "254220a410639378e48f8efdb30381561f40949fd408231d5ddd2f337f4f0b8d",
    ]


@pytest.mark.slow
def test_a_fit_of_hostile_names_and_labels_answers_as_that_of_plain_ones(tmp_path: Path):
    plain = frame_with(pd.RangeIndex(N)).assign(g=["v", "u"] * (N // 2))
    names = {"y": "draw", "t": "arm", "x1": "self", "x2": "g=v", "g": "g"}
    index = INDEXES["two levels"].rename(["self", "unit"])
    hostile = plain.rename(columns=names).set_axis(index, axis=0)
    covariates = hostile[["self", "g=v", "g"]]
    options = {"surface": "linear", "learner": "t", "stack_with": (), "seed": 1}
    options |= {"draws": 20, "tune": 20, "chains": 2, "cores": 1, "progress": False}
    known = hte.fit(build(plain, ["x1", "x2", "g"]), **options)
    estimator = hte.EffectEstimator(**options)
    fit = estimator.fit(covariates, hostile["draw"], treatment=hostile["arm"]).fit_
    np.testing.assert_array_equal(fit.cate(), known.cate())
    np.testing.assert_array_equal(fit.cate(hostile.iloc[::-1]), known.cate(plain.iloc[::-1]))
    assert set(fit.posterior.children) == set(known.posterior.children)
    effects = estimator.predict(covariates)
    pd.testing.assert_index_equal(effects.index, index)
    np.testing.assert_allclose(effects, known.cate().mean(("chain", "draw")), rtol=1e-12)
    hte.save_fit(fit, tmp_path)
    loaded = hte.load_fit(tmp_path, fit.study)
    found, expected = (hte.m_learner(f.cate(), f.study, seed=1) for f in (loaded, known))
    np.testing.assert_array_equal(found.labels, expected.labels)
