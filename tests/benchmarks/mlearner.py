"""Subgroups against the truth: false claims, power and description; ours and the published way.

Run it with ``uv run python -m tests.benchmarks.mlearner``; see ``--help``. Every trial is added to
the results file as soon as it is analysed, so a run may be stopped at any time and carried on with
``--resume``. ``--table FILE ...`` prints the table of saved results.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from bayes_hte.study.simulation import SCENARIOS
from tests.benchmarks.effects_table import markdown
from tests.benchmarks.mlearner_methods import METHODS, Task, run
from tests.benchmarks.rows_file import rows_added

KEY = list(Task._fields)
MEASURES = [
    *("claim", "probability", "in_sample_probability", "p_leaf", "ari", "exact", "rmse"),
    *("coverage", "contrast_coverage", "contrast_error", "unshrunk_coverage", "unshrunk_error"),
    *("brier", "seconds", "cpu_seconds", "error"),
]
CELL = ["scenario", "noise", "n"]
PUBLISHED = "published"
# The published way to set its threshold: a quantile of its p-value in this scenario.
CALIBRATED_ON, QUANTILE = "null_2", 0.05


def plan(options: argparse.Namespace) -> list[Task]:
    """List the trials, replication by replication so that a stopped run is balanced."""
    return [
        Task(scenario, noise, options.n, replication, method)
        for replication in range(options.first, options.first + options.replications)
        for method in options.methods
        for noise in options.noise
        for scenario in options.scenarios
    ]


def run_all(tasks: list[Task], out: Path, *, jobs: int) -> None:
    """Analyse the trials in processes; write each row and say a line when it is done."""
    # Read by the workers as they start: one thread each, as many processes as asked for.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    context = multiprocessing.get_context("spawn")
    with rows_added(out, [*KEY, *MEASURES]) as add, ProcessPoolExecutor(jobs, context) as pool:
        futures = {pool.submit(run, task): task for task in tasks}
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                row = future.result()
                add(row)
                said = row["error"] or f"{row['seconds']:.1f} s"
                print(f"[{done}/{len(tasks)}] {futures[future]}: {said}", flush=True)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise SystemExit(f"\nstopped; carry on with --resume --out {out}") from None


def read(files: Iterable[Path]) -> pd.DataFrame:
    """Read results, in the order of the scenarios; of a trial analysed twice the last counts."""
    rows = pd.concat([pd.read_csv(f) for f in files], ignore_index=True)
    place = {name: i for i, name in enumerate([*SCENARIOS, *METHODS])}
    return rows.drop_duplicates(KEY, keep="last").sort_values(
        [*CELL, "method", "replication"], key=lambda column: column.replace(place)
    )


def finished(out: Path) -> set[Task]:
    """Trials with a result; failed ones are tried again."""
    if not out.exists():
        return set()
    rows = read([out])
    return {Task(*key) for key in rows.loc[rows["error"].isna(), KEY].itertuples(index=False)}


def with_published_claims(rows: pd.DataFrame) -> pd.DataFrame:
    """Turn the published p-values into claims, twice: at 0.05, and by the published calibration.

    The second needs trials of the scenario it is calibrated on, of the same noise and size.
    """
    theirs = rows[rows["method"] == PUBLISHED]
    at_5 = theirs.assign(
        method=f"{PUBLISHED}, p < .05", claim=(theirs["p_leaf"] < 0.05).astype(float)
    )
    null = theirs[theirs["scenario"] == CALIBRATED_ON].groupby(["noise", "n"])["p_leaf"]
    threshold = null.quantile(QUANTILE).rename("threshold")
    calibrated = theirs.join(threshold, on=["noise", "n"])
    calibrated = calibrated[calibrated["threshold"].notna()]
    calibrated = calibrated.assign(
        method=f"{PUBLISHED}, calibrated",
        claim=(calibrated["p_leaf"] < calibrated["threshold"]).astype(float),
    )
    return pd.concat([rows[rows["method"] != PUBLISHED], at_5, calibrated])


def tabulate(rows: pd.DataFrame) -> pd.DataFrame:
    """Average the measures over trials.

    Returns
    -------
    DataFrame
        One row a scenario, noise, size and method. ``kind`` says whether a claim is right (power)
        or wrong (false claims); ``claims`` is their share, with its exact 95% interval; ``ARI`` of
        the subgroups with S, no subgroups where none are declared.
    """
    rows = with_published_claims(rows)
    rows["failed"] = rows["error"].notna()
    rows["declared_ari"] = rows["ari"].where(rows["claim"] == 1, 0.0)
    rows.loc[rows["failed"], "declared_ari"] = np.nan
    groups = rows.groupby([*CELL, "method"], sort=False)
    intervals = [_interval(part["claim"].dropna()) for _, part in groups]
    table = groups.agg(
        trials=("claim", "count"),
        failed=("failed", "sum"),
        claims=("claim", "mean"),
        **{
            name: (column, "mean")
            for name, column in {
                "ARI": "declared_ari",
                "exact": "exact",
                "RMSE": "rmse",
                "c90": "coverage",
                "contrast c90": "contrast_coverage",
                "contrast error": "contrast_error",
                "unshrunk c90": "unshrunk_coverage",
                "unshrunk error": "unshrunk_error",
                "Brier": "brier",
            }.items()
        },
        seconds=("seconds", "median"),
    ).reset_index()
    table.insert(7, "95%", intervals)
    differ = table["scenario"].map(lambda name: SCENARIOS[name].heterogeneous)
    table.insert(4, "kind", np.where(differ, "power", "false"))
    table.loc[~differ, ["ARI", "exact"]] = np.nan  # there is nothing to find
    return table


def _interval(claims: pd.Series) -> str:
    if not len(claims):
        return ""
    bounds = binomtest(int(claims.sum()), len(claims)).proportion_ci(0.95)
    return f"{bounds.low:.2f} to {bounds.high:.2f}"


NOTE = (
    "`claims`: share of trials in which differences were declared, with its exact 95% interval; "
    "`ARI`: agreement of the declared subgroups with S; `exact`: share of profiles that ask about "
    "x1 and x2 and nothing else; `RMSE`, `c90`: of individual effects, and coverage of their 90% "
    "intervals; `contrast c90`, `error`: coverage of the 90% interval of the honest contrast, and "
    "its posterior mean less the truth; `unshrunk`: the same where subgroups have means of their "
    "own, in trials that declared them; `Brier`: of membership in S."
)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Benchmark of subgroups.")
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--noise", nargs="+", type=float, default=[0.5, 1.0])
    parser.add_argument("--n", type=int, default=1000, help="units of a trial")
    parser.add_argument("--replications", type=int, default=10, help="trials of each cell")
    parser.add_argument("--first", type=int, default=0, help="number of the first trial")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=[PUBLISHED, "full"])
    parser.add_argument("--jobs", type=int, default=1, help="trials at once; times need 1")
    parser.add_argument("--out", type=Path, default=Path("results/mlearner.csv"))
    parser.add_argument("--resume", action="store_true", help="skip what --out already has")
    parser.add_argument("--table", nargs="+", type=Path, help="print the table of results; no fits")
    return parser.parse_args(arguments)


def main() -> None:
    """Run what the command line asks for and print the table."""
    options = parse()
    if options.table is None:
        if options.out.exists() and not options.resume:
            raise SystemExit(f"{options.out} exists; add --resume, or name another with --out.")
        done = finished(options.out)
        tasks = [task for task in plan(options) if task not in done]
        if tasks:
            run_all(tasks, options.out, jobs=options.jobs)
    print("\n" + markdown(tabulate(read(options.table or [options.out]))) + "\n\n" + NOTE)


if __name__ == "__main__":
    main()
