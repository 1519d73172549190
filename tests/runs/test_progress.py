"""The lines of a run: one per stage, parts of a long one now and then, a bar in a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from bayes_hte.runs import progress as module
from bayes_hte.runs.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is set."""
    now = [100.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    return now


def test_each_stage_has_one_line_with_the_time_since_the_start(clock):
    said = []
    progress = Progress(said.append)
    progress.expect(2)
    with progress.fit("propensity", saved=True):
        clock[0] += 75
    with progress.fit("outcome, first half") as update:
        update(10, 100)
    with progress.fit("one that nobody expected"):
        pass
    with progress.stage("report"):
        pass
    assert said == [
        "[ 0:00] fit 1 of 2: propensity, saved",
        "[ 1:15] fit 2 of 2: outcome, first half",
        "[ 1:15] fit 3 of 3: one that nobody expected",
        "[ 1:15] report",
    ]


def test_parts_of_a_stage_have_lines_only_where_it_takes_long(clock):
    said = []
    with Progress(said.append).stage("checks") as update:
        for done, name in enumerate(("overlap", "leave-one-out", "refutation")):
            update(done, 3, name)
            clock[0] += 4
    assert said == ["[ 0:00] checks", "[ 0:08] checks: 3 of 3, refutation"]


def test_a_terminal_shows_a_bar_and_then_the_line(clock, monkeypatch):
    terminal = io.StringIO()
    console = Console(file=terminal, force_terminal=True, width=100)
    monkeypatch.setattr("rich.progress.get_console", lambda: console)
    said = []
    progress = Progress(said.append, live=True)
    with progress.stage("checks [of all]") as update:
        assert said == []
        update(1, 4, "leave-one-out")
        clock[0] += 12
    assert said == ["[ 0:00] checks [of all] (12 s)"]
    shown = terminal.getvalue()
    assert "checks [of all]: 2 of 4, leave-one-out" in shown


def test_a_stage_that_fails_has_no_final_line():
    said = []
    with pytest.raises(ZeroDivisionError), Progress(said.append, live=True).stage("report"):
        raise ZeroDivisionError
    assert said == []
