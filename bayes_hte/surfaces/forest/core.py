"""One sum-of-trees function and its conditional updates.

The forest of a term is ``f(x) = sum_j g(x; T_j, M_j)`` with independent trees ``T_j`` and leaf
values ``M_j``; it enters a Gaussian working model

    ``r_i = b_i f(x_i) + e_i,   e_i ~ Normal(0, 1 / p_i)``

through a fixed basis ``b`` and precisions ``p``. One sweep draws, for each tree in turn,

- ``T_j | rest``: one Metropolis-Hastings move with the leaf values integrated out, namely grow
  (split a leaf), prune (undo a split whose children are leaves) or change (a new rule for such a
  split), with probabilities .3, .3, .4; a lone root can only grow. New rules come from their
  prior; half of the changes stay near the old rule instead, which mixes better: the same column
  with a cut up to a twentieth of the grid away, or with one level on the other side;
- each leaf value ``m | T_j, rest ~ Normal(V sum_i p_i b_i r_i, V)`` with
  ``1/V = 1/s2 + sum_i p_i b_i^2`` over the rows of the leaf, ``r`` the partial residual;

and then the scale of the forest, twice. Leaf values are ``Normal(0, s2)`` with
``s2 = a^2 c / trees``, ``c`` the square of the prior scale and ``a ~ Normal(0, 1)``, so a forest
that the data do not need can vanish. The scale is drawn once given the leaf values (a
Metropolis-Hastings step that proposes from the inverse gamma their density implies), and once given
the leaf values in units of ``a``, when ``a`` is the coefficient of a regression: each mixes where
the other is slow (interweaving).

The tree prior is that of Chipman, George and McCulloch, restricted to valid trees. Unrestricted, a
node at depth d (0 at the root) splits with probability ``alpha (1+d)^-beta`` if at least one column
still has a rule there, and not otherwise. The column is uniform over the columns that still have a
rule, unless the prior is sparse. On a numeric column the cut is
uniform over the cuts of the column's grid that lie in the
interval left open by the splits above on that column; the grid holds the midpoints between
neighbouring distinct values of the study rows, or 255 of them at evenly spaced ranks. On a
categorical column every level that the splits above leave possible goes left with probability 1/2,
given that both sides get at least one. A numeric column that may have missing values has one
rule more, "is missing", wherever missing and other values may both occur by the splits above; its
probability is ``MISSING_RULE``, or 1 if no cut is open. With a cut there, missing values go to
either side with probability 1/2 (Twala, Jones and Hand 2008, Kapelner and Bleich 2015; a grid with
missing values has at most 254 cuts). Where only one kind may occur, the rules are those of a column
without missing values, and below "is missing" there is none. Missing categories are a level like
the others. A tree is valid if each leaf of a split holds `min_leaf`
rows of the study, none lies deeper than `max_depth`, and there are at most 128 leaves. The prior is
the unrestricted one conditional on validity: its density is the product of the terms above times
one constant, and the moves target exactly that.

A sparse prior learns which columns to split on (Linero 2018). Columns that come from one variable
are one of its P choices, and at a node a variable is drawn with probability ``s_j / sum s`` over
those with a rule there, then one of its open columns, each alike. ``s ~ Dirichlet(a/P, ..., a/P)``
and ``a / (a + P) ~ Beta(1/2, 1)``. One column may be reserved: where it is open (and not alone) it
is chosen with probability ``RESERVE``, and the others share the rest. New rules still come from
their prior, so the moves above stay as they are. After the trees, the sweep draws a and s: the sums
over open variables in the density of the trees are replaced by exponential variables, given which a
can be drawn with s integrated out and s is a normalised gamma vector (Caron and Doucet 2012). That
is exact. Validity is a matter of all trees of the forest together: the density of (a, s, trees) is
the product of the terms times one constant, wherever all trees are valid. So s is Dirichlet only if
every tree is valid; else it leans to variables whose splits leave valid trees. Draws from the prior
alternate between trees and s, ``ROUNDS`` times from a Dirichlet start, and have that lean in part.

References
----------
Caron, F., Doucet, A. (2012). Efficient Bayesian inference for generalized Bradley-Terry models.
Journal of Computational and Graphical Statistics 21, 174-196. doi:10.1080/10618600.2012.638220
Chipman, H. A., George, E. I., McCulloch, R. E. (1998). Bayesian CART model search. Journal of the
American Statistical Association 93, 935-948. doi:10.1080/01621459.1998.10473750
Chipman, H. A., George, E. I., McCulloch, R. E. (2010). BART: Bayesian additive regression trees.
Annals of Applied Statistics 4, 266-298. doi:10.1214/09-AOAS285
Kapelner, A., Bleich, J. (2015). Prediction with missing data via Bayesian additive regression
trees. Canadian Journal of Statistics 43, 224-239. doi:10.1002/cjs.11248
Linero, A. R. (2018). Bayesian regression trees for high-dimensional prediction and variable
selection. Journal of the American Statistical Association 113, 626-636.
doi:10.1080/01621459.2016.1264957
Twala, B. E. T. H., Jones, M. C., Hand, D. J. (2008). Good methods for coping with missing data in
decision trees. Pattern Recognition Letters 29, 950-956. doi:10.1016/j.patrec.2008.01.010
Yu, Y., Meng, X.-L. (2011). To center or not to center: that is not the question. Journal of
Computational and Graphical Statistics 20, 531-570. doi:10.1198/jcgs.2011.203main
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bayes_hte.errors import SpecError
from bayes_hte.surfaces.forest.draws import PackedForest
from bayes_hte.surfaces.forest.kernel import sweep_forests, write_preorder
from bayes_hte.surfaces.forest.layout import Forests, Grid, Law, Shares
from bayes_hte.surfaces.forest.shares import draw_shares


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
        A node at depth d splits with prior probability ``alpha (1+d)^-beta``.
    min_leaf : int
        Fewest rows in a leaf.
    max_depth : int
        Deepest leaf.
    adaptive : bool
        Whether the scale is multiplied by the absolute value of a standard normal, which is
        sampled; else it is fixed.
    sparse : bool
        Whether the probabilities of the columns are sampled; else all are alike.
    """

    scale: float
    trees: int = 100
    alpha: float = 0.95
    beta: float = 2.0
    min_leaf: int = 5
    max_depth: int = 10
    adaptive: bool = True
    sparse: bool = False

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
        }
        for rule, holds in fine.items():
            if not holds:
                raise SpecError(f"a forest prior needs {rule}, got {self}.")

    @property
    def leaf_variance(self) -> float:
        """Prior mean of the variance of a leaf value."""
        return self.scale**2 / self.trees


