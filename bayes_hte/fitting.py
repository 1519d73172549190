"""Fit a study: propensity, mediator, outcome in order; potential outcomes from the result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte import effects
from bayes_hte.components.component import Component
from bayes_hte.components.fitted import FittedComponent
from bayes_hte.components.mediator import build_mediator
from bayes_hte.components.outcome import build_outcome
from bayes_hte.components.propensity import build_propensity
from bayes_hte.design import Design
from bayes_hte.errors import DataError
from bayes_hte.mediation import arm_coords, outcomes_at, potential_outcomes
from bayes_hte.names import ARM, SAMPLE
from bayes_hte.plan import Plan, check_plan
from bayes_hte.sampling import SamplerSize, sample_component
from bayes_hte.spec import PriorSpec
from bayes_hte.study import Study


@dataclass(frozen=True)
class Fit:
    """A fitted study.

    Attributes
    ----------
    study : Study
        The data.
    plan : Plan
        What was fitted.
    seed : int
        The seed at the front door.
    components : mapping of str to FittedComponent
        ``"propensity"``, ``"outcome"`` and, with a mediator, ``"mediator"``.
    """

    study: Study
    plan: Plan
    seed: int
    components: Mapping[str, FittedComponent] = field(repr=False)

    @property
    def posterior(self) -> xr.DataTree:
        """Draws of every component's parameters as an ArviZ DataTree.

        Groups: ``posterior`` (all variables start with their component's name), ``sample_stats``
        (those of the outcome), ``mediator_stats`` and ``propensity_stats``, ``observed_data``.
        Forest values at units are left out; :meth:`potential_outcomes` has what they mean.
        """
        groups = {"posterior": xr.merge([c.posterior for c in self.components.values()])}
        for role, component in self.components.items():
            name = "sample_stats" if role == "outcome" else f"{role}_stats"
            groups[name] = component.stats
        roles = self.study.roles
        observed = [c for c in (roles.outcome, roles.mediator) if c is not None]
        frame = self.study.frame[observed].rename_axis("unit")
        groups["observed_data"] = frame.to_xarray()
        return xr.DataTree.from_dict(groups)

    def propensity(self, newdata: pd.DataFrame | None = None) -> xr.DataArray:
        """Probability of the non-reference arm, dims (chain, draw, unit)."""
        component = self.components["propensity"]
        design = None if newdata is None else component.design.replay(newdata)
        return component.mean(design).isel({ARM: 0}, drop=True).rename("propensity")

    def potential_outcomes(
        self, newdata: pd.DataFrame | None = None, *, mediator_value: float | None = None
    ) -> xr.DataArray:
        """Return expected outcomes under each arm, draw by draw.

        Parameters
        ----------
        newdata : DataFrame, optional
            Rows with every covariate; default the study's units.
        mediator_value : float, optional
            Hold the mediator at this value for everybody (for controlled direct effects).

        Returns
        -------
        DataArray, dims (chain, draw, unit, arm[, mediator_arm])
            On the response scale; ``mediator_arm`` only in a mediated study whose mediator is not
            held.

        Raises
        ------
        DataError
            If `newdata` lacks a covariate or has unseen levels or missing values, or a mediator
            value is given for a study without mediator.
        """
        outcome, mediator = self.components["outcome"], self.components.get("mediator")
        if mediator is None and mediator_value is not None:
            raise DataError("this study has no mediator to hold at a value.")
        propensity = self._propensity_covariate(newdata)
        design = _rows(outcome, newdata, propensity)
        predictor = outcome.linear_predictor(design)
        if mediator is None:
            mu = predictor.base.copy(data=outcome.family.inverse_link(predictor.base.to_numpy()))
            mu = mu.rename("mu").assign_attrs(scale="response")
        else:
            eta_m = mediator.linear_predictor(_rows(mediator, newdata, propensity)).base
            center = mediator_center(mediator, eta_m)
            if mediator_value is not None:
                mu = outcomes_at(predictor, outcome.family, mediator_value, center=center)
            else:
                mu = potential_outcomes(
                    predictor,
                    outcome.family,
                    eta_m,
                    mediator.family,
                    center=center,
                    sigma=mediator.sigma,
                )
        return arm_coords(mu, self.study.arms)

    def cate(self, newdata: pd.DataFrame | None = None) -> xr.DataArray:
        """Conditional average treatment effect (total effect), dims (chain, draw, unit)."""
        return effects.cate(self.potential_outcomes(newdata))

    def summary(self, *, ci_prob: float = 0.95) -> pd.DataFrame:
        """Average effects over the units of the study (SATE), one row each."""
        from bayes_hte.summaries import summarize

        mu = self.potential_outcomes()
        if "mediator" in self.components:
            draws = effects.decompose(mu)
        else:
            draws = effects.cate(mu).to_dataset()
        return summarize(effects.average(draws), ci_prob=ci_prob)

    def _propensity_covariate(self, newdata: pd.DataFrame | None) -> np.ndarray | None:
        if newdata is None or not self.components["outcome"].design.has_propensity:
            return None
        return _as_covariate(self.propensity(newdata))


def _as_covariate(propensity: xr.DataArray) -> np.ndarray:
    """Posterior-mean propensity as a column, shape (unit,).

    Rounded, because a tree may split exactly at an observed value: the same unit predicted twice
    must get the same number, whatever the order of summation.
    """
    return np.round(propensity.mean(SAMPLE).to_numpy(), 6)


def _rows(
    component: FittedComponent, newdata: pd.DataFrame | None, propensity: np.ndarray | None
) -> Design:
    if newdata is None:
        return component.design
    return component.design.replay(newdata, propensity=propensity)


def mediator_center(mediator: FittedComponent, eta: xr.DataArray | None = None) -> np.ndarray:
    """Return what the outcome model subtracts from the mediator.

    Parameters
    ----------
    mediator : FittedComponent
        The mediator model.
    eta : DataArray, dims (chain, draw, unit, arm), optional
        Its linear predictor at the wanted rows; default the study's.

    Returns
    -------
    ndarray, shape (unit,)
        Posterior mean of the expected mediator, averaged over the arms. It depends on covariates
        only, so subtracting it is a reparametrisation.
    """
    eta = mediator.linear_predictor().base if eta is None else eta
    return mediator.family.inverse_link(eta.to_numpy()).mean(axis=(0, 1, 3))


def fit_stage(
    stage: str,
    study: Study,
    plan: Plan,
    done: Mapping[str, FittedComponent],
    *,
    seed: int,
    size: SamplerSize,
) -> FittedComponent:
    """Fit one component, given those before it.

    Parameters
    ----------
    stage : {"propensity", "mediator", "outcome"}
        Which.
    study : Study
        The data.
    plan : Plan
        What to fit.
    done : mapping of str to FittedComponent
        The stages before it.
    seed : int
        Seed at the front door.
    size : SamplerSize
        How much to sample.

    Returns
    -------
    FittedComponent
    """
    component = build_stage(stage, study, plan, done)
    return sample_component(component, seed=seed, size=size)


def build_stage(
    stage: str, study: Study, plan: Plan, done: Mapping[str, FittedComponent]
) -> Component:
    """Build one component without sampling it; see :func:`fit_stage`."""
    if stage == "propensity":
        design = Design.learn(study)
        return build_propensity(study, design, surface=plan.propensity_surface, priors=plan.priors)
    propensity = None
    if plan.propensity_covariate:
        propensity = _as_covariate(done["propensity"].mean().isel({ARM: 0}))
    design = Design.learn(study, propensity=propensity)
    if stage == "mediator":
        return build_mediator(
            study,
            design,
            family=plan.mediator_family,
            surface=plan.mediator_surface,
            learner=plan.learner,
            priors=plan.priors,
        )
    return build_outcome(
        study,
        design,
        family=plan.family,
        surface=plan.surface,
        learner=plan.learner,
        center=mediator_center(done["mediator"]) if study.roles.mediator is not None else None,
        priors=plan.priors,
    )


def stages(study: Study) -> tuple[str, ...]:
    """Return the components of a study in the order they are fitted."""
    if study.roles.mediator is None:
        return ("propensity", "outcome")
    return ("propensity", "mediator", "outcome")


def fit(
    study: Study,
    *,
    learner: str = "hierarchical",
    surface: str = "forest",
    family: str = "gaussian",
    mediator_family: str = "gaussian",
    propensity_covariate: bool = True,
    priors: Iterable[PriorSpec] = (),
    seed: int | None = None,
    draws: int = 500,
    tune: int = 300,
    chains: int = 4,
    cores: int | None = None,
    progress: bool = True,
) -> Fit:
    """Fit propensity, mediator (if any) and outcome models of a study.

    Parameters
    ----------
    study : Study
        The data and roles.
    learner : {"hierarchical", "prognostic_effect", "t", "s", "homogeneous"}
        How functions of covariates are combined; see :mod:`bayes_hte.learners.structure`.
    surface : {"forest", "linear"}
        Form of the functions, in every component.
    family, mediator_family : {"gaussian", "bernoulli", "poisson"}
        Distribution of outcome and mediator.
    propensity_covariate : bool, default True
        Whether the estimated propensity is a covariate of the shared part.
    priors : iterable of PriorSpec
        Changes to the default priors, each with its reason.
    seed : int, optional
        Same seed, same draws, on any number of cores. If omitted one is drawn, and kept in the
        result.
    draws, tune, chains : int
        Size of the sampling.
    cores : int, optional
        Processes; default one a chain up to the machine's cores.
    progress : bool, default True
        Whether to show progress bars.

    Returns
    -------
    Fit

    Raises
    ------
    DataError
        If a column does not suit its family.
    SpecError
        If an option is unknown, or a combination is not supported.
    SamplingError
        If the draws cannot be used at all.
    """
    plan = Plan(
        learner=learner,
        surface=surface,
        family=family,
        mediator_family=mediator_family,
        mediator_surface=surface,
        propensity_surface=surface,
        propensity_covariate=propensity_covariate,
        priors=tuple(priors),
    )
    check_plan(study, plan)
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0])
    size = SamplerSize(chains=chains, draws=draws, tune=tune, progress=progress)
    if cores is not None:
        size = SamplerSize(chains, draws, tune, cores, progress)
    done: dict[str, FittedComponent] = {}
    for stage in stages(study):
        done[stage] = fit_stage(stage, study, plan, done, seed=seed, size=size)
    return Fit(study=study, plan=plan, seed=seed, components=done)
