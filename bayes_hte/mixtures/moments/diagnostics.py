"""Diagnostics of the moments: strength of the proxies, rank, commutator, and label gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import scipy.stats

from bayes_hte.mixtures.arrays import Array
from bayes_hte.mixtures.moments.solver import (
    StackSolution,
    arm_operators,
    compress,
    separating_basis,
)
from bayes_hte.mixtures.moments.tables import Moments

LEVEL: Final = 0.05
"""Level of the tests of rank and of the commutator."""
LARGEST_FAILED_SHARE: Final = 0.05
"""Intervals are unreliable when more draws than this have no usable solution."""
LEAST_LABEL_GAP: Final = 2.0
"""Distance of neighbouring effects, in standard deviations, below which labels can switch."""
LARGEST_DF_SHARE: Final = 0.2
"""A Wald test is run with at most this many degrees of freedom per draw."""


@dataclass(frozen=True)
class WaldTest:
    """A test that a vector is zero.

    Attributes
    ----------
    statistic : float
    df : int
        Degrees of freedom.
    p_value : float
        Frequentist: the probability of so large a statistic if the vector is zero. NaN if the test
        could not be run.
    """

    statistic: float
    df: int
    p_value: float


@dataclass(frozen=True)
class MixtureDiagnostics:
    """Evidence of the data on proxies, classes and assumptions.

    Attributes
    ----------
    strength : ndarray, shape (2,)
        Of the proxies in each arm, see
        :class:`bayes_hte.mixtures.moments.solution.MixtureSolution`.
    grade : str
        ``"precise"``, ``"usable"``, ``"caution"`` or ``"refused"``, by the weaker arm.
    condition : ndarray, shape (2,)
        First over k-th singular value of M_t.
    rank : DataFrame
        One row per tested rank of each table (``arm 0``, ``arm 1``, ``stacked``): the next singular
        value, its noise, and the p-value of "no more classes than this".
    classes_carried : int
        Classes that the proxies distinguish in both arms, by the tests of rank.
    commutator : WaldTest
        Of A_0 A_1 = A_1 A_0, implied by the graph of level 3 with k classes.
    label_gap : float
        Least distance of neighbouring class effects in standard deviations; NaN if unknown.
    failed_share : float
        Share of draws without a solution or with class probabilities outside [0, 1].
    out_of_range_share : float
        Share of draws that fail for any reason, impossible class means included.
    shares : dict of str to float
        The same by reason.
    notes : tuple of str
        Faults that a reader must know; empty when nothing is wrong.
    """

    strength: Array
    grade: str
    condition: Array
    rank: pd.DataFrame
    classes_carried: int
    commutator: WaldTest
    label_gap: float
    failed_share: float
    out_of_range_share: float
    shares: dict[str, float]
    notes: tuple[str, ...]

    def summary(self) -> pd.DataFrame:
        """Return one row per diagnostic: its value and its meaning.

        Returns
        -------
        DataFrame
            Index ``diagnostic``; columns ``value`` and ``meaning``.
        """
        rows = {
            "strength": (float(self.strength.min()), f"{self.grade} (weaker arm)"),
            "condition": (float(self.condition.max()), "first over k-th singular value"),
            "classes carried": (float(self.classes_carried), "by rank tests in both arms"),
            "commutator p-value": (
                self.commutator.p_value,
                "Wald test that the arms share their classes, no posterior probability; small: the "
                "graph or k is wrong; blind to symmetric X-Y edges",
            ),
            "label gap": (self.label_gap, "in sd; below 2 labels can switch"),
            "failed share": (self.failed_share, "above .05 intervals are unreliable"),
            "out-of-range share": (self.out_of_range_share, "draws with impossible class means"),
        }
        table = pd.DataFrame.from_dict(rows, orient="index", columns=["value", "meaning"])
        return table.rename_axis("diagnostic")


def wald_test(estimate: Array, draws: Array) -> WaldTest:
    """Test that a vector is zero, with the covariance of its draws.

    Parameters
    ----------
    estimate : ndarray, shape (p,)
    draws : ndarray, shape (B, p)

    Returns
    -------
    WaldTest
        Referred to Hotelling's distribution, as the covariance rests on B draws. Not run (NaN)
        when there are fewer than five draws per degree of freedom, or nothing varies.
    """
    if estimate.size == 0:
        return WaldTest(0.0, 0, float("nan"))
    covariance = np.atleast_2d(np.cov(draws, rowvar=False))
    values, vectors = np.linalg.eigh(covariance)
    kept = values > 1e-10 * max(values[-1], np.finfo(float).tiny)
    df, n_draws = int(kept.sum()), len(draws)
    if df == 0 or df > LARGEST_DF_SHARE * n_draws:
        return WaldTest(float("nan"), df, float("nan"))
    statistic = float(((vectors[:, kept].T @ estimate) ** 2 / values[kept]).sum())
    scaled = statistic * (n_draws - df) / (df * (n_draws - 1))
    return WaldTest(statistic, df, float(scipy.stats.f.sf(scaled, df, n_draws - df)))


def rank_tests(point: Moments, draws: Moments) -> pd.DataFrame:
    """Test how many classes the proxies carry, in each arm and in both together.

    Each row tests that a table has rank at most ``rank``: the block left by its leading singular
    vectors is noise (Kleibergen-Paap), with the covariance of the posterior draws.

    Parameters
    ----------
    point : Moments
        From the data.
    draws : Moments
        Posterior draws, one leading axis.

    Returns
    -------
    DataFrame
        Columns ``table``, ``rank``, ``singular_value`` (the next one), ``noise`` (root mean square
        of the size of the block over draws, about its mean), ``df``, ``p_value``.

    References
    ----------
    Kleibergen, Paap (2006), Generalized reduced rank tests using the singular value
    decomposition, Journal of Econometrics 133, 97-126, doi:10.1016/j.jeconom.2005.02.011.
    """
    dz, dx = point.n_features
    n_draws = len(draws.M)
    tables = {
        "arm 0": (point.M[0], draws.M[:, 0]),
        "arm 1": (point.M[1], draws.M[:, 1]),
        "stacked": (point.M.reshape(2 * dz, dx), draws.M.reshape(n_draws, 2 * dz, dx)),
    }
    rows = []
    for name, (table, stack) in tables.items():
        left, values, right = np.linalg.svd(table)
        for rank in range(1, min(table.shape)):
            block = left[:, rank:].T @ table @ right[rank:].T
            blocks = left[:, rank:].T @ stack @ right[rank:].T
            test = wald_test(block.ravel(), blocks.reshape(n_draws, -1))
            spread = blocks - blocks.mean(axis=0)
            noise = np.sqrt((np.linalg.norm(spread, ord=2, axis=(1, 2)) ** 2).mean())
            rows.append((name, rank, values[rank], noise, test.df, test.p_value))
    columns = ["table", "rank", "singular_value", "noise", "df", "p_value"]
    return pd.DataFrame(rows, columns=columns)


def classes_carried(rank: pd.DataFrame) -> int:
    """Read from :func:`rank_tests` how many classes both arms carry.

    Parameters
    ----------
    rank : DataFrame

    Returns
    -------
    int
        The least rank that is not rejected in the weaker arm; a test that could not be run counts
        as not rejected.
    """
    carried = []
    for name in ("arm 0", "arm 1"):
        arm = rank[rank["table"] == name]
        accepted = arm.loc[~(arm["p_value"] < LEVEL), "rank"]
        carried.append(int(accepted.min()) if len(accepted) else len(arm) + 1)
    return min(carried)


def commutator_test(point: Moments, draws: Moments, k: int) -> WaldTest:
    """Test that the operators of the two arms commute, as level 3 with k classes implies.

    Parameters
    ----------
    point : Moments
        From the data.
    draws : Moments
        Posterior draws, one leading axis.
    k : int

    Returns
    -------
    WaldTest
        NaN when the classes could not be separated.

    Notes
    -----
    Only the off-diagonal part of the commutator in the estimated eigenbasis varies to first order,
    so that part is tested, with the operators of the draws linearised about the point: if every
    drawn table were inverted, a few of them would dominate the covariance.
    """
    small = compress(point.M[None], point.N[None], point.mu[None], point.q[None], point.c, k)
    operators, inverse, singular = arm_operators(small.M, small.N)
    scale = np.sqrt((point.N**2).sum() / (point.M**2).sum())
    vectors, gap = separating_basis(operators, "joint", np.atleast_1d(scale))
    if k < 2 or singular[0] or gap[0] <= 0:
        return WaldTest(float("nan"), 0, float("nan"))
    control, treated = operators[0]
    basis = small.basis[0]
    change = inverse[0] @ (draws.N @ basis - draws.M @ basis @ operators[0])
    moved = (
        change[:, 0] @ treated
        - treated @ change[:, 0]
        + control @ change[:, 1]
        - change[:, 1] @ control
    )
    left = np.linalg.inv(vectors[0])
    off = ~np.eye(k, dtype=bool)
    estimate = left @ (control @ treated - treated @ control) @ vectors[0]
    return wald_test(estimate[off], (left @ moved @ vectors[0])[:, off])


def label_gap(effects: Array) -> float:
    """Least distance of neighbouring class effects, in standard deviations of that distance.

    Parameters
    ----------
    effects : ndarray, shape (B, k)
        Draws; NaN rows are left out.

    Returns
    -------
    float
        By quantiles, as a few draws may be far out; NaN with one class or without draws.
    """
    usable = effects[np.isfinite(effects).all(axis=1)]
    if effects.shape[1] < 2 or len(usable) < 2:
        return float("nan")
    gaps = np.diff(usable, axis=1)
    low, middle, high = np.quantile(gaps, scipy.stats.norm.cdf([-1, 0, 1]), axis=0)
    return float((2 * np.abs(middle) / (high - low)).min())


def shares_of_draws(stack: StackSolution) -> tuple[float, float, dict[str, float]]:
    """Return the share of draws that fail, that leave any range, and by reason.

    Parameters
    ----------
    stack : StackSolution

    Returns
    -------
    failed, out_of_range : float
    by_reason : dict of str to float
    """
    failed = ~stack.solved | stack.flags["probabilities"]
    by_reason = {name: float(flag.mean()) for name, flag in stack.flags.items()}
    return float(failed.mean()), float(stack.failed.mean()), by_reason


def notes(
    k: int, grade: str, carried: int, commutator: WaldTest, gap: float, failed_share: float
) -> tuple[str, ...]:
    """Return the faults in words; empty when there are none."""
    found = []
    if grade in ("caution", "refused"):
        found.append(f"Proxies are weak ({grade}).")
    if carried < k:
        found.append(f"The proxies carry {carried} of {k} classes; fewer classes or more proxies.")
    if carried > k:
        found.append(
            f"The proxies show at least {carried} classes, so k={k} is too small: class effects "
            "are blends, and the compressed average effect is biased."
        )
    if commutator.p_value < LEVEL:
        found.append(
            "The two arms do not share their classes (Wald test: if they did, the arms would "
            f"differ this much with probability {commutator.p_value:.2g}): an edge that was ruled "
            "out exists, or k is wrong."
        )
    if gap < LEAST_LABEL_GAP:
        found.append("Class effects are close; labels can switch between draws.")
    if failed_share > LARGEST_FAILED_SHARE:
        found.append(
            f"{failed_share:.0%} of draws have no usable solution; intervals are unreliable."
        )
    return tuple(found)