@dataclass
class LiveForest:
    """The mutable state of one forest in one chain; made by :func:`plant`.

    Attributes
    ----------
    prior : ForestPrior
        Its prior.
    variance : ndarray, shape (1,)
        Current variance of the leaf values; read it as `leaf_variance`.
    count : ndarray of int64, shape (1,)
        Current number of leaves of all trees; read it as `leaves`.
    f : ndarray, shape (row,)
        Current values, without the basis.
    basis : ndarray, shape (row,)
        Factor of f.
    grid, shares, law : Grid, Shares, Law
        The rows, the probabilities of the columns and the tree prior as the kernel sees them.
    thresholds : ndarray, shape (feature, 255)
        The cuts of the numeric columns, in their units; infinity for "is missing".
    nodes : structured ndarray, shape (tree, slot)
        The trees.
    tops : ndarray, shape (tree,)
        Slots in use of each tree.
    slots : ndarray of uint8, shape (tree, row)
        Leaf of each row.
    joint : Forests or None
        All of this for the compiled sweep, unless other forests share its arrays.
    """

    prior: ForestPrior
    variance: np.ndarray
    count: np.ndarray
    f: np.ndarray
    basis: np.ndarray
    grid: Grid
    shares: Shares
    law: Law
    thresholds: np.ndarray
    nodes: np.ndarray
    tops: np.ndarray
    slots: np.ndarray
    joint: Forests | None = None

    @property
    def leaf_variance(self) -> float:
        """Current variance of the leaf values."""
        return float(self.variance[0])

    @leaf_variance.setter
    def leaf_variance(self, value: float) -> None:
        """Replace it in the arrays of the sweep."""
        self.variance[0] = value

    @property
    def leaves(self) -> int:
        """Current number of leaves of all trees."""
        return int(self.count[0])

    @leaves.setter
    def leaves(self, value: int) -> None:
        """Replace it in the arrays of the sweep."""
        self.count[0] = value

    @property
    def learns(self) -> bool:
        """Whether there are probabilities of columns to learn."""
        return self.prior.sparse and self.shares.share.size > 1


