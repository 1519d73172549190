"""Names of columns: text of any kind is safe, all else is refused, and no covariate is lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from bayes_hte.errors import DataError
from bayes_hte.study.design import Design
from bayes_hte.study.study import Study

N = 60
NAMES_NOT_TEXT = [
    (0, 1),
    (2019, "z"),
    (("lab", "ldl"), ("lab", "hdl")),
    (True, "z"),
    (1.5, "z"),
    (pd.Timestamp("2020-01-01"), "z"),
]
# Words of pandas and xarray, of this package, and of nobody.
HOSTILE = ["self", "index", "unit", "chain", "draw", "arm", "group", "level_0", "", "a/b", "{x}"]


def frame_with(covariates) -> pd.DataFrame:
    """Covariates called so, of which the first confounds, and columns y, t and e."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(N, len(covariates)))
    arm = (x[:, 0] + 0.5 * rng.normal(size=N) > 0).astype(int)
    frame = pd.DataFrame(x).assign(y=5 * x[:, 0] + arm, t=arm, e=rng.uniform(0.3, 0.7, size=N))
    return frame.set_axis(pd.Index([*covariates, "y", "t", "e"], tupleize_cols=False), axis=1)


def build(frame: pd.DataFrame, covariates) -> Study:
    return Study.from_frame(frame, outcome="y", treatment="t", covariates=list(covariates))


# ---------------------------------------------------------------- names that are not text


@pytest.mark.parametrize("names", NAMES_NOT_TEXT)
def test_a_study_refuses_covariates_whose_names_are_not_text(names):
    with pytest.raises(DataError, match=r"covariate .*must be text.*columns = frame.columns.map"):
        build(frame_with(names), names)


@pytest.mark.parametrize("role", ["outcome", "treatment", "mediator", "cluster"])
@pytest.mark.parametrize("name", [3, ("y", 1), ["y"]])
def test_a_study_refuses_any_role_whose_name_is_not_text(role, name):
    if role == "mediator" and name == ["y"]:
        name = [3, "b"]  # several mediators are a list of text
    roles = {"outcome": "y", "treatment": "t", "covariates": ["a", "b"]}
    with pytest.raises(DataError, match="names of columns must be text"):
        Study.from_frame(frame_with(["a", "b"]), **(roles | {role: name}))


def test_the_renaming_that_the_refusal_names_works():
    frame = frame_with([0, 1])
    frame.columns = frame.columns.map(str)
    assert build(frame, ["0", "1"]).roles.covariates == ("0", "1")


def test_columns_that_play_no_part_may_have_any_name():
    frame = frame_with(["a", "b"]).assign(c=1.0).rename(columns={"c": 7})
    assert build(frame, ["a", "b"]).roles.covariates == ("a", "b")


def test_a_further_covariate_has_a_name_of_text():
    study = build(frame_with(["a", "b"]), ["a", "b"])
    with pytest.raises(DataError, match="names of columns must be text"):
        study.with_covariate(3, np.arange(N))


def test_mixture_data_refuses_proxies_whose_names_are_not_text():
    study = build(frame_with(["a", "b"]), ["a", "b"])
    with pytest.raises(DataError, match="names of columns must be text"):
        hte.mixture_data(study, z=[0], x=["b"])


# ---------------------------------------------------------------- no covariate is lost


def test_every_covariate_has_its_columns_in_every_feature_set():
    frame = frame_with(["a", "b"]).assign(g=np.tile(["u", "v", "w"], N // 3))
    design = Design.learn(build(frame, ["a", "b", "g"]), propensity=frame["e"].to_numpy())
    for features in ("covariates", "covariates+arm", "covariates+propensity"):
        assert {"a", "b", "g"} <= set(design.columns(features).names)
        assert {"a", "b", "g=v", "g=w"} <= set(design.standardized(features))


def test_a_design_without_a_covariate_cannot_be_built():
    design = Design.learn(build(frame_with(["a", "b"]), ["a", "b"]))
    fewer = replace(design.encoding, columns=design.encoding.columns[:1])
    with pytest.raises(DataError, match="the models would not see 'b'"):
        replace(design, encoding=fewer)


def test_a_covariate_of_one_level_cannot_reach_a_design():
    study = build(frame_with(["a", "b"]), ["a", "b"])
    with pytest.raises(DataError, match="the models would not see 'b'"):
        Design.learn(replace(study, frame=study.frame.assign(b="same")))


def test_levels_that_differ_and_read_the_same_are_refused():
    mixed = pd.Categorical.from_codes(np.arange(N) % 2, categories=[1, "1"])
    with pytest.raises(DataError, match=r"'b' has different levels that read the same, '1'"):
        build(frame_with(["a", "b"]).assign(b=mixed), ["a", "b"])


def test_arms_that_differ_and_read_the_same_are_refused():
    frame = frame_with(["a", "b"])
    frame["t"] = frame["t"].map({0: 1, 1: "1"}).astype(object)
    with pytest.raises(DataError, match=r"treatment 't' has different levels that read the same"):
        build(frame, ["a", "b"])


@pytest.mark.parametrize("order", [["g", "g=v", "h"], ["g=v", "h", "g"], ["h", "g", "g=v"]])
def test_a_column_called_as_the_level_of_another_is_a_feature_of_its_own(order):
    rng = np.random.default_rng(8)
    number, marked = rng.normal(size=N), rng.random(N) < 0.5
    frame = frame_with(["h"]).assign(g=np.where(marked, "v", "u")).assign(**{"g=v": number})
    design = Design.learn(build(frame, order))
    smooth = design.standardized("covariates")
    np.testing.assert_allclose(smooth["g=v"], (number - number.mean()) / number.std())
    np.testing.assert_array_equal(smooth["g=v (level)"], marked)
    split = design.split_columns("covariates")
    assert split.shape[1] == len(design.split_levels("covariates")) == 3
    np.testing.assert_array_equal(split["g=v (level)"], marked)
    again = design.replay(frame)
    pd.testing.assert_frame_equal(again.standardized("covariates"), smooth)


# ---------------------------------------------------------------- every text is safe


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("role", ["outcome", "treatment", "covariate"])
def test_any_text_is_the_name_of_any_column(name, role):
    frame = frame_with(["a", "b"])
    plain = build(frame, ["a", "b"])
    old = {"outcome": "y", "treatment": "t", "covariate": "b"}[role]
    renamed = frame.rename(columns={old: name}).rename_axis(name)
    called = {"y": "y", "t": "t", "b": "b"} | {old: name}
    study = Study.from_frame(
        renamed, outcome=called["y"], treatment=called["t"], covariates=["a", called["b"]]
    )
    np.testing.assert_array_equal(
        Design.learn(study).standardized("covariates+arm"),
        Design.learn(plain).standardized("covariates+arm"),
    )
    more = study.with_covariate("more", np.arange(N))
    assert more.subset(np.arange(40)).roles.covariates == ("a", called["b"], "more")
