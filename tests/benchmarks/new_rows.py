"""Effects in rows that were not fitted, by the protocol that pretrained networks are compared with.

The first instance of the ACIC 2016 challenge. ``default_rng(42)`` permutes its 4,802 rows; the last
tenth are the test rows, the others the pool; draw r trains on the first n rows of
``default_rng(r).permutation(pool)``. The published figures are the medians over draws of the root
mean squared error of the effects in the test rows: a pretrained network as T-learner (TabPFN 3) has
.97 at n=500 and .42 on the whole pool, CausalPFN 1.24 and .73. Neither has intervals here.

Run it with ``uv run --group benchmark python -m tests.benchmarks.new_rows``.

References
----------
Dorie, V., Hill, J., Shalit, U., Scott, M., Cervone, D. (2019). Automated versus do-it-yourself
methods for causal inference. Statistical Science 34, 43-68. doi:10.1214/18-STS667
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats import rhat

import bayes_hte as hte
from tests.benchmarks.effects_data import Data, fetch_acic, make_acic
from tests.benchmarks.effects_fit import cpu_seconds, score
from tests.benchmarks.effects_methods import Estimate
from tests.benchmarks.rows_file import rows_added

TEST_SHARE = 0.1
COLUMNS = [
    *("n", "draw", "root_pehe", "relative_pehe", "relative_to", "ate_error"),
    *("cate_coverage_95", "cate_width_95", "ate_coverage_95", "r_hat_95", "seconds", "cpu_seconds"),
]


def rows_of(data: Data, rows: np.ndarray) -> Data:
    """Return some rows of a data set."""
    return Data(
        data.covariates.iloc[rows].reset_index(drop=True),
        data.treatment[rows],
        data.outcome[rows],
        data.effect[rows],
    )


def parts(n_rows: int, *, n: int | None, draw: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows to train on and those to test on.

    Parameters
    ----------
    n_rows : int
        Rows of the instance.
    n : int or None
        Rows to train on; None for the whole pool.
    draw : int
        Number of the training draw, which seeds it.

    Returns
    -------
    train, test : ndarray of int
    """
    order = np.random.default_rng(42).permutation(n_rows)
    tested = round(TEST_SHARE * n_rows)
    pool, test = order[:-tested], order[-tested:]
    return np.random.default_rng(draw).permutation(pool)[:n], test


def fitted(train: Data, test: Data, *, seed: int) -> dict[str, float]:
    """Fit by default on one part and score the other."""
    # In some draws a rare level is missing; a column without two values is refused.
    counts = train.covariates.nunique()
    kept = list(counts.index[counts > 1])
    frame = train.covariates[kept].assign(treatment=train.treatment, outcome=train.outcome)
    study = hte.Study.from_frame(frame, outcome="outcome", treatment="treatment", covariates=kept)
    start, used = time.perf_counter(), cpu_seconds()
    fit = hte.fit(study, seed=seed, progress=False)
    effects = fit.cate(test.covariates[kept])
    draws = effects.transpose("chain", "draw", ...).to_numpy()
    draws = draws.reshape(-1, draws.shape[-1])
    spent = {"seconds": time.perf_counter() - start, "cpu_seconds": cpu_seconds() - used}
    found = score(test, Estimate.from_draws(draws))
    return found | {"r_hat_95": r_hat(effects)} | {k: round(v, 1) for k, v in spent.items()}


def r_hat(effects: xr.DataArray) -> float:
    """Return the 95th percentile of the R-hat of the effects."""
    found = rhat(effects.rename("effect").to_dataset(), sample_dims=["chain", "draw"])
    return float(np.quantile(found["effect"].to_numpy(), 0.95))


def main() -> None:
    """Fit what was asked for, and print the medians."""
    parser = argparse.ArgumentParser(description="Effects in rows that were not fitted.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 0], help="0: the whole pool")
    parser.add_argument("--draws", type=int, default=10, help="training draws of each size")
    parser.add_argument("--out", type=Path, default=Path("new_rows.csv"))
    options = parser.parse_args()
    fetch_acic()
    data = make_acic("instance 1", np.random.default_rng())
    print(f"sd of the true effects: {data.effect.std():.2f}")
    with rows_added(options.out, COLUMNS) as add:
        for draw in range(options.draws):
            for size in options.sizes:
                train, test = parts(len(data.outcome), n=size or None, draw=draw)
                row = fitted(rows_of(data, train), rows_of(data, test), seed=draw)
                add(
                    {k: v for k, v in row.items() if k in COLUMNS} | {"n": len(train), "draw": draw}
                )
    table = pd.read_csv(options.out)
    print(table.groupby("n")[["root_pehe", "cate_coverage_95", "ate_error", "r_hat_95"]].median())


if __name__ == "__main__":
    main()
