"""Individual effects against the truth: ours and peers, one command, one table.

Run it with ``uv run --group benchmark python -m tests.benchmarks.effects``; see ``--help``. Every
fit is a process of its own, added to the results file as soon as it is done, so a run may be
stopped at any time and carried on with ``--resume``. ``--table FILE ...`` prints the table of saved
results.

Seconds are those of the fit and its summaries, without imports: on the wall, which means little on
a busy machine, and of processors, workers included. Memory is the largest sum, over the fit's
process and its workers, of resident memory with shared pages counted once (proportional set size),
looked at twice a second, imports included; where the system does not tell it, the largest resident
set of the main process alone.
"""

from __future__ import annotations

import argparse
import signal
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tests.benchmarks.effects_data import FAMILIES, fetch_acic
from tests.benchmarks.effects_methods import METHODS, OURS, PEERS, PROBS
from tests.benchmarks.effects_run import Task, Workers, run_fit
from tests.benchmarks.effects_table import KEY, read, report
from tests.benchmarks.rows_file import rows_added

MEASURES = [
    *("n", "p", "root_pehe", "relative_pehe", "relative_to", "ate_error"),
    *(
        f"{of}_{what}_{100 * prob:.0f}"
        for of in ("cate", "ate")
        for prob in PROBS
        for what in ("coverage", "width")
    ),
    *("seconds", "cpu_seconds", "memory_gib", "software", "error"),
]
DEFAULT_METHODS = {
    "failure": ("linear s", "linear t", "linear", "forest", *PEERS),
    **dict.fromkeys(("acic", "smooth", "hahn", "steps"), ("forest", *PEERS)),
    "small arm": ("forest", "forest wide means", "gp", "least squares", "bcf"),
}


def plan(options: argparse.Namespace) -> list[Task]:
    """List the fits asked for, replication by replication so that a stopped run is balanced."""
    tasks = []
    for family in options.families:
        cells = FAMILIES[family].cells
        if family == "acic":
            cells = tuple(f"instance {i}" for i in options.instances)
        if options.cells is not None:
            cells = tuple(c for c in cells if any(part in c for part in options.cells))
        # An instance of the challenge is one data set.
        wanted = FAMILIES[family].replications
        if options.replications is not None and wanted > 1:
            wanted = options.replications
        methods = options.methods or DEFAULT_METHODS[family]
        tasks += [Task(family, c, r, m) for r in range(wanted) for c in cells for m in methods]
    return tasks


def check_installed(tasks: list[Task]) -> None:
    """Stop before the first fit if a method's package is not there."""
    for name in dict.fromkeys(task.method for task in tasks):
        try:
            version(METHODS[name].package)
        except PackageNotFoundError:
            raise SystemExit(
                f"method {name!r} needs {METHODS[name].package}: run with --group benchmark, "
                "or choose others with --methods."
            ) from None


def finished(out: Path) -> set[Task]:
    """Fits with a result; failed ones are tried again."""
    if not out.exists():
        return set()
    rows = read([out])
    return {Task(*key) for key in rows.loc[rows["error"].isna(), KEY].itertuples(index=False)}


def run_all(tasks: list[Task], out: Path, *, jobs: int, limit: float) -> None:
    """Run the fits; write each row and say a line when it is done."""
    stop, workers = threading.Event(), Workers()
    with rows_added(out, [*KEY, *MEASURES]) as add, ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(run_fit, task, workers, stop, limit): task for task in tasks}
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                row = future.result()
                add(row)
                print(f"[{done}/{len(tasks)}] {futures[future]}: {_said(row)}", flush=True)
        except KeyboardInterrupt:
            stop.set()
            raise SystemExit(f"\nstopped; carry on with --resume --out {out}") from None
        finally:
            pool.shutdown(cancel_futures=True)
            workers.close()


def _said(row: dict[str, Any]) -> str:
    if row["error"]:
        return f"FAILED: {row['error']}"
    said = f"root-PEHE {row['root_pehe']:.3f}"
    if "cate_coverage_95" in row:
        said += f", coverage {row['cate_coverage_95']:.2f}"
    said += f", {row['seconds']:.1f} s ({row['cpu_seconds']:.1f} CPU)"
    return f"{said}, {row['memory_gib']:.2f} GiB"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; "ours" and "peers" stand for all of them."""
    parser = argparse.ArgumentParser(description="Benchmark of individual effects.")
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument(
        "--cells", nargs="+", help='only cells with one of these in their names, such as "p=5 "'
    )
    parser.add_argument(
        "--instances",
        nargs="+",
        type=int,
        choices=range(1, 11),
        metavar="I",
        default=list(range(1, 6)),
        help="of acic; default 1 to 5",
    )
    parser.add_argument("--replications", type=int, help="default: the family's own")
    parser.add_argument("--methods", nargs="+", choices=[*METHODS, "ours", "peers"])
    parser.add_argument("--jobs", type=int, default=1, help="fits at once; times need 1")
    parser.add_argument("--limit", type=float, default=3600, help="seconds a fit may take")
    parser.add_argument("--out", type=Path, default=Path("results/effects.csv"))
    parser.add_argument("--resume", action="store_true", help="skip what --out already has")
    parser.add_argument("--table", nargs="+", type=Path, help="print the table of results; no fits")
    options = parser.parse_args(arguments)
    if options.methods is not None:
        groups = {"ours": list(OURS), "peers": list(PEERS)}
        methods = [m for name in options.methods for m in groups.get(name, [name])]
        options.methods = list(dict.fromkeys(methods))
    return options


def main() -> None:
    """Run what the command line asks for and print the table."""
    options = parse()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.table is not None:
        print(report(read(options.table)))
        return
    if options.out.exists() and not options.resume:
        raise SystemExit(f"{options.out} exists; add --resume, or name another file with --out.")
    tasks = [task for task in plan(options) if task not in finished(options.out)]
    check_installed(tasks)
    if any(task.family == "acic" for task in tasks):
        fetch_acic()
    if tasks:
        run_all(tasks, options.out, jobs=options.jobs, limit=options.limit)
    print("\n" + report(read([options.out])))


if __name__ == "__main__":
    main()
