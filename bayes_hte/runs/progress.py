"""What a run says while it works: one line per stage, and in a terminal a bar below the lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from bayes_hte.names import visible

Say = Callable[[str], None]
# Without a terminal the parts of a stage get lines of their own, but no more often than this.
SECONDS_BETWEEN_LINES = 5.0


class Update(Protocol):
    """Takes how much of a stage is done."""

    def __call__(self, done: int, total: int, detail: str = "", /) -> None:
        """Say that `done` of `total` parts are done, and which one is at work."""


class Progress:
    """The lines of a run, each with the time since the run began.

    Parameters
    ----------
    say : callable
        Receives each line when it is final.
    live : bool, default False
        Whether the line of the stage at work is shown with a bar until the stage is done, which
        needs a terminal. Otherwise a stage has its line when it begins.

    Examples
    --------
    >>> from bayes_hte.runs.progress import Progress
    >>> progress = Progress(print)
    >>> progress.expect(2)
    >>> with progress.fit("propensity"):
    ...     pass
    [ 0:00] fit 1 of 2: propensity
    >>> with progress.fit("outcome", saved=True):
    ...     pass
    [ 0:00] fit 2 of 2: outcome, saved
    """

    def __init__(self, say: Say, *, live: bool = False) -> None:
        self.live = live
        self._say = say
        self._start = self._last = time.perf_counter()
        self._fits = self._expected = 0

    def note(self, text: str) -> None:
        """Say something that belongs to no stage."""
        self._last = time.perf_counter()
        self._say(visible(text))

    def expect(self, fits: int) -> None:
        """Raise the number of fits that are expected in all."""
        self._expected += fits

    @contextmanager
    def fit(self, name: str, *, saved: bool = False) -> Iterator[Update]:
        """Number a fit while it is at work, or is loaded; see :meth:`stage`."""
        self._fits += 1
        line = f"fit {self._fits} of {max(self._fits, self._expected)}: {name}"
        with self.stage(f"{line}, saved" if saved else line) as update:
            yield update

    @contextmanager
    def stage(self, line: str) -> Iterator[Update]:
        """Show a line for a stage while it is at work.

        Parameters
        ----------
        line : str
            The stage in a few words.

        Yields
        ------
        Update
            To be called with the number of parts that are done and of all parts, as often as one
            likes. Parts with a name are shown by it.
        """
        begun = time.perf_counter()
        shown = f"[{_clock(begun - self._start)}] {line}"
        if self.live:
            with _bar(shown) as update:
                yield update
            self.note(f"{shown} ({time.perf_counter() - begun:.0f} s)")
            return
        self.note(shown)
        yield lambda done, total, detail="": self._part(line, done, total, detail)

    def _part(self, line: str, done: int, total: int, detail: str) -> None:
        now = time.perf_counter()
        if detail and now - self._last >= SECONDS_BETWEEN_LINES:
            self.note(f"[{_clock(now - self._start)}] {_of_parts(line, done, total, detail)}")


def in_terminal() -> bool:
    """Whether standard output is a terminal, where a line can be drawn again."""
    return sys.stdout.isatty()


def _of_parts(line: str, done: int, total: int, detail: str) -> str:
    return f"{line}: {done + 1} of {total}, {detail}" if detail else line


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:2d}:{rest:02d}"


@contextmanager
def _bar(shown: str) -> Iterator[Update]:
    """Show a line with a bar that goes away when the stage is done."""
    from rich.markup import escape
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    # The text is of the study file: square brackets in it are no markup.
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, transient=True, refresh_per_second=4) as bars:
        task = bars.add_task(escape(visible(shown)), total=None)

        def update(done: int, total: int, detail: str = "", /) -> None:
            words = escape(visible(_of_parts(shown, done, total, detail)))
            bars.update(task, completed=done, total=total, description=words)

        yield update
