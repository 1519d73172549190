"""Checks of a run that fit further studies: other seeds, and studies without heterogeneity."""

from __future__ import annotations

from pathlib import Path

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.null_studies import calibrate_subgroups
from bayes_hte.checks.seed_stability import seed_stability
from bayes_hte.fitting.fitted import Fit
from bayes_hte.seeds import stage_seed
from bayes_hte.study.spec import Spec


def seed_checks(fit: Fit, spec: Spec) -> tuple[CheckResult, ...]:
    """Fit the study with as many other seeds as its file asks for; nothing for none."""
    if spec.checks.other_seeds == 0:
        return ()
    sampler = spec.sampler
    return (
        seed_stability(
            fit,
            seeds=spec.checks.other_seeds,
            draws=sampler.draws,
            tune=sampler.tune,
            chains=sampler.chains,
        ),
    )


def null_checks(fit: Fit, spec: Spec, *, folder: Path, progress: bool) -> tuple[CheckResult, ...]:
    """Ask how often subgroups as clear as the study's are found where effects are equal.

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
        One an effect, as information.
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
            size={
                "draws": spec.sampler.draws,
                "tune": spec.sampler.tune,
                "chains": spec.sampler.chains,
            },
            rule="honest" if options.honest else "in_sample",
            replications=options.replications,
            folder=folder / name,
            progress=progress,
            margin=options.margin,
            probability=options.probability,
            **search,
        )
        title = f"subgroups where effects are equal: {name.upper()}"
        checks.append(CheckResult(title, None, found.summary().reset_index(), found.text))
    return tuple(checks)
