"""Types that every part of the mixtures shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Bounds:
    """Ranges that class means must respect, as they are means of bounded quantities.

    Attributes
    ----------
    phi, psi : ndarray, shape (2, dx) and (2, dz), or None
        Lowest and highest value of every feature; None is not checked.
    y : tuple of float or None
        Lowest and highest value of the outcome; None is not checked.
    """

    phi: Array | None = None
    psi: Array | None = None
    y: tuple[float, float] | None = None
