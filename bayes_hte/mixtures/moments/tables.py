"""Moment tables: averages of features and outcome by arm, and their checks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bayes_hte.errors import DataError, NotIdentifiedError, SpecError
from bayes_hte.mixtures.arrays import Array, Bounds


@dataclass(frozen=True)
class Moments:
    """Averages of features and outcome by arm; any leading axes are a stack of problems.

    Attributes
    ----------
    M : ndarray, shape (..., 2, dz, dx)
        E[psi phi' | T=t], control arm first.
    N : ndarray, shape (..., 2, dz, dx)
        E[psi phi' Y | T=t], in outcome units.
    mu : ndarray, shape (..., dx)
        E[phi] over both arms.
    q : ndarray, shape (..., 2, dx)
        E[phi | T=t].
    c : ndarray, shape (dx,)
        The constant: phi'c = 1 for every unit.
    arm_share : ndarray, shape (..., 2), or None
        P(T=t); not needed to solve, needed for the joint law of treatment and class.
    n_arm : ndarray, shape (2,), or None
        Rows behind the averages of each arm; None for population tables.
    canonical : ndarray, shape (2, min(dz, dx)), or None
        Canonical correlations of psi and phi within each arm, the constant's 1 first; the k-th
        measures how well k classes are distinguished. None when not known.
    bounds : Bounds
        Ranges of features and outcome.
    """

    M: Array
    N: Array
    mu: Array
    q: Array
    c: Array
    arm_share: Array | None = None
    n_arm: Array | None = None
    canonical: Array | None = None
    bounds: Bounds = field(default_factory=Bounds)

    @property
    def n_features(self) -> tuple[int, int]:
        """Number of treatment-side and outcome-side features, ``(dz, dx)``."""
        return int(self.M.shape[-2]), int(self.M.shape[-1])


def check_moments(moments: Moments) -> None:
    """Raise unless the arrays of a `Moments` fit together.

    Raises
    ------
    DataError
        If shapes disagree, numbers are missing or infinite, or the constant does not fit.
    """
    dz, dx = moments.n_features
    stack = moments.M.shape[:-3]
    wanted = {"M": (2, dz, dx), "N": (2, dz, dx), "mu": (dx,), "q": (2, dx)}
    for name, tail in wanted.items():
        array = getattr(moments, name)
        if array.shape != (*stack, *tail):
            raise DataError(
                f"{name} must have shape {(*stack, *tail)} to fit M of shape "
                f"{moments.M.shape}; got {array.shape}."
            )
        if not np.isfinite(array).all():
            raise DataError(
                f"{name} holds missing or infinite numbers; drop or impute rows with missing "
                "values before forming moments."
            )
    if moments.c.shape != (dx,) or not np.isfinite(moments.c).all():
        raise DataError(f"c must hold {dx} finite numbers; got shape {moments.c.shape}.")
    for name, array in (("mu", moments.mu), ("q", moments.q)):
        totals = array @ moments.c
        if np.abs(totals - 1).max() > 1e-6:
            raise DataError(
                f"{name} @ c must be 1, as phi'c = 1 for every unit; got "
                f"{np.ravel(totals)[0]:.6g}. One-hot features have c = ones; for others give the "
                "constant c, and q = E[phi | T=t] when psi does not add up to one."
            )


def number_of_classes(moments: Moments, k: int | None) -> int:
    """Return the number of classes to solve for, checked against the features.

    Raises
    ------
    SpecError
        If k is not given for tables that are not square, or is not a positive whole number.
    NotIdentifiedError
        If k exceeds the number of features on one side.
    """
    dz, dx = moments.n_features
    if k is None:
        if dz != dx:
            raise SpecError(
                f"the number of classes k must be given when dz={dz} and dx={dx} differ; it is at "
                f"most {min(dz, dx)}."
            )
        return dz
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise SpecError(f"k must be a whole number from 1 to {min(dz, dx)}; got {k!r}.")
    if k > min(dz, dx):
        raise NotIdentifiedError(
            f"{k} classes need at least {k} features on each side; got dz={dz} and dx={dx}. "
            "Add proxies or levels, or lower k."
        )
    return int(k)
