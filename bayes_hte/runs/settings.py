"""The settings that saved stages depend on, and whether a stage can be used again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from bayes_hte.fitting.plan import Plan
from bayes_hte.runs.progress import Say
from bayes_hte.store import Stage
from bayes_hte.study.spec import Spec
from bayes_hte.study.study import Study


def sampling_settings(spec: Spec, study: Study) -> dict[str, Any]:
    """Return everything the draws depend on, flat, so that a change can be named.

    Parameters
    ----------
    spec : Spec
        The study file.
    study : Study
        Its data.

    Returns
    -------
    dict of str to plain values
    """
    plan = dataclasses.asdict(Plan.from_spec(spec))
    # Not of a study file: a saved study with such a column has another fingerprint.
    plan.pop("means_by")
    for later in ("ordered", "horizon", "estimand"):
        if not plan[later]:
            plan.pop(later)
    if plan["mediator_shape"] == "linear":
        plan.pop("mediator_shape")
    # An option that is left out leaves no trace, so runs saved before it was there are resumed.
    plan["priors"] = [
        {k: v for k, v in p.items() if k != "because" and not (k == "sparse" and v is None)}
        for p in plan["priors"]
    ]
    return {
        **{f"models.{key}": value for key, value in plan.items()},
        **{f"sampler.{key}": value for key, value in dataclasses.asdict(spec.sampler).items()},
        "data": study.fingerprint(),
    }


def is_usable(stage: Stage, settings: Mapping[str, Any], say: Say) -> bool:
    """Whether a saved stage can be used again; if not, say why."""
    if not stage.exists:
        return False
    if not stage.intact:
        say(f"{stage.path.name}: the saved stage is damaged; computing it again")
        return False
    changes = stage.changes(settings)
    if changes:
        say(f"{stage.path.name}: changed since the saved run: {'; '.join(changes)}")
    return not changes
