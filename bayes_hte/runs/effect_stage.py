"""The stage ``effects`` of a run: draws of effects and the checks, computed once and saved."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.subject import Subject
from bayes_hte.runs.checks import null_checks, other_seeds
from bayes_hte.runs.effect_draws import EffectDraws, effect_draws
from bayes_hte.runs.fits import Fits
from bayes_hte.runs.prepared import Prepared
from bayes_hte.runs.saved_checks import check_state
from bayes_hte.runs.saved_effects import MADE_OF, STAGE, effect_settings, from_stage
from bayes_hte.runs.settings import is_usable
from bayes_hte.runs.stage_runner import StageRunner
from bayes_hte.runs.time_curves import curves_of_groups
from bayes_hte.store import find_stage, save_stage
from bayes_hte.trust.checking import CHECKS, run_checks, unseen_units


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
    settings = effect_settings(prepared)
    stage = find_stage(work.folder, STAGE)
    if fresh or not is_usable(stage, settings, work.progress.note):
        draws, checks = _computed(fits, prepared, work)
        tree = draws.to_tree()
        tree.attrs["checks"] = json.dumps([check_state(c) for c in checks])
        tree.attrs[MADE_OF] = json.dumps(work.used)
        save_stage(work.folder, STAGE, tree, settings)
        stage = find_stage(work.folder, STAGE)
    # Loaded even if just computed, so that a later run reports the same to the last digit.
    return from_stage(stage, prepared)


def _computed(
    fits: Fits, prepared: Prepared, work: StageRunner
) -> tuple[EffectDraws, tuple[CheckResult, ...]]:
    fit, spec = fits.fit, prepared.spec
    with work.progress.stage("effects"):
        unseen = unseen_units(fit, prepared.held_out)
        draws = effect_draws(
            fits,
            controlled_at=() if spec.mediator is None else spec.mediator.controlled_at,
            unseen=unseen[0] if unseen else None,
        )
        curves, like = curves_of_groups(fit, draws.effects, prepared)
        draws = replace(draws, subgroup_curves=curves, curves_like=like)
    subject = Subject(
        fit,
        draws.effects,
        unseen=unseen,
        better=spec.outcome.better,
        other=fits.other,
        refutations=_refutations(prepared),
        other_seeds=other_seeds(spec),
    )
    with work.progress.stage("checks") as update:
        # One name, of results about held-out or left-out units, ends in "in".
        checks = run_checks(
            subject,
            before=lambda done, name: update(done, len(CHECKS), name.removesuffix(" in")),
        )
    if spec.subgroups.calibrate != "none":
        # It has a bar of its own.
        work.progress.note("studies in which effects are equal")
    folder = work.folder / "null_studies"
    checks += null_checks(fit, spec, folder=folder, progress=work.progress.live)
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
