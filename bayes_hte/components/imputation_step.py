"""A PyMC step method that walks through imputed outcomes: one stage feeding the next.

The index of the imputation is a variable of the model that no likelihood may move: each iteration
takes the next draw of the previous stage, however improbable it is in this stage (a *cut* between
the two). Consecutive draws of one chain differ little, so this stage keeps up with them, and its
draws spread over the uncertainty of both stages.

References
----------
Plummer, M. (2015). Cuts in Bayesian graphical models. Statistics and Computing 25, 37-43.
doi:10.1007/s11222-014-9503-z
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pymc.step_methods.arraystep import BlockedStep
from pytensor.tensor.variable import TensorVariable


class ImputationStep(BlockedStep):
    """Move an index through the draws of one chain of the previous stage.

    Parameters
    ----------
    variable : TensorVariable
        Value variable of the index; its start value in each chain is that chain's first draw.
    draws : int
        Draws per chain of the previous stage; the walk starts again after the last.
    """

    name = "imputation"
    stats_dtypes_shapes = {}  # noqa: RUF012 (PyMC's own class attribute)

    def __init__(self, variable: TensorVariable, *, draws: int) -> None:
        self.vars = [variable]
        self.draws = draws
        self.blocked = True
        self.tune = True
        self.rng = np.random.default_rng()

    @staticmethod
    def competence(var: TensorVariable, has_grad: bool) -> int:
        """Never volunteer."""
        return 0

    def setup_chain(self, rng: Any, tune: int, draws: int) -> None:
        """Place the walk so that the first kept draw meets the first imputation."""
        super().setup_chain(rng, tune, draws)
        self._first: int | None = None
        self._iteration = -tune

    def step(self, point: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[dict]]:
        """Take the next imputation."""
        name = self.vars[0].name
        if self._first is None:
            self._first = int(point[name])
        index = self._first + self._iteration % self.draws
        self._iteration += 1
        return point | {name: np.asarray(index, dtype=point[name].dtype)}, [{}]
