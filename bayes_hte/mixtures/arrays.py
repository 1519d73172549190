"""Types and checks that every part of the mixtures shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayes_hte.effects.arguments import check_number

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


def check_whole(name: str, value: object, least: int) -> None:
    """Raise SpecError unless an argument is a whole number, `least` or more."""
    allowed = f"a whole number, at least {least}"
    check_number(name, value, allowed, lambda number: number >= least, whole=True)


def unit_range(size: int) -> Array:
    """Return the range of one-hot features, 0 to 1 for each; shape (2, size)."""
    return np.stack([np.zeros(size), np.ones(size)])
