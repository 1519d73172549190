"""From the saved draws and checks of a run to its results: the quick part, made anew each time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayes_hte import effects
from bayes_hte.checks.assignment import declared
from bayes_hte.checks.base import CheckResult
from bayes_hte.companions.classical import classical
from bayes_hte.fitting.plan import scale_of_times
from bayes_hte.reporting.results import Results
from bayes_hte.runs.effect_draws import EffectDraws
from bayes_hte.runs.prepared import Prepared
from bayes_hte.runs.subgroups import find_subgroups, judge_subgroups, subgroup_evidence
from bayes_hte.runs.time_curves import CURVE, LABEL
from bayes_hte.seeds import stage_seed
from bayes_hte.sensitivity import Sensitivity, sensitivity
from bayes_hte.study.labels import (
    labelled_roles,
    labelled_study,
    labelled_table,
    labelled_text,
    named,
)
from bayes_hte.study.spec import Spec
from bayes_hte.study.study import Study
from bayes_hte.subgroups import Subgroups
from bayes_hte.trust.rule import judge
from bayes_hte.trust.unseen import evaluate

if TYPE_CHECKING:
    from bayes_hte.mixtures.likelihood.mixture_fit import MixtureFit


def assemble(
    prepared: Prepared,
    draws: EffectDraws,
    checks: tuple[CheckResult, ...],
    provenance: Mapping[str, Any],
    *,
    mixture: MixtureFit | None,
) -> Results:
    """Collect what was computed, and add what is quick to compute.

    Parameters
    ----------
    prepared : Prepared
        The study file and its data.
    draws : EffectDraws
        The draws of the run.
    checks : tuple of CheckResult
        Every check.
    provenance : mapping
        How the results came about.
    mixture : MixtureFit or None
        The mixture of classes, if the file declares one.

    Returns
    -------
    Results
    """
    spec, study, unit = prepared.spec, prepared.study, draws.effects
    # From here on readers see the words of the study file; what was sampled is not touched.
    labels = spec.labels
    checks = tuple(
        replace(
            check,
            text=labelled_text(check.text, labels),
            table=labelled_table(check.table, study, labels),
        )
        for check in checks
    )
    study = labelled_study(study, labels)
    roles = labelled_roles(spec.roles, labels)
    spec = replace(spec, roles=replace(roles, cause=study.causes[0] if study.causes else None))
    if spec.mediator is not None:
        each = {named(name, labels): own for name, own in spec.mediator.each.items()}
        spec = replace(spec, mediator=replace(spec.mediator, each=each))
    seed, better = spec.sampler.seed, spec.outcome.better
    groups = find_subgroups(unit, study, spec, seed=seed)
    rng = np.random.default_rng(stage_seed(seed, "classical"))
    unseen = draws.unseen
    scale = scale_of_times(spec, study)
    return Results(
        spec=spec,
        study=study,
        effects=unit,
        averages=effects.average(unit),
        populations=draws.populations,
        controlled=draws.controlled,
        propensity=draws.propensity,
        subgroups=groups,
        checks=checks,
        provenance=provenance,
        # The study file declares it, so it is no check of a fit.
        trust=judge((*checks, declared(spec.propensity.assignment, outcome=spec.roles.outcome))),
        classical=classical(
            study,
            draws.propensity,
            rng=rng,
            horizon=scale,
            ci_prob=spec.report.ci_prob,
        ),
        reference_outcome=draws.reference_outcome,
        targeting=None if unseen is None else evaluate(unseen, better=better, seed=seed),
        beside=draws.beside,
        evidence=subgroup_evidence(unit, study, groups, seed=seed),
        honest=judge_subgroups(draws.halves, draws.own_means, study, spec, seed=seed),
        sensitivity=_sensitivity(spec, study, draws),
        mixture=mixture,
        arm_means=draws.arm_means,
        reference_draws=draws.reference_draws,
        legs=draws.legs,
        curves=draws.curves,
        incidence=draws.incidence,
        subgroup_curves=_curves_of(groups, draws),
        curves_like=draws.curves_like,
        interventional=draws.interventional,
    )


def _curves_of(groups: Mapping[str, Subgroups], draws: EffectDraws) -> dict[str, xr.DataArray]:
    """Return the saved curves of subgroups, if these are the subgroups that were found."""
    return {
        name: saved[CURVE]
        for name, saved in draws.subgroup_curves.items()
        if name in groups and np.array_equal(saved[LABEL], groups[name].labels)
    }


def _sensitivity(spec: Spec, study: Study, draws: EffectDraws) -> Sensitivity:
    """How much hidden confounding would change the answer."""
    return sensitivity(
        study,
        arm_means=draws.arm_means,
        family=spec.outcome.family,
        better=spec.outcome.better,
        important=spec.outcome.minimal_important_difference,
        randomised=spec.propensity.assignment == "randomised",
        horizon=scale_of_times(spec, study),
        rho=draws.rho,
    )
