"""Run a study file from data to report, stage by stage, each saved when it is done.

Stages: ``propensity``, ``mediator`` (if any), ``outcome``, ``mixture`` (if any), ``effects``; then
subgroups, tables and report, which are quick and made anew each time. Of more than two arms all are
fitted at once, and what follows is done for each contrast. A stage is used again when
the settings it depends on are unchanged and its files are intact.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bayes_hte.errors import SavedResultError, SpecError
from bayes_hte.mixtures.checks import class_checks
from bayes_hte.reporting import report
from bayes_hte.reporting.arms import ArmResults, arms_report
from bayes_hte.reporting.results import Results
from bayes_hte.runs.assembling import assemble
from bayes_hte.runs.effect_draws import EffectDraws
from bayes_hte.runs.effect_stage import STAGE as EFFECTS
from bayes_hte.runs.effect_stage import draws_and_checks
from bayes_hte.runs.fits import fit_study
from bayes_hte.runs.mixture_stage import fit_classes, saved_classes
from bayes_hte.runs.prepared import Prepared, prepare
from bayes_hte.runs.run_file import provenance_of, read_run, write_run
from bayes_hte.runs.saved_checks import check_from
from bayes_hte.runs.several_arms import run_contrasts, saved_contrasts
from bayes_hte.runs.stage_runner import Clock, Say, StageRunner
from bayes_hte.store import find_stage
from bayes_hte.study.spec import Spec
from bayes_hte.study.spec_file import parse_spec

REPORT_FILE = "report.html"
STAGE_FOLDER = "posterior"


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    results : Results
        Everything that was computed; of more than two arms that of the first contrast.
    folder : Path
        Where it is saved.
    sampled : tuple of str
        Components that were sampled now; empty if all were resumed.
    arms : ArmResults or None
        What is said of all arms, in a study of more than two.
    """

    results: Results
    folder: Path
    sampled: tuple[str, ...]
    arms: ArmResults | None = None

    @property
    def contrasts(self) -> Mapping[str, Results]:
        """The results of every contrast, by name; one in a study of two arms."""
        if self.arms is None:
            return {self.results.study.contrast: self.results}
        return self.arms.contrasts


def run_study(
    spec: Spec, folder: str | Path, *, progress: bool = True, say: Say = print, command: str = ""
) -> Run:
    """Run a study, resuming the stages that are already saved.

    Parameters
    ----------
    spec : Spec
        The study file.
    folder : str or Path
        Where results go; created if needed.
    progress : bool, default True
        Whether to show the samplers' progress bars.
    say : callable, default print
        Receives one line per stage.
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

    Examples
    --------
    >>> import bayes_hte as hte
    >>> from bayes_hte.cli import shipped_studies
    >>> spec = hte.load_spec(shipped_studies()["jobs2"])
    >>> run = hte.run_study(spec, "results/jobs2")  # minutes  # doctest: +SKIP
    >>> spec.roles.outcome, spec.outcome.better
    ('depress2', 'lower')
    """
    folder = _writable(Path(folder))
    started, clock = time.time(), Clock()
    prepared = clock.time("data", lambda: prepare(spec))
    spec, study = prepared.spec, prepared.study
    work = StageRunner(study, spec, folder / STAGE_FOLDER, clock, progress, say)
    if len(study.arms) > 2:
        return _run_arms(prepared, work, folder, started=started, command=command)
    fits, sampled = fit_study(work, prepared.held_out)
    draws, checks = clock.time(
        "effects", lambda: draws_and_checks(fits, prepared, work, fresh=bool(sampled))
    )
    mixture, more = clock.time("mixture", lambda: fit_classes(prepared.mixture, work))
    if mixture is not None:
        checks += class_checks(mixture)
    provenance = provenance_of(spec, study, command)
    results = clock.time(
        "subgroups", lambda: assemble(prepared, draws, checks, provenance, mixture=mixture)
    )
    clock.time("report", lambda: report(results, to=folder / REPORT_FILE))
    facts = {
        **provenance,
        "seconds": {**clock.seconds, "total": time.time() - started},
        "sampled": sampled + more,
        "healthy": results.healthy,
        "verdict": results.trust.verdict,
    }
    write_run(folder, spec, facts, checks)
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

    Examples
    --------
    >>> import bayes_hte as hte
    >>> hte.report_from_saved("nowhere")
    Traceback (most recent call last):
    ...
    bayes_hte.errors.SavedResultError: no finished run in nowhere: there is no run.json.
    """
    folder = Path(folder)
    saved = read_run(folder)
    spec = parse_spec(saved["spec"], name=saved["name"], folder=Path(saved["folder"]))
    prepared, provenance = prepare(spec), saved["provenance"]
    if prepared.study.fingerprint() != provenance["data_fingerprint"]:
        raise SavedResultError(
            f"the data of {spec.data.source!r} are not those the run in {folder} was made with. "
            "Run the study again."
        )
    stages = folder / STAGE_FOLDER
    if len(prepared.study.arms) > 2:
        kept = {k: provenance[k] for k in provenance_of(prepared.spec, prepared.study, "")}
        work = StageRunner(prepared.study, prepared.spec, stages, Clock(), False, print)
        arms = saved_contrasts(prepared, work, kept)
        _report_arms(arms, folder)
        return Run(next(iter(arms.contrasts.values())), folder, (), arms)
    tree = find_stage(stages, EFFECTS).load()
    results = assemble(
        prepared,
        EffectDraws.from_tree(tree, prepared.study, prepared.held_out),
        tuple(check_from(c) for c in saved["checks"]),
        {k: provenance[k] for k in provenance_of(prepared.spec, prepared.study, "")},
        mixture=saved_classes(prepared.mixture, prepared.spec, stages),
    )
    report(results, to=folder / REPORT_FILE)
    return Run(results, folder, ())


def _run_arms(
    prepared: Prepared, work: StageRunner, folder: Path, *, started: float, command: str
) -> Run:
    """Run a study of more than two arms: one fit, and every contrast."""
    spec, clock = prepared.spec, work.clock
    provenance = provenance_of(spec, prepared.study, command)
    arms, sampled = run_contrasts(prepared, work, provenance)
    clock.time("report", lambda: _report_arms(arms, folder))
    facts = {
        **provenance,
        "seconds": {**clock.seconds, "total": time.time() - started},
        "sampled": sampled,
        "healthy": arms.healthy,
        "verdict": {name: found.trust.verdict for name, found in arms.contrasts.items()},
    }
    checks = tuple(
        replace(check, name=f"{name}: {check.name}")
        for name, found in arms.contrasts.items()
        for check in found.checks
    )
    write_run(folder, spec, facts, checks)
    return Run(next(iter(arms.contrasts.values())), folder, tuple(sampled), arms)


def _report_arms(arms: ArmResults, folder: Path) -> None:
    """Write the report of every contrast, and the page about all arms."""
    for name, results in arms.contrasts.items():
        report(results, to=folder / arms.folders[name] / REPORT_FILE)
    arms_report(arms, to=folder / REPORT_FILE)


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
