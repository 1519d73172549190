"""Coverage, error, seconds and memory of the default fit as the number of units grows.

Run it with ``uv run python -m tests.benchmarks.large [units ...]``; by default 10,000 and 100,000
units, and a million with ``1000000`` (an hour or more, and 2 chains). Each fit is a process of its
own; rows are kept in ``large.jsonl`` of the folder given by ``--to``, and those that are there are
not made again. Twenty covariates, a gaussian outcome in units of its noise, two designs: the effect
has a step and a slope, or it is the same for all units. Units choose their arm by a covariate that
matters to the outcome. With ``--methods`` those of ``large_methods.py`` are compared on the same
data: the fit of all rows, shards, and peers (the latter in an environment that has them).

Effects are read as somebody would read them who has so many units: averages, and those of groups,
from :meth:`bayes_hte.Fit.averages`, units from :func:`bayes_hte.predict_effects`. Groups are
the tenths of the units by a covariate that the effect varies with, named beforehand; and the tenths
by the posterior mean of the effect itself, which a fit is too sure of at its ends.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tests.benchmarks.large_methods import METHODS, SIZED

SIZES = (10_000, 100_000)
DESIGNS = ("varying", "equal")
COVARIATES = [f"x{j}" for j in range(20)]
# Chains beyond which a fit of a million takes more than an hour on two cores.
FEW_CHAINS, MILLION = 2, 1_000_000
# The measurements of the defaults; and the units that methods with draws are asked about.
DEFAULTS, ASKED = "defaults", 10_000


def simulate(
    n_units: int, seed: int, *, design: str = "varying"
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a simulated study, and the true effect of each unit in units of the noise sd."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_units, len(COVARIATES)))
    arm = (rng.random(n_units) < 1 / (1 + np.exp(-0.5 * x[:, 3]))).astype(int)
    effect = 0.5 + (0.5 * (x[:, 0] > 0) + 0.25 * x[:, 1] if design == "varying" else 0.0)
    effect = effect * np.ones(n_units)
    y = np.sin(2 * x[:, 2]) + x[:, 3] + arm * effect + rng.normal(size=n_units)
    return pd.DataFrame(x, columns=COVARIATES).assign(y=y, t=arm), effect


def measure(n_units: int, design: str, seed: int, **size: int) -> dict[str, Any]:
    """Fit with the defaults and compare with the truth."""
    import arviz_stats

    import bayes_hte as hte

    frame, truth = simulate(n_units, seed=seed, design=design)
    study = hte.Study.from_frame(frame, outcome="y", treatment="t", covariates=COVARIATES)
    start, processor = time.perf_counter(), time.process_time()
    fit = hte.fit(study, seed=1, progress=False, **size)
    row: dict[str, Any] = {
        "units": n_units,
        "design": design,
        "seed": seed,
        "fit_seconds": time.perf_counter() - start,
        "fit_processor_seconds": time.process_time() - processor,
        "fit_gib": peak(),
    }
    with tempfile.TemporaryDirectory() as folder:
        units = hte.predict_effects(fit, frame, to=Path(folder) / "units").frame()
    row |= {
        "root_pehe": float(np.sqrt(((units["te"] - truth) ** 2).mean())),
        "coverage_units": covered(units["te_lower"], units["te_upper"], truth),
    }
    average = fit.averages()["te"]
    row |= {"average_error": float(average.mean() - truth.mean())}
    row |= {"average_covered": interval_covers(average, np.array([truth.mean()]))}
    row["rhat_average"] = float(arviz_stats.rhat(average.to_dataset(name="te"))["te"])
    groups = {"by_covariate": frame["x1"], "by_effect": units["te"]}
    for name, column in groups.items():
        tenths = pd.qcut(column, 10, labels=False)
        draws = fit.averages(by=tenths.to_numpy())["te"]
        row[f"coverage_{name}"] = interval_covers(draws, pd.Series(truth).groupby(tenths).mean())
        row[f"rhat_{name}"] = float(arviz_stats.rhat(draws.to_dataset(name="te"))["te"].max())
    some = fit.cate(frame.iloc[: min(200, n_units)]).to_dataset(name="te").drop_vars("unit")
    row["rhat_units_95"] = float(arviz_stats.rhat(some)["te"].quantile(0.95))
    row |= {"seconds": time.perf_counter() - start, "gib": peak()}
    row["processor_seconds"] = time.process_time() - processor
    return row


def compare(method: str, n_units: int, design: str, seed: int, **size: int) -> dict[str, Any]:
    """Estimate by one method and compare with the truth, at most 10,000 units of ours."""
    frame, truth = simulate(n_units, seed=seed, design=design)
    some = min(ASKED, n_units) if method in SIZED else n_units
    asked = np.sort(np.random.default_rng(seed).choice(n_units, some, replace=False))
    start, processor = time.perf_counter(), time.process_time()
    answer = METHODS[method](frame, asked, seed, **size)
    estimate, *bounds = answer.units()
    row: dict[str, Any] = {
        "units": n_units,
        "design": design,
        "seed": seed,
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - processor,
        "gib": peak(),
    }
    truth = truth[asked]
    row["root_pehe"] = float(np.sqrt(((estimate - truth) ** 2).mean()))
    row["average_error"] = float(estimate.mean() - truth.mean())
    row |= {"coverage_units": covered(*bounds, truth), "width_units": width(bounds)}
    groups = {"average": np.zeros(some, dtype=int)}
    for name, column in {"by_covariate": frame["x1"].iloc[asked], "by_effect": estimate}.items():
        # Ties where a method says the same of many units.
        groups[name] = pd.qcut(pd.Series(column).rank(method="first"), 10, labels=False).to_numpy()
    for name, of in groups.items():
        bounds = answer.averages(of)
        means = pd.Series(truth).groupby(of).mean().to_numpy()
        row |= {f"coverage_{name}": covered(*bounds, means), f"width_{name}": width(bounds)}
    return row


def width(bounds: Any) -> float:
    """Return the mean width of intervals."""
    lower, upper = bounds
    return float(np.mean(upper - lower))


def peak() -> float:
    """Return the largest memory of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def covered(lower: Any, upper: Any, truth: Any) -> float:
    """Return the share of intervals that hold the truth."""
    return float(((np.asarray(lower) <= truth) & (truth <= np.asarray(upper))).mean())


