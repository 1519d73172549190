"""Run a study file from data to report, stage by stage, each saved when it is done.

Stages: ``propensity``, ``mediator`` (if any), ``outcome``, ``mixture`` (if any), ``effects``; then
subgroups, tables and report, which are quick and made anew each time. Of more than two arms all are
fitted at once, and what follows is done for each contrast. A stage is used again when the settings
it depends on are unchanged and its files are intact. If nothing at all has changed since a finished
run, its report stands, and the run is over after a look at its files. PyMC is loaded only where
something is fitted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayes_hte.errors import SavedResultError, SpecError
from bayes_hte.runs.clock import Clock, processor_seconds
from bayes_hte.runs.prepared import Prepared, prepare
from bayes_hte.runs.progress import Progress, Say, in_terminal
from bayes_hte.runs.run_file import provenance_of, read_run, saved_spec, write_run
from bayes_hte.runs.unchanged import WRITTEN, input_of, output_of, unchanged_run
from bayes_hte.store import find_stage, remove_leftovers
from bayes_hte.study.spec import Spec

if TYPE_CHECKING:
    from bayes_hte.checks.base import CheckResult
    from bayes_hte.mixtures.likelihood.mixture_fit import MixtureFit
    from bayes_hte.reporting.arms import ArmResults
    from bayes_hte.reporting.results import Results
    from bayes_hte.runs.effect_draws import EffectDraws

REPORT_FILE = "report.html"
STAGE_FOLDER = "posterior"


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    results : Results
        Everything that was computed, of more than two arms that of the first contrast; taken from
        the folder when first asked for, if an earlier run computed it.
    arms : ArmResults or None
        What is said of all arms, in a study of more than two.
    contrasts : mapping of str to Results
        The results of every contrast, by name; one in a study of two arms.
    folder : Path
        Where it is saved.
    sampled : tuple of str
        Components that were sampled now; empty if all were resumed.
    answer : tuple of str
        The results in a few lines.
    problem : str
        A sentence on sampling that failed its health checks; empty if all of it is healthy.
    """

    folder: Path
    sampled: tuple[str, ...]
    answer: tuple[str, ...]
    problem: str
    make: Callable[[], Results | ArmResults] = field(repr=False, compare=False)

    @cached_property
    def _made(self) -> Results | ArmResults:
        return self.make()

    @property
    def results(self) -> Results:
        """Everything that was computed."""
        return next(iter(self.contrasts.values()))

    @property
    def arms(self) -> ArmResults | None:
        """What is said of all arms."""
        from bayes_hte.reporting.arms import ArmResults

        return self._made if isinstance(self._made, ArmResults) else None

    @property
    def contrasts(self) -> Mapping[str, Results]:
        """The results of every contrast."""
        if self.arms is not None:
            return self.arms.contrasts
        return {self._made.study.contrast: self._made}

    @classmethod
    def of(cls, results: Results | ArmResults, folder: Path, sampled: tuple[str, ...]) -> Run:
        """Return the run that has just computed some results.

        Parameters
        ----------
        results : Results or ArmResults
            Of a study of two arms, or of more.
        folder : Path
            The folder of the run.
        sampled : tuple of str
            The stages that were sampled.

        Returns
        -------
        Run
        """
        from bayes_hte.reporting.arms import ArmResults
        from bayes_hte.runs.answer import answer_lines, arm_lines, arm_problem, problem_of

        if isinstance(results, ArmResults):
            answer, problem = arm_lines(results), arm_problem(results)
        else:
            answer, problem = answer_lines(results), problem_of(results)
        return cls(folder, sampled, tuple(answer), problem, lambda: results)


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
        Whether to show a bar below the lines, if `say` prints to a terminal.
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
    SavedResultError
        If the disk is full (finished stages are kept, and the next run goes on from them), or a
        newer version of this package has saved a stage there.
    DataError
        If the data do not suit the study file.

    Examples
    --------
    >>> import bayes_hte as hte
    >>> from bayes_hte.cli import shipped_studies
    >>> spec = hte.load_spec(shipped_studies()["jobs2"])
    >>> run = hte.run_study(spec, "results/jobs2")  # a minute  # doctest: +SKIP
    >>> spec.roles.outcome, spec.outcome.better
    ('depress2', 'lower')
    """
    folder = _writable(Path(folder))
    started, used, clock = time.time(), processor_seconds(), Clock()
    shown = Progress(say, live=progress and say is print and in_terminal())
    prepared = clock.time("data", lambda: prepare(spec, models=False))
    given = input_of(prepared, command)
    before = unchanged_run(folder, given)
    if before is not None:
        shown.note(f"nothing has changed since the run of {before['finished']}, which stands")
        return Run(folder, (), tuple(before["answer"]), before["problem"], lambda: _saved(folder))
    spec = prepared.spec
    provenance = provenance_of(spec, prepared.study, command)
    work = _Work(prepared, provenance, folder, clock, shown)
    results, checks, sampled = _all_arms(work) if len(prepared.study.arms) > 2 else _one(work)
    run = Run.of(results, folder, tuple(sampled))
    facts = {
        **provenance,
        "seconds": {**clock.seconds, "total": time.time() - started},
        "processor_seconds": {**clock.processor, "total": processor_seconds() - used},
        "sampled": sampled,
        "healthy": results.healthy,
        "verdict": results.trust.verdict
        if run.arms is None
        else {name: found.trust.verdict for name, found in run.contrasts.items()},
    }
    remove_leftovers(folder, WRITTEN)
    kept = {"input": given, "output": output_of(folder)}
    write_run(folder, spec, facts, checks, **kept, answer=run.answer, problem=run.problem)
    return run


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
    results = _saved(folder)
    _write_report(results, folder)
    return Run.of(results, folder, ())


@dataclass(frozen=True)
class _Work:
    """What the parts of a run share."""

    prepared: Prepared
    provenance: Mapping[str, Any]
    folder: Path
    clock: Clock
    progress: Progress

    @property
    def stages(self) -> Path:
        """Where stages are kept."""
        return self.folder / STAGE_FOLDER


def _one(work: _Work) -> tuple[Results, tuple[CheckResult, ...], list[str]]:
    """Run a study of two arms; return its results, its checks and what was sampled."""
    draws, checks, mixture, sampled = _computed(
        work.prepared, work.stages, work.clock, work.progress
    )
    results = _reported(
        work.prepared,
        draws,
        checks,
        work.provenance,
        mixture,
        folder=work.folder,
        clock=work.clock,
        progress=work.progress,
    )
    return results, checks, sampled


def _all_arms(work: _Work) -> tuple[ArmResults, tuple[CheckResult, ...], list[str]]:
    """Run a study of more than two arms: one fit, and every contrast; return as :func:`_one`."""
    from bayes_hte.runs.several_arms import run_contrasts
    from bayes_hte.runs.stage_runner import StageRunner

    study, spec = work.prepared.study, work.prepared.spec
    runner = StageRunner.of_run(study, spec, work.stages, work.clock, work.progress)
    arms, sampled = run_contrasts(work.prepared, runner, work.provenance)
    with work.progress.stage("reports"):
        work.clock.time("report", lambda: _write_report(arms, work.folder))
    checks = tuple(
        replace(check, name=f"{name}: {check.name}")
        for name, found in arms.contrasts.items()
        for check in found.checks
    )
    return arms, checks, sampled


def _computed(
    prepared: Prepared, stages: Path, clock: Clock, progress: Progress
) -> tuple[EffectDraws, tuple[CheckResult, ...], MixtureFit | None, list[str]]:
    """Load or compute the draws, the checks and the mixture; return also what was sampled."""
    from bayes_hte.runs.saved_effects import saved_effects

    mixture, sampled = None, []
    found = clock.time("effects", lambda: saved_effects(prepared, stages))
    if found is not None:
        progress.note("fits and checks: saved")
    if found is None or prepared.mixture is not None:
        from bayes_hte.runs.effect_stage import draws_and_checks
        from bayes_hte.runs.fits import fit_study
        from bayes_hte.runs.mixture_stage import fit_classes
        from bayes_hte.runs.stage_runner import StageRunner

        work = StageRunner.of_run(prepared.study, prepared.spec, stages, clock, progress)
        if found is None:
            fits, sampled = fit_study(work, prepared.held_out)
            found = clock.time(
                "effects", lambda: draws_and_checks(fits, prepared, work, fresh=bool(sampled))
            )
        mixture, more = clock.time("mixture", lambda: fit_classes(prepared.mixture, work))
        sampled += more
    draws, checks = found
    if mixture is not None:
        from bayes_hte.mixtures.checks import class_checks

        checks += class_checks(mixture)
    return draws, checks, mixture, sampled


def _reported(
    prepared: Prepared,
    draws: EffectDraws,
    checks: tuple[CheckResult, ...],
    provenance: Mapping[str, Any],
    mixture: MixtureFit | None,
    *,
    folder: Path,
    clock: Clock,
    progress: Progress,
) -> Results:
    """Find the subgroups and write the report."""
    from bayes_hte.reporting import report
    from bayes_hte.runs.assembling import assemble

    with progress.stage("subgroups"):
        results = clock.time(
            "subgroups", lambda: assemble(prepared, draws, checks, provenance, mixture=mixture)
        )
    with progress.stage("report"):
        clock.time("report", lambda: report(results, to=folder / REPORT_FILE))
    return results


def _saved(folder: Path) -> Results | ArmResults:
    """Take the results of a finished run out of its folder; raises as :func:`report_from_saved`."""
    from bayes_hte.runs.assembling import assemble
    from bayes_hte.runs.saved_checks import check_from
    from bayes_hte.runs.saved_effects import STAGE, finished_effects

    saved = read_run(folder)
    spec = saved_spec(saved)
    prepared, provenance = prepare(spec, models=False), saved["provenance"]
    if prepared.study.fingerprint() != provenance["data_fingerprint"]:
        raise SavedResultError(
            f"the data of {spec.data.source!r} are not those the run in {folder} was made with. "
            "Run the study again."
        )
    stages = folder / STAGE_FOLDER
    kept = {k: provenance[k] for k in provenance_of(prepared.spec, prepared.study, "")}
    if len(prepared.study.arms) > 2:
        from bayes_hte.runs.several_arms import saved_contrasts
        from bayes_hte.runs.stage_runner import StageRunner

        silent = Progress(lambda _: None)
        work = StageRunner.of_run(prepared.study, prepared.spec, stages, Clock(), silent)
        return saved_contrasts(prepared, work, kept)
    draws, _ = finished_effects(find_stage(stages, STAGE), prepared)
    mixture = None
    if prepared.mixture is not None:
        from bayes_hte.runs.mixture_stage import saved_classes

        mixture = saved_classes(prepared.mixture, prepared.spec, stages)
    return assemble(
        prepared,
        draws,
        tuple(check_from(c) for c in saved["checks"]),
        kept,
        mixture=mixture,
    )


def _write_report(results: Results | ArmResults, folder: Path) -> None:
    """Write the report; of several arms that of every contrast, and the page about all of them."""
    from bayes_hte.reporting import report
    from bayes_hte.reporting.arms import ArmResults, arms_report

    if not isinstance(results, ArmResults):
        report(results, to=folder / REPORT_FILE)
        return
    for name, found in results.contrasts.items():
        report(found, to=folder / results.folders[name] / REPORT_FILE)
    arms_report(results, to=folder / REPORT_FILE)


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
