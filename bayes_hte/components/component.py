"""A component: one PyMC model of one column, built from terms, ready to be sampled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pymc as pm
import pytensor
from pytensor.tensor.variable import TensorVariable

from bayes_hte.components.clusters import cluster_intercepts
from bayes_hte.components.families import Family, get_family
from bayes_hte.components.imputation_step import ImputationStep
from bayes_hte.components.noise import check_noise, noise_parameters
from bayes_hte.components.priors import TermPrior
from bayes_hte.errors import unknown_name
from bayes_hte.study.design import Design
from bayes_hte.study.spec import TermName
from bayes_hte.study.time_to_event import Censoring
from bayes_hte.surfaces.bends import Bends
from bayes_hte.surfaces.forest.step import ForestData, ForestStep
from bayes_hte.surfaces.forest.surface import forest_data, forest_function
from bayes_hte.surfaces.registry import SURFACE_NAMES, is_forest, surface_of
from bayes_hte.surfaces.terms import GP, Term


@dataclass(frozen=True)
class PlacedTerm:
    """A term with its place in one component.

    Attributes
    ----------
    term : Term
        The term.
    name : str
        Name, or start of the names, of its variables.
    scale : float
        Prior standard deviation of the function, in its units.
    trees : int
        Number of trees if it is a forest.
    sparse : bool
        Whether the probabilities of its columns are sampled if it is a forest.
    basis : ndarray, shape (unit,), or None
        The factor of the function at the rows of the study; None is 1.
    """

    term: Term
    name: str
    scale: float
    trees: int
    sparse: bool
    basis: np.ndarray | None


@dataclass(frozen=True)
class Imputations:
    """Outcomes as the draws of an earlier stage impute them.

    Attributes
    ----------
    table : ndarray, shape (chain * draw, unit)
        One imputed column per draw, chain by chain.
    draws : int
        Draws per chain.
    """

    table: np.ndarray = field(repr=False)
    draws: int


@dataclass(frozen=True)
class Component:
    """One PyMC model with the parts that sampling and prediction need.

    Attributes
    ----------
    role : str
        ``"outcome"``, ``"mediator"``, ``"propensity"`` or ``"effect"``; starts the name of every
        variable.
    family : Family
        Distribution of the column.
    surface : str
        Form of its functions.
    placed : tuple of PlacedTerm
        The linear predictor.
    design : Design
        The rows of the study.
    y : ndarray, shape (unit,)
        The modelled column; the mean of its imputations if there are several. Where it is missing,
        it holds a value that is as good as any.
    offset : float
        Constant of the linear predictor.
    noise_model : str
        See :mod:`bayes_hte.components.noise`.
    model : pymc.Model
        Samples and prior-predictively samples as any PyMC model.
    eta : TensorVariable, shape (unit,)
        Linear predictor.
    noise : mapping of str to TensorVariable
        The family's other parameters.
    observed : ndarray or TensorVariable, shape (unit,)
        Column in the likelihood: `y`, or the current imputation.
    forests : mapping of str to ForestData
        The forest variables by name; empty for another surface.
    clustered : bool
        Whether clusters have intercepts.
    imputations : Imputations or None
        Outcomes of a second stage.
    known : ndarray of bool, shape (unit,), or None
        Whether each unit informs the model: it enters the likelihood. None if all do.
    censoring : Censoring or None
        Events and entries of the rows, of a column of times to an event.
    bends : Bends or None
        Functions in which it bends in a mediator, if it does.
    """

    role: str
    family: Family
    surface: str
    placed: tuple[PlacedTerm, ...]
    design: Design
    y: np.ndarray
    offset: float
    noise_model: str
    model: pm.Model
    eta: TensorVariable
    noise: Mapping[str, TensorVariable]
    observed: np.ndarray | TensorVariable
    forests: Mapping[str, ForestData]
    clustered: bool = False
    imputations: Imputations | None = None
    known: np.ndarray | None = None
    censoring: Censoring | None = None
    bends: Bends | None = None

    @property
    def terms(self) -> tuple[Term, ...]:
        """The terms of the linear predictor."""
        return tuple(p.term for p in self.placed)

    @property
    def informing(self) -> np.ndarray | slice:
        """The rows that are part of the likelihood, as an index of rows."""
        return slice(None) if self.known is None else np.flatnonzero(self.known)

    @property
    def collapses(self) -> bool:
        """Whether all but a few hyperparameters can be integrated out of the model."""
        return (
            self.surface == GP
            and self.family.working == "gaussian"
            and self.noise_model == "constant"
            and not self.clustered
            and self.imputations is None
        )

    def steps(self) -> list[ForestStep | ImputationStep]:
        """Build the step methods of the variables that NUTS cannot sample."""
        steps: list[ForestStep | ImputationStep] = []
        with self.model as model:
            if self.imputations is not None:
                index = model.rvs_to_values[model[imputation_name(self.role)]]
                steps.append(ImputationStep(index, draws=self.imputations.draws))
            if self.forests:
                forest = ForestStep(
                    [model[name] for name in self.forests],
                    forests=self.forests,
                    eta=self.eta,
                    noise=self.noise,
                    y=self._working_column(),
                    family=self.family.working,
                    known=self.known,
                    censoring=self.censoring,
                )
                steps.append(forest)
        return steps

    def _working_column(self) -> np.ndarray | TensorVariable:
        """Return the column of the working model; imputations are of gaussian columns."""
        if self.imputations is not None:
            return self.observed
        return self.family.working_column(self.y)


def variable_name(role: str, term: Term) -> str:
    """Return the name (or prefix) of a term's variables in the PyMC model."""
    return f"{role}_{term.name}"


