"""The iteration of the direct sampler in its simplest form, chain after chain."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from bayes_hte.components.component import Component
from bayes_hte.fitting.gibbs.coefficients import coefficients_part
from bayes_hte.fitting.gibbs.noise import noise_part
from bayes_hte.surfaces.forest.working_models import working_model


def sample(component: Component, *, chains: int, tune: int, draws: int, seed: int) -> xr.Dataset:
    """Sample a component without forests; dims (chain, draw, ...), names as in the PyMC model."""
    kept = [
        chain(component, tune=tune, draws=draws, rng=np.random.default_rng([seed, i]))
        for i in range(chains)
    ]
    return as_dataset(component, kept)


def chain(
    component: Component, *, tune: int, draws: int, rng: np.random.Generator
) -> list[Mapping[str, float | np.ndarray]]:
    """Run one chain; return the record of each kept draw."""
    part, noise = coefficients_part(component, rng), noise_part(component, rng)
    eta, kept = component.offset + part.predictor(), []
    for i in range(tune + draws):
        eta = iterate(component.family.name, component.y, eta, part, noise, rng)
        if i >= tune:
            kept.append(part.record() | noise.record())
    return kept


def iterate(family, y, eta, part, noise, rng, censoring=None) -> np.ndarray:
    """One iteration; returns the new linear predictor."""
    working = working_model(family, y, eta, noise.values(), rng, censoring=censoring)
    residual = working.residual.copy()
    part.sweep(residual, working.precision, rng)
    eta = eta + working.residual - residual
    noise.update(y, eta, rng)
    return eta


def as_dataset(component: Component, kept: list[list[Mapping]]) -> xr.Dataset:
    """Put records side by side, with the dims that the PyMC model names."""
    dims, coords = component.model.named_vars_to_dims, component.model.coords
    variables = {}
    for name in kept[0][0]:
        values = np.array([[record[name] for record in one] for one in kept])
        own = dims.get(name) or tuple(f"{name}_dim_{i}" for i in range(values.ndim - 2))
        variables[name] = (("chain", "draw", *own), values)
    used = {d for v in variables.values() for d in v[0]}
    return xr.Dataset(variables, {d: list(c) for d, c in coords.items() if d in used})
