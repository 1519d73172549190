"""Finished replications, one line each in a file, so that a stopped run can continue."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from bayes_hte.errors import SavedResultError
from bayes_hte.store import make_folder, write_text, writing

ROWS_FILE, IDENTITY_FILE = "replications.csv", "replications.json"


@dataclass(frozen=True)
class Row:
    """One replication: its statistics, or its failure.

    Attributes
    ----------
    variant : str
        The way of making effects equal.
    replication, seed : int
        Number of the replication, from 0, and the seed of its analysis.
    probability, contrast, spread : float
        See :class:`~bayes_hte.subgroups.nulls.distribution.NullDistribution`; NaN if it failed.
    problem : str
        Empty unless it failed.
    """

    variant: str
    replication: int
    seed: int
    probability: float = float("nan")
    contrast: float = float("nan")
    spread: float = float("nan")
    problem: str = ""

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> Row:
        """Read a row from texts; numbers are exact to the last digit."""
        kinds = {"replication": int, "seed": int, "variant": str, "problem": str}
        return cls(**{name: kinds.get(name, float)(text) for name, text in texts.items()})


@dataclass(frozen=True, eq=False)
class NullLog:
    """The finished replications, and their file.

    Attributes
    ----------
    file : Path or None
        None if they are not written to a file.
    rows : dict of (str, int) to Row
        By variant and number. This is mutable: the run adds to it.
    """

    file: Path | None
    rows: dict[tuple[str, int], Row]

    @classmethod
    def open(cls, folder: Path | None, identity: Mapping[str, Any]) -> NullLog:
        """Read the replications of a folder, or begin.

        Parameters
        ----------
        folder : Path or None
            Made if it does not exist.
        identity : mapping
            Everything that the replications depend on, as JSON; only an equal identity may use
            them.

        Returns
        -------
        NullLog

        Raises
        ------
        SavedResultError
            If the folder holds replications with another identity, or they cannot be read.
        """
        if folder is None:
            return cls(None, {})
        make_folder(folder)
        file, stated = folder / ROWS_FILE, folder / IDENTITY_FILE
        if not stated.exists():
            file.unlink(missing_ok=True)
            write_text(stated, json.dumps(identity, indent=1))
        _check_identity(stated, identity)
        return cls(file, _read(file))

    def add(self, row: Row) -> None:
        """Keep a replication, and write it to the file at once."""
        self.rows[row.variant, row.replication] = row
        if self.file is None:
            return
        new = not self.file.exists()
        with (
            writing(self.file),
            self.file.open("a", newline="", encoding="utf-8") as stream,
        ):
            writer = csv.DictWriter(stream, [field.name for field in fields(Row)])
            if new:
                writer.writeheader()
            # One line only: a line that was cut off could not be distinguished from the next one.
            writer.writerow(asdict(row) | {"problem": " ".join(row.problem.split())})


def _check_identity(stated: Path, identity: Mapping[str, Any]) -> None:
    saved = json.loads(stated.read_text())
    wanted = json.loads(json.dumps(identity))
    changed = sorted(k for k in saved.keys() | wanted.keys() if saved.get(k) != wanted.get(k))
    if changed:
        raise SavedResultError(
            f"{stated.parent} holds replications with another {', '.join(changed)}; delete the "
            "folder, or name another one."
        )


def _read(file: Path) -> dict[tuple[str, int], Row]:
    if not file.exists():
        return {}
    text = file.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:  # a run that was killed while writing: that replication is repeated
        write_text(file, whole)
    try:
        rows = [Row.parse(line) for line in csv.DictReader(whole.splitlines())]
    except (TypeError, ValueError) as error:
        raise SavedResultError(
            f"{file} cannot be read ({error}); delete it to begin again."
        ) from error
    return {(row.variant, row.replication): row for row in rows}


@contextmanager
def shown_progress(total: int, *, shown: bool) -> Iterator[Callable[[], None]]:
    """Show a bar of finished replications.

    Parameters
    ----------
    total : int
        Replications to do.
    shown : bool
        Whether there is a bar.

    Yields
    ------
    callable
        To be called after each replication.
    """
    if not shown:
        yield lambda: None
        return
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar:
        task = bar.add_task("replications with equal effects", total=total)
        yield lambda: bar.advance(task)
