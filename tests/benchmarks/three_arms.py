"""Three arms fitted together, compared with a fit of the two arms of each contrast.

Run it with ``python -m tests.benchmarks.three_arms OUT.csv``; see ``--help``. On simulated trials
it fits all arms at once, and the two arms of each contrast alone, and scores both by the root mean
squared error of the individual effects (root-PEHE) over all units. In the scenario "different" the
two active arms work for other people, in "alike" they are the same drug: then the arms can learn
from each other.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

import bayes_hte as hte

SCENARIOS = ("different", "alike")
ARMS = ("none", "low", "high")
SIZE = {"draws": 200, "tune": 150, "chains": 2, "cores": 2, "progress": False, "stack_with": ()}


def trial(scenario: str, n: int, seed: int) -> tuple[hte.Study, dict[str, np.ndarray]]:
    """Draw a trial of three equal arms.

    Parameters
    ----------
    scenario : {"different", "alike"}
        See the module.
    n : int
        Units.
    seed : int
        Same seed, same trial.

    Returns
    -------
    study : Study
    truth : dict of str to ndarray, shape (unit,)
        The true effect of each active arm against the reference.
    """
    rng = np.random.default_rng([SCENARIOS.index(scenario), seed])
    x = rng.normal(size=(n, 5))
    low = 0.3 + 0.6 * x[:, 0]
    high = low if scenario == "alike" else 0.8 + 0.6 * np.where(x[:, 1] > 0, 1.0, -1.0)
    arm = rng.permutation(np.arange(n) % len(ARMS))
    mean = x[:, 2] + 0.5 * x[:, 0] * x[:, 3]
    effect = np.column_stack([np.zeros(n), low, high])[np.arange(n), arm]
    frame = pd.DataFrame(x, columns=[f"x{i}" for i in range(1, 6)])
    frame["y"] = mean + effect + rng.normal(size=n)
    frame["arm"] = pd.Categorical(np.array(ARMS)[arm], categories=ARMS)
    roles = {"outcome": "y", "treatment": "arm", "covariates": [f"x{i}" for i in range(1, 6)]}
    study = hte.Study.from_frame(frame, **roles, reference=ARMS[0])
    return study, {"low": low, "high": high}


def scores(scenario: str, n: int, seed: int) -> Iterator[dict[str, object]]:
    """Yield one row per contrast and way of fitting."""
    study, truth = trial(scenario, n, seed)
    started = time.process_time()
    whole = hte.fit(study, seed=seed, **SIZE)
    seconds = time.process_time() - started
    for arm, effect in truth.items():
        alone = hte.fit(study.two_arms(arm, ARMS[0]), seed=seed, **SIZE)
        ways = {
            "three arms": whole.cate(contrast=(arm, ARMS[0])),
            "two arms": alone.cate(study.frame),
        }
        for way, draws in ways.items():
            lower, upper = draws.quantile([0.025, 0.975], ["chain", "draw"]).to_numpy()
            found = draws.mean(["chain", "draw"]).to_numpy()
            yield {
                "scenario": scenario,
                "n": n,
                "seed": seed,
                "contrast": f"{arm} vs {ARMS[0]}",
                "fit": way,
                "root_pehe": float(np.sqrt(np.mean((found - effect) ** 2))),
                "error_of_average": float(abs(found.mean() - effect.mean())),
                "coverage": float(((lower <= effect) & (effect <= upper)).mean()),
                "width": float((upper - lower).mean()),
                "seconds": seconds,
            }


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Average the rows, and say how the ways compare data set by data set."""
    keys = ["scenario", "contrast"]
    kept = ["root_pehe", "coverage", "width"]
    means = rows.pivot_table(index=keys, columns="fit", values=kept)
    wide = rows.pivot_table(index=[*keys, "seed"], columns="fit", values="root_pehe")
    ratio = wide["three arms"] / wide["two arms"]
    means["ratio"] = ratio.groupby(keys).mean()
    means["data sets"] = ratio.groupby(keys).size()
    return means


def main() -> None:
    """Read the command line, and score."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path, help="rows are added here; those there are not repeated")
    parser.add_argument("--sets", type=int, default=5, help="data sets per scenario")
    parser.add_argument("--n", type=int, default=450)
    options = parser.parse_args()
    # Few draws: the health gate is not the question here.
    warnings.simplefilter("ignore")
    done = set()
    if options.file.exists():
        done = set(
            pd.read_csv(options.file)[["scenario", "seed"]].itertuples(index=False, name=None)
        )
    for seed in range(options.sets):
        for scenario in SCENARIOS:
            if (scenario, seed) not in done:
                add_rows(options.file, list(scores(scenario, options.n, seed)))
    print(table(pd.read_csv(options.file)).round(3).to_string())


def add_rows(path: Path, rows: list[dict[str, object]]) -> None:
    """Add rows to the file of results, so that a run may be stopped at any time."""
    pd.DataFrame(rows).to_csv(path, mode="a", header=not path.exists(), index=False)


if __name__ == "__main__":
    main()
