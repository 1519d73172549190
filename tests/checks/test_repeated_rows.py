"""Undeclared repeats are found; rounding, dependence and recoding of covariates are not repeats."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from bayes_hte.checks.repeated_rows import _chance_of_twin, repeated_rows
from bayes_hte.study.study import Study


def study_of(covariates: pd.DataFrame, *, seed: int = 0, **roles: str) -> Study:
    rng, n = np.random.default_rng(seed), len(covariates)
    frame = covariates.assign(y=rng.normal(size=n), t=rng.permutation(np.arange(n) % 2))
    names = [c for c in covariates if c not in roles.values()]
    return Study.from_frame(frame, outcome="y", treatment="t", covariates=names, **roles)


def people(n: int, seed: int = 0) -> pd.DataFrame:
    """Ages in whole years, and what questionnaires ask."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.normal(50, 12, n).round().clip(18, 90),
            "sex": rng.choice(["f", "m"], size=n),
            "smoker": rng.integers(2, size=n),
        }
    )


def measured(n: int, seed: int = 0) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(seed).normal(size=(n, 3)), columns=list("abc"))


def visits(frame: pd.DataFrame, times: int) -> pd.DataFrame:
    return frame.loc[frame.index.repeat(times)].reset_index(drop=True)


def test_the_rand_experiment_fails():
    with warnings.catch_warnings():
        # Importing statsmodels may warn of other packages.
        warnings.simplefilter("ignore")
        randhie = pytest.importorskip("statsmodels.datasets.randhie")
        data = randhie.load_pandas().data
    names = ["lpi", "fmde", "physlm", "disea", "hlthg", "hlthf", "hlthp"]
    data["generous"] = (data["lncoins"] < data["lncoins"].mean()).astype(int)
    study = Study.from_frame(data, outcome="mdvis", treatment="generous", covariates=names)
    result = repeated_rows(study)
    assert result.passed is False
    assert list(result.table.index) == ["lpi", "fmde", "disea"]
    assert set(result.table["distinct"]) == {len(data[names].drop_duplicates())}
    assert (result.table["unexplained"] > 0.9).all()
    assert "repeated measurements of the same people" in result.text
    assert "declare cluster=<column>, or intervals are too narrow" in result.text


def test_units_and_columns_may_have_any_name():
    expected = repeated_rows(study_of(people(300)))
    renamed = people(300).rename(columns={"sex": "level", "smoker": "vector"})
    for frame in (people(300).rename_axis("age"), renamed.rename_axis("window")):
        found = repeated_rows(study_of(frame))
        pd.testing.assert_frame_equal(found.table, expected.table)


def test_continuous_covariates_of_different_people_pass():
    result = repeated_rows(study_of(measured(200)))
    assert result.passed is True
    assert (result.table["with twin"] == 0).all()
    assert "No sign" in result.text


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [300, 1500])
def test_twins_by_rounding_pass(n, seed):
    result = repeated_rows(study_of(people(n, seed)))
    assert (result.table["with twin"] > 0.6).all()
    assert result.passed is True


@pytest.mark.parametrize("seed", range(5))
def test_columns_that_depend_on_each_other_pass(seed):
    rng = np.random.default_rng(seed)
    month = rng.integers(72, 216, 400)
    grade = (month + rng.integers(-3, 4, month.size)) // 12
    frame = pd.DataFrame({"month": month, "grade": grade, "sex": rng.integers(2, size=400)})
    assert repeated_rows(study_of(frame)).passed is True


def test_recodings_of_a_column_pass():
    frame = people(1500)
    groups = pd.cut(frame["age"], [0, 40, 60, 99], labels=["young", "middle", "old"])
    frame = frame.assign(
        squared=(frame["age"] - 50) ** 2, log=np.log(frame["age"]), group=groups.astype(str)
    )
    assert repeated_rows(study_of(frame)).passed is True


def test_a_column_computed_from_others_passes_beside_a_measured_one():
    rng = np.random.default_rng(0)
    weight, height = rng.normal(75, 12, 1000).round(), rng.normal(172, 8, 1000).round()
    frame = people(1000, seed=1).assign(weight=weight, height=height, bmi=weight / height**2)
    assert repeated_rows(study_of(frame)).passed is True


@pytest.mark.parametrize(
    "frame",
    [
        visits(measured(100), 2),
        visits(people(400).assign(site=np.arange(400) % 10), 4),
        visits(measured(60)[["a"]].assign(sex=np.arange(60) % 2), 3),
        pd.concat([measured(150), measured(150).iloc[:40]], ignore_index=True),
    ],
    ids=["pairs", "visits", "one fine column", "some pairs"],
)
def test_repeats_are_found(frame):
    assert repeated_rows(study_of(frame)).passed is False


def test_few_repeats_are_tolerated():
    frame = pd.concat([measured(200), measured(200).iloc[:5]], ignore_index=True)
    result = repeated_rows(study_of(frame))
    assert result.passed is True
    assert result.table["with twin"].to_numpy() == pytest.approx(10 / 205)


def test_the_factor_is_the_root_of_the_design_effect():
    # Groups of 3, perfectly correlated: 3 times fewer units.
    table = repeated_rows(study_of(visits(measured(50), 3))).table
    assert table["sd factor"].to_numpy() == pytest.approx(np.sqrt(3))
    assert set(table["largest group"]) == {3}


def test_a_declared_cluster_informs():
    frame = visits(measured(50).assign(person=np.arange(50)), 3)
    result = repeated_rows(study_of(frame, cluster="person"))
    assert result.passed is None
    assert "Cluster 'person' is declared" in result.text


@pytest.mark.parametrize(
    "frame",
    [
        people(300)[["sex", "smoker"]],
        people(300)[["age"]],
        people(300)[["age"]].assign(b=lambda f: f.age**2),
    ],
    ids=["coarse", "one column", "one column and its square"],
)
def test_what_cannot_be_recognised_informs(frame):
    result = repeated_rows(study_of(frame))
    assert result.passed is None
    assert "cannot be recognised" in result.text


def test_chances_are_those_of_exchanging_values_at_random():
    rng = np.random.default_rng(4)
    frame = pd.DataFrame({"fine": rng.integers(23, size=120), "coarse": rng.integers(3, size=120)})
    window = np.minimum(np.unique(frame["fine"], return_inverse=True)[1] // 5, 3)
    rows = np.argsort(window, kind="stable")
    found, dealt = np.zeros(len(frame)), np.empty(len(frame), dtype=np.int64)
    for _ in range(2000):
        dealt[rows] = frame["fine"].to_numpy()[np.lexsort((rng.random(len(frame)), window))]
        cell = 3 * dealt + frame["coarse"].to_numpy()
        found += np.bincount(cell)[cell] > 1
    np.testing.assert_allclose(_chance_of_twin(frame, "fine"), found / 2000, atol=0.05)