def interval_covers(draws: Any, truth: Any) -> float:
    """Return the share of the 95% intervals of draws, dims (chain, draw, ...), with the truth."""
    lower, upper = draws.quantile([0.025, 0.975], ("chain", "draw")).to_numpy()
    return covered(np.atleast_1d(lower), np.atleast_1d(upper), np.asarray(truth))


def main() -> None:
    """Measure what is not there yet, each fit in a process of its own, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("units", nargs="*", type=int, default=SIZES)
    parser.add_argument("--methods", nargs="+", default=[DEFAULTS], choices=[DEFAULTS, *METHODS])
    parser.add_argument("--designs", nargs="+", default=DESIGNS, choices=DESIGNS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1], help="data sets")
    parser.add_argument("--to", default="results/large", help="folder of large.jsonl")
    parser.add_argument("--size", default="{}", help="options of our fits, as JSON")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    size = json.loads(options.size)
    if options.one:
        method, units, design, seed = options.one
        of = measure if method == DEFAULTS else partial(compare, method)
        print(json.dumps(of(int(units), design, int(seed), **size)))
        return
    file = Path(options.to) / "large.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    asked = itertools.product(options.units, options.designs, options.seeds, options.methods)
    for units, design, seed, method in asked:
        own = size if method in (DEFAULTS, *SIZED) else {}
        own = own | ({"chains": FEW_CHAINS} if method == DEFAULTS and units >= MILLION else {})
        key = {"method": method, "units": units, "design": design, "seed": seed, "size": own}
        if any({"method": DEFAULTS, **row}.items() >= key.items() for row in rows):
            continue
        row = one_process(method, units, design, seed, own) | key
        rows.append(row)
        with file.open("a") as to:
            to.write(json.dumps(row) + "\n")
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.3g"))


def one_process(
    method: str, units: int, design: str, seed: int, size: dict[str, int]
) -> dict[str, Any]:
    """Measure one fit in a fresh process, whose memory is then its own."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.large"]
    command += ["--size", json.dumps(size), "--one", method, str(units), design, str(seed)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
