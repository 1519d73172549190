"""A tree that puts units in groups: the form in which all searches hand over what they found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from sklearn.tree import BaseDecisionTree, DecisionTreeClassifier


@dataclass(frozen=True, eq=False)
class GroupTree:
    """Questions about encoded covariates, and the group that each path leads to.

    Attributes
    ----------
    feature : ndarray of int, shape (node,)
        Column asked about; meaningless at a leaf. Node 0 is the root and children have higher
        numbers than their parents.
    threshold : ndarray of float, shape (node,)
        Units with a value up to this, compared in single precision, go left.
    left, right : ndarray of int, shape (node,)
        Children; -1 at a leaf.
    group : ndarray of int, shape (node,)
        Group that a leaf names; meaningless elsewhere.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    group: np.ndarray

    @staticmethod
    def of_classifier(tree: DecisionTreeClassifier) -> GroupTree:
        """Take over a fitted classification tree; the classes are the groups."""
        return _taken_over(tree, tree.classes_[tree.tree_.value[:, 0, :].argmax(axis=1)])

    @staticmethod
    def of_leaves(tree: BaseDecisionTree) -> GroupTree:
        """Take over a fitted tree, each leaf a group of its own: 0, 1, ... from left to right."""
        leaves = tree.tree_.children_left < 0
        return _taken_over(tree, np.where(leaves, np.cumsum(leaves) - 1, -1))

    def apply(self, matrix: np.ndarray) -> np.ndarray:
        """Return the leaf that units come to.

        Parameters
        ----------
        matrix : ndarray, shape (unit, column)
            Encoded covariates.

        Returns
        -------
        ndarray of int, shape (unit,)
            Node numbers.
        """
        return self.leaves_below(0, np.asarray(matrix, dtype=np.float32))

    def leaves_below(self, node: int, matrix: np.ndarray) -> np.ndarray:
        """Return the leaf that units come to from a node on, shape (unit,)."""
        at = np.full(len(matrix), node)
        waiting = [node]
        while waiting:
            asking = waiting.pop()
            if self.left[asking] < 0:
                continue
            here = np.flatnonzero(at == asking)
            goes_left = matrix[here, self.feature[asking]] <= self.threshold[asking]
            at[here] = np.where(goes_left, self.left[asking], self.right[asking])
            waiting += [int(self.left[asking]), int(self.right[asking])]
        return at

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """Return the group of units, shape (unit,)."""
        return self.group[self.apply(matrix)]

    def ends(self) -> Mapping[int, int]:
        """Return node number and group of every leaf, from left to right, after merging.

        A question all of whose answers lead to the same group says nothing and is a leaf itself.
        """

        def below(node: int) -> dict[int, int]:
            if self.left[node] < 0:
                return {node: int(self.group[node])}
            found = below(int(self.left[node])) | below(int(self.right[node]))
            groups = set(found.values())
            return {node: groups.pop()} if len(groups) == 1 else found

        return below(0)

    def renamed(self, names: np.ndarray) -> GroupTree:
        """Return the tree with group ``g`` called ``names[g]``."""
        return replace(self, group=np.where(self.group < 0, -1, names[self.group]))


def _taken_over(tree: BaseDecisionTree, group: np.ndarray) -> GroupTree:
    inner = tree.tree_
    return GroupTree(
        feature=inner.feature.copy(),
        threshold=inner.threshold.copy(),
        left=inner.children_left.copy(),
        right=inner.children_right.copy(),
        group=group,
    )