def join(lives: Sequence[LiveForest]) -> Forests:
    """Put the forests of one linear predictor into one set of arrays, for :func:`sweep_all`.

    Parameters
    ----------
    lives : sequence of LiveForest
        On the same rows. Their own arrays become views of the joint ones, so that every function
        of a live forest sees what a joint sweep does.

    Returns
    -------
    Forests
    """
    depth = max(live.law.split.size for live in lives)
    ends = [
        [
            array.size
            for array in (
                live.tops,
                live.grid.cuts,
                live.grid.columns,
                live.shares.share,
                live.shares.members,
            )
        ]
        for live in lives
    ]

    def joined(of: Callable[[LiveForest], np.ndarray]) -> np.ndarray:
        return np.concatenate([of(live) for live in lives])

    forests = Forests(
        nodes=joined(lambda live: live.nodes),
        tops=joined(lambda live: live.tops),
        slots=joined(lambda live: live.slots),
        codes=joined(lambda live: live.grid.codes),
        cuts=joined(lambda live: live.grid.cuts),
        levels=joined(lambda live: live.grid.levels),
        columns=joined(lambda live: live.grid.columns),
        missing=joined(lambda live: live.grid.missing),
        variable=joined(lambda live: live.shares.variable),
        start=joined(lambda live: live.shares.start),
        members=joined(lambda live: live.shares.members),
        log_share=joined(lambda live: live.shares.log_share),
        share=joined(lambda live: live.shares.share),
        cumulative=joined(lambda live: live.shares.cumulative),
        concentration=joined(lambda live: live.shares.concentration),
        reserved=np.array([live.shares.reserved for live in lives]),
        reserve=np.array([live.shares.reserve for live in lives]),
        split=np.stack([np.resize(live.law.split, depth) for live in lives]),
        min_leaf=np.array([live.law.min_leaf for live in lives]),
        max_depth=np.array([live.law.max_depth for live in lives]),
        basis=np.stack([live.basis for live in lives]),
        f=np.stack([live.f for live in lives]),
        unit=np.array([live.prior.leaf_variance for live in lives]),
        variance=joined(lambda live: live.variance),
        leaves=joined(lambda live: live.count),
        adaptive=np.array([live.prior.adaptive for live in lives]),
        learn=np.array([live.learns for live in lives]),
        active=np.ones(len(lives), dtype=bool),
        first=np.vstack([np.zeros(5, np.int64), np.cumsum(ends, axis=0)]),
    )
    for k, live in enumerate(lives):
        _look_into(forests, k, live)
        live.joint = None
    return forests


