"""Differences between groups, pair by pair: averages of draws first, then their difference."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.summaries import CiKind, check_interval, summarize
from bayes_hte.names import SAMPLE, SUBGROUP
from bayes_hte.study.study import Study
from bayes_hte.subgroups.decision import margin_of
from bayes_hte.subgroups.effect_draws import as_effects
from bayes_hte.subgroups.finding.profile import Profile
from bayes_hte.subgroups.finding.result import Subgroups
from bayes_hte.subgroups.membership import subgroup_effects

LEAF = "leaf"
PAIR = "pair"


@dataclass(frozen=True, eq=False)
class Contrasts:
    """The difference of every pair of groups.

    Attributes
    ----------
    draws : DataArray, dims (chain, draw, pair)
        Average effect of the group with the higher posterior mean minus that of the other, in
        outcome units. Coordinates ``higher`` and ``lower`` (pair) name the groups.
    table : DataFrame
        One row a pair. Index ``higher``, ``lower``; the columns of
        :func:`~bayes_hte.effects.summaries.summarize`; ``margin``; ``prob_above_margin``, the probability
        that the difference exceeds it; ``prob_within_margin``, that its size does not.
    """

    draws: xr.DataArray
    table: pd.DataFrame


def subgroup_contrasts(
    groups: Subgroups, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti"
) -> Contrasts:
    """Compare all pairs of subgroups.

    Which of the two is the higher was read off the same draws, and so were the subgroups: these
    probabilities are in-sample, like the verdict.

    Parameters
    ----------
    groups : Subgroups
        What the M-learner returned; its margin is used.
    ci_prob, ci_kind
        The interval.

    Returns
    -------
    Contrasts
        Without a row if there is one subgroup.

    Raises
    ------
    SpecError
        If the interval request is not meaningful.
    """
    return _pairs(groups.effects, SUBGROUP, groups.margin, ci_prob=ci_prob, ci_kind=ci_kind)


def leaf_contrasts(
    effect: xr.DataArray | xr.Dataset,
    study: Study,
    profile: Profile,
    *,
    margin: float | None = None,
    ci_prob: float = 0.95,
    ci_kind: CiKind = "eti",
) -> Contrasts:
    """Compare all pairs of leaves of the profile tree; a subgroup may have several.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit), or Dataset of such
        Unit-level draws; of a Dataset the first variable is compared.
    study : Study
        The units of `effect`.
    profile : Profile
        The tree.
    margin : float, optional
        Smallest difference that matters, in outcome units; default 0.05 standard deviations of the
        outcome.
    ci_prob, ci_kind
        The interval.

    Returns
    -------
    Contrasts
        Leaves by their node number, the index of ``profile.leaves``; the table has their rules as
        ``higher_rule`` and ``lower_rule``. Leaves no unit of the study comes to are left out.

    Raises
    ------
    DataError
        If the effect does not fit the study or the study does not fit the profile.
    SpecError
        If the margin or the interval request is not meaningful.
    """
    first = as_effects(effect, study.units)[0]
    margin = margin_of(study.outcome(), margin)
    nodes, labels = np.unique(profile.assign_leaves(study.covariate_frame()), return_inverse=True)
    averages = subgroup_effects(first, labels).rename({SUBGROUP: LEAF}).assign_coords({LEAF: nodes})
    found = _pairs(averages, LEAF, margin, ci_prob=ci_prob, ci_kind=ci_kind)
    rule = {node.number: node.rule for node in profile.nodes}
    sides = {
        f"{side}_rule": [rule[n] for n in found.table.index.get_level_values(side)]
        for side in ("higher", "lower")
    }
    return Contrasts(found.draws, found.table.assign(**sides))


def _pairs(
    averages: xr.DataArray, dim: str, margin: float, *, ci_prob: float, ci_kind: CiKind
) -> Contrasts:
    """Compare group averages, dims (chain, draw, `dim`), pair by pair, the higher mean first."""
    check_interval(ci_prob, ci_kind)
    names = averages[dim].to_numpy()
    order = np.argsort(averages.mean(SAMPLE).to_numpy(), kind="stable")[::-1]
    pairs = list(itertools.combinations(order, 2))
    high, low = ([p[side] for p in pairs] for side in (0, 1))
    values = averages.transpose(*SAMPLE, dim).to_numpy()
    draws = xr.DataArray(
        values[..., high] - values[..., low],
        dims=(*SAMPLE, PAIR),
        coords={d: averages[d] for d in SAMPLE}
        | {"higher": (PAIR, names[high]), "lower": (PAIR, names[low])},
        name="contrast",
        attrs={**averages.attrs, "margin": margin},
    )
    index = pd.MultiIndex.from_arrays([names[high], names[low]], names=["higher", "lower"])
    rows = [
        summarize(draws.isel({PAIR: i}, drop=True), ci_prob=ci_prob, ci_kind=ci_kind)
        for i in range(len(pairs))
    ]
    table = pd.concat(rows) if rows else pd.DataFrame()
    table = table.set_index(index).assign(
        margin=margin,
        prob_above_margin=(draws > margin).mean(SAMPLE).to_numpy(),
        prob_within_margin=(abs(draws) <= margin).mean(SAMPLE).to_numpy(),
    )
    return Contrasts(draws, table)
