"""Subgroups as leaves of a tree of the effects: edges where they are, no split without reason."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from bayes_hte.subgroups.effect_tree import (
    LEAST_VARIANCE,
    best_leaves,
    grow_effect_tree,
    merged_names,
)
from bayes_hte.subgroups.group_tree import GroupTree
from bayes_hte.subgroups.search import Search, discover
from bayes_hte.subgroups.selection import TreeRules

RULES = TreeRules(leaf_share=0.1, leaf_price=0.1)


def corner(seed: int, *, blur: float, n: int = 800):
    """Effect x1 + x2 in the corner where both are positive, starting small at its edges."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 5))
    inside = (x[:, 0] > 0) & (x[:, 1] > 0)
    effects = np.where(inside, x[:, 0] + x[:, 1], 0.0) + rng.normal(scale=blur, size=n)
    return x, inside, effects[:, np.newaxis]


def likelihood(tree: GroupTree, x: np.ndarray, effects: np.ndarray) -> float:
    """Log likelihood of standardised effects, normal with mean and variance of their leaf."""
    standard = (effects - effects.mean(axis=0)) / effects.std(axis=0)
    leaf = tree.apply(x)
    parts = [standard[leaf == node] for node in np.unique(leaf)]
    return -0.5 * sum(len(p) * np.log(p.var(axis=0) + LEAST_VARIANCE).sum() for p in parts)


def search(clusters: str) -> Search:
    return Search(1, clusters, 5, None, RULES, negligible=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_a_corner_where_the_effect_starts_small_is_recovered(seed):
    x, inside, effects = corner(seed, blur=0.3)
    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(1, 6)])
    found = discover(effects, frame, search=search("leaves"), effect_words="effect")
    labels = found.profile.assign(frame)
    assert set(found.profile.covariates) == {"x1", "x2"}
    assert labels.max() == 1  # three leaves, two subgroups
    assert adjusted_rand_score(inside, labels) > 0.85


@pytest.mark.parametrize("seed", range(3))
def test_least_squares_misses_an_edge_that_is_found_by_the_variances(seed):
    # No blur at all: what is off is off by the criterion.
    x, inside, effects = corner(seed, blur=0.0)
    smallest = RULES.smallest_leaf(len(x))
    grown = DecisionTreeRegressor(max_leaf_nodes=3, min_samples_leaf=smallest, random_state=0)
    squares = GroupTree.of_leaves(grown.fit(x, effects))
    moved = grow_effect_tree(x, effects, rules=RULES, leaves=3, seed=0)

    def agreement(tree: GroupTree) -> float:
        labels = tree.predict(x)
        return adjusted_rand_score(inside, merged_names(labels, effects)[2][labels])

    assert agreement(moved) > 0.97
    assert agreement(squares) < agreement(moved) - 0.01
    assert np.bincount(moved.predict(x)).min() >= smallest


def test_moved_thresholds_are_the_likeliest_there_are():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(60, 2)).astype(np.float32).astype(float)
    effects = rng.normal(scale=0.1, size=(60, 2)) + (x[:, :1] + 0.8 * x[:, 1:] > 0.3)
    tree = grow_effect_tree(x, effects, rules=RULES, leaves=4, seed=0)
    best = likelihood(tree, x, effects)
    tried = 0
    for node in np.flatnonzero(tree.left >= 0):
        for value in x[:, tree.feature[node]]:
            threshold = tree.threshold.copy()
            threshold[node] = value
            other = GroupTree(tree.feature, threshold, tree.left, tree.right, tree.group)
            if np.bincount(other.predict(x), minlength=4).min() >= RULES.smallest_leaf(60):
                tried += 1
                assert likelihood(other, x, effects) <= best + 1e-4
    assert tried > 20


def test_an_effect_that_does_not_vary_moves_nothing():
    x, _, effects = corner(2, blur=0.2, n=200)
    both = np.column_stack([effects, np.zeros(200)])
    alone = grow_effect_tree(x, effects, rules=RULES, leaves=3, seed=0)
    beside = grow_effect_tree(x, both, rules=RULES, leaves=3, seed=0)
    np.testing.assert_array_equal(alone.predict(x), beside.predict(x))


def test_effects_that_covariates_do_not_explain_are_not_split():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(300, 4))
    found = best_leaves(x, rng.normal(size=(300, 1)), rules=RULES, k=3, seed=0)
    assert (found.subgroups, found.leaves, found.score) == (1, 1, 0.0)
    np.testing.assert_array_equal(found.tree.predict(x), 0)


def test_a_price_nothing_can_pay_grows_no_fold():
    x, _, effects = corner(1, blur=0.1, n=100)
    found = best_leaves(x, effects, rules=TreeRules(0.1, 1.01), k=2, seed=0)
    assert (found.subgroups, found.leaves) == (1, 1)


def test_leaves_with_one_effect_are_one_subgroup_wherever_they_are():
    rng = np.random.default_rng(7)
    x = rng.uniform(size=(400, 2))
    effects = ((x[:, 0] > 0.5) != (x[:, 1] > 0.4)).astype(float) * 2 + rng.normal(
        scale=0.05, size=400
    )
    # A fourth of a difference, so that the greedy first split is not a coin toss.
    effects += 0.5 * (x[:, 0] > 0.5)
    found = best_leaves(x, effects[:, np.newaxis], rules=RULES, k=4, seed=0)
    assert (found.subgroups, found.leaves) == (2, 4)
    truth = (x[:, 0] > 0.5) != (x[:, 1] > 0.4)
    assert adjusted_rand_score(truth, found.tree.predict(x)) > 0.95


def test_groups_are_put_together_at_the_least_loss():
    rng = np.random.default_rng(8)
    labels = rng.integers(0, 5, size=200)
    effects = rng.normal(size=(5, 2))[labels] + rng.normal(scale=0.1, size=(200, 2))

    def within(names: np.ndarray) -> float:
        said = names[labels]
        means = np.stack([effects[said == g].mean(axis=0) for g in range(said.max() + 1)])
        return float(((effects - means[said]) ** 2).sum())

    merged = merged_names(labels, effects)
    assert sorted(merged) == [1, 2, 3, 4, 5]
    for groups in range(5, 1, -1):
        options = []
        for a, b in itertools.combinations(range(groups), 2):
            names = np.where(merged[groups] == b, a, merged[groups])
            options.append(within(np.unique(names, return_inverse=True)[1]))
        assert within(merged[groups - 1]) == pytest.approx(min(options))


def test_a_tree_taken_over_says_what_scikit_learn_says():
    rng = np.random.default_rng(9)
    x = rng.normal(size=(200, 3))
    classes = np.digitize(x[:, 0] + x[:, 1], [-0.5, 0.7]) + 3
    grown = DecisionTreeClassifier(min_samples_leaf=5, random_state=0).fit(x, classes)
    tree = GroupTree.of_classifier(grown)
    other = rng.normal(size=(500, 3))
    np.testing.assert_array_equal(tree.predict(other), grown.predict(other))
    np.testing.assert_array_equal(tree.apply(other), grown.apply(other))
    leaves = GroupTree.of_leaves(grown)
    assert set(leaves.predict(x)) == set(range(grown.get_n_leaves()))
    merged = tree.renamed(np.zeros(6, dtype=int)).ends()
    assert merged == {0: 0}
