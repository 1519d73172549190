"""Run a study file from data to report, stage by stage, each saved as it finishes.

Stages: ``propensity``, ``mediator`` (if any), ``outcome``, ``mixture`` (if any), ``effects``; then
subgroups, tables and report, which are quick and made anew each time. A stage is used again when
the settings it depends on are unchanged and its files are intact.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import platform
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from bayes_hte.checks.base import CheckResult
from bayes_hte.errors import DataError, SavedResultError, SpecError, unknown_name
from bayes_hte.fitting.plan import settled
from bayes_hte.mixtures.checks import hidden_class_checks
from bayes_hte.reporting import report
from bayes_hte.reporting.results import Results
from bayes_hte.runs import assembling as analysis
from bayes_hte.runs.checks import null_checks, seed_checks
from bayes_hte.runs.effect_stage import check_from, check_state, effect_groups, effect_tree
from bayes_hte.runs.fits import Fits, fit_study
from bayes_hte.runs.mixture_stage import declared_problem, fit_hidden_classes, saved_hidden_classes
from bayes_hte.runs.stage_runner import Clock, Say, StageRunner, is_usable, sampling_settings
from bayes_hte.store import find_stage, save_stage, write_text
from bayes_hte.study.datasets import load_frame
from bayes_hte.study.spec import Spec
from bayes_hte.study.spec_file import parse_spec
from bayes_hte.study.study import Study
from bayes_hte.trust.checking import run_checks, unseen_units
from bayes_hte.trust.unseen import split

RUN_FILE = "run.json"
REPORT_FILE = "report.html"
STAGE_FOLDER = "posterior"
# Raised when the stage of effects holds more than before, so that an old one is computed again.
EFFECTS_FORMAT = 2
PACKAGES = (
    "bayes-hte",
    "pymc",
    "pytensor",
    "nutpie",
    "arviz",
    "numpy",
    "pandas",
    "scikit-learn",
    "xarray",
)


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    results : Results
        What was computed.
    folder : Path
        Where it is saved.
    sampled : tuple of str
        Components that were sampled now; empty if all were resumed.
    """

    results: Results
    folder: Path
    sampled: tuple[str, ...]


def run_study(
    spec: Spec, folder: str | Path, *, progress: bool = True, say: Say = print, command: str = ""
) -> Run:
    """Run a study, resuming what is already saved.

    Parameters
    ----------
    spec : Spec
        The study file.
    folder : str or Path
        Where results go; created if needed.
    progress : bool, default True
        Whether to show the samplers' progress bars.
    say : callable, default print
        Receives one line a stage.
    command : str
        The command line, for the provenance.

    Returns
    -------
    Run

    Raises
    ------
    SpecError
        If the folder cannot be written.
    DataError
        If the data do not suit the study file.
    """
    folder = _writable(Path(folder))
    started, clock = time.time(), Clock()
    frame = _frame(spec)
    study, held_out = clock.time("data", lambda: _studies(spec, frame))
    spec = settled(spec, study)
    control = _negative_control(spec, frame, study)
    problem = declared_problem(spec, frame, study)
    work = StageRunner(study, spec, folder / STAGE_FOLDER, clock, progress, say)
    fits, sampled = fit_study(work, held_out)
    saved, checks = clock.time(
        "effects", lambda: _effects(fits, control, work, fresh=bool(sampled))
    )
    mixture, more = clock.time("mixture", lambda: fit_hidden_classes(problem, work))
    if mixture is not None:
        checks += hidden_class_checks(mixture)
    provenance = _provenance(spec, study, command)
    results = clock.time(
        "subgroups",
        lambda: analysis.assemble(spec, study, saved, checks, provenance, seed=spec.sampler.seed),
    )
    results = dataclasses.replace(results, mixture=mixture)
    clock.time("report", lambda: report(results, to=folder / REPORT_FILE))
    facts = {
        **provenance,
        "seconds": {**clock.seconds, "total": time.time() - started},
        "peak_memory_gib": _peak_memory(),
        "sampled": sampled + more,
        "healthy": results.healthy,
        "verdict": results.trust.verdict,
    }
    _write_run(folder, spec, facts, checks)
    return Run(results, folder, (*sampled, *more))


def report_from_saved(folder: str | Path) -> Run:
    """Write the report again from saved results, without sampling.

    Parameters
    ----------
    folder : str or Path
        Folder of a finished run.

    Returns
    -------
    Run

    Raises
    ------
    SavedResultError
        If there is no finished run, a stage is damaged, or the data are not those of the run.
    """
    folder = Path(folder)
    saved_run = _read_run(folder)
    spec = parse_spec(saved_run["spec"], name=saved_run["name"], folder=Path(saved_run["folder"]))
    frame = _frame(spec)
    study, held_out = _studies(spec, frame)
    spec = settled(spec, study)
    provenance = saved_run["provenance"]
    if study.fingerprint() != provenance["data_fingerprint"]:
        raise SavedResultError(
            f"the data of {spec.data.source!r} are not those the run in {folder} was made with. "
            "Run the study again."
        )
    stages = folder / STAGE_FOLDER
    saved = effect_groups(find_stage(stages, "effects").load(), study, held_out)
    mixture = saved_hidden_classes(declared_problem(spec, frame, study), spec, stages)
    checks = tuple(check_from(c) for c in saved_run["checks"])
    kept = {k: provenance[k] for k in _provenance(spec, study, "")}
    results = analysis.assemble(spec, study, saved, checks, kept, seed=spec.sampler.seed)
    results = dataclasses.replace(results, mixture=mixture)
    report(results, to=folder / REPORT_FILE)
    return Run(results, folder, ())


