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
from bayes_hte.effects.pairs import contrast_name, reported_pairs
from bayes_hte.fitting.effects_of_fit import outcomes_by_arm
from bayes_hte.fitting.fitted import Fit
from bayes_hte.fitting.mediation import arm_coords
from bayes_hte.fitting.plan import Plan
from bayes_hte.fitting.stages import stages
from bayes_hte.names import UNIT
from bayes_hte.reporting.arms import ArmResults
from bayes_hte.reporting.results import Results
from bayes_hte.runs.assembling import assemble
from bayes_hte.runs.effect_draws import EffectDraws
from bayes_hte.runs.effect_stage import draws_and_checks
from bayes_hte.runs.fits import fit_study
from bayes_hte.runs.prediction import saved_run_fit
from bayes_hte.runs.prepared import Prepared
from bayes_hte.runs.saved_effects import STAGE as EFFECTS
from bayes_hte.runs.saved_effects import finished_effects
from bayes_hte.runs.stage_runner import StageRunner
from bayes_hte.store import find_stage
from bayes_hte.study.kinds import label_text
from bayes_hte.study.labels import Labels, labelled_roles, labelled_study
from bayes_hte.study.study import Study
from bayes_hte.targeting.best_arm import best_arms, choices_table, probability_best

FOLDER = "contrasts"
_UNSAFE = re.compile(r"\W+")
# Bytes of a contrast's name in that of its folder; systems allow 255.
LONGEST = 200


@dataclass(frozen=True)
class OneContrast:
    """One contrast of a run.

    Attributes
    ----------
    name : str
        Such as ``"B vs A"``, in the words of the study file.
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
    pairs = reported_pairs(arms, prepared.spec.roles.contrasts)
    return [
        _contrast(prepared, number, (arms[b], arms[a]))
        for number, (b, a) in enumerate(pairs, start=1)
    ]


def _contrast(prepared: Prepared, number: int, pair: tuple[Any, Any]) -> OneContrast:
    study, labels = prepared.study.two_arms(*pair), prepared.spec.labels
    name = contrast_name(*_labelled_arms(prepared, pair))
    words = _UNSAFE.sub("_", contrast_name(*pair)).strip("_").encode("utf-8", "ignore")
    folder = f"{number}_{words[:LONGEST].decode('utf-8', 'ignore')}"
    away, control = prepared.held_out, prepared.control
    roles = dataclasses.replace(prepared.spec.roles, arm_names=(), arms=(), contrasts=())
    title, labels = _title(prepared.spec.title, name), _labels_of(study, labels)
    spec = dataclasses.replace(prepared.spec, roles=roles, title=title, labels=labels)
    part = Prepared(
        spec=spec,
        study=study,
        held_out=None if away is None else away.two_arms(*pair),
        control=None if control is None else control.loc[study.units],
        mixture=None,
    )
    return OneContrast(name, pair, folder, part)


def _labelled_arms(prepared: Prepared, pair: tuple[Any, Any]) -> tuple[Any, ...]:
    """Return arms in the words of the study file."""
    study = prepared.study
    shown = dict(zip(study.arms, labelled_study(study, prepared.spec.labels).arms, strict=True))
    return tuple(shown[arm] for arm in pair)


def _title(title: str, contrast: str) -> str:
    """Add the name of a contrast to a title, which may end in a mark of its own."""
    if title.endswith((".", "?", "!")):
        return f"{title} {contrast[:1].upper()}{contrast[1:]}"
    return f"{title}: {contrast}"


def _labels_of(study: Study, labels: Labels) -> dict[str, Any]:
    """Return the labels without those of levels that two arms lack."""
    kept = {}
    for name, label in labels.items():
        if name not in study.frame:
            kept[name] = label
            continue
        there = set(label_text(study.frame[name].dropna()))
        levels = {level: word for level, word in label.levels.items() if level in there}
        kept[name] = dataclasses.replace(label, levels=levels)
    return kept


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
    contrasts, plan = contrasts_of(prepared), Plan.from_spec(prepared.spec)
    work.progress.expect(len(stages(prepared.study, plan)))
    fit, sampled = work.fit(plan, {})
    fresh, found = bool(sampled), {}
    for one in contrasts:
        work.progress.note(f"contrast {one.name}")
        part = _stages_of(one, work)
        fits, more = fit_study(part, one.prepared.held_out, fit=fit.two_arms(*one.pair))
        sampled += [f"{one.name}: {stage}" for stage in more]
        draws, checks = work.clock.time(
            "effects",
            lambda one=one, fits=fits, part=part, more=more: draws_and_checks(
                fits, one.prepared, part, fresh=fresh or bool(more)
            ),
        )
        with work.progress.stage("subgroups"):
            found[one.name] = _assembled(one, draws, checks, provenance)
    # Loaded even if just fitted, so that a later run reports the same to the last digit.
    fit = saved_run_fit(prepared, work.folder)
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
    fit = saved_run_fit(prepared, work.folder)
    for one in contrasts:
        stage = find_stage(_stages_of(one, work).folder, EFFECTS)
        draws, checks = finished_effects(stage, one.prepared)
        found[one.name] = _assembled(one, draws, checks, provenance)
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
    # From here on readers see the words of the study file.
    spec, study = prepared.spec, labelled_study(prepared.study, prepared.spec.labels)
    spec = dataclasses.replace(spec, roles=labelled_roles(spec.roles, spec.labels))
    mu = arm_coords(outcomes_by_arm(fit), study.arms)
    how = {"ci_prob": spec.report.ci_prob, "ci_kind": spec.report.ci_kind}
    better = spec.outcome.better
    averages = {one.name: effects.average(fit.cate(contrast=one.pair)) for one in contrasts}
    return ArmResults(
        spec=spec,
        study=study,
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
    how = {"folder": folder, "of": one.name, "used": dict(work.used)}
    return dataclasses.replace(work, study=part.study, spec=part.spec, **how)


def _assembled(
    one: OneContrast,
    draws: EffectDraws,
    checks: tuple[CheckResult, ...],
    provenance: Mapping[str, Any],
) -> Results:
    said = {**provenance, "contrast": one.name}
    return assemble(one.prepared, draws, checks, said, mixture=None)
