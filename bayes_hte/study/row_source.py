"""Tables of any length as blocks of rows: DataFrames, Parquet and CSV files.

Only the columns that are asked for are read, and no more than some blocks are in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.errors import DataError, MissingDependencyError
from bayes_hte.study.csv_file import ENDINGS, open_csv_blocks
from bayes_hte.study.frames import as_table, check_present

PARQUET = (".parquet", ".pq")
WHAT = "column of the new rows"


@dataclass(frozen=True)
class RowSource:
    """Rows that are read block by block.

    Attributes
    ----------
    digest : str
        Changes whenever the rows do.
    blocks : callable () -> iterator of DataFrame, shape (row, column)
        Reads from the beginning; every block but the last has as many rows as were asked for.
    """

    digest: str
    blocks: Callable[[], Iterator[pd.DataFrame]]


def row_source(
    source: Any,
    columns: Sequence[str],
    *,
    block: int,
    texts: Sequence[str] = (),
    missing_values: Sequence[str] | None = None,
) -> RowSource:
    """Open a table that is read in blocks.

    Parameters
    ----------
    source : DataFrame, str, Path or list of these paths
        A table of pandas, polars or Arrow; a CSV file; Parquet files, or a folder of them, which
        are taken in the order of their names.
    columns : sequence of str
        The columns to read.
    block : int
        Rows of a block.
    texts : sequence of str, optional
        Columns of a CSV file that hold levels, not numbers.
    missing_values : sequence of str, optional
        Cells of a CSV file that mean a missing value; default those of pandas.

    Returns
    -------
    RowSource

    Raises
    ------
    DataError
        If there is no such file, or a column is absent.
    MissingDependencyError
        If Parquet files cannot be read for want of pyarrow.
    """
    if not isinstance(source, str | Path | list | tuple):
        frame = as_table(source, "source")
        check_present(frame, columns, WHAT)
        some = frame.loc[:, list(columns)]
        return RowSource(_digest_of(some), lambda: _slices(some, block))
    files = _files(source)
    digest = _digest_of_files(files)
    if files[0].suffix.lower() in ENDINGS:
        if len(files) > 1:
            raise DataError(f"one CSV file is read at a time, got {len(files)}.")
        csv = {"block": block, "texts": texts, "missing_values": missing_values}
        return RowSource(digest, lambda: _csv(files[0], columns, **csv))
    for file in files:
        check_present(pd.DataFrame(columns=_schema(file).names), columns, f"{file.name}: {WHAT}")
    return RowSource(digest, lambda: _reblocked(_parquet(files, columns, block), block))


def read_parquet(path: Path) -> pd.DataFrame:
    """Read a Parquet file, or a folder of them, with every column.

    Parameters
    ----------
    path : Path
        The file or folder.

    Returns
    -------
    DataFrame

    Raises
    ------
    DataError
        If it cannot be read, or is empty.
    """
    files = _files(path)
    for file in files:
        # Its errors say what to do.
        _schema(file)
    frames = [pd.read_parquet(file) for file in files]
    frame = pd.concat(frames) if len(frames) > 1 else frames[0]
    if frame.empty:
        raise DataError(f"{path} has no rows or no columns.")
    return frame


def is_parquet(path: str | Path) -> bool:
    """Whether a path is a Parquet file by its name, or a folder."""
    return Path(path).suffix.lower() in PARQUET or Path(path).is_dir()


def _csv(file: Path, columns: Sequence[str], **how: Any) -> Iterator[pd.DataFrame]:
    for frame in open_csv_blocks(file, columns, **how):
        yield frame.loc[:, list(columns)]


def _slices(frame: pd.DataFrame, block: int) -> Iterator[pd.DataFrame]:
    for start in range(0, len(frame), block):
        yield frame.iloc[start : start + block]


def _reblocked(frames: Iterable[pd.DataFrame], block: int) -> Iterator[pd.DataFrame]:
    """Yield the same rows in blocks of equal length."""
    kept: list[pd.DataFrame] = []
    for frame in frames:
        if len(frame):
            kept.append(frame)
        while sum(map(len, kept)) >= block:
            joined = pd.concat(kept) if len(kept) > 1 else kept[0]
            yield joined.iloc[:block]
            kept = [joined.iloc[block:]] if len(joined) > block else []
    if kept:
        yield pd.concat(kept) if len(kept) > 1 else kept[0]


def _files(source: str | Path | Sequence[str | Path]) -> list[Path]:
    """Return the files of a source in the order in which they are read."""
    found: list[Path] = []
    for path in map(Path, [source] if isinstance(source, str | Path) else source):
        if path.is_dir():
            inside = (p.relative_to(path) for p in path.rglob("*") if p.suffix.lower() in PARQUET)
            # Names that begin so are not data, by the custom of those who write such folders.
            found += [path / p for p in sorted(inside) if not any(n[0] in "._" for n in p.parts)]
        elif not path.is_file():
            raise DataError(f"cannot read {path}: there is no such file.")
        elif path.suffix.lower() not in (*PARQUET, *ENDINGS):
            known = ", ".join((*PARQUET, *ENDINGS))
            raise DataError(f"cannot read {path}: names of files with rows end in {known}.")
        else:
            found.append(path)
    if not found:
        raise DataError(f"no Parquet file in {source}.")
    return found


def _arrow() -> Any:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingDependencyError(
            'Parquet files need pyarrow: pip install "bayes-hte[dask]", or pip install pyarrow.'
        ) from error
    return parquet


def _schema(file: Path) -> Any:
    try:
        return _arrow().read_schema(file)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {file}: {error}") from error


def _parquet(files: Sequence[Path], columns: Sequence[str], block: int) -> Iterator[pd.DataFrame]:
    """Yield the rows of Parquet files with the index that pandas wrote, or their numbers."""
    before = 0
    for file in files:
        said = (_schema(file).pandas_metadata or {}).get("index_columns", [])
        stored = [name for name in said if isinstance(name, str)]
        counted = [index for index in said if isinstance(index, Mapping)]
        rows = _arrow().ParquetFile(file)
        done = 0
        for batch in rows.iter_batches(batch_size=block, columns=[*columns, *stored]):
            frame = batch.to_pandas()
            if not stored:
                index = _numbers(counted[0] if counted else {"start": before}, done, len(frame))
                frame.index = index
            yield frame.loc[:, list(columns)]
            done += len(frame)
        before += done


def _numbers(index: Mapping[str, Any], done: int, rows: int) -> pd.RangeIndex:
    """Return a part of an index that pandas stored as a start and a step."""
    step = index.get("step", 1)
    start = index["start"] + done * step
    return pd.RangeIndex(start, start + rows * step, step, name=index.get("name"))


def _digest_of(frame: pd.DataFrame) -> str:
    hashes = pd.util.hash_pandas_object(frame, index=True).to_numpy(dtype=np.uint64)
    digest = hashlib.sha256(hashes.tobytes())
    digest.update(repr([(name, str(dtype)) for name, dtype in frame.dtypes.items()]).encode())
    return digest.hexdigest()


def _digest_of_files(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
