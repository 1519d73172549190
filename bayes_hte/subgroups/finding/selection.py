"""Step 4 of the M-learner, first half: the number of clusters and the size of their tree.

The clusters are an exact function of the posterior-mean effects, hence nearly one of the
covariates: a tree without limits follows every bend of it. So the score of a tree is the fit of its
groups to the effects of *held-out* units, less a price for every leaf that a reader must take in.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import RepeatedKFold
from sklearn.tree import BaseDecisionTree, DecisionTreeClassifier

from bayes_hte.subgroups.finding.pruning import collapse_strengths, node_classes, pruned_classes

FOLDS = 5
# Units are divided into folds this many times and the fits averaged: with a single division the
# number of subgroups depended on it.
REPEATS = 5
# At most this many units, drawn at random, grow the trees: a few leaves need no more.
TREE_UNITS = 20_000
# Scores this close are equal, and the simpler description wins: without this, noise in the last
# digits decides whether a subgroup is divided into two with the same effect.
EQUAL_SCORE = 0.01


@dataclass(frozen=True)
class TreeRules:
    """Limits of a profile tree.

    Attributes
    ----------
    leaf_share : float
        Smallest share of the units in a leaf.
    leaf_price : float
        Held-out R-squared that a leaf beyond the first must add to be worth reading.
    """

    leaf_share: float
    leaf_price: float

    @property
    def subgroup_price(self) -> float:
        """Held-out R-squared that one more subgroup must add: as much as two leaves.

        A leaf describes a subgroup more exactly; one more subgroup is one more effect to act on.
        """
        return max(2 * self.leaf_price, EQUAL_SCORE)

    def grow(
        self, matrix: np.ndarray, clusters: np.ndarray, *, alpha: float, seed: int
    ) -> DecisionTreeClassifier:
        """Fit a classification tree of clusters, pruned at a cost-complexity `alpha`."""
        tree = DecisionTreeClassifier(
            min_samples_leaf=math.ceil(self.leaf_share * len(clusters)),
            ccp_alpha=alpha,
            random_state=seed,
        )
        return tree.fit(matrix, clusters)

    def stump(self, matrix: np.ndarray) -> DecisionTreeClassifier:
        """Return a tree that does not split."""
        return self.grow(matrix, np.zeros(len(matrix), dtype=np.int64), alpha=0.0, seed=0)


@dataclass(frozen=True)
class Candidate:
    """The best tree for one number of clusters.

    Attributes
    ----------
    k : int
        Number of clusters.
    subgroups, leaves : int
        Number of different subgroups that the tree names, and of its leaves, after neighbouring
        leaves that name the same subgroup are merged.
    tree_fit : float
        Held-out R-squared of the subgroup means for the posterior-mean effects.
    score : float
        `tree_fit` less the price of the leaves beyond the first; 0 for a tree that does not split.
    tree : DecisionTreeClassifier
        The pruned tree. Merged clusters have the same name in its ``classes_``.
    same : mapping of int to int
        Clusters that were merged with another one, and the name that they share.
    """

    k: int
    subgroups: int
    leaves: int
    tree_fit: float
    score: float
    tree: DecisionTreeClassifier
    same: Mapping[int, int] = field(default_factory=dict)

    def renamed(self, clusters: np.ndarray) -> np.ndarray:
        """Return clusters by the names they share, shape (unit,)."""
        return _renamed(clusters, self.same)


def best_tree(
    matrix: np.ndarray,
    clusters: np.ndarray,
    features: np.ndarray,
    *,
    rules: TreeRules,
    k: int,
    seed: int,
) -> Candidate:
    """Choose the cost-complexity pruning of the tree of some clusters by cross-validation.

    Every tree on the pruning path is scored by the held-out R-squared of its subgroup means minus
    ``leaf_price`` for each leaf beyond the first. From the smallest tree up, a larger one is taken
    if it scores more than 0.01 higher. A tree without a split scores 0. Then subgroups are merged,
    the most similar first, down to two, for as long as that costs less than twice ``leaf_price``
    (at least 0.01) of the held-out R-squared in all: a separate subgroup must be worth as much as
    two leaves.

    Parameters
    ----------
    matrix : ndarray, shape (unit, column)
        Encoded covariates.
    clusters : ndarray of int, shape (unit,)
        Cluster of each unit.
    features : ndarray, shape (unit, effect)
        Scaled posterior-mean effects.
    rules : TreeRules
        Leaf size and price.
    k : int
        Number of clusters.
    seed : int
        Seed of the folds and of ties between splits.

    Returns
    -------
    Candidate

    References
    ----------
    Breiman, L., Friedman, J. H., Olshen, R. A., Stone, C. J. (1984). Classification and Regression
    Trees. Wadsworth. (Pruning; folds use the geometric mean of neighbouring alphas.)
    """
    alphas = _pruning_alphas(matrix, clusters, rules, seed)
    best = Candidate(k, 1, 1, 0.0, 0.0, rules.stump(matrix))
    folds: list[_Fold] = []
    chosen = math.nan
    for i in reversed(range(len(alphas) - 1)):
        tree = rules.grow(matrix, clusters, alpha=alphas[i], seed=seed)
        answers = merged_leaves(tree, node_classes(tree))
        highest_score = 1.0 - rules.leaf_price * (len(answers) - 1)
        if len(answers) == 1 or highest_score <= best.score + EQUAL_SCORE:
            continue
        alpha = math.sqrt(alphas[i] * alphas[i + 1])
        folds = folds or list(_folds(matrix, clusters, features, rules=rules, seed=seed))
        fit = _held_out_fit(folds, alpha=alpha)
        score = fit - rules.leaf_price * (len(answers) - 1)
        if score > best.score + EQUAL_SCORE:
            best = Candidate(k, len(set(answers.values())), len(answers), fit, score, tree)
            chosen = alpha
    if best.subgroups <= 2:
        return best
    return _without_equals(best, folds, rules=rules, alpha=chosen)


def _without_equals(
    found: Candidate,
    folds: Sequence[_Fold],
    *,
    rules: TreeRules,
    alpha: float,
) -> Candidate:
    """Merge subgroups whose separation says too little about the effects."""
    same: dict[int, int] = {}
    fit = found.tree_fit
    named = sorted(set(merged_leaves(found.tree, node_classes(found.tree)).values()))
    while len(named) > 2:
        trials = {
            pair: _held_out_fit(folds, alpha=alpha, same=same | {pair[1]: pair[0]})
            for pair in itertools.combinations(named, 2)
        }
        kept, dropped = max(trials, key=lambda pair: trials[pair])
        if trials[kept, dropped] < found.tree_fit - rules.subgroup_price:
            break
        fit = trials[kept, dropped]
        # Clusters that already share the dropped name follow it.
        same = {a: kept if b == dropped else b for a, b in same.items()} | {dropped: kept}
        named.remove(dropped)
    if not same:
        return found
    tree = copy.copy(found.tree)
    tree.classes_ = _renamed(tree.classes_, same)
    leaves = len(merged_leaves(tree, node_classes(tree)))
    score = fit - rules.leaf_price * (leaves - 1)
    return replace(
        found, subgroups=len(named), leaves=leaves, tree_fit=fit, score=score, tree=tree, same=same
    )


def _renamed(clusters: np.ndarray, same: Mapping[int, int]) -> np.ndarray:
    names = np.arange(max(int(clusters.max()), *same, 0) + 1)
    names[list(same)] = list(same.values())
    return names[clusters]


def simplest_of_the_best(candidates: Sequence[Candidate]) -> Candidate | None:
    """Choose among numbers of clusters.

    Parameters
    ----------
    candidates : sequence of Candidate
        One for each number of clusters, perhaps none.

    Returns
    -------
    Candidate or None
        Of those within 0.01 of the highest score, the one with the fewest subgroups, then leaves,
        then clusters. None if no tree splits.
    """
    split = [c for c in candidates if c.leaves > 1]
    enough = max((c.score for c in split), default=0.0) - EQUAL_SCORE
    good = [c for c in split if c.score >= enough]
    return min(good, key=lambda c: (c.subgroups, c.leaves, c.k), default=None)


def merged_leaves(tree: BaseDecisionTree, said: np.ndarray) -> Mapping[int, int]:
    """Return node number and class of every leaf, after merging.

    A split whose leaves all name the same class says nothing and becomes a leaf itself.

    Parameters
    ----------
    tree : DecisionTreeClassifier or DecisionTreeRegressor
        A fitted tree.
    said : ndarray of int, shape (node,)
        Class of every node; those of the leaves count.

    Returns
    -------
    mapping of int to int
        Node number in ``tree.tree_`` to class, from left to right.
    """
    inner = tree.tree_

    def leaves_below(node: int) -> dict[int, int]:
        if inner.children_left[node] < 0:
            return {node: int(said[node])}
        below = leaves_below(inner.children_left[node]) | leaves_below(inner.children_right[node])
        classes = set(below.values())
        return {node: classes.pop()} if len(classes) == 1 else below

    return leaves_below(0)


def _pruning_alphas(
    matrix: np.ndarray, clusters: np.ndarray, rules: TreeRules, seed: int
) -> np.ndarray:
    full = rules.grow(matrix, clusters, alpha=0.0, seed=seed)
    path = full.cost_complexity_pruning_path(matrix, clusters)
    # Rounding can leave the alpha of a useless split at -1e-17, which scikit-learn refuses.
    return np.unique(np.maximum(path.ccp_alphas, 0.0))


@dataclass(frozen=True, eq=False)
class _Fold:
    """A tree that most units grew, and the effects of those and of the others at its nodes.

    Pruned trees and merged subgroups are unions of the leaves, so their fits need only sums by
    leaf.

    Attributes
    ----------
    tree : DecisionTreeClassifier
        Grown without pruning.
    strengths : ndarray, shape (node,)
        Strength of pruning at which each node becomes a leaf.
    grown, held_out : _Sums
        Effects of the units that grew it, and of the others, less the mean of the former.
    total : float
        Sum of squares of the latter.
    """

    tree: DecisionTreeClassifier
    strengths: np.ndarray
    grown: _Sums
    held_out: _Sums
    total: float

    def unexplained(self, *, alpha: float, same: Mapping[int, int]) -> float:
        """Return the sum of squares of the held-out effects around their subgroups' means."""
        said = _renamed(pruned_classes(self.tree, self.strengths, alpha), same)
        groups, inside = np.unique(said, return_inverse=True)
        in_group = inside == np.arange(len(groups))[:, np.newaxis]
        n = in_group @ self.grown.n
        means = (in_group @ self.grown.effects) / np.maximum(n, 1)[:, np.newaxis]
        others = in_group @ self.held_out.effects
        squares = (in_group @ self.held_out.n)[:, np.newaxis] * means**2
        return self.total + float((squares - 2 * others * means).sum())


