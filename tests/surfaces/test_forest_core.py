"""The conjugate forest updates: exact on enumerated problems, the prior stated, known answers."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from bayes_hte.errors import SpecError
from bayes_hte.surfaces.forest import core as forest_core
from bayes_hte.surfaces.forest import kernel, layout, moves
from bayes_hte.surfaces.forest.core import ForestPrior, LiveForest
from bayes_hte.surfaces.forest.draws import predict, stack
from bayes_hte.surfaces.forest.planting import plant
from bayes_hte.surfaces.forest.prior_draws import _prior_lives, prior_draws, prior_forests


def columns(rng: np.random.Generator, rows: int, features: int = 3) -> np.ndarray:
    return rng.normal(size=(rows, features))


def walk(
    prior, x, y, precision, *, sweeps, rng, basis=None, levels=None, keep=forest_core.values
) -> list:
    """Sweep a forest on fixed noise; return what is kept of every sweep."""
    live = plant(prior, x, basis, levels=levels)
    residual = y.copy()
    kept = []
    for _ in range(sweeps):
        forest_core.sweep(live, residual, precision, rng)
        kept.append(keep(live))
    return kept


# --- exactness against enumeration ----------------------------------------------------------------


class Enumeration:
    """Every valid tree on a few rows, with its unnormalised prior and posterior probability."""

    def __init__(self, prior, x, levels, y, precision):
        self.prior, self.x, self.levels, self.y, self.p = prior, x, levels, y, precision
        rules = [
            tuple(np.unique(x[:, j])[:-1]) if k == 0 else (frozenset(range(k)),)
            for j, k in enumerate(levels)
        ]
        self.trees = list(self.subtrees(np.arange(len(y)), rules, 0))

    def subtrees(self, rows, rules, depth):
        """Yield (preorder key, prior, evidence) of the trees below a node."""
        possible = [self.splits(j, rule) for j, rule in enumerate(rules)]
        usable = [j for j, splits in enumerate(possible) if splits]
        p = self.prior.alpha * (1 + depth) ** -self.prior.beta if usable else 0.0
        yield ((-1,),), 1 - p, self.evidence(rows)
        if depth == self.prior.max_depth:
            return
        for j in usable:
            for key, goes_left, left_rule, right_rule in possible[j]:
                mask = np.array([goes_left(v) for v in self.x[rows, j]])
                if min(mask.sum(), (~mask).sum()) < self.prior.min_leaf:
                    continue
                chance = p / len(usable) / len(possible[j])
                left = [*rules[:j], left_rule, *rules[j + 1 :]]
                right = [*rules[:j], right_rule, *rules[j + 1 :]]
                below = list(self.subtrees(rows[~mask], right, depth + 1))
                for a in self.subtrees(rows[mask], left, depth + 1):
                    for b in below:
                        yield ((j, key), *a[0], *b[0]), chance * a[1] * b[1], a[2] + b[2]

    def splits(self, j, rule):
        if self.levels[j] == 0:
            return [
                (
                    int(np.searchsorted(np.unique(self.x[:, j]), cut)),
                    cut.__ge__,
                    rule[:i],
                    rule[i + 1 :],
                )
                for i, cut in enumerate(rule)
            ]
        (levels,) = rule
        subsets = [
            frozenset(k for i, k in enumerate(sorted(levels)) if code >> i & 1)
            for code in range(1, 2 ** len(levels) - 1)
        ]
        return [(sum(1 << k for k in s), s.__contains__, (s,), (levels - s,)) for s in subsets]

    def evidence(self, rows):
        # By the multivariate density itself, not by the formula of the sampler.
        cov = np.diag(1 / self.p[rows]) + self.prior.leaf_variance
        return stats.multivariate_normal(np.zeros(len(rows)), cov).logpdf(self.y[rows])

    def probabilities(self, *, of):
        weight = {
            key: prior * (math.exp(evidence) if of == "posterior" else 1.0)
            for key, prior, evidence in self.trees
        }
        total = sum(weight.values())
        return {key: w / total for key, w in weight.items()}


def tree_keys(live: LiveForest) -> list[tuple]:
    """The trees of a forest as preorder keys, numeric cuts by their position in the grid."""
    packed = forest_core.pack(live)
    nodes = []
    for feature, number in zip(packed.feature, packed.number, strict=True):
        if feature == -1:
            nodes.append((-1,))
        elif feature >= 0:
            nodes.append(
                (
                    int(feature),
                    int((live.thresholds[feature] < number)[: live.grid.cuts[feature]].sum()),
                )
            )
        else:
            nodes.append((-2 - int(feature), int(packed.mask[int(number)])))
    edges = [*packed.root, len(nodes)]
    return [tuple(nodes[a:b]) for a, b in itertools.pairwise(edges)]


def noise(expected: dict, draws: int) -> float:
    """Distance to be expected from that many independent draws."""
    p = np.array(list(expected.values()))
    return np.sqrt(2 * p * (1 - p) / (np.pi * draws)).sum() / 2


def distance(seen: Counter, expected: dict) -> float:
    """Total variation between frequencies and probabilities."""
    total = seen.total()
    keys = seen.keys() | expected.keys()
    return sum(abs(seen[k] / total - expected.get(k, 0.0)) for k in keys) / 2


NUMERIC = (np.repeat(np.arange(4.0), 3)[:, None], [0])
MIXED = (
    np.column_stack([np.tile([0.0, 1.0], 6), np.repeat([0.0, 1.0, 2.0], 4)]),
    [0, 3],
)


def tiny(columns_and_levels, **options):
    x, levels = columns_and_levels
    rng = np.random.default_rng(0)
    y = np.sin(3 * x[:, 0]) + (x[:, -1] == 1) + 0.5 * rng.normal(size=12)
    options = {"alpha": 0.9, "beta": 0.5, "min_leaf": 1, "adaptive": False} | options
    prior = ForestPrior(scale=1.0, trees=1, **options)
    return Enumeration(prior, x, levels, y, rng.uniform(0.5, 3, size=12))


@pytest.mark.parametrize(
    ("problem", "options"), [(NUMERIC, {}), (MIXED, {"max_depth": 2})], ids=["numeric", "mixed"]
)
def test_trees_are_visited_as_often_as_their_exact_posterior_says(problem, options):
    exact = tiny(problem, **options)
    keys = walk(
        exact.prior,
        exact.x,
        exact.y,
        exact.p,
        sweeps=9000,
        rng=np.random.default_rng(1),
        levels=exact.levels,
        keep=tree_keys,
    )
    seen = Counter(key for [key] in keys)
    posterior = exact.probabilities(of="posterior")
    assert seen.keys() <= posterior.keys()
    # The walk is autocorrelated, so that its draws count for less than independent ones.
    assert distance(seen, posterior) < 3 * noise(posterior, 9000)
    assert distance(seen, exact.probabilities(of="prior")) > 6 * noise(posterior, 9000)


def visited(problem, *, by, **options) -> Counter:
    """Trees of 500 chains without data, or as many direct draws from the prior."""
    exact = tiny(problem, **options)
    prior = replace(exact.prior, trees=500)
    live = plant(prior, exact.x, levels=exact.levels)
    rng, seen = np.random.default_rng(2), Counter()
    draws = _prior_lives(prior, exact.x, draws=15, seed=3, levels=exact.levels)
    for i in range(300):
        if by == "moves":
            # Rows of precision 0 say nothing.
            forest_core.sweep(live, np.zeros(12), np.zeros(12), rng)
        if i % 20 == 19:
            if by == "direct draws":
                live = next(draws)
            if i > 40:
                seen.update(tree_keys(live))
    return seen


@pytest.mark.parametrize(
    "options", [{}, {"min_leaf": 4}, {"max_depth": 2}], ids=["free", "min_leaf", "max_depth"]
)
@pytest.mark.parametrize("problem", [NUMERIC, MIXED], ids=["numeric", "mixed"])
@pytest.mark.parametrize("by", ["moves", "direct draws"])
def test_trees_follow_the_exact_prior(problem, options, by):
    expected = tiny(problem, **options).probabilities(of="prior")
    seen = visited(problem, by=by, **options)
    assert distance(seen, expected) < 1.3 * noise(expected, seen.total()) + 0.01


def prunings(key: tuple) -> list[tuple]:
    """The trees one prune away, each with the position of the pruned split."""
    leaf = (-1,)
    return [
        (i, (*key[:i], leaf, *key[i + 3 :]))
        for i in range(len(key) - 2)
        if key[i] != leaf and key[i + 1] == key[i + 2] == leaf
    ]


def stationary(prior: dict, *, without: str | None) -> dict:
    """Where the moves lead when a count is left out of their ratio, by their transition matrix."""
    trees = list(prior)
    place = {key: i for i, key in enumerate(trees)}
    grown = {key: {} for key in trees}  # by leaf, what it can become
    for key in trees:
        for i, smaller in prunings(key):
            grown[smaller].setdefault(i, []).append(key)
    matrix = np.zeros((len(trees), len(trees)))
    for small in trees:
        grow = 1.0 if len(small) == 1 else moves.GROW
        for siblings in grown[small].values():
            for big in siblings:
                out = grow / len(grown[small]) / len(siblings)
                back = moves.PRUNE / len(prunings(big))
                wrong = {
                    None: 1.0,
                    "prunable": len(prunings(big)),
                    "growable": 1 / len(grown[small]),
                    "forced grow": grow / moves.GROW,
                }[without]
                ratio = wrong * prior[big] * back / (prior[small] * out)
                matrix[place[small], place[big]] = out * min(1, ratio)
                matrix[place[big], place[small]] = back * min(1, 1 / ratio)
                for other in siblings:
                    # The rule of a split whose children are leaves, drawn again.
                    if other != big:
                        new = (1 - moves.GROW - moves.PRUNE) / len(prunings(big))
                        ratio = min(1, prior[other] / prior[big])
                        matrix[place[big], place[other]] = new / len(siblings) * ratio
    matrix += np.diag(1 - matrix.sum(axis=1))
    return dict(zip(trees, np.linalg.matrix_power(matrix, 10_000)[0], strict=True))


def test_the_moves_visit_the_prior_and_not_what_a_missing_hastings_count_leads_to():
    prior = tiny(NUMERIC).probabilities(of="prior")
    right = stationary(prior, without=None)
    assert right == pytest.approx(prior, abs=1e-9)
    seen = visited(NUMERIC, by="moves")
    assert distance(seen, right) < 0.03
    for count in ("prunable", "growable", "forced grow"):
        assert distance(seen, stationary(prior, without=count)) > 0.06


# --- the prior of functions -----------------------------------------------------------------------


def test_prior_draws_have_mean_zero_and_the_declared_scale():
    rng = np.random.default_rng(1)
    prior = ForestPrior(scale=2.0, trees=20, adaptive=False)
    draws = prior_draws(prior, columns(rng, 60), draws=600, seed=2)
    # Whatever the trees, f at a point is a sum of 20 independent leaf values.
    assert draws.std(axis=0).mean() == pytest.approx(2.0, rel=0.06)
    assert np.abs(draws.mean(axis=0)).max() < 4 * 2.0 / np.sqrt(600)


def test_an_adaptive_scale_keeps_the_spread_and_adds_mass_at_zero_and_tails():
    rng = np.random.default_rng(1)
    prior = ForestPrior(scale=2.0, trees=20)
    draws = prior_draws(prior, columns(rng, 30), draws=4000, seed=2)
    assert np.sqrt((draws**2).mean()) == pytest.approx(2.0, rel=0.06)
    assert stats.kurtosis(draws[:, 0]) > 1


def test_prior_draws_are_rougher_with_more_splits():
    x = np.linspace(1, 2, 80)[:, None]
    steps = {}
    for alpha in (0.05, 0.95):
        prior = ForestPrior(scale=1.0, trees=10, alpha=alpha, adaptive=False)
        draws = prior_draws(prior, x, draws=100, seed=3)
        steps[alpha] = np.abs(np.diff(draws, axis=1)).sum(axis=1).mean()
    assert steps[0.95] > 3 * steps[0.05]


def test_prior_forests_are_the_prior_draws_at_any_rows():
    rng = np.random.default_rng(4)
    x = np.column_stack([columns(rng, 50, 2), rng.integers(4, size=50)])
    options = {"draws": 6, "seed": 5, "levels": np.array([0, 0, 4])}
    draws = prior_draws(ForestPrior(scale=1.0, trees=30), x, **options)
    forests = prior_forests(ForestPrior(scale=1.0, trees=30), x, **options)
    np.testing.assert_array_equal(predict(stack([forests]), x)[0], draws)
    assert len(np.unique(draws[:, 0])) == 6


# --- known posteriors -----------------------------------------------------------------------------


@pytest.mark.parametrize("basis", [None, "varying"])
def test_a_stump_has_the_conjugate_normal_posterior(basis):
    rng = np.random.default_rng(6)
    n = 50
    precision, y = rng.uniform(0.5, 3, n), rng.normal(1, 1, n)
    b = np.ones(n) if basis is None else rng.normal(size=n)
    prior = ForestPrior(scale=1.5, trees=1, alpha=1e-9, adaptive=False)
    draws = walk(
        prior,
        columns(rng, n),
        y,
        precision,
        sweeps=8000,
        rng=rng,
        basis=None if basis is None else b,
        keep=lambda live: live.f[0],
    )
    total = 1 / 1.5**2 + (b**2 * precision).sum()
    mean, sd = (b * y * precision).sum() / total, total**-0.5
    # Draws of a stump are independent, so the Monte Carlo error is known.
    assert np.mean(draws) == pytest.approx(mean, abs=4 * sd / np.sqrt(8000))
    assert np.std(draws) == pytest.approx(sd, rel=0.04)


def test_the_scale_follows_its_half_normal_prior():
    rng = np.random.default_rng(5)
    prior = ForestPrior(scale=2.0, trees=5)
    seen = walk(
        prior,
        columns(rng, 40, 2),
        np.zeros(40),
        np.zeros(40),
        sweeps=8000,
        rng=rng,
        keep=lambda live: np.sqrt(live.leaf_variance),
    )
    expected = stats.halfnorm(scale=np.sqrt(prior.leaf_variance))
    for p in (0.1, 0.5, 0.9):
        assert np.quantile(seen[500:], p) == pytest.approx(expected.ppf(p), rel=0.12)


def test_the_scale_given_the_leaves_is_generalised_inverse_gaussian():
    rng = np.random.default_rng(7)
    prior = ForestPrior(scale=1.0, trees=40)
    x, y = columns(rng, 100), rng.normal(size=100)
    live = plant(prior, x)
    residual = y.copy()
    for _ in range(50):
        forest_core.sweep(live, residual, np.full(100, 4.0), rng, update_scale=False)
    assert live.leaf_variance == prior.leaf_variance
    packed = forest_core.pack(live)
    squares = float((packed.number[packed.feature == -1] ** 2).sum())
    unit, drawn = prior.leaf_variance, [live.leaf_variance]
    for _ in range(8000):
        drawn.append(kernel._draw_variance(drawn[-1], unit, live.leaves, squares, rng))
    drawn = np.array(drawn) / unit
    chi = squares / prior.leaf_variance
    law = stats.geninvgauss((1 - live.leaves) / 2, np.sqrt(chi), scale=np.sqrt(chi))
    assert stats.kstest(drawn[::4], law.cdf).pvalue > 1e-3


def test_the_scale_as_a_coefficient_has_its_conjugate_normal_posterior():
    rng = np.random.default_rng(8)
    x, basis = columns(rng, 60), rng.normal(size=60)
    live = plant(ForestPrior(scale=1.0, trees=10), x, basis)
    y, precision = rng.normal(size=60), rng.uniform(0.5, 2, size=60)
    residual = y.copy()
    for _ in range(20):
        forest_core.sweep(live, residual, precision, rng, update_scale=False)
    shape = live.basis * live.f / np.sqrt(live.leaf_variance / live.prior.leaf_variance)
    variance = 1 / (1 + (precision * shape**2).sum())
    mean = variance * (precision * shape * y).sum()
    drawn, unit = [], live.prior.leaf_variance
    np.testing.assert_allclose(residual, y - live.basis * live.f, atol=1e-8)
    state = (live.leaf_variance, unit, live.basis, live.f, precision, residual, rng)
    now = (live.basis * live.f) @ shape / (shape @ shape)
    for _ in range(6000):
        drawn.append(now * kernel._draw_ratio(*state))
    assert np.mean(drawn) == pytest.approx(mean, abs=4 * np.sqrt(variance / 6000))
    assert np.std(drawn) == pytest.approx(np.sqrt(variance), rel=0.05)


def joint_walk(rng, *, sweeps, told):
    """Alternate data given the forest and the forest given data; return f(0)^2 and tree sizes."""
    x, b = columns(rng, 30, 2), rng.normal(size=30)
    precision = rng.uniform(0.5, 4, size=30)
    live = plant(ForestPrior(scale=1.0, trees=5), x, b)
    seen = np.empty((sweeps, 2))
    for i in range(sweeps):
        noise = rng.normal(size=30) / np.sqrt(precision)
        forest_core.sweep(live, noise, told * precision, rng)
        seen[i] = live.f[0] ** 2, forest_core.mean_leaves(live)
    direct = np.array(
        [
            (draw.f[0] ** 2, forest_core.mean_leaves(draw))
            for draw in _prior_lives(live.prior, x, draws=4000, seed=9, levels=None)
        ]
    )
    return seen[200:], direct


@pytest.mark.parametrize(("told", "agree"), [(1.0, True), (4.0, False)])
def test_alternating_data_and_forest_keeps_the_prior(told, agree):
    seen, direct = joint_walk(np.random.default_rng(8), sweeps=10_000, told=told)
    # Batch means give the Monte Carlo error of the autocorrelated walk.
    batches = seen[: len(seen) // 40 * 40].reshape(40, -1, 2).mean(axis=1)
    error = np.hypot(batches.std(axis=0) / np.sqrt(40), direct.std(axis=0) / np.sqrt(4000))
    z = np.abs(seen.mean(axis=0) - direct.mean(axis=0)) / error
    assert (z.max() < 4) == agree


# --- functions ------------------------------------------------------------------------------------


def test_two_well_separated_halves_are_found():
    rng = np.random.default_rng(7)
    x = rng.uniform(1, 2, size=(200, 2))
    truth = np.where(x[:, 0] > 1.5, 1.0, -1.0)
    y = truth + rng.normal(scale=0.3, size=200)
    draws = walk(ForestPrior(scale=1.0, trees=20), x, y, np.full(200, 11.0), sweeps=400, rng=rng)
    # Rows within 0.02 of the edge may fall on either side; elsewhere half the noise is asked for.
    away = np.abs(x[:, 0] - 1.5) > 0.02
    error = (np.mean(draws[100:], axis=0) - truth)[away]
    assert np.sqrt((error**2).mean()) < 0.15


def test_a_subset_of_categories_is_found_where_their_order_says_nothing():
    rng = np.random.default_rng(8)
    x = np.column_stack([rng.integers(20, size=400), rng.normal(size=400)])
    truth = np.isin(x[:, 0], [1, 4, 5, 9, 12, 16, 18]).astype(float)
    y = truth + rng.normal(scale=0.5, size=400)
    # Few shallow trees: on an ordered column they cannot tell these levels apart.
    prior = ForestPrior(scale=1.0, trees=3, max_depth=1)
    errors = {}
    for kind, levels in {"categories": [20, 0], "numbers": [0, 0]}.items():
        draws = walk(prior, x, y, np.full(400, 4.0), sweeps=1500, rng=rng, levels=levels)
        errors[kind] = np.sqrt(((np.mean(draws[500:], axis=0) - truth) ** 2).mean())
    assert errors["categories"] < 0.2 < 0.35 < errors["numbers"]


def test_same_seed_same_numbers_and_another_seed_others():
    rng = np.random.default_rng(10)
    x, y = columns(rng, 80), rng.normal(size=80)
    prior = ForestPrior(scale=1.0, trees=10)
    one, two, other = (
        walk(prior, x, y, np.ones(80), sweeps=30, rng=np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_the_fit_does_not_change_with_a_monotone_transformation():
    rng = np.random.default_rng(11)
    x, y = columns(rng, 700, 2), rng.normal(size=700)
    prior = ForestPrior(scale=1.0, trees=10)
    one, two = (
        walk(prior, columns, y, np.ones(700), sweeps=30, rng=np.random.default_rng(1))
        for columns in (x, np.exp(x))
    )
    np.testing.assert_array_equal(one, two)


def test_a_row_of_precision_two_is_a_row_given_twice():
    rng = np.random.default_rng(12)
    x, y, twice = columns(rng, 60), rng.normal(size=60), np.repeat(np.arange(60), 2)
    one = walk(
        ForestPrior(scale=1.0, trees=10, min_leaf=3),
        x,
        y,
        np.full(60, 2.0),
        sweeps=100,
        rng=np.random.default_rng(1),
    )
    two = walk(
        ForestPrior(scale=1.0, trees=10, min_leaf=6),
        x[twice],
        y[twice],
        np.ones(120),
        sweeps=100,
        rng=np.random.default_rng(1),
    )
    np.testing.assert_allclose(np.array(two)[:, ::2], one, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("basis", [None, "varying"])
def test_the_residual_is_kept_up_to_date_and_leaves_are_large_enough(basis):
    rng = np.random.default_rng(13)
    x, y = columns(rng, 150), rng.normal(size=150)
    b = None if basis is None else rng.normal(size=150)
    live = plant(ForestPrior(scale=1.0, trees=20, min_leaf=7), x, b)
    residual = y.copy()
    for _ in range(200):
        forest_core.sweep(live, residual, np.ones(150), rng)
    f = forest_core.values(live)
    np.testing.assert_allclose(residual, y - (1.0 if b is None else b) * f, atol=1e-12)
    leaf = live.nodes["feature"] == layout.LEAF
    rows = np.stack([np.bincount(slots, minlength=255) for slots in live.slots])
    np.testing.assert_array_equal(live.nodes["count"][leaf], rows[leaf])
    assert rows[leaf].min() >= 7
    assert forest_core.mean_leaves(live) == leaf.sum() / 20 > 1.5


def test_packed_trees_predict_the_values_of_the_live_forest():
    rng = np.random.default_rng(14)
    x = np.column_stack(
        [columns(rng, 700, 2), rng.integers(63, size=700), rng.integers(2, size=700)]
    )
    levels = [0, 0, 63, 2]
    y = np.sin(x[:, 0]) + x[:, 2] % 2
    live = plant(ForestPrior(scale=1.0, trees=30), x, levels=levels)
    residual = y.copy()
    packed, f = [], []
    for _ in range(8):
        for _ in range(20):
            forest_core.sweep(live, residual, np.full(700, 9.0), rng)
        packed.append(forest_core.pack(live))
        f.append(forest_core.values(live))
    assert all(p.mask.size for p in packed)
    # Not to the last bit: the live values were rescaled, the leaves summed.
    np.testing.assert_allclose(predict(stack([packed]), x)[0], f, atol=1e-12)


def test_trees_stop_at_128_leaves():
    x = np.arange(400.0)[:, None]
    prior = ForestPrior(scale=1.0, trees=1, alpha=0.999, beta=0.0, min_leaf=1, max_depth=200)
    rng = np.random.default_rng(15)
    y = 100 * rng.normal(size=400)
    leaves = walk(
        prior, x, y, np.full(400, 100.0), sweeps=3000, rng=rng, keep=forest_core.mean_leaves
    )
    assert max(leaves) == 128


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "levels", "message"),
    [
        ([[0.0], [64.0]], [64], "64 levels.*Group the rare levels"),
        ([[0.0], [0.0]], [1], "1 levels"),
        ([[0.0], [3.0]], [3], "whole codes 0 to 2"),
        ([[0.5], [1.0]], [3], "whole codes 0 to 2"),
        ([[-1.0], [1.0]], [3], "whole codes 0 to 2"),
        ([[np.nan], [1.0]], [0], "finite"),
        ([[1.0], [1.0]], [0, 0], "one entry for each of 1 columns"),
        (np.empty((0, 2)), [0, 0], "at least one row"),
    ],
)
def test_columns_a_forest_cannot_split_are_refused(x, levels, message):
    with pytest.raises(SpecError, match=message):
        plant(ForestPrior(scale=1.0), np.array(x), levels=np.array(levels))


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"scale": 0.0}, "scale > 0"),
        ({"scale": 1.0, "trees": 0}, "trees >= 1"),
        ({"scale": 1.0, "alpha": 1.0}, "alpha < 1"),
    ],
)
def test_impossible_priors_are_refused(options, rule):
    with pytest.raises(SpecError, match=rule):
        ForestPrior(**options)
