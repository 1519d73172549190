"""Step 3 of the M-learner: clusters of the units, by K-means or by a mixture."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

STARTS = 10
# Rounds of the mixture; it is near its maximum in tens of them.
MOST_ROUNDS = 1_000


def single_threaded() -> threadpool_limits:
    """Return a context in which OpenMP loops run on one thread.

    K-means and t-SNE synchronise threads thousands of times a second; where other work shares the
    processor, threads wait for each other and the same map takes four times as long. One thread
    also fixes the order of additions, hence the last digits.
    """
    return threadpool_limits(limits=1, user_api="openmp")


def cluster_units(features: np.ndarray, k: int, *, seed: int) -> np.ndarray:
    """Cluster units by K-means with ten seeded starts.

    Parameters
    ----------
    features : ndarray, shape (unit, feature)
        Scaled posterior-mean effects, or positions on the t-SNE map; at least `k` distinct rows.
    k : int
        Number of clusters.
    seed : int
        Seed of the starts.

    Returns
    -------
    ndarray of int, shape (unit,)
        Cluster of each unit, 0 to k - 1, in no meaningful order.
    """
    # Centred first: K-means of effects that differ little around a large mean loses precision.
    centred = features - features.mean(axis=0)
    model = KMeans(n_clusters=k, n_init=STARTS, random_state=seed)
    with single_threaded():
        return model.fit_predict(centred)


def mixture_of_units(features: np.ndarray, k: int, *, seed: int) -> np.ndarray:
    """Cluster units by a mixture of normal distributions, each with a spread of its own.

    Where most units share nearly one effect and the others are spread out, a narrow component next
    to a wide one puts the border near the narrow one; K-means puts it half-way.

    Parameters
    ----------
    features, k, seed
        As in :func:`cluster_units`.

    Returns
    -------
    ndarray of int, shape (unit,)
        Most probable component of each unit, 0 to k - 1, in no meaningful order; components that
        are the most probable one of no unit are absent.
    """
    centred = features - features.mean(axis=0)
    # The least variance of a component is an absolute number in scikit-learn.
    scaled = centred / centred.std(axis=0).max()
    model = GaussianMixture(k, n_init=STARTS, max_iter=MOST_ROUNDS, random_state=seed)
    with single_threaded():
        return model.fit_predict(scaled)
