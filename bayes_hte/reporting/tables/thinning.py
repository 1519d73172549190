"""The rows of a large study that a figure draws; the files always have all of them."""

from __future__ import annotations

import numpy as np

MOST_DRAWN = 150


def evenly_spaced(n: int, most: int = MOST_DRAWN) -> np.ndarray:
    """Choose up to `most` of `n` ordered units, the first and the last among them.

    Parameters
    ----------
    n : int
        Number of units, at least 1.
    most : int, default 150
        Largest number chosen.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    chosen = np.zeros(n, dtype=bool)
    chosen[np.linspace(0, n - 1, min(most, n)).round().astype(int)] = True
    return chosen
