"""One chain of the direct sampler: blocks of parameters updated in turn from their conditionals.

The model is that of the component's PyMC model, and so are the names of its variables. Given the
linear predictor, each family has a gaussian working model
(:mod:`bayes_hte.surfaces.forest.working_models`); given that, forests and coefficients are updated
conjugately, each part from the residual of the others. Noise parameters are drawn last, from the
likelihood itself. Every update leaves the posterior as it is, so the order is free.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bayes_hte.components.component import Component, imputation_name
from bayes_hte.fitting.gibbs.coefficients import coefficients_part
from bayes_hte.fitting.gibbs.forests import ForestsPart
from bayes_hte.fitting.gibbs.noise import NoisePart, noise_part
from bayes_hte.surfaces.forest.draws import ForestDraw
from bayes_hte.surfaces.forest.step import SWEEPS
from bayes_hte.surfaces.forest.working_models import without_unknown, working_model


class Part(Protocol):
    """A block of parameters of the linear predictor."""

    def predictor(self) -> np.ndarray:
        """Return its share of the linear predictor, shape (row,)."""

    def sweep(self, residual: np.ndarray, precision: np.ndarray, rng: np.random.Generator) -> None:
        """Update parameters and residual, shape (row,), in place."""


class Stopped(Exception):
    """A chain was asked to stop before its last draw."""


@dataclass(frozen=True)
class ChainDraws:
    """The draws of one chain.

    Attributes
    ----------
    draws : int
        Their number.
    values : mapping of str to ndarray, shape (draw, ...)
        Draws of the PyMC model's variables; of a forest its values at the rows, shape (draw, row).
    forests : tuple of ForestDraw, length draw
        Trees; empty without forests.
    """

    draws: int
    values: Mapping[str, np.ndarray]
    forests: tuple[ForestDraw, ...]


def sample_chain(
    component: Component,
    *,
    chain: int,
    rng: np.random.Generator,
    draws: int,
    tune: int,
    after: Callable[[], bool] = lambda: True,
) -> ChainDraws:
    """Sample one chain.

    Parameters
    ----------
    component : Component
        The component; see :func:`bayes_hte.fitting.gibbs.sampling.is_direct`.
    chain : int
        Number of the chain: where its imputations begin, if there are any.
    rng : Generator
        Source of all its draws.
    draws, tune : int
        Kept draws, and iterations before the first of them.
    after : callable
        Called after each iteration; false stops the chain.

    Returns
    -------
    ChainDraws

    Raises
    ------
    Stopped
        If `after` returned false.
    """
    state = _State(component, chain, rng, tune)
    kept = _Kept(draws)
    for iteration in range(tune + draws):
        state.iterate(iteration)
        if iteration >= tune:
            kept.take(state, iteration - tune)
        if not after():
            raise Stopped
    return kept.result()


class _State:
    """The current values of one chain."""

    def __init__(
        self, component: Component, chain: int, rng: np.random.Generator, tune: int
    ) -> None:
        self.component, self.rng, self.tune = component, rng, tune
        self.forests = ForestsPart(component.forests, tune=tune) if component.forests else None
        self.coefficients = coefficients_part(component, rng)
        self.noise: NoisePart = noise_part(component, rng)
        self.parts: list[Part] = [p for p in (self.forests, self.coefficients) if p is not None]
        imputations = component.imputations
        self.first = 0 if imputations is None else chain * imputations.draws
        self.imputation = self.first

    def iterate(self, iteration: int) -> None:
        """Update everything once; forests, which move slowest, `SWEEPS` times."""
        y = self._column(iteration)
        if self.forests is not None:
            self.forests.begin(iteration)
        # Anew in each iteration, so that rounding errors do not add up.
        eta = self.component.offset + sum(part.predictor() for part in self.parts)
        for _ in range(1 if self.forests is None else SWEEPS):
            noise = self.noise.values()
            working = working_model(
                self.component.family.name,
                y,
                eta,
                noise,
                self.rng,
                censoring=self.component.censoring,
            )
            working = without_unknown(working, self.component.known)
            residual = working.residual.copy()
            for part in self.parts:
                part.sweep(residual, working.precision, self.rng)
            eta = eta + working.residual - residual
            self.noise.update(y, eta, self.rng)

    def _column(self, iteration: int) -> np.ndarray:
        """Return the modelled column; of several imputations the one of this iteration."""
        imputations = self.component.imputations
        if imputations is None:
            return self.component.y
        # The first kept draw meets the first imputation of its chain.
        self.imputation = self.first + (iteration - self.tune) % imputations.draws
        return imputations.table[self.imputation]

    def record(self) -> dict[str, float | np.ndarray]:
        """Return the current values of the PyMC model's variables."""
        values: dict[str, float | np.ndarray] = dict(self.noise.record())
        if self.forests is not None:
            values |= self.forests.record()
        if self.coefficients is not None:
            values |= self.coefficients.record()
        if self.component.imputations is not None:
            values[imputation_name(self.component.role)] = self.imputation
        return values


class _Kept:
    """Arrays for the kept draws of one chain."""

    def __init__(self, draws: int) -> None:
        self.draws = draws
        self.values: dict[str, np.ndarray] = {}
        self.forests: list[ForestDraw] = []

    def take(self, state: _State, draw: int) -> None:
        """Keep the current values as one draw."""
        for name, value in state.record().items():
            if draw == 0:
                like = np.asarray(value)
                self.values[name] = np.empty((self.draws, *like.shape), like.dtype)
            self.values[name][draw] = value
        if state.forests is not None:
            self.forests.append(state.forests.draw())

    def result(self) -> ChainDraws:
        """Return the draws that were kept."""
        return ChainDraws(self.draws, self.values, tuple(self.forests))
