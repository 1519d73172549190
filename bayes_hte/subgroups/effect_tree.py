"""Subgroups as the leaves of a regression tree of the effects, without clusters in between.

Clusters cut the line on which an effect lives at some value. Where an effect starts small at the
edge of a subgroup, units just inside lie on the wrong side of any cut. A tree fitted to the effects
themselves cuts the covariates where the *average* effect changes, and recovers such a subgroup far
better.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
from sklearn.model_selection import RepeatedKFold
from sklearn.tree import DecisionTreeRegressor

from bayes_hte.subgroups.group_tree import GroupTree
from bayes_hte.subgroups.selection import (
    EQUAL_SCORE,
    FOLDS,
    REPEATS,
    Candidate,
    TreeRules,
)

# Thresholds are moved in turn until none moves; so many rounds are always enough in practice.
MOST_ROUNDS = 10
# A threshold is moved for a gain in log likelihood that is more than rounding.
ROUNDING = 1e-6
# Added to the variance of effects within a leaf, in variances over all units: a leaf in which they
# are the same to the last digit must not outweigh everything else. 0.001 to 0.1 do about equally.
LEAST_VARIANCE = 0.02


def best_leaves(
    matrix: np.ndarray,
    features: np.ndarray,
    *,
    rules: TreeRules,
    k: int,
    seed: int,
) -> Candidate:
    """Fit a regression tree of the effects with some number of leaves, and group its leaves.

    The tree is scored by the R-squared of its leaf means for the effects of held-out units, whose
    tree was grown without them, minus ``leaf_price`` for each leaf beyond the first. Leaves are
    then put together, those first whose union loses least, down to two subgroups, for as long as
    that costs less than ``leaf_price`` of the held-out R-squared in all: a subgroup of its own must
    be worth as much as a leaf.

    Parameters
    ----------
    matrix : ndarray, shape (unit, column)
        Encoded covariates.
    features : ndarray, shape (unit, effect)
        Scaled posterior-mean effects.
    rules : TreeRules
        Leaf size and price.
    k : int
        Number of leaves; fewer if the leaves would be too small.
    seed : int
        Seed of the folds and of ties between splits.

    Returns
    -------
    Candidate
        Its `leaves` and `tree_fit` are of the leaves before they are put together. One subgroup if
        the score is not above 0.01.
    """
    tree = grow_effect_tree(matrix, features, rules=rules, leaves=k, seed=seed)
    leaves = int((tree.left < 0).sum())
    highest_score = 1.0 - rules.leaf_price * (leaves - 1)
    if leaves > 1 and highest_score > EQUAL_SCORE:
        fits = _held_out_fits(matrix, features, rules=rules, leaves=leaves, seed=seed)
        score = fits[leaves] - rules.leaf_price * (leaves - 1)
        if score > EQUAL_SCORE:
            enough = fits[leaves] - rules.subgroup_price
            groups = next(g for g in range(2, leaves + 1) if g == leaves or fits[g] >= enough)
            names = merged_names(tree.predict(matrix), features)[groups]
            return Candidate(k, groups, leaves, fits[leaves], score, tree.renamed(names))
    return Candidate(k, 1, 1, 0.0, 0.0, GroupTree.of_classifier(rules.stump(matrix)))


def grow_effect_tree(
    matrix: np.ndarray, features: np.ndarray, *, rules: TreeRules, leaves: int, seed: int
) -> GroupTree:
    """Fit a regression tree of the effects, and move its thresholds to where effects change.

    The tree is grown by least squares, best split first. Its thresholds are then moved, one at a
    time with all others fixed, to where effects are likeliest if those of each leaf are normal with
    a mean *and a variance* of their own. Least squares alone misplaces an edge twice: a split is
    chosen before those below it, and units at an edge where the effect is half of what it is inside
    fit either side equally well. Where effects outside are all alike, a unit that differs from them
    belongs inside however small its effect is, and the variances say so.

    Parameters
    ----------
    matrix, features, rules, seed
        As in :func:`best_leaves`.
    leaves : int
        Largest number of leaves.

    Returns
    -------
    GroupTree
        Each leaf is a group of its own.
    """
    smallest = rules.smallest_leaf(len(matrix))
    # Trees compare in single precision; so do the thresholds that are moved.
    matrix = np.asarray(matrix, dtype=np.float32)
    grown = DecisionTreeRegressor(
        max_leaf_nodes=leaves, min_samples_leaf=smallest, random_state=seed
    ).fit(matrix, features)
    tree = GroupTree.of_leaves(grown)
    asking = np.flatnonzero(tree.left >= 0)
    spread = features.std(axis=0)
    standard = (features - features.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    for _ in range(MOST_ROUNDS):
        before = tree.threshold
        for node in asking:
            tree = _threshold_moved(tree, int(node), matrix, standard, smallest)
        if np.array_equal(before, tree.threshold):
            break
    return tree


def merged_names(labels: np.ndarray, features: np.ndarray) -> dict[int, np.ndarray]:
    """Put groups together one by one, those first whose union loses least (Ward's criterion).

    Parameters
    ----------
    labels : ndarray of int, shape (unit,)
        Group of each unit, 0 to K - 1, none empty.
    features : ndarray, shape (unit, effect)
        Scaled posterior-mean effects.

    Returns
    -------
    dict of int to ndarray of int, shape (K,)
        For each number of groups left, from K down to 1, the name (0, 1, ...) of each original
        group.

    References
    ----------
    Ward, J. H. (1963). Hierarchical grouping to optimize an objective function. Journal of the
    American Statistical Association 58, 236-244. doi:10.1080/01621459.1963.10500845
    """
    sizes = np.bincount(labels).astype(float)
    sums = np.stack([np.bincount(labels, weights=f) for f in features.T], axis=1)
    names = np.arange(len(sizes))
    found = {len(sizes): names}
    while len(sizes) > 1:
        means = sums / sizes[:, np.newaxis]

        def loss(pair: tuple[int, int], sizes: np.ndarray = sizes, means: np.ndarray = means):
            a, b = pair
            apart = float(((means[a] - means[b]) ** 2).sum())
            return sizes[a] * sizes[b] / (sizes[a] + sizes[b]) * apart

        kept, dropped = min(itertools.combinations(range(len(sizes)), 2), key=loss)
        names = np.where(names == dropped, kept, names)
        names = names - (names > dropped)
        sums[kept] += sums[dropped]
        sizes[kept] += sizes[dropped]
        sums, sizes = np.delete(sums, dropped, axis=0), np.delete(sizes, dropped)
        found[len(sizes)] = names
    return found


def _held_out_fits(
    matrix: np.ndarray, features: np.ndarray, *, rules: TreeRules, leaves: int, seed: int
) -> dict[int, float]:
    """R-squared for held-out units by number of groups that the leaves are put together to."""
    unexplained = dict.fromkeys(range(1, leaves + 1), 0.0)
    total = 0.0
    splits = RepeatedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=seed)
    for train, held_out in splits.split(matrix):
        own, others = features[train], features[held_out]
        tree = grow_effect_tree(matrix[train], own, rules=rules, leaves=leaves, seed=seed)
        inside, outside = tree.predict(matrix[train]), tree.predict(matrix[held_out])
        merged = merged_names(inside, own)
        for groups in unexplained:
            # A fold whose tree stopped early has fewer leaves to put together.
            names = merged[min(groups, max(merged))]
            n = np.bincount(names[inside])
            means = np.stack([np.bincount(names[inside], weights=f) / n for f in own.T], axis=1)
            unexplained[groups] += float(((others - means[names[outside]]) ** 2).sum())
        total += float(((others - own.mean(axis=0)) ** 2).sum())
    return {groups: 1.0 - left / total for groups, left in unexplained.items()}


def _threshold_moved(
    tree: GroupTree, node: int, matrix: np.ndarray, standard: np.ndarray, smallest: int
) -> GroupTree:
    """Move the threshold of a split to where effects are likeliest, all others fixed."""
    rows = np.flatnonzero(_comes_to(tree, node, matrix))
    rows = rows[np.argsort(matrix[rows, tree.feature[node]], kind="stable")]
    values, own = matrix[rows, tree.feature[node]], standard[rows]
    # Entry i: the first i + 1 units go left and the others right.
    likelihood, fits = np.zeros(len(rows) - 1), np.diff(values) > 0
    for child, goes_left in ((tree.left[node], True), (tree.right[node], False)):
        leaf = tree.leaves_below(int(child), matrix[rows])
        for here in _leaves_under(tree, int(child)):
            n, log_likelihood = _leaf_likelihood(own, leaf == here, goes_left=goes_left)
            fits &= n >= smallest
            likelihood += log_likelihood
    now = int((values <= tree.threshold[node]).sum()) - 1
    best = int(np.where(fits, likelihood, -np.inf).argmax())
    if not fits[best] or likelihood[best] <= likelihood[now] + ROUNDING:
        return tree
    threshold = tree.threshold.copy()
    threshold[node] = (float(values[best]) + float(values[best + 1])) / 2
    return replace(tree, threshold=threshold)


def _leaf_likelihood(
    standard: np.ndarray, inside: np.ndarray, *, goes_left: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return size and log likelihood of a leaf for every cut of its units in their order.

    Constants that are the same for every cut are left out. The leaf holds those before the cut
    (`goes_left`) or behind it.
    """
    kept = inside[:, np.newaxis]
    n, sums, squares = (
        np.cumsum(part, axis=0) for part in (kept, standard * kept, standard**2 * kept)
    )
    if goes_left:
        n, sums, squares = n[:-1], sums[:-1], squares[:-1]
    else:
        n, sums, squares = (part[-1] - part[:-1] for part in (n, sums, squares))
    units = np.maximum(n, 1)
    variance = np.maximum(squares / units - (sums / units) ** 2, 0.0) + LEAST_VARIANCE
    return n[:, 0], -0.5 * (n * np.log(variance)).sum(axis=1)


def _leaves_under(tree: GroupTree, node: int) -> list[int]:
    if tree.left[node] < 0:
        return [node]
    return [leaf for c in (tree.left, tree.right) for leaf in _leaves_under(tree, int(c[node]))]


def _comes_to(tree: GroupTree, node: int, matrix: np.ndarray) -> np.ndarray:
    """Whether the way of each unit leads through a node, shape (unit,)."""
    through = np.ones(len(matrix), dtype=bool)
    while node:
        parent = int(np.flatnonzero((tree.left == node) | (tree.right == node))[0])
        goes_left = matrix[:, tree.feature[parent]] <= tree.threshold[parent]
        through &= goes_left == (tree.left[parent] == node)
        node = parent
    return through
