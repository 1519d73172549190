"""The tables as CSV files: written whole, and removed when a later report has no such table.

Names and levels are a user's, or a stranger's, and spreadsheets execute a cell that begins like a
formula (``=cmd``). Such texts get an apostrophe in front, by which spreadsheets know plain text.
Terminals obey control characters, so a replacement character stands for each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from bayes_hte.names import visible
from bayes_hte.store import make_folder, write_text

# One file name per line; no other file is ever removed.
LIST = ".written.txt"
# With these a cell begins that spreadsheets take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def save(tables: Mapping[str, pd.DataFrame], folder: Path) -> list[Path]:
    """Write tables, each ``<key>.csv``, and remove files of tables that are no longer made.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        By key.
    folder : Path
        Made if absent. It belongs to one report: files that an earlier call wrote here and this
        one does not are removed. All others are left alone.

    Returns
    -------
    list of Path
        The files written. A killed call leaves no half file, and the next one clears up after it.
    """
    make_folder(folder)
    paths = [folder / f"{key}.csv" for key in tables]
    names = [path.name for path in paths]
    stale = _written_before(folder) - set(names)
    _remember(folder, [*names, *stale])
    for path, table in zip(paths, tables.values(), strict=True):
        write_text(path, harmless(table).to_csv(index=False, lineterminator="\n"))
    for name in stale:
        (folder / name).unlink(missing_ok=True)
    _remember(folder, names)
    return paths


def harmless(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts no spreadsheet takes for a formula.

    Parameters
    ----------
    table : DataFrame
        Any table; numbers stay as they are.

    Returns
    -------
    DataFrame
        With an apostrophe before names of columns, labels of rows and cells that are texts and
        begin like a formula.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte.reporting.tables.files import harmless
    >>> harmless(pd.DataFrame({"=level": ["=cmd()", "b"], "effect": [-1.0, 2.0]})).to_dict("list")
    {"'=level": ["'=cmd()", 'b'], 'effect': [-1.0, 2.0]}
    """
    safe = table.copy(deep=False)
    for place, dtype in enumerate(table.dtypes):
        if not pd.api.types.is_numeric_dtype(dtype):
            safe.isetitem(place, table.iloc[:, place].map(_plain).astype(object))
    if not pd.api.types.is_numeric_dtype(safe.index.dtype):
        safe.index = safe.index.map(_plain)
    return safe.set_axis([_plain(name) for name in table.columns], axis=1)


def _plain(value: object) -> object:
    """Put an apostrophe before a text that begins like a formula and is not a number."""
    if not isinstance(value, str):
        return value
    value = visible(value)
    if not value.startswith(_FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def _written_before(folder: Path) -> set[str]:
    """Return the names on the list; a line that is not the name of a CSV file here is ignored."""
    path = folder / LIST
    if not path.is_file():
        return set()
    lines = path.read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line.endswith(".csv") and Path(line).name == line}


def _remember(folder: Path, names: Iterable[str]) -> None:
    write_text(folder / LIST, "".join(f"{name}\n" for name in sorted(names)))
