"""Studies of more than two arms: order, checks, and the view of two of them."""

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from bayes_hte.errors import DataError, SpecError, UnsupportedError
from bayes_hte.study.design import Design, propensity_columns
from tests.three_arms import ARMS, three_arm_frame, three_arm_study


def test_the_reference_comes_first_and_the_others_keep_their_order():
    frame = three_arm_frame()
    roles = {"outcome": "y", "treatment": "dose", "covariates": ["x1"]}
    assert hte.Study.from_frame(frame, **roles, reference="none").arms == ("none", "high", "low")
    assert three_arm_study(frame).arms == ARMS
    assert three_arm_study(frame, reference="low").arms == ("low", "none", "high")


def test_arms_are_numbered_in_their_order():
    study = three_arm_study()
    received = study.frame["dose"].astype(str).to_numpy()
    assert [ARMS[i] for i in study.arm_index()] == received.tolist()


def test_each_arm_needs_five_units():
    frame = three_arm_frame()
    kept = np.flatnonzero((frame["dose"] != "high").to_numpy())
    few = np.flatnonzero((frame["dose"] == "high").to_numpy())[:4]
    with pytest.raises(DataError, match=r"too few units for the model: 64 .*'high': 4"):
        three_arm_study(frame.iloc[[*kept, *few]])


def test_a_subset_keeps_the_order_of_the_arms():
    study = three_arm_study()
    assert study.subset(np.arange(80)).arms == ARMS
    assert study.sample(30, seed=1).arms == ARMS
    assert np.bincount(study.sample(30, seed=1).arm_index()).tolist() == [10, 10, 10]


def test_rows_without_one_of_the_arms_are_not_alike():
    study = three_arm_study()
    with pytest.raises(DataError, match="give rows of every arm of the study"):
        study.subset(study.arm_index() < 2)


def test_two_arms_are_a_study_of_their_units_with_the_contrast_asked_for():
    study = three_arm_study()
    pair = study.two_arms("high", "low")
    assert pair.contrast == "high vs low"
    assert pair.arms == ("low", "high")
    assert list(pair.units) == [u for u in study.units if study.frame.loc[u, "dose"] != "none"]
    assert pair.arm_index().tolist() == (pair.frame["dose"] == "high").astype(int).tolist()


def test_a_study_of_two_arms_is_not_changed_by_the_view():
    frame = three_arm_frame().query("dose != 'high'")
    roles = {"outcome": "y", "treatment": "dose", "covariates": ["x1"], "reference": "none"}
    study = hte.Study.from_frame(frame, **roles)
    assert study.two_arms("low", "none").fingerprint() == study.fingerprint()


@pytest.mark.parametrize(
    ("pair", "message"),
    [(("hihg", "low"), "unknown arm 'hihg'"), (("low", "low"), "two different arms")],
)
def test_a_view_of_other_arms_is_refused(pair, message):
    with pytest.raises(SpecError, match=message):
        three_arm_study().two_arms(*pair)


def test_one_contrast_is_refused_with_the_view_to_take():
    with pytest.raises(UnsupportedError, match=r"study\.two_arms\('low', 'none'\)"):
        _ = three_arm_study().contrast


def test_new_rows_get_the_propensity_of_every_arm_but_the_reference():
    study = three_arm_study()
    given = np.random.default_rng(0).dirichlet([1, 1, 1], study.n_units)[:, 1:]
    design = Design.learn(study, propensity=given)
    columns = list(propensity_columns(3))
    assert columns == ["(propensity 1)", "(propensity 2)"]
    assert [c for c in design.standardized("covariates+propensity") if "prop" in c] == columns
    np.testing.assert_array_equal(design.replay(study.frame, propensity=given).propensity, given)


def test_the_arm_is_a_category_of_trees_and_indicators_elsewhere():
    design = Design.learn(three_arm_study())
    assert design.split_levels("covariates+arm")[-1] == 3
    under = design.under(2)
    assert set(under.split_columns("covariates+arm")["(arm)"]) == {2.0}
    indicators = under.standardized("covariates+arm")[["(arm)=1", "(arm)=2"]]
    np.testing.assert_array_equal(indicators.to_numpy(), np.tile([0.0, 1.0], (90, 1)))


def test_two_of_the_arms_keep_the_codes_that_the_trees_know():
    design = Design.learn(three_arm_study())
    pair = design.among((2, 0))
    assert set(pair.under(0).split_columns("covariates+arm")["(arm)"]) == {2.0}
    assert pair.n_rows == 60
    np.testing.assert_array_equal(pair.arm_codes, design.arm[design.arm != 1])