def _look_into(forests: Forests, k: int, live: LiveForest) -> None:
    """Let a live forest see its part of the joint arrays."""
    first, stop = forests.first[k], forests.first[k + 1]
    trees, features, columns, variables, members = map(slice, first, stop)
    live.nodes, live.tops = forests.nodes[trees], forests.tops[trees]
    live.slots = forests.slots[trees]
    live.basis, live.f = forests.basis[k], forests.f[k]
    live.variance, live.count = forests.variance[k : k + 1], forests.leaves[k : k + 1]
    live.grid = Grid(
        forests.codes[features],
        forests.cuts[features],
        forests.levels[features],
        forests.columns[columns],
        forests.missing[features],
    )
    live.shares = live.shares._replace(
        variable=forests.variable[features],
        start=forests.start[first[3] + k : stop[3] + k + 1],
        members=forests.members[members],
        log_share=forests.log_share[variables],
        share=forests.share[variables],
        cumulative=forests.cumulative[variables],
        concentration=forests.concentration[k : k + 1],
    )


def sweep_all(
    forests: Forests,
    residual: np.ndarray,
    precision: np.ndarray,
    rng: np.random.Generator,
    *,
    update_scale: bool = True,
    update_shares: bool = True,
) -> None:
    """Update every tree and the scale of each forest once, in place.

    Parameters
    ----------
    forests : Forests
        From :func:`join`.
    residual : ndarray of float64, shape (row,)
        Working outcome minus *all* terms including these forests; brought up to date.
    precision : ndarray of float64, shape (row,)
        One over the variance of each row's working noise; 0 where a row has no information.
    rng : Generator
        The generator of the chain.
    update_scale : bool, default True
        Whether to draw the scales too; a prior that is not adaptive fixes its own anyway.
    update_shares : bool, default True
        Whether to draw the probabilities of the columns too, where the prior is sparse.
    """
    sweep_forests(forests, residual, precision, update_scale, update_shares, rng)


def sweep(
    live: LiveForest,
    residual: np.ndarray,
    precision: np.ndarray,
    rng: np.random.Generator,
    *,
    update_scale: bool = True,
    update_shares: bool = True,
) -> None:
    """Update one forest once, in place; arguments as in :func:`sweep_all`.

    Raises
    ------
    ValueError
        If the forest was joined with others; these are swept together.
    """
    if live.joint is None:
        raise ValueError("this forest was joined with others; sweep them with sweep_all.")
    options = {"update_scale": update_scale, "update_shares": update_shares}
    sweep_all(live.joint, residual, precision, rng, **options)


def draw_column_shares(live: LiveForest, rng: np.random.Generator) -> None:
    """Draw the probabilities of the variables given the trees, if there is a choice."""
    if live.learns:
        draw_shares(live.nodes, live.tops, live.grid, live.shares, rng)


def values(live: LiveForest) -> np.ndarray:
    """Return f at the rows the forest was planted on, without its basis, shape (row,)."""
    return live.f.copy()


def split_probabilities(live: LiveForest) -> np.ndarray:
    """Return the probability of each column at a root, shape (feature,)."""
    shares, found = live.shares, np.zeros(live.shares.variable.size)
    of = shares.variable[shares.members]
    found[shares.members] = (shares.share / np.diff(shares.start))[of]
    if shares.reserved >= 0:
        found *= 1 - shares.reserve if of.size else 0.0
        found[shares.reserved] = 1 - found.sum()
    return found


def mean_leaves(live: LiveForest) -> float:
    """Return the mean number of leaves of a tree."""
    return live.leaves / live.prior.trees


def pack(live: LiveForest) -> PackedForest:
    """Copy the trees of a live forest into arrays that predict at any rows.

    Parameters
    ----------
    live : LiveForest
        The forest.

    Returns
    -------
    PackedForest
    """
    splits = live.leaves - live.prior.trees
    feature = np.empty(live.leaves + splits, dtype=np.int16)
    number = np.empty(live.leaves + splits)
    root = np.empty(live.prior.trees, dtype=np.int32)
    mask = np.empty(splits, dtype=np.uint64)
    masks = write_preorder(
        live.nodes, live.thresholds, live.grid.levels, feature, number, root, mask
    )
    return PackedForest(feature=feature, number=number, mask=mask[:masks].copy(), root=root)
