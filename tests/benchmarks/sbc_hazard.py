"""Calibration by simulation of family `piecewise_hazard`: hazards, times, and the intervals again.

Hazards are drawn from the prior of the model of units in intervals, times from these hazards by the
family, and observation ends at an edge, so that nothing is lost between intervals. Who is at risk
when is then read off the times as a fit does it. Edges and scales of priors come from reference
times, in the truth and in the sampler alike; the edges reach far enough that few outlive them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bayes_hte.components.component import Component
from bayes_hte.components.families.hazard import events_at_risk
from bayes_hte.components.hazard import HazardComponent, HazardModel, build_hazard
from bayes_hte.names import ARM, UNIT
from bayes_hte.study.time_to_event import Censoring, Estimand
from tests.benchmarks.sbc_models import (
    Cell,
    Length,
    N,
    Simulated,
    as_fitted,
    from_prior,
    gibbs_chain,
    scalars,
    study_of,
)


def of_hazards(cell: Cell, seeds: range, length: Length) -> Iterator[Simulated]:
    """Yield quantities of the truth, shape (1,), and of the chain, shape (draw,), per seed."""
    model, believed = _model(cell), _model(cell, believed=True)
    (component,), (sampled,) = model.components, believed.components
    ends = model.edges[-2:][np.arange(N) % 2]
    for seed, truth in enumerate(from_prior(component, seeds.stop, seed=14)):
        if seed not in seeds:
            continue
        rng = np.random.default_rng([10, seed])
        hazards = _of_units(model, component, [truth])
        time = hazards.family.draw(rng, np.zeros((1, 1, N)), hazards.noise())[0, 0]
        known = Censoring(time <= ends)
        observed = np.clip(time, 1e-12, ends)
        seen = events_at_risk(observed, known, model.edges).ravel()
        at_risk = ~np.isnan(seen)
        y = np.where(at_risk, seen, 0.0)
        chain = gibbs_chain(replace(sampled, known=at_risk), y, rng, length)
        yield (
            quantities(model, component, [truth], observed, known),
            quantities(believed, sampled, chain, observed, known),
        )


def _model(cell: Cell, *, believed: bool = False) -> HazardModel:
    """Return the model; its parts are those of an outcome model of a plan."""
    plan = cell.plan(believed=believed)
    options = {"learner": plan.learner, "surface": plan.surface, "priors": plan.priors}
    return build_hazard(study_of(cell), **options)


def _of_units(
    model: HazardModel, component: Component, values: Sequence[Mapping[str, np.ndarray]]
) -> HazardComponent:
    return model.fitted([as_fitted(component, values)])


def quantities(
    model: HazardModel,
    component: Component,
    values: Sequence[Mapping[str, np.ndarray]],
    time: np.ndarray,
    known: Censoring,
) -> dict[str, np.ndarray]:
    """Return what ranks are taken of, each of shape (draw,)."""
    units = _of_units(model, component, values)
    horizon = float(model.edges[-1])
    restricted = units.mean(estimand=Estimand("rmst", horizon)).isel(chain=0)
    survival = units.mean(estimand=Estimand("survival", horizon / 2)).isel(chain=0)
    effect = restricted.isel({ARM: 1}) - restricted.isel({ARM: 0})
    noise = {name: of[0].astype(float) for name, of in units.noise().items()}
    eta = np.zeros((len(values), N))
    found = scalars(values, component) | {
        "average effect": effect.mean(UNIT).to_numpy(),
        "effect of a unit": effect.isel({UNIT: 0}).to_numpy(),
        "mean of the reference arm": restricted.isel({ARM: 0}).mean(UNIT).to_numpy(),
        "survival of the reference arm": survival.isel({ARM: 0}).mean(UNIT).to_numpy(),
        "log-likelihood": units.family.given(known).log_likelihood(time, eta, noise).sum(axis=1),
    }
    return {name: np.asarray(of, dtype=float) for name, of in found.items()}
