"""The seconds that a run spends on each stage, on the wall and on the processors."""

from __future__ import annotations

import os
import time
from collections.abc import Callable


class Clock:
    """Seconds spent by stage.

    Attributes
    ----------
    seconds : dict of str to float
        As a clock on the wall shows them.
    processor : dict of str to float
        Of all threads, and of the worker processes that have ended: barely depend on what else the
        machine does.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.processor: dict[str, float] = {}

    def time[T](self, stage: str, work: Callable[[], T]) -> T:
        """Do some work, add its seconds to a stage, and return what it returns."""
        start, used = time.perf_counter(), processor_seconds()
        result = work()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start
        self.processor[stage] = self.processor.get(stage, 0.0) + processor_seconds() - used
        return result


def processor_seconds() -> float:
    """Return the processor seconds of this process so far, with those of ended workers."""
    return sum(os.times()[:4])