def imputation_name(role: str) -> str:
    """Return the name of the variable that picks the imputation."""
    return f"{role}_imputation"


def check_column(
    y: np.ndarray, role: str, *, family: str, surface: str, noise: str = "constant"
) -> None:
    """Check that a column suits its family, and that the names are known.

    Parameters
    ----------
    y : ndarray, shape (unit,)
        The column.
    role : str
        Role of the column, for the message.
    family, surface, noise : str
        Names.

    Raises
    ------
    DataError
        If the family does not allow a value.
    SpecError
        If a name is unknown.
    UnsupportedError
        If the family has no scale that could vary.
    """
    if surface not in SURFACE_NAMES:
        raise unknown_name("surface", surface, SURFACE_NAMES)
    get_family(family).check(y, role)
    check_noise(noise, get_family(family), role)


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
    noise: str = "constant",
    clustered: bool = False,
    imputations: Imputations | None = None,
    known: np.ndarray | None = None,
    censoring: Censoring | None = None,
    bends: Bends | None = None,
) -> Component:
    """Build the PyMC model of one column.

    Parameters
    ----------
    role : str
        Starts the name of every variable.
    y : ndarray, shape (unit,)
        The column.
    design : Design
        The rows.
    family : Family
        Its distribution.
    surface : str
        Form of the functions; see :mod:`bayes_hte.surfaces.registry`.
    terms : tuple of Term
        The linear predictor.
    priors : mapping of term kind to TermPrior
        Prior of each kind of term.
    mediator : ndarray, shape (unit,) or (unit, mediator), optional
        The mediator, for terms that multiply its deviation from the design's expectation, or that
        expectation; two mediators as columns.
    noise : {"constant", "by_arm", "varying"}
        Whether the noise scale differs between units.
    clustered : bool, default False
        Whether to add an intercept for each cluster of the design, if it has clusters.
    imputations : Imputations, optional
        Columns to be modelled in turn in place of `y`.
    known : ndarray of bool, shape (unit,), optional
        Whether each unit informs the model. The others may lack the column or the mediator: they
        keep their place, so that they are predicted, and are no part of the likelihood. Default:
        all do.
    censoring : Censoring, optional
        Events and entries of the rows, of a column of times to an event.
    bends : Bends, optional
        For terms that multiply a function in which the column bends in its mediator.

    Returns
    -------
    Component

    Raises
    ------
    DataError
        If the family does not allow a value of `y`.
    SpecError
        If the surface or the noise is unknown.
    UnsupportedError
        If the family has no scale that could vary.
    """
    known = None if known is None or known.all() else known
    informing = y if known is None else y[known]
    check_column(informing, role, family=family.name, surface=surface, noise=noise)
    if censoring is not None:
        family = family.given(censoring.among(slice(None) if known is None else known))
        family.check(informing, role)
    if known is not None:
        y = np.where(known, y, informing[0])
        if mediator is not None:
            mediator = np.where(known, mediator.T, np.nan).T
    placed = tuple(
        _place(role, t, priors[t.kind], family.latent_sd(informing), design, mediator, bends)
        for t in terms
    )
    shares = any(t.kind == "shared" for t in terms)
    forests = {
        p.name: forest_data(
            p.term,
            design,
            scale=p.scale,
            trees=p.trees,
            sparse=p.sparse,
            basis=p.basis,
            waits=shares and p.term.deviates,
        )
        for p in placed
        if is_forest(surface, p.term)
    }
    offset = family.offset(informing)
    with pm.Model(coords={"unit": design.units.to_numpy()}) as model:
        eta = offset
        for p in placed:
            function = (
                forest_function(p.name, forests[p.name])
                if p.name in forests
                else surface_of(surface, p.term).function(p.name, p.term, design, scale=p.scale)
            )
            eta = eta + (function if p.basis is None else function * p.basis)
        clustered = clustered and design.cluster is not None
        if clustered:
            eta = eta + cluster_intercepts(role, design, scale=family.latent_sd(informing))
        parameters = noise_parameters(role, family, informing, design, noise)
        observed = _observe(role, family, eta, parameters, y, imputations, known)
    return Component(
        role,
        family,
        surface,
        placed,
        design,
        y,
        offset,
        noise,
        model,
        eta,
        parameters,
        observed,
        forests,
        clustered,
        imputations,
        known,
        censoring,
        bends,
    )