class _Sums(NamedTuple):
    """Number of units, shape (node,), and their summed effects, shape (node, effect), by node."""

    n: np.ndarray
    effects: np.ndarray

    @classmethod
    def of(cls, nodes: np.ndarray, effects: np.ndarray, *, n_nodes: int) -> _Sums:
        """Add up the effects of units by their leaf."""
        columns = [np.bincount(nodes, weights=e, minlength=n_nodes) for e in effects.T]
        return cls(np.bincount(nodes, minlength=n_nodes), np.column_stack(columns))


def _folds(
    matrix: np.ndarray,
    clusters: np.ndarray,
    features: np.ndarray,
    *,
    rules: TreeRules,
    seed: int,
) -> Iterator[_Fold]:
    """Grow a tree without pruning on every training part."""
    splits = RepeatedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=seed)
    single = matrix.astype(np.float32)  # scikit-learn compares in single precision
    for train, held_out in splits.split(matrix):
        tree = rules.grow(matrix[train], clusters[train], alpha=0.0, seed=seed)
        nodes, n_nodes = tree.tree_.apply(single), tree.tree_.node_count
        centred = features - features[train].mean(axis=0)
        yield _Fold(
            tree,
            collapse_strengths(tree),
            _Sums.of(nodes[train], centred[train], n_nodes=n_nodes),
            _Sums.of(nodes[held_out], centred[held_out], n_nodes=n_nodes),
            float((centred[held_out] ** 2).sum()),
        )


def _held_out_fit(
    folds: Sequence[_Fold], *, alpha: float, same: Mapping[int, int] | None = None
) -> float:
    """Return the R-squared of subgroup means for the effects of held-out units."""
    unexplained = sum(fold.unexplained(alpha=alpha, same=same or {}) for fold in folds)
    return 1.0 - unexplained / sum(fold.total for fold in folds)
