"""Runs that are killed at random moments, or fill their disk, and what the next run makes of it.

Each trial starts ``bayes-hte run`` of a small study in an empty folder, ends it with SIGKILL (or
lets it run into a full disk), and runs it again to its end. One kill in four comes a random time
after the start, which is mostly before the first stage is finished; the others come a random time
after a random stage is. A stage counts as finished if its manifest was there at the kill. The
second run must not sample a finished stage, and must leave the files of an undisturbed run, byte by
byte: draws, tables and report. (``run.json`` has times in it.)

    python -m tests.benchmarks.kills --trials 20 --to kills.csv

A full disk is a file system of a fixed size in memory (``mount -t tmpfs``, which needs the rights
to mount); without them a limit on the size of a file (RLIMIT_FSIZE) stands in for it.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from bayes_hte import cli
from tests.trial import TOML, trial_frame

# A trial without mediator, with the fewest draws that a run takes.
SETTINGS = ("outcome.stack_with=[]", "sampler.draws=50", "sampler.tune=50", "subgroups.effects=[]")
WITHOUT = ('mediator = "m"\n', "[mediator]\ncontrolled_at = [0.0]\n")
OUT = "out"
# The shares of the room that an undisturbed run takes, at which the disk is full.
FULL_AT = (0.05, 0.2, 0.4, 0.65, 0.9)


@dataclass(frozen=True)
class Trial:
    """What became of one run that was stopped.

    Attributes
    ----------
    stopped : str
        How and when.
    finished : str
        The stages that were whole then.
    sampled : str
        Components that the next run sampled.
    lost : int
        Finished stages that it sampled again.
    same : bool
        Whether its files are those of an undisturbed run.
    said : str
        The last line on the error stream of a run that ended by itself.
    """

    stopped: str
    finished: str
    sampled: str
    lost: int
    same: bool
    said: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing was lost, and the numbers are those of an undisturbed run."""
        return self.lost == 0 and self.same


@dataclass(frozen=True)
class Moment:
    """When a run is killed: some seconds after its start, or after a stage is finished."""

    seconds: float
    stage: str | None = None

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.seconds:.1f} s after {self.stage or 'the start'}"


class TooLateError(Exception):
    """The run was over before it could be killed."""


def write_study(folder: Path) -> None:
    """Write the study file and its data."""
    text = TOML
    for part in WITHOUT:
        text = text.replace(part, "")
    (folder / "trial.toml").write_text(text, encoding="utf-8")
    trial_frame(n=60).drop(columns="m").to_csv(folder / "trial.csv", index=False)


def start(folder: Path, settings: Sequence[str] = SETTINGS, **options: object) -> subprocess.Popen:
    """Start a run of the study in a folder, in a process group of its own."""
    changes = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, "-m", "bayes_hte.cli", "run", "trial.toml", "-o", OUT, *changes]
    return subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])},
        **options,
    )


