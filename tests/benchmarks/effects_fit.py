"""Fits of one method for the benchmark of effects, each in a process of its own, with its score.

``python -m tests.benchmarks.effects_fit METHOD`` imports what the method needs, then takes orders
from standard input, one JSON object a line; see :func:`serve`.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.effects_data import Data, load, seed_of
from tests.benchmarks.effects_methods import METHODS, Estimate


def score(data: Data, estimate: Estimate) -> dict[str, Any]:
    """Compare an estimate with the truth.

    Parameters
    ----------
    data : Data
        With the true effects.
    estimate : Estimate
        Of the same units.

    Returns
    -------
    dict
        ``root_pehe`` (root mean squared error of the individual effects) and ``relative_pehe``,
        the same over the standard deviation of the true effects, or of the outcome where all
        effects are equal (``relative_to`` says which); ``ate_error``, estimate minus truth;
        coverage (share of units, or 0/1) and mean width of each interval. Intervals that a method
        does not have are absent.
    """
    truth = data.effect
    average = truth.mean()
    root_pehe = float(np.sqrt(np.mean((estimate.cate - truth) ** 2)))
    # Data sets whose effects are all equal carry rounding noise.
    homogeneous = truth.std() < 1e-6 * data.outcome.std()
    spread = data.outcome.std() if homogeneous else truth.std()
    row: dict[str, Any] = {
        "n": len(truth),
        "p": data.covariates.shape[1],
        "root_pehe": root_pehe,
        "relative_pehe": root_pehe / spread,
        "relative_to": "sd of outcome" if homogeneous else "sd of effect",
        "ate_error": float(estimate.ate - average),
    }
    for prob, (lower, upper) in estimate.cate_intervals.items():
        row[f"cate_coverage_{100 * prob:.0f}"] = float(np.mean((lower <= truth) & (truth <= upper)))
        row[f"cate_width_{100 * prob:.0f}"] = float(np.mean(upper - lower))
    for prob, (lower, upper) in estimate.ate_intervals.items():
        row[f"ate_coverage_{100 * prob:.0f}"] = float(lower <= average <= upper)
        row[f"ate_width_{100 * prob:.0f}"] = float(upper - lower)
    return row


def cpu_seconds() -> float:
    """Processor time of this process and of the workers it has waited for."""
    return sum(os.times()[:4])


def run(family: str, cell: str, replication: int, method: str) -> dict[str, Any]:
    """Make the data, fit, score; seconds are those of the fit and its summaries alone."""
    data = load(family, cell, replication)
    # The same seed for every method, and not the one that made the data.
    seed = seed_of(family, cell, replication) ^ 0x5EED
    start, used = time.perf_counter(), cpu_seconds()
    estimate = METHODS[method].fit(data, seed)
    seconds, used = time.perf_counter() - start, cpu_seconds() - used
    unit = 1024**3 if sys.platform == "darwin" else 1024**2
    return {
        **score(data, estimate),
        "seconds": seconds,
        "cpu_seconds": used,
        "own_memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit,
        "software": METHODS[method].software,
    }


def serve(orders: Iterable[str]) -> None:
    """Fork for each order, wait, and say "done", whether or not it went well.

    Parameters
    ----------
    orders : iterable of str
        JSON objects: the arguments of :func:`run`, ``file`` for the score as JSON, and ``log`` for
        what the fit says, which ends with the error if there was one.
    """
    for order in map(json.loads, orders):
        file, log = Path(order.pop("file")), order.pop("log")
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            print("done", flush=True)
            continue
        stream = os.open(log, os.O_WRONLY | os.O_CREAT)
        os.dup2(stream, sys.stdout.fileno())
        os.dup2(stream, sys.stderr.fileno())
        try:
            file.write_text(json.dumps(run(**order)))
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # the loop belongs to the parent


def main() -> None:
    """Import, then serve."""
    METHODS[sys.argv[1]].prepare()
    serve(sys.stdin)


if __name__ == "__main__":
    main()
