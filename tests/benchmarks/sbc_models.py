"""Models of the calibration by simulation: parameters from the exact prior, data, short chains.

Scales of priors come from the data. Here they come from one reference column, in the prior that
parameters are drawn from and in the sampler alike: the sampler is set up on the reference column,
and sees the simulated one afterwards. Forests are drawn with the probabilities of their columns
until every tree is valid, which is the joint prior that the sampler targets, not near it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

from bayes_hte.components.component import Component
from bayes_hte.components.fitted import FittedComponent
from bayes_hte.components.noise import noise_under_arms
from bayes_hte.fitting.gibbs.chain import ChainDraws, _State
from bayes_hte.fitting.gibbs.sampling import posterior_of
from bayes_hte.fitting.mediation import potential_outcomes
from bayes_hte.fitting.plan import Plan
from bayes_hte.fitting.sampling import quiet
from bayes_hte.fitting.stages import build_stage
from bayes_hte.names import ARM, MEDIATOR_ARM, SAMPLE, UNIT
from bayes_hte.study.spec import PriorSpec
from bayes_hte.study.study import Study
from bayes_hte.study.time_to_event import Censoring
from bayes_hte.surfaces.forest import kernel, layout, shares
from bayes_hte.surfaces.forest.core import LiveForest
from bayes_hte.surfaces.forest.planting import plant
from bayes_hte.surfaces.forest.step import ForestData
from bayes_hte.surfaces.gp.model import GPRegression, collapsed_model
from bayes_hte.surfaces.gp.sampling import sample_collapsed
from bayes_hte.surfaces.gp.surface import gp_term

N = 40
TREES = {"shared": 4, "arm": 2, "mediator": 2, "mediator_modified": 2, "mediator_arm": 1}
NARROW = {"shared": 0.3, "arm": 0.3, "arm_mean": 0.5}
COUNTS = ("poisson", "negative_binomial")
TIMES = ("lognormal", "loglogistic", "log_student_t", "weibull")
HAZARD = "piecewise_hazard"
COLUMN = "y"


@dataclass(frozen=True)
class Length:
    """Length of a chain: iterations before the first kept draw, kept draws, iterations between."""

    tune: int = 200
    kept: int = 39
    thin: int = 10


@dataclass(frozen=True)
class Cell:
    """A model to be calibrated.

    Attributes
    ----------
    name : str
        Its name in the table.
    stage : {"outcome", "propensity", "mediator and outcome"}
        The component, or both.
    family, surface, learner, noise : str
        As in a plan; the mediator has the family and surface too.
    wrong : float
        Factor on the prior scale of the shared function that the *sampler* believes in; other than
        1 the calibration must fail.
    seen : {"times", "intervals", "visits"}
        How times to an event are known: each, but for censoring; between two visits; or so, while
        the *sampler* believes that the later visit is the time, and must fail.
    arms : int
        Arms of the study, with nearly equal numbers of units.
    """

    name: str
    stage: str = "outcome"
    family: str = "gaussian"
    surface: str = "forest"
    learner: str = "hierarchical"
    noise: str = "constant"
    wrong: float = 1.0
    seen: str = "times"
    arms: int = 2

    def plan(self, *, believed: bool = False) -> Plan:
        """Return the plan of the prior, or of the sampler."""
        names = ("shared", "arm", "arm_mean") if self.stage != "propensity" else ("shared",)
        scales = NARROW if self.family in COUNTS else {}
        believes = self.wrong if believed else 1.0
        default = {"shared": 1.0, "arm": 0.5, "arm_mean": 0.7}
        changes = []
        for component in ("outcome", "mediator", "propensity"):
            for term, trees in TREES.items():
                scale = scales.get(term, default.get(term))
                if term == "shared":
                    scale *= believes
                if term in names or (component == "outcome" and term.startswith("mediator")):
                    changes.append(
                        PriorSpec(component, term, "a small model", scale=scale, trees=trees)
                    )
        if scales:
            mean = scales["arm_mean"]
            changes.append(PriorSpec("outcome", "arm_mean", "a small model", scale=mean))
        return Plan(
            learner=self.learner,
            surface=self.surface,
            family=self.family,
            noise=self.noise,
            propensity_covariate=False,
            propensity_surface="forest" if self.surface == "forest" else "linear",
            priors=tuple(changes),
        )


def study_of(cell: Cell, mediator: np.ndarray | None = None) -> Study:
    """Return the study whose outcome and mediator set the scales of the priors."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "x1": rng.normal(size=N),
            "x2": rng.normal(size=N),
            "site": np.array(["a", "b", "c"])[rng.integers(0, 3, N)],
            "t": np.arange(N) % cell.arms,
            "event": np.arange(N) % 4 > 0,
        }
    )
    values = {
        "bernoulli": np.arange(N) // 2 % 2,
        "bounded(0, 4)": rng.uniform(0.2, 3.8, N),
        **dict.fromkeys((*TIMES, HAZARD), np.exp(rng.normal(size=N))),
        **dict.fromkeys(COUNTS, rng.poisson(3, N)),
    }
    frame[COLUMN] = values.get(cell.family, rng.normal(size=N))
    frame["m"] = rng.normal(size=N) if mediator is None else mediator
    return Study.from_frame(
        frame,
        outcome=COLUMN,
        treatment="t",
        covariates=["x1", "x2", "site"],
        mediator="m" if cell.stage == "mediator and outcome" else None,
        event="event" if cell.family in (*TIMES, HAZARD) else None,
    )


