"""Differences between leaves, pair by pair: averages of draws first, then their difference."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.companions.restricted_means import compared_outcomes
from bayes_hte.effects.summaries import CiKind, check_interval, interval_parameters, summarize
from bayes_hte.names import SAMPLE, SUBGROUP
from bayes_hte.study.study import Study
from bayes_hte.subgroups.decision import margin_of
from bayes_hte.subgroups.effect_draws import as_effects
from bayes_hte.subgroups.finding.profile import Profile
from bayes_hte.subgroups.membership import subgroup_effects

PAIR = "pair"


@dataclass(frozen=True, eq=False)
class Contrasts:
    """The difference of every pair of leaves of a profile tree.

    Attributes
    ----------
    draws : DataArray, dims (chain, draw, pair)
        Average effect of the leaf with the higher posterior mean minus that of the other, in
        outcome units. Coordinates ``higher`` and ``lower`` (pair) name the leaves.
    table : DataFrame
        One row per pair. Index ``higher``, ``lower``; the columns of :func:`bayes_hte.summarize`;
        ``margin``; ``prob_above_margin``, the probability that the difference exceeds it;
        ``prob_within_margin``, that its size does not; ``higher_rule`` and ``lower_rule``.
    """

    draws: xr.DataArray
    table: pd.DataFrame


@interval_parameters
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

    The same draws say which leaf of a pair is the higher one, and the tree was found with them:
    these probabilities are in-sample, like the decision on the subgroups.

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

    Returns
    -------
    Contrasts
        Leaves by their node number, the index of ``profile.leaves``. Leaves without a unit of the
        study are left out.

    Raises
    ------
    DataError
        If the effect does not fit the study or the study does not fit the profile.
    SpecError
        If the margin is negative or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> from bayes_hte.subgroups import leaf_contrasts
    >>> trial = hte.simulate_mediation(np.random.default_rng(1), n=100)
    >>> roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
    >>> study = hte.Study.from_frame(trial.frame, **roles)
    >>> effect = xr.DataArray([[trial.effects["te"]] * 20], dims=["chain", "draw", "unit"])
    >>> groups = hte.m_learner(effect, study, seed=1, largest_k=2)
    >>> table = leaf_contrasts(effect, study, groups.profile).table
    >>> table[["mean", "higher_rule", "lower_rule"]].round(2).values.tolist()
    [[1.26, 'x1 above 0', 'x1 at most 0']]
    """
    check_interval(ci_prob, ci_kind)
    first = as_effects(effect, study)[0]
    margin = margin_of(compared_outcomes(study, first.attrs), margin)
    assigned = profile.assign_leaves(study.filled_covariates())
    leaves, labels = np.unique(assigned, return_inverse=True)
    averages = subgroup_effects(first, labels)
    order = np.argsort(averages.mean(SAMPLE).to_numpy(), kind="stable")[::-1]
    high, low = np.array([*itertools.combinations(order, 2)], dtype=int).reshape(-1, 2).T
    values = averages.transpose(*SAMPLE, SUBGROUP).to_numpy()
    draws = xr.DataArray(
        values[..., high] - values[..., low],
        dims=(*SAMPLE, PAIR),
        coords={d: averages[d] for d in SAMPLE}
        | {"higher": (PAIR, leaves[high]), "lower": (PAIR, leaves[low])},
        name="contrast",
        attrs={**averages.attrs, "margin": margin},
    )
    rows = [
        summarize(draws.isel({PAIR: i}, drop=True), ci_prob=ci_prob, ci_kind=ci_kind)
        for i in range(len(high))
    ]
    pairs = pd.MultiIndex.from_arrays([leaves[high], leaves[low]], names=["higher", "lower"])
    rule = {node.number: node.rule for node in profile.nodes}
    table = (pd.concat(rows) if rows else pd.DataFrame()).set_index(pairs)
    return Contrasts(
        draws,
        table.assign(
            margin=margin,
            prob_above_margin=(draws > margin).mean(SAMPLE).to_numpy(),
            prob_within_margin=(abs(draws) <= margin).mean(SAMPLE).to_numpy(),
            higher_rule=[rule[leaf] for leaf in leaves[high]],
            lower_rule=[rule[leaf] for leaf in leaves[low]],
        ),
    )
