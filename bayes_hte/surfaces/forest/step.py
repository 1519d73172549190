"""A PyMC step method that updates forest variables by conjugate sweeps.

The model holds each forest as a vector over the rows of the data, with a flat log-density, inside
a linear predictor ``eta = offset + sum_k b_k f_k(x) + ...``. Given everything else in the model
(noise scale, coefficients: left to NUTS in the same compound step) one sweep draws the augmentation
that makes the outcome gaussian (:mod:`bayes_hte.surfaces.forest.working_models`) and then samples
every forest in turn from its full conditional (:mod:`bayes_hte.surfaces.forest.core`). The
augmentation is discarded within the sweep, so the posterior of the forests is that of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pymc.step_methods.arraystep import BlockedStep
from pytensor.tensor.variable import TensorVariable

from bayes_hte.errors import SpecError, unknown_name
from bayes_hte.study.time_to_event import Censoring
from bayes_hte.surfaces.forest import core as forest_core
from bayes_hte.surfaces.forest.core import ForestPrior, LiveForest
from bayes_hte.surfaces.forest.draws import ForestDraw
from bayes_hte.surfaces.forest.planting import plant
from bayes_hte.surfaces.forest.working_models import FAMILIES, without_unknown, working_model

# Name of the sampler statistic that carries the trees of each draw out of the worker process.
STAT = "forest_draw"
# Sweeps of every forest in one iteration of PyMC. With one, a fit of 250 units took two thirds of
# the time for less than half of the effective draws of individual effects; with four, 1.7 times
# the time for 1.8 times as many.
SWEEPS = 2
# Share of the tuning after which the probabilities of the columns are sampled; all are alike until
# trees have found what they need.
ALIKE = 0.2
# Share of the tuning for which deviations wait, so that what units of all arms have in common goes
# to the part that they share. Where both can hold it, chains that begin with all at once end up
# in different places; the longer the wait, the worse where arms have little in common (measured:
# tests/benchmarks/RESULTS.md).
WAIT = 1 / 6


@dataclass(frozen=True)
class ForestData:
    """Prior, columns and basis of one forest variable.

    Attributes
    ----------
    prior : ForestPrior
        Its prior.
    x : ndarray, shape (row, feature)
        Columns to split on.
    levels : ndarray of int, shape (feature,), or None
        Number of levels of a categorical column (which holds their codes), 0 for a numeric one;
        None if all are numeric.
    basis : ndarray, shape (row,), or None
        Factor of the forest in the linear predictor; None is 1.
    variables : ndarray of int, shape (feature,), or None
        The variable each column comes from; None if each is its own.
    reserved : int or None
        A column with a probability of its own, if the prior is sparse.
    waits : bool
        Whether it waits for a part of the tuning (``WAIT``), as a deviation from other forests.
    missing : ndarray of bool, shape (feature,), or None
        Whether a column may have missing values; None if none has.
    """

    prior: ForestPrior
    x: np.ndarray
    levels: np.ndarray | None = None
    basis: np.ndarray | None = None
    variables: np.ndarray | None = None
    reserved: int | None = None
    waits: bool = False
    missing: np.ndarray | None = None

    @property
    def columns(self) -> dict[str, Any]:
        """What the sampler is told of the columns in addition to their values."""
        return {
            "levels": self.levels,
            "variables": self.variables,
            "reserved": self.reserved,
            "missing": self.missing,
        }


class ForestStep(BlockedStep):
    """Update all forests of one observed variable.

    Parameters
    ----------
    vars : list of TensorVariable
        The forest variables, each of shape (row,); all are updated together.
    forests : mapping of str to ForestData
        Prior, columns and basis of each, by variable name.
    eta : TensorVariable, shape (row,)
        Linear predictor of the observed variable; affine in each forest with the declared basis.
    y : ndarray or TensorVariable, shape (row,)
        Observed outcome; a graph if it depends on another variable of the model (imputations).
    family : str
        Distribution of `y` given `eta`; one of those with a working model.
    noise : mapping of str to TensorVariable, scalar or shape (row,)
        The family's other parameters.
    known : ndarray of bool, shape (row,), optional
        Whether each row has an outcome; those that have none (and any value in `y`) say nothing.
        Default: all have.
    censoring : Censoring, optional
        Events and entries of the rows, for a family of times to an event.
    sweeps : int
        Sweeps of every forest in one iteration.

    Raises
    ------
    SpecError
        If the family is unknown, or `eta` is not affine in a forest with the basis that was
        declared for it.
    """

    name = "forest"
    stats_dtypes_shapes = {  # noqa: RUF012 (PyMC's own class attribute)
        STAT: (object, None),
    }

    def __init__(
        self,
        vars: list[TensorVariable],
        *,
        forests: Mapping[str, ForestData],
        eta: TensorVariable,
        y: np.ndarray | TensorVariable,
        family: str,
        noise: Mapping[str, TensorVariable],
        known: np.ndarray | None = None,
        censoring: Censoring | None = None,
        sweeps: int = SWEEPS,
        model: pm.Model | None = None,
        blocked: bool = True,
        rng: np.random.Generator | None = None,
    ) -> None:
        if family not in FAMILIES:
            raise unknown_name("family of a forest", family, FAMILIES)
        model = pm.modelcontext(model)
        self.vars = [model.rvs_to_values.get(v, v) for v in vars]
        self.names = [v.name for v in self.vars]
        self.forests = {name: forests[name] for name in self.names}
        self.family = family
        self.known = known
        self.censoring = censoring
        self.sweeps = sweeps
        self.tune = True
        self.rng = np.random.default_rng() if rng is None else rng
        self.noise_names = tuple(noise)
        self.inputs = [v.name for v in model.value_vars]
        outputs = [eta, pt.as_tensor_variable(y), *noise.values()]
        self._evaluate = pytensor.function(
            model.value_vars,
            model.replace_rvs_by_values([pt.cast(out, "float64") for out in outputs]),
            on_unused_input="ignore",
        )
        self._live: dict[str, LiveForest] = {}
        self._check_affine(model.initial_point(random_seed=0))

    @staticmethod
    def competence(var: TensorVariable, has_grad: bool) -> int:
        """Never volunteer: the step cannot find the data of its forests alone."""
        return 0

    def setup_chain(self, rng: Any, tune: int, draws: int) -> None:
        """Plant new forests for one chain."""
        super().setup_chain(rng, tune, draws)
        self._live = {
            name: plant(f.prior, f.x, f.basis, **f.columns) for name, f in self.forests.items()
        }
        self._joint = forest_core.join(list(self._live.values()))
        self._alike, self._wait = int(ALIKE * tune), int(WAIT * tune)
        self._values = {name: forest_core.values(live) for name, live in self._live.items()}

    def step(self, point: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[dict]]:
        """Sweep every forest and write its values into the point."""
        # The trees hold the state; a jittered or copied start value of a forest does not.
        point = point | self._values
        eta, y, *noise = self._at(point)
        noise = dict(zip(self.noise_names, noise, strict=True))
        waiting = np.array([f.waits for f in self.forests.values()]) & (self._wait > 0)
        self._joint.active[:] = ~waiting
        for _ in range(self.sweeps):
            working = working_model(self.family, y, eta, noise, self.rng, censoring=self.censoring)
            working = without_unknown(working, self.known)
            residual = working.residual.copy()
            forest_core.sweep_all(
                self._joint, residual, working.precision, self.rng, update_shares=self._alike <= 0
            )
            eta = eta + (working.residual - residual)
        self._alike, self._wait = self._alike - 1, self._wait - 1
        self._values = {name: forest_core.values(live) for name, live in self._live.items()}
        return point | self._values, [self._stats()]

    def _at(self, point: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        return self._evaluate(*[point[name] for name in self.inputs])

    def _stats(self) -> dict[str, ForestDraw]:
        live = list(self._live.values())
        kept = ForestDraw(
            forests=() if self.tune else tuple(forest_core.pack(f) for f in live),
            leaf_sd=np.sqrt([f.leaf_variance for f in live]),
            leaves=np.array([forest_core.mean_leaves(f) for f in live]),
            probabilities=tuple(forest_core.split_probabilities(f) for f in live),
        )
        return {STAT: kept}

    def _check_affine(self, start: dict[str, np.ndarray]) -> None:
        """Move each forest alone, and check that eta moves by the declared basis."""
        rng = np.random.default_rng(0)
        base = self._at(start)[0]
        for name, forest in self.forests.items():
            shift = rng.normal(size=base.size)
            moved = self._at(start | {name: start[name] + shift})[0]
            expected = shift if forest.basis is None else shift * forest.basis
            scale = 1e-6 * (1 + np.abs(base).max() + np.abs(expected).max())
            if not np.allclose(moved - base, expected, atol=scale):
                raise SpecError(
                    f"the linear predictor is not affine in forest {name!r} with its declared "
                    "basis; a forest step cannot sample it. Declare the basis that multiplies it."
                )
