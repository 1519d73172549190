"""The order of the test files: those that take longest first, by durations stored with the tests.

A file is run by one process, so a long one that begins last is waited for by all others.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import mean

import pytest

STORED = Path(__file__).with_name("durations.json")


def stored_durations(path: Path = STORED) -> dict[str, float]:
    """Return the seconds of each test file, by its path from the root; empty if none are stored."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def longest_first(files: Iterable[str], seconds: Mapping[str, float]) -> list[str]:
    """Return each file once, the longest first; unknown files count as average."""
    average = mean(seconds.values()) if seconds else 0.0
    return sorted(dict.fromkeys(files), key=lambda file: -seconds.get(file, average))


def file_of(nodeid: str) -> str:
    """Return the file of a test."""
    return nodeid.split("::")[0]


def refuse_parts(config: pytest.Config) -> None:
    """Raise unless whole files are run: the duration of a part would be stored as that of all."""
    option = config.option
    if option.markexpr or option.keyword or any("::" in argument for argument in config.args):
        raise pytest.UsageError("--store-durations needs whole files: leave out -m, -k and names.")


class DurationsStore:
    """Adds up what the tests of each file took, and stores it when the run ends.

    Under pytest-xdist this belongs to the process that hands out the tests: it sees all reports.
    """

    def __init__(self, path: Path, root: Path) -> None:
        self.path, self.root = path, root
        self.seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the setup, call or teardown of a test to its file."""
        self.seconds[file_of(report.nodeid)] += report.duration

    def pytest_sessionfinish(self) -> None:
        """Replace the durations of the files that ran, and drop files that are gone."""
        known = stored_durations(self.path) | {f: round(s, 1) for f, s in self.seconds.items()}
        kept = {file: known[file] for file in sorted(known) if (self.root / file).exists()}
        self.path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
