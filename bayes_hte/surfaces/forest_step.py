"""A PyMC step method that updates forest variables by conjugate sweeps.

The model holds each forest as a vector over the rows of the data, with a flat log-density, inside
a linear predictor ``eta = offset + sum_k b_k f_k(x) + ...``. Given everything else in the model
(noise scale, coefficients: left to NUTS in the same compound step) one step samples

- family gaussian, ``y ~ Normal(eta, sigma)``: every forest in turn from its full conditional, the
  working model of :mod:`bayes_hte.surfaces.forest_core` with ``r = y - eta``, ``v = sigma^2``;
- family bernoulli, ``y ~ Bernoulli(logit^-1(eta))``: first ``omega_i ~ PolyaGamma(1, eta_i)``, then
  every forest given omega: ``r = (y - 1/2)/omega - eta``, ``v = 1``, ``w = 1/omega``. The
  augmentation is drawn and forgotten within the step, so the posterior of the forests is exact.

References
----------
Polson, N. G., Scott, J. G., Windle, J. (2013). Bayesian inference for logistic models using
Polya-Gamma latent variables. JASA 108, 1339-1349. doi:10.1080/01621459.2013.829001
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor
from polyagamma import random_polyagamma
from pymc.step_methods.arraystep import BlockedStep
from pytensor.tensor.variable import TensorVariable
from stochtree import Residual

from bayes_hte.errors import SpecError, UnsupportedError
from bayes_hte.surfaces import forest_core
from bayes_hte.surfaces.forest_core import ChainRandomness, ForestPrior, LiveForest
from bayes_hte.surfaces.trees import ForestDraw, pack

FAMILIES = ("gaussian", "bernoulli")
# Name of the sampler statistic that carries the trees of each draw out of the worker process.
STAT = "forest_draw"


@dataclass(frozen=True)
class ForestData:
    """What one forest variable stands for.

    Attributes
    ----------
    prior : ForestPrior
        Its prior.
    x : ndarray, shape (row, feature)
        Positive columns to split on.
    basis : ndarray, shape (row,), or None
        What multiplies the forest in the linear predictor; None is 1.
    """

    prior: ForestPrior
    x: np.ndarray
    basis: np.ndarray | None = None


class ForestStep(BlockedStep):
    """Update all forests of one observed variable.

    Parameters
    ----------
    vars : list of TensorVariable
        The forest variables, each of shape (row,); all are updated together.
    forests : mapping of str to ForestData
        By variable name, what each stands for.
    eta : TensorVariable, shape (row,)
        Linear predictor of the observed variable; affine in each forest with the declared basis.
    y : ndarray, shape (row,)
        Observed outcome.
    family : {"gaussian", "bernoulli"}
        Distribution of `y` given `eta`.
    sigma : TensorVariable, scalar or shape (row,), optional
        Noise scale; needed for family gaussian.
    warm_sweeps : int, default 10
        Grow-from-root sweeps at the start of tuning.

    Raises
    ------
    UnsupportedError
        If the family has no conjugate update here.
    SpecError
        If `eta` is not affine in a forest with the basis that was declared for it.
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
        y: np.ndarray,
        family: str,
        sigma: TensorVariable | None = None,
        warm_sweeps: int = 10,
        model: pm.Model | None = None,
        blocked: bool = True,
        rng: np.random.Generator | None = None,
    ) -> None:
        if family not in FAMILIES:
            raise UnsupportedError(
                f"forests have no exact update for family {family!r}; use one of "
                f"{', '.join(FAMILIES)}, or surface='linear'."
            )
        model = pm.modelcontext(model)
        self.vars = [model.rvs_to_values.get(v, v) for v in vars]
        self.names = [v.name for v in self.vars]
        self.forests = {name: forests[name] for name in self.names}
        self.y = np.asarray(y, dtype=np.float64)
        self.family = family
        self.warm_sweeps = warm_sweeps
        self.tune = True
        self.rng = np.random.default_rng() if rng is None else rng
        outputs = [eta] if sigma is None else [eta, sigma]
        self.inputs = [v.name for v in model.value_vars]
        self._evaluate = pytensor.function(
            model.value_vars,
            model.replace_rvs_by_values(outputs),
            on_unused_input="ignore",
        )
        self._live: dict[str, LiveForest] = {}
        self._check_affine(model.initial_point(random_seed=0))

    @staticmethod
    def competence(var: TensorVariable, has_grad: bool) -> int:
        """Never volunteer: the step needs to be told what each forest stands for."""
        return 0

    def setup_chain(self, rng: Any, tune: int, draws: int) -> None:
        """Plant new forests and seed both generators for one chain."""
        super().setup_chain(rng, tune, draws)
        self._random = ChainRandomness.seeded_by(self.rng)
        self._live = {
            name: forest_core.plant(f.prior, f.x, f.basis) for name, f in self.forests.items()
        }
        self._values = {name: forest_core.values(live) for name, live in self._live.items()}
        self._sweeps = 0
        self._warm = min(self.warm_sweeps, tune)

    def step(self, point: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[dict]]:
        """Sweep every forest once and write its values into the point."""
        # The trees are the truth: a jittered or copied start value of a forest is not.
        point = point | self._values
        residual, variance, weights = self._working_model(point)
        working = Residual(residual)
        for name, live in self._live.items():
            forest_core.sweep(
                live,
                working,
                variance,
                self._random,
                weights=weights,
                grow_from_root=self._sweeps < self._warm,
            )
            self._values[name] = forest_core.values(live)
        self._sweeps += 1
        return point | self._values, [self._stats()]

    def _working_model(
        self, point: dict[str, np.ndarray]
    ) -> tuple[np.ndarray, float, np.ndarray | None]:
        eta, *sigma = self._evaluate(*[point[name] for name in self.inputs])
        if self.family == "gaussian":
            return self.y - eta, float(sigma[0]) ** 2, None
        omega = random_polyagamma(1, eta, random_state=self._random.numpy)
        return (self.y - 0.5) / omega - eta, 1.0, 1 / omega

    def _stats(self) -> dict[str, ForestDraw]:
        live = list(self._live.values())
        kept = ForestDraw(
            forests=() if self.tune else tuple(pack(f.forest.forest_cpp) for f in live),
            leaf_sd=np.sqrt([f.leaf_variance for f in live]),
            leaves=np.array([forest_core.mean_leaves(f) for f in live]),
        )
        return {STAT: kept}

    def _check_affine(self, start: dict[str, np.ndarray]) -> None:
        """Move each forest alone, and see that eta moves by the declared basis."""
        rng = np.random.default_rng(0)
        base = self._evaluate(*[start[name] for name in self.inputs])[0]
        for name, forest in self.forests.items():
            shift = rng.normal(size=self.y.size)
            moved = self._evaluate(*[(start | {name: start[name] + shift})[k] for k in self.inputs])
            expected = shift if forest.basis is None else shift * forest.basis
            scale = 1e-6 * (1 + np.abs(base).max() + np.abs(expected).max())
            if not np.allclose(moved[0] - base, expected, atol=scale):
                raise SpecError(
                    f"the linear predictor is not affine in forest {name!r} with its declared "
                    "basis; a forest step cannot sample it. Declare the basis that multiplies it."
                )