# --- parameters from the prior ---------------------------------------------------------------


def valid_forest(data: ForestData, rng: np.random.Generator) -> LiveForest:
    """Draw scale, probabilities of columns and trees from the joint prior of one forest."""
    live = plant(data.prior, data.x, data.basis, **data.columns)
    factor = rng.standard_normal() if data.prior.adaptive else 1.0
    live.leaf_variance = data.prior.leaf_variance * factor**2
    while True:
        if live.learns:
            shares.draw_prior_shares(live.shares, rng)
        for t in range(data.prior.trees):
            live.tops[t] = kernel._draw_tree(
                live.nodes[t], live.slots[t], live.grid, live.shares, live.law, rng
            )
            if live.tops[t] == 0:
                break
        else:
            break
    leaf = live.nodes["feature"] == layout.LEAF
    live.leaves = int(leaf.sum())
    values = np.sqrt(live.leaf_variance) * rng.standard_normal(leaf.shape)
    live.nodes["value"] = np.where(leaf, values, 0.0)
    live.f[:] = live.nodes["value"][np.arange(data.prior.trees)[:, None], live.slots].sum(axis=0)
    return live


def from_prior(component: Component, draws: int, seed: int) -> Iterator[dict[str, np.ndarray]]:
    """Draw every variable of the PyMC model from the prior, forests from theirs.

    Yields
    ------
    dict of str to ndarray
        Values of the variables; of a forest its values at the rows, and its scale and leaves.
    """
    model, rng = component.model, np.random.default_rng(seed)
    named = [
        v.name for v in (*model.free_RVs, *model.deterministics) if v.name not in component.forests
    ]
    drawn = []
    if named:
        variables = [model[name] for name in named]
        # One draw alone would have no axis of draws.
        size = max(draws, 2)
        drawn = pm.draw(variables, draws=size, random_seed=seed, mode="FAST_COMPILE")
    for k in range(draws):
        values = {name: np.asarray(of)[k] for name, of in zip(named, drawn, strict=True)}
        for name, data in component.forests.items():
            values |= forest_values(name, valid_forest(data, rng))
        yield values


def forest_values(name: str, live: LiveForest) -> dict[str, np.ndarray]:
    """Return the values of a forest at the rows, and what else the prior says something of."""
    values = {name: live.f.copy()}
    if live.prior.adaptive:
        values |= {f"{name} leaf sd": np.sqrt(live.leaf_variance), f"{name} leaves": live.leaves}
    if live.learns:
        values[f"{name} share"] = live.shares.share[0]
    return values


# --- quantities ------------------------------------------------------------------------------


def as_fitted(component: Component, values: Sequence[Mapping[str, np.ndarray]]) -> FittedComponent:
    """Give draws of the variables the form of a sampled component, one chain."""
    names = {v.name for v in (*component.model.free_RVs, *component.model.deterministics)}
    kept = {
        name: np.array([np.asarray(one[name]) for one in values])
        for name in values[0]
        if name in names
    }
    posterior = posterior_of(component, [ChainDraws(len(values), kept, ())])
    at_units = {
        p.term.name: kept[p.name][None] for p in component.placed if p.name in component.forests
    }
    stats = xr.Dataset(coords={dim: posterior[dim] for dim in SAMPLE})
    return FittedComponent.of(
        component, posterior=posterior, stats=stats, trees={}, at_units=at_units
    )


def quantities(
    component: Component, values: Sequence[Mapping[str, np.ndarray]], y: np.ndarray
) -> dict[str, np.ndarray]:
    """Return what ranks are taken of, each of shape (draw,)."""
    fitted = as_fitted(component, values)
    found = scalars(values, component)
    eta = fitted.linear_predictor().base
    if not component.family.times and component.role != "propensity":
        eta = eta.copy(data=component.family.mean(eta.to_numpy(), noise_under_arms(fitted)))
    mu = eta.isel(chain=0)
    if component.role == "propensity":
        found |= {"mean": mu.isel({ARM: 0}).mean(UNIT), "unit": mu.isel({ARM: 0, UNIT: 0})}
    else:
        effect = mu.isel({ARM: 1}) - mu.isel({ARM: 0})
        found |= {"average effect": effect.mean(UNIT), "effect of a unit": effect.isel({UNIT: 0})}
        for arm in range(2, mu.sizes[ARM]):
            further = mu.isel({ARM: arm}) - mu.isel({ARM: 0})
            found[f"average effect of arm {arm}"] = further.mean(UNIT)
        found["mean of the reference arm"] = mu.isel({ARM: 0}).mean(UNIT)
    return {name: np.asarray(of, dtype=float) for name, of in found.items()}


