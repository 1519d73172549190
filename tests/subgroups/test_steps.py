"""The steps of the M-learner one by one, from distances to the verdict."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from bayes_hte.errors import MissingDependencyError, SpecError
from bayes_hte.subgroups import Tsne
from bayes_hte.subgroups.decision import judge
from bayes_hte.subgroups.finding import embedding as embedding_module
from bayes_hte.subgroups.finding.clustering import cluster_units, mixture_of_units
from bayes_hte.subgroups.finding.distance import MATRIX_LIMIT, effect_distances, feature_scales
from bayes_hte.subgroups.finding.embedding import TSNE_LIMIT, check_tsne, embed_units
from bayes_hte.subgroups.finding.pruning import node_classes
from bayes_hte.subgroups.finding.selection import TreeRules, best_tree, merged_leaves
from bayes_hte.subgroups.membership import (
    draw_blocks,
    membership_probabilities,
    posterior_mean,
    subgroup_effects,
)


def draws_of(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("chain", "draw", "unit"), name="te")


def test_the_distance_of_one_effect_is_the_absolute_difference_and_is_not_squared():
    points = np.array([[3.0], [1.0], [-1.5]])
    expected = np.array([[0, 2, 4.5], [2, 0, 2.5], [4.5, 2.5, 0]])
    np.testing.assert_array_equal(
        effect_distances(points / feature_scales(points, negligible=0.0)), expected
    )


def test_several_effects_count_equally_whatever_their_scale():
    points = np.random.default_rng(0).normal(size=(40, 2))
    rescaled = points * [1.0, 1000.0]
    np.testing.assert_allclose(
        effect_distances(points / feature_scales(points, negligible=0.0)),
        effect_distances(rescaled / feature_scales(rescaled, negligible=0.0)),
    )


def test_an_effect_that_does_not_vary_adds_no_distance():
    points = np.column_stack([np.arange(5.0), 0.3 + 1e-9 * np.arange(5.0) ** 2])
    scaled = points / feature_scales(points, negligible=1e-6)
    np.testing.assert_allclose(effect_distances(scaled), effect_distances(scaled[:, :1]))


def test_no_distance_matrix_is_built_for_many_units():
    with pytest.raises(SpecError, match="5001 units is not built"):
        effect_distances(np.zeros((MATRIX_LIMIT + 1, 1)))


def test_the_map_from_the_matrix_is_the_map_from_the_effects(monkeypatch):
    # The two routes agree only if distances are squared the same number of times.
    effects = np.random.default_rng(1).normal(size=(60, 1))
    from_matrix = embed_units(effects, Tsne(max_iter=260), seed=3)
    monkeypatch.setattr(embedding_module, "MATRIX_LIMIT", 10)
    from_effects = embed_units(effects, Tsne(max_iter=260), seed=3)
    np.testing.assert_allclose(from_matrix, from_effects, rtol=0.02, atol=0.02)


def test_the_map_keeps_two_far_groups_apart():
    rng = np.random.default_rng(2)
    effects = np.concatenate([rng.normal(0, 0.1, 40), rng.normal(9, 0.1, 40)])[:, np.newaxis]
    clusters = cluster_units(embed_units(effects, Tsne(), seed=1), 2, seed=1)
    assert len(set(clusters[:40])) == len(set(clusters[40:])) == 1
    assert clusters[0] != clusters[-1]


@pytest.mark.parametrize(
    ("options", "n_units", "message"),
    [
        (Tsne(), TSNE_LIMIT + 1, "offered for 4 to 200000 units, got 200001; use embed='none'"),
        (Tsne(), 3, "offered for 4"),
        (Tsne(perplexity=19), 20, "below the 19 other units, got 19; try 6.33"),
        (Tsne(perplexity=0.5), 20, "perplexity must be at least 1"),
        (Tsne(max_iter=250), 20, "max_iter must be a whole number, at least 251"),
    ],
)
def test_tsne_refuses_what_it_cannot_do(options, n_units, message):
    with pytest.raises(SpecError, match=message):
        check_tsne(options, n_units)


def test_openTSNE_takes_over_for_many_units(monkeypatch):
    monkeypatch.setattr(embedding_module, "SKLEARN_LIMIT", 50)
    rng = np.random.default_rng(2)
    effects = np.concatenate([rng.normal(0, 0.1, 40), rng.normal(9, 0.1, 40)])[:, np.newaxis]
    found = embed_units(effects, Tsne(max_iter=300), seed=1)
    assert found.shape == (80, 2)
    clusters = cluster_units(found, 2, seed=1)
    assert len(set(clusters[:40])) == len(set(clusters[40:])) == 1
    assert clusters[0] != clusters[-1]
    np.testing.assert_array_equal(found, embed_units(effects, Tsne(max_iter=300), seed=1))


def test_without_openTSNE_a_large_map_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(embedding_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="bayes-hte\\[large\\]"):
        check_tsne(Tsne(), 20_001)
    check_tsne(Tsne(), 20_000)


def test_kmeans_finds_clusters_on_top_of_a_large_common_effect():
    effects = 1e6 + np.repeat([0.0, 0.01, 0.02], 20)[:, np.newaxis]
    clusters = cluster_units(effects, 3, seed=0)
    assert [len(set(clusters[i : i + 20])) for i in (0, 20, 40)] == [1, 1, 1]
    assert len(set(clusters)) == 3


@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e4])
def test_a_mixture_puts_the_border_at_the_spike_and_kmeans_half_way(scale):
    # Three quarters near 0, a quarter spread out from there: half of the range is far off.
    rng = np.random.default_rng(9)
    spread = np.arange(400) >= 300
    effects = np.where(spread, rng.uniform(0.0, 3.0, 400), rng.normal(0.0, 0.05, 400))
    features = scale * effects[:, np.newaxis]

    def misplaced(clusters: np.ndarray) -> float:
        wrong = float((clusters != spread).mean())
        return min(wrong, 1 - wrong)

    assert misplaced(mixture_of_units(features, 2, seed=0)) < 0.04
    assert misplaced(cluster_units(features, 2, seed=0)) > 0.08


def test_a_leaf_has_its_price():
    x = np.random.default_rng(3).uniform(size=(300, 2))
    clusters = (x[:, 0] > 0.5).astype(int)
    rules = TreeRules(leaf_share=0.1, leaf_price=0.25)
    best = best_tree(x, clusters, clusters[:, np.newaxis] * 2.0, rules=rules, k=2, seed=0)
    assert (best.subgroups, best.leaves) == (2, 2)
    assert best.tree_fit > 0.97
    assert best.score == pytest.approx(best.tree_fit - 0.25)


def test_a_price_nothing_can_pay_leaves_the_units_together():
    x = np.random.default_rng(3).uniform(size=(300, 2))
    clusters = (x[:, 0] > 0.5).astype(int)
    rules = TreeRules(leaf_share=0.1, leaf_price=1.01)
    best = best_tree(x, clusters, clusters[:, np.newaxis] * 2.0, rules=rules, k=2, seed=0)
    assert (best.subgroups, best.leaves, best.score) == (1, 1, 0.0)


def test_clusters_unrelated_to_covariates_give_no_tree():
    rng = np.random.default_rng(4)
    effects = rng.normal(size=(300, 1))
    clusters = (effects[:, 0] > 0).astype(int)
    rules = TreeRules(leaf_share=0.1, leaf_price=0.05)
    best = best_tree(rng.normal(size=(300, 4)), clusters, effects, rules=rules, k=2, seed=0)
    assert best.leaves == 1


def test_leaves_that_name_the_same_class_are_merged():
    x = np.arange(40.0)[:, np.newaxis]
    clusters = np.repeat([0, 0, 1, 1], 10)
    # Impure enough on the left for a split that changes no majority.
    clusters[:3] = 1
    tree = TreeRules(0.2, 0.0).grow(x, clusters, alpha=0.0, seed=0)
    merged = merged_leaves(tree, node_classes(tree))
    assert tree.get_n_leaves() > 2
    assert sorted(merged.values()) == [0, 1]


def test_blocks_of_draws_put_together_are_the_draws(monkeypatch):
    monkeypatch.setattr("bayes_hte.subgroups.membership.BLOCK_SIZE", 21)
    values = np.random.default_rng(5).normal(size=(2, 7, 10)).astype(np.float32)
    turned = draws_of(values).transpose("unit", "chain", "draw")
    again = np.full(values.shape, np.nan)
    for chain, draws, block in draw_blocks(turned):
        assert block.dtype == np.float64
        assert len(block) <= 2
        again[chain, draws] = block
    np.testing.assert_array_equal(again, values)
    np.testing.assert_allclose(posterior_mean(turned), values.mean((0, 1), dtype=float))


def test_membership_is_the_share_of_draws_nearest_to_the_centre_of_the_draw(monkeypatch):
    monkeypatch.setattr("bayes_hte.subgroups.membership.BLOCK_SIZE", 64)
    rng = np.random.default_rng(6)
    first, second = rng.normal(size=(2, 2, 25, 12))
    labels = np.arange(12) % 3
    effects = [draws_of(first), draws_of(second)]
    centres = [subgroup_effects(e, labels) for e in effects]
    scales = np.array([0.5, 2.0])
    got = membership_probabilities(effects, centres, scales)
    distance = sum(
        ((e.values[..., np.newaxis] - c.values[:, :, np.newaxis, :]) / s) ** 2
        for e, c, s in zip(effects, centres, scales, strict=True)
    )
    nearest = distance.argmin(axis=-1)
    expected = np.stack([(nearest == k).mean(axis=(0, 1)) for k in range(3)], axis=1)
    np.testing.assert_allclose(got, expected)
    np.testing.assert_allclose(got.sum(axis=1), 1.0)


def test_what_all_units_share_does_not_blur_membership():
    rng = np.random.default_rng(7)
    values = np.repeat([0.0, 1.0], 10) + rng.normal(scale=0.4, size=(2, 50, 20))
    shifted = values + rng.normal(scale=5.0, size=(2, 50, 1))
    labels = np.repeat([0, 1], 10)
    members = [
        membership_probabilities([e], [subgroup_effects(e, labels)], np.ones(1))
        for e in (draws_of(values), draws_of(shifted))
    ]
    np.testing.assert_allclose(members[0], members[1])
    assert 0.8 < members[0][np.arange(20), labels].mean() < 1.0


def test_a_tie_counts_for_one_subgroup_only():
    same = draws_of(np.zeros((1, 4, 6)))
    labels = np.arange(6) % 2
    got = membership_probabilities([same], [subgroup_effects(same, labels)], np.ones(1))
    np.testing.assert_array_equal(got, np.tile([1.0, 0.0], (6, 1)))


def contrast_of(draws: np.ndarray) -> xr.DataArray:
    both = np.stack([np.zeros_like(draws), draws], axis=-1)[np.newaxis]
    coords = {"subgroup": [0, 1]}
    return xr.DataArray(both, dims=("chain", "draw", "subgroup"), coords=coords)


def test_the_verdict_counts_draws_beyond_the_margin():
    effects = contrast_of(np.array([0.05, 0.15, 0.25, 0.35]))
    verdict = judge(effects, margin=0.1, required=0.7, effect_words="total effect")
    assert verdict.probability == 0.75
    assert verdict.declared
    assert "are declared" in verdict.reason
    assert not judge(effects, margin=0.1, required=0.8, effect_words="total effect").declared


def test_a_posterior_that_is_merely_wide_declares_nothing():
    draws = np.random.default_rng(8).normal(loc=0.1, scale=10.0, size=2000)
    verdict = judge(contrast_of(draws), margin=0.05, required=0.95, effect_words="total effect")
    assert np.mean(np.abs(draws) > 0.05) > 0.95  # the unsigned rule would have declared
    assert not verdict.declared
    assert verdict.probability == pytest.approx(0.5, abs=0.05)
