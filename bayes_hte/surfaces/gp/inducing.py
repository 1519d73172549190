"""Inducing points and the features they give: a Gaussian process as finitely many weights.

A process with kernel ``k(x, x') = exp(-1/2 sum_j (x_j - x'_j)^2 / l_j^2)`` is represented by its
values at M inducing points, whitened: with ``K_ZZ + jitter I = L L'`` and ``F(x) = L^-1 K_Zx``,

    ``f(x) = F(x)' w + sqrt(d(x)) e(x),   w ~ N(0, I),   d(x) = 1 - F(x)'F(x)``

and e independent standard normal at distinct x (the fully independent training conditional, FITC).
The points are chosen from the rows of the study alone, so they are found again from the study.

References
----------
Snelson, E., Ghahramani, Z. (2005). Sparse Gaussian processes using pseudo-inputs. Advances in
Neural Information Processing Systems 18, 1257-1264.
Quinonero-Candela, J., Rasmussen, C. E. (2005). A unifying view of sparse approximate Gaussian
process regression. Journal of Machine Learning Research 6, 1939-1959.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import linalg
from sklearn.cluster import KMeans

FEWEST, MOST = 100, 300
# Up to here the process is exact when its weights are integrated out: that is faster too.
EXACT_ROWS = 400
JITTER = 1e-6
# Any fixed number: the points must be the same whenever they are found again.
SEED = 0


def inducing_count(n_rows: int) -> int:
    """Return the default number of inducing points: ``4 sqrt(n)`` between 100 and 300."""
    return int(np.clip(round(4 * np.sqrt(n_rows)), FEWEST, MOST))


def inducing_points(z: np.ndarray, count: int) -> np.ndarray:
    """Return inducing points: cluster means of the rows, or every distinct row if they are few.

    Asking again for as many points as were returned gives the same points.

    Parameters
    ----------
    z : ndarray, shape (row, feature)
        Standardised columns of the study.
    count : int
        Largest number of points.

    Returns
    -------
    ndarray, shape (point, feature)
        Deterministic in `z` and `count`; not to be written to.
    """
    z = np.ascontiguousarray(z, dtype=np.float64)
    return _points(z.tobytes(), z.shape, count)


@lru_cache(maxsize=8)
def _points(content: bytes, shape: tuple[int, int], count: int) -> np.ndarray:
    z = np.frombuffer(content).reshape(shape)
    distinct = np.unique(z, axis=0)
    if len(distinct) <= count:
        points = distinct
    else:
        points = KMeans(count, n_init=1, random_state=SEED).fit(z).cluster_centers_
    points.flags.writeable = False
    return points


def point_labels(points: np.ndarray) -> np.ndarray:
    """Return a number for each point, by which a saved posterior recognises its points.

    Clustering may differ between versions of a library; predictions from weights and the points of
    other weights would be silently wrong.

    Parameters
    ----------
    points : ndarray, shape (point, feature)

    Returns
    -------
    ndarray, shape (point,)
        A fixed linear function of each point.
    """
    return np.round(points @ np.sqrt(1.0 + np.arange(points.shape[1])), 6)


def kernel(a: np.ndarray, b: np.ndarray, lengthscale: np.ndarray) -> np.ndarray:
    """Return the squared-exponential kernel of two sets of rows.

    Parameters
    ----------
    a, b : ndarray, shapes (m, feature) and (n, feature)
    lengthscale : ndarray, shape (feature,)

    Returns
    -------
    ndarray, shape (m, n)
    """
    a, b = a / lengthscale, b / lengthscale
    distance = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * a @ b.T
    # Rounding can leave a distance just below zero.
    return np.exp(-0.5 * np.maximum(distance, 0, out=distance))


def factor(points: np.ndarray, lengthscale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``K_ZZ`` without jitter and the lower Cholesky factor L with it.

    Parameters
    ----------
    points : ndarray, shape (point, feature)
    lengthscale : ndarray, shape (feature,)

    Returns
    -------
    gram, chol : ndarray, shape (point, point)
    """
    gram = kernel(points, points, lengthscale)
    chol = linalg.cholesky(gram + JITTER * np.eye(len(gram)), lower=True, check_finite=False)
    return gram, chol


def whitened(chol: np.ndarray, cross: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return features and the prior variance that they leave.

    Parameters
    ----------
    chol : ndarray, shape (point, point)
        From :func:`factor`.
    cross : ndarray, shape (point, row)
        Kernel of points and rows.

    Returns
    -------
    features : ndarray, shape (point, row)
        F, with prior ``f = F' w``.
    left : ndarray, shape (row,)
        d; the jitter keeps it positive up to rounding.
    """
    features = linalg.solve_triangular(chol, cross, lower=True, check_finite=False)
    return features, np.maximum(1 - (features * features).sum(axis=0), 0.0)
