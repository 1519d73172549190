"""Seconds, memory and accuracy of the default fit as the number of units grows.

Run it with ``uv run python -m tests.benchmarks.large [units ...]``; each size is a fresh process.
Ten covariates, a gaussian outcome, an effect with a step and a slope.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import numpy as np
import pandas as pd

SIZES = (500, 2_000, 10_000, 50_000)


def simulate(n_units: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return a simulated trial, and the true effect of each unit in units of the noise sd."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_units, 10))
    arm = rng.permutation(np.arange(n_units) % 2)
    effect = 0.5 + (x[:, 0] > 0) + 0.5 * x[:, 1]
    y = np.sin(2 * x[:, 2]) + x[:, 3] + arm * effect + rng.normal(size=n_units)
    frame = pd.DataFrame(x, columns=[f"x{j}" for j in range(10)])
    return frame.assign(y=y, t=arm), effect


def measure(n_units: int) -> dict[str, float]:
    """Fit with the defaults and compare with the truth."""
    import bayes_hte as hte

    frame, truth = simulate(n_units, seed=n_units)
    covariates = [c for c in frame.columns if c.startswith("x")]
    study = hte.Study.from_frame(frame, outcome="y", treatment="t", covariates=covariates)
    start = time.perf_counter()
    cate = hte.fit(study, seed=1, progress=False).cate()
    seconds = time.perf_counter() - start
    import arviz_stats

    average = cate.mean("unit").to_dataset(name="sate")
    some = cate.isel(unit=slice(0, 40)).drop_vars("unit").to_dataset(name="cate")
    lower, upper = cate.quantile([0.025, 0.975], ("chain", "draw"))
    memory = sum(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return {
        "units": n_units,
        "seconds": seconds,
        "memory_gib": memory / 1024**2,
        "rmse": float(np.sqrt(((cate.mean(("chain", "draw")) - truth) ** 2).mean())),
        "coverage_95": float(((lower <= truth) & (truth <= upper)).mean()),
        "rhat_sate": float(arviz_stats.rhat(average)["sate"]),
        "rhat_units_max": float(arviz_stats.rhat(some)["cate"].max()),
    }


def main() -> None:
    """Measure each size in a process of its own and print a table."""
    if len(sys.argv) == 3 and sys.argv[1] == "one":
        print(json.dumps(measure(int(sys.argv[2]))))
        return
    rows = []
    for size in [int(a) for a in sys.argv[1:]] or SIZES:
        command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.large", "one", str(size)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(rows[-1], flush=True)
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.3g"))


if __name__ == "__main__":
    main()
