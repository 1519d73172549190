"""A component: one PyMC model of one column, built from terms, ready to be sampled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pymc as pm
from pytensor.tensor.variable import TensorVariable

from bayes_hte.components.families import Family, get_family
from bayes_hte.design import Design
from bayes_hte.errors import UnsupportedError, unknown_name
from bayes_hte.learners.priors import TermPrior
from bayes_hte.spec import TermName
from bayes_hte.surfaces import forest_step
from bayes_hte.surfaces.forest import forest_data, forest_function
from bayes_hte.surfaces.forest_step import ForestData, ForestStep
from bayes_hte.surfaces.linear import linear_function
from bayes_hte.surfaces.terms import Term

SURFACES = ("forest", "linear")


@dataclass(frozen=True)
class Component:
    """One PyMC model with what is needed to sample it and to predict from it.

    Attributes
    ----------
    role : str
        ``"outcome"``, ``"mediator"`` or ``"propensity"``; starts the name of every variable.
    family : Family
        Distribution of the column.
    surface : str
        ``"forest"`` or ``"linear"``.
    terms : tuple of Term
        The linear predictor.
    design : Design
        The rows of the study.
    y : ndarray, shape (unit,)
        The modelled column.
    offset : float
        Constant of the linear predictor.
    model : pymc.Model
        Samples and prior-predictively samples as any PyMC model.
    eta : TensorVariable, shape (unit,)
        Linear predictor.
    sigma : TensorVariable or None
        Noise scale of a gaussian.
    forests : mapping of str to ForestData
        The forest variables by name; empty for a linear surface.
    """

    role: str
    family: Family
    surface: str
    terms: tuple[Term, ...]
    design: Design
    y: np.ndarray
    offset: float
    model: pm.Model
    eta: TensorVariable
    sigma: TensorVariable | None
    forests: Mapping[str, ForestData]

    def step(self) -> ForestStep:
        """Build the step method of the forest variables."""
        with self.model:
            return ForestStep(
                [self.model[name] for name in self.forests],
                forests=self.forests,
                eta=self.eta,
                sigma=self.sigma,
                y=self.y,
                family=self.family.name,
            )


def variable_name(role: str, term: Term) -> str:
    """Return the name (or prefix) of a term's variables in the PyMC model."""
    return f"{role}_{term.name}"


def is_forest(surface: str, term: Term) -> bool:
    """Whether a term is a forest: constants stay constants on every surface."""
    return surface == "forest" and term.features != "none"


def check_column(y: np.ndarray, role: str, *, family: str, surface: str) -> None:
    """Check that a column suits its family, and that its surface can be sampled.

    Parameters
    ----------
    y : ndarray, shape (unit,)
        The column.
    role : str
        What it is, for the message.
    family, surface : str
        Names.

    Raises
    ------
    DataError
        If the family does not allow a value.
    SpecError
        If family or surface is unknown.
    UnsupportedError
        If forests have no exact update for the family.
    """
    if surface not in SURFACES:
        raise unknown_name("surface", surface, SURFACES)
    get_family(family).check(y, role)
    if surface == "forest" and family not in forest_step.FAMILIES:
        raise UnsupportedError(
            f"{role}: surface='forest' has no exact sampler for family={family!r} yet; use "
            f"surface='linear', or a family of {', '.join(forest_step.FAMILIES)}."
        )


def build_component(
    role: str,
    y: np.ndarray,
    *,
    design: Design,
    family: Family,
    surface: str,
    terms: tuple[Term, ...],
    priors: Mapping[TermName, TermPrior],
    mediator: np.ndarray | None = None,
) -> Component:
    """Build the PyMC model of one column.

    Parameters
    ----------
    role : str
        ``"outcome"``, ``"mediator"`` or ``"propensity"``.
    y : ndarray, shape (unit,)
        The column.
    design : Design
        The rows.
    family : Family
        Its distribution.
    surface : {"forest", "linear"}
        Form of the functions.
    terms : tuple of Term
        The linear predictor.
    priors : mapping of term kind to TermPrior
        Prior of each kind of term.
    mediator : ndarray, shape (unit,), optional
        The *centred* mediator, for terms that multiply it.

    Returns
    -------
    Component

    Raises
    ------
    DataError
        If the family does not allow a value of `y`.
    SpecError
        If the surface is unknown.
    UnsupportedError
        If forests have no exact update for the family.
    """
    check_column(y, role, family=family.name, surface=surface)
    forests: dict[str, ForestData] = {}
    offset = family.offset(y)
    with pm.Model(coords={"unit": design.units.to_numpy()}) as model:
        eta = offset
        for term in terms:
            basis = term.basis(design.arm, mediator)
            name, prior = variable_name(role, term), priors[term.kind]
            scale = prior.scale * family.latent_sd(y)
            if term.on_mediator:
                scale /= mediator.std()
            if is_forest(surface, term):
                forests[name] = forest_data(
                    term, design, scale=scale, trees=prior.trees, basis=basis
                )
                function = forest_function(name, forests[name])
            else:
                function = linear_function(name, term, design, scale=scale)
            eta = eta + (function if basis is None else function * basis)
        sigma = family.observe(role, eta, y)
    return Component(role, family, surface, terms, design, y, offset, model, eta, sigma, forests)
