"""Fits and runs made once per test run, by the process that needs them first.

Whatever is shared is saved in a folder that all processes of a test run see, and every process
works with the copy it loads, so that no test depends on which process came first.
"""

from __future__ import annotations

import fcntl
import hashlib
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bayes_hte as hte

# The size of the shared fits: enough draws for what is asked of them, and few.
SIZE = {"seed": 3, "draws": 100, "tune": 40, "chains": 2, "cores": 1, "progress": False}
SIZE["stack_with"] = ()  # forests alone: a Gaussian process takes longer


@contextmanager
def alone(name: Path) -> Iterator[None]:
    """Wait until no other process is here; a process that dies lets the next one in."""
    with name.with_name(f"{name.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def made_once(path: Path, make: Callable[[Path], None]) -> Path:
    """Return a path that `make` has filled, in this process or in another.

    What `make` leaves behind when it fails is not taken for finished: the next caller tries again.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    finished = path.with_name(f"{path.name}.finished")
    with alone(path):
        if not finished.exists():
            shutil.rmtree(path, ignore_errors=True)
            make(path)
            finished.touch()
    return path


class SharedFits:
    """``hte.fit`` with a memory: calls with equal data and options share one fit.

    Attributes
    ----------
    folder : Path
        Where fits are saved for the other processes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loaded: dict[str, hte.Fit] = {}

    def fit(self, study: hte.Study, **options: Any) -> hte.Fit:
        """Return the fit of a study with some options, sampled once per test run."""
        key = call_key(study, options)
        if key not in self._loaded:

            def make(path: Path) -> None:
                # Not hte.fit, which may be this very function, nor at the top: it loads PyMC.
                from bayes_hte.fitting.stages import fit

                path.write_bytes(pickle.dumps(fit(study, **options)))

            saved = made_once(self.folder / key, make)
            self._loaded[key] = pickle.loads(saved.read_bytes())
        return self._loaded[key]


def call_key(study: hte.Study, options: dict[str, Any]) -> str:
    """Return a name for a call of ``hte.fit``: equal data, labels and options, equal name."""
    said = repr((study.fingerprint(), sorted(options.items())))
    return hashlib.sha256(said.encode()).hexdigest()[:24]
