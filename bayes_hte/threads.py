"""Threads of this process: how many cores there are, and work that is shared out over them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor


def available_cores() -> int:
    """Return the number of cores that this process may use, at least 1.

    Examples
    --------
    >>> available_cores() >= 1
    True
    """
    # Where a process is pinned to some cores, only those; not every system knows.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_threads[A, B](function: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """Yield a function's result for each item, in their order, computed side by side.

    For functions that spend their time in compiled code, which releases Python's lock. No more
    items are under way than there are cores, so the memory stays bounded.

    Parameters
    ----------
    function : callable (item) -> result
        Called once for each item, by any thread; its result must not depend on the others.
    items : iterable
        Taken one by one, by the calling thread.

    Yields
    ------
    result

    Examples
    --------
    >>> list(in_threads(abs, [3, -1, -2]))
    [3, 1, 2]
    """
    workers = available_cores()
    with ThreadPoolExecutor(workers) as pool:
        ahead: deque[Future[B]] = deque()
        try:
            for item in items:
                ahead.append(pool.submit(function, item))
                if len(ahead) == workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            # After an error or an interruption nothing new is begun.
            for waiting in ahead:
                waiting.cancel()
