"""Step 4 of the M-learner, second half: the profile, a tree that defines the subgroups."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.tree import BaseDecisionTree

from bayes_hte.study.frames import as_table
from bayes_hte.study.missing import filled_words
from bayes_hte.study.study import Study
from bayes_hte.subgroups.finding.conditions import Condition, round_between, rule_text
from bayes_hte.subgroups.finding.selection import merged_leaves
from bayes_hte.subgroups.finding.tree_columns import TreeColumn


@dataclass(frozen=True)
class Node:
    """A node of the profile tree.

    Attributes
    ----------
    number : int
        Position in the ``nodes`` of the :class:`Profile`; the root is 0 and children follow their
        parents.
    parent : int or None
        Number of the parent; None for the root.
    condition : Condition or None
        The question of the node; None at a leaf.
    yes, no : int or None
        Children for either answer; None at a leaf.
    subgroup : int or None
        Subgroup of a leaf; None at a node with a question.
    n : int
        Number of units that reach the node.
    mean_effect : float
        Average over these units of the posterior-mean effect, in outcome units.
    rule : str
        The path from the root in words.
    """

    number: int
    parent: int | None
    condition: Condition | None
    yes: int | None
    no: int | None
    subgroup: int | None
    n: int
    mean_effect: float
    rule: str


@dataclass(frozen=True, eq=False)
class Profile:
    """The subgroup of every unit, as a tree on the original covariates.

    Attributes
    ----------
    text : str
        The profile in words; its numbers are those of the tree, not approximations.
    covariates : tuple of str
        Covariates in the questions of the tree, from the root down.
    leaves : DataFrame
        One row per leaf, by subgroup and then mean effect: ``rule``, ``subgroup``, ``n``, ``share``
        of the units, ``mean_effect``. The index ``node`` is the number of the leaf in `nodes`.
    nodes : tuple of Node
        The tree itself, for plotting and for assigning units.
    """

    text: str
    covariates: tuple[str, ...]
    leaves: pd.DataFrame
    nodes: tuple[Node, ...]

    def assign(self, frame: pd.DataFrame, *, unknown_is_no: bool = False) -> np.ndarray:
        """Return the subgroup of units by the rules of the profile.

        Parameters
        ----------
        frame : DataFrame, shape (unit, ...)
            With at least the covariates of the profile, as in the study; the units may be others
            than those of the study.
        unknown_is_no : bool, default False
            Whether a level that the units of the profile did not have counts as none of those that
            a rule names, or is refused.

        Returns
        -------
        ndarray of int, shape (unit,)

        Raises
        ------
        DataError
            If a covariate of the profile is absent, doubled, incomplete, or has an unknown level
            that is refused.

        Examples
        --------
        >>> import numpy as np
        >>> import xarray as xr
        >>> import bayes_hte as hte
        >>> trial = hte.simulate_mediation(np.random.default_rng(1), n=100)
        >>> roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
        >>> study = hte.Study.from_frame(trial.frame, **roles)
        >>> effect = xr.DataArray([[trial.effects["te"]] * 20], dims=["chain", "draw", "unit"])
        >>> groups = hte.m_learner(effect, study, seed=1, largest_k=2)
        >>> groups.profile.assign(study.frame.iloc[:4]).tolist()
        [1, 0, 0, 1]
        """
        subgroup_of = np.array([-1 if n.subgroup is None else n.subgroup for n in self.nodes])
        return subgroup_of[self.assign_leaves(frame, unknown_is_no=unknown_is_no)]

    def assign_leaves(self, frame: pd.DataFrame, *, unknown_is_no: bool = False) -> np.ndarray:
        """Return the leaf of units: subgroups may consist of several leaves.

        Parameters
        ----------
        frame, unknown_is_no
            As in :meth:`assign`.

        Returns
        -------
        ndarray of int, shape (unit,)
            Number of the leaf in `nodes`, the index of `leaves`.

        Raises
        ------
        DataError
            As in :meth:`assign`.
        """
        frame = as_table(frame, "frame")
        numbers = np.empty(len(frame), dtype=np.int64)
        pending = [(self.nodes[0], np.arange(len(frame)))]
        while pending:
            node, rows = pending.pop()
            if node.condition is None:
                numbers[rows] = node.number
                continue
            answer = node.condition.holds(frame.iloc[rows], unknown_is_no=unknown_is_no)
            pending.append((self.nodes[node.yes], rows[answer]))
            pending.append((self.nodes[node.no], rows[~answer]))
        return numbers


@dataclass(frozen=True)
class Units:
    """The units of a profile: their covariates and their effects.

    Attributes
    ----------
    matrix : ndarray, shape (unit, column)
        Their covariates, encoded for the tree.
    columns : tuple of TreeColumn
        The meaning of the columns of `matrix`.
    points : ndarray, shape (unit,)
        Posterior-mean effect of each unit, in outcome units.
    """

    matrix: np.ndarray
    columns: tuple[TreeColumn, ...]
    points: np.ndarray


def build_profile(
    tree: BaseDecisionTree, said: np.ndarray, units: Units, *, effect_words: str, why_one: str
) -> Profile:
    """Turn a tree whose leaves name classes of units into a profile of subgroups.

    Neighbouring leaves that name the same class are merged, thresholds are rounded to the shortest
    number that divides the units in the same way, and subgroups are numbered 0, 1, ... by their
    mean effect.

    Parameters
    ----------
    tree : DecisionTreeClassifier or DecisionTreeRegressor
        Fitted on the encoded covariates of all or some of the units.
    said : ndarray of int, shape (node,)
        Class of every node of the tree; those of the leaves count.
    units : Units
        The units to describe.
    effect_words : str
        The effect in words, for the text.
    why_one : str
        The reason in the text if the tree does not split.

    Returns
    -------
    Profile
    """
    nodes = _nodes(tree, said, units)
    asked = [node.condition.covariate for node in nodes if node.condition is not None]
    leaves = _leaf_table(nodes)
    return Profile(
        text=_text(leaves, effect_words, why_one),
        covariates=tuple(dict.fromkeys(asked)),
        leaves=leaves,
        nodes=tuple(nodes),
    )


def with_gaps_said(profile: Profile, study: Study) -> Profile:
    """Return a profile whose text says what missing values of its covariates count as."""
    words = filled_words(study.frame, profile.covariates)
    return replace(profile, text=f"{profile.text}\n{words}") if words else profile


def _subgroup_of_class(tree: BaseDecisionTree, said: np.ndarray, units: Units) -> dict[int, int]:
    """Order the classes the tree names by the mean effect of their units."""
    named = said[tree.apply(units.matrix)]
    mean = {int(c): units.points[named == c].mean() for c in np.unique(named)}
    return {c: number for number, c in enumerate(sorted(mean, key=lambda c: mean[c]))}


def _nodes(tree: BaseDecisionTree, said: np.ndarray, units: Units) -> list[Node]:
    """Walk the tree breadth first."""
    class_of = merged_leaves(tree, said)
    subgroup_of = _subgroup_of_class(tree, said, units)
    # The parts of a node: its place in the sklearn tree, parent, units, path from the root.
    waiting: deque[tuple[int, int | None, np.ndarray, list[tuple[Condition, bool]]]]
    waiting = deque([(0, None, np.arange(len(units.matrix)), [])])
    nodes: list[Node] = []
    while waiting:
        at, parent, rows, path = waiting.popleft()
        number = len(nodes)
        condition, yes, no = None, None, None
        if at not in class_of:
            condition, answer, (yes_at, no_at) = _question(tree, at, rows, units)
            yes = number + len(waiting) + 1
            no = yes + 1
            waiting.append((yes_at, number, rows[answer], [*path, (condition, True)]))
            waiting.append((no_at, number, rows[~answer], [*path, (condition, False)]))
        nodes.append(
            Node(
                number=number,
                parent=parent,
                condition=condition,
                yes=yes,
                no=no,
                subgroup=subgroup_of[class_of[at]] if at in class_of else None,
                n=len(rows),
                mean_effect=float(units.points[rows].mean()),
                rule=rule_text(path),
            )
        )
    return nodes


def _question(
    tree: BaseDecisionTree, at: int, rows: np.ndarray, units: Units
) -> tuple[Condition, np.ndarray, tuple[int, int]]:
    """Return the question of a split, its units' answers, and the tree nodes for yes and no."""
    inner = tree.tree_
    column = units.columns[inner.feature[at]]
    values = units.matrix[rows, inner.feature[at]]
    # scikit-learn compares in single precision.
    left = values.astype(np.float32) <= inner.threshold[at]
    children = int(inner.children_left[at]), int(inner.children_right[at])
    if column.levels is None:
        threshold = round_between(float(values[left].max()), float(values[~left].min()))
        return Condition(column.covariate, threshold=threshold), left, children
    if column.indicator is None:
        inside = range(int(inner.threshold[at]) + 1)
        return _among(column, inside), left, children
    # The indicator is 1, hence to the right, where the level is present.
    return _among(column, (column.indicator,)), ~left, children[::-1]


