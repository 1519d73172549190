"""Checks of a run that fit further models: options for other seeds, and the null distribution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.null_studies import calibrate_subgroups
from bayes_hte.fitting.fitted import Fit
from bayes_hte.seeds import stage_seed
from bayes_hte.study.spec import Spec


def other_seeds(spec: Spec) -> dict[str, Any] | None:
    """Return how often a study file asks for a fit with another seed, and its size; None if never.

    Parameters
    ----------
    spec : Spec
        The study file.

    Returns
    -------
    dict or None
        Options of :func:`bayes_hte.checks.seed_stability.seed_stability`.
    """
    if spec.checks.other_seeds == 0:
        return None
    return {"seeds": spec.checks.other_seeds, **_sampling(spec)}


def null_checks(fit: Fit, spec: Spec, *, folder: Path, progress: bool) -> tuple[CheckResult, ...]:
    """Find how often the subgroup rule claims as clear subgroups where effects are equal.

    Parameters
    ----------
    fit : Fit
        The study's fit.
    spec : Spec
        The study file; nothing is done unless ``subgroups.calibrate`` asks for it.
    folder : Path
        Where finished replications are kept, so that a stopped run goes on.
    progress : bool
        Whether to show progress.

    Returns
    -------
    tuple of CheckResult
        One per effect, as information.
    """
    options = spec.subgroups
    if options.calibrate == "none":
        return ()
    checks = []
    for name in options.effects:
        search = {} if options.honest else {"largest_k": options.largest_k}
        found = calibrate_subgroups(
            fit.study,
            name,
            seed=stage_seed(fit.seed, f"null {name}"),
            estimator=options.calibrate,
            plan=fit.plan,
            size=_sampling(spec),
            rule="honest" if options.honest else "in_sample",
            replications=options.replications,
            folder=folder / name,
            progress=progress,
            margin=spec.subgroup_margin,
            probability=options.probability,
            **search,
        )
        title = f"subgroups where effects are equal: {name.upper()}"
        checks.append(CheckResult(title, None, found.summary().reset_index(), found.text))
    return tuple(checks)


def _sampling(spec: Spec) -> dict[str, int]:
    sampler = spec.sampler
    return {"draws": sampler.draws, "tune": sampler.tune, "chains": sampler.chains}
