"""Compiled products of vectors, weighted sums of products, and draws from a normal."""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np

from bayes_hte.fitting.gibbs.slice_step import PLAIN
from bayes_hte.surfaces.compiling import FAST, compiled_on_disk

BLOCK = 512  # rows whose columns stay in the cache together


class Gram(NamedTuple):
    """Weighted sums of products.

    Attributes
    ----------
    q : ndarray, shape (column, column)
        Of the columns with one another.
    m : ndarray, shape (cluster, column)
        Of clusters' indicators with columns.
    t : ndarray, shape (cluster,)
        Weight of each cluster.
    """

    q: np.ndarray
    m: np.ndarray
    t: np.ndarray


@numba.njit(fastmath=FAST, **PLAIN)
def dot(a, b, n):
    """Sum the products of the first n entries."""
    total = 0.0
    for i in range(n):
        total += a[i] * b[i]
    return total


@numba.njit(fastmath=FAST, **PLAIN)
def dot_between(a, b, first, stop):
    """Sum the products of the entries from `first` to `stop`."""
    # Slices would compile much that is not needed.
    total = 0.0
    for i in range(first, stop):
        total += a[i] * b[i]
    return total


@numba.njit(fastmath=FAST, **PLAIN)
def add(a, b, factor, n):
    """Add a multiple of the first n entries of one vector to another."""
    for i in range(n):
        a[i] += factor * b[i]


@numba.njit(**PLAIN)
def copy(a, b):
    """Copy a vector into another."""
    # Assignments to slices would compile much that is not needed.
    for i in range(b.size):
        a[i] = b[i]


@numba.njit(**PLAIN)
def _cholesky(a):
    # Lower factor, in place; entries above the diagonal are left as they are.
    for i in range(a.shape[0]):
        for j in range(i):
            a[i, j] = (a[i, j] - dot(a[i], a[j], j)) / a[j, j]
        a[i, i] = math.sqrt(a[i, i] - dot(a[i], a[i], i))


@numba.njit(**PLAIN)
def draw_normal(a, h, rng):
    """Draw from Normal(a^-1 h, a^-1); a becomes its factor."""
    _cholesky(a)
    p = h.size
    out = np.empty(p)
    for i in range(p):
        out[i] = (h[i] - dot(a[i], out, i)) / a[i, i]
    for i in range(p):
        out[i] += rng.standard_normal()
    for i in range(p - 1, -1, -1):
        out[i] /= a[i, i]
        add(out, a[i], -out[i], i)
    return out


@compiled_on_disk(nogil=True, **PLAIN)
def gram(x, cluster, clusters, weight):
    """Sum the weighted products of columns and clusters' indicators; see :class:`Gram`."""
    p, n = x.shape
    q, m, t = np.zeros((p, p)), np.zeros((clusters, p)), np.zeros(clusters)
    scaled = np.empty(BLOCK)
    for begin in range(0, n, BLOCK):
        size = min(BLOCK, n - begin)
        for j in range(p):
            for i in range(size):
                scaled[i] = x[j, begin + i] * weight[begin + i]
            for k in range(j + 1):
                q[j, k] += dot(scaled, x[k, begin:], size)
            if clusters > 0:
                for i in range(size):
                    m[cluster[begin + i], j] += scaled[i]
    for j in range(p):
        for k in range(j):
            q[k, j] = q[j, k]
    if clusters > 0:
        for i in range(n):
            t[cluster[i]] += weight[i]
    return Gram(q, m, t)


@numba.njit(**PLAIN)
def times(sums, factor):
    """Multiply the sums of products by a number."""
    out = Gram(np.empty_like(sums.q), np.empty_like(sums.m), np.empty_like(sums.t))
    for j in range(sums.q.shape[0]):
        for k in range(sums.q.shape[0]):
            out.q[j, k] = factor * sums.q[j, k]
    for c in range(sums.t.size):
        out.t[c] = factor * sums.t[c]
        for j in range(sums.q.shape[0]):
            out.m[c, j] = factor * sums.m[c, j]
    return out
