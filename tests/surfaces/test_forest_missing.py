"""Splits on missing values: exact on enumerated problems, with the prior that is stated."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from bayes_hte.surfaces.forest import core as forest_core
from bayes_hte.surfaces.forest import layout
from bayes_hte.surfaces.forest.core import ForestPrior, LiveForest
from bayes_hte.surfaces.forest.draws import predict, stack
from bayes_hte.surfaces.forest.planting import plant
from bayes_hte.surfaces.forest.prior_draws import _prior_lives
from bayes_hte.surfaces.forest.rules import MISSING_RULE
from tests.surfaces.test_forest_core import Enumeration, distance, noise

IS = "is missing"


class WithMissing(Enumeration):
    """Every valid tree on numeric columns that may have missing values."""

    def __init__(self, prior, x, y, precision, *, rule=MISSING_RULE):
        self.prior, self.x, self.y, self.p, self.rule = prior, x, y, precision, rule
        gaps = np.isnan(x).any(axis=0)
        self.grids = [np.unique(c[~np.isnan(c)])[:-1] for c in x.T]
        rules = [((0, len(g) - 1), gap) for g, gap in zip(self.grids, gaps, strict=True)]
        self.trees = list(self.subtrees(np.arange(len(y)), rules, 0))

    def subtrees(self, rows, rules, depth):
        """Yield (preorder key, prior, evidence) of the trees below a node."""
        possible = [list(self.rules(j, *rule)) for j, rule in enumerate(rules)]
        usable = [j for j, found in enumerate(possible) if found]
        p = self.prior.alpha * (1 + depth) ** -self.prior.beta if usable else 0.0
        yield ((-1,),), 1 - p, self.evidence(rows)
        if depth == self.prior.max_depth:
            return
        for j in usable:
            for key, chance, goes_left, left_rule, right_rule in possible[j]:
                mask = goes_left(self.x[rows, j])
                if min(mask.sum(), (~mask).sum()) < self.prior.min_leaf:
                    continue
                left = [*rules[:j], left_rule, *rules[j + 1 :]]
                right = [*rules[:j], right_rule, *rules[j + 1 :]]
                below = list(self.subtrees(rows[~mask], right, depth + 1))
                for a in self.subtrees(rows[mask], left, depth + 1):
                    for b in below:
                        total = p / len(usable) * chance * a[1] * b[1]
                        yield ((j, *key), *a[0], *b[0]), total, a[2] + b[2]

    def rules(self, j, cuts, gaps):
        """Yield (key, probability, left side, rules left, rules right) of a column."""
        first, last = cuts
        size = last - first + 1
        if gaps:
            chance = self.rule if size else 1.0
            yield (IS,), chance, lambda v: ~np.isnan(v), (cuts, False), ((0, -1), False)
        for cut in range(first, last + 1):
            value = self.grids[j][cut]
            left, right = (first, cut - 1), (cut + 1, last)
            if not gaps:
                yield (cut, 0), 1 / size, lambda v, c=value: v <= c, (left, False), (right, False)
                continue
            each = (1 - self.rule) / size / 2
            yield (cut, 0), each, lambda v, c=value: v <= c, (left, False), (right, True)
            yield (cut, 1), each, lambda v, c=value: ~(v > c), (left, True), (right, False)


def keys(live: LiveForest) -> list[tuple]:
    """The trees of a live forest in preorder."""
    found = []
    for tree in live.nodes:
        key, stack_ = [], [0]
        while stack_:
            node = tree[stack_.pop()]
            if node["feature"] == layout.LEAF:
                key.append((-1,))
                continue
            j = int(node["feature"])
            missing = live.grid.missing[j] and node["cut"] == layout.IS_MISSING
            key.append((j, IS) if missing else (j, int(node["cut"]), int(node["mask"])))
            stack_ += [int(node["left"]) + 1, int(node["left"])]
        found.append(tuple(key))
    return found


ONE = np.array([0, 0, 1, 1, 1, 2, 2, 2, np.nan, np.nan, np.nan, np.nan])[:, None]
TWO = np.column_stack(
    [np.array([0, 0, 0, 1, 1, 1, np.nan, np.nan, 0, 1, np.nan, 0]), np.tile([0.0, 1.0], 6)]
)


def tiny(x, *, rule=MISSING_RULE, **options):
    rng = np.random.default_rng(0)
    y = np.isnan(x[:, 0]) + np.nan_to_num(x[:, 0], nan=0.5) + 0.5 * rng.normal(size=12)
    options = {"alpha": 0.9, "beta": 0.5, "min_leaf": 1, "adaptive": False} | options
    prior = ForestPrior(scale=1.0, trees=1, **options)
    return WithMissing(prior, x, y, rng.uniform(0.5, 3, size=12), rule=rule)


def visited(exact, *, by) -> Counter:
    """Trees of 500 chains without data, or as many direct draws from the prior."""
    prior, gaps = replace(exact.prior, trees=500), np.isnan(exact.x).any(axis=0)
    live = plant(prior, exact.x, missing=gaps)
    rng, seen = np.random.default_rng(2), Counter()
    draws = _prior_lives(prior, exact.x, draws=15, seed=3, missing=gaps)
    for i in range(300):
        if by == "moves":
            forest_core.sweep(live, np.zeros(12), np.zeros(12), rng)
        if i % 20 == 19:
            if by == "direct draws":
                live = next(draws)
            if i > 40:
                seen.update(keys(live))
    return seen


@pytest.mark.parametrize(
    "options", [{}, {"min_leaf": 3}, {"max_depth": 2}], ids=["free", "min_leaf", "max_depth"]
)
@pytest.mark.parametrize("x", [ONE, TWO], ids=["one column", "two columns"])
@pytest.mark.parametrize("by", ["moves", "direct draws"])
def test_trees_follow_the_exact_prior(x, options, by):
    exact = tiny(x, **({"max_depth": 3} | options))
    expected = exact.probabilities(of="prior")
    seen = visited(exact, by=by)
    assert seen.keys() <= expected.keys()
    assert distance(seen, expected) < 1.3 * noise(expected, seen.total()) + 0.01


def test_another_probability_of_the_rule_would_be_noticed():
    exact, other = tiny(ONE), tiny(ONE, rule=0.1)
    seen = visited(exact, by="moves")
    wrong = other.probabilities(of="prior")
    assert distance(seen, wrong) > 3 * noise(wrong, seen.total()) + 0.02


def test_trees_are_visited_as_often_as_their_exact_posterior_says():
    exact = tiny(ONE)
    live = plant(exact.prior, exact.x, missing=np.array([True]))
    residual, rng, seen = exact.y.copy(), np.random.default_rng(1), Counter()
    for _ in range(9000):
        forest_core.sweep(live, residual, exact.p, rng)
        seen.update(keys(live))
    posterior = exact.probabilities(of="posterior")
    assert seen.keys() <= posterior.keys()
    assert distance(seen, posterior) < 3 * noise(posterior, 9000)
    assert distance(seen, exact.probabilities(of="prior")) > 6 * noise(posterior, 9000)


def grown(x, y, *, missing, trees=30, sweeps=100, levels=None):
    live = plant(ForestPrior(scale=1.0, trees=trees), x, missing=missing, levels=levels)
    residual, rng = y.copy(), np.random.default_rng(5)
    for _ in range(sweeps):
        forest_core.sweep(live, residual, np.full(len(y), 9.0), rng)
    return live


@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_packed_trees_predict_rows_with_missing_values(scale):
    rng = np.random.default_rng(14)
    x = np.column_stack([scale * rng.normal(size=(700, 2)), rng.integers(5, size=700)])
    x[rng.random((700, 3)) < [0.3, 0.0, 0.0]] = np.nan
    y = np.where(np.isnan(x[:, 0]), 2.0, np.sin(x[:, 0] / scale)) + x[:, 2] % 2
    live = grown(x, y, missing=np.array([True, False, False]), levels=[0, 0, 5])
    packed = forest_core.pack(live)
    assert (packed.feature >= 16_384).any()
    assert np.isinf(packed.number).any()
    found = predict(stack([[packed]]), x)[0, 0]
    np.testing.assert_allclose(found, forest_core.values(live), atol=1e-12)
    # What is missing differs from every value.
    assert abs(found[np.isnan(x[:, 0]) & (x[:, 2] % 2 == 0)].mean() - 2.0) < 0.2


def test_a_column_without_missing_values_keeps_its_draws():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(300, 2)), rng.normal(size=300)
    told = grown(x, y, missing=np.array([False, False]))
    untold = grown(x, y, missing=None)
    np.testing.assert_array_equal(told.f, untold.f)


def test_rows_to_come_may_have_missing_values_where_the_study_has_none():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(400, 1))
    live = grown(x, np.sign(x[:, 0]), missing=np.array([True]))
    residual, packed = np.sign(x[:, 0]) - live.f, []
    for _ in range(300):
        forest_core.sweep(live, residual, np.full(400, 9.0), rng)
        packed.append(forest_core.pack(live))
    found = predict(stack([packed]), np.array([[-2.0], [2.0], [np.nan]]))[0]
    # Nothing was learned about them: trees send them to either side.
    assert found[:, 0].mean() < found[:, 2].mean() - 0.3 < found[:, 1].mean() - 0.6
    assert found[:, 2].std() > 5 * found[:, 1].std()


def test_trees_of_earlier_versions_send_missing_values_nowhere_new():
    # Two leaves on column 0, as saved before there were splits on missing values.
    trees = xr.Dataset(
        {
            "feature": ("node", np.array([0, -1, -1], np.int16)),
            "number": ("node", np.array([0.5, -1.0, 1.0])),
            "mask": ("category_split", np.empty(0, np.uint64)),
            "root": (("chain", "draw", "tree"), np.zeros((1, 1, 1), np.int64)),
        }
    )
    np.testing.assert_array_equal(predict(trees, np.array([[0.2], [0.7]])), [[[-1.0, 1.0]]])


def test_a_column_with_missing_values_has_one_cut_less():
    x = np.concatenate([np.arange(1000.0), [np.nan]])[:, None]
    prior = ForestPrior(scale=1.0)
    full = plant(prior, x[:-1], missing=np.array([False]))
    gappy = plant(prior, x, missing=np.array([True]))
    assert (full.grid.cuts[0], gappy.grid.cuts[0]) == (255, 254)
    assert gappy.grid.codes[0, -1] == 255 > gappy.grid.codes[0, :-1].max()
    assert all(a < b for a, b in itertools.pairwise(gappy.thresholds[0]))
