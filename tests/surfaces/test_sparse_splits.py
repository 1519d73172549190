"""Sampled probabilities of columns: the stated joint prior, calibrated posteriors, what is kept."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import special, stats

from bayes_hte.surfaces.forest import core as forest_core
from bayes_hte.surfaces.forest import kernel, layout, moves, rules
from bayes_hte.surfaces.forest import shares as forest_shares
from bayes_hte.surfaces.forest.core import ForestPrior, LiveForest
from bayes_hte.surfaces.forest.draws import count_splits, stack
from bayes_hte.surfaces.forest.planting import RESERVE, plant
from bayes_hte.surfaces.forest.prior_draws import prior_forests
from bayes_hte.surfaces.forest.working_models import working_model

# Every combination of two binary columns, one of three values, and three unordered levels: each
# rule that is open at a node has rows on both sides, and columns run out of rules after few splits.
FACTORIAL = np.array(list(itertools.product([0.0, 1.0], [0.0, 1.0], [0.0, 1, 2], [0.0, 1, 2])))
LEVELS = np.array([0, 0, 0, 3])
DEEP = {"alpha": 0.95, "beta": 0.3, "max_depth": 12, "adaptive": False, "sparse": True}


def draw_joint_prior(live: LiveForest, rng: np.random.Generator) -> None:
    """Probabilities and trees from their joint prior, given that every tree is valid."""
    while True:
        forest_shares.draw_prior_shares(live.shares, rng)
        for t in range(live.prior.trees):
            live.tops[t] = kernel._draw_tree(
                live.nodes[t], live.slots[t], live.grid, live.shares, live.law, rng
            )
            if live.tops[t] == 0:
                break
        else:
            break
    leaf = live.nodes["feature"] == layout.LEAF
    live.leaves = int(leaf.sum())
    values = math.sqrt(live.leaf_variance) * rng.standard_normal(leaf.shape)
    live.nodes["value"] = np.where(leaf, values, 0.0)
    rows = np.arange(live.prior.trees)[:, None]
    live.f[:] = live.nodes["value"][rows, live.slots].sum(axis=0)


def without_normalisers(live: LiveForest, rng: np.random.Generator) -> None:
    """Draw probabilities as if every column were open at every node (which is wrong)."""
    feature = live.nodes["feature"]
    drawn = live.shares.variable[feature[feature >= 0]]
    counts = np.bincount(drawn, minlength=live.shares.share.size)
    c = live.shares.concentration[0]
    shares = np.maximum(rng.dirichlet(np.maximum(c, 1e-3) + counts), 1e-200)
    live.shares.share[:] = shares
    live.shares.log_share[:] = np.log(shares)
    live.shares.cumulative[:] = np.cumsum(shares)


def seen(live: LiveForest) -> list[float]:
    """Probabilities, concentration and number of leaves: what the prior says something of."""
    return [*live.shares.log_share[:3], np.log(live.shares.concentration[0]), live.leaves]


def before_and_after(*, rounds: int, step, chains: int, **options) -> tuple[np.ndarray, np.ndarray]:
    """Independent draws from the joint prior, and others moved by a step that should keep it."""
    where = {k: options.pop(k) for k in ("variables", "reserved") if k in options}
    prior, rng = ForestPrior(scale=1.0, **{"trees": 3} | DEEP | options), np.random.default_rng(5)
    live = plant(prior, FACTORIAL, levels=LEVELS, **where)
    silent, before, after = np.zeros(len(FACTORIAL)), [], []
    for kept in (before, after):
        for _ in range(chains):
            draw_joint_prior(live, rng)
            for _ in range(rounds if kept is after else 0):
                forest_core.sweep(live, silent.copy(), silent, rng, update_shares=False)
                step(live, rng)
            kept.append(seen(live))
    return np.array(before), np.array(after)


def smallest_p_value(a: np.ndarray, b: np.ndarray) -> float:
    return min(stats.ks_2samp(x, y).pvalue for x, y in zip(a.T, b.T, strict=True))


@pytest.mark.parametrize(
    "options",
    [
        {"min_leaf": 1},
        {"min_leaf": 6, "trees": 2},
        {"min_leaf": 1, "variables": [0, 0, 1, 2]},
        {"min_leaf": 1, "reserved": 2},
    ],
    ids=["all valid", "some invalid", "grouped", "reserved"],
)
def test_moves_and_probabilities_keep_their_joint_prior(options):
    before, after = before_and_after(
        rounds=20, step=forest_core.draw_column_shares, chains=1200, **options
    )
    assert smallest_p_value(before, after) > 1e-3


def test_probabilities_that_ignore_closed_columns_do_not_keep_it():
    before, after = before_and_after(
        rounds=20, step=without_normalisers, chains=1200, min_leaf=1, alpha=0.99, beta=0.05
    )
    assert smallest_p_value(before[:, [0, 1, 2, 4]], after[:, [0, 1, 2, 4]]) < 1e-6


def test_the_prior_is_a_dirichlet_with_a_beta_concentration():
    live = plant(ForestPrior(scale=1.0, trees=1, sparse=True), FACTORIAL, levels=LEVELS)
    rng, draws = np.random.default_rng(1), []
    for _ in range(4000):
        forest_shares.draw_prior_shares(live.shares, rng)
        draws.append([live.shares.share[0], live.shares.concentration[0]])
    share, c = np.array(draws).T
    ratio = 4 * c / (4 * c + 4)
    assert stats.kstest(ratio, stats.beta(0.5, 1).cdf).pvalue > 1e-3
    assert stats.kstest(share, direct_shares(rng, 4000)).pvalue > 1e-3


def direct_shares(rng: np.random.Generator, draws: int) -> np.ndarray:
    """First of four Dirichlet probabilities, through the beta distribution of one of them."""
    ratio = rng.beta(0.5, 1, size=draws)
    c = ratio / (1 - ratio)
    logs = [
        np.log(rng.gamma(s + 1, size=draws)) + np.log(rng.random(draws)) / s for s in (c, 3 * c)
    ]
    return special.expit(logs[0] - logs[1])


def test_no_probability_is_lost_where_the_open_columns_hardly_have_any():
    live = plant(ForestPrior(scale=1.0, trees=1, sparse=True), FACTORIAL, levels=LEVELS)
    tree, rng = live.nodes[0], np.random.default_rng(2)
    moves.split(tree, 0, 1, (0, 0, np.uint64(0), 3, 3), 18)
    logs = np.array([0.0, -400.0, -400.0 + math.log(3.0), -700.0])
    forest_shares._set_shares(live.shares, logs)
    drawn = [rules._draw_column(tree, 1, live.grid, live.shares, rng) for _ in range(2000)]
    assert set(drawn) == {1, 2}
    assert np.mean(np.array(drawn) == 2) == pytest.approx(0.75, abs=0.04)


def test_columns_of_one_variable_share_its_probability_and_the_reserved_one_has_its_own():
    prior = ForestPrior(scale=1.0, trees=1, sparse=True, alpha=0.99)
    live = plant(prior, FACTORIAL, levels=LEVELS, variables=np.array([0, 0, 1, 2]), reserved=3)
    expected = np.array([0.25, 0.25, 0.5, 0]) * (1 - RESERVE)
    expected[3] = RESERVE
    np.testing.assert_allclose(forest_core.split_probabilities(live), expected)
    rng = np.random.default_rng(3)
    drawn = [rules._draw_column(live.nodes[0], 0, live.grid, live.shares, rng) for _ in range(4000)]
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 4000, expected, atol=0.035)


def test_a_column_without_rules_has_no_probability():
    x = np.column_stack([np.ones(20), np.arange(20.0)])
    live = plant(ForestPrior(scale=1.0, sparse=True), x, reserved=0)
    np.testing.assert_array_equal(forest_core.split_probabilities(live), [0, 1])


# --- calibration ----------------------------------------------------------------------------------

ROWS, KEPT, THIN = 40, 19, 15


def posterior_ranks(family: str, *, simulations: int, sparse_truth: bool = True) -> np.ndarray:
    """Rank of the truth among posterior draws, shape (simulation, quantity), from 0 to KEPT."""
    rng, ranks = np.random.default_rng(11), []
    x = np.column_stack([rng.normal(size=(ROWS, 2)), rng.integers(2, size=(ROWS, 2))]).astype(float)
    prior = ForestPrior(
        scale=3.0, trees=4, alpha=0.9, beta=1.0, min_leaf=3, adaptive=False, sparse=True
    )
    for _ in range(simulations):
        live = plant(prior, x)
        draw_joint_prior(live, rng)
        if not sparse_truth:
            # All columns alike, though the posterior takes sparse ones for granted.
            live = plant(prior, x)
            live.leaves = int(kernel.draw_trees(*kernel_arguments(live, rng)))
        truth = quantities(live)
        p = special.expit(live.f)
        y = rng.normal(live.f, 1.0) if family == "gaussian" else (rng.random(ROWS) < p) * 1.0
        noise = {"sigma": np.full(ROWS, 1.0)} if family == "gaussian" else {}
        # The truth is a draw of the posterior, so a chain may start there.
        eta, draws = live.f.copy(), []
        for sweep in range(KEPT * THIN):
            working = working_model(family, y, eta, noise, rng)
            forest_core.sweep(live, working.residual.copy(), working.precision, rng)
            eta = live.f.copy()
            if sweep % THIN == THIN - 1:
                draws.append(quantities(live))
        ranks.append((np.array(draws) < truth).sum(axis=0))
    return np.array(ranks)


def kernel_arguments(live: LiveForest, rng: np.random.Generator) -> tuple:
    forest = (live.nodes, live.tops, live.slots, live.grid, live.shares, live.law)
    return (*forest, live.f, live.leaf_variance, rng)


def quantities(live: LiveForest) -> np.ndarray:
    largest = live.shares.log_share.max()
    return np.array([*live.shares.log_share[:2], largest, live.f[0], live.f[1:5].mean()])


def uniformity(ranks: np.ndarray) -> float:
    """Smallest p-value of a chi-square test over the quantities."""
    counts = [np.bincount(r // 4, minlength=5) for r in ranks.T]
    return min(stats.chisquare(c).pvalue for c in counts)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gaussian", "bernoulli"])
def test_posterior_ranks_are_uniform(family):
    assert uniformity(posterior_ranks(family, simulations=300)) > 1e-3


@pytest.mark.slow
def test_posterior_ranks_are_not_uniform_under_another_prior():
    ranks = posterior_ranks("gaussian", simulations=200, sparse_truth=False)
    assert uniformity(ranks[:, [2]]) < 1e-6


# --- use ------------------------------------------------------------------------------------------


def test_noise_columns_lose_their_splits_and_the_same_seed_gives_the_same_probabilities():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 30))
    truth = 2.0 * (x[:, 0] > 0) + x[:, 1] * (x[:, 2] > 0)
    y = truth + rng.normal(size=200)
    errors, found = {}, []
    for sparse in (False, True, True):
        live = plant(ForestPrior(scale=1.5, trees=50, sparse=sparse), x)
        residual, chain, fits = y.copy(), np.random.default_rng(1), []
        for sweep in range(600):
            told = {"update_shares": sweep >= 50}
            forest_core.sweep(live, residual, np.ones(200), chain, **told)
            fits.append(live.f.copy())
        errors[sparse] = np.sqrt(np.mean((np.mean(fits[200:], axis=0) - truth) ** 2))
        found.append(forest_core.split_probabilities(live))
    assert errors[True] < 0.9 * errors[False]
    assert found[1][:3].sum() > 0.5
    np.testing.assert_allclose(found[0], 1 / 30)
    np.testing.assert_array_equal(found[1], found[2])


def test_splits_are_counted_draw_by_draw_also_where_some_draws_are_gone():
    x = np.column_stack([np.random.default_rng(0).normal(size=(60, 2)), np.arange(60) % 3])
    levels, prior = np.array([0, 0, 3]), ForestPrior(scale=1.0, trees=7)
    forests = prior_forests(prior, x, draws=6, seed=1, levels=levels)
    trees = stack([forests[:3], forests[3:]])
    counts = np.array(
        [[np.sum(f.feature == 0), np.sum(f.feature == 1), np.sum(f.feature == -4)] for f in forests]
    ).reshape(2, 3, 3)
    np.testing.assert_array_equal(count_splits(trees, 3), counts)
    np.testing.assert_array_equal(count_splits(trees.isel(draw=[0, 2]), 3), counts[:, [0, 2]])
