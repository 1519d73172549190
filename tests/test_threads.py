"""Work shared out over threads: order, bounds, errors, and numbers that do not depend on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from bayes_hte import threads
from bayes_hte.threads import available_cores, in_threads


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package believe in two cores, however many there are."""
    monkeypatch.setattr(threads, "available_cores", lambda: 2)


def test_results_come_in_the_order_of_the_items(two_cores: None) -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.02 if item == 0 else 0)
        return item * item

    assert list(in_threads(slow_first, range(6))) == [0, 1, 4, 9, 16, 25]
    assert list(in_threads(slow_first, [])) == []


def test_two_items_are_computed_at_the_same_time(two_cores: None) -> None:
    both = threading.Barrier(2, timeout=10)
    # Each waits for the other; one after the other would break the barrier.
    assert sorted(in_threads(lambda _: both.wait(), range(2))) == [0, 1]


def test_no_more_items_are_taken_than_there_are_cores(two_cores: None) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(5):
            taken.append(item)
            yield item

    results = in_threads(lambda item: item, items())
    assert (next(results), taken) == (0, [0, 1])
    assert (next(results), taken) == (1, [0, 1, 2])
    results.close()


def test_an_error_reaches_the_caller_and_nothing_new_begins(two_cores: None) -> None:
    begun: list[int] = []

    def failing(item: int) -> int:
        begun.append(item)
        raise ZeroDivisionError(f"item {item}")

    with pytest.raises(ZeroDivisionError, match="item 0"):
        list(in_threads(failing, range(100)))
    assert len(begun) <= 2


def test_there_is_a_core() -> None:
    assert available_cores() >= 1
