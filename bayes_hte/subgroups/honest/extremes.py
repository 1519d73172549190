"""The units with the highest and the lowest effects: the outer leaves of a regression tree.

Subgroups to act on are few and easy to say, so their borders are coarse, and the effects on either
side are mixed. To find out *whether* effects differ, it is better to compare the units that seem
furthest apart. Here a regression tree divides posterior-mean effects, and its highest leaf is
compared with its lowest; all units in between are a third group.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr
from sklearn.model_selection import RepeatedKFold
from sklearn.tree import DecisionTreeRegressor

from bayes_hte.companions.restricted_means import compared_outcomes
from bayes_hte.seeds import check_seed
from bayes_hte.study.study import Study
from bayes_hte.subgroups.effect_draws import as_effects, effect_names, posterior_means
from bayes_hte.subgroups.finding.discovery import SAME_EFFECT, check_leaf_share
from bayes_hte.subgroups.finding.profile import Profile, Units, build_profile, with_gaps_said
from bayes_hte.subgroups.finding.search import NO_DIFFERENCE, NO_SPLIT, row_order
from bayes_hte.subgroups.finding.selection import EQUAL_SCORE, TREE_UNITS
from bayes_hte.subgroups.finding.tree_columns import encode_covariates

# More leaves set smaller groups apart, further from each other but less well known.
MOST_LEAVES = 6
FOLDS = 5
REPEATS = 2
LOWEST, BETWEEN, HIGHEST = 0, 1, 2


def find_extremes(
    effect: xr.DataArray | xr.Dataset, study: Study, *, seed: int, leaf_share: float = 0.1
) -> Profile:
    """Find the units that seem to have the highest and the lowest effects.

    A regression tree of the posterior-mean effects on the covariates grows best split first. It may
    have six leaves; it has the number that explains most of held-out units, where another leaf must
    add 0.01 to the R-squared. The posterior means are nearly a function of the covariates, so the
    danger is not a tree that follows their noise, but one that goes on where they are flat.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit), or Dataset of such
        Posterior draws of unit-level effects, in outcome units; of a Dataset the first variable is
        used, and of the draws only the means.
    study : Study
        The units of `effect`, in the same order.
    seed : int
        Seed of the folds and of ties between splits; 0 or more.
    leaf_share : float, default 0.1
        Smallest share of the units in a leaf; above 0, at most 0.5.

    Returns
    -------
    Profile
        Three groups: 0, the leaf with the lowest mean; 1, the others; 2, the leaf with the highest.
        Two if the tree has two leaves, one if it does not split.

    Raises
    ------
    DataError
        If `effect` lacks a dimension or has another one, its units are not those of the study, or a
        draw is NaN or infinite.
    SpecError
        If an option is out of range.

    Notes
    -----
    Up to 20,000 units, drawn at random, grow the tree; all units count in the profile.

    References
    ----------
    Breiman, L., Friedman, J. H., Olshen, R. A., Stone, C. J. (1984). Classification and Regression
    Trees. Wadsworth.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> from bayes_hte.subgroups import find_extremes
    >>> trial = hte.simulate_mediation(np.random.default_rng(1), n=100)
    >>> roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
    >>> study = hte.Study.from_frame(trial.frame, **roles)
    >>> effect = xr.DataArray([[trial.effects["te"]] * 20], dims=["chain", "draw", "unit"])
    >>> find_extremes(effect, study, seed=1).leaves["rule"].tolist()
    ['x1 at most 0', 'x1 above 0']
    """
    check_seed(seed)
    check_leaf_share(leaf_share)
    effects = as_effects(effect, study)[:1]
    points = posterior_means(effects)[:, 0]
    matrix, columns = encode_covariates(study.filled_covariates())
    order = row_order(matrix, points)
    matrix, points = matrix[order], points[order]
    differ = bool(
        np.ptp(points) > SAME_EFFECT * float(compared_outcomes(study, effects[0].attrs).std(ddof=1))
    )
    kept = _sample(len(points), seed=seed)
    x, y = matrix[kept], points[kept] if differ else np.zeros(len(kept))
    share = math.ceil(leaf_share * len(y))
    tree = _grow(x, y, leaves=_n_leaves(x, y, smallest=share, seed=seed), smallest=share, seed=seed)
    found = build_profile(
        tree,
        _outer(tree),
        Units(matrix, columns, points),
        effect_words=effect_names(effects[0])[1],
        why_one=NO_SPLIT if differ else NO_DIFFERENCE,
    )
    return with_gaps_said(found, study)


def _sample(n: int, *, seed: int) -> np.ndarray:
    if n <= TREE_UNITS:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, TREE_UNITS, replace=False))


def _grow(
    x: np.ndarray, y: np.ndarray, *, leaves: int, smallest: int, seed: int
) -> DecisionTreeRegressor:
    """Grow best split first; one leaf is a tree whose units may not be divided."""
    tree = DecisionTreeRegressor(
        max_leaf_nodes=max(leaves, 2),
        min_samples_leaf=smallest if leaves > 1 else len(y),
        random_state=seed,
    )
    return tree.fit(x, y)


def _n_leaves(x: np.ndarray, y: np.ndarray, *, smallest: int, seed: int) -> int:
    """Choose the number of leaves by cross-validation."""
    if np.ptp(y) == 0:
        return 1
    splits = RepeatedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=seed)
    total, unexplained = 0.0, np.zeros(MOST_LEAVES - 1)
    for train, held_out in splits.split(x):
        total += float(((y[held_out] - y[train].mean()) ** 2).sum())
        unexplained += [
            ((y[held_out] - said) ** 2).sum()
            for said in _predictions(x[train], y[train], x[held_out], smallest=smallest, seed=seed)
        ]
    scores = [0.0, *(1 - unexplained / total - EQUAL_SCORE * np.arange(1, MOST_LEAVES))]
    return 1 + int(np.argmax(scores))


def _predictions(
    x: np.ndarray, y: np.ndarray, new: np.ndarray, *, smallest: int, seed: int
) -> Sequence[np.ndarray]:
    """Predict effects of other units by trees of 2, 3, ... leaves."""
    return [
        _grow(x, y, leaves=leaves, smallest=smallest, seed=seed).predict(new)
        for leaves in range(2, MOST_LEAVES + 1)
    ]


def _outer(tree: DecisionTreeRegressor) -> np.ndarray:
    """Return whether each leaf is the lowest, the highest or in between, shape (node,)."""
    means = tree.tree_.value[:, 0, 0]
    leaves = np.flatnonzero(tree.tree_.children_left < 0)
    said = np.full(tree.tree_.node_count, BETWEEN)
    said[leaves[means[leaves].argmax()]] = HIGHEST
    said[leaves[means[leaves].argmin()]] = LOWEST
    return said