@pytest.mark.parametrize("name", ["(arm)=1", "(propensity 1)"])
def test_a_covariate_called_like_a_column_of_the_design_is_refused(name):
    frame = three_arm_frame().rename(columns={"x1": name})
    study = three_arm_study(frame, covariates=[name, "x2"])
    with pytest.raises(DataError, match="the design uses that name itself"):
        Design.learn(study)


def test_arm_names_of_a_study_file_must_be_as_many_as_the_arms(tmp_path):
    from bayes_hte.study.declared import study_from_spec
    from bayes_hte.study.spec_file import parse_spec
    from tests.trial import TOML

    names = 'arm_names = ["nothing", "a little", "a lot"]'
    text = TOML.replace('arm_names = ["control", "treated"]', names)
    text = text.replace('treatment = "treat"\nreference = 0', 'treatment = "dose"')
    text = text.replace('"x1", "x2", "site"', '"x1", "x2"')
    spec = parse_spec(text, name="trial", folder=tmp_path)
    frame = three_arm_frame()
    codes = frame["dose"].map({"none": 0, "low": 1, "high": 2})
    study = study_from_spec(spec, frame.assign(dose=codes))
    assert study.arms == ("nothing", "a little", "a lot")
    # Not alphabetic, as it would be if the names were text.
    assert study.subset(np.arange(80)).arms == study.arms
    with pytest.raises(DataError, match=r"arm_names has 3 names, and treatment 'dose' has 2 arms"):
        study_from_spec(spec, frame.assign(dose=codes.clip(upper=1)))


@pytest.mark.parametrize("dtype", ["str", pd.CategoricalDtype(list(ARMS))])
def test_text_without_a_reference_is_refused(dtype):
    with pytest.raises(DataError, match="reference='none' or reference='"):
        three_arm_study(three_arm_frame().astype({"dose": dtype}), reference=None)


def test_an_ordered_column_has_its_first_level_as_reference():
    dose = three_arm_frame()["dose"].astype(pd.CategoricalDtype(list(ARMS), ordered=True))
    roles = {"outcome": "y", "treatment": "dose", "covariates": ["x1"]}
    assert hte.Study.from_frame(three_arm_frame().assign(dose=dose), **roles).arms == ARMS


def test_two_arms_keep_the_rule_for_missing_values_the_gaps_and_the_weights():
    frame = three_arm_frame().assign(w=1.5)
    frame.loc[frame.index[:9], "x1"] = np.nan
    frame.loc[frame.index[20:23], "y"] = np.nan
    study = three_arm_study(frame, missing="impute", imputations=3, weights="w")
    pair = study.two_arms("high", "low")
    assert (pair.missing, pair.gaps, pair.imputations) == ("impute", ("x1",), 3)
    assert pair.weights().tolist() == [1.5] * 60
    assert pair.flow.recorded == 90
    assert pair.flow.excluded == (("in another arm", 30),)
    assert pair.flow.analysed == pair.n_units == 60
    # By position among the two arms, the reference first: the numbers of the whole study.
    arms = np.array(["low", "high"])[pair.flow.missing["arm"]]
    counts = frame[["y", "x1"]].isna().groupby(frame["dose"]).sum()
    given = [counts.loc[a, c] for a, c in zip(arms, pair.flow.missing["column"], strict=True)]
    assert pair.flow.missing["missing"].tolist() == given
    assert pair.flow.missing["units"].tolist() == [30] * len(given)


def test_two_arms_of_frames_that_a_user_imputed_keep_the_rows_of_each():
    frame = three_arm_frame()
    other = frame.assign(x1=frame["x1"].where(frame.index != "p0", 0.0))
    roles = {"outcome": "y", "treatment": "dose", "covariates": ["x1"], "reference": "none"}
    study = hte.Study.from_frames([frame, other], **roles)
    pair = study.two_arms("high", "none")
    assert all(list(part.index) == list(pair.units) for part in pair.completed)


def test_labels_of_arms_keep_their_order():
    from bayes_hte.study.labels import labelled_study
    from bayes_hte.study.spec import LabelSpec

    words = {"none": "nothing", "low": "a little", "high": "a lot"}
    study = labelled_study(three_arm_study(), {"dose": LabelSpec(label="Dose", levels=words)})
    assert study.arms == ("nothing", "a little", "a lot")
    assert study.subset(np.arange(80)).arms == study.arms
    assert study.arm_index().tolist() == three_arm_study().arm_index().tolist()
