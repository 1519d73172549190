"""What a second worker process of a cluster gains: chains of a fit, and refutations by refitting.

Run it with ``uv run python -m tests.benchmarks.large_workers`` while nothing else runs: with other
jobs on the cores, a second worker has no core to work on. One process works on a
``dask.distributed.LocalCluster`` of one worker and then of two, each of one thread, with everything
compiled beforehand. (A cluster of one thread gains nothing, so joblib then works in this process,
one task at a time.) Pairs are measured ``--pairs`` times, and the number of workers changes its
order from one to the next. *Measured* is the ratio of the seconds on the clock. *Bound* is what two
workers could reach at most: of the processor seconds of one process, those in tasks are halved. It
is true on busy cores too, and with ``--pairs 0`` it alone is printed; it leaves out what sending
tasks and results takes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

import joblib
import pandas as pd

import bayes_hte as hte
from bayes_hte.checks.refitting import full_model
from bayes_hte.checks.refutations import refute
from tests.benchmarks.large import COVARIATES, simulate

REFIT = {"draws": 100, "tune": 100, "chains": 2}


def study_of(n_units: int) -> hte.Study:
    """Return a simulated study."""
    frame, _ = simulate(n_units, seed=1)
    return hte.Study.from_frame(frame, outcome="y", treatment="t", covariates=COVARIATES)


def fitted(n_units: int, **size: int) -> hte.Fit:
    """Fit a simulated study, on whatever joblib is told to use."""
    return hte.fit(study_of(n_units), seed=1, progress=False, **size)


def warmed() -> None:
    """Compile in this process all that tasks need."""
    fitted(200, chains=2, draws=5, tune=5)


@contextmanager
def cluster(workers: int) -> Iterator[None]:
    """Start worker processes of one thread, and have joblib use them."""
    import distributed

    options = {"processes": True, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(n_workers=workers, **options) as local,
        distributed.Client(local) as client,
    ):
        client.run(warmed)
        with joblib.parallel_config(backend="dask"):
            yield


def timed(work: Callable[[], Any]) -> dict[str, float]:
    """Return seconds on the clock, and processor seconds of this process: all, and in tasks."""
    plain, inside, depth = joblib.Parallel.__call__, 0.0, 0

    def parallel(self: Any, tasks: Any) -> Any:
        nonlocal inside, depth
        start, depth = time.process_time(), depth + 1
        try:
            return plain(self, tasks)
        finally:
            depth -= 1
            # Tasks within tasks are of the same seconds.
            inside += 0.0 if depth else time.process_time() - start

    own, start = time.process_time(), time.perf_counter()
    with mock.patch.object(joblib.Parallel, "__call__", parallel):
        work()
    seconds, own = time.perf_counter() - start, time.process_time() - own
    return {"seconds": seconds, "processor": own, "in tasks": inside}


def main() -> None:
    """Measure, and print a table of seconds and of ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--units", type=int, default=20_000, help="of the fit")
    parser.add_argument("--refuted", type=int, default=1000, help="units of the refuted study")
    parser.add_argument("--repeats", type=int, default=5, help="of each of four refutations")
    parser.add_argument("--pairs", type=int, default=2)
    options = parser.parse_args()
    warmed()
    fit = fitted(options.refuted, chains=2, draws=100, tune=100)
    again = full_model(fit, **REFIT)
    works: dict[str, Callable[[], Any]] = {
        "4 chains": partial(fitted, options.units, chains=4, draws=100, tune=100),
        "refutations": partial(refute, fit, seed=1, repeats=options.repeats, estimator=again),
    }
    orders = [(1, 2) if pair % 2 == 0 else (2, 1) for pair in range(options.pairs)] or [(1,)]
    rows = []
    for workers in (n for order in orders for n in order):
        with cluster(workers):
            for name, work in works.items():
                rows.append({"work": name, "workers": workers} | timed(work))
                print(rows[-1], flush=True)
    means = pd.DataFrame(rows).groupby(["work", "workers"]).mean()
    one = means.xs(1, level="workers")
    ratios = pd.DataFrame({"bound": one["processor"] / (one["processor"] - one["in tasks"] / 2)})
    if options.pairs:
        ratios["measured"] = one["seconds"] / means.xs(2, level="workers")["seconds"]
    print(means.to_string(float_format="%.1f"), ratios.to_string(float_format="%.2f"), sep="\n\n")


if __name__ == "__main__":
    main()
