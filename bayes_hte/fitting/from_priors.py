"""A fit whose draws come from the priors: the effects that are expected before any data.

The result has the form of any fit, so its effects, averages and plots are taken in the same way.
The data set the scales, offsets and encodings of the priors; no likelihood enters.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pymc as pm
import xarray as xr

from bayes_hte.components.component import Component
from bayes_hte.components.fitted import FittedComponent
from bayes_hte.components.numbered import PROPENSITY, kind_and_arm
from bayes_hte.effects.arguments import check_number
from bayes_hte.fitting.expected_mediator import expected_seen
from bayes_hte.fitting.fitted import Fit
from bayes_hte.fitting.plan import Plan, check_plan
from bayes_hte.fitting.sampling import quiet
from bayes_hte.fitting.stages import Sampler, fit_stage, stages
from bayes_hte.names import SAMPLE
from bayes_hte.seeds import check_seed, stage_seed
from bayes_hte.study.study import Study
from bayes_hte.surfaces.forest.draws import stack
from bayes_hte.surfaces.forest.prior_draws import prior_forests


def fit_prior(study: Study, plan: Plan, *, seed: int, draws: int = 500) -> Fit:
    """Draw outcomes and effects from the priors of a plan.

    Parameters
    ----------
    study : Study
        The data; only their scales and covariates are used.
    plan : Plan
        The models. The propensity is left out: as an estimate it has no place in the prior.
    seed : int
        Same seed, same draws.
    draws : int, default 500
        Independent draws of every parameter, in one chain.

    Returns
    -------
    Fit

    Raises
    ------
    DataError
        If a column does not suit its family, or arm and covariates determine the mediator.
    SpecError
        If an option is unknown or out of its range.
    UnsupportedError
        For stacked candidates, whose weights have no prior, and for learner ``"x"``, whose second
        stage is defined by the draws of the first.

    Examples
    --------
    >>> import numpy as np
    >>> import bayes_hte as hte
    >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
    >>> study = hte.Study.from_frame(frame, outcome="y", treatment="treat", covariates=["x1", "x2"])
    >>> prior = hte.fit_prior(study, hte.Plan(), seed=1, draws=20)
    >>> dict(prior.cate().sizes)
    {'chain': 1, 'draw': 20, 'unit': 60}
    """
    plan.check_has_prior()
    check_number("draws", draws, "a whole number, 1 or more", lambda n: n >= 1, whole=True)
    plan, seed = replace(plan, propensity_covariate=False), check_seed(seed)
    sample = prior_sampler(seed=seed, draws=draws)
    check_plan(study, plan)
    done: dict[str, FittedComponent] = {}
    for stage in stages(study, plan):
        if kind_and_arm(stage)[0] != PROPENSITY:
            done[stage] = fit_stage(stage, study, plan, done, sample, expect=expected_seen)
    return Fit(study=study, plan=plan, seed=seed, components=done)


def prior_sampler(*, seed: int, draws: int) -> Sampler:
    """Return the function that draws a component's parameters from its prior."""
    return lambda component: _draw(component, stage_seed(seed, component.role), draws)


def _draw(component: Component, seed: int, draws: int) -> FittedComponent:
    model = component.model
    forests = set(component.forests)
    named = [v.name for v in (*model.free_RVs, *model.deterministics) if v.name not in forests]
    posterior = xr.Dataset(coords={"chain": [0], "draw": np.arange(draws)})
    if named:
        with model, quiet():
            tree = pm.sample_prior_predictive(draws, var_names=named, random_seed=seed)
        posterior = tree["prior"].to_dataset()
    trees = {}
    for i, placed in enumerate(p for p in component.placed if p.name in forests):
        data = component.forests[placed.name]
        drawn = prior_forests(
            data.prior, data.x, draws=draws, seed=stage_seed(seed, str(i)), **data.columns
        )
        trees[placed.term.name] = stack([drawn])
        if placed.term.features == "none":
            constant = np.array([[forest.number[0] for forest in drawn]])
            posterior = posterior.assign({f"{placed.name}_const": (SAMPLE, constant)})
    stats = xr.Dataset({"diverging": (SAMPLE, np.zeros((1, draws), dtype=bool))})
    return FittedComponent.of(component, posterior=posterior, stats=stats, trees=trees)
