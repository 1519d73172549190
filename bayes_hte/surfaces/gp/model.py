"""The PyMC model of a gaussian column on Gaussian processes, weights integrated out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.gradient import grad_undefined
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op
from pytensor.tensor.variable import TensorVariable

from bayes_hte.surfaces.gp.collapsed import (
    GPTerm,
    Groups,
    draw_observations,
    group_rows,
    log_likelihood_gradient,
)
from bayes_hte.surfaces.gp.surface import gp_hyperparameters


@dataclass(frozen=True)
class GPRegression:
    """A gaussian column with its terms.

    Attributes
    ----------
    role : str
        Starts the names ``<role>_sigma`` and ``<role>_observed``.
    terms : tuple of GPTerm
        The linear predictor.
    y : ndarray, shape (unit,)
        The column.
    offset : float
        Constant of the linear predictor.
    sigma_scale : float
        Scale of sigma's half-t prior with 3 degrees of freedom.
    """

    role: str
    terms: tuple[GPTerm, ...]
    y: np.ndarray
    offset: float
    sigma_scale: float


def collapsed_model(regression: GPRegression) -> pm.Model:
    """Build the PyMC model of a regression with every weight integrated out.

    Parameters
    ----------
    regression : GPRegression

    Returns
    -------
    pymc.Model
        Free variables ``<prefix>_lengthscale``, ``<prefix>_amplitude``, ``<prefix>_tau`` of each
        term with features and ``<role>_sigma``; observed ``<role>_observed``, with the FITC
        marginal likelihood, whose prior predictive draws are those of the full model.
    """
    terms, y = regression.terms, regression.y
    with pm.Model(coords={"unit": np.arange(len(y))}) as model:
        theta: list[TensorVariable] = []
        for term in terms:
            if term.features:
                lengthscale, amplitude, tau = gp_hyperparameters(term)
                theta += [lengthscale, amplitude[None], tau[None]]
        sigma = pm.HalfStudentT(f"{regression.role}_sigma", nu=3, sigma=regression.sigma_scale)
        likelihood = MarginalLikelihood(terms, group_rows(terms))
        pm.CustomDist(
            f"{regression.role}_observed",
            pt.concatenate([*theta, sigma[None]]),
            np.full(len(y), regression.offset),
            logp=lambda value, theta, offset: likelihood(theta, value - offset)[0],
            random=partial(_replicate, terms=terms),
            signature="(k),(n)->(n)",
            observed=y,
            dims="unit",
        )
    return model


class MarginalLikelihood(Op):
    """Log density of a gaussian column given hyperparameters, with its gradient.

    Parameters
    ----------
    terms : sequence of GPTerm
    groups : Groups
    """

    def __init__(self, terms: Sequence[GPTerm], groups: Groups) -> None:
        self.terms, self.groups = terms, groups

    def make_node(self, theta: Variable, y: Variable) -> Apply:
        """Take theta and y as of :func:`log_likelihood`; give the value and the gradient."""
        return Apply(self, [pt.as_tensor(theta), pt.as_tensor(y)], [pt.dscalar(), pt.dvector()])

    def perform(self, node: Apply, inputs: Sequence[np.ndarray], outputs: Any) -> None:
        """Evaluate; where numbers overflow the density is zero."""
        theta, y = inputs
        value, gradient = -np.inf, np.zeros(len(theta))
        try:
            with np.errstate(all="ignore"):
                found = log_likelihood_gradient(self.terms, self.groups, theta, y)
            if np.isfinite(found[0]) and np.isfinite(found[1]).all():
                value, gradient = found
        except np.linalg.LinAlgError:
            # Not positive definite: only where hyperparameters have overflowed.
            pass
        outputs[0][0], outputs[1][0] = np.asarray(value), gradient

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], cotangents: Any
    ) -> list[Variable]:
        """Gradient in theta; the column is data."""
        undefined = grad_undefined(self, 1, inputs[1], "the column is data")
        return [cotangents[0] * outputs[1], undefined]


def _replicate(
    theta: np.ndarray,
    offset: np.ndarray,
    rng: np.random.Generator,
    size: object = None,
    *,
    terms: Sequence[GPTerm],
) -> np.ndarray:
    return offset + draw_observations(terms, theta, rng)
