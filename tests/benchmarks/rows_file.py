"""Results files: every row is on disk as soon as it is known, so that a run may be stopped."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def rows_added(file: Path, columns: Sequence[str]) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Open a results file, made with a header if need be, and give what adds a row to it.

    A column that a row lacks is left empty.
    """
    new = not file.exists()
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        if new:
            writer.writeheader()

        def add(row: Mapping[str, Any]) -> None:
            writer.writerow(row)
            stream.flush()

        yield add