def _place(
    role: str,
    term: Term,
    prior: TermPrior,
    latent_sd: float,
    design: Design,
    mediator: np.ndarray | None,
    bends: Bends | None,
) -> PlacedTerm:
    scale, deviation, expected = prior.scale * latent_sd, None, None
    if term.sees_mediator:
        if mediator is None:
            raise ValueError(f"term {term.name!r} needs a mediator")
        deviations = mediator.reshape(design.n_rows, -1) - design.expected_mediators
        deviation = deviations[:, term.of_mediator]
        # Centred within the arms, whose means then hold the average effect.
        expected = design.expected_mediators[:, term.of_mediator]
        expected = expected - design.expected_means(term.of_mediator)[design.arm]
        scale /= np.nanstd(deviation)
        if term.on_product:
            scale *= np.nanstd(deviation) / np.prod(np.nanstd(deviations, axis=0))
            deviation = _product(deviations, design)
        if term.bend is not None:
            if bends is None:
                raise ValueError(f"term {term.name!r} needs the bends of the mediator")
            # Their standard deviation is 1.
            scale = prior.scale * latent_sd
            own = design.expected_mediators[:, term.of_mediator]
            deviation = bends.at(own + deviation, own)[:, term.bend]
        # Of units that are no part of the likelihood.
        deviation = np.nan_to_num(deviation, nan=0.0)
    member = None if term.group is None else design.member(term.group)
    basis = term.basis(design.arm, deviation, member, expected=expected)
    return PlacedTerm(term, variable_name(role, term), scale, prior.trees, prior.sparse, basis)


def _product(deviations: np.ndarray, design: Design) -> np.ndarray:
    """Return the product of two mediators less that of their expectations, shape (unit,).

    Both are centred at constants. Where one mediator acts more the higher the other is, its slope
    follows the other's expectation, which this product has and that of deviations has not; the
    product of the expectations is left to the functions of the covariates.
    """
    first, second = deviations.T
    away = design.expected_mediators - design.expected_mediators.mean(axis=0)
    return first * second + first * away[:, 1] + second * away[:, 0]


def _observe(
    role: str,
    family: Family,
    eta: TensorVariable,
    parameters: Mapping[str, TensorVariable],
    y: np.ndarray,
    imputations: Imputations | None,
    known: np.ndarray | None,
) -> np.ndarray | TensorVariable:
    """Add the likelihood to the PyMC model in context; return its column."""
    name, dims, rows = f"{role}_observed", ("unit",), slice(None)
    if known is not None:
        dims, rows = None, np.flatnonzero(known)
        eta = eta[rows]
        parameters = {k: v[rows] if v.ndim else v for k, v in parameters.items()}
    distribution = family.distribution(eta, parameters)
    if imputations is None:
        values = y.astype(np.int64) if "int" in distribution.dtype else y
        model = pm.modelcontext(None)
        model.register_rv(distribution, name, observed=values[rows], dims=dims)
        return y
    index = pm.DiscreteUniform(imputation_name(role), 0, len(imputations.table) - 1)
    # Shared, not constant: a compiled function with a large constant could not be cached.
    observed = pytensor.shared(imputations.table, name=f"{role}_imputed")[index]
    pm.Potential(name, pm.logp(distribution, observed[rows]).sum())
    return observed
