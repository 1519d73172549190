"""From a fit to results: effects, averages, subgroups and checks of one study file."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayes_hte import effects
from bayes_hte.checks.base import CheckResult
from bayes_hte.companions.classical import classical
from bayes_hte.errors import UnsupportedError
from bayes_hte.fitting.effects_of_fit import (
    arm_means,
    controlled_effects,
    populations,
    unit_effects,
)
from bayes_hte.fitting.fitted import Fit
from bayes_hte.names import ARM, SAMPLE, UNIT
from bayes_hte.reporting.results import Results
from bayes_hte.runs.subgroups import find_subgroups, judge_subgroups, subgroup_evidence
from bayes_hte.seeds import stage_seed
from bayes_hte.sensitivity import MediationRho, mediation_rho, sensitivity
from bayes_hte.study.spec import Spec
from bayes_hte.study.study import Study
from bayes_hte.trust.rule import judge
from bayes_hte.trust.unseen import Unseen, evaluate


def assemble(
    spec: Spec,
    study: Study,
    saved: Mapping[str, Any],
    checks: tuple[CheckResult, ...],
    provenance: Mapping[str, Any],
    *,
    seed: int,
) -> Results:
    """Collect what was computed, and add what is quick to compute.

    Parameters
    ----------
    spec : Spec
        The study file.
    study : Study
        The fitted units.
    saved : mapping
        What :func:`effect_draws` returned.
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
    unit, unseen = saved["effects"], saved["unseen"]
    groups = find_subgroups(unit, study, spec, seed=seed)
    rng = np.random.default_rng(stage_seed(seed, "classical"))
    return Results(
        spec=spec,
        study=study,
        effects=unit,
        averages=effects.average(unit),
        populations=saved["populations"],
        controlled=saved["controlled"],
        propensity=saved["propensity"],
        subgroups=groups,
        checks=checks,
        provenance=provenance,
        trust=judge(checks),
        classical=classical(study, saved["propensity"], rng=rng),
        reference_outcome=saved["reference_outcome"],
        targeting=None
        if unseen is None
        else evaluate(unseen, better=spec.outcome.better, seed=seed),
        beside=saved["beside"],
        evidence=subgroup_evidence(unit, study, groups, seed=seed),
        honest=judge_subgroups(saved["halves"], saved["own_means"], study, spec, seed=seed),
        sensitivity=sensitivity(
            study,
            arm_means=saved["arm_means"],
            family=spec.outcome.family,
            better=spec.outcome.better,
            important=spec.outcome.minimal_important_difference,
            randomised=spec.propensity.assignment == "randomised",
            rho=saved["rho"],
        ),
    )


def effect_draws(fit: Fit, spec: Spec, unseen: Sequence[Unseen]) -> dict[str, Any]:
    """Compute the draws every later stage reads; see :func:`assemble`."""
    unit = unit_effects(fit)
    values = () if spec.mediator is None else spec.mediator.controlled_at
    mu = effects.own_mediator(fit.first_stage().potential_outcomes())
    return {
        "effects": unit.drop_vars([c for c in unit.coords if c not in (*SAMPLE, UNIT)]),
        "populations": populations(unit["te"], fit.study, seed=fit.seed),
        "controlled": controlled_effects(fit, values),
        "propensity": fit.propensity(),
        "reference_outcome": mu.isel({ARM: 0}, drop=True).mean(SAMPLE, dtype=np.float64),
        "unseen": unseen[0] if unseen else None,
        "arm_means": arm_means(fit, mu),
        "rho": rho_draws(fit, unit),
    }


def rho_draws(fit: Fit, unit: xr.Dataset) -> MediationRho | None:
    """Sensitivity to confounding of the mediator, where it is worked out; else None."""
    if "mediator" not in fit.components:
        return None
    with contextlib.suppress(UnsupportedError):
        return mediation_rho(fit, effects=unit)
    return None
