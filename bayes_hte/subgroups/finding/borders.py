"""Uncertainty of the borders of subgroups: each cut of a profile, found again in every draw.

A profile has one number per question. Here the draws of the effects say how well they know it: a
cut is moved along its covariate, all other questions of the profile stay, and in each draw the cut
is kept that describes the effects of this draw best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.summaries import CiKind, interval
from bayes_hte.names import CHAIN, DRAW, SAMPLE
from bayes_hte.subgroups.finding.conditions import Condition, rule_text
from bayes_hte.subgroups.finding.profile import Node, Profile
from bayes_hte.subgroups.membership import BLOCK_SIZE, draw_blocks

NODE = "node"
MOST_DRAWS = 1_000  # more would tell the ends of an interval no better
COLUMNS = [
    *("border", "among", "covariate", "cut"),
    *("ci_lower", "ci_upper", "ci_prob", "ci_kind", "words"),
]


@dataclass(frozen=True)
class _Move:
    """What moving one cut does to the groups of the units.

    Attributes
    ----------
    rows : ndarray of int, shape (reached,)
        Units that reach the question, by their value of its covariate.
    cuts : ndarray, shape (place,)
        Cuts that are tried, rising.
    places : ndarray of int, shape (place,)
        Number of units of `rows` at or below each cut.
    joins : ndarray, shape (group, reached)
        1 where a unit is of the group if the answer is yes and not if it is no; -1 the reverse.
    elsewhere : ndarray of bool, shape (group, unit)
        Units of the group if every answer is no.
    sizes : ndarray, shape (group, place)
        Units of each group at each cut.
    """

    rows: np.ndarray
    cuts: np.ndarray
    places: np.ndarray
    joins: np.ndarray
    elsewhere: np.ndarray
    sizes: np.ndarray


def cut_draws(
    profile: Profile, effect: xr.DataArray, frame: pd.DataFrame, *, smallest: float
) -> xr.DataArray:
    """Find each cut of a profile again in every draw.

    For one question of the profile, the cut is moved to every place between two units; each place
    divides the units into the groups of the profile anew. In each draw the place is kept at which
    group means leave the least sum of squares of the effects of that draw.

    Parameters
    ----------
    profile : Profile
        The subgroups.
    effect : DataArray, dims (chain, draw, unit)
        Unit-level draws of the effect. Above 1,000 draws, evenly spaced ones are used.
    frame : DataFrame, shape (unit, ...)
        Complete covariates of the same units.
    smallest : float
        Share of the units that every group keeps.

    Returns
    -------
    DataArray, dims (chain, draw, node)
        Cuts, in units of their covariates; ``node`` is the number of the question in
        ``profile.nodes``. Questions about levels have no cut.
    """
    total = effect.sizes[CHAIN] * effect.sizes[DRAW]
    kept = effect.isel({DRAW: slice(None, None, max(1, -(-total // MOST_DRAWS)))})
    labels = profile.assign(frame)
    moves = {
        node.number: _move(profile, node, frame, labels, smallest)
        for node in profile.nodes
        if node.condition is not None and node.condition.threshold is not None
    }
    found = np.empty((kept.sizes[CHAIN], kept.sizes[DRAW], len(moves)))
    for chain, draws, values in draw_blocks(kept):
        centred = values - values.mean(axis=1, keepdims=True)
        for place, move in enumerate(moves.values()):
            found[chain, draws, place] = _best_cuts(move, centred)
    coords = {d: kept[d] for d in SAMPLE} | {NODE: np.array(list(moves), dtype=int)}
    return xr.DataArray(found, coords, (*SAMPLE, NODE), name="cut")


def _move(
    profile: Profile, node: Node, frame: pd.DataFrame, labels: np.ndarray, smallest: float
) -> _Move:
    """List the places of the cut of a node, and the groups at each."""
    reached = np.flatnonzero(_reaches(profile, node, frame))
    column = frame[node.condition.covariate].to_numpy(dtype=np.float64)
    rows = reached[np.argsort(column[reached], kind="stable")]
    values, part = column[rows], frame.iloc[rows]
    groups = np.arange(labels.max() + 1)[:, np.newaxis]
    yes = _assigned(profile, node.yes, part) == groups
    no = _assigned(profile, node.no, part) == groups
    joins = yes.astype(np.float64) - no
    elsewhere = labels == groups
    elsewhere[:, rows] = no
    places = np.flatnonzero(np.diff(values)) + 1
    sizes = elsewhere.sum(axis=1, keepdims=True) + joins.cumsum(axis=1)[:, places - 1]
    own = int((values <= node.condition.threshold).sum())
    allowed = (sizes >= max(1.0, smallest * len(frame))).all(axis=0) | (places == own)
    places = places[allowed]
    cuts = (values[places - 1] + values[places]) / 2
    # The number of the profile, which is rounded, stands for the place that it marks.
    cuts[places == own] = node.condition.threshold
    return _Move(rows, cuts, places, joins, elsewhere, sizes[:, allowed])


def _best_cuts(move: _Move, values: np.ndarray) -> np.ndarray:
    """Return the best cut of each draw; `values` (draw, unit) have mean 0."""
    explained = np.zeros((len(values), len(move.places)))
    here = values[:, move.rows]
    for joins, elsewhere, sizes in zip(move.joins, move.elsewhere, move.sizes, strict=True):
        fixed = values @ elsewhere.astype(np.float64)
        sums = fixed[:, np.newaxis] + (here * joins).cumsum(axis=1)[:, move.places - 1]
        explained += sums**2 / sizes
    return move.cuts[explained.argmax(axis=1)]


def _path(profile: Profile, node: Node) -> list[tuple[Condition, bool]]:
    """List the questions above a node with the answers that lead to it."""
    path: list[tuple[Condition, bool]] = []
    while node.parent is not None:
        above = profile.nodes[node.parent]
        path.append((above.condition, node.number == above.yes))
        node = above
    return path[::-1]


def _reaches(profile: Profile, node: Node, frame: pd.DataFrame) -> np.ndarray:
    """Whether each unit reaches a node."""
    reached = np.ones(len(frame), dtype=bool)
    for condition, answer in _path(profile, node):
        reached &= condition.holds(frame) == answer
    return reached


def _assigned(profile: Profile, start: int, frame: pd.DataFrame) -> np.ndarray:
    """Return the subgroup of units that begin at a node of the profile."""
    labels = np.empty(len(frame), dtype=int)
    pending = [(profile.nodes[start], np.arange(len(frame)))]
    while pending:
        node, rows = pending.pop()
        if node.condition is None:
            labels[rows] = node.subgroup
            continue
        answer = node.condition.holds(frame.iloc[rows])
        pending.append((profile.nodes[node.yes], rows[answer]))
        pending.append((profile.nodes[node.no], rows[~answer]))
    return labels


def membership_by_borders(profile: Profile, cuts: xr.DataArray, frame: pd.DataFrame) -> np.ndarray:
    """Return the share of draws in which the borders of the draw put each unit in each subgroup.

    Parameters
    ----------
    profile : Profile
        The subgroups.
    cuts : DataArray, dims (chain, draw, node)
        From :func:`cut_draws`.
    frame : DataFrame, shape (unit, ...)
        Complete covariates.

    Returns
    -------
    ndarray, shape (unit, subgroup)
        Rows sum to 1.
    """
    numbers = {int(number): place for place, number in enumerate(cuts[NODE].to_numpy())}
    drawn = cuts.transpose(*SAMPLE, NODE).to_numpy().reshape(-1, len(numbers))
    n_subgroups = 1 + max(node.subgroup for node in profile.nodes if node.condition is None)
    counts = np.zeros((len(frame), n_subgroups))
    step = max(1, BLOCK_SIZE // max(len(frame), 1))
    for start in range(0, len(drawn), step):
        block = drawn[start : start + step]
        pending = [(profile.nodes[0], np.ones((len(block), len(frame)), dtype=bool))]
        while pending:
            node, here = pending.pop()
            if node.condition is None:
                counts[:, node.subgroup] += here.sum(axis=0)
                continue
            answer = node.condition.holds(frame)
            if node.number in numbers:
                values = frame[node.condition.covariate].to_numpy(dtype=np.float64)
                answer = values <= block[:, [numbers[node.number]]]
            pending.append((profile.nodes[node.yes], here & answer))
            pending.append((profile.nodes[node.no], here & ~answer))
    return counts / len(drawn)


def border_table(
    profile: Profile, cuts: xr.DataArray, *, ci_prob: float, ci_kind: CiKind
) -> pd.DataFrame:
    """Describe the uncertainty of each cut.

    Parameters
    ----------
    profile : Profile
        The subgroups.
    cuts : DataArray, dims (chain, draw, node)
        From :func:`cut_draws`.
    ci_prob, ci_kind
        The interval.

    Returns
    -------
    DataFrame
        One row per question about a number, index ``node``; the columns of
        :meth:`bayes_hte.subgroups.Subgroups.borders`.
    """
    rows = []
    lower, upper = interval(cuts, ci_prob=ci_prob, ci_kind=ci_kind)
    for place, number in enumerate(cuts[NODE].to_numpy()):
        node = profile.nodes[number]
        low, high = float(lower[place]), float(upper[place])
        border = rule_text([(node.condition, False)])
        rows.append(
            {
                "border": border,
                "among": rule_text(_path(profile, node)),
                "covariate": node.condition.covariate,
                "cut": node.condition.threshold,
                "ci_lower": low,
                "ci_upper": high,
                "ci_prob": ci_prob,
                "ci_kind": ci_kind,
                "words": f"{border}, {ci_prob:.0%} between {low:.3g} and {high:.3g}",
            }
        )
    index = pd.Index(cuts[NODE].to_numpy(), name=NODE)
    return pd.DataFrame(rows, index=index, columns=COLUMNS)
