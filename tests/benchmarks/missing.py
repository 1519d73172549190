"""Individual effects where covariates are missing: ``python -m tests.benchmarks.missing``.

A trial of 500 units with two modifiers of six equally correlated covariates (.5),

    ``y = x3 + .5 x1 + t (1 + .75 x1 + .75 x2) + e,   e ~ Normal(0, 1)``,

of which each modifier is missing for 30%: at random given x3 and x4 (MAR), or the more often the
larger it is (MNAR). The same data are fitted complete, with splits on missingness, imputed five
times, and as complete cases. Three errors are measured. *Rows*: effects of 1,000 new units without
gaps, which every fit can predict; that says what was learned. *Units*: effects of the study's own
units, gaps and all, against ``1 + .75 x1 + .75 x2`` with the values that are missing; complete
cases say nothing about units with gaps. *Recorded*: the same against the expectation of the effect
given what was recorded (for MAR, where it is known), which is the most that anybody can know.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import bayes_hte as hte
from bayes_hte.names import SAMPLE

N, NEW = 500, 1000
NAMES = [f"x{i}" for i in range(1, 7)]
ROLES = {"outcome": "y", "treatment": "t", "covariates": NAMES}
MECHANISMS = ("MAR", "MNAR")
RULES = ("splits", "impute", "complete")


def covariates(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Draw six standard normal covariates with correlation .5."""
    common = rng.normal(size=(n, 1))
    return pd.DataFrame(np.sqrt(0.5) * (common + rng.normal(size=(n, 6))), columns=NAMES)


def effect(frame: pd.DataFrame) -> np.ndarray:
    """Return the true effect of each row."""
    return (1 + 0.75 * (frame["x1"] + frame["x2"])).to_numpy()


def trial(seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw the data of a trial without gaps, and new rows."""
    rng = np.random.default_rng(seed)
    frame = covariates(rng, N)
    arm = rng.permutation(np.arange(N) % 2)
    mean = frame["x3"] + 0.5 * frame["x1"] + arm * effect(frame)
    return frame.assign(t=arm, y=mean + rng.normal(size=N)), covariates(rng, NEW)


def with_gaps(frame: pd.DataFrame, mechanism: str, seed: int) -> pd.DataFrame:
    """Delete 30% of either modifier."""
    rng, holed = np.random.default_rng([seed, 1]), frame.copy()
    for name, other in (("x1", "x3"), ("x2", "x4")):
        z = frame[other if mechanism == "MAR" else name].to_numpy()
        # The logit -1.05 + 1.2 z of a standard normal z has mean probability .3.
        holed.loc[rng.random(N) < 1 / (1 + np.exp(1.05 - 1.2 * z)), name] = np.nan
    return holed


def recorded_effect(frame: pd.DataFrame) -> np.ndarray:
    """Return the expected effect of each row given its recorded values, missing at random."""
    values, filled = frame[NAMES].to_numpy(), frame[NAMES].copy()
    covariance = np.full((6, 6), 0.5) + 0.5 * np.eye(6)
    for i, row in enumerate(values):
        gap = np.isnan(row)
        if gap.any():
            weights = np.linalg.solve(covariance[np.ix_(~gap, ~gap)], row[~gap])
            filled.iloc[i, np.flatnonzero(gap)] = covariance[np.ix_(gap, ~gap)] @ weights
    return effect(filled)


def scores(fit: hte.Fit, rows: pd.DataFrame | None, truth: np.ndarray) -> tuple[float, float]:
    """Return root-PEHE, and coverage of 95% intervals."""
    draws = fit.cate(rows)
    low, high = draws.quantile([0.025, 0.975], SAMPLE).to_numpy()
    error = draws.mean(SAMPLE).to_numpy() - truth
    return float(np.sqrt((error**2).mean())), float(((low <= truth) & (truth <= high)).mean())


def measured(seed: int, mechanism: str, rule: str, size: dict[str, int]) -> dict[str, object]:
    """Fit one data set in one way; `rule` is "no gaps" for the complete data."""
    frame, new = trial(seed)
    holed, rules = frame, {}
    if rule != "no gaps":
        holed, rules = with_gaps(frame, mechanism, seed), {"missing": rule}
    study = hte.Study.from_frame(holed, **ROLES, **rules)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = hte.fit(study, seed=seed, stack_with=[], progress=False, cores=1, **size)
    row = {"seed": seed, "mechanism": mechanism, "rule": rule, "n": study.n_units}
    row |= dict(zip(("rows", "rows cover"), scores(fit, new, effect(new)), strict=True))
    own = effect(frame.loc[study.units])
    row |= dict(zip(("units", "units cover"), scores(fit, None, own), strict=True))
    if mechanism == "MAR":
        known = recorded_effect(holed.loc[study.units])
        row |= dict(zip(("recorded", "recorded cover"), scores(fit, None, known), strict=True))
    return row | {"seconds": round(time.process_time() - start, 1)}


def main() -> None:
    """Measure data set after data set; rows that the file has are not measured again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--sets", type=int, default=10)
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--tune", type=int, default=300)
    asked = parser.parse_args()
    size = {"chains": asked.chains, "draws": asked.draws, "tune": asked.tune}
    rows = pd.read_csv(asked.file).to_dict("records") if asked.file.exists() else []
    done = {(r["seed"], r["mechanism"], r["rule"]) for r in rows}
    for seed in range(1, asked.sets + 1):
        wanted = [("-", "no gaps"), *((m, r) for m in MECHANISMS for r in RULES)]
        for mechanism, rule in wanted:
            if (seed, mechanism, rule) in done:
                continue
            rows.append(measured(seed, mechanism, rule, size))
            pd.DataFrame(rows).to_csv(asked.file, index=False)
    table = pd.DataFrame(rows).drop(columns="seed").groupby(["mechanism", "rule"]).mean()
    print(table.round(3).to_string())


if __name__ == "__main__":
    main()
