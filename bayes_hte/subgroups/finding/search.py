"""The search for subgroups: from posterior-mean effects to a profile, in four steps.

Nothing here uses a draw or an outcome, so a profile can be found on some units and judged on
others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import sklearn

from bayes_hte.seeds import several_seeds
from bayes_hte.subgroups.finding.clustering import cluster_units, mixture_of_units
from bayes_hte.subgroups.finding.distance import feature_scales
from bayes_hte.subgroups.finding.embedding import Tsne, embed_units
from bayes_hte.subgroups.finding.profile import Profile, Units, build_profile
from bayes_hte.subgroups.finding.pruning import node_classes
from bayes_hte.subgroups.finding.selection import (
    TREE_UNITS,
    Candidate,
    TreeRules,
    best_tree,
    simplest_of_the_best,
)
from bayes_hte.subgroups.finding.tree_columns import encode_covariates

Clusters = Literal["kmeans", "mixture"]
CLUSTERINGS: Mapping[Clusters, Callable[..., np.ndarray]] = {
    "kmeans": cluster_units,
    "mixture": mixture_of_units,
}
NO_DIFFERENCE = "every unit has the same posterior-mean effect"
NO_SPLIT = "no split of the covariates says enough about the posterior-mean effects"


@dataclass(frozen=True)
class Search:
    """Options of the search for subgroups.

    Attributes
    ----------
    seed : int
        Seed of every random step; each step gets a seed of its own.
    clusters : {"kmeans", "mixture"}
        Method of clustering the units.
    largest_k : int
        Largest number of clusters; the smallest is 2.
    tsne : Tsne or None
        Cluster positions on a t-SNE map made with these options; None: the effects themselves.
    rules : TreeRules
        Size and price of the leaves of the profile.
    negligible : float
        Posterior-mean effects that differ by at most this are the same, in outcome units.
    """

    seed: int
    clusters: Clusters
    largest_k: int
    tsne: Tsne | None
    rules: TreeRules
    negligible: float


@dataclass(frozen=True, eq=False)
class Discovery:
    """The result of the search, without uncertainty.

    Attributes
    ----------
    profile : Profile
        The subgroups.
    candidates : DataFrame
        One row per number of clusters; see :class:`~bayes_hte.subgroups.finding.result.Subgroups`.
    embedding : ndarray, shape (unit, 2), or None
        The t-SNE map, if one was made.
    scales : ndarray, shape (effect,)
        The divisor of each effect in distances.
    """

    profile: Profile
    candidates: pd.DataFrame
    embedding: np.ndarray | None
    scales: np.ndarray


def discover(
    points: np.ndarray, covariates: pd.DataFrame, *, search: Search, effect_words: str
) -> Discovery:
    """Cluster units by their effects and describe the clusters by covariates.

    Parameters
    ----------
    points : ndarray, shape (unit, effect)
        Posterior-mean effects, in outcome units; subgroups are ordered by the first.
    covariates : DataFrame, shape (unit, covariate)
        Complete covariates of the same units.
    search : Search
        Options.
    effect_words : str
        The first effect in words, for the text of the profile.

    Returns
    -------
    Discovery
        With one subgroup if the effects do not differ or no tree is worth its leaves.
    """
    matrix, columns = encode_covariates(covariates)
    order = row_order(matrix, points)
    units = Units(matrix[order], columns, points[order, 0])
    scales = feature_scales(points, negligible=search.negligible)
    features = points[order] / scales
    embedding = None
    trees: list[Candidate] = []
    clusters: dict[int, np.ndarray] = {}
    differ = bool((np.ptp(points, axis=0) > search.negligible).any())
    if differ:
        seeds = several_seeds(search.seed, 3)
        if search.tsne is not None:
            embedding = embed_units(features, search.tsne, seed=seeds[0])
        positions = features if embedding is None else embedding
        n_distinct = len(np.unique(features, axis=0))
        for k in range(2, min(search.largest_k, n_distinct) + 1):
            clusters[k] = CLUSTERINGS[search.clusters](positions, k, seed=seeds[1])
        trees = _trees(units.matrix, clusters, features, search=search, seed=seeds[2])
    best = simplest_of_the_best(trees)
    tree = search.rules.stump(units.matrix) if best is None else best.tree
    profile = build_profile(
        tree,
        node_classes(tree),
        units,
        effect_words=effect_words,
        why_one=NO_SPLIT if differ else NO_DIFFERENCE,
    )
    return Discovery(
        profile=profile,
        candidates=_candidate_table(trees, clusters, units, best, search.rules),
        embedding=None if embedding is None else embedding[np.argsort(order)],
        scales=scales,
    )


def row_order(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return one order for any order of the rows: the order of a file must not matter.

    Parameters
    ----------
    matrix : ndarray, shape (unit, column)
        Encoded covariates.
    points : ndarray, shape (unit,) or (unit, effect)
        Posterior-mean effects.

    Returns
    -------
    ndarray of int, shape (unit,)
    """
    return np.lexsort(np.column_stack([points, matrix]).T[::-1])


def _trees(
    matrix: np.ndarray,
    clusters: dict[int, np.ndarray],
    features: np.ndarray,
    *,
    search: Search,
    seed: int,
) -> list[Candidate]:
    """Return the best tree for each number of clusters; a sample of very many units grows it."""
    kept = slice(None)
    if len(matrix) > TREE_UNITS:
        rng = np.random.default_rng(seed)
        kept = np.sort(rng.choice(len(matrix), TREE_UNITS, replace=False))
    # Hundreds of small trees on checked input: checking it again takes as long as growing them.
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        return [
            best_tree(
                matrix[kept], labels[kept], features[kept], rules=search.rules, k=k, seed=seed
            )
            for k, labels in clusters.items()
        ]


def _candidate_table(
    trees: list[Candidate],
    clusters: dict[int, np.ndarray],
    units: Units,
    best: Candidate | None,
    rules: TreeRules,
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "subgroups": [c.subgroups for c in trees],
            "leaves": [c.leaves for c in trees],
            "tree_fit": [c.tree_fit for c in trees],
            "price_per_leaf": [rules.leaf_price] * len(trees),
            "score": [c.score for c in trees],
            "agreement": [
                float((c.tree.predict(units.matrix) == c.renamed(clusters[c.k])).mean())
                for c in trees
            ],
            "chosen": [c is best for c in trees],
        },
        index=pd.Index([c.k for c in trees], name="k", dtype=int),
    )
