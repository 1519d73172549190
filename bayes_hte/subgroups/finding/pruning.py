"""Cost-complexity pruning of a grown tree, for every strength at once.

scikit-learn grows a tree anew for each strength of pruning. Cross-validation needs many strengths
of each of many small trees, and all of them are cuts of the same tree.

References
----------
Breiman, L., Friedman, J. H., Olshen, R. A., Stone, C. J. (1984). Classification and Regression
Trees, chapter 3. Wadsworth.
"""

from __future__ import annotations

import numpy as np
from sklearn.tree import DecisionTreeClassifier


def collapse_strengths(tree: DecisionTreeClassifier) -> np.ndarray:
    """Return the smallest strength of pruning at which each node is a leaf.

    Parameters
    ----------
    tree : DecisionTreeClassifier
        Grown without pruning.

    Returns
    -------
    ndarray, shape (node,)
        A node is a leaf of the tree pruned at ``ccp_alpha = a`` if its strength is at most a and
        that of no node above it is. Minus infinity for the leaves of the unpruned tree.
    """
    inner = tree.tree_
    left, right = inner.children_left, inner.children_right
    weights = inner.weighted_n_node_samples
    cost = inner.impurity * weights / weights[0]
    strengths = np.where(left < 0, -np.inf, np.inf)
    leaves = np.ones(inner.node_count)
    below = cost.copy()
    reached = 0.0
    while np.isinf(strengths[0]) and left[0] >= 0:
        # Children have higher numbers than their parents.
        for node in reversed(range(inner.node_count)):
            if strengths[node] == np.inf:
                leaves[node] = leaves[left[node]] + leaves[right[node]]
                below[node] = below[left[node]] + below[right[node]]
            else:
                leaves[node], below[node] = 1, cost[node]
        open_nodes = np.flatnonzero(strengths == np.inf)
        links = (cost[open_nodes] - below[open_nodes]) / (leaves[open_nodes] - 1)
        weakest = int(links.argmin())
        reached = max(reached, float(links[weakest]))
        strengths[open_nodes[weakest]] = reached
    return strengths


def node_classes(tree: DecisionTreeClassifier) -> np.ndarray:
    """Return the most frequent class at every node, shape (node,)."""
    return tree.classes_[tree.tree_.value[:, 0, :].argmax(axis=1)]


def pruned_classes(tree: DecisionTreeClassifier, strengths: np.ndarray, alpha: float) -> np.ndarray:
    """Return the class of the units of each node when the tree is pruned.

    Parameters
    ----------
    tree : DecisionTreeClassifier
        Grown without pruning.
    strengths : ndarray, shape (node,)
        From :func:`collapse_strengths`.
    alpha : float
        Strength of pruning, as scikit-learn's ``ccp_alpha``.

    Returns
    -------
    ndarray, shape (node,)
        At the leaf of a unit in the unpruned tree (its ``apply``), the class that a tree grown with
        this ``ccp_alpha`` predicts for the unit.
    """
    inner = tree.tree_
    said = node_classes(tree)
    pruned = strengths <= alpha
    for node in range(inner.node_count):  # parents come before their children
        for child in (inner.children_left[node], inner.children_right[node]):
            if child >= 0 and pruned[node]:
                said[child], pruned[child] = said[node], True
    return said
