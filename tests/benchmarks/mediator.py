"""What the expected mediator's own coefficient changes: slopes and indirect effects.

Run it with ``python -m tests.benchmarks.mediator``; see ``--help``. On simulated trials with exact
individual effects it fits the default model, and the same model without that coefficient, with the
mediator centred by its expectation averaged over the arms. Both say the same of the data; they
differ in where the outcome model's shrunk surfaces leave what they miss. The slope of the mediator
is 1 in every scenario. Rows are added to the results file as soon as a fit is done.
"""

from __future__ import annotations

import argparse
import zlib
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.components.fitted import FittedComponent
from bayes_hte.effects.contrasts import decompose
from bayes_hte.fitting.expected_mediator import expected_mediator, expected_unseen
from bayes_hte.fitting.fitted import Fit
from bayes_hte.fitting.plan import Plan
from bayes_hte.fitting.sampling import SamplerSize
from bayes_hte.fitting.stages import Expectation, fit_stage, posterior_sampler, stages
from bayes_hte.study.simulation import SimulatedTrial, simulate_scenario
from bayes_hte.study.spec import PriorSpec
from bayes_hte.study.study import Study
from tests.benchmarks.rows_file import rows_added

SCENARIOS = ("simple_part", "simple_all", "global")
KEY = ("scenario", "n", "replication", "model")
MEASURES = ("slope", "slope_inside", "error_inside", "rmse", "coverage_90")
SIZE = SamplerSize(chains=2, draws=200, tune=200, cores=1, progress=False)
NONE = PriorSpec("outcome", "expected_mediator", "left out, for comparison", scale=1e-6)


def average_over_arms(mediator: FittedComponent, study: Study) -> np.ndarray:
    """Return the posterior-mean mediator, averaged over the arms, shape (unit,)."""
    del study
    return expected_mediator(mediator, mediator.linear_predictor().base).mean(axis=1)


MODELS: dict[str, tuple[Plan, Expectation]] = {
    "with": (Plan(), expected_unseen),
    "without": (Plan(priors=(NONE,)), average_over_arms),
}


def fit_trial(trial: SimulatedTrial, model: str, *, seed: int, size: SamplerSize = SIZE) -> Fit:
    """Fit one of the models to a trial."""
    roles = {"outcome": "y", "treatment": "treat", "mediator": "m"}
    study = Study.from_frame(trial.frame, **roles, covariates=trial.covariates)
    plan, expect = MODELS[model]
    done, sample = {}, posterior_sampler(seed=seed, size=size)
    for stage in stages(study, plan):
        done[stage] = fit_stage(stage, study, plan, done, sample, expect=expect)
    return Fit(study, plan, seed, done)


def measure(trial: SimulatedTrial, model: str, seed: int) -> dict[str, Any]:
    """Fit one model to one trial and compare with the truth."""
    fit = fit_trial(trial, model, seed=seed)
    tnie = decompose(fit.potential_outcomes())["tnie"].to_numpy()
    truth = trial.effects["tnie"].to_numpy()
    inside = trial.in_subgroup
    low, high = np.quantile(tnie, [0.05, 0.95], axis=(0, 1))
    error = tnie.mean(axis=(0, 1)) - truth
    no_expectation = np.zeros((fit.study.n_units, 2))
    slope = fit.components["outcome"].linear_predictor(expected=no_expectation).slope
    return {
        "slope": float(slope.mean()),
        "slope_inside": float(slope[:, :, inside].mean()),
        "error_inside": float(error[inside].mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "coverage_90": float(((low <= truth) & (truth <= high)).mean()),
    }


def main() -> None:
    """Run the benchmark, or print the means of saved results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenarios", nargs="+", default=SCENARIOS, choices=SCENARIOS)
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="first replication")
    parser.add_argument("--replications", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("mediator.csv"))
    parser.add_argument("--table", action="store_true", help="print the means of OUT and stop")
    options = parser.parse_args()
    if options.table:
        rows = pd.read_csv(options.out).groupby(["scenario", "n", "model"], sort=False)
        means = rows.mean().drop(columns="replication").assign(trials=rows.size())
        print(means.round(3).to_string())
        return
    replications = range(options.first, options.first + options.replications)
    with rows_added(options.out, [*KEY, *MEASURES]) as add:
        for replication, scenario, model in product(replications, options.scenarios, MODELS):
            row = run(scenario, options.n, replication, model)
            add(row)
            print(row, flush=True)


def run(scenario: str, n: int, replication: int, model: str) -> dict[str, Any]:
    """Simulate a trial, the same for every model, fit one and measure."""
    seed = zlib.crc32(f"mediator/{scenario}/{n}/{replication}".encode()) >> 1
    trial = simulate_scenario(scenario, np.random.default_rng(seed), n=n, noise=1.0)
    key = dict(zip(KEY, (scenario, n, replication, model), strict=True))
    return key | measure(trial, model, seed)


if __name__ == "__main__":
    main()
