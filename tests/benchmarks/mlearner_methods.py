"""Methods of the benchmark of subgroups, each from a simulated trial to the same measures."""

from __future__ import annotations

import time
import traceback
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from sklearn.metrics import adjusted_rand_score

from bayes_hte.study.simulation import SCENARIOS, SimulatedTrial, simulate_scenario
from bayes_hte.study.study import Study
from bayes_hte.subgroups import Subgroups, honest_m_learner, m_learner
from bayes_hte.subgroups.honest.folds import HonestSubgroups
from bayes_hte.subgroups.honest.own_means import SUBGROUP_COLUMN
from tests.benchmarks.mlearner_published import published_m_learner

SAMPLE = ("chain", "draw")
BOUNDS = [0.05, 0.95]
TRUE_COVARIATES = {"x1", "x2"}
Refit = Callable[[Study, int], xr.DataArray]


class Task(NamedTuple):
    """One trial to simulate and analyse by one method."""

    scenario: str
    noise: float
    n: int
    replication: int
    method: str

    def __str__(self) -> str:
        where = f"{self.scenario}, noise {self.noise:g}, n={self.n}"
        return f"{where}, replication {self.replication}, {self.method}"


def run(task: Task) -> dict[str, Any]:
    """Simulate, analyse and measure; a failure is a row with an error and no measures.

    The data depend on the scenario, its noise and size and the replication, not on the method.
    """
    name = f"{task.scenario}/{task.noise:g}/{task.n}/{task.replication}"
    seed = zlib.crc32(name.encode()) >> 1
    rng = np.random.default_rng(seed)
    trial = simulate_scenario(task.scenario, rng, n=task.n, noise=task.noise)
    effect = "tnie" if SCENARIOS[task.scenario].mediated else "te"
    started, cpu = time.perf_counter(), time.process_time()
    try:
        measured = METHODS[task.method](trial, effect, seed)
    except Exception as error:  # one fit in thousands must not end the run
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{last.name}, line {last.lineno}"
        return {**task._asdict(), "error": f"{type(error).__name__}: {error} ({where})"[:300]}
    seconds = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
    }
    return {**task._asdict(), **measured, **seconds, "error": ""}


def published(trial: SimulatedTrial, effect: str, seed: int) -> dict[str, Any]:
    """The published procedure; what it claims depends on a threshold set later."""
    found = published_m_learner(trial.frame, trial.covariates, seed=seed)
    truth = trial.effects[effect].to_numpy()
    return {
        "p_leaf": found.p_leaf,
        "ari": adjusted_rand_score(trial.in_subgroup, found.leaves),
        "exact": float(found.covariates == TRUE_COVARIATES),
        "rmse": float(np.sqrt(((found.effect - truth) ** 2).mean())),
    }


def full(trial: SimulatedTrial, effect: str, seed: int) -> dict[str, Any]:
    """Ours, with the default model of the package."""
    return ours(trial, effect, seed, _model(effect), _model(effect, means_by=SUBGROUP_COLUMN))


def full_claim(trial: SimulatedTrial, effect: str, seed: int) -> dict[str, Any]:
    """As `full`, halves alone: the claim, without the size of a difference or a description."""
    return _honest(trial, _study(trial), effect, seed, _model(effect), None)


METHODS: dict[str, Callable[[SimulatedTrial, str, int], dict[str, Any]]] = {
    "published": published,
    "full": full,
    "full_claim": full_claim,
}


def _model(effect: str, **options: Any) -> Refit:
    """The default model of the package."""
    from bayes_hte.checks.null_studies import model_refit
    from bayes_hte.fitting.plan import Plan

    return model_refit(Plan(**options), effect, draws=300, tune=300, chains=2)


def ours(
    trial: SimulatedTrial, effect: str, seed: int, refit: Refit, refit_subgroups: Refit
) -> dict[str, Any]:
    """Claim by the honest rule; describe by a fit to all units."""
    study = _study(trial)
    truth = trial.effects[effect].to_numpy()
    measured = _honest(trial, study, effect, seed, refit, refit_subgroups)
    draws = refit(study, seed)
    groups = m_learner(draws, study, seed=seed)
    low, high = draws.quantile(BOUNDS, dim=SAMPLE).to_numpy()
    mean = draws.mean(SAMPLE).to_numpy()
    return {
        **measured,
        "in_sample_probability": groups.probability_in_sample,
        "ari": adjusted_rand_score(trial.in_subgroup, groups.labels),
        "exact": float(set(groups.profile.covariates) == TRUE_COVARIATES),
        "rmse": float(np.sqrt(((mean - truth) ** 2).mean())),
        "coverage": float(((low <= truth) & (truth <= high)).mean()),
        **({"brier": _brier(groups, trial, truth)} if np.ptp(truth) > 1e-9 else {}),
    }


def _study(trial: SimulatedTrial) -> Study:
    """Declare the trial's columns."""
    return Study.from_frame(
        trial.frame,
        outcome="y",
        treatment="treat",
        mediator="m" if "m" in trial.frame else None,
        covariates=trial.covariates,
    )


def _honest(
    trial: SimulatedTrial,
    study: Study,
    effect: str,
    seed: int,
    refit: Refit,
    refit_subgroups: Refit | None,
) -> dict[str, Any]:
    """Judge each half by the other, and say whether the contrast's interval holds the truth."""
    halves: list[Study] = []

    def recorded(half: Study, half_seed: int) -> xr.DataArray:
        halves.append(half)
        return refit(half, half_seed)

    found = honest_m_learner(study, fit_half=recorded, fit_subgroups=refit_subgroups, seed=seed)
    truth = pd.Series(trial.effects[effect].to_numpy(), index=study.units)
    measured = {"probability": found.probability, "claim": float(found.declared)}
    if not any(fold.divides for fold in found.folds):
        return measured
    true = _true_contrast(found, halves, truth)
    parts = {"contrast": found.contrast, "unshrunk": found.unshrunk}
    for name, contrast in parts.items():
        if contrast is not None:
            low, high = contrast.quantile(BOUNDS).to_numpy()
            measured[f"{name}_coverage"] = float(low <= true <= high)
            measured[f"{name}_error"] = float(contrast.mean()) - true
    return measured


def _true_contrast(honest: HonestSubgroups, halves: list[Study], truth: pd.Series) -> float:
    """Contrast of the true effects of the groups that the honest contrast is about."""
    true = []
    for fold, judged in zip(honest.folds, reversed(halves), strict=True):
        by_group = truth[judged.units].groupby(fold.profile.assign(judged.covariate_frame()))
        means = by_group.mean()  # in the order the other half gave the subgroups
        true.append(means.iloc[-1] - means.iloc[0])
    return float(np.mean(true))


def _brier(groups: Subgroups, trial: SimulatedTrial, truth: np.ndarray) -> float:
    """Mean squared error of the probability of the subgroup that S should be."""
    positive = truth[trial.in_subgroup].mean() > truth[~trial.in_subgroup].mean()
    said = groups.membership.isel(subgroup=-1 if positive else 0).to_numpy()
    return float(((said - trial.in_subgroup) ** 2).mean())
