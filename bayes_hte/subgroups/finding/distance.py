"""Step 1 of the M-learner: distances of units in their posterior-mean effects."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import pdist, squareform

from bayes_hte.errors import SpecError

# The matrix of 5,000 units takes 200 MB and grows with the square of their number.
MATRIX_LIMIT = 5_000


def feature_scales(points: np.ndarray, *, negligible: float) -> np.ndarray:
    """Return the divisor of each effect in distances of units.

    Parameters
    ----------
    points : ndarray, shape (unit, effect)
        Posterior-mean effects, in outcome units.
    negligible : float
        An effect whose values differ by at most this does not vary.

    Returns
    -------
    ndarray, shape (effect,)
        1 for a single effect, which keeps outcome units. For several effects the standard
        deviation over units, so that each counts equally, and infinity for an effect that does not
        vary: it then contributes nothing, where its rounding errors would count as much as a real
        effect.
    """
    n_effects = points.shape[1]
    if n_effects == 1:
        return np.ones(1)
    return np.where(np.ptp(points, axis=0) > negligible, points.std(axis=0), np.inf)


def effect_distances(features: np.ndarray) -> np.ndarray:
    """Return the distances between all pairs of units.

    With one effect the distance is the absolute difference of posterior means; with several it is
    Euclidean over the scaled effects. Distances are *not* squared: t-SNE squares what it is given,
    so squaring them here as well (as the published code does) would feed it fourth powers.

    Parameters
    ----------
    features : ndarray, shape (unit, effect)
        Posterior-mean effects divided by :func:`feature_scales`.

    Returns
    -------
    ndarray, shape (unit, unit)
        Symmetric, zero diagonal.

    Raises
    ------
    SpecError
        If there are more than 5,000 units: the matrix would not fit in reasonable memory.
    """
    n_units = len(features)
    if n_units > MATRIX_LIMIT:
        raise SpecError(
            f"a distance matrix of {n_units} units is not built (limit {MATRIX_LIMIT}); "
            "work on the effects themselves."
        )
    return squareform(pdist(features))
