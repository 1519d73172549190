"""Calibration by simulation: ``python -m tests.benchmarks.sbc --out FILE [--cells ...]``.

Parameters are drawn from the prior and data given them; a short chain is sampled from the data. If
the sampler draws from the posterior of that prior, the rank of each true value among thinned draws
is uniform (Talts et al. 2018, arXiv:1804.06788). Ranks are taken of parameters, of what is derived
from them (average effect, effect of one unit), and of the log-likelihood, which sees mistakes that
parameters alone do not show (Modrak et al. 2023, doi:10.1214/23-BA1404). Cells that end in
``(wrong)`` believe in another prior than the truth is drawn from, and must fail.

Rows are added as they are known; simulations that a file has already are not repeated.
``--table`` prints the table of `SBC.md`.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from tests.benchmarks.rows_file import rows_added
from tests.benchmarks.sbc_hazard import of_hazards
from tests.benchmarks.sbc_models import (
    HAZARD,
    TIMES,
    Cell,
    Length,
    Simulated,
    of_mediator_and_outcome,
    of_one_column,
)

COLUMNS = ("cell", "simulation", "quantity", "rank", "draws", "seconds")
BINS = 10
FAMILIES = ("gaussian", "student_t", "bernoulli", "poisson", "negative_binomial", "bounded(0, 4)")
BOTH = "mediator and outcome"
CLASSES = "latent class, level"
INTERVALS = "lognormal, in intervals / forest"


def _cells() -> dict[str, Cell]:
    made = [
        *(Cell(f"{f} / {s}", family=f, surface=s) for f in (*FAMILIES, *TIMES)
          for s in ("forest", "linear")),
        Cell(f"{HAZARD} / forest", family=HAZARD),
        Cell(f"{HAZARD} / linear", family=HAZARD, surface="linear"),
        *(Cell(f"{f} / additive", family=f, surface="additive", learner="homogeneous")
          for f in FAMILIES),
        Cell("gaussian / gp", surface="gp"),
        Cell("gaussian, noise by arm / forest", noise="by_arm"),
        Cell("gaussian, three arms / forest", arms=3),
        Cell("gaussian, three arms / linear", surface="linear", arms=3),
        Cell("propensity / forest", stage="propensity", family="bernoulli"),
        Cell("propensity / linear", stage="propensity", family="bernoulli", surface="linear"),
        Cell(f"{BOTH} / forest", stage=BOTH),
        Cell(f"{BOTH} / linear", stage=BOTH, surface="linear"),
        Cell("gaussian / forest (wrong)", wrong=6.0),
        Cell("gaussian / linear (wrong)", surface="linear", wrong=0.3),
        Cell(INTERVALS, family="lognormal", seen="intervals"),
        Cell(f"{INTERVALS} (wrong)", family="lognormal", seen="visits"),
    ]  # fmt: skip
    return {cell.name: cell for cell in made}


CELLS = _cells()
MIXTURES = {f"{CLASSES} 2": (2, 1.0), f"{CLASSES} 3": (3, 1.0), f"{CLASSES} 3 (wrong)": (3, 3.0)}
# Reversible jumps between trees mix slowly; draws of NUTS are nearly independent.
LENGTHS = {"nuts": Length(tune=300, kept=39, thin=5)}


def simulations(name: str, seeds: range, length: Length = Length()) -> Iterator[Simulated]:  # noqa: B008
    """Yield quantities of truth and chain for each seed of a cell."""
    if name in MIXTURES:
        from tests.benchmarks.sbc_mixture import of_mixture  # slow to import

        level, wrong = MIXTURES[name]
        return of_mixture(level, seeds, LENGTHS["nuts"], wrong=wrong)
    cell = CELLS[name]
    simulate = of_mediator_and_outcome if cell.stage == BOTH else of_one_column
    if cell.family == HAZARD:
        simulate = of_hazards
    return simulate(cell, seeds, length)


def rank_of(truth: np.ndarray, draws: np.ndarray, rng: np.random.Generator) -> int:
    """Return how many draws lie below the truth; ties are broken at random."""
    below, equal = int((draws < truth).sum()), int((draws == truth).sum())
    return below + int(rng.integers(equal + 1))


def p_values(ranks: pd.DataFrame) -> pd.Series:
    """Return the chi-square p-value of uniform ranks for each cell and quantity."""

    def p(group: pd.DataFrame) -> float:
        positions = int(group["draws"].iloc[0]) + 1
        counts = np.bincount(group["rank"] * BINS // positions, minlength=BINS)
        return float(stats.chisquare(counts).pvalue)

    return ranks.groupby(["cell", "quantity"], sort=False)[["rank", "draws"]].apply(p)


def table(ranks: pd.DataFrame) -> pd.DataFrame:
    """Return one row per cell: simulations, smallest p-value, the same times all tests."""
    p = p_values(ranks)
    sound = ~p.index.get_level_values("cell").str.endswith("(wrong)")
    tests = int(sound.sum())
    rows = {}
    for cell, of_cell in p.groupby(level="cell", sort=False):
        here = ranks[ranks["cell"] == cell]
        quantity = of_cell.idxmin()[1]
        corrected = min(1.0, float(of_cell.min()) * tests)
        rows[cell] = {
            "simulations": here["simulation"].nunique(),
            "quantities": len(of_cell),
            "smallest p": f"{of_cell.min():.2g}",
            "of": quantity,
            f"times {tests}": f"{corrected:.2g}",
            "uniform": "yes" if corrected > 0.01 else "no",
            "seconds": f"{here.groupby('simulation')['seconds'].first().sum():.0f}",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("cell")


def markdown(frame: pd.DataFrame) -> str:
    """Return a table with its index as the first column."""
    lines = [[frame.index.name, *frame.columns], ["---"] * (frame.shape[1] + 1)]
    lines += [[name, *row] for name, row in zip(frame.index, frame.to_numpy(), strict=True)]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def run(name: str, count: int, file: Path) -> None:
    """Add the simulations of a cell that the file lacks."""
    done: set[int] = set()
    if file.exists():
        old = pd.read_csv(file)
        done = set(old.loc[old["cell"] == name, "simulation"])
    start = next((k for k in range(count) if k not in done), count)
    if start == count:
        return
    seeds = range(start, count)
    with rows_added(file, COLUMNS) as add, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        begun = time.process_time()
        for seed, (truth, chain) in zip(seeds, simulations(name, seeds), strict=True):
            rng = np.random.default_rng([5, seed])
            seconds, begun = time.process_time() - begun, time.process_time()
            for quantity, draws in chain.items():
                rank = rank_of(truth[quantity][0], draws, rng)
                row = (name, seed, quantity, rank, draws.size, round(seconds, 3))
                add(dict(zip(COLUMNS, row, strict=True)))


def main() -> None:
    """Run the cells asked for, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cells", nargs="*", default=[*CELLS, *MIXTURES], help="their names")
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--table", action="store_true")
    chosen = parser.parse_args()
    if chosen.table:
        print(markdown(table(pd.read_csv(chosen.out))))
        return
    for name in chosen.cells:
        run(name, chosen.simulations, chosen.out)


if __name__ == "__main__":
    main()