def kill(run: subprocess.Popen) -> None:
    """End a run and all its processes at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)
    run.communicate()


def finish(folder: Path, settings: Sequence[str] = SETTINGS) -> tuple[str, ...]:
    """Run the study to its end; return the components that were sampled."""
    path = folder / OUT / "run.json"
    before = path.read_bytes() if path.exists() else None
    said = end(start(folder, settings))[1]
    if not path.exists():
        raise RuntimeError(f"the next run did not finish: {said}")
    if path.read_bytes() == before:
        # The last file was written before the kill: the run stands as it is, and so does what
        # this file says of it.
        return ()
    return tuple(json.loads(path.read_text())["provenance"]["sampled"])


def end(run: subprocess.Popen) -> tuple[int, str]:
    """Wait for the end of a run; return its exit status and what it said of errors."""
    said = run.communicate()[1]
    return run.returncode, said


def finished_stages(folder: Path) -> list[str]:
    """Return the stages that are whole, those of effects included."""
    return sorted(path.parent.name for path in (folder / OUT / "posterior").glob("*/manifest.json"))


def content(folder: Path) -> dict[str, bytes]:
    """Return every file of a finished run but the one that has times in it."""
    out = folder / OUT
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != "run.json"
    }


def killed(folder: Path, moment: Moment, wanted: dict[str, bytes], **options: object) -> Trial:
    """Kill a run of the study in a new folder at a moment, and run it again."""
    folder.mkdir()
    write_study(folder)
    run = start(folder, **options)
    while moment.stage is not None and moment.stage not in finished_stages(folder):
        if run.poll() is not None:
            break
        time.sleep(0.01)
    try:
        run.wait(timeout=moment.seconds)
    except subprocess.TimeoutExpired:
        kill(run)
    else:
        run.communicate()
        raise TooLateError
    return outcome(f"killed {moment}", folder, wanted, **options)


def full(
    folder: Path,
    wanted: dict[str, bytes],
    disk: Callable[[], contextlib.AbstractContextManager[Callable[[], None]]],
    name: str,
    **options: object,
) -> Trial:
    """Let a run of the study end on a full disk, make room, and run it again."""
    with disk() as make_room:
        write_study(folder)
        status, said = end(start(folder, **options))
        if status != cli.REFUSED:
            raise RuntimeError(f"{name}: exit status {status}, said: {said}")
        make_room()
        last = [line for line in said.splitlines() if line.startswith("bayes-hte: ")][-1]
        return outcome(name, folder, wanted, said=last, **options)


def outcome(
    stopped: str, folder: Path, wanted: dict[str, bytes], *, said: str = "", **options: object
) -> Trial:
    """Run again what was stopped, and compare it with an undisturbed run."""
    before = finished_stages(folder)
    sampled = finish(folder, **options)
    return Trial(
        stopped=stopped,
        finished=" ".join(before),
        sampled=" ".join(sampled),
        lost=len(set(before) & set(sampled)),
        same=content(folder) == wanted,
        said=said,
    )


@contextlib.contextmanager
def tiny_disk(folder: Path, size: int) -> Iterator[Callable[[], None]]:
    """Mount a file system of a fixed size at a folder; yields a function that makes it large."""
    folder.mkdir()
    where = [str(folder)]
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", *where], check=True)
    try:
        yield lambda: subprocess.run(
            ["mount", "-o", "remount,size=1g", *where], check=True, capture_output=True
        )
    finally:
        subprocess.run(["umount", *where], check=True)


@contextlib.contextmanager
def small_files(folder: Path, size: int) -> Iterator[Callable[[], None]]:
    """Limit the size of a file that new processes write; yields a function that ends the limit."""
    folder.mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def can_mount() -> bool:
    """Whether this process may mount a file system."""
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
        try:
            mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            return False
        if mounted:
            subprocess.run(["umount", folder], check=True)
        return mounted


def room(folder: Path) -> int:
    """Return the bytes that the files of a folder take, in pages of 4 KiB."""
    return sum(
        -(-path.stat().st_size // 4096) * 4096 for path in folder.rglob("*") if path.is_file()
    )


@dataclass(frozen=True)
class Undisturbed:
    """The files of a run without a disturbance, how long it took, and its stages."""

    files: dict[str, bytes]
    seconds: float
    stages: list[str]

    def moment(self, rng: np.random.Generator) -> Moment:
        """Draw the moment of a kill."""
        stage = rng.choice([None, *self.stages])
        # What follows a stage takes less time than the whole run with its imports.
        longest = self.seconds if stage is None else self.seconds / 4
        return Moment(float(rng.uniform(0, longest)), stage)


def undisturbed(folder: Path) -> Undisturbed:
    """Run the study without a disturbance."""
    folder.mkdir()
    write_study(folder)
    began = time.monotonic()
    finish(folder)
    return Undisturbed(content(folder), time.monotonic() - began, finished_stages(folder))


def main() -> None:
    """Kill, fill, and write one line per trial."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--disks", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--to", type=Path, default=Path("kills.csv"))
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as name, options.to.open("w", newline="") as stream:
        base = Path(name)
        writer = csv.writer(stream)
        writer.writerow([*(field.name for field in fields(Trial)), "passed"])

        def keep(trial: Trial) -> None:
            writer.writerow([*asdict(trial).values(), trial.passed])
            stream.flush()
            print(*asdict(trial).values(), trial.passed, sep=" | ", flush=True)

        whole = undisturbed(base / "undisturbed")
        wanted = whole.files
        print(f"undisturbed: {whole.seconds:.1f} s, {len(wanted)} files", flush=True)
        needed = room(base / "undisturbed")
        disk, words = (
            (tiny_disk, "disk of {} bytes full")
            if can_mount()
            else (small_files, "files of at most {} bytes")
        )
        largest = max(map(len, wanted.values()))
        for share in FULL_AT if options.disks else ():
            size = int(share * (needed if disk is tiny_disk else largest))
            at = base / f"full_{size}"
            keep(full(at, wanted, lambda at=at, size=size: disk(at, size), f"{words.format(size)}"))
            shutil.rmtree(at)
        done = 0
        while done < options.trials:
            at = base / "killed"
            with contextlib.suppress(TooLateError):
                keep(killed(at, whole.moment(rng), wanted))
                done += 1
            shutil.rmtree(at)


if __name__ == "__main__":
    main()
