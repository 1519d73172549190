"""The stage ``effects`` of a run: draws of effects and the checks, computed once and saved."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import xarray as xr

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.subject import Subject
from bayes_hte.runs.checks import null_checks, other_seeds
from bayes_hte.runs.effect_draws import EffectDraws, effect_draws
from bayes_hte.runs.fits import Fits
from bayes_hte.runs.prepared import Prepared
from bayes_hte.runs.saved_checks import check_from, check_state
from bayes_hte.runs.stage_runner import StageRunner, is_usable, sampling_settings
from bayes_hte.store import find_stage, save_stage
from bayes_hte.study.spec import Spec
from bayes_hte.trust.checking import run_checks, unseen_units

STAGE = "effects"
# Raised when the stage holds more than before, so that an old one is computed again.
FORMAT = 2


def draws_and_checks(
    fits: Fits, prepared: Prepared, work: StageRunner, *, fresh: bool
) -> tuple[EffectDraws, tuple[CheckResult, ...]]:
    """Load effects and checks if they were saved for the same draws, else compute and save them.

    Parameters
    ----------
    fits : Fits
        Everything that was fitted.
    prepared : Prepared
        The study file and its data.
    work : StageRunner
        Where stages are kept.
    fresh : bool
        Whether anything was sampled now, so that saved effects are of other draws.

    Returns
    -------
    draws : EffectDraws
    checks : tuple of CheckResult
        Sampling health first.
    """
    settings = _settings(prepared)
    stage = find_stage(work.folder, STAGE)
    if not fresh and is_usable(stage, settings, work.say):
        tree = stage.load()
        draws = EffectDraws.from_tree(tree, prepared.study, prepared.held_out)
        return draws, saved_checks(tree)
    draws, checks = _computed(fits, prepared, work)
    tree = draws.to_tree()
    tree.attrs["checks"] = json.dumps([check_state(c) for c in checks])
    save_stage(work.folder, STAGE, tree, settings)
    return draws, checks


def saved_checks(tree: xr.DataTree) -> tuple[CheckResult, ...]:
    """Return the checks that were saved with the effects."""
    return tuple(check_from(c) for c in json.loads(tree.attrs["checks"]))


def _computed(
    fits: Fits, prepared: Prepared, work: StageRunner
) -> tuple[EffectDraws, tuple[CheckResult, ...]]:
    fit, spec = fits.fit, prepared.spec
    work.say("effects: potential outcomes, contrasts and checks")
    unseen = unseen_units(fit, prepared.held_out)
    draws = effect_draws(
        fits,
        controlled_at=() if spec.mediator is None else spec.mediator.controlled_at,
        unseen=unseen[0] if unseen else None,
    )
    work.say("checks: refutations, left-out predictions, priors")
    subject = Subject(
        fit,
        draws.effects,
        unseen=unseen,
        better=spec.outcome.better,
        other=fits.other,
        refutations=_refutations(prepared),
        other_seeds=other_seeds(spec),
    )
    checks = run_checks(subject)
    checks += null_checks(fit, spec, folder=work.folder / "null_studies", progress=work.progress)
    return draws, checks


def _refutations(prepared: Prepared) -> dict[str, Any] | None:
    asked = prepared.spec.checks
    if asked.refutations == "none":
        return None
    return {
        "estimator": asked.refutations,
        "repeats": asked.repeats,
        "negative_control": prepared.control,
    }


def _settings(prepared: Prepared) -> dict[str, Any]:
    """Return everything effects and checks depend on, flat, so that a change can be named."""
    spec: Spec = prepared.spec
    rule = spec.subgroups
    return {
        **sampling_settings(spec, prepared.study),
        "effects.format": FORMAT,
        "mediator.controlled_at": []
        if spec.mediator is None
        else list(spec.mediator.controlled_at),
        "propensity.report_both": spec.propensity.report_both,
        "outcome.better": spec.outcome.better,
        "learner.beside": list(spec.learner.beside),
        "held_out": None if spec.held_out is None else dataclasses.asdict(spec.held_out),
        "subgroups.honest": rule.honest,
        "subgroups.effects": list(rule.effects),
        # The declared subgroups decide what is fitted once more.
        "subgroups.search": [rule.largest_k, rule.clusters, rule.embed],
        "subgroups.rule": [rule.margin, rule.probability],
        "subgroups.calibrate": [rule.calibrate, rule.replications],
        "checks": dataclasses.asdict(spec.checks),
    }
