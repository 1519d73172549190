"""Effects on restricted mean survival time against the truth.

Run it with ``python -m tests.benchmarks.survival FILE``; see ``--help``.

Rows are added to the file as they are made, so that a run may be stopped and carried on. Figures of
each data set: root mean squared error of the individual effects over the spread of the true ones
(and as it is where they do not vary), the share of units whose effect has the right sign, coverage
and width of 95% intervals (ours), and whether a check of ours says that the family does not fit;
and processor seconds.
"""

from __future__ import annotations

import argparse
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from tests.benchmarks.survival_data import DESIGNS, Times, load
from tests.benchmarks.survival_methods import METHODS, PEERS, Estimate

KEY = ["design", "n", "set", "method"]
FEWEST_SIGNS = 1e-9
DEFAULT = ("lognormal", *PEERS)
NEEDS = {"survival forest, T-learner": "sksurv"}


def scores(data: Times, found: Estimate) -> dict[str, float]:
    """Compare estimates with the truth of one data set."""
    error = float(np.sqrt(np.mean((found.effect - data.effect) ** 2)))
    spread, signed = float(data.effect.std()), np.abs(data.effect) > FEWEST_SIGNS
    right = np.sign(found.effect) == np.sign(data.effect)
    row = {
        "root error": error,
        "relative error": error / spread if spread > 0 else np.nan,
        "right signs": float(right[signed].mean()) if signed.any() else np.nan,
        "error of average": float(abs(found.effect.mean() - data.effect.mean())),
        "censored": float(1 - data.frame["event"].mean()),
    }
    if found.lower is not None:
        inside = (found.lower <= data.effect) & (data.effect <= found.upper)
        row |= {
            "coverage": float(inside.mean()),
            "width": float((found.upper - found.lower).mean()),
        }
    if found.failed_check is not None:
        row["a check fails"] = float(found.failed_check)
    return row


def run(path: Path, tasks: list[tuple[str, int, int, str]]) -> None:
    """Run what the file lacks, data set by data set."""
    done = set()
    if path.exists():
        done = set(pd.read_csv(path)[KEY].itertuples(index=False, name=None))
    for design, n, replication, method in tasks:
        if (design, n, replication, method) in done:
            continue
        data = load(design, n, replication)
        row = dict(zip(KEY, (design, n, replication, method), strict=True))
        started = time.process_time()
        try:
            row |= scores(data, METHODS[method](data))
        except Exception as error:  # a peer may fail on a data set, and others must go on
            row["error"] = f"{type(error).__name__}: {error}"[:200]
        row["seconds"] = time.process_time() - started
        _add(path, row)
        print(row, flush=True)


def _add(path: Path, row: dict[str, object]) -> None:
    rows = [*pd.read_csv(path).to_dict("records"), row] if path.exists() else [row]
    pd.DataFrame(rows).to_csv(path, index=False)


def table(path: Path) -> str:
    """Average the figures over data sets."""
    rows = pd.read_csv(path)
    keys = ["n", "design", "method"]
    numbers = rows.drop(columns=["set", *([] if "error" not in rows else ["error"])])
    means = numbers.groupby(keys).mean().round(3)
    return means.assign(sets=numbers.groupby(keys).size()).to_string()


def main() -> None:
    """Read the command line, run and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path, help="rows are added here; those there are not repeated")
    parser.add_argument("--designs", nargs="+", choices=DESIGNS, default=list(DESIGNS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(DEFAULT))
    parser.add_argument("--n", nargs="+", type=int, default=[500])
    parser.add_argument("--sets", type=int, default=3)
    parser.add_argument("--table", action="store_true", help="print the table; no fits")
    options = parser.parse_args()
    methods = []
    for name in options.methods:
        if name in NEEDS and find_spec(NEEDS[name]) is None:
            print(f"{name}: left out, {NEEDS[name]} is not installed (--group benchmark has it)")
        else:
            methods.append(name)
    # Few draws, and collinear products: their warnings are not the question here.
    warnings.simplefilter("ignore")
    if not options.table:
        cells = [(d, n, r) for r in range(options.sets) for n in options.n for d in options.designs]
        run(options.file, [(*cell, method) for cell in cells for method in methods])
    print(table(options.file))


if __name__ == "__main__":
    main()
