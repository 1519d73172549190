"""Starting values for a likelihood model of the same classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes_hte.errors import DataError, NotIdentifiedError
from bayes_hte.mixtures.arrays import Array
from bayes_hte.mixtures.moments.solution import MixtureSolution
from bayes_hte.mixtures.moments.tables import Moments


@dataclass(frozen=True)
class StartingValues:
    """A proper law of classes, proxies and treatment near a moment solution.

    Attributes
    ----------
    probabilities : ndarray, shape (k,)
        P(U=u).
    x_given_u : ndarray, shape (k, dx)
    z_given_u : ndarray, shape (k, dz)
    treated_given_zu : ndarray, shape (k, dz)
        P(T=1 | Z=z, U=u).
    baseline : ndarray, shape (k, 2)
        E[Y(t) | U=u], inside the range of the outcome when that is bounded.
    """

    probabilities: Array
    x_given_u: Array
    z_given_u: Array
    treated_given_zu: Array
    baseline: Array


def starting_values(
    solution: MixtureSolution, moments: Moments, *, floor: float = 0.02
) -> StartingValues:
    """Move a moment solution into its ranges, to start a likelihood model from.

    This is the one place where a solution is clipped, because a start must be a proper law. The
    result is not an estimate.

    Parameters
    ----------
    solution : MixtureSolution
        With one-hot features.
    moments : Moments
        The moments it came from; they give the share of each arm.
    floor : float, default 0.02
        Least probability, and least distance from the ends of the outcome's range as a share.

    Returns
    -------
    StartingValues

    Raises
    ------
    NotIdentifiedError
        If there is no solution to start from.
    DataError
        If the features are not one-hot or the moments have no arm shares.

    Examples
    --------
    >>> from bayes_hte import mixtures
    >>> moments = mixtures.population_moments(mixtures.paper_design())
    >>> start = mixtures.starting_values(mixtures.solve_mixture(moments), moments)
    >>> start.x_given_u.round(6).tolist()
    [[0.75, 0.25], [0.25, 0.75]]
    """
    if not np.isfinite(solution.effects).all():
        raise NotIdentifiedError(
            f"no moment solution to start from: {'; '.join(solution.failed)}. "
            "Start the model from random classes."
        )
    adds_up = all(np.allclose(part.sum(axis=-1), 1) for part in (solution.phi, solution.psi))
    if moments.arm_share is None or not adds_up:
        raise DataError("starting values need one-hot features and moments with arm shares.")
    # P(u, z, t) = P(t) P(u|t) P(z|u,t)
    joint = np.einsum("t,tu,tuz->uzt", moments.arm_share, solution.pi, solution.psi)
    joint = np.maximum(joint, floor * joint.sum() / joint.size)
    baseline = solution.baseline
    if moments.bounds.y is not None:
        low, high = moments.bounds.y
        margin = floor * (high - low)
        baseline = np.clip(baseline, low + margin, high - margin)
    by_class = joint.sum(axis=(1, 2))
    return StartingValues(
        probabilities=_proper(solution.probabilities, floor),
        x_given_u=_proper(solution.phi, floor),
        z_given_u=_proper(joint.sum(axis=2) / by_class[:, None], floor),
        treated_given_zu=np.clip(joint[..., 1] / joint.sum(axis=2), floor, 1 - floor),
        baseline=baseline,
    )


def _proper(values: Array, floor: float) -> Array:
    """Clip to at least `floor` and scale the last axis to add up to one."""
    raised = np.maximum(values, floor)
    return raised / raised.sum(axis=-1, keepdims=True)
