"""Saved stages: atomic, keyed by what they depend on, and never half a result.

A stage is a folder with a DataTree (``draws-<digest>.zarr``) and a ``manifest.json`` that names it
and holds the settings that the stage depends on and the digest of its files. New draws are written
next to the old ones, and replacing the manifest, one file, makes them the stage: a killed run
leaves the old stage or the new one.

Reading a stage executes nothing that is in it, whoever wrote it: the manifest is JSON, and draws
are read only if every array of them is stored with one of the codecs that hold numbers and texts
(:data:`CODECS`). Codecs of Zarr that would unpickle objects are none of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping
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
# The codecs of saved arrays. Others may run code of whoever wrote the files (pickles).
CODECS = frozenset({"bytes", "zstd", "vlen-utf8", "crc32c"})
# Files of the second format of Zarr, whose codecs include pickles.
_OLDER_ZARR = frozenset({".zarray", ".zgroup", ".zattrs", ".zmetadata"})
# What a file or stage is called while it is being written.
_LEFTOVER = re.compile(r"\..+\.new-\d+|\.new-\d+\.zarr")


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
        """Return the differences from wanted settings in words; empty if the stage can be used.

        Raises
        ------
        SavedResultError
            If a newer version of this package has saved the stage.
        """
        wanted = _plain(settings)
        for key in wanted:
            if key.rpartition(".")[2] == "format":
                refuse_newer(self.path, self.settings.get(key), wanted[key])
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
            If there is no stage, it was damaged, a newer version of this package has saved it, or
            its arrays are not stored as this package stores them.
        """
        if not self.exists:
            raise SavedResultError(f"no saved stage at {self.path}; run the study first.")
        refuse_newer(self.path, self.settings.get("format"), FORMAT)
        if not self.intact:
            raise SavedResultError(
                f"the saved stage {self.path} is damaged (its files are not what was written). "
                "Run the study again, or delete that folder."
            )
        _check_codecs(self.draws)
        with _zarr_warnings():
            return xr.open_datatree(
                self.draws, engine="zarr", consolidated=False, zarr_format=3
            ).load()


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
        settings, digest = dict(manifest["settings"]), manifest["digest"]
        # A name and no path: a stage is nowhere but in its folder.
        draws = path / Path(manifest["draws"]).name
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

    Raises
    ------
    SavedResultError
        If the disk is full, or cannot be written to; the old stage is left as it is.
    """
    path = folder / name
    fresh = path / f".new-{os.getpid()}.zarr"
    with writing(path, removing=fresh):
        return _saved(path, fresh, tree, settings)


def _saved(path: Path, fresh: Path, tree: xr.DataTree, settings: Mapping[str, Any]) -> str:
    """Write a stage by way of a fresh folder; return the digest of its files."""
    if path.is_file():
        path.unlink()
    path.mkdir(parents=True, exist_ok=True)
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


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; a full disk is a :class:`SavedResultError`."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically; a full disk is a :class:`SavedResultError`."""
    fresh = path.with_name(f".{path.name}.new-{os.getpid()}")
    with writing(path, removing=fresh):
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)


@contextmanager
def writing(path: Path, *, removing: Path | None = None) -> Iterator[None]:
    """Say what to do where files cannot be written.

    Parameters
    ----------
    path : Path
        Where they go, for the message.
    removing : Path, optional
        A file or folder that is half written then, and is removed so that its room is free.

    Raises
    ------
    SavedResultError
        After an error of the system.
    """
    try:
        yield
    except OSError as error:
        if removing is not None:
            _remove(removing)
        raise SavedResultError(
            f"cannot write {path}: {error.strerror or error}. What is finished is kept; make room, "
            "or write elsewhere, and start it again."
        ) from error


def remove_leftovers(folder: Path, names: Iterable[str]) -> None:
    """Remove what killed calls of :func:`write_text` and :func:`save_stage` have left behind.

    Parameters
    ----------
    folder : Path
        Files directly in it are looked at.
    names : iterable of str
        Folders in it that are looked at with everything below.
    """
    below = [path for name in names for path in (folder / name).rglob(".*new-*")]
    for path in [*folder.glob(".*.new-*"), *below]:
        if _LEFTOVER.fullmatch(path.name):
            _remove(path)


def refuse_newer(path: Path, found: Any, known: int) -> None:
    """Refuse what a newer version of this package has saved.

    Parameters
    ----------
    path : Path
        What is read, for the message.
    found : Any
        Its format; nothing is refused that has none.
    known : int
        The newest format that this version reads.

    Raises
    ------
    SavedResultError
        If the format is newer.
    """
    if isinstance(found, int) and found > known:
        raise SavedResultError(
            f"{path} was saved by a newer version of bayes_hte (format {found}; this version reads "
            f"up to {known}): update the package, or use another folder."
        )


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _check_codecs(draws: Path) -> None:
    """Refuse arrays whose codecs are not those of this package, before Zarr looks at them."""
    for file in sorted(draws.rglob("*")):
        if file.name in _OLDER_ZARR:
            raise _foreign(draws, f"{file.name} of an older format of Zarr")
        if file.name != "zarr.json":
            continue
        try:
            codecs = json.loads(file.read_text(encoding="utf-8")).get("codecs", [])
            names = {codec["name"] for codec in codecs}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise _foreign(draws, f"a zarr.json that cannot be read, {error}") from error
        if names - CODECS:
            raise _foreign(draws, f"the codec {sorted(names - CODECS, key=str)[0]!r}")


def _foreign(draws: Path, reason: str) -> SavedResultError:
    return SavedResultError(
        f"{draws} was not saved by this package ({reason}), so it is not read: such files may run "
        "code. Run the study again."
    )


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
