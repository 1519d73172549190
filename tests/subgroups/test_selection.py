"""Choosing a tree: pruning, and putting together subgroups that do not differ."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bayes_hte.subgroups.finding.pruning import collapse_strengths, node_classes, pruned_classes
from bayes_hte.subgroups.finding.search import Search, discover
from bayes_hte.subgroups.finding.selection import (
    Candidate,
    TreeRules,
    _folds,
    _held_out_fit,
    _without_equals,
    best_tree,
    merged_leaves,
)


@pytest.mark.parametrize("seed", range(5))
def test_pruning_agrees_with_growing_a_pruned_tree(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(150, 4))
    classes = ((x[:, 0] > 0) & (x[:, 1] > 0)).astype(int) + (rng.random(150) < 0.2)
    rules = TreeRules(leaf_share=0.03, leaf_price=0.0)
    full = rules.grow(x, classes, alpha=0.0, seed=0)
    strengths = collapse_strengths(full)
    alphas = np.unique(np.maximum(full.cost_complexity_pruning_path(x, classes).ccp_alphas, 0.0))
    assert len(alphas) > 4
    for alpha in (*np.sqrt(alphas[:-1] * alphas[1:]), 1.0):
        expected = rules.grow(x, classes, alpha=alpha, seed=0).predict(x)
        np.testing.assert_array_equal(
            pruned_classes(full, strengths, alpha)[full.apply(x)], expected
        )


def two_effects_three_clusters(seed: int):
    """Units whose effect is 1 or 0; those with 0 come in two clusters that x2 tells apart."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(300, 3))
    effects = (x[:, 0] > 0) + rng.normal(scale=0.1, size=300)
    clusters = np.where(x[:, 0] > 0, 2, (x[:, 1] > 0).astype(int))
    return x, clusters, effects[:, np.newaxis]


@pytest.mark.parametrize("seed", range(3))
def test_clusters_with_the_same_effect_become_one_subgroup(seed):
    x, clusters, effects = two_effects_three_clusters(seed)
    free = TreeRules(leaf_share=0.1, leaf_price=0.0)
    # The tree that tells all three apart; its leaves cost nothing, but it is no better.
    found = Candidate(3, 3, 3, 0.95, 0.95, free.grow(x, clusters, alpha=0.0, seed=0))
    assert set(merged_leaves(found.tree, node_classes(found.tree)).values()) == {0, 1, 2}
    folds = list(_folds(x, clusters, effects, rules=free, seed=0))
    fit = _held_out_fit(folds, alpha=0.0)
    found = replace(found, tree_fit=fit)
    merged = _without_equals(found, folds, rules=free, alpha=0.0)
    assert merged.subgroups == merged.leaves == 2
    assert merged.same == {1: 0}
    np.testing.assert_array_equal(merged.tree.predict(x) == 2, x[:, 0] > 0)
    np.testing.assert_array_equal(merged.renamed(clusters), np.where(clusters == 2, 2, 0))
    assert merged.tree_fit == pytest.approx(fit, abs=0.01)
    # The clusters themselves are left as they were.
    assert set(found.tree.predict(x)) == {0, 1, 2}


def test_clusters_with_different_effects_stay_apart():
    x, clusters, _ = two_effects_three_clusters(0)
    effects = clusters[:, np.newaxis] * 1.0
    free = TreeRules(leaf_share=0.1, leaf_price=0.0)
    found = best_tree(x, clusters, effects, rules=free, k=3, seed=0)
    assert (found.subgroups, found.same) == (3, {})


def test_a_subgroup_of_its_own_must_be_worth_two_leaves():
    # Effects 0, 0.5 and 2: apart, the first two explain 6% of the variance; together, 94%.
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 3))
    clusters = np.where(x[:, 0] > 0, 2, (x[:, 1] > 0).astype(int))
    effects = np.array([0.0, 0.5, 2.0])[clusters][:, np.newaxis]
    free = TreeRules(leaf_share=0.1, leaf_price=0.0)
    tree = free.grow(x, clusters, alpha=0.0, seed=0)
    folds = list(_folds(x, clusters, effects, rules=free, seed=0))
    fit = _held_out_fit(folds, alpha=0.0)
    found = Candidate(3, 3, 3, fit, fit, tree)
    for price, subgroups in ((0.05, 2), (0.01, 3)):
        rules = TreeRules(leaf_share=0.1, leaf_price=price)
        merged = _without_equals(found, folds, rules=rules, alpha=0.0)
        assert merged.subgroups == subgroups


@pytest.mark.parametrize("clusters", ["kmeans", "mixture"])
def test_the_number_of_subgroups_does_not_hang_on_the_folds(clusters):
    # A quarter of the units has an effect around 1, the others around 0, all of them blurred. With
    # one division into folds and nothing put together, the seeds found 3, 3 and 2 subgroups.
    rng = np.random.default_rng(7)
    x = rng.normal(size=(400, 3))
    points = ((x[:, 0] > 0) & (x[:, 1] > 0)) + rng.normal(scale=0.4, size=400)
    frame = pd.DataFrame(x, columns=["x1", "x2", "x3"])
    found = []
    for seed in range(3):
        options = Search(seed, clusters, 5, None, TreeRules(0.1, 0.1), negligible=1e-9)
        discovery = discover(points[:, np.newaxis], frame, search=options, effect_words="effect")
        found.append(discovery.profile.leaves["subgroup"].nunique())
    assert found == [2, 2, 2]
