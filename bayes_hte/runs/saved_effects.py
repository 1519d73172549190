"""Effects and checks of a run as they were saved: loaded without PyMC, and without the fits."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Final

from bayes_hte.checks.base import CheckResult
from bayes_hte.errors import SavedResultError
from bayes_hte.runs.effect_draws import EffectDraws
from bayes_hte.runs.prepared import Prepared
from bayes_hte.runs.saved_checks import check_from
from bayes_hte.runs.settings import is_usable, sampling_settings
from bayes_hte.store import Stage, find_stage
from bayes_hte.study.spec import Spec

STAGE: Final = "effects"
# Raised when the stage holds more than before, so that an old one is computed again.
FORMAT: Final = 3
# The same for what only times to an event have.
FORMAT_OF_TIMES: Final = 1
# The attribute with the digest of each stage that the effects were computed from.
MADE_OF: Final = "made_of"


def saved_effects(
    prepared: Prepared, folder: Path
) -> tuple[EffectDraws, tuple[CheckResult, ...]] | None:
    """Load effects and checks, if nothing that they were computed from has changed.

    Parameters
    ----------
    prepared : Prepared
        The study file and its data.
    folder : Path
        Where stages are kept.

    Returns
    -------
    tuple of EffectDraws and checks, or None
        None if there are none, a setting has changed, or a stage is not as it was when they were
        computed.
    """
    stage = find_stage(folder, STAGE)
    if not is_usable(stage, effect_settings(prepared), lambda _: None):
        return None
    made_of = json.loads(stage.load().attrs.get(MADE_OF, "{}"))
    found = {name: find_stage(folder, name) for name in made_of}
    same = (found[name].intact and found[name].digest == made_of[name] for name in made_of)
    return from_stage(stage, prepared) if made_of and all(same) else None


def from_stage(stage: Stage, prepared: Prepared) -> tuple[EffectDraws, tuple[CheckResult, ...]]:
    """Take effects and checks out of their stage.

    Parameters
    ----------
    stage : Stage
        As found.
    prepared : Prepared
        The study file and its data.

    Returns
    -------
    draws : EffectDraws
    checks : tuple of CheckResult
        Sampling health first.

    Raises
    ------
    SavedResultError
        If there is no stage, or it was damaged.
    """
    tree = stage.load()
    checks = tuple(check_from(c) for c in json.loads(tree.attrs["checks"]))
    return EffectDraws.from_tree(tree, prepared.study, prepared.held_out), checks


def finished_effects(
    stage: Stage, prepared: Prepared
) -> tuple[EffectDraws, tuple[CheckResult, ...]]:
    """Take effects and checks out of the stage of a finished run, if they are of that run.

    Parameters
    ----------
    stage : Stage
        As found.
    prepared : Prepared
        The study file of the finished run and its data.

    Returns
    -------
    draws : EffectDraws
    checks : tuple of CheckResult
        Sampling health first.

    Raises
    ------
    SavedResultError
        If there is no stage, it was damaged, or a later run with other settings has replaced it
        and was interrupted before it was finished.
    """
    # Stages of earlier versions may lack settings, and may say an earlier format.
    known = {k: v for k, v in effect_settings(prepared).items() if k in stage.settings}
    changes = stage.changes({**stage.settings, **known})
    changes = [change for change in changes if not change.partition(":")[0].endswith("format")]
    if stage.intact and changes:
        raise SavedResultError(
            f"{stage.path} is of a later run that was not finished ({'; '.join(changes)}). Run the "
            "study again."
        )
    return from_stage(stage, prepared)


def effect_settings(prepared: Prepared) -> dict[str, Any]:
    """Return everything effects and checks depend on, flat, so that a change can be named."""
    spec: Spec = prepared.spec
    rule = spec.subgroups
    of_times = {} if prepared.study.event is None else {"effects.times_format": FORMAT_OF_TIMES}
    return {
        **sampling_settings(spec, prepared.study),
        "effects.format": FORMAT,
        **of_times,
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
        "subgroups.rule": [spec.subgroup_margin, rule.probability],
        "subgroups.calibrate": [rule.calibrate, rule.replications],
        "checks": dataclasses.asdict(spec.checks),
    }
