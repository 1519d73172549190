"""Rows with proxies, and their moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayes_hte.errors import DataError, SpecError, UnsupportedError
from bayes_hte.mixtures.arrays import Array, Bounds, unit_range
from bayes_hte.mixtures.moments.strength import canonical_correlations, one_hot_correlations
from bayes_hte.mixtures.moments.tables import Moments
from bayes_hte.mixtures.proxies.bases import ContinuousBasis
from bayes_hte.mixtures.proxies.features import MAX_JOINT_LEVELS, Features, fit_proxies
from bayes_hte.study.frames import names_given
from bayes_hte.study.study import Study


@dataclass(frozen=True)
class MixtureData:
    """The columns that a mixture of effects is estimated from, as features.

    Attributes
    ----------
    z : Features
        Treatment-side proxies of the class.
    x : Features
        Outcome-side proxies of the class.
    arm : ndarray of int, shape (n,)
        0 reference, 1 the other.
    outcome : ndarray, shape (n,)
    arms : tuple
        Labels of the two arms, reference first.
    """

    z: Features
    x: Features
    arm: NDArray[np.int64]
    outcome: Array
    arms: tuple[Any, Any]

    @property
    def n_arm(self) -> Array:
        """Rows in each arm, shape (2,)."""
        return np.bincount(self.arm, minlength=2).astype(float)

    @property
    def one_hot(self) -> bool:
        """Whether the features of both sides are one-hot."""
        return self.z.codes is not None and self.x.codes is not None


def mixture_data(
    study: Study,
    *,
    z: Sequence[str],
    x: Sequence[str],
    continuous: ContinuousBasis | None = None,
    max_joint_levels: int = MAX_JOINT_LEVELS,
) -> MixtureData:
    """Take proxies from a study and form their features.

    Parameters
    ----------
    study : Study
        Its covariates include the proxies.
    z : sequence of str
        Treatment-side proxies: tied to the outcome only through the class and the treatment.
    x : sequence of str
        Outcome-side proxies: tied to the treatment only through the class.
    continuous : QuantileBins, Ranks or Splines, optional
        Features of continuous proxies; default ``QuantileBins(4)``.
    max_joint_levels : int, default 16
        Categories are crossed up to this size, else combined additively.

    Returns
    -------
    MixtureData

    Raises
    ------
    SpecError
        If a proxy plays two parts or is not a covariate of the study.
    DataError
        If a proxy cannot be used.
    UnsupportedError
        If the outcome is a time to an event.

    Examples
    --------
    >>> import numpy as np
    >>> import bayes_hte as hte
    >>> from bayes_hte.mixtures import draw_frame, mixture_data, paper_design
    >>> frame = draw_frame(paper_design(), 500, rng=np.random.default_rng(1))
    >>> study = hte.Study.from_frame(frame, outcome="y", treatment="t", covariates=["z", "x"])
    >>> mixture_data(study, z=["z"], x=["x"]).x.names
    ('x=0', 'x=1')
    """
    study.check_two_arms("a mixture of treatment effects")
    if study.event is not None:
        raise UnsupportedError(
            "mixtures need outcomes, and a censored time is none; use another outcome, "
            "such as survival of a time before which nobody was censored."
        )
    z, x = names_given(z, "proxy column"), names_given(x, "proxy column")
    both = [name for name in z if name in x]
    if both:
        raise SpecError(f"{', '.join(both)} cannot be a proxy on both sides; name it once.")
    strange = [name for name in (*z, *x) if name not in study.roles.covariates]
    if strange:
        raise SpecError(
            f"proxies must be covariates of the study; {', '.join(strange)} is not. "
            f"Covariates: {', '.join(study.roles.covariates)}."
        )
    study.check_complete([study.roles.outcome, *z, *x], "mixtures")
    sides = [
        fit_proxies(
            study.frame, names, continuous=continuous, max_joint_levels=max_joint_levels
        ).apply(study.frame)
        for names in (z, x)
    ]
    return MixtureData(sides[0], sides[1], study.arm_index(), study.outcome(), study.arms)


def mixture_arrays(z: ArrayLike, x: ArrayLike, arm: ArrayLike, outcome: ArrayLike) -> MixtureData:
    """Build mixture data from level codes.

    Parameters
    ----------
    z, x : array_like of int, shape (n,)
        Levels 0, 1, ... of one categorical proxy on each side.
    arm : array_like, shape (n,)
        0 or 1.
    outcome : array_like, shape (n,)

    Returns
    -------
    MixtureData

    Raises
    ------
    DataError
        If lengths differ, codes are not whole numbers from 0, arms are not 0 and 1, an arm is
        empty, or outcomes are missing.

    Examples
    --------
    >>> from bayes_hte.mixtures import mixture_arrays
    >>> data = mixture_arrays([0, 1, 0, 1], [0, 1, 1, 0], arm=[0, 0, 1, 1], outcome=[0, 1, 1, 0])
    >>> data.n_arm.tolist(), data.z.names
    ([2.0, 2.0], ('z=0', 'z=1'))
    """
    arms = np.asarray(arm)
    if arms.ndim != 1 or not np.isin(arms, (0, 1)).all():
        raise DataError(
            f"arm must be a vector of 0 and 1; got values {np.unique(arms)[:5].tolist()}. "
            "More than two arms: compare them in pairs."
        )
    if len(np.unique(arms)) < 2:
        raise DataError("one arm has no rows; effects need both arms.")
    values = _numbers("outcome", outcome)
    if values.shape != arms.shape or not np.isfinite(values).all():
        raise DataError(
            f"outcome must hold {len(arms)} finite numbers; got shape {values.shape} with "
            f"{int((~np.isfinite(values)).sum())} missing or infinite."
        )
    sides = [_coded("z", z, len(arms)), _coded("x", x, len(arms))]
    return MixtureData(sides[0], sides[1], arms.astype(np.int64), values, (0, 1))


def empirical_moments(data: MixtureData) -> Moments:
    """Form the moments of the rows.

    Parameters
    ----------
    data : MixtureData

    Returns
    -------
    Moments
        Plain averages by arm; one pass over the rows for one-hot features.

    Examples
    --------
    >>> from bayes_hte.mixtures import empirical_moments, mixture_arrays
    >>> data = mixture_arrays([0, 1, 0, 1], [0, 1, 1, 1], arm=[0, 0, 1, 1], outcome=[0, 1, 0, 1])
    >>> empirical_moments(data).mu.tolist()  # share of each level of x
    [0.25, 0.75]
    """
    mass, outcome = feature_sums(data)
    moments = moments_from_sums(mass, outcome, data)
    if data.one_hot:
        return replace(moments, canonical=one_hot_correlations(moments.M))
    grams = []
    for features in (data.z.dense(), data.x.dense()):
        arms = [features[data.arm == arm] for arm in (0, 1)]
        grams.append(np.stack([rows.T @ rows / len(rows) for rows in arms]))
    return replace(moments, canonical=canonical_correlations(moments.M, *grams))


def feature_sums(data: MixtureData, weights: Array | None = None) -> tuple[Array, Array]:
    """Weighted sums of psi phi' and psi phi' Y in each arm.

    Parameters
    ----------
    data : MixtureData
    weights : ndarray, shape (n,), optional
        Default one for each row.

    Returns
    -------
    mass, outcome : ndarray, shape (2, dz, dx)
    """
    if data.one_hot:
        shape = (2, len(data.z.names), len(data.x.names))
        cell = (data.arm * shape[1] + data.z.codes) * shape[2] + data.x.codes
        size = int(np.prod(shape))
        weighted = data.outcome if weights is None else weights * data.outcome
        return (
            np.bincount(cell, weights=weights, minlength=size).reshape(shape).astype(float),
            np.bincount(cell, weights=weighted, minlength=size).reshape(shape),
        )
    psi, phi = data.z.dense(), data.x.dense()
    sums = []
    for arm in (0, 1):
        rows = data.arm == arm
        left = psi[rows] if weights is None else psi[rows] * weights[rows, None]
        right = phi[rows]
        sums.append((left.T @ right, left.T @ (right * data.outcome[rows, None])))
    return np.stack([sums[0][0], sums[1][0]]), np.stack([sums[0][1], sums[1][1]])


def moments_from_sums(mass: Array, outcome: Array, data: MixtureData) -> Moments:
    """Turn sums of psi phi' and psi phi' Y into moments.

    Parameters
    ----------
    mass, outcome : ndarray, shape (..., 2, dz, dx)
        Sums over rows or probabilities of cells, with any leading axes.
    data : MixtureData
        Where they come from; gives constants, ranges and rows.

    Returns
    -------
    Moments
        With the same leading axes.
    """
    phi_sums = np.einsum("z,...tzx->...tx", data.z.constant, mass)
    arm_mass = phi_sums @ data.x.constant
    total = arm_mass.sum(axis=-1, keepdims=True)
    return Moments(
        M=mass / arm_mass[..., None, None],
        N=outcome / arm_mass[..., None, None],
        mu=phi_sums.sum(axis=-2) / total,
        q=phi_sums / arm_mass[..., None],
        c=data.x.constant,
        arm_share=arm_mass / total,
        n_arm=data.n_arm,
        bounds=Bounds(
            phi=data.x.bounds,
            psi=data.z.bounds,
            y=(float(data.outcome.min()), float(data.outcome.max())),
        ),
    )


def _numbers(name: str, values: ArrayLike) -> Array:
    """Return values as float64; raise DataError if they are not numbers."""
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} must hold numbers; {error}.") from error


def _coded(name: str, codes: ArrayLike, n: int) -> Features:
    """One-hot features from level codes."""
    array = np.asarray(codes)
    whole = array.dtype.kind in "iu" or (
        array.dtype.kind in "fb" and bool(np.all(array == np.floor(array)))
    )
    if array.shape != (n,) or not whole or array.min() < 0:
        raise DataError(
            f"{name} must hold {n} level codes 0, 1, ...; got shape {array.shape} of "
            f"{array.dtype}. For other columns build a Study and use mixture_data."
        )
    levels = array.astype(np.intp)
    size = int(levels.max()) + 1
    names = tuple(f"{name}={level}" for level in range(size))
    return Features(levels, None, names, np.ones(size), unit_range(size))
