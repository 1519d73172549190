"""Step 3 of the M-learner: K-means of the units."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

STARTS = 10


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
