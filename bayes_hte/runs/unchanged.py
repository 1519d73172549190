"""Whether a finished run can stand as it is: neither its input nor its files have changed."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

import bayes_hte
from bayes_hte.errors import SavedResultError
from bayes_hte.runs.prepared import Prepared
from bayes_hte.runs.run_file import PACKAGES, read_run

# What a run writes, besides its own file.
WRITTEN = ("report.html", "tables", "contrasts", "posterior")


def input_of(prepared: Prepared, command: str) -> dict[str, str]:
    """Return everything that the results of a run depend on, each as a short text.

    Parameters
    ----------
    prepared : Prepared
        The study file and its data.
    command : str
        The command line, which the report names.

    Returns
    -------
    dict of str to str
        With the code of the package: a change to it makes the report anew.
    """
    spec, control, mixture = prepared.spec, prepared.control, prepared.mixture
    studies = (prepared.study, prepared.held_out, None if mixture is None else mixture.study)
    data = [study.fingerprint() for study in studies if study is not None]
    if control is not None:
        hashed = pd.util.hash_pandas_object(control).to_numpy().tobytes()
        data.append(hashlib.sha256(hashed).hexdigest())
    return {
        "study file": spec.hash(),
        "data": " ".join(data),
        "command": command,
        "package": _digest(sorted(Path(bayes_hte.__file__).parent.rglob("*"))),
        "versions": " ".join([platform.python_version(), *map(metadata.version, PACKAGES)]),
    }


def output_of(folder: Path) -> str:
    """Return the digest of every file that a run has written into its folder, but its own file."""
    paths = [folder / name for name in WRITTEN]
    return _digest(p for path in paths for p in (path, *sorted(path.rglob("*"))))


def unchanged_run(folder: Path, given: dict[str, str]) -> dict[str, Any] | None:
    """Return the content of the file of a finished run that can stand as it is.

    Parameters
    ----------
    folder : Path
        Where the run is, if there is one.
    given : dict of str to str
        From :func:`input_of`.

    Returns
    -------
    dict or None
        None if there is no finished run, its input was another, or a file of it is not as it was
        written.
    """
    try:
        saved = read_run(folder)
    except SavedResultError:
        return None
    same = saved.get("input") == given and saved.get("output") == output_of(folder)
    return saved if same else None


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        # Compiled files come and go.
        if path.is_file() and "__pycache__" not in path.parts:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(json.dumps([path.name, path.parent.name, content]).encode())
    return digest.hexdigest()
