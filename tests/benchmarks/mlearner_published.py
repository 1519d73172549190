"""The published M-learner, step by step, as a baseline: flaws included, on purpose.

Forests in each arm, the predicted mean of the mediator plugged in, predictions of the very units
the forests were grown on, squared distances (squared once more by t-SNE), K-means of the map, and
for each number of clusters a pruned tree whose leaves are tested against the mediator, or against
the outcome where there is none. Written from the paper.

References
----------
Li, X., Liu, Y., Jiang, Z., Xia, L., Hobbs, B. P., Wei, P. (2025). M-learner: a flexible and
powerful framework to study heterogeneous treatment effect in mediation model. arXiv:2505.17917
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import f as f_distribution
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestRegressor
from sklearn.manifold import TSNE
from sklearn.model_selection import KFold, cross_val_score
from sklearn.tree import DecisionTreeClassifier

TREES = 200
CLUSTERS = range(2, 6)
LEAF_SHARE = 0.1


@dataclass(frozen=True)
class Published:
    """What the published procedure returns.

    Attributes
    ----------
    effect : ndarray, shape (unit,)
        Estimated indirect (without mediator: total) effects.
    leaves : ndarray of int, shape (unit,)
        Leaf of each unit in the profile of the number of clusters kept.
    p_leaf : float
        P-value of the leaf-by-treatment interaction; 1 if no tree splits.
    covariates : frozenset of str
        Covariates of that profile.
    """

    effect: np.ndarray
    leaves: np.ndarray
    p_leaf: float
    covariates: frozenset[str]


def published_m_learner(frame: pd.DataFrame, covariates: list[str], *, seed: int) -> Published:
    """Run the procedure on a simulated trial.

    Parameters
    ----------
    frame : DataFrame
        ``y``, ``treat`` (0/1), ``m`` if there is a mediator, and the covariates.
    covariates : list of str
        Their names.
    seed : int
        Of every random step.
    """
    x, arm = frame[covariates].to_numpy(), frame["treat"].to_numpy()
    effect = _effects(frame, x, arm, seed=seed)
    squared = (effect[:, np.newaxis] - effect) ** 2
    # The map squares what it is given; Rtsne does so as well.
    embedding = TSNE(
        metric="precomputed", init="random", method="exact", random_state=seed
    ).fit_transform(squared)
    tested = frame["m" if "m" in frame else "y"].to_numpy()
    best = Published(effect, np.zeros(len(frame), dtype=int), 1.0, frozenset())
    for k in CLUSTERS:
        clusters = KMeans(k, n_init=10, random_state=seed).fit_predict(embedding)
        tree = _pruned_tree(x, clusters, seed=seed)
        leaves = np.unique(tree.apply(x), return_inverse=True)[1]
        p_leaf = interaction_p_value(tested, leaves, arm)
        if p_leaf < best.p_leaf:
            asked = {covariates[j] for j in tree.tree_.feature if j >= 0}
            best = Published(effect, leaves, p_leaf, frozenset(asked))
    return best


def _effects(frame: pd.DataFrame, x: np.ndarray, arm: np.ndarray, *, seed: int) -> np.ndarray:
    """Effects from forests of each arm; those in the bag are not left out."""

    def grown(features: np.ndarray, column: str, rows: np.ndarray) -> RandomForestRegressor:
        forest = RandomForestRegressor(TREES, max_features=1 / 3, min_samples_leaf=5)
        forest.set_params(random_state=seed)
        return forest.fit(features[rows], frame[column].to_numpy()[rows])

    if "m" not in frame:
        treated, reference = (grown(x, "y", arm == a).predict(x) for a in (1, 0))
        return treated - reference
    with_mediator = np.column_stack([x, frame["m"]])
    outcome = grown(with_mediator, "y", arm == 1)
    mediators = (grown(x, "m", arm == a).predict(x) for a in (1, 0))
    high, low = (outcome.predict(np.column_stack([x, m])) for m in mediators)
    return high - low


def _pruned_tree(x: np.ndarray, clusters: np.ndarray, *, seed: int) -> DecisionTreeClassifier:
    """Classification tree of the clusters, its pruning chosen by cross-validated accuracy."""
    tree = DecisionTreeClassifier(min_samples_leaf=int(LEAF_SHARE * len(x)), random_state=seed)
    alphas = np.unique(np.maximum(tree.cost_complexity_pruning_path(x, clusters).ccp_alphas, 0.0))
    folds = KFold(5, shuffle=True, random_state=seed)
    middles = np.sqrt(alphas * np.append(alphas[1:], alphas[-1]))
    scores = [
        cross_val_score(tree.set_params(ccp_alpha=a), x, clusters, cv=folds).mean() for a in middles
    ]
    return tree.set_params(ccp_alpha=alphas[int(np.argmax(scores))]).fit(x, clusters)


def interaction_p_value(values: np.ndarray, leaves: np.ndarray, arm: np.ndarray) -> float:
    """F-test of the leaf-by-treatment interaction in a linear model, on all units.

    Parameters
    ----------
    values : ndarray, shape (unit,)
        Mediator or outcome.
    leaves : ndarray of int, shape (unit,)
        Leaf of each unit, 0 to L - 1.
    arm : ndarray of int, shape (unit,)
        0 or 1.

    Returns
    -------
    float
        1 with a single leaf.
    """
    indicators = np.eye(leaves.max() + 1)[leaves]
    n_leaves = indicators.shape[1]
    if n_leaves == 1:
        return 1.0
    small = np.column_stack([indicators, arm])
    large = np.column_stack([indicators, indicators * arm[:, np.newaxis]])
    residual = [
        float(((values - d @ np.linalg.lstsq(d, values)[0]) ** 2).sum()) for d in (small, large)
    ]
    df = len(values) - np.linalg.matrix_rank(large)
    statistic = (residual[0] - residual[1]) / (n_leaves - 1) / (residual[1] / df)
    return float(f_distribution.sf(statistic, n_leaves - 1, df))
