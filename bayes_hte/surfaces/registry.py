"""Surfaces by name: the forms a function of covariates can take.

A surface is two functions. ``function(prefix, term, design, *, scale)`` adds a function of the
design's rows to the PyMC model in context; ``predict(posterior, prefix, term, learned, rows)``
evaluates it at other rows, draw by draw, shape (chain, draw, row), where `learned` is the design
the model was built with. Forests are an exception: their step method carries its own draws
(:mod:`bayes_hte.surfaces.forest.surface`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from pytensor.tensor.variable import TensorVariable

from bayes_hte.study.design import Design
from bayes_hte.surfaces.additive import additive_function, predict_additive
from bayes_hte.surfaces.gp.surface import gp_function, predict_gp
from bayes_hte.surfaces.linear import linear_function, predict_linear
from bayes_hte.surfaces.terms import FOREST, GP, Term
from bayes_hte.surfaces.trend import predict_trend, trend_function


@dataclass(frozen=True)
class Surface:
    """Functions of one form: how a PyMC model holds them, and how draws are evaluated."""

    function: Callable[..., TensorVariable]
    predict: Callable[[xr.Dataset, str, Term, Design, Design], np.ndarray]


def _without_rows(predict: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Adapt a surface that needs the study's encoding but not its rows."""

    def adapted(
        posterior: xr.Dataset, prefix: str, term: Term, learned: Design, rows: Design
    ) -> np.ndarray:
        return predict(posterior, prefix, term, rows)

    return adapted


TREND = Surface(trend_function, predict_trend)
LINEAR = Surface(linear_function, _without_rows(predict_linear))
# A constant (a term without features) is linear on each of them.
SURFACES: dict[str, Surface] = {
    GP: Surface(gp_function, predict_gp),
    "additive": Surface(additive_function, _without_rows(predict_additive)),
    "linear": LINEAR,
}
SURFACE_NAMES = (FOREST, *SURFACES)


def is_forest(name: str, term: Term) -> bool:
    """Whether a term of a component on a surface is drawn by the forests' step method."""
    return name == FOREST and term.kind != "trend"


def surface_of(name: str, term: Term) -> Surface:
    """Return the surface that draws a term that is no forest.

    Trends are linear on every surface, and so are constants (terms without features) except on
    `gp`.
    """
    if term.kind == "trend":
        return TREND
    return LINEAR if term.features == "none" and name != GP else SURFACES[name]
