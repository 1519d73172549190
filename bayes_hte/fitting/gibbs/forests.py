"""The part of the direct sampler that draws forests."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bayes_hte.surfaces.forest import core
from bayes_hte.surfaces.forest.draws import ForestDraw
from bayes_hte.surfaces.forest.planting import plant
from bayes_hte.surfaces.forest.step import ALIKE, WAIT, ForestData


class ForestsPart:
    """All forests of one chain.

    Parameters
    ----------
    forests : mapping of str to ForestData
        By name of their variable; at least one.
    tune : int
        Iterations of the tuning; the probabilities of the columns are not sampled in the first of
        them, and deviations wait.
    """

    def __init__(self, forests: Mapping[str, ForestData], *, tune: int) -> None:
        self.names = tuple(forests)
        self._lives = [plant(f.prior, f.x, f.basis, **f.columns) for f in forests.values()]
        self._joint = core.join(self._lives)
        self._waits = np.array([f.waits for f in forests.values()])
        self._alike, self._wait = int(ALIKE * tune), int(WAIT * tune)

    def begin(self, iteration: int) -> None:
        """Note the iteration, counted from the start of the tuning."""
        self._learning = iteration >= self._alike
        self._joint.active[:] = ~self._waits | (iteration >= self._wait)

    def predictor(self) -> np.ndarray:
        """Return what the forests add to the linear predictor, shape (row,)."""
        return (self._joint.basis * self._joint.f).sum(axis=0)

    def sweep(self, residual: np.ndarray, precision: np.ndarray, rng: np.random.Generator) -> None:
        """Update every tree once, given a gaussian working response.

        Parameters
        ----------
        residual : ndarray, shape (row,)
            Working response less the whole linear predictor; updated in place.
        precision : ndarray, shape (row,)
            One over the variance of the working noise.
        rng : Generator
            Source of the draws.
        """
        core.sweep_all(self._joint, residual, precision, rng, update_shares=self._learning)

    def record(self) -> dict[str, np.ndarray]:
        """Return the functions at the rows, without their bases, each of shape (row,)."""
        return dict(zip(self.names, self._joint.f, strict=True))

    def draw(self) -> ForestDraw:
        """Return the trees as plain arrays."""
        return ForestDraw(
            forests=tuple(core.pack(live) for live in self._lives),
            leaf_sd=np.sqrt(self._joint.variance),
            leaves=np.array([core.mean_leaves(live) for live in self._lives]),
            probabilities=tuple(core.split_probabilities(live) for live in self._lives),
        )
