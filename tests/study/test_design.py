"""A design is the study's rows with an encoding that new rows go through unchanged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes_hte.errors import DataError
from bayes_hte.study.design import ARM_COLUMN, CLUSTER_COLUMN, PROPENSITY_COLUMN, Design
from bayes_hte.study.study import Study
from tests.fakes import fake_study

FEATURE_SETS = ("none", "covariates", "covariates+propensity", "covariates+arm")
COVARIATE_FEATURES = {
    "standardized": ["x1", "x2", "x3=b", "x3=c"],
    "split_columns": ["x1", "x2", "x3"],
}


@pytest.fixture(scope="module")
def study() -> Study:
    return fake_study(np.random.default_rng(1), n_units=60)[0]


@pytest.fixture(scope="module")
def propensity(study) -> np.ndarray:
    return np.random.default_rng(2).uniform(0.2, 0.8, size=study.n_units)


@pytest.mark.parametrize("how", ["standardized", "split_columns"])
@pytest.mark.parametrize("features", FEATURE_SETS)
@pytest.mark.parametrize("arm", [0, 1])
def test_replaying_rows_of_the_study_gives_identical_numbers(study, propensity, how, features, arm):
    design = Design.learn(study, propensity=propensity)
    rows = [5, 40, 0]
    replayed = design.replay(study.frame.iloc[rows], propensity=propensity[rows]).under(arm)
    expected = getattr(design.under(arm), how)(features).iloc[rows]
    pd.testing.assert_frame_equal(getattr(replayed, how)(features), expected)


@pytest.mark.parametrize("how", ["standardized", "split_columns"])
def test_feature_sets_hold_what_their_names_say(study, propensity, how):
    covariates = COVARIATE_FEATURES[how]
    design = Design.learn(study, propensity=propensity)
    columns = {features: list(getattr(design, how)(features).columns) for features in FEATURE_SETS}
    assert columns == {
        "none": [],
        "covariates": covariates,
        "covariates+propensity": [*covariates, PROPENSITY_COLUMN],
        "covariates+arm": [*covariates, ARM_COLUMN],
    }


def test_without_a_propensity_the_set_with_it_is_just_the_covariates(study):
    design = Design.learn(study)
    assert not design.has_propensity
    pd.testing.assert_frame_equal(
        design.split_columns("covariates+propensity"), design.split_columns("covariates")
    )


@pytest.mark.parametrize("features", FEATURE_SETS)
def test_every_split_column_has_its_number_of_levels(study, propensity, features):
    design = Design.learn(study, propensity=propensity)
    expected = [3 * (name == "x3") for name in design.split_columns(features)]
    np.testing.assert_array_equal(design.split_levels(features), expected)


def test_the_outcome_and_the_mediator_are_no_features(study, propensity):
    design = Design.learn(study, propensity=propensity)
    assert not {"y", "m", "treat"} & set(design.frame.columns)


def test_features_of_no_columns_still_have_the_rows(study):
    assert Design.learn(study).standardized("none").shape == (study.n_units, 0)


@pytest.mark.parametrize("how", ["standardized", "split_columns"])
def test_giving_everyone_an_arm_moves_the_arm_column_alone(study, how):
    design = Design.learn(study)
    observed = getattr(design, how)("covariates+arm")
    arms = [getattr(design.under(arm), how)("covariates+arm") for arm in (0, 1)]
    for given in arms:
        pd.testing.assert_frame_equal(
            given.drop(columns=ARM_COLUMN), observed.drop(columns=ARM_COLUMN)
        )
        assert len(set(given[ARM_COLUMN])) == 1
    assert arms[0][ARM_COLUMN].iloc[0] < arms[1][ARM_COLUMN].iloc[0]
    # A unit under its own arm is the unit as observed.
    own = np.where(study.arm_index() == 1, arms[1][ARM_COLUMN], arms[0][ARM_COLUMN])
    np.testing.assert_array_equal(observed[ARM_COLUMN], own)


def test_a_design_knows_rows_and_arms_and_is_not_changed_by_its_methods(study, propensity):
    design = Design.learn(study, propensity=propensity)
    before = design.frame.copy()
    np.testing.assert_array_equal(design.under(1).arm, np.ones(study.n_units))
    design.replay(study.frame, propensity=np.full(study.n_units, 0.5))
    pd.testing.assert_frame_equal(design.frame, before)
    np.testing.assert_array_equal(design.arm, study.arm_index())
    pd.testing.assert_index_equal(design.units, study.units)
    assert design.n_rows == study.n_units


def test_new_rows_start_in_the_reference_arm_with_their_own_labels(study):
    new = study.covariate_frame().iloc[:3].set_axis(["n1", "n2", "n3"]).assign(treat=1, other=2)
    before = new.copy()
    replayed = Design.learn(study).replay(new)
    np.testing.assert_array_equal(replayed.arm, [0, 0, 0])
    assert list(replayed.units) == ["n1", "n2", "n3"]
    pd.testing.assert_frame_equal(new, before)


def test_the_encoding_of_new_rows_does_not_depend_on_their_company(study):
    design = Design.learn(study)
    frame = study.covariate_frame()
    together = design.replay(frame.iloc[:10]).standardized("covariates").iloc[[0]]
    alone = design.replay(frame.iloc[:1]).standardized("covariates")
    pd.testing.assert_frame_equal(alone, together)


# ---------------------------------------------------------------- clusters


@pytest.fixture(scope="module")
def clustered(study) -> Study:
    frame = study.frame.assign(clinic=np.arange(study.n_units) % 4 + 7)
    return Study.from_frame(
        frame, outcome="y", treatment="treat", covariates=["x1", "x2"], cluster="clinic"
    )


def test_clusters_are_known_by_their_text_and_are_no_feature(clustered):
    design = Design.learn(clustered)
    assert design.clusters == ("10", "7", "8", "9")
    np.testing.assert_array_equal(design.cluster_index[:5], [1, 2, 3, 0, 1])
    np.testing.assert_array_equal(design.cluster_labels[:4], ["7", "8", "9", "10"])
    for features in FEATURE_SETS:
        for how in ("standardized", "split_columns"):
            assert not {"clinic", CLUSTER_COLUMN} & set(getattr(design, how)(features))


def test_new_rows_keep_their_cluster_and_an_unseen_one_is_marked(clustered):
    design = Design.learn(clustered)
    new = clustered.frame.iloc[:3].assign(clinic=["9", "99", "10"])
    rows = design.replay(new)
    np.testing.assert_array_equal(rows.cluster_index, [3, -1, 0])
    np.testing.assert_array_equal(rows.cluster_labels, ["9", "99", "10"])
    np.testing.assert_array_equal(rows.under(1).cluster_index, rows.cluster_index)
    np.testing.assert_array_equal(
        design.replay(clustered.frame).cluster_index, design.cluster_index
    )


def test_a_study_without_clusters_has_a_design_without_them(study):
    design = Design.learn(study)
    assert design.cluster is None
    assert design.clusters == ()
    assert CLUSTER_COLUMN not in design.frame.columns


# ---------------------------------------------------------------- failures


def test_new_rows_without_their_cluster_are_refused(clustered):
    new = clustered.frame.drop(columns="clinic")
    with pytest.raises(DataError, match=r"lack clinic; .* and its cluster: x1, x2, clinic"):
        Design.learn(clustered).replay(new)


@pytest.mark.parametrize("value", [None, np.nan])
def test_new_rows_with_a_missing_cluster_are_refused(clustered, value):
    new = clustered.frame.astype({"clinic": object})
    new.loc[new.index[:2], "clinic"] = value
    with pytest.raises(DataError, match="cluster 'clinic' is missing in 2 new rows"):
        Design.learn(clustered).replay(new)


@pytest.mark.parametrize("name", [ARM_COLUMN, PROPENSITY_COLUMN, CLUSTER_COLUMN])
def test_a_covariate_with_a_name_of_the_design_is_refused(study, name):
    frame = study.frame.rename(columns={"x1": name})
    taken = Study.from_frame(frame, outcome="y", treatment="treat", covariates=[name, "x2"])
    with pytest.raises(DataError, match=r"rename covariate .*uses that name itself"):
        Design.learn(taken)


def test_new_rows_without_a_covariate_are_refused_with_the_names(study):
    frame = study.covariate_frame().drop(columns=["x2", "x3"])
    with pytest.raises(DataError, match=r"new rows lack x2, x3; they must hold .*: x1, x2, x3"):
        Design.learn(study).replay(frame)


def test_a_design_with_propensity_wants_one_for_new_rows(study, propensity):
    design = Design.learn(study, propensity=propensity)
    with pytest.raises(DataError, match="learned with a propensity; pass one"):
        design.replay(study.frame)


def test_a_propensity_of_the_wrong_length_is_refused(study, propensity):
    design = Design.learn(study, propensity=propensity)
    with pytest.raises(DataError, match="propensity"):
        design.replay(study.frame, propensity=propensity[:3])


def test_a_propensity_nobody_asked_for_changes_nothing(study, propensity):
    design = Design.learn(study)
    given = design.replay(study.frame, propensity=propensity)
    assert not given.has_propensity
    pd.testing.assert_frame_equal(
        given.split_columns("covariates"), design.split_columns("covariates")
    )


def test_new_rows_with_an_unseen_level_are_refused(study):
    new = study.covariate_frame().assign(x3="z")
    with pytest.raises(DataError, match=r"levels the model never saw: z\. Known: a, b, c"):
        Design.learn(study).replay(new).split_columns("covariates")


@pytest.mark.parametrize("kind", ["Series", "dict", "list", "array"])
def test_new_rows_are_a_frame(study, kind):
    rows = {
        "Series": study.frame["x1"],
        "dict": study.frame.to_dict("list"),
        "list": study.frame.to_numpy().tolist(),
        "array": study.frame.to_numpy(),
    }[kind]
    with pytest.raises(DataError, match=r"new rows must be a pandas DataFrame, got .*make one"):
        Design.learn(study).replay(rows)


def test_new_rows_with_a_doubled_covariate_are_refused(study):
    rows = pd.concat([study.frame, study.frame[["x1"]] + 1], axis=1)
    with pytest.raises(DataError, match="column of the new rows 'x1' occurs 2 times"):
        Design.learn(study).replay(rows)


def test_new_rows_may_double_columns_that_nobody_reads(study):
    rows = pd.concat([study.frame, study.frame[["y"]]], axis=1)
    design = Design.learn(study)
    expected = design.standardized("covariates")
    pd.testing.assert_frame_equal(design.replay(rows).standardized("covariates"), expected)
