"""The order of the test files, and the durations it is made from."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from tests import ordering

STORED = {"long.py": 60.0, "short.py": 2.0}


def test_the_longest_come_first_and_unknown_files_count_as_average():
    files = ["short.py", "new.py", "long.py", "new.py", "other.py"]
    assert ordering.longest_first(files, STORED) == ["long.py", "new.py", "other.py", "short.py"]


def test_without_durations_the_order_stays():
    assert ordering.longest_first(["b.py", "a.py"], {}) == ["b.py", "a.py"]


def test_durations_of_files_that_ran_replace_those_stored(tmp_path):
    for name in ("long.py", "short.py", "new.py"):
        (tmp_path / name).touch()
    path = tmp_path / "durations.json"
    path.write_text(json.dumps(STORED | {"gone.py": 1.0}))
    store = ordering.DurationsStore(path, tmp_path)
    for nodeid, duration in [("long.py::a", 1.04), ("long.py::b[x::y]", 2.0), ("new.py::c", 0.3)]:
        store.pytest_runtest_logreport(SimpleNamespace(nodeid=nodeid, duration=duration))
    store.pytest_sessionfinish()
    assert ordering.stored_durations(path) == {"long.py": 3.0, "new.py": 0.3, "short.py": 2.0}


def test_durations_of_most_files_are_stored():
    here = ordering.STORED.parent
    files = {path.relative_to(here.parent).as_posix() for path in here.rglob("test_*.py")}
    assert len(files & set(ordering.stored_durations())) > len(files) / 2


WHOLE = {"markexpr": "", "keyword": ""}


@pytest.mark.parametrize(
    ("option", "arguments"),
    [
        ({"markexpr": "not slow"}, ["tests"]),
        ({"keyword": "order"}, ["tests"]),
        ({}, ["tests/test_ordering.py::test_one"]),
    ],
)
def test_the_duration_of_a_part_is_not_stored_as_that_of_the_file(option, arguments):
    part = SimpleNamespace(option=SimpleNamespace(**WHOLE | option), args=arguments)
    with pytest.raises(pytest.UsageError, match="needs whole files"):
        ordering.refuse_parts(part)


def test_whole_files_are_stored():
    ordering.refuse_parts(SimpleNamespace(option=SimpleNamespace(**WHOLE), args=["tests"]))
