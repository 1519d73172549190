"""Everything a study file has sampled: its fit, and the fits it is compared with.

Stages: ``propensity``, ``mediator`` (if any), ``outcome``; if both ways are asked for, the outcome
with the propensity covariate switched; learners to compare with; each half of the study by itself,
on which subgroups are judged; and, where differences are declared, each half once more, with means
of their own for the groups of the other half. Each is saved as it finishes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import xarray as xr

from bayes_hte.components.learners import get_learner
from bayes_hte.fitting.effects_of_fit import learner_summary
from bayes_hte.fitting.fitted import Fit
from bayes_hte.fitting.plan import Plan
from bayes_hte.fitting.stages import stages
from bayes_hte.runs.stage_runner import StageRunner
from bayes_hte.runs.subgroups import half_studies, judge_subgroups, own_means_name
from bayes_hte.seeds import stage_seed
from bayes_hte.study.study import Study
from bayes_hte.subgroups import split_in_halves
from bayes_hte.subgroups.honest.own_means import SUBGROUP_COLUMN, can_be_fitted, with_subgroups

# Folders of stages beside those of the study itself.
OTHER_WAY = "other_propensity"
BESIDE = "beside"
HALVES = "halves"
OWN_MEANS = "own_means"
HALF_NAMES = ("first", "second")


@dataclass(frozen=True)
class Fits:
    """What effects and checks are computed from.

    Attributes
    ----------
    fit : Fit
        The study's.
    other : Fit or None
        The same models with the propensity covariate switched.
    beside : mapping of str to Dataset
        Summaries of the learners to compare with, by name.
    halves : mapping of str to Dataset, dims (chain, draw, unit)
        Unit-level effects of each half, from a fit to that half alone; empty if subgroups are not
        judged honestly.
    own_means : mapping of str to Dataset, dims (chain, draw, unit)
        For each fold of a declared effect (``"te_1"``), that effect of the units judged in it, from
        a fit in which the fold's groups have means of their own.
    held_out : Study or None
        Units that no model has seen.
    """

    fit: Fit
    other: Fit | None
    beside: Mapping[str, xr.Dataset]
    halves: Mapping[str, xr.Dataset]
    own_means: Mapping[str, xr.Dataset]
    held_out: Study | None


def fit_study(
    work: StageRunner, held_out: Study | None, *, fit: Fit | None = None
) -> tuple[Fits, list[str]]:
    """Fit everything a study file asks for, resuming what is saved.

    Parameters
    ----------
    work : StageRunner
        The fitted units, the study file and where stages are kept.
    held_out : Study or None
        Units that were set aside.
    fit : Fit, optional
        The study's own fit, if it is at hand.

    Returns
    -------
    fits : Fits
    sampled : list of str
        What was sampled now.
    """
    plan = Plan.from_spec(work.spec)
    work.progress.expect(_expected_fits(plan, work, fitted=fit is not None))
    fit, sampled = (fit, []) if fit is not None else work.fit(plan, {})
    other = None
    if work.spec.propensity.report_both:
        switched = dataclasses.replace(plan, propensity_covariate=not plan.propensity_covariate)
        done = {"propensity": fit.components["propensity"]}
        with_or_without = "with" if switched.propensity_covariate else "without"
        way = work.elsewhere(OTHER_WAY, of=f"{with_or_without} the propensity as a covariate")
        other, more = way.fit(switched, done)
        sampled += [f"{OTHER_WAY} {stage}" for stage in more]
    beside, more = _beside(fit, held_out, work)
    sampled += more
    halves, more = _halves(plan, work)
    sampled += more
    own_means, more = _own_means(halves, plan, work)
    return Fits(fit, other, beside, halves, own_means, held_out), sampled + more


def _expected_fits(plan: Plan, work: StageRunner, *, fitted: bool) -> int:
    """Count the fits that a study file asks for, without those that a declaration leads to."""
    own = len(stages(work.study, plan))
    found = (0 if fitted else own) + (own - 1 if work.spec.propensity.report_both else 0)
    for learner in work.spec.learner.beside:
        beside = _plan_beside(plan, learner)
        found += len(stages(work.study, beside)) - 1 - _same_outcome(beside, plan)
    return found + (len(HALF_NAMES) * own if work.spec.subgroups.honest else 0)


def _plan_beside(plan: Plan, learner: str) -> Plan:
    """Return the plan of a learner to compare with."""
    return dataclasses.replace(
        plan,
        learner=learner,
        stack_with=(),
        priors=tuple(p for p in plan.priors if p.component == "propensity"),
    )


def _same_outcome(beside: Plan, plan: Plan) -> bool:
    """Whether a learner to compare with has the outcome model of the study itself."""
    return beside.first_stage().learner == plan.first_stage().learner and not plan.stack_with


def _beside(
    fit: Fit, held_out: Study | None, work: StageRunner
) -> tuple[dict[str, xr.Dataset], list[str]]:
    """Fit the learners to compare with, and summarise them; return what was sampled."""
    found, sampled = {}, []
    for learner in work.spec.learner.beside:
        plan = _plan_beside(fit.plan, learner)
        done = {"propensity": fit.components["propensity"]}
        if _same_outcome(plan, fit.plan):
            done["outcome"] = fit.components["outcome"]
        other, more = work.elsewhere(BESIDE, learner, of=f"learner {learner}").fit(plan, done)
        found[learner] = learner_summary(other, held_out)
        sampled += [f"{learner} {stage}" for stage in more]
    return found, sampled


def _halves(plan: Plan, work: StageRunner) -> tuple[dict[str, xr.Dataset], list[str]]:
    """Fit each half of the units by itself; nothing if subgroups are judged in-sample only."""
    if not work.spec.subgroups.honest:
        return {}, []
    found, sampled = {}, []
    seed = stage_seed(work.spec.sampler.seed, HALVES)
    rows = split_in_halves(work.study, seed=seed)
    for name, part in zip(HALF_NAMES, rows, strict=True):
        half = work.elsewhere(HALVES, name, of=f"{name} half", study=work.study.subset(part))
        fit, more = half.fit(plan, {})
        effects = fit.effects()
        found[name] = effects[list(work.spec.subgroups.effects)]
        sampled += [f"{name} half: {stage}" for stage in more]
    return found, sampled


def _own_means(
    halves: Mapping[str, xr.Dataset], plan: Plan, work: StageRunner
) -> tuple[dict[str, xr.Dataset], list[str]]:
    """Fit the halves once more where differences are declared, with means of the groups' own."""
    found, sampled = {}, []
    if not halves or not get_learner(plan.learner).has_means:
        return found, sampled
    own = dataclasses.replace(plan, means_by=SUBGROUP_COLUMN, stack_with=())
    first, second = half_studies(halves, work.study)
    judged = judge_subgroups(halves, {}, work.study, work.spec, seed=work.spec.sampler.seed)
    for effect, honest in judged.items():
        if not (honest.declared and can_be_fitted(honest, (second, first))):
            continue
        # The first fold's profile, of the first half, is judged in the second half.
        for i, (fold, study) in enumerate(zip(honest.folds, (second, first), strict=True), start=1):
            if not fold.divides:
                continue
            name = own_means_name(effect, i)
            divided = with_subgroups(study, fold.profile)
            work.progress.expect(len(stages(divided, own)))
            of = f"size of the difference of {effect}, fold {i} of 2"
            fit, more = work.elsewhere(OWN_MEANS, name, of=of, study=divided).fit(own, {})
            found[name] = fit.effects()[[effect]]
            sampled += [f"{name}: {stage}" for stage in more]
    return found, sampled
