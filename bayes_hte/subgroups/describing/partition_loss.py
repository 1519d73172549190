"""How far apart two partitions of the same units are: variation of information, and Binder's loss.

References
----------
Meila, M. (2007). Comparing clusterings: an information based distance. Journal of Multivariate
Analysis 98, 873-895. doi:10.1016/j.jmva.2006.11.013
Binder, D. A. (1978). Bayesian cluster analysis. Biometrika 65, 31-38. doi:10.1093/biomet/65.1.31
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy.special import rel_entr

from bayes_hte.errors import unknown_name
from bayes_hte.subgroups.describing.coclustering import indicator_blocks

Loss = Literal["vi", "binder"]
# Groups of candidates by groups of draws that are counted at once: 16 MB in double precision.
TABLE_ROWS = 1_400
LOSS_WORDS: dict[str, str] = {
    "vi": "variation of information (bits)",
    "binder": "Binder's loss (share of pairs of units)",
}


def partition_losses(candidates: np.ndarray, draws: np.ndarray, *, loss: Loss) -> np.ndarray:
    """Compare every candidate with every draw.

    Parameters
    ----------
    candidates : ndarray of int, shape (candidate, unit)
        Labels from 0.
    draws : ndarray of int, shape (draw, unit)
        Labels from 0.
    loss : {"vi", "binder"}
        Variation of information in bits: what the two partitions tell beyond each other, from 0
        to log2 of the number of units. Binder's loss: share of the ordered pairs of units (each
        unit with itself included) that are together in one partition and apart in the other.

    Returns
    -------
    ndarray of float64, shape (candidate, draw)

    Raises
    ------
    SpecError
        If the loss is unknown.
    """
    measure = _measure(loss)
    n_rows, n_columns = int(candidates.max()) + 1, int(draws.max()) + 1
    parts = []
    for rows in indicator_blocks(candidates, n_rows, most_rows=TABLE_ROWS):
        across = [
            measure(
                (rows @ columns.T)
                .astype(np.float64)
                .reshape(len(rows) // n_rows, n_rows, len(columns) // n_columns, n_columns)
            )
            for columns in indicator_blocks(draws, n_columns, most_rows=TABLE_ROWS)
        ]
        parts.append(np.concatenate(across, axis=1))
    return np.concatenate(parts)


def independent_losses(candidate: np.ndarray, draws: np.ndarray, *, loss: Loss) -> np.ndarray:
    """Return the losses there would be if partitions of the same sizes had nothing in common.

    The yardstick for a loss: at this value, the partition says nothing about the draw.

    Parameters
    ----------
    candidate : ndarray of int, shape (unit,)
    draws : ndarray of int, shape (draw, unit)
    loss : {"vi", "binder"}

    Returns
    -------
    ndarray of float64, shape (draw,)
    """
    inside = np.bincount(candidate)
    shares = np.stack([(draws == g).mean(axis=1) for g in range(int(draws.max()) + 1)], axis=1)
    return _measure(loss)(inside[np.newaxis, :, np.newaxis, np.newaxis] * shares)[0]


def _measure(loss: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from counts, shape (a, group, b, group), to losses, shape (a, b)."""
    if loss not in LOSS_WORDS:
        raise unknown_name("loss", loss, LOSS_WORDS)
    return {"vi": _variation_of_information, "binder": _binder}[loss]


def _variation_of_information(counts: np.ndarray) -> np.ndarray:
    # Minus the two conditional entropies, so that equal partitions are at exactly zero.
    known = rel_entr(counts, counts.sum(axis=3, keepdims=True))
    known += rel_entr(counts, counts.sum(axis=1, keepdims=True))
    return -known.sum(axis=(1, 3)) / (np.log(2) * _n_units(counts))


def _binder(counts: np.ndarray) -> np.ndarray:
    together = (counts.sum(axis=3) ** 2).sum(axis=1) + (counts.sum(axis=1) ** 2).sum(axis=-1)
    return (together - 2 * (counts**2).sum(axis=(1, 3))) / _n_units(counts) ** 2


def _n_units(counts: np.ndarray) -> float:
    return float(counts[0, :, 0].sum())
