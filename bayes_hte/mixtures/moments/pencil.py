"""The published route to the classes: synthetic potential outcomes, then a matrix pencil.

Kept as the reference that the operator solver is tested against. Use
:func:`bayes_hte.mixtures.moments.solution.solve_moments` for results: both are the same estimator
when ``dz == dx == k``, but powers of the effect lose digits quickly (at k = 8 the pencil keeps 5 of
them, the operator 13).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike

from bayes_hte.mixtures.arrays import Array
from bayes_hte.mixtures.moments.solver import FLAGS, MERGE_TOLERANCE, RANK_TOLERANCE, compress
from bayes_hte.mixtures.moments.tables import Moments, check_moments, number_of_classes


@dataclass(frozen=True)
class PencilSolution:
    """Classes from the moments of the effect, in ascending order of their effect.

    Attributes
    ----------
    effects, probabilities : ndarray, shape (k,)
        NaN where there is no real solution.
    moments : ndarray, shape (2k,)
        m_l = sum_u p_u R_u^l for l = 0..2k-1.
    failed : tuple of str
        Why there is no solution; empty when there is one.
    """

    effects: Array
    probabilities: Array
    moments: Array
    failed: tuple[str, ...]


def solve_moments_pencil(
    M: ArrayLike,
    N: ArrayLike,
    mu: ArrayLike,
    c: ArrayLike | None = None,
    k: int | None = None,
) -> PencilSolution:
    """Find classes by the recursion of synthetic potential outcomes and a matrix pencil.

    Parameters
    ----------
    M, N : array_like, shape (2, dz, dx)
        E[psi phi' | T=t] and E[psi phi' Y | T=t], control arm first.
    mu : array_like, shape (dx,)
        E[phi] over both arms.
    c : array_like, shape (dx,), optional
        The constant, phi'c = 1; default ones.
    k : int, optional
        Number of classes; required unless ``dz == dx``, which is then the default.

    Returns
    -------
    PencilSolution

    Raises
    ------
    DataError, SpecError, NotIdentifiedError
        As :func:`bayes_hte.mixtures.moments.solution.solve_moments`.

    References
    ----------
    Mazaheri, Squires, Uhler (2025), AISTATS, PMLR 258. Rabani, Schulman, Swamy (2014), Learning
    mixtures of arbitrary distributions over large discrete domains, ITCS,
    doi:10.1145/2554797.2554818.

    Examples
    --------
    >>> from bayes_hte.mixtures import paper_design, population_moments, solve_moments_pencil
    >>> exact = population_moments(paper_design())
    >>> solve_moments_pencil(exact.M, exact.N, exact.mu).effects.round(6).tolist()
    [-0.75, 0.75]
    """
    tables = np.asarray(M, dtype=float)
    constant = np.ones(tables.shape[-1]) if c is None else np.asarray(c, dtype=float)
    mean = np.asarray(mu, dtype=float)
    moments = Moments(
        M=tables,
        N=np.asarray(N, dtype=float),
        mu=mean,
        q=np.broadcast_to(mean, (2, *mean.shape)),  # class shares by arm are not used here
        c=constant,
    )
    check_moments(moments)
    n_classes = number_of_classes(moments, k)
    powers, singular = effect_moments(moments, n_classes)
    return _from_powers(powers, n_classes, singular)


def effect_moments(moments: Moments, k: int) -> tuple[Array, bool]:
    """Moments of the effect by the recursion over synthetic potential outcomes.

    ``gamma_l`` is the function of the outcome-side features whose class means are ``R_u^l``; each
    step solves one proximal equation in each arm and keeps the difference.

    Parameters
    ----------
    moments : Moments
        Without leading axes.
    k : int
        Number of classes.

    Returns
    -------
    powers : ndarray, shape (2k,)
        m_0..m_{2k-1}; NaN when the tables are singular.
    singular : bool
    """
    small = compress(
        moments.M[None], moments.N[None], moments.mu[None], moments.q[None], moments.c, k
    )
    gamma = small.c[0]
    powers = [small.mu[0] @ gamma]
    for _ in range(2 * k - 1):
        arms = [
            np.linalg.lstsq(small.M[0, arm], small.N[0, arm] @ gamma, rcond=RANK_TOLERANCE)
            for arm in (0, 1)
        ]
        if min(rank for _, _, rank, _ in arms) < k:
            return np.full(2 * k, np.nan), True
        gamma = arms[1][0] - arms[0][0]
        powers.append(small.mu[0] @ gamma)
    return np.array(powers), False


def _from_powers(powers: Array, k: int, singular: bool) -> PencilSolution:
    """Atoms and weights of the distribution with the given moments (Prony's method)."""
    blank = np.full(k, np.nan)
    if singular:
        return PencilSolution(blank, blank, powers, (FLAGS["singular"],))
    hankel = scipy.linalg.hankel(powers[:k], powers[k - 1 : 2 * k - 1])
    shifted = scipy.linalg.hankel(powers[1 : k + 1], powers[k:])
    sizes = np.linalg.svd(hankel, compute_uv=False)
    if sizes[-1] <= RANK_TOLERANCE * sizes[0]:
        return PencilSolution(blank, blank, powers, (FLAGS["merged"],))
    values = scipy.linalg.eigvals(shifted, hankel)
    if (values.imag != 0).any():
        tie = np.abs(values.imag).max() <= MERGE_TOLERANCE * np.abs(values).max()
        return PencilSolution(blank, blank, powers, (FLAGS["merged" if tie else "complex"],))
    effects = np.sort(values.real)
    weights = np.linalg.solve(np.vander(effects, k, increasing=True).T, powers[:k])
    outside = (weights < -MERGE_TOLERANCE).any() or (weights > 1 + MERGE_TOLERANCE).any()
    return PencilSolution(effects, weights, powers, (FLAGS["probabilities"],) if outside else ())
