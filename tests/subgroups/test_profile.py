"""The profile: what it says is what it does, on the original covariates."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier

from bayes_hte.errors import DataError
from bayes_hte.subgroups.finding.conditions import Condition, round_between, rule_text
from bayes_hte.subgroups.finding.profile import Profile, Units, build_profile
from bayes_hte.subgroups.finding.pruning import node_classes
from bayes_hte.subgroups.finding.selection import TreeRules
from bayes_hte.subgroups.finding.tree_columns import encode_covariates


def tree_of(frame: pd.DataFrame, clusters: np.ndarray) -> DecisionTreeClassifier:
    rules = TreeRules(leaf_share=0.05, leaf_price=0.0)
    return rules.grow(encode_covariates(frame)[0], clusters, alpha=0.0, seed=0)


def profile_of(frame: pd.DataFrame, clusters: np.ndarray, points: np.ndarray) -> Profile:
    tree = tree_of(frame, clusters)
    units = Units(*encode_covariates(frame), points)
    words = {"effect_words": "total effect", "why_one": "no reason"}
    return build_profile(tree, node_classes(tree), units, **words)


@pytest.fixture
def patients() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    n = 240
    grades = pd.CategoricalDtype(["mild", "moderate", "severe"], ordered=True)
    return pd.DataFrame(
        {
            "age": rng.integers(20, 80, size=n),
            "crp": rng.lognormal(sigma=2.0, size=n),
            "site": rng.choice(["Leeds", "York", "Hull", "Ripon"], size=n),
            "grade": pd.Categorical(rng.choice(grades.categories, size=n), dtype=grades),
            "smoker": rng.random(n) > 0.5,
            "sex": rng.integers(0, 2, size=n),
        },
        index=[f"p{i}" for i in range(n)],
    )


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (35.0, 36.0, 35.0),
        (29.0, 41.0, 30.0),
        (-0.003, 0.004, 0.0),
        (0.5311, 0.5342, 0.533),
        (1234.5, 1300.0, 1250.0),
        (-8.0, -7.0, -8.0),
        (1e-9, 3e-9, 2e-9),
        (0.0, 1.0, 0.0),
    ],
)
def test_thresholds_are_rounded_to_a_short_number_between_the_values(low, high, expected):
    got = round_between(low, high)
    assert low <= got < high
    if (low, high) == (1234.5, 1300.0):
        assert len(f"{got:g}") <= 4
    elif (low, high) == (29.0, 41.0):
        assert got in (30.0, 40.0)
    else:
        assert got == pytest.approx(expected, rel=1e-12)


def test_rounding_never_moves_a_unit():
    rng = np.random.default_rng(1)
    for scale in (1e-6, 1.0, 1e6):
        values = np.sort(rng.normal(size=200)) * scale
        for low, high in pairwise(values):
            assert low <= round_between(low, high) < high
    assert round_between(1.0, np.nextafter(1.0, 2.0)) == 1.0


def test_rules_merge_what_is_said_about_one_covariate():
    older = Condition("age", threshold=40.0)
    old = Condition("age", threshold=60.5)
    leeds = Condition("site", levels=("Leeds",), others=("Hull", "York"))
    hull = Condition("site", levels=("Hull",), others=("Leeds", "York"))
    path = [(older, False), (leeds, False), (old, True), (hull, False)]
    assert rule_text(path) == "age above 40 and at most 60.5, site is York"
    assert rule_text([(leeds, False)]) == "site is Hull or York"
    many = Condition("site", levels=("Leeds",), others=("A", "B", "C", "D"))
    assert rule_text([(many, False)]) == "site is not Leeds"
    assert rule_text([]) == "everyone"
    assert older.text == "age at most 40"


def test_every_kind_of_covariate_is_named_as_in_the_data(patients):
    effects = {
        "age above 49": patients["age"] >= 50,
        "site is York": patients["site"] == "York",
        "grade is moderate or severe": patients["grade"] != "mild",
        "smoker is True": patients["smoker"],
        "sex is 1": patients["sex"] == 1,
    }
    for words, high in effects.items():
        clusters = high.to_numpy(dtype=int)
        profile = profile_of(patients, clusters, clusters.astype(float))
        assert profile.covariates == (words.split()[0],)
        assert f"mean 1): {words}." in profile.text
        assert profile.leaves["mean_effect"].tolist() == [0.0, 1.0]
        np.testing.assert_array_equal(profile.assign(patients), clusters)


def test_the_rules_assign_every_unit_as_the_tree_does(patients):
    rng = np.random.default_rng(2)
    for _ in range(20):
        weights = rng.normal(size=4)
        score = (
            weights[0] * patients["age"] / 20
            + weights[1] * np.log(patients["crp"])
            + weights[2] * 2 * patients["site"].isin(["York", "Hull"])
            + weights[3] * patients["grade"].cat.codes
        ).to_numpy()
        clusters = np.digitize(score, np.quantile(score, [0.3, 0.6]))
        profile = profile_of(patients, clusters, score)
        named = tree_of(patients, clusters).predict(encode_covariates(patients)[0])
        labels = profile.assign(patients)
        pairs = set(zip(named.tolist(), labels.tolist(), strict=True))
        assert len(pairs) == len(set(named.tolist())) == len(set(labels.tolist()))
        means = [score[labels == g].mean() for g in range(labels.max() + 1)]
        assert means == sorted(means)


def test_leaves_and_nodes_tell_the_same_story(patients):
    score = patients["age"].to_numpy() / 30.0 + (patients["site"] == "York").to_numpy()
    clusters = np.digitize(score, [1.5, 2.2])
    profile = profile_of(patients, clusters, score)
    labels = profile.assign(patients)
    assert profile.leaves["n"].sum() == len(patients)
    assert profile.leaves["share"].sum() == pytest.approx(1.0)
    by_leaf = profile.leaves.groupby("subgroup")["n"].sum()
    assert by_leaf.tolist() == np.bincount(labels).tolist()
    root = profile.nodes[0]
    assert root.n == len(patients)
    assert root.mean_effect == pytest.approx(score.mean())
    for i, node in enumerate(profile.nodes):
        assert node.number == i
        if node.condition is None:
            assert profile.leaves.loc[i, "rule"] == node.rule
            continue
        yes, no = profile.nodes[node.yes], profile.nodes[node.no]
        assert yes.parent == no.parent == i
        assert yes.n + no.n == node.n
        assert node.condition.covariate in profile.covariates
        assert yes.n * yes.mean_effect + no.n * no.mean_effect == pytest.approx(
            node.n * node.mean_effect
        )


def test_sibling_leaves_of_one_subgroup_do_not_name_a_covariate():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x1": np.arange(100.0), "x2": rng.normal(size=100)})
    clusters = (frame["x1"] >= 50).to_numpy(dtype=int)
    # x2 separates the strays of the left half without ever winning a majority.
    clusters[(frame["x1"] < 50) & (frame["x2"] > 1.0)] = 1
    frame.loc[(frame["x1"] < 50) & (frame["x2"] > 0.7) & (clusters == 0), "x2"] = 1.5
    profile = profile_of(frame, clusters, clusters.astype(float))
    siblings = profile.leaves.merge(profile.leaves, how="cross")
    assert len(siblings) == len(profile.leaves) ** 2
    for node in profile.nodes:
        if node.condition is None:
            continue
        both = {profile.nodes[node.yes].subgroup, profile.nodes[node.no].subgroup}
        assert both == {None} or len(both) == 2


def test_new_units_can_be_assigned_without_the_other_columns(patients):
    clusters = (patients["age"] >= 50).to_numpy(dtype=int)
    profile = profile_of(patients, clusters, clusters.astype(float))
    np.testing.assert_array_equal(profile.assign(pd.DataFrame({"age": [49, 50, 90]})), [0, 1, 1])


def test_units_the_profile_cannot_place_are_refused(patients):
    york = (patients["site"] == "York").to_numpy(dtype=int)
    profile = profile_of(patients, york, york.astype(float))
    with pytest.raises(DataError, match="needs covariate 'site'"):
        profile.assign(pd.DataFrame({"age": [50]}))
    with pytest.raises(DataError, match="levels that the profile does not know: Bath"):
        profile.assign(pd.DataFrame({"site": ["York", "Bath"]}))
    with pytest.raises(DataError, match="'site' has 1 missing values in 2 rows"):
        profile.assign(pd.DataFrame({"site": ["York", None]}))
    twice = pd.DataFrame([["York", "Bath"]], columns=["site", "site"])
    with pytest.raises(DataError, match="'site' occurs 2 times"):
        profile.assign(twice)
    for rows in ({"site": ["York"]}, pd.Series(["York"], name="site"), np.array([["York"]])):
        with pytest.raises(DataError, match="frame must be a pandas DataFrame, got"):
            profile.assign(rows)
        with pytest.raises(DataError, match="frame must be a pandas DataFrame, got"):
            profile.nodes[0].condition.holds(rows)
    old = (patients["age"] >= 50).to_numpy(dtype=int)
    by_age = profile_of(patients, old, old.astype(float))
    with pytest.raises(DataError, match="must be numeric"):
        by_age.assign(pd.DataFrame({"age": ["old", "young"]}))


def test_levels_nobody_has_are_left_out():
    site = pd.Categorical(["a", "b", "a", "c"], categories=["c", "b", "a", "never"])
    matrix, columns = encode_covariates(pd.DataFrame({"site": site}))
    assert [c.levels[c.indicator] for c in columns] == ["c", "b", "a"]
    np.testing.assert_array_equal(matrix, [[0, 0, 1], [0, 1, 0], [0, 0, 1], [1, 0, 0]])
