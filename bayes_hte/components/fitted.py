"""A sampled component: posterior draws, stored trees, and predictions aligned with the draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import xarray as xr

from bayes_hte.components.clusters import predict_clusters
from bayes_hte.components.component import Component, variable_name
from bayes_hte.components.families import Family, get_family
from bayes_hte.components.noise import noise_at, noise_under_arms
from bayes_hte.components.predictor import BentPart, LinearPredictor
from bayes_hte.errors import DataError
from bayes_hte.names import ARM, BEND, CHAIN, DRAW, SAMPLE, UNIT
from bayes_hte.study.design import Design
from bayes_hte.surfaces.bends import Bends
from bayes_hte.surfaces.forest.surface import predict_forest
from bayes_hte.surfaces.registry import is_forest, surface_of
from bayes_hte.surfaces.terms import Term

PRODUCT = "product"
# What a function may multiply: a mediator by its number, the product of two, or a bend.
Place = int | str | tuple[str, int]


@dataclass(frozen=True)
class FittedComponent:
    """One sampled component.

    Attributes
    ----------
    role : str
        ``"outcome"``, ``"mediator"``, ``"propensity"`` or ``"effect"``.
    family_name, surface, noise_model : str
        As built.
    terms : tuple of Term
        The linear predictor.
    design : Design
        The rows of the study with the encoding learned on them.
    offset : float
        Constant of the linear predictor.
    clustered : bool
        Whether the linear predictor has an intercept for each cluster.
    posterior : Dataset
        Draws of the scalar and coefficient variables, dims (chain, draw, ...).
    stats : Dataset
        Sampler statistics, dims (chain, draw).
    trees : mapping of str to Dataset
        Stored trees of each forest term, by term name.
    at_units : mapping of str to ndarray
        Values of forest terms at the rows of the study as the sampler left them,
        shape (chain, draw, unit); empty after loading (they are predicted again then).
    learned : Design or None
        The rows that the functions were learned on, where `design` holds some of them only.
    bends : Bends or None
        Functions in which it bends in a mediator, if it does.
    """

    role: str
    family_name: str
    surface: str
    noise_model: str
    terms: tuple[Term, ...]
    design: Design
    offset: float
    clustered: bool
    posterior: xr.Dataset
    stats: xr.Dataset
    trees: Mapping[str, xr.Dataset]
    at_units: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False, compare=False)
    learned: Design | None = None
    bends: Bends | None = None

    @classmethod
    def of(
        cls,
        component: Component,
        *,
        posterior: xr.Dataset,
        stats: xr.Dataset,
        trees: Mapping[str, xr.Dataset],
        at_units: Mapping[str, np.ndarray] | None = None,
    ) -> FittedComponent:
        """Join a component with its draws; the arguments are the attributes of those names."""
        return cls(
            role=component.role,
            family_name=component.family.name,
            surface=component.surface,
            noise_model=component.noise_model,
            terms=component.terms,
            design=component.design,
            offset=component.offset,
            clustered=component.clustered,
            posterior=posterior,
            stats=stats,
            trees=trees,
            at_units=at_units or {},
            bends=component.bends,
        )

    @property
    def family(self) -> Family:
        """The family object."""
        return get_family(self.family_name)

    def noise(self, design: Design | None = None) -> Mapping[str, np.ndarray]:
        """Return the family's other parameters at rows in their own arms.

        Parameters
        ----------
        design : Design, optional
            Rows; default the rows of the study.

        Returns
        -------
        mapping of str to ndarray, shape (chain, draw, 1) or (chain, draw, unit)
        """
        design = self.design if design is None else design
        return noise_at(self.posterior, self.role, self.family, design, self.noise_model)

    def function(self, term: Term, design: Design) -> np.ndarray:
        """Evaluate one term's function at rows, shape (chain, draw, row)."""
        if not is_forest(self.surface, term):
            surface, name = surface_of(self.surface, term), variable_name(self.role, term)
            learned = self.learned or self.design
            return surface.predict(self.posterior, name, term, learned, design)
        if design is self.design and term.name in self.at_units:
            return self.at_units[term.name]
        return predict_forest(self.trees[term.name], term, design)

    def linear_predictor(
        self, design: Design | None = None, *, expected: np.ndarray | None = None
    ) -> LinearPredictor:
        """Return the linear predictor under each arm.

        Parameters
        ----------
        design : Design, optional
            Rows to predict; default the rows of the study.
        expected : ndarray, shape (row, arm) or (mediator, row, arm), optional
            Expected mediator of the rows under each arm; needed if the component sees a mediator.

        Returns
        -------
        LinearPredictor
        """
        design = self.design if design is None else design
        n_arms = self.design.n_arms
        shape = (self.posterior.sizes[CHAIN], self.posterior.sizes[DRAW], design.n_rows, n_arms)
        base = np.full(shape, self.offset)
        # Coefficients of the mediators by their number, of their product, and of bends.
        times: dict[Place, np.ndarray] = {}
        if self.clustered:
            base += predict_clusters(self.posterior, self.role, design)[..., None]
        for term in self.terms:
            for arm, function in self._by_arm(term, design):
                if term.on_expected:
                    function = function * self._expected(term, expected)[:, arm]
                for place, factor in self._places(term, expected, arm):
                    where = base if place is None else times.setdefault(place, np.zeros(shape))
                    where[..., arm] += function if factor is None else function * factor
        found = {place: self._labelled(values, design) for place, values in times.items()}
        return LinearPredictor(
            self._labelled(base, design),
            found.get(0),
            found.get(1),
            found.get(PRODUCT),
            self._bent(found, expected),
        )

    def mean(self, design: Design | None = None) -> xr.DataArray:
        """Return the expectation of a column without mediator, dims (chain, draw, unit, arm)."""
        base = self.linear_predictor(design).base
        return base.copy(data=self.family.mean(base.to_numpy(), noise_under_arms(self, design)))

    def keep_draws(self, draws: np.ndarray) -> FittedComponent:
        """Return the component with some draws of each chain only.

        Parameters
        ----------
        draws : ndarray of int, shape (chain, kept)
            Positions of the draws to keep, chain by chain.

        Returns
        -------
        FittedComponent
            Its draws are numbered from 0.
        """
        rows = np.arange(len(draws))[:, None]
        return replace(
            self,
            posterior=_keep(self.posterior, draws),
            trees={name: _keep(trees, draws) for name, trees in self.trees.items()},
            at_units={name: values[rows, draws] for name, values in self.at_units.items()},
        )

    def of_arms(self, arms: tuple[int, int]) -> FittedComponent:
        """Return the component with two of its arms, and the rows of the study in them.

        Parameters
        ----------
        arms : (int, int)
            The arms by their numbers, the reference first; they become 0 and 1.

        Returns
        -------
        FittedComponent
            With the same draws.
        """
        rows = np.flatnonzero(np.isin(self.design.arm, arms))
        return replace(
            self,
            terms=tuple(term.of_arms(arms) for term in self.terms if any(map(term.acts_in, arms))),
            design=self.design.among(arms),
            at_units={name: values[:, :, rows] for name, values in self.at_units.items()},
            learned=self.learned or self.design,
        )

    def _by_arm(self, term: Term, design: Design) -> list[tuple[int, np.ndarray]]:
        """Return (arm, function) for each arm the term acts in."""
        arms = range(self.design.n_arms)
        if term.features == "covariates+arm":
            return [(arm, self.function(term, design.under(arm))) for arm in arms]
        function = self.function(term, design)
        if term.group is not None:
            function = function * design.member(term.group)
        return [(arm, function) for arm in arms if term.acts_in(arm)]

    def _expected(self, term: Term, expected: np.ndarray | None) -> np.ndarray:
        """Return the term's expected mediator, centred as it was in the fit, shape (row, arm)."""
        if expected is None:
            raise DataError(f"term {term.name!r} needs the expected mediator under each arm.")
        of_term = expected if expected.ndim == 2 else expected[term.of_mediator]
        return of_term - self.design.expected_means(term.of_mediator)

    def _places(
        self, term: Term, expected: np.ndarray | None, arm: int
    ) -> list[tuple[Place | None, np.ndarray | None]]:
        """Return what a term's function multiplies: a mediator by number, a product, a bend, or 1.

        With each its factor, shape (row,); None is 1.
        """
        if term.bend is not None:
            return [((BEND, term.bend), None)]
        if not term.on_product:
            return [(term.of_mediator if term.on_mediator else None, None)]
        if expected is None:
            raise DataError(f"term {term.name!r} needs the expected mediators under each arm.")
        # Centred where the fit has centred them.
        centers = (self.learned or self.design).expected_mediators.mean(axis=0)
        first, second = expected[..., arm] - centers[:, None]
        return [(PRODUCT, None), (0, second), (1, first)]

    def _bent(
        self, found: Mapping[Place, xr.DataArray], expected: np.ndarray | None
    ) -> BentPart | None:
        """Return what is not affine in the mediator, if anything is."""
        if self.bends is None:
            return None
        if expected is None:
            raise DataError("an outcome that bends in its mediator needs the expected mediator.")
        parts = [found[BEND, bend] for bend in range(self.bends.number)]
        own = expected if expected.ndim == 2 else expected[0]
        return BentPart(xr.concat(parts, BEND).transpose(..., BEND), self.bends, own)

    def _labelled(self, values: np.ndarray, design: Design) -> xr.DataArray:
        coords = {
            CHAIN: self.posterior[CHAIN].to_numpy(),
            DRAW: self.posterior[DRAW].to_numpy(),
            UNIT: design.units.to_numpy(),
        }
        return xr.DataArray(values, dims=(*SAMPLE, UNIT, ARM), coords=coords)


def _keep(dataset: xr.Dataset, draws: np.ndarray) -> xr.Dataset:
    chosen = xr.DataArray(draws, dims=SAMPLE)
    chains = xr.DataArray(np.arange(len(draws)), dims=CHAIN)
    plain = dataset.drop_vars([c for c in SAMPLE if c in dataset.coords])
    kept = plain.isel({CHAIN: chains, DRAW: chosen})
    return kept.assign_coords({CHAIN: np.arange(len(draws)), DRAW: np.arange(draws.shape[1])})