def _frame(spec: Spec) -> pd.DataFrame:
    return load_frame(spec.data.source, spec.folder)


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SpecError(
            f"cannot write to {folder}: {error.strerror}. Choose another folder with -o."
        ) from error
    return folder


def _studies(spec: Spec, frame: pd.DataFrame) -> tuple[Study, Study | None]:
    """Return the units that are fitted, and those that are held out."""
    study = analysis.study_from_spec(spec, frame)
    if spec.held_out is None:
        return study, None
    return split(study, share=spec.held_out.share, seed=spec.held_out.seed)


def _negative_control(spec: Spec, frame: pd.DataFrame, study: Study) -> pd.Series | None:
    name = spec.checks.negative_control
    if name is None:
        return None
    if name not in frame:
        raise unknown_name("checks.negative_control", name, frame.columns, DataError)
    return frame.loc[study.units, name]


def _effects(
    source: Fits, control: pd.Series | None, work: StageRunner, *, fresh: bool
) -> tuple[dict[str, Any], tuple[CheckResult, ...]]:
    """Load effects and checks if saved for the same draws, else compute and save them."""
    fit, spec, say = source.fit, work.spec, work.say
    controlled = () if spec.mediator is None else spec.mediator.controlled_at
    settings = {
        **sampling_settings(spec, fit.study),
        "effects.format": EFFECTS_FORMAT,
        "mediator.controlled_at": list(controlled),
        "propensity.report_both": spec.propensity.report_both,
        "outcome.better": spec.outcome.better,
        "learner.beside": list(spec.learner.beside),
        "held_out": None if spec.held_out is None else dataclasses.asdict(spec.held_out),
        "subgroups.honest": spec.subgroups.honest,
        "subgroups.effects": list(spec.subgroups.effects),
        # What is declared decides what is fitted once more.
        "subgroups.search": [
            spec.subgroups.largest_k,
            spec.subgroups.clusters,
            spec.subgroups.embed,
        ],
        "subgroups.rule": [spec.subgroups.margin, spec.subgroups.probability],
        "subgroups.calibrate": [spec.subgroups.calibrate, spec.subgroups.replications],
        "checks": dataclasses.asdict(spec.checks),
    }
    stage = find_stage(work.folder, "effects")
    if not fresh and is_usable(stage, settings, say):
        tree = stage.load()
        checks = tuple(check_from(c) for c in json.loads(tree.attrs["checks"]))
        return effect_groups(tree, fit.study, source.held_out), checks
    say("effects: potential outcomes, contrasts and checks")
    unseen = unseen_units(fit, source.held_out)
    saved = analysis.effect_draws(fit, spec, unseen) | {
        "beside": source.beside,
        "halves": source.halves,
        "own_means": source.own_means,
    }
    say("checks: refutations, left-out predictions, priors")
    checks = run_checks(
        fit,
        saved["effects"],
        unseen=unseen,
        better=spec.outcome.better,
        other=source.other,
        refutations=_refutations(spec, control),
    )
    checks += seed_checks(fit, spec)
    nulls = work.folder / "null_studies"
    checks += null_checks(fit, spec, folder=nulls, progress=work.progress)
    tree = effect_tree(saved)
    tree.attrs["checks"] = json.dumps([check_state(c) for c in checks])
    save_stage(work.folder, "effects", tree, settings)
    return saved, checks


def _refutations(spec: Spec, control: pd.Series | None) -> dict[str, Any] | None:
    if spec.checks.refutations == "none":
        return None
    return {
        "estimator": spec.checks.refutations,
        "repeats": spec.checks.repeats,
        "negative_control": control,
    }


def _provenance(spec: Spec, study: Study, command: str) -> dict[str, Any]:
    return {
        "study": spec.name,
        "spec_hash": spec.hash(),
        "data_source": spec.data.source,
        "data_fingerprint": study.fingerprint(),
        "seed": spec.sampler.seed,
        "versions": {name: metadata.version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "command": command or f"bayes-hte run {spec.name}",
    }


def _write_run(
    folder: Path, spec: Spec, facts: Mapping[str, Any], checks: tuple[CheckResult, ...]
) -> None:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    content = {
        "name": spec.name,
        "folder": str(spec.folder.resolve()),
        "finished": now,
        "provenance": facts,
        "checks": [check_state(c) for c in checks],
        "spec": spec.text,
    }
    write_text(folder / RUN_FILE, json.dumps(content, indent=1))


def _read_run(folder: Path) -> dict[str, Any]:
    path = folder / RUN_FILE
    if not path.exists():
        raise SavedResultError(f"no finished run in {folder}: there is no {RUN_FILE}.")
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        missing = {"name", "folder", "provenance", "checks", "spec"} - set(saved)
    except ValueError as error:
        raise SavedResultError(f"{path} is damaged ({error}); run the study again.") from error
    if missing:
        raise SavedResultError(f"{path} lacks {', '.join(sorted(missing))}; run the study again.")
    return saved


def _peak_memory() -> float:
    """Largest resident set of this process or a worker, in GiB."""
    unit = 1024**3 if sys.platform == "darwin" else 1024**2
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(who).ru_maxrss for who in both) / unit
