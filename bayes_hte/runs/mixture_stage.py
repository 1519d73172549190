"""The stage ``mixture`` of a run: sampled once, judged again each time.

Only the draws are saved. Names of the classes, checks, moments and agreement follow quickly from
the draws, the data and the seed, so they are computed again.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Final

import pandas as pd

from bayes_hte.errors import SavedResultError
from bayes_hte.fitting.sampling import SamplerSize
from bayes_hte.mixtures.likelihood.fitting import judge_mixture, sample_mixture
from bayes_hte.mixtures.likelihood.mixture_fit import MixtureFit
from bayes_hte.mixtures.likelihood.problem import MixtureProblem, mixture_problem
from bayes_hte.runs.settings import is_usable
from bayes_hte.runs.stage_runner import StageRunner
from bayes_hte.store import find_stage, save_stage
from bayes_hte.study.spec import MixtureSpec, Spec
from bayes_hte.study.study import Study

STAGE: Final = "mixture"


def declared_problem(spec: Spec, frame: pd.DataFrame, study: Study) -> MixtureProblem | None:
    """Check the mixture that a study file declares against its data; nothing is sampled.

    Parameters
    ----------
    spec : Spec
        The study file.
    frame : DataFrame
        Its data; proxies may be columns other than covariates.
    study : Study
        The units to fit, some rows of the frame.

    Returns
    -------
    MixtureProblem or None
        None where the file declares no mixture.

    Raises
    ------
    NotIdentifiedError
        If the declared edges leave not even the average effect identified, or the proxies have too
        few levels.
    DataError, SpecError
        If a proxy cannot be used.
    """
    if spec.mixture is None:
        return None
    return mixture_problem(
        frame.loc[study.units],
        outcome=spec.roles.outcome,
        treatment=spec.roles.treatment,
        x_proxies=spec.mixture.x_proxies,
        z_proxies=spec.mixture.z_proxies,
        k=spec.mixture.classes,
        level=spec.mixture.level,
        edges=spec.mixture.edges,
        family=spec.outcome.family,
        class_covariates=spec.mixture.class_covariates,
        reference=spec.roles.reference,
    )


def fit_classes(
    problem: MixtureProblem | None, work: StageRunner
) -> tuple[MixtureFit | None, list[str]]:
    """Fit the mixture of a study file, or use its saved draws.

    Parameters
    ----------
    problem : MixtureProblem or None
        From :func:`declared_problem`.
    work : StageRunner
        The study file and where stages are kept.

    Returns
    -------
    fit : MixtureFit or None
        None without a mixture.
    sampled : list of str
        The name of the stage, if it was sampled now.
    """
    declared = work.spec.mixture
    if problem is None or declared is None:
        return None, []
    seed = work.spec.sampler.seed
    settings = _settings(work.spec, declared, problem)
    stage = find_stage(work.folder, STAGE)
    work.progress.expect(1)
    if is_usable(stage, settings, work.progress.note):
        with work.progress.fit(STAGE, saved=True):
            return judge_mixture(problem, stage.load(), seed=seed), []
    with work.progress.fit(STAGE):
        size = SamplerSize(
            chains=work.spec.sampler.chains,
            draws=declared.draws,
            tune=declared.tune,
            progress=False,
        )
        sampled = sample_mixture(problem, seed=seed, size=size)
        save_stage(work.folder, STAGE, sampled, settings)
        # Loaded even if just sampled, so that a later run reports the same to the last digit.
        saved = find_stage(work.folder, STAGE).load()
        return judge_mixture(problem, saved, seed=seed), [STAGE]


def saved_classes(problem: MixtureProblem | None, spec: Spec, folder: Path) -> MixtureFit | None:
    """Judge the saved draws of a mixture again, without sampling.

    Parameters
    ----------
    problem : MixtureProblem or None
        From :func:`declared_problem`.
    spec : Spec
        The study file.
    folder : Path
        Where stages are kept.

    Returns
    -------
    MixtureFit or None
        None without a mixture.

    Raises
    ------
    SavedResultError
        If the stage is missing, damaged, or was sampled from other data or settings.
    """
    if problem is None or spec.mixture is None:
        return None
    stage = find_stage(folder, STAGE)
    sampled = stage.load()
    changes = stage.changes(_settings(spec, spec.mixture, problem))
    if changes:
        raise SavedResultError(
            f"{STAGE}: changed since the saved run: {'; '.join(changes)}. Run the study again."
        )
    return judge_mixture(problem, sampled, seed=spec.sampler.seed)


def _settings(spec: Spec, declared: MixtureSpec, problem: MixtureProblem) -> dict[str, Any]:
    """Return all settings that the draws depend on, flat."""
    options = dataclasses.asdict(declared)
    del options["because"]
    return {
        **{f"mixture.{key}": value for key, value in options.items()},
        **{f"priors.{key}": value for key, value in vars(problem.priors).items()},
        "outcome.family": spec.outcome.family,
        "sampler.seed": spec.sampler.seed,
        "sampler.chains": spec.sampler.chains,
        "data": problem.study.fingerprint(),
    }
