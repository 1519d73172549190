"""Step 4 of the M-learner, first half: how many clusters, and how large a tree to describe them.

The clusters are an exact function of the posterior-mean effects, hence nearly one of the
covariates: a tree that may grow will chase every bend of it. So a tree is judged by what its groups
tell about the effects of *held-out* units, and pays for every leaf a reader has to take in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import KFold
from sklearn.tree import DecisionTreeClassifier

FOLDS = 5
# Trees are grown on at most this many units, drawn at random: a handful of leaves needs no more.
TREE_UNITS = 20_000
# Scores this close are equal, and the simpler description wins: without this, noise in the last
# digits decides whether a subgroup is split into two with the same effect.
EQUAL_SCORE = 0.01


@dataclass(frozen=True)
class TreeRules:
    """What a profile tree may look like.

    Attributes
    ----------
    leaf_share : float
        Smallest share of the units in a leaf.
    leaf_price : float
        What a leaf beyond the first must add to the held-out R-squared to be worth reading.
    """

    leaf_share: float
    leaf_price: float

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
        Number of different subgroups the tree names, and of its leaves, after leaves side by side
        that name the same subgroup are merged.
    tree_fit : float
        Held-out R-squared of the subgroup means for the posterior-mean effects.
    score : float
        `tree_fit` less the price of the leaves beyond the first; 0 for a tree that does not split.
    tree : DecisionTreeClassifier
        The pruned tree.
    """

    k: int
    subgroups: int
    leaves: int
    tree_fit: float
    score: float
    tree: DecisionTreeClassifier


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
    if it scores more than 0.01 higher. A tree without a split scores 0.

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
    for i in reversed(range(len(alphas) - 1)):
        tree = rules.grow(matrix, clusters, alpha=alphas[i], seed=seed)
        answers = merged_leaves(tree)
        highest_score = 1.0 - rules.leaf_price * (len(answers) - 1)
        if len(answers) == 1 or highest_score <= best.score + EQUAL_SCORE:
            continue
        alpha = math.sqrt(alphas[i] * alphas[i + 1])
        fit = _held_out_fit(matrix, clusters, features, rules=rules, alpha=alpha, seed=seed)
        score = fit - rules.leaf_price * (len(answers) - 1)
        if score > best.score + EQUAL_SCORE:
            best = Candidate(k, len(set(answers.values())), len(answers), fit, score, tree)
    return best


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


def merged_leaves(tree: DecisionTreeClassifier) -> Mapping[int, int]:
    """Return node number and class of every leaf, after merging.

    A split all of whose leaves name the same class says nothing and becomes a leaf itself.

    Parameters
    ----------
    tree : DecisionTreeClassifier
        A fitted tree.

    Returns
    -------
    mapping of int to int
        Node number in ``tree.tree_`` to class, from left to right.
    """
    inner = tree.tree_
    answers = tree.classes_[inner.value[:, 0, :].argmax(axis=1)]

    def leaves_below(node: int) -> dict[int, int]:
        if inner.children_left[node] < 0:
            return {node: int(answers[node])}
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


def _held_out_fit(
    matrix: np.ndarray,
    clusters: np.ndarray,
    features: np.ndarray,
    *,
    rules: TreeRules,
    alpha: float,
    seed: int,
) -> float:
    """R-squared of subgroup means for the effects of units that grew neither."""
    unexplained = 0.0
    total = 0.0
    for train, held_out in KFold(FOLDS, shuffle=True, random_state=seed).split(matrix):
        tree = rules.grow(matrix[train], clusters[train], alpha=alpha, seed=seed)
        inside = tree.predict(matrix[train])
        outside = tree.predict(matrix[held_out])
        overall = features[train].mean(axis=0)
        means = np.stack([features[train][inside == g].mean(axis=0) for g in np.unique(inside)])
        predicted = means[np.searchsorted(np.unique(inside), outside)]
        unexplained += float(((features[held_out] - predicted) ** 2).sum())
        total += float(((features[held_out] - overall) ** 2).sum())
    return 1.0 - unexplained / total
