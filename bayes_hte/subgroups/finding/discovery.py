"""The M-learner: subgroups of units from posterior draws of their effects.

Four steps, after Li et al.: distances between units' effects, a t-SNE map, K-means, and a profile
tree on the covariates. Further parts make the answer a posterior statement: the subgroups' effects
in every draw, a decision against a margin, and membership probabilities.

The name is also used elsewhere for a modified-outcome learner, which is unrelated.

References
----------
Li, X., Liu, Y., Jiang, Z., Xia, L., Hobbs, B. P., Wei, P. (2025). M-learner: a flexible and
powerful framework to study heterogeneous treatment effect in mediation model. arXiv:2505.17917
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.companions.restricted_means import compared_outcomes
from bayes_hte.effects.arguments import check_number, check_share
from bayes_hte.errors import unknown_name
from bayes_hte.names import SUBGROUP, UNIT
from bayes_hte.seeds import check_seed
from bayes_hte.study.study import Study
from bayes_hte.subgroups.decision import check_probability, judge, margin_of
from bayes_hte.subgroups.effect_draws import as_effects, effect_names, posterior_means
from bayes_hte.subgroups.finding.borders import cut_draws
from bayes_hte.subgroups.finding.embedding import AXIS, Tsne, check_tsne
from bayes_hte.subgroups.finding.profile import with_gaps_said
from bayes_hte.subgroups.finding.result import Subgroups
from bayes_hte.subgroups.finding.search import CLUSTERINGS, Clusters, Discovery, Search, discover
from bayes_hte.subgroups.finding.selection import TreeRules
from bayes_hte.subgroups.membership import membership_probabilities, subgroup_effects

# Posterior means this close, in standard deviations of the outcome, differ by rounding only (the
# potential outcomes may have been stored in single precision).
SAME_EFFECT = 1e-6


def subgroups_of_draws(
    effect: xr.DataArray | xr.Dataset,
    study: Study,
    *,
    seed: int,
    largest_k: int = 5,
    clusters: Clusters = "kmeans",
    embed: Literal["none", "tsne"] | Tsne = "none",
    margin: float | None = None,
    probability: float = 0.95,
    leaf_share: float = 0.1,
    leaf_price: float = 0.05,
    clear_membership: float = 0.8,
) -> Subgroups:
    """Find subgroups of units with similar effects, and judge whether they differ.

    Units are clustered by their posterior-mean effects with K = 2 to `largest_k`. For each K a
    classification tree of the clusters on the covariates is pruned by cross-validation, at a price
    of `leaf_price` of its held-out R-squared for the posterior-mean effects for every leaf beyond
    the first. The groups that it names are merged, the most similar first and down to two, for as
    long as that costs less than twice `leaf_price` in all. The K and the tree with the best score
    become the profile (scores within 0.01 are equal, and the fewest subgroups win), and its groups
    are the subgroups. If no tree that splits scores above 0.01, all units are one subgroup. Then
    every draw is averaged within subgroups, and re-assigned unit by unit.

    The same units and draws suggest the subgroups and judge them, so the decision is for
    exploration, and its names say in-sample. A seed gives the same result in any order of the rows.
    :func:`~bayes_hte.m_learner` calls this function for draws.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit), or Dataset of such
        Posterior draws of unit-level effects, in outcome units. The variables of a Dataset are
        clustered jointly, each divided by its standard deviation over units; order, contrast and
        decision are about the first.
    study : Study
        The units of `effect`, in the same order, with their covariates and outcome.
    seed : int
        Seed of the starts of K-means, of the folds and of the t-SNE map; 0 or more.
    largest_k : int, default 5
        Largest number of clusters tried, 2 to 10.
    clusters : {"kmeans", "mixture"}, default "kmeans"
        K-means, as published, or a mixture of normal distributions of different spread, which sets
        units with nearly the same effect apart from units whose effects differ widely (Notes).
    embed : {"none", "tsne"} or Tsne, default "none"
        Cluster the effects themselves, or, as published, their positions on a two-dimensional
        t-SNE map. The map bends the line of a single effect and the clusters are cut where it
        bends, so they agree less with the truth (Notes); it is limited to 200,000 units, and needs
        openTSNE above 20,000.
    margin : float, optional
        Region of practical equivalence in outcome units, 0 or more: the smallest difference between
        subgroups that matters. Default 0.05 standard deviations of the outcome. It is absolute, as
        any measure relative to the spread of the effects breaks down where there is none.
    probability : float, default 0.95
        Subgroups are declared in-sample if the posterior probability that the highest and the
        lowest differ by more than `margin` is at least this; between 0.5 and 1.
    leaf_share : float, default 0.1
        Smallest share of the units in a leaf of the profile; above 0, at most 0.5.
    leaf_price : float, default 0.05
        Held-out R-squared that a leaf must add to be worth reading; one more subgroup must add
        twice as much. 0 or more.
    clear_membership : float, default 0.8
        A unit whose largest membership probability is below this is reported as uncertain.

    Returns
    -------
    Subgroups

    Raises
    ------
    DataError
        If `effect` lacks a dimension or has another one, its units are not those of the study, a
        draw is NaN or infinite, or the outcome is not numeric.
    SpecError
        If an option is out of range, or there are too many units for t-SNE.
    MissingDependencyError
        If t-SNE of more than 20,000 units lacks openTSNE.

    Notes
    -----
    Why the effects themselves are clustered by default: in simulated trials of 1,000 units with an
    effect in a quarter of them, the adjusted Rand index of two clusters with the truth was .60, .53
    and .39 (outcome noise .01, .5 and 1) on the effects, and .18, .09 and .20 on the map.

    Which clusters: where the effect was x1 + x2 if both are above 0 and 0 elsewhere, the
    adjusted Rand index of the subgroups with the truth was .79, .60 and .69 with K-means and .87,
    .63 and .70 with the mixture (1,000 units; outcome noise .5, 1, and 1 with a logistic outcome;
    means of six trials each, by the closed-form stand-in for the model). In six others, with an
    earlier stand-in, it was .82, .74, .55 and .81, .69, .52: no lasting difference, so the
    published way is the default.

    Up to 20,000 units grow the trees; of more, a random 20,000 grow them and all are assigned and
    averaged. No unit-by-unit array is formed except the distances of the t-SNE route, up to 5,000
    units.

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
    >>> groups.declared_in_sample, groups.profile.leaves["rule"].tolist()
    (True, ['x1 at most 0', 'x1 above 0'])
    """
    effects = as_effects(effect, study)
    check_probability(probability)
    check_share("clear_membership", clear_membership, hint="try 0.8")
    margin = margin_of(compared_outcomes(study, effects[0].attrs), margin)
    found = find_profile(
        effect,
        study,
        seed=seed,
        largest_k=largest_k,
        clusters=clusters,
        embed=embed,
        leaf_share=leaf_share,
        leaf_price=leaf_price,
    )
    name, words = effect_names(effects[0])
    frame = study.filled_covariates()
    labels = found.profile.assign(frame)
    averages = [subgroup_effects(e, labels) for e in effects]
    decision = judge(averages[0], margin=margin, required=probability, effect_words=words)
    membership = membership_probabilities(effects, averages, found.scales)
    embedding = found.embedding
    if embedding is not None:
        embedding = _by_unit(embedding, study.units, "embedding", AXIS)
    return Subgroups(
        declared_in_sample=decision.declared,
        probability_in_sample=decision.probability,
        required_probability=probability,
        margin=margin,
        reason=decision.reason,
        labels=_by_unit(labels, study.units, "label"),
        membership=_by_unit(membership, study.units, "membership", SUBGROUP),
        effects=averages[0],
        contrast=decision.contrast,
        profile=found.profile,
        embedding=embedding,
        candidates=found.candidates,
        clear_membership=clear_membership,
        uncertain_share=float((membership.max(axis=1) < clear_membership).mean()),
        effect_name=name,
        scales=found.scales,
        cuts=cut_draws(found.profile, effects[0], frame, smallest=leaf_share),
    )


def find_profile(
    effect: xr.DataArray | xr.Dataset,
    study: Study,
    *,
    seed: int,
    largest_k: int = 5,
    clusters: Clusters = "kmeans",
    embed: Literal["none", "tsne"] | Tsne = "none",
    leaf_share: float = 0.1,
    leaf_price: float = 0.05,
) -> Discovery:
    """Search for subgroups without a decision on them; only posterior means are used.

    Parameters
    ----------
    effect, study, seed, largest_k, clusters, embed, leaf_share, leaf_price
        As in :func:`subgroups_of_draws`.

    Returns
    -------
    Discovery

    Raises
    ------
    DataError, SpecError
        As in :func:`subgroups_of_draws`.
    """
    effects = as_effects(effect, study)
    tsne = _as_tsne(embed, study.n_units)
    check_seed(seed)
    check_leaf_share(leaf_share)
    check_number(
        "largest_k", largest_k, "a whole number from 2 to 10", lambda k: 2 <= k <= 10, whole=True
    )
    check_number("leaf_price", leaf_price, "0 or more", lambda p: p >= 0, hint="try 0.05")
    if clusters not in CLUSTERINGS:
        raise unknown_name("clusters", str(clusters), CLUSTERINGS)
    negligible = SAME_EFFECT * float(compared_outcomes(study, effects[0].attrs).std(ddof=1))
    search = Search(seed, clusters, largest_k, tsne, TreeRules(leaf_share, leaf_price), negligible)
    _, words = effect_names(effects[0])
    found = discover(
        posterior_means(effects), study.filled_covariates(), search=search, effect_words=words
    )
    return replace(found, profile=with_gaps_said(found.profile, study))


def _as_tsne(embed: str | Tsne, n_units: int) -> Tsne | None:
    if isinstance(embed, str) and embed == "none":
        return None
    options = Tsne() if embed == "tsne" else embed
    if not isinstance(options, Tsne):
        raise unknown_name("embed", str(embed), ("none", "tsne"))
    check_tsne(options, n_units)
    return options


def check_leaf_share(leaf_share: float) -> None:
    """Raise unless the smallest leaf may hold a share of the units above 0 and at most 0.5."""
    allowed = "above 0 and at most 0.5"
    check_number("leaf_share", leaf_share, allowed, lambda s: 0 < s <= 0.5, hint="try 0.1")


def _by_unit(
    values: np.ndarray, units: pd.Index, name: str, second: str | None = None
) -> xr.DataArray:
    # The name of an index would be one of a dimension.
    coords = {UNIT: units.to_flat_index().rename(UNIT)}
    if second is None:
        return xr.DataArray(values, coords, (UNIT,), name=name)
    return xr.DataArray(
        values, coords | {second: np.arange(values.shape[1])}, (UNIT, second), name=name
    )
