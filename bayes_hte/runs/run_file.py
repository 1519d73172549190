"""The file ``run.json`` of a finished run: how its results came about, and its checks."""

from __future__ import annotations

import datetime
import json
import platform
import resource
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from bayes_hte.checks.base import CheckResult
from bayes_hte.errors import SavedResultError
from bayes_hte.runs.saved_checks import check_state
from bayes_hte.store import refuse_newer, write_text
from bayes_hte.study.spec import Spec
from bayes_hte.study.spec_file import parse_spec
from bayes_hte.study.study import Study

RUN_FILE = "run.json"
# Raised when the file changes in layout or meaning; files of earlier versions do not say it.
FORMAT = 1
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


def provenance_of(spec: Spec, study: Study, command: str) -> dict[str, Any]:
    """Say how results came about.

    Parameters
    ----------
    spec : Spec
        The study file.
    study : Study
        The fitted units.
    command : str
        The command line; empty for the usual one.

    Returns
    -------
    dict of str to plain values
    """
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


def write_run(
    folder: Path,
    spec: Spec,
    facts: Mapping[str, Any],
    checks: tuple[CheckResult, ...],
    **further: Any,
) -> None:
    """Write the file of a finished run.

    Parameters
    ----------
    folder : Path
        The folder of the run.
    spec : Spec
        The study file.
    facts : mapping
        Provenance, and what the run took.
    checks : tuple of CheckResult
        Every check.
    **further
        Plain values by which a later run sees that nothing has changed, and what it then says.
    """
    content = {
        "format": FORMAT,
        "name": spec.name,
        "folder": str(spec.folder.resolve()),
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "provenance": {**facts, "peak_memory_gib": _peak_memory()},
        "checks": [check_state(c) for c in checks],
        "spec": spec.text,
        "changes": list(spec.changes),
        "quick": spec.quick,
        **further,
    }
    write_text(folder / RUN_FILE, json.dumps(content, indent=1))


def read_run(folder: Path) -> dict[str, Any]:
    """Read what :func:`write_run` wrote.

    Parameters
    ----------
    folder : Path
        The folder of a finished run.

    Returns
    -------
    dict of str to plain values

    Raises
    ------
    SavedResultError
        If there is no finished run, its file is damaged, or a newer version of this package has
        written it.
    """
    path = folder / RUN_FILE
    if not path.exists():
        raise SavedResultError(f"no finished run in {folder}: there is no {RUN_FILE}.")
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        refuse_newer(path, saved.get("format"), FORMAT)
        missing = {"name", "folder", "provenance", "checks", "spec"} - set(saved)
    except (ValueError, AttributeError) as error:
        raise SavedResultError(f"{path} is damaged ({error}); run the study again.") from error
    if missing:
        raise SavedResultError(f"{path} lacks {', '.join(sorted(missing))}; run the study again.")
    return saved


def saved_spec(saved: Mapping[str, Any]) -> Spec:
    """Return the study file of a finished run, with what was changed outside of it."""
    return parse_spec(
        saved["spec"],
        name=saved["name"],
        folder=Path(saved["folder"]),
        # Runs of earlier versions have neither.
        changes=saved.get("changes", ()),
        quick=saved.get("quick", False),
    )


def _peak_memory() -> float:
    """Largest resident set of this process or a worker, in GiB."""
    unit = 1024**3 if sys.platform == "darwin" else 1024**2
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(who).ru_maxrss for who in both) / unit
