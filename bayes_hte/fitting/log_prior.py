"""Log prior density of the parameters that set the size of effects and their variation.

These are parameters of the terms that differ between the arms (or multiply a mediator that does):

- forest: the standard deviation of the leaf values, half-normal;
- other surfaces: the constant, and the scales of the functions (``tau``, of curves ``curve_tau``,
  of a Gaussian process ``amplitude``); of a function that sees the arm as a column also the arm's
  own coefficient.

Parameters between those scales and the function are left out, as they are drawn given the scales:
leaf values and trees, coefficients and local scales, process weights. So are lengthscales, which
say how fast a function bends and not how far. The density is that of the parameters as the models
declare them; transformed parameters would have another one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pymc as pm
import xarray as xr
from scipy import stats

from bayes_hte.components.component import Component, PlacedTerm
from bayes_hte.components.fitted import FittedComponent
from bayes_hte.components.numbered import PROPENSITY, kind_and_arm
from bayes_hte.fitting.fitted import Fit
from bayes_hte.fitting.stages import build_stage, hazard_model, stages
from bayes_hte.fitting.times import HAZARD
from bayes_hte.names import SAMPLE
from bayes_hte.study.design import is_arm_feature
from bayes_hte.surfaces.forest.core import ForestPrior
from bayes_hte.surfaces.terms import Term

SCALES = ("tau", "curve_tau", "amplitude")


def effect_log_prior(fit: Fit) -> xr.Dataset:
    """Return the log prior densities that govern the effects of a fit.

    Parameters
    ----------
    fit : Fit
        One candidate, with the plan it was fitted with.

    Returns
    -------
    Dataset, dims (chain, draw)
        One variable per parameter, of the mediator model (if any) and the outcome model.

    Raises
    ------
    UnsupportedError
        For learner ``"x"``, whose second stage models imputed effects, and for stacked candidates,
        which have a prior each.
    """
    fit = fit.whole or fit
    fit.plan.check_has_prior()
    found: dict[str, xr.DataArray] = {}
    parts = fit.sampled_parts()
    for role in stages(fit.study, fit.plan):
        if kind_and_arm(role)[0] != PROPENSITY:
            for component in _models(role, fit):
                found |= dict(_densities(component, parts[component.role]))
    return xr.Dataset(found).drop_vars(SAMPLE, errors="ignore")


def _models(role: str, fit: Fit) -> tuple[Component, ...]:
    """Return the models of a stage: one, or of events of several causes one for each."""
    if role == "outcome" and fit.plan.family == HAZARD:
        return hazard_model(fit.study, fit.plan, fit.components).components
    return (build_stage(role, fit.study, fit.plan, fit.components),)


def governs_effects(term: Term) -> bool:
    """Whether a term differs between the arms, or passes on a mediator's difference."""
    return term.arm is not None or term.features == "covariates+arm" or term.sees_mediator


def leaf_sd_log_prior(leaf_sd: xr.DataArray, prior: ForestPrior) -> xr.DataArray:
    """Return the half-normal log density of the standard deviation of a forest's leaf values.

    Parameters
    ----------
    leaf_sd : DataArray, dims (chain, draw)
        Its draws.
    prior : ForestPrior
        The forest's prior, with a scale that is sampled (`adaptive`).

    Returns
    -------
    DataArray, dims (chain, draw)
    """
    law = stats.halfnorm(scale=np.sqrt(prior.leaf_variance))
    return leaf_sd.copy(data=law.logpdf(leaf_sd.to_numpy()))


def _densities(component: Component, fitted: FittedComponent) -> Iterator[tuple[str, xr.DataArray]]:
    for placed in component.placed:
        if not governs_effects(placed.term):
            continue
        if placed.name in component.forests:
            prior, name = component.forests[placed.name].prior, f"{placed.name}_leaf_sd"
            if prior.adaptive:
                yield name, leaf_sd_log_prior(fitted.posterior[name], prior)
            else:
                constant = fitted.posterior[f"{placed.name}_const"]
                law = stats.norm(scale=prior.scale)
                yield f"{placed.name}_const", constant.copy(data=law.logpdf(constant.to_numpy()))
        else:
            yield from _parameters(component.model, placed, fitted.posterior)


def _parameters(
    model: pm.Model, placed: PlacedTerm, posterior: xr.Dataset
) -> Iterator[tuple[str, xr.DataArray]]:
    term, free = placed.term, {v.name for v in model.free_RVs}
    # With the arm as a column the constant is common to the arms.
    names = [f"{placed.name}_{s}" for s in SCALES]
    names += [] if term.features == "covariates+arm" else [f"{placed.name}_const"]
    for name in names:
        if name in free:
            yield name, _log_density(model, name, posterior[name])
    coefficients = f"{placed.name}_raw"
    if term.features == "covariates+arm" and coefficients in free:
        density = _log_density(model, coefficients, posterior[coefficients])
        feature = f"{placed.name}_feature"
        for name in density[feature].to_numpy():
            if is_arm_feature(name):
                yield f"{coefficients}[{name}]", density.sel({feature: name})


def _log_density(model: pm.Model, name: str, draws: xr.DataArray) -> xr.DataArray:
    """Return the elementwise log density of a variable without parents, draw by draw."""
    density = pm.logp(model[name], draws.to_numpy())
    return draws.copy(data=density.eval(mode="FAST_COMPILE"))
