"""Processes of the benchmark of effects: one a fit, watched from outside.

For each method a worker imports what the method needs, once, and forks for every fit: a fit never
sees what another left behind, and nobody waits for imports.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

LOOK_EVERY = 0.5  # seconds


class Task(NamedTuple):
    """One fit to do."""

    family: str
    cell: str
    replication: int
    method: str

    def __str__(self) -> str:
        return f"{self.family}, {self.cell}, replication {self.replication}, {self.method}"


class Workers:
    """Worker processes by method; as many of one method as fits run at once.

    Each leads a session of its own, so that everything it starts can be counted and ended.
    """

    def __init__(self) -> None:
        self._idle: dict[str, list[subprocess.Popen[str]]] = {}
        self._lock = threading.Lock()

    def take(self, method: str) -> subprocess.Popen[str]:
        """Return a worker that has nothing to do, starting one if need be."""
        with self._lock:
            idle = self._idle.setdefault(method, [])
            if idle:
                return idle.pop()
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.effects_fit", method],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def give(self, method: str, worker: subprocess.Popen[str]) -> None:
        """Take a worker back; one that has ended is forgotten."""
        if worker.poll() is None:
            with self._lock:
                self._idle[method].append(worker)

    def close(self) -> None:
        """End all workers that have nothing to do."""
        for worker in [w for idle in self._idle.values() for w in idle]:
            end(worker)
        self._idle.clear()


def end(worker: subprocess.Popen[str]) -> None:
    """End a worker and all it has started."""
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def run_fit(task: Task, workers: Workers, stop: threading.Event, limit: float) -> dict[str, Any]:
    """Fit in a process of its own and return the row of the results.

    A fit that fails, or takes longer than `limit` seconds, is a row with an error and no measures.
    """
    worker = workers.take(task.method)
    try:
        with tempfile.TemporaryDirectory() as folder:
            file, log = Path(folder) / "row.json", Path(folder) / "log.txt"
            order = {**task._asdict(), "file": str(file), "log": str(log)}
            assert worker.stdin is not None
            worker.stdin.write(json.dumps(order) + "\n")
            worker.stdin.flush()
            peak, reason = watch(worker, stop, limit)
            row: dict[str, Any] = {**task._asdict(), "error": ""}
            if reason or not file.exists():
                said = log.read_text(errors="replace").split("\n") if log.exists() else []
                last = [line for line in said if line.strip()][-1:]
                return {**row, "error": reason or "".join(last)[:300] or "ended without a word"}
            measured = json.loads(file.read_text())
            measured["memory_gib"] = max(peak, measured.pop("own_memory_gib"))
            return {**row, **measured}
    finally:
        workers.give(task.method, worker)


def watch(worker: subprocess.Popen[str], stop: threading.Event, limit: float) -> tuple[float, str]:
    """Wait for a worker's word; return the peak memory (GiB) and why it was ended, if it was."""
    started, peak = time.monotonic(), 0.0
    while True:
        if select.select([worker.stdout], [], [], LOOK_EVERY)[0]:
            assert worker.stdout is not None
            if worker.stdout.readline():
                return peak, ""
            worker.wait()
            return peak, f"the worker ended with status {worker.returncode}"
        peak = max(peak, session_memory(worker.pid))
        seconds = time.monotonic() - started
        if stop.is_set() or seconds > limit:
            end(worker)
            return peak, "stopped" if stop.is_set() else f"longer than {limit:.0f} s"


def session_memory(leader: int) -> float:
    """Proportional set size of all processes of a session, GiB; 0 where the system does not say."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # Fields after the command, which stands in brackets: state, parent, group, session.
            if int(stat.read_text().rpartition(")")[2].split()[3]) != leader:
                continue
            lines = (stat.parent / "smaps_rollup").read_text().splitlines()
        except (OSError, IndexError):  # it ended meanwhile
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024**2