def _among(column: TreeColumn, inside: Container[int]) -> Condition:
    return Condition(
        column.covariate,
        levels=tuple(v for i, v in enumerate(column.levels) if i in inside),
        others=tuple(v for i, v in enumerate(column.levels) if i not in inside),
    )


def _leaf_table(nodes: Sequence[Node]) -> pd.DataFrame:
    leaves = [node for node in nodes if node.subgroup is not None]
    table = pd.DataFrame(
        {
            "rule": [leaf.rule for leaf in leaves],
            "subgroup": [leaf.subgroup for leaf in leaves],
            "n": [leaf.n for leaf in leaves],
            "share": [leaf.n / nodes[0].n for leaf in leaves],
            "mean_effect": [leaf.mean_effect for leaf in leaves],
        },
        index=pd.Index([leaf.number for leaf in leaves], name="node"),
    )
    return table.sort_values(["subgroup", "mean_effect"])


def _text(leaves: pd.DataFrame, effect_words: str, why_one: str) -> str:
    n_units = int(leaves["n"].sum())
    n_subgroups = leaves["subgroup"].nunique()
    if n_subgroups == 1:
        mean = float(leaves["mean_effect"].iloc[0])
        return f"All {n_units} units form one subgroup (mean {effect_words} {mean:.3g}): {why_one}."
    lines = [f"{n_subgroups} subgroups, from the largest to the smallest {effect_words}:"]
    for subgroup, part in reversed(list(leaves.groupby("subgroup"))):
        n = int(part["n"].sum())
        mean = float(np.average(part["mean_effect"], weights=part["n"]))
        lines.append(
            f"Subgroup {subgroup} ({n} of {n_units} units, {n / n_units:.0%}; mean {mean:.3g}): "
            f"{'; or '.join(part['rule'])}."
        )
    return "\n".join(lines)
