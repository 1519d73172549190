"""Strength of the proxies: how well the two sides distinguish classes, on one scale for all."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from bayes_hte.mixtures.arrays import Array
from bayes_hte.mixtures.moments.solver import RANK_TOLERANCE

STRENGTHS: Final = ((8.0, "precise"), (2.5, "usable"), (1.5, "caution"), (0.0, "refused"))
"""Least strength of the proxies for each grade."""


def canonical_correlations(M: Array, psi_gram: Array, phi_gram: Array) -> Array:
    """Canonical correlations of the features of the two sides within each arm.

    Unlike the singular values of `M` they do not depend on the scale of the features or on how
    finely a proxy is cut, so one threshold serves all proxies.

    Parameters
    ----------
    M : ndarray, shape (2, dz, dx)
    psi_gram : ndarray, shape (2, dz, dz)
        E[psi psi' | T=t].
    phi_gram : ndarray, shape (2, dx, dx)
        E[phi phi' | T=t].

    Returns
    -------
    ndarray, shape (2, min(dz, dx))
        Descending; the first is 1, of the constant with itself.
    """
    whitened = _inverse_root(psi_gram) @ M @ _inverse_root(phi_gram)
    return np.linalg.svd(whitened, compute_uv=False)


def one_hot_correlations(M: Array) -> Array:
    """Canonical correlations of one-hot features, whose tables hold all that is needed.

    Parameters
    ----------
    M : ndarray, shape (2, dz, dx)
        P(Z=z, X=x | T=t).

    Returns
    -------
    ndarray, shape (2, min(dz, dx))
    """
    rows, columns = M.sum(axis=2), M.sum(axis=1)
    spread = rows[:, :, None] * columns[:, None, :]
    usable = spread > 0
    scaled = np.where(usable, M, 0) / np.sqrt(np.where(usable, spread, 1))
    return np.linalg.svd(scaled, compute_uv=False)


def strength_grade(strength: ArrayLike) -> str:
    """Grade the proxies: how far they carry class effects.

    Parameters
    ----------
    strength : array_like, shape (2,)
        As in :class:`bayes_hte.mixtures.moments.solution.MixtureSolution`; the weaker arm decides.

    Returns
    -------
    str
        ``"precise"``, ``"usable"``, ``"caution"``, ``"refused"``, or ``"unknown"`` when the
        strength is not known.

    Notes
    -----
    For binary proxies twice the strength is the z-statistic of the association of Z and X within
    an arm, so "refused" means a z below 3.
    """
    weaker = float(np.min(np.asarray(strength, dtype=float)))
    if np.isnan(weaker):
        return "unknown"
    return next(word for least, word in STRENGTHS if weaker >= least)


def weakness(strength: Array, k: int) -> tuple[str, ...]:
    """Return why classes must not be reported when the proxies are too weak.

    Parameters
    ----------
    strength : ndarray, shape (2,)
    k : int
        Number of classes.

    Returns
    -------
    tuple of str
        Empty when they are strong enough, or their strength is not known.
    """
    if strength_grade(strength) != "refused":
        return ()
    least = next(least for least, word in STRENGTHS if word == "caution")
    return (
        f"The proxies are too weak for {k} classes: strength "
        f"{strength.min():.2g} in the weaker arm, at least {least} is needed.",
    )


def _inverse_root(gram: Array) -> Array:
    """Inverse square roots of positive semidefinite matrices, without their null space."""
    values, vectors = np.linalg.eigh(gram)
    kept = values > RANK_TOLERANCE * values[..., -1:]
    root = np.where(kept, 1 / np.sqrt(np.where(kept, values, 1)), 0)
    return vectors * root[..., None, :] @ np.swapaxes(vectors, -1, -2)
