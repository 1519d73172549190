"""The folder of predictions: written block by block, and there only when it is whole.

While it is being written the folder is called ``NAME.unfinished``. Each block is a Parquet file
that is written under another name and then renamed, so a file that exists is complete, and a
prediction that was interrupted goes on with the blocks that are missing. The folder gets its name
when the last block is there. ``_manifest.json`` says what the numbers depend on; its name and those
of draws begin with ``_``, which readers of Parquet folders pass over.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.errors import MissingDependencyError, SavedResultError
from bayes_hte.names import UNIT
from bayes_hte.store import write_text, writing

MANIFEST = "_manifest.json"
DRAWS = "_draws.zarr"
# Units of a chunk of draws: 2,000 draws in single precision take 8 MB.
CHUNK = 1000
_DRAWS_OF_BLOCK = "_draws-"


@dataclass(frozen=True)
class PredictedEffects:
    """Predictions on disk.

    Attributes
    ----------
    path : Path
        The folder; ``pd.read_parquet(path)`` reads its table.
    rows : int
        Rows, as many as the source has.
    empty : int
        Rows that cannot be predicted, because a value is missing or a level is new: their numbers
        are missing.
    """

    path: Path
    rows: int
    empty: int

    def frame(self) -> pd.DataFrame:
        """Return the table of all rows, in the order and with the index of the source."""
        return pd.read_parquet(self.path)

    def draws(self) -> xr.Dataset:
        """Open the draws, dims (chain, draw, unit, ...), read when used; units are row numbers.

        Raises
        ------
        SavedResultError
            If they were not asked for.
        """
        if not (self.path / DRAWS).exists():
            raise SavedResultError("the draws were not kept; predict again with posterior=True.")
        return xr.open_zarr(self.path / DRAWS, chunks=None, consolidated=False)


def unfinished(to: Path) -> Path:
    """Return the folder in which predictions are written before they are whole."""
    return to.with_name(f"{to.name}.unfinished")


def begin(to: Path, settings: Mapping[str, Any], *, resume: bool) -> PredictedEffects | None:
    """Make or find the folder of an unfinished prediction.

    Parameters
    ----------
    to : Path
        The folder when it is whole.
    settings : mapping
        Everything the numbers depend on, fit for JSON.
    resume : bool
        Whether to go on with what is there; else it is replaced.

    Returns
    -------
    PredictedEffects or None
        The predictions, if they are whole and of these settings.

    Raises
    ------
    SavedResultError
        If there is something else, or predictions of other settings.
    """
    wanted = json.loads(json.dumps(settings))
    for folder in (to, unfinished(to)):
        if not folder.exists():
            continue
        found = _manifest(folder)
        if not resume:
            continue
        had = found["settings"]
        changed = [k for k in sorted({*had, *wanted}) if had.get(k) != wanted.get(k)]
        if changed:
            raise SavedResultError(
                f"{folder} has predictions of another {', '.join(changed)}; write to another "
                "folder, or replace them with resume=False."
            )
        if folder == to:
            return PredictedEffects(to, found["rows"], found["empty"])
    folder = unfinished(to)
    with disk(folder):
        if not resume:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / MANIFEST, json.dumps({"settings": wanted}))
    return None


def _manifest(folder: Path) -> dict[str, Any]:
    """Return what a folder of predictions says of itself."""
    try:
        return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SavedResultError(
            f"{folder} exists and holds no predictions of this package; choose another name."
        ) from error


def block_path(folder: Path, number: int) -> Path:
    """Return the file of a block."""
    return folder / f"part-{number:06d}.parquet"


def is_written(folder: Path, number: int) -> bool:
    """Whether a block is complete."""
    return block_path(folder, number).exists()


def write_block(
    folder: Path, number: int, table: pd.DataFrame, draws: Mapping[str, xr.DataArray]
) -> None:
    """Write one block, whole or not at all.

    Parameters
    ----------
    folder : Path
        The unfinished folder.
    number : int
        Number of the block, in the order of the rows.
    table : DataFrame, shape (row, ...)
        Its rows.
    draws : mapping of str to DataArray, dims (chain, draw, unit, ...)
        Draws to keep; empty for none.

    Raises
    ------
    SavedResultError
        If the disk is full, or not to be written to.
    """
    path = block_path(folder, number)
    with disk(folder), _replacing(path) as fresh:
        # Draws first: the table says that the block is complete.
        if draws:
            kept = {name: d.to_numpy().astype(np.float32) for name, d in draws.items()}
            with (
                _replacing(folder / f"{_DRAWS_OF_BLOCK}{number:06d}.npz") as file,
                file.open("wb") as to,
            ):
                np.savez(to, **kept)
        # The index as a column, also where it is a range: parts of a range would be lost.
        table.to_parquet(fresh, index=True)


def finish(
    to: Path, settings: Mapping[str, Any], like: Mapping[str, xr.DataArray]
) -> PredictedEffects:
    """Give a folder in which every block is written its name.

    Parameters
    ----------
    to : Path
        The folder when it is whole.
    settings : mapping
        As in :func:`begin`.
    like : mapping of str to DataArray, dims (chain, draw, unit, ...)
        Draws of some rows, for names and coordinates; empty if no draws are kept.

    Returns
    -------
    PredictedEffects
    """
    folder = unfinished(to)
    rows = empty = 0
    for path in sorted(folder.glob("part-*.parquet")):
        predicted = pd.read_parquet(path, columns=["predicted"])["predicted"]
        rows, empty = rows + len(predicted), empty + int((~predicted).sum())
    with disk(folder):
        if like:
            _join_draws(folder, like)
        manifest = {"settings": dict(settings), "rows": rows, "empty": empty}
        write_text(folder / MANIFEST, json.dumps(manifest, indent=1))
        if to.exists():
            shutil.rmtree(to)
        folder.rename(to)
    return PredictedEffects(to, rows, empty)


def _join_draws(folder: Path, like: Mapping[str, xr.DataArray]) -> None:
    """Put the draws of all blocks into one zarr store, chunked over units."""
    shutil.rmtree(folder / DRAWS, ignore_errors=True)
    files, done, kept = sorted(folder.glob(f"{_DRAWS_OF_BLOCK}*.npz")), 0, None
    for i, file in enumerate(files):
        part = _draws_of(file, like)
        kept = part if kept is None else xr.concat([kept, part], UNIT)
        # Whole chunks, so that no chunk is written twice.
        last = i == len(files) - 1
        whole = kept.sizes[UNIT] if last else kept.sizes[UNIT] // CHUNK * CHUNK
        if whole or (last and done == 0):
            some = kept.isel({UNIT: slice(whole)})
            some = some.assign_coords({UNIT: np.arange(done, done + whole)})
            _append(folder / DRAWS, some, first=done == 0)
            kept, done = kept.isel({UNIT: slice(whole, None)}), done + whole
    for file in files:
        file.unlink()


def _draws_of(file: Path, like: Mapping[str, xr.DataArray]) -> xr.Dataset:
    with np.load(file) as values:
        parts = {
            name: xr.DataArray(
                values[name],
                dims=array.dims,
                coords={k: c for k, c in array.coords.items() if UNIT not in c.dims},
                attrs=array.attrs,
            )
            for name, array in like.items()
        }
    return xr.Dataset(parts)


def _append(path: Path, part: xr.Dataset, *, first: bool) -> None:
    if not first:
        part.to_zarr(path, append_dim=UNIT, consolidated=False)
        return
    chunks = {
        name: {"chunks": tuple(CHUNK if d == UNIT else n for d, n in array.sizes.items())}
        for name, array in part.data_vars.items()
    }
    chunks[UNIT] = {"chunks": (100 * CHUNK,)}
    part.to_zarr(path, mode="w", encoding=chunks, consolidated=False)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Give a name to write to; when all went well the file gets its own name."""
    fresh = path.with_name(f".{path.name}.new-{os.getpid()}")
    try:
        yield fresh
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def disk(folder: Path) -> Iterator[None]:
    """Say what to do where files cannot be written.

    Raises
    ------
    SavedResultError
        After an error of the system.
    MissingDependencyError
        If pandas lacks a library that writes Parquet.
    """
    try:
        with writing(folder):
            yield
    except ImportError as error:
        raise MissingDependencyError(
            'Parquet files need pyarrow: pip install "bayes-hte[dask]", or pip install pyarrow.'
        ) from error
