"""How well the default fit mixes, and what one change at a time buys.

Run it with ``python -m tests.benchmarks.mixing``; see ``--help``. On data sets with known effects
it fits the default and the default with other numbers of trees, tuning iterations, draws, chains
and forest sweeps in an iteration, and the default with another seed, which is what chance alone
does. Every fit is added to the results file as soon as it is done, so a run may be stopped at any
time and carried on with ``--resume``. ``--table FILE ...`` prints the tables of saved results.

There is no warm start to vary: every tree of every chain begins as a root with value 0, and what
the chains need to leave that start is the tuning.

References
----------
Vehtari, A., Gelman, A., Simpson, D., Carpenter, B., Buerkner, P.-C. (2021). Rank-normalization,
folding, and localization: an improved R-hat. Bayesian Analysis 16, 667-718. doi:10.1214/20-BA1221
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pandas as pd
import xarray as xr

from tests.benchmarks.effects_data import Data, load, seed_of
from tests.benchmarks.effects_fit import cpu_seconds, score
from tests.benchmarks.effects_methods import Estimate
from tests.benchmarks.mixing_table import DEFAULT, report
from tests.benchmarks.rows_file import rows_added

DATA = (
    ("hahn", "n=250 p=5 nonlinear heterogeneous"),
    ("hahn", "n=500 p=5 linear heterogeneous"),
    ("smooth", "n=747 p=25"),
)
# One change each. `trees` are those of the shared part and of each arm's deviation in the outcome
# model (the package's own are 100 and 50), `sweeps` those of every forest in one iteration (the
# package's own are 2), `seed` is added to the seed.
SETTINGS: dict[str, dict[str, Any]] = {
    DEFAULT: {},
    "another seed": {"seed": 1},
    "trees 200, 100": {"trees": (200, 100)},
    "trees 50, 20": {"trees": (50, 20)},
    "trees 20, 10": {"trees": (20, 10)},
    "tune 100": {"tune": 100},
    "tune 1,000": {"tune": 1_000},
    "draws 1,000": {"draws": 1_000},
    "chains 2": {"chains": 2},
    "chains 8": {"chains": 8},
    "sweeps 1": {"sweeps": 1},
    "sweeps 4": {"sweeps": 4},
}


class Task(NamedTuple):
    """One fit to do."""

    family: str
    cell: str
    replication: int
    setting: str

    def __str__(self) -> str:
        return f"{self.family}, {self.cell}, replication {self.replication}, {self.setting}"


KEY = list(Task._fields)
SCORES = ["root_pehe", "cate_coverage_95", "cate_width_95", "ate_error"]
MEASURES = [
    *("cpu_seconds", *SCORES, "rhat_average", "ess_average"),
    *("rhat_worst", "rhat_panel", "rhat_median", "ess_median", "error"),
]


def plan(options: argparse.Namespace) -> list[Task]:
    """List the fits, setting by setting so that a stopped run is balanced."""
    return [
        Task(family, cell, options.replication, setting)
        for setting in options.settings
        for family, cell in DATA
        if cell in options.cells
    ]


def fit_draws(data: Data, *, seed: int, change: Mapping[str, Any]) -> xr.DataArray:
    """Fit with one change (a value of `SETTINGS`) in this process.

    Returns
    -------
    DataArray, dims (chain, draw, unit)
        The individual effects.
    """
    import bayes_hte as hte
    from bayes_hte.study.spec import PriorSpec
    from bayes_hte.surfaces.forest.step import ForestStep

    options = dict(change)
    sweeps = {"sweeps": options.pop("sweeps")} if "sweeps" in options else {}
    terms = zip(("shared", "arm"), options.pop("trees", ()), strict=False)
    priors = [PriorSpec("outcome", term, "mixing is studied", trees=n) for term, n in terms]
    seed += options.pop("seed", 0)
    frame = data.covariates.assign(y=data.outcome, t=data.treatment)
    covariates = list(data.covariates.columns)
    study = hte.Study.from_frame(frame, outcome="y", treatment="t", covariates=covariates)
    # The front door has no such option: a sweep less is a draw worse, not another model.
    with patch.dict(ForestStep.__init__.__kwdefaults__, sweeps):
        return hte.fit(study, seed=seed, priors=priors, cores=1, progress=False, **options).cate()


def diagnose(cate: xr.DataArray) -> dict[str, float]:
    """R-hat and bulk effective sample size of the average and of the individual effects.

    Worst is over all units, panel over those that the package's own check of sampling follows.
    """
    import arviz_stats as az

    from bayes_hte.checks.sampling_health import panel

    average = cate.mean("unit")
    rhat, ess = az.rhat(cate), az.ess(cate, method="bulk")
    return {
        "rhat_average": float(az.rhat(average)),
        "ess_average": float(az.ess(average, method="bulk")),
        "rhat_worst": float(rhat.max(skipna=False)),
        "rhat_panel": float(rhat.isel(unit=panel(cate.sizes["unit"])).max(skipna=False)),
        "rhat_median": float(rhat.median(skipna=False)),
        "ess_median": float(ess.median(skipna=False)),
    }


def run(task: Task) -> dict[str, Any]:
    """Make the data, fit, score and diagnose; seconds are those of the fit alone."""
    data = load(task.family, task.cell, task.replication)
    # The same seed for every setting, and not the one that made the data.
    seed = seed_of(*task[:3]) ^ 0x5EED
    used = cpu_seconds()
    try:
        cate = fit_draws(data, seed=seed, change=SETTINGS[task.setting])
    except Exception as error:  # one fit must not end the run
        return {**task._asdict(), "error": f"{type(error).__name__}: {error}"[:300]}
    used = cpu_seconds() - used
    draws = cate.transpose("chain", "draw", "unit").to_numpy()
    scores = score(data, Estimate.from_draws(draws.reshape(-1, draws.shape[-1])))
    return {
        **task._asdict(),
        "cpu_seconds": used,
        **{name: scores[name] for name in SCORES},
        **diagnose(cate),
        "error": "",
    }


def warm_up() -> None:
    """Import and compile, so that the first fit does not pay for it."""
    fit_draws(load(*DATA[0], 0), seed=0, change={"draws": 20, "tune": 20, "chains": 2})


def run_all(tasks: list[Task], out: Path, *, one: Callable[[Task], dict[str, Any]] = run) -> None:
    """Do the fits one after the other; write each row and say a line when it is done."""
    with rows_added(out, [*KEY, *MEASURES]) as add:
        for done, task in enumerate(tasks, start=1):
            row = one(task)
            add(row)
            said = row["error"] or f"{row['cpu_seconds']:.1f} processor seconds"
            print(f"[{done}/{len(tasks)}] {task}: {said}", flush=True)


def read(files: Iterable[Path]) -> pd.DataFrame:
    """Read results, in the order of data and settings; of a fit done twice the last counts."""
    rows = pd.concat([pd.read_csv(f) for f in files], ignore_index=True)
    place = {name: i for i, name in enumerate([*(cell for _, cell in DATA), *SETTINGS])}
    rows = rows.drop_duplicates(KEY, keep="last")
    return rows.sort_values(KEY, key=lambda column: column.replace(place))


def finished(out: Path) -> set[Task]:
    """Fits with a result; failed ones are tried again."""
    if not out.exists():
        return set()
    rows = read([out])
    return {Task(*key) for key in rows.loc[rows["error"].isna(), KEY].itertuples(index=False)}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Benchmark of mixing.")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    cells = [cell for _, cell in DATA]
    parser.add_argument("--cells", nargs="+", choices=cells, default=cells)
    parser.add_argument("--replication", type=int, default=0, help="which data sets")
    parser.add_argument("--out", type=Path, default=Path("results/mixing.csv"))
    parser.add_argument("--resume", action="store_true", help="skip what --out already has")
    parser.add_argument("--table", nargs="+", type=Path, help="print tables of results; no fits")
    return parser.parse_args(arguments)


def main() -> None:
    """Run what the command line asks for and print the tables."""
    options = parse()
    if options.table is None:
        if options.out.exists() and not options.resume:
            raise SystemExit(f"{options.out} exists; add --resume, or name another with --out.")
        done = finished(options.out)
        tasks = [task for task in plan(options) if task not in done]
        if tasks:
            warnings.simplefilter("ignore")
            warm_up()
            run_all(tasks, options.out)
    print("\n" + report(read(options.table or [options.out])))


if __name__ == "__main__":
    main()
