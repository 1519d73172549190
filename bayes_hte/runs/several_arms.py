"""A run of a study of more than two arms: one fit, then every contrast as a study of two arms.

All arms are fitted together. For each contrast that is reported the fit is looked at as one of two
arms (:meth:`bayes_hte.Fit.two_arms`), and whatever compares two arms is done with it: checks,
refutations, evaluation on outcomes that were not seen, subgroups, a verdict, a report. Halves and
learners to compare with are fitted to the two arms alone. The choice among all arms is made from
the fit itself.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bayes_hte import effects
from bayes_hte.checks.base import CheckResult
from bayes_hte.components.saved import from_tree
from bayes_hte.effects.pairs import contrast_name, pairs_of
from bayes_hte.errors import SavedResultError
from bayes_hte.fitting.effects_of_fit import outcomes_by_arm
from bayes_hte.fitting.fitted import Fit
from bayes_hte.fitting.plan import Plan
from bayes_hte.fitting.stages import stages
from bayes_hte.names import UNIT
from bayes_hte.reporting.arms import ArmResults
from bayes_hte.reporting.results import Results
from bayes_hte.runs.assembling import assemble
from bayes_hte.runs.effect_draws import EffectDraws
from bayes_hte.runs.effect_stage import STAGE as EFFECTS
from bayes_hte.runs.effect_stage import draws_and_checks, saved_checks
from bayes_hte.runs.fits import fit_study
from bayes_hte.runs.prepared import Prepared
from bayes_hte.runs.stage_runner import StageRunner, sampling_settings
from bayes_hte.store import find_stage
from bayes_hte.targeting.best_arm import best_arms, choices_table, probability_best

FOLDER = "contrasts"
_UNSAFE = re.compile(r"\W+")


@dataclass(frozen=True)
class OneContrast:
    """One contrast of a run.

    Attributes
    ----------
    name : str
        Such as ``"B vs A"``.
    pair : (object, object)
        The arm and the one it is compared with.
    folder : str
        Name of its folder.
    prepared : Prepared
        The study file and the units of the two arms.
    """

    name: str
    pair: tuple[Any, Any]
    folder: str
    prepared: Prepared


def contrasts_of(prepared: Prepared) -> list[OneContrast]:
    """Return the contrasts that a study file reports, each with the units of its arms.

    Parameters
    ----------
    prepared : Prepared
        The study file and its data.

    Returns
    -------
    list of OneContrast

    Raises
    ------
    SpecError
        If a contrast names no pair of arms.
    DataError
        If a covariate has only one value in two arms.
    """
    arms = prepared.study.arms
    asked = prepared.spec.roles.contrasts or (None,)
    # A contrast that is named twice is reported once.
    pairs = dict.fromkeys(pair for one in asked for pair in pairs_of(arms, one)[0])
    return [
        _contrast(prepared, number, (arms[b], arms[a]))
        for number, (b, a) in enumerate(pairs, start=1)
    ]


def _contrast(prepared: Prepared, number: int, pair: tuple[Any, Any]) -> OneContrast:
    name = contrast_name(*pair)
    study = prepared.study.two_arms(*pair)
    away, control = prepared.held_out, prepared.control
    roles = dataclasses.replace(prepared.spec.roles, arm_names=(), arms=(), contrasts=())
    spec = dataclasses.replace(prepared.spec, roles=roles, title=f"{prepared.spec.title}: {name}")
    part = Prepared(
        spec=spec,
        study=study,
        held_out=None if away is None else away.two_arms(*pair),
        control=None if control is None else control.loc[study.units],
        mixture=None,
    )
    return OneContrast(name, pair, f"{number}_{_UNSAFE.sub('_', name).strip('_')}", part)


def run_contrasts(
    prepared: Prepared, work: StageRunner, provenance: Mapping[str, Any]
) -> tuple[ArmResults, list[str]]:
    """Fit all arms, and look at every contrast.

    Parameters
    ----------
    prepared : Prepared
        The study file and its data.
    work : StageRunner
        Where stages are kept.
    provenance : mapping
        How the results come about.

    Returns
    -------
    results : ArmResults
    sampled : list of str
        What was sampled now.
    """
    contrasts = contrasts_of(prepared)
    fit, sampled = work.fit(Plan.from_spec(prepared.spec), {})
    fresh, found = bool(sampled), {}
    for one in contrasts:
        work.say(f"contrast {one.name}")
        part = _stages_of(one, work)
        fits, more = fit_study(part, one.prepared.held_out, fit=fit.two_arms(*one.pair))
        sampled += [f"{one.name}: {stage}" for stage in more]
        draws, checks = work.clock.time(
            "effects",
            lambda one=one, fits=fits, part=part, more=more: draws_and_checks(
                fits, one.prepared, part, fresh=fresh or bool(more)
            ),
        )
        found[one.name] = _assembled(one, draws, checks, provenance)
    return arm_results(fit, prepared, contrasts, found), sampled


def saved_contrasts(
    prepared: Prepared, work: StageRunner, provenance: Mapping[str, Any]
) -> ArmResults:
    """Load what :func:`run_contrasts` saved, without sampling.

    Parameters
    ----------
    prepared, work, provenance
        As there.

    Returns
    -------
    ArmResults

    Raises
    ------
    SavedResultError
        If a stage is missing, damaged or of other settings.
    """
    contrasts, found = contrasts_of(prepared), {}
    fit = _saved_fit(prepared, work)
    for one in contrasts:
        tree = find_stage(_stages_of(one, work).folder, EFFECTS).load()
        part = one.prepared
        draws = EffectDraws.from_tree(tree, part.study, part.held_out)
        found[one.name] = _assembled(one, draws, saved_checks(tree), provenance)
    return arm_results(fit, prepared, contrasts, found)


def arm_results(
    fit: Fit,
    prepared: Prepared,
    contrasts: list[OneContrast],
    found: Mapping[str, Results],
) -> ArmResults:
    """Collect what is said of all arms.

    Parameters
    ----------
    fit : Fit
        Of all arms.
    prepared : Prepared
        The study file and its data.
    contrasts : list of OneContrast
        The contrasts.
    found : mapping of str to Results
        The results of each, by name.

    Returns
    -------
    ArmResults
    """
    spec, mu = prepared.spec, outcomes_by_arm(fit)
    how = {"ci_prob": spec.report.ci_prob, "ci_kind": spec.report.ci_kind}
    better = spec.outcome.better
    averages = {one.name: effects.average(fit.cate(contrast=one.pair)) for one in contrasts}
    return ArmResults(
        spec=spec,
        study=prepared.study,
        outcomes=mu.mean(UNIT),
        averages=averages,
        probability=probability_best(mu, better=better),
        units=best_arms(mu, better=better),
        choices=choices_table(mu, better=better, **how),
        contrasts=found,
        folders={one.name: f"{FOLDER}/{one.folder}" for one in contrasts},
    )


def _stages_of(one: OneContrast, work: StageRunner) -> StageRunner:
    part = one.prepared
    folder = work.folder / FOLDER / one.folder
    return dataclasses.replace(work, study=part.study, spec=part.spec, folder=folder)


def _assembled(
    one: OneContrast,
    draws: EffectDraws,
    checks: tuple[CheckResult, ...],
    provenance: Mapping[str, Any],
) -> Results:
    said = {**provenance, "contrast": one.name}
    return assemble(one.prepared, draws, checks, said, mixture=None)


def _saved_fit(prepared: Prepared, work: StageRunner) -> Fit:
    plan, study = Plan.from_spec(prepared.spec), prepared.study
    settings, components = sampling_settings(prepared.spec, study), {}
    for name in stages(study, plan):
        stage = find_stage(work.folder, name)
        if not stage.exists or not stage.intact or stage.changes(settings):
            raise SavedResultError(
                f"stage {name!r} in {work.folder} is missing, damaged or of other settings; run "
                "the study again."
            )
        components[name] = from_tree(stage.load(), study)
    return Fit(study=study, plan=plan, seed=prepared.spec.sampler.seed, components=components)
