"""Progress of one component's sampling: a bar, a function of the caller's, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Called with the iterations done and their number, over all chains.
Report = Callable[[int, int], None]


@contextmanager
def reporting(progress: bool | Report, title: str) -> Iterator[Report | None]:
    """Give what the sampler calls as it goes on.

    Parameters
    ----------
    progress : bool or callable (int, int)
        Whether to show a bar, or the function to call in place of one.
    title : str
        Name of what is sampled, before the bar.

    Yields
    ------
    callable (int, int), or None
    """
    if not isinstance(progress, bool):
        yield progress
        return
    if not progress:
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:3.0f}%")
    with Progress(*columns, TimeElapsedColumn()) as shown:
        task = shown.add_task(title)
        yield lambda done, total: shown.update(task, completed=done, total=total)
