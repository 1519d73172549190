"""The distance of two partitions of the same units: variation of information.

References
----------
Meila, M. (2007). Comparing clusterings: an information based distance. Journal of Multivariate
Analysis 98, 873-895. doi:10.1016/j.jmva.2006.11.013
"""

from __future__ import annotations

import numpy as np
from scipy.special import rel_entr

from bayes_hte.subgroups.describing.coclustering import indicator_blocks

# Groups of candidates by groups of draws that are counted at once: 16 MB in double precision.
TABLE_ROWS = 1_400


def partition_losses(candidates: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Compare every candidate with every draw.

    Parameters
    ----------
    candidates : ndarray of int, shape (candidate, unit)
        Labels from 0.
    draws : ndarray of int, shape (draw, unit)
        Labels from 0.

    Returns
    -------
    ndarray of float64, shape (candidate, draw)
        Variation of information in bits: the information in each partition that the other lacks,
        from 0 to log2 of the number of units.
    """
    n_rows, n_columns = int(candidates.max()) + 1, int(draws.max()) + 1
    parts = []
    for rows in indicator_blocks(candidates, n_rows, most_rows=TABLE_ROWS):
        across = [
            _variation_of_information(
                (rows @ columns.T)
                .astype(np.float64)
                .reshape(len(rows) // n_rows, n_rows, len(columns) // n_columns, n_columns)
            )
            for columns in indicator_blocks(draws, n_columns, most_rows=TABLE_ROWS)
        ]
        parts.append(np.concatenate(across, axis=1))
    return np.concatenate(parts)


def independent_losses(candidate: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Return the losses of partitions of the same sizes that have nothing in common.

    They are the yardstick for a loss: at this value, the partition says nothing about the draw.

    Parameters
    ----------
    candidate : ndarray of int, shape (unit,)
        Labels from 0.
    draws : ndarray of int, shape (draw, unit)
        Labels from 0.

    Returns
    -------
    ndarray of float64, shape (draw,)
    """
    inside = np.bincount(candidate)
    shares = np.stack([(draws == g).mean(axis=1) for g in range(int(draws.max()) + 1)], axis=1)
    return _variation_of_information(inside[np.newaxis, :, np.newaxis, np.newaxis] * shares)[0]


def _variation_of_information(counts: np.ndarray) -> np.ndarray:
    """Turn counts of units, shape (a, group, b, group), into losses, shape (a, b)."""
    # Minus the two conditional entropies, so that equal partitions are at exactly zero.
    known = rel_entr(counts, counts.sum(axis=3, keepdims=True))
    known += rel_entr(counts, counts.sum(axis=1, keepdims=True))
    n_units = float(counts[0, :, 0].sum())
    return -known.sum(axis=(1, 3)) / (np.log(2) * n_units)