def predictor(component: Component, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the linear predictor of the rows in their own arms, shape (unit,)."""
    base = as_fitted(component, [values]).linear_predictor().base[0, 0].to_numpy()
    return base[np.arange(N), component.design.arm]


def own_noise(component: Component, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the noise parameters of the rows in their own arms."""
    return {name: of[0, 0] for name, of in as_fitted(component, [values]).noise().items()}


# --- chains ----------------------------------------------------------------------------------


def gibbs_chain(
    component: Component,
    y: np.ndarray,
    rng: np.random.Generator,
    length: Length,
    censoring: Censoring | None = None,
) -> list[dict[str, np.ndarray]]:
    """Sample a column by the direct sampler, which was set up on the reference column."""
    state = _State(component, 0, rng, length.tune)
    state.component = replace(component, y=y)
    if censoring is not None:
        family = component.family.given(censoring)
        state.component = replace(state.component, censoring=censoring, family=family)
        state.noise._event, state.noise._known = censoring.event, censoring
    kept = []
    for i in range(length.tune + length.kept * length.thin):
        state.iterate(i)
        if i >= length.tune and (i - length.tune) % length.thin == length.thin - 1:
            record = {k: np.array(v, copy=True) for k, v in state.record().items()}
            if state.forests is not None:
                for name, live in zip(state.forests.names, state.forests._lives, strict=True):
                    record |= forest_values(name, live)
            kept.append(record)
    return kept


def collapsed_chain(
    component: Component, y: np.ndarray, seed: int, length: Length
) -> list[dict[str, np.ndarray]]:
    """Sample a gaussian column on Gaussian processes."""
    terms = tuple(
        gp_term(p.name, p.term, component.design, scale=p.scale, basis=p.basis)
        for p in component.placed
    )
    scale = component.family.latent_sd(component.y)
    regression = GPRegression(component.role, terms, y, component.offset, scale)
    hyper = length.kept * 2
    with quiet():
        posterior, _ = sample_collapsed(
            regression,
            collapsed_model(regression),
            chains=1,
            draws=hyper,
            hyper_draws=hyper,
            seed=seed,
        )
    return [
        {name: of.to_numpy()[0, i] for name, of in posterior.data_vars.items()}
        for i in range(1, hyper, 2)
    ]


# --- simulations -----------------------------------------------------------------------------

Simulated = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]


def of_one_column(cell: Cell, seeds: range, length: Length) -> Iterator[Simulated]:
    """Yield quantities of the truth, shape (1,), and of the chain, shape (draw,), per seed.

    The truth of seed k is the k-th of draws from the prior, whatever seeds are asked for.
    """
    study = study_of(cell)
    component = build_stage(cell.stage, study, cell.plan(), {})
    believed = build_stage(cell.stage, study, cell.plan(believed=True), {})
    for seed, truth in enumerate(from_prior(component, seeds.stop, seed=11)):
        if seed not in seeds:
            continue
        rng = np.random.default_rng([7, seed])
        y, censoring = _column(component, truth, rng)
        if cell.seen != "times":
            y, censoring = _in_intervals(y, censoring)
        if cell.surface == "gp":
            chain = collapsed_chain(believed, y, seed, length)
        else:
            seen, known = y, censoring
            if cell.seen == "visits":
                known = Censoring(censoring.event)
                seen = np.where(censoring.event, censoring.upper, y)
            chain = gibbs_chain(believed, seen, rng, length, known)
        of_truth = quantities(component, [truth], y)
        of_chain = quantities(believed, chain, y)
        likelihood = partial(_log_likelihood, component, y, censoring)
        of_truth["log-likelihood"] = likelihood([truth])
        of_chain["log-likelihood"] = likelihood(chain)
        yield of_truth, of_chain


