"""The seconds that a run spends on each stage."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Seconds spent by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time[T](self, stage: str, work: Callable[[], T]) -> T:
        """Do some work, add its seconds to a stage, and return what it returns."""
        start = time.perf_counter()
        result = work()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start
        return result
