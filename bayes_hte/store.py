"""Saved stages: atomic, keyed by what they depend on, and never half a result.

A stage is a folder with a DataTree (``draws-<digest>.zarr``) and a ``manifest.json`` that names it
and holds the settings that the stage depends on and the digest of its files. New draws are written
next to the old ones, and replacing the manifest, one file, makes them the stage: a killed run
leaves the old stage or the new one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from bayes_hte.errors import SavedResultError

MANIFEST = "manifest.json"
DRAWS = "draws-"
# Raised when saved stages change in layout or meaning, so that old ones are run again.
FORMAT = 4


@dataclass(frozen=True)
class Stage:
    """A stage as it was found on disk.

    Attributes
    ----------
    path : Path
        Its folder.
    settings : mapping of str to Any
        The settings that it depended on, flat; empty if there is no stage.
    exists, intact : bool
        Whether there is one, and whether every file is as it was written.
    draws : Path or None
        The DataTree of an intact stage.
    digest : str
        The digest of its files as they were written; empty if there is no stage.
    """

    path: Path
    settings: Mapping[str, Any]
    exists: bool
    intact: bool
    draws: Path | None = None
    digest: str = ""

    def changes(self, settings: Mapping[str, Any]) -> list[str]:
        """Return the differences from wanted settings in words; empty if the stage can be used."""
        wanted = _plain(settings)
        keys = sorted(set(wanted) | set(self.settings))
        return [
            f"{key}: {_short(self.settings.get(key))} -> {_short(wanted.get(key))}"
            for key in keys
            if self.settings.get(key) != wanted.get(key)
        ]

    def load(self) -> xr.DataTree:
        """Read the stage into memory.

        Raises
        ------
        SavedResultError
            If there is no stage, or it was damaged.
        """
        if not self.exists:
            raise SavedResultError(f"no saved stage at {self.path}; run the study first.")
        if not self.intact:
            raise SavedResultError(
                f"the saved stage {self.path} is damaged (its files are not what was written). "
                "Run the study again, or delete that folder."
            )
        with _zarr_warnings():
            return xr.open_datatree(self.draws, engine="zarr", consolidated=False).load()


def find_stage(folder: Path, name: str) -> Stage:
    """Look for a saved stage and check every file of it.

    Parameters
    ----------
    folder : Path
        Folder of the stages.
    name : str
        Name of the stage.

    Returns
    -------
    Stage
    """
    path = folder / name
    if not path.is_file() and not any(path.glob("[!.]*")):
        return Stage(path, {}, False, False)
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        settings, digest = manifest["settings"], manifest["digest"]
        draws = path / manifest["draws"]
    except (OSError, ValueError, KeyError, TypeError):
        return Stage(path, {}, True, False)
    intact = draws.is_dir() and _digest(draws) == digest
    return Stage(path, settings, True, intact, draws, digest)


def save_stage(folder: Path, name: str, tree: xr.DataTree, settings: Mapping[str, Any]) -> str:
    """Write a stage; the old one, if any, stays whole until the new one is complete.

    Parameters
    ----------
    folder : Path
        Folder of the stages; created if needed.
    name : str
        Name of the stage.
    tree : DataTree
        Its content.
    settings : mapping
        The settings that it depends on, flat and fit for JSON.

    Returns
    -------
    str
        The digest of its files.
    """
    path = folder / name
    if path.is_file():
        path.unlink()
    path.mkdir(parents=True, exist_ok=True)
    fresh = path / f".new-{os.getpid()}.zarr"
    with _zarr_warnings():
        tree.map_over_datasets(_plain_dataset).to_zarr(fresh, mode="w", consolidated=False)
    digest = _digest(fresh)
    draws = path / f"{DRAWS}{digest[:16]}.zarr"
    if draws.exists() and _digest(draws) != digest:
        shutil.rmtree(draws)
    if not draws.exists():
        fresh.rename(draws)
    manifest = {"settings": _plain(settings), "digest": digest, "draws": draws.name}
    write_text(path / MANIFEST, json.dumps(manifest, indent=1))
    for old in path.glob("*.zarr"):
        if old != draws:
            shutil.rmtree(old)
    return digest


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    fresh = path.with_name(f".{path.name}.new-{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file() and p.name != MANIFEST):
        digest.update(str(file.relative_to(path)).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as JSON gives them back, so that they compare equal to saved ones."""
    return json.loads(json.dumps({**settings, "format": FORMAT}, default=str))


def _plain_dataset(dataset: xr.Dataset) -> xr.Dataset:
    """Drop attributes zarr cannot keep, and store text as variable-length strings."""
    plain = dataset.copy()
    for name, variable in plain.variables.items():
        if variable.dtype.kind == "U" or variable.dtype == object:
            strings = variable.astype(np.dtypes.StringDType())
            if name in plain.coords:
                plain = plain.assign_coords({name: strings})
            else:
                plain = plain.assign({name: strings})
    return plain


@contextmanager
def _zarr_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        # A warning about reading by other programs; these stages are read back by this package.
        warnings.filterwarnings("ignore", message=".*does not have a Zarr V3 specification.*")
        yield


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
