"""From a fit to results: effects, averages, subgroups and checks of one study file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte import effects
from bayes_hte.checks.arms import overlap_check
from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.both_ways import propensity_both_ways
from bayes_hte.checks.of_fit import outcome_checks, prior_checks
from bayes_hte.checks.predictive import posterior_predictive
from bayes_hte.checks.sampling_health import sampling_health
from bayes_hte.errors import DataError
from bayes_hte.fitted_study import Fit
from bayes_hte.names import POPULATIONS, SAMPLE, UNIT
from bayes_hte.results import Results
from bayes_hte.sampling import stage_seed
from bayes_hte.spec import Spec
from bayes_hte.study import Study
from bayes_hte.subgroups import Subgroups, m_learner

# Draws used to replicate the outcome; more change no judged number visibly.
REPLICATES = 400


def study_from_spec(spec: Spec, frame: pd.DataFrame) -> Study:
    """Bind the declared roles to a frame, naming the arms as declared.

    Parameters
    ----------
    spec : Spec
        The study file.
    frame : DataFrame
        Its data.

    Returns
    -------
    Study

    Raises
    ------
    DataError
        If the frame does not suit the roles.
    """
    roles = spec.roles
    study = Study.from_frame(
        frame,
        outcome=roles.outcome,
        treatment=roles.treatment,
        covariates=roles.covariates,
        mediator=roles.mediator,
        cluster=roles.cluster,
        reference=roles.reference,
    )
    if not roles.arm_names:
        return study
    names = dict(zip(study.arms, roles.arm_names, strict=True))
    renamed = study.frame.assign(**{roles.treatment: study.frame[roles.treatment].map(names)})
    return Study(frame=renamed, roles=study.roles, arms=roles.arm_names)


def unit_effects(fit: Fit) -> xr.Dataset:
    """Unit-level effects of a fit: TE and, with a mediator, both decompositions.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    Dataset, dims (chain, draw, unit)
        In outcome units.
    """
    if "mediator" in fit.components:
        return effects.decompose(fit.potential_outcomes())
    te = fit.cate().rename("te")
    return te.assign_attrs(effect="te", long_name="total effect").to_dataset()


def controlled_effects(fit: Fit, values: tuple[float, ...]) -> xr.DataArray | None:
    """Average controlled direct effects, dims (chain, draw, mediator_value); None without values.

    Raises
    ------
    DataError
        If a value lies outside the observed range of the mediator.
    """
    if not values:
        return None
    observed = fit.study.mediator()
    outside = [v for v in values if not observed.min() <= v <= observed.max()]
    if outside:
        raise DataError(
            f"mediator.controlled_at {outside} lies outside the observed mediator "
            f"({observed.min():g} to {observed.max():g}); the model says nothing there."
        )
    draws = [
        effects.average(
            effects.controlled_direct_effect(fit.potential_outcomes(mediator_value=value))
        )
        for value in values
    ]
    dimension = xr.DataArray(list(values), dims="mediator_value", name="mediator_value")
    return xr.concat(draws, dimension, combine_attrs="drop_conflicts").transpose(
        *SAMPLE, "mediator_value"
    )


def populations(te: xr.DataArray, study: Study, *, seed: int) -> xr.Dataset:
    """Total effect averaged over each population, dims (chain, draw)."""
    rng = np.random.default_rng(stage_seed(seed, "populations"))
    return xr.Dataset(
        {
            name: effects.average(te, population=name, treated=study.arm_index(), rng=rng)
            for name in POPULATIONS
        }
    )


def run_checks(fit: Fit, unit: xr.Dataset, *, other: Fit | None = None) -> tuple[CheckResult, ...]:
    """Run every check that needs the fit.

    Parameters
    ----------
    fit : Fit
        The fit.
    unit : Dataset, dims (chain, draw, unit)
        Its unit-level effects.
    other : Fit, optional
        The same models with the propensity covariate switched.

    Returns
    -------
    tuple of CheckResult
        Sampling health first.
    """
    stats = {role: component.stats for role, component in fit.components.items()}
    checks = [
        *sampling_health(unit, stats),
        overlap_check(fit.study, fit.propensity()),
        predictive_check(fit),
        *outcome_checks(fit),
        *prior_checks(fit),
    ]
    if other is not None:
        ways = sorted((fit, other), key=lambda f: not f.plan.propensity_covariate)
        checks.append(propensity_both_ways(*(f.cate() for f in ways)))
    return tuple(checks)


def predictive_check(fit: Fit) -> CheckResult:
    """Posterior predictive check of the outcome model by arm."""
    study, outcome = fit.study, fit.components["outcome"]
    eta = fit.observed_predictor().to_numpy().reshape(-1, study.n_units)
    rng = np.random.default_rng(stage_seed(fit.seed, "predictive"))
    chosen = rng.choice(len(eta), size=min(REPLICATES, len(eta)), replace=False)
    noise = {k: v.reshape(-1, v.shape[-1])[chosen] for k, v in outcome.noise().items()}
    return posterior_predictive(
        eta[chosen],
        noise,
        study.outcome(),
        arm=study.arm_index(),
        arm_names=(str(study.arms[0]), str(study.arms[1])),
        family=outcome.family,
        rng=rng,
    )


def find_subgroups(
    unit: xr.Dataset, study: Study, spec: Spec, *, seed: int
) -> dict[str, Subgroups]:
    """Run the M-learner on every effect the study file names."""
    options = spec.subgroups
    return {
        name: m_learner(
            unit[name],
            study,
            seed=stage_seed(seed, f"subgroups {name}"),
            margin=options.margin,
            probability=options.probability,
            largest_k=options.largest_k,
            embed=options.embed,
        )
        for name in options.effects
    }


def assemble(
    spec: Spec,
    study: Study,
    saved: Mapping[str, Any],
    checks: tuple[CheckResult, ...],
    provenance: Mapping[str, Any],
    *,
    seed: int,
) -> Results:
    """Put the results of one study together.

    Parameters
    ----------
    spec, study
        What was asked, of which data.
    saved : mapping
        ``effects``, ``populations``, ``controlled`` and ``propensity``, as draws.
    checks : tuple of CheckResult
        What :func:`run_checks` returned.
    provenance : mapping
        How the results came about.
    seed : int
        Seed at the front door.

    Returns
    -------
    Results
    """
    unit = saved["effects"]
    return Results(
        spec=spec,
        study=study,
        effects=unit,
        averages=effects.average(unit),
        populations=saved["populations"],
        controlled=saved["controlled"],
        propensity=saved["propensity"],
        subgroups=find_subgroups(unit, study, spec, seed=seed),
        checks=checks,
        provenance=provenance,
    )


def effect_draws(fit: Fit, spec: Spec) -> dict[str, Any]:
    """Compute the draws every later stage reads; see :func:`assemble`."""
    unit = unit_effects(fit)
    values = () if spec.mediator is None else spec.mediator.controlled_at
    return {
        "effects": unit.drop_vars([c for c in unit.coords if c not in (*SAMPLE, UNIT)]),
        "populations": populations(unit["te"], fit.study, seed=fit.seed),
        "controlled": controlled_effects(fit, values),
        "propensity": fit.propensity(),
    }
