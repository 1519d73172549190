"""Run a study file from data to report, stage by stage, each saved as it finishes.

Stages: ``propensity``, ``mediator`` (if any), ``outcome``, ``effects``; then subgroups, tables and
report, which are quick and made anew each time. A stage is used again when the settings it depends
on are unchanged and its files are intact.
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
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from bayes_hte import analysis
from bayes_hte.checks.base import CheckResult
from bayes_hte.datasets import load_frame
from bayes_hte.errors import SavedResultError, SpecError
from bayes_hte.fitted_study import Fit
from bayes_hte.names import EFFECTS, POPULATIONS
from bayes_hte.plan import Plan
from bayes_hte.reporting import report
from bayes_hte.results import Results
from bayes_hte.spec import Spec, parse_spec
from bayes_hte.stage_runner import Clock, Say, StageRunner, is_usable, sampling_settings
from bayes_hte.store import find_stage, save_stage, write_text
from bayes_hte.study import Study

RUN_FILE = "run.json"
REPORT_FILE = "report.html"
STAGE_FOLDER = "posterior"
# Stages of the same models with the propensity covariate switched.
OTHER_WAY = "other_propensity"
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
    study = clock.time("data", lambda: analysis.study_from_spec(spec, _frame(spec)))
    plan = Plan.from_spec(spec)
    work = StageRunner(study, spec, folder / STAGE_FOLDER, clock, progress, say)
    fit, sampled = work.fit(plan, {})
    other = None
    if spec.propensity.report_both:
        elsewhere = dataclasses.replace(work, folder=work.folder / OTHER_WAY)
        switched = dataclasses.replace(plan, propensity_covariate=not plan.propensity_covariate)
        other, more = elsewhere.fit(switched, {"propensity": fit.components["propensity"]})
        sampled += more
    saved, checks = clock.time(
        "effects", lambda: _effects(fit, other, spec, folder, bool(sampled), say)
    )
    provenance = _provenance(spec, study, command)
    results = clock.time(
        "subgroups",
        lambda: analysis.assemble(spec, study, saved, checks, provenance, seed=spec.sampler.seed),
    )
    clock.time("report", lambda: report(results, to=folder / REPORT_FILE))
    facts = {
        **provenance,
        "seconds": {**clock.seconds, "total": time.time() - started},
        "peak_memory_gib": _peak_memory(),
        "sampled": sampled,
        "healthy": results.healthy,
    }
    _write_run(folder, spec, facts, checks)
    return Run(results, folder, tuple(sampled))


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
    study = analysis.study_from_spec(spec, _frame(spec))
    provenance = saved_run["provenance"]
    if study.fingerprint() != provenance["data_fingerprint"]:
        raise SavedResultError(
            f"the data of {spec.data.source!r} are not those the run in {folder} was made with. "
            "Run the study again."
        )
    saved = _effect_groups(find_stage(folder / STAGE_FOLDER, "effects").load())
    checks = tuple(_check_from(c) for c in saved_run["checks"])
    kept = {k: provenance[k] for k in _provenance(spec, study, "")}
    results = analysis.assemble(spec, study, saved, checks, kept, seed=spec.sampler.seed)
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


def _effects(
    fit: Fit, other: Fit | None, spec: Spec, folder: Path, fresh: bool, say: Say
) -> tuple[dict[str, Any], tuple[CheckResult, ...]]:
    """Load effects and checks if saved for the same draws, else compute and save them."""
    controlled = () if spec.mediator is None else spec.mediator.controlled_at
    settings = {
        **sampling_settings(spec, fit.study),
        "mediator.controlled_at": list(controlled),
        "propensity.report_both": spec.propensity.report_both,
    }
    stage = find_stage(folder / STAGE_FOLDER, "effects")
    if not fresh and is_usable(stage, settings, say):
        tree = stage.load()
        return _effect_groups(tree), tuple(_check_from(c) for c in json.loads(tree.attrs["checks"]))
    say("effects: potential outcomes, contrasts and checks")
    saved = analysis.effect_draws(fit, spec)
    checks = analysis.run_checks(fit, saved["effects"], other=other)
    groups = {
        "/effects": saved["effects"],
        "/populations": saved["populations"],
        "/propensity": saved["propensity"].to_dataset(name="propensity"),
    }
    if saved["controlled"] is not None:
        groups["/controlled"] = saved["controlled"].to_dataset(name="cde")
    tree = xr.DataTree.from_dict(groups)
    tree.attrs["checks"] = json.dumps([_check_state(c) for c in checks])
    save_stage(folder / STAGE_FOLDER, "effects", tree, settings)
    return saved, checks


def _effect_groups(tree: xr.DataTree) -> dict[str, Any]:
    # A folder has no order, so variables are put back into that of the vocabulary.
    unit, whom = tree["effects"].to_dataset(), tree["populations"].to_dataset()
    return {
        "effects": unit[[name for name in EFFECTS if name in unit]],
        "populations": whom[list(POPULATIONS)],
        "propensity": tree["propensity/propensity"],
        "controlled": tree["controlled/cde"] if "controlled" in tree.children else None,
    }


def _check_state(check: CheckResult) -> dict[str, Any]:
    table = check.table.to_json(orient="table", double_precision=15)
    return {"name": check.name, "passed": check.passed, "text": check.text, "table": table}


def _check_from(state: Mapping[str, Any]) -> CheckResult:
    table = pd.read_json(StringIO(state["table"]), orient="table", precise_float=True)
    return CheckResult(state["name"], state["passed"], table, state["text"])


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
        "checks": [_check_state(c) for c in checks],
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