def _column(
    component: Component, truth: Mapping[str, np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, Censoring | None]:
    """Draw a column given its parameters; times are censored at fixed times."""
    eta, noise = predictor(component, truth), own_noise(component, truth)
    y = component.family.draw(rng, eta, noise)
    if component.censoring is None:
        return np.asarray(y, dtype=float), None
    end = 1.0 + np.arange(N) / 8
    y = np.maximum(y, 1e-300)
    return np.minimum(y, end), Censoring(y <= end)


def _in_intervals(time: np.ndarray, censoring: Censoring) -> tuple[np.ndarray, Censoring]:
    """Return middles and intervals between visits of events; of every fourth the time is seen."""
    visits = np.concatenate([[0.0], np.geomspace(0.1, 10.0, 6)])
    before = np.searchsorted(visits, time, side="left") - 1
    hidden = censoring.event & (np.arange(N) % 4 > 0)
    lower = np.where(hidden, visits[before], time)
    upper = np.where(hidden, visits[before + 1], np.where(censoring.event, time, np.inf))
    middle = np.where(hidden, (lower + upper) / 2, time)
    return middle, replace(censoring, lower=lower, upper=upper)


def _log_likelihood(
    component: Component,
    y: np.ndarray,
    censoring: Censoring | None,
    values: Sequence[Mapping[str, np.ndarray]],
) -> np.ndarray:
    family = component.family.given(censoring) if censoring is not None else component.family
    fitted = as_fitted(component, values)
    eta = fitted.linear_predictor().base.to_numpy()[0][:, np.arange(N), component.design.arm]
    noise = {name: of[0] for name, of in fitted.noise().items()}
    return family.log_likelihood(y, eta, noise).sum(axis=1)


def of_mediator_and_outcome(cell: Cell, seeds: range, length: Length) -> Iterator[Simulated]:
    """Yield quantities of a mediator and an outcome that depends on it, fitted one after the other.

    The outcome's terms of the mediator take its deviation from an expectation. That is the mean of
    draws from the mediator's fit (which are not ranked), in the truth as in the fit of the outcome:
    an outcome is drawn given mediators and expectations, so both models are one joint distribution.
    """
    plan, before = cell.plan(), length.kept // 2
    mediator = build_stage("mediator", study_of(cell), plan, {})
    longer = replace(length, kept=length.kept + before)
    for seed, truth_m in enumerate(from_prior(mediator, seeds.stop, seed=12)):
        if seed not in seeds:
            continue
        rng = np.random.default_rng([8, seed])
        m, _ = _column(mediator, truth_m, rng)
        chain_m = gibbs_chain(mediator, m, rng, longer)
        expected = as_fitted(mediator, chain_m[:before]).mean().mean(SAMPLE).to_numpy()
        chain_m = chain_m[before:]
        own = expected[np.arange(N), mediator.design.arm]
        study = study_of(cell, mediator=m)
        done = {"mediator": as_fitted(mediator, chain_m)}
        outcome = build_stage("outcome", study, plan, done, expect=lambda *_, own=own: own)
        truth_y = next(iter(from_prior(outcome, 1, seed=1000 + seed)))
        eta = (
            as_fitted(outcome, [truth_y])
            .linear_predictor(expected=expected)
            .as_observed(outcome.design.arm, m - own)
        )
        y = outcome.family.draw(rng, eta[0, 0], own_noise(outcome, truth_y))
        chain_y = gibbs_chain(outcome, y, rng, length)
        found = [
            scalars(ms, mediator)
            | scalars(ys, outcome)
            | natural_effects(as_fitted(mediator, ms), as_fitted(outcome, ys), expected)
            for ms, ys in (([truth_m], [truth_y]), (chain_m, chain_y))
        ]
        yield found[0], found[1]


def natural_effects(
    mediator: FittedComponent, outcome: FittedComponent, expected: np.ndarray
) -> dict[str, np.ndarray]:
    """Return average natural effects and those of a unit, from draws of both models."""
    mu = potential_outcomes(
        outcome.linear_predictor(expected=expected),
        outcome.family,
        mediator.linear_predictor().base,
        mediator.family,
        expected=expected,
        noise=mediator.noise(),
    ).isel(chain=0)
    cells = {(a, b): mu.isel({ARM: a, MEDIATOR_ARM: b}) for a in (0, 1) for b in (0, 1)}
    effects = {
        "indirect effect": cells[1, 1] - cells[1, 0],
        "direct effect": cells[1, 0] - cells[0, 0],
        "total effect": cells[1, 1] - cells[0, 0],
    }
    found = {f"average {name}": of.mean(UNIT) for name, of in effects.items()}
    found["indirect effect of a unit"] = effects["indirect effect"].isel({UNIT: 0})
    return {name: of.to_numpy() for name, of in found.items()}


def scalars(
    values: Sequence[Mapping[str, np.ndarray]], component: Component
) -> dict[str, np.ndarray]:
    """Return the first entry of every variable that is not a forest, each of shape (draw,)."""
    return {
        name: np.array([np.asarray(one[name]).ravel()[0] for one in values], dtype=float)
        for name in values[0]
        if name not in component.forests
    }
