"""One sum-of-trees function and its conditional updates, on stochtree's low-level C++ sampler.

The forest of a term is ``f(x) = sum_j g(x; T_j, M_j)`` with independent trees ``T_j`` and leaf
values ``M_j``; it enters a Gaussian working model

    ``r_i = b_i f(x_i) + e_i,   e_i ~ Normal(0, v w_i)``

through a fixed basis ``b``. One sweep draws, for each tree in turn,

- ``T_j | rest``: one grow or prune Metropolis-Hastings step, leaf values integrated out;
- each leaf value ``m | T_j, rest ~ Normal(V sum_i b_i r_i / (v w_i), V)`` with
  ``1/V = 1/s2 + sum_i b_i^2 / (v w_i)`` over the rows of the leaf, ``r`` the partial residual;

and then the leaf variance ``s2 | M ~ InverseGamma(a + L/2, b + sum m^2 / 2)``, L leaves in all.

The tree prior is that of Chipman, George and McCulloch as the core implements it: a node at depth d
splits with prior weight ``alpha (1+d)^-beta``; the column is uniform, the threshold uniform between
the node's smallest and largest value, both sides keep `min_leaf` rows. The core's proposal ratio
leaves out two counts (stochtree 0.4.5: the forced grow move from a root, and the leaf parents after
a split next to a leaf), so trees with two leaves get more prior weight than the formula says, .73
instead of .56 at the defaults; :func:`prior_draws` draws from what the core really targets.

References
----------
Chipman, H. A., George, E. I., McCulloch, R. E. (2010). BART: Bayesian additive regression trees.
Annals of Applied Statistics 4, 266-298. doi:10.1214/09-AOAS285
He, J., Hahn, P. R. (2023). Stochastic tree ensembles for regularized nonlinear regression.
Journal of the American Statistical Association 118, 551-570. doi:10.1080/01621459.2021.1942012
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from stochtree import (
    RNG,
    Dataset,
    Forest,
    ForestContainer,
    ForestModelConfig,
    ForestSampler,
    GlobalModelConfig,
    Residual,
)

from bayes_hte.errors import SpecError

CONSTANT_LEAF, REGRESSION_LEAF = 0, 1
# A noise variance at which the data say nothing: sweeps then walk through the prior.
UNINFORMATIVE_VARIANCE = 1e12


@dataclass(frozen=True)
class ForestPrior:
    """Prior of one forest.

    Attributes
    ----------
    scale : float
        Prior standard deviation of f at any x, in the units of f.
    trees : int
        Number of trees.
    alpha, beta : float
        A node at depth d splits with prior weight ``alpha (1+d)^-beta``.
    min_leaf : int
        Fewest rows in a leaf.
    max_depth : int
        Deepest leaf.
    leaf_shape : float
        Shape of the inverse-gamma prior of the leaf variance, whose mean is ``scale^2 / trees``;
        ``inf`` fixes the variance at that value.
    """

    scale: float
    trees: int = 100
    alpha: float = 0.95
    beta: float = 2.0
    min_leaf: int = 5
    max_depth: int = 10
    leaf_shape: float = 3.0

    def __post_init__(self) -> None:
        """Refuse values outside their ranges.

        Raises
        ------
        SpecError
            Naming the first value out of range.
        """
        fine = {
            "scale > 0": self.scale > 0,
            "trees >= 1": self.trees >= 1,
            "0 < alpha < 1": 0 < self.alpha < 1,
            "beta >= 0": self.beta >= 0,
            "min_leaf >= 1": self.min_leaf >= 1,
            "max_depth >= 1": self.max_depth >= 1,
            "leaf_shape > 1": self.leaf_shape > 1,
        }
        for rule, holds in fine.items():
            if not holds:
                raise SpecError(f"a forest prior needs {rule}, got {self}.")

    @property
    def leaf_variance(self) -> float:
        """Prior mean of the variance of a leaf value."""
        return self.scale**2 / self.trees


@dataclass(frozen=True)
class ChainRandomness:
    """The two generators of one chain: the C++ core's and numpy's."""

    core: RNG
    numpy: np.random.Generator

    @classmethod
    def seeded_by(cls, rng: np.random.Generator) -> ChainRandomness:
        """Seed the core's generator from numpy's."""
        return cls(core=RNG(int(rng.integers(1, 2**31 - 1))), numpy=rng)


@dataclass
class LiveForest:
    """The mutable state of one forest in one chain; made by :func:`plant`."""

    prior: ForestPrior
    leaf_variance: float
    dataset: Dataset
    config: ForestModelConfig
    sampler: ForestSampler
    forest: Forest
    container: ForestContainer
    constant: bool


def plant(prior: ForestPrior, x: np.ndarray, basis: np.ndarray | None) -> LiveForest:
    """Create a forest of roots with value 0.

    Parameters
    ----------
    prior : ForestPrior
        Its prior.
    x : ndarray, shape (row, feature)
        Columns to split on; positive (the core's search for a node's largest value starts just
        above 0, so thresholds for negative columns would be drawn from the wrong range).
    basis : ndarray, shape (row,), or None
        Multiplies the forest; None means 1 everywhere.

    Returns
    -------
    LiveForest
    """
    if x.min() <= 0:
        raise SpecError("forest columns must be positive; use the rank encoding of the design.")
    rows, features = x.shape
    dataset = Dataset()
    dataset.add_covariates(np.ascontiguousarray(x, dtype=np.float64))
    if basis is not None:
        dataset.add_basis(np.ascontiguousarray(basis, dtype=np.float64)[:, None])
    leaf_model = CONSTANT_LEAF if basis is None else REGRESSION_LEAF
    config = ForestModelConfig(
        num_trees=prior.trees,
        num_features=features,
        num_observations=rows,
        feature_types=np.zeros(features, dtype=int),
        variable_weights=np.full(features, 1 / features),
        alpha=prior.alpha,
        beta=prior.beta,
        min_samples_leaf=prior.min_leaf,
        max_depth=prior.max_depth,
        leaf_model_type=leaf_model,
        leaf_model_scale=float(prior.leaf_variance),
        num_features_subsample=features,
    )
    sampler = ForestSampler(dataset, GlobalModelConfig(global_error_variance=1.0), config)
    forest = Forest(prior.trees, 1, basis is None, False)
    sampler.prepare_for_sampler(
        dataset, Residual(np.zeros(rows)), forest, leaf_model, np.array([0.0])
    )
    return LiveForest(
        prior=prior,
        leaf_variance=prior.leaf_variance,
        dataset=dataset,
        config=config,
        sampler=sampler,
        forest=forest,
        container=ForestContainer(prior.trees, 1, basis is None, False),
        constant=basis is None,
    )


def sweep(
    live: LiveForest,
    residual: Residual,
    variance: float,
    random: ChainRandomness,
    *,
    weights: np.ndarray | None = None,
    grow_from_root: bool = False,
) -> None:
    """Update every tree and the leaf variance of a forest once, in place.

    Parameters
    ----------
    live : LiveForest
        The forest.
    residual : stochtree.Residual
        Working outcome minus *all* terms including this forest; brought up to date.
    variance : float
        ``v`` of the working model.
    random : ChainRandomness
        The generators of the chain.
    weights : ndarray, shape (row,), optional
        ``w`` of the working model (default 1).
    grow_from_root : bool, default False
        Regrow every tree greedily instead (a warm start, not a posterior update).
    """
    if weights is not None:
        if live.dataset.has_variance_weights():
            live.dataset.update_variance_weights(weights)
        else:
            live.dataset.add_variance_weights(weights)
    live.sampler.sample_one_iteration(
        live.container,
        live.forest,
        live.dataset,
        residual,
        random.core,
        GlobalModelConfig(global_error_variance=float(variance)),
        live.config,
        False,
        grow_from_root,
    )
    if np.isfinite(live.prior.leaf_shape):
        live.leaf_variance = _draw_leaf_variance(live, random.numpy)
        live.config.update_leaf_model_scale(live.leaf_variance)


def _draw_leaf_variance(live: LiveForest, rng: np.random.Generator) -> float:
    # Drawn here: the core's own update halves shape and rate (measured with stochtree 0.4.5).
    shape = live.prior.leaf_shape + live.forest.num_forest_leaves() / 2
    rate = (live.prior.leaf_shape - 1) * live.prior.leaf_variance
    # The binding takes an argument it does not use; its Python wrapper passes none and fails.
    squares = live.forest.forest_cpp.SumLeafSquared(0)
    return (rate + squares / 2) / rng.standard_gamma(shape)


def values(live: LiveForest) -> np.ndarray:
    """Return f at the rows the forest was planted on, without its basis, shape (row,)."""
    if live.constant:
        return np.asarray(live.sampler.get_cached_forest_predictions())
    return live.forest.predict_raw(live.dataset).ravel()


def mean_leaves(live: LiveForest) -> float:
    """Return the mean number of leaves of a tree."""
    return live.forest.num_forest_leaves() / live.prior.trees


def prior_draws(
    prior: ForestPrior, x: np.ndarray, *, draws: int, seed: int, between: int = 20
) -> np.ndarray:
    """Draw functions from the prior, by running the updates on data that say nothing.

    Parameters
    ----------
    prior : ForestPrior
        The prior.
    x : ndarray, shape (row, feature)
        Positive columns; the rows at which f is wanted.
    draws : int
        Number of functions.
    seed : int
        Seed of the generator.
    between : int, default 20
        Sweeps between two kept draws; the first draw follows ten times as many.

    Returns
    -------
    ndarray, shape (draw, row)
    """
    live = plant(prior, x, None)
    random = ChainRandomness.seeded_by(np.random.default_rng(seed))
    nothing = np.zeros(x.shape[0])
    kept = np.empty((draws, x.shape[0]))
    for i in range(draws):
        for _ in range(between * (10 if i == 0 else 1)):
            sweep(live, Residual(nothing - values(live)), UNINFORMATIVE_VARIANCE, random)
        kept[i] = values(live)
    return kept
