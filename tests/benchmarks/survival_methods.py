"""Ways to estimate individual effects on restricted mean survival time: ours, and peers.

Peers have no posterior, and the libraries no interval for a difference of restricted means, so only
ours have coverage. A T-learner is one model in each arm; an S-learner one model of both, with the
treatment and its products with the covariates as covariates.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

import bayes_hte as hte
from bayes_hte.checks import Subject, kaplan_meier, loo_pit, survival_calibration
from bayes_hte.names import SAMPLE
from tests.benchmarks.survival_data import Times

SIZE = {"draws": 200, "tune": 150, "chains": 4, "progress": False}
# Enough nodes that areas are exact to three digits.
NODES = 200
RIDGE = 0.01


@dataclass(frozen=True)
class Estimate:
    """Effects of every unit: points, and bounds of 95% intervals where a method has them."""

    effect: np.ndarray
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None
    failed_check: bool | None = None


def ours(family: str, **options: object) -> Callable[[Times], Estimate]:
    """Return our fit of a family; the check of survival curves says whether it is badly wrong."""

    def estimate(data: Times) -> Estimate:
        roles = {"outcome": "time", "event": "event", "treatment": "treat"}
        study = hte.Study.from_frame(data.frame, **roles, covariates=data.covariates)
        fit = hte.fit(
            study, family=family, horizon=data.horizon, seed=1, cores=2, **SIZE, **options
        )
        draws = fit.cate()
        lower, upper = draws.quantile([0.025, 0.975], SAMPLE).to_numpy()
        subject = Subject(fit, fit.effects())
        found = [c.check(subject) for c in (kaplan_meier, loo_pit, survival_calibration)]
        failed = any(result.passed is False for (result,) in found)
        return Estimate(draws.mean(SAMPLE).to_numpy(), lower, upper, failed)

    return estimate


def lifelines_s(name: str) -> Callable[[Times], Estimate]:
    """Return an S-learner on a model of lifelines, with products of treatment and covariates."""

    def estimate(data: Times) -> Estimate:
        x = data.frame[data.covariates]
        design = _with_products(x, data.frame["treat"].to_numpy())
        model = _fitted(name, design, data.frame)
        means = [
            _restricted_mean(model, _with_products(x, np.full(len(x), a)), data.horizon)
            for a in (0, 1)
        ]
        return Estimate(means[1] - means[0])

    return estimate


def lifelines_t(name: str) -> Callable[[Times], Estimate]:
    """Return a T-learner on a model of lifelines."""

    def estimate(data: Times) -> Estimate:
        x = data.frame[data.covariates]
        means = []
        for a in (0, 1):
            own = data.frame["treat"] == a
            means.append(_restricted_mean(_fitted(name, x[own], data.frame[own]), x, data.horizon))
        return Estimate(means[1] - means[0])

    return estimate


def forest_t(data: Times) -> Estimate:
    """Return a T-learner on random survival forests of scikit-survival."""
    from sksurv.ensemble import RandomSurvivalForest
    from sksurv.util import Surv

    x, means = data.frame[data.covariates], []
    for a in (0, 1):
        own = data.frame[data.frame["treat"] == a]
        forest = RandomSurvivalForest(n_estimators=500, min_samples_leaf=15, random_state=1)
        forest.fit(own[data.covariates], Surv.from_arrays(own["event"] == 1, own["time"]))
        grid = np.linspace(0, data.horizon, NODES)
        curves = [f(np.clip(grid, *f.domain)) for f in forest.predict_survival_function(x)]
        means.append(np.trapezoid(np.array(curves), grid, axis=1))
    return Estimate(means[1] - means[0])


def _with_products(x: pd.DataFrame, arm: np.ndarray) -> pd.DataFrame:
    products = x.mul(arm, axis=0).add_prefix("treat_")
    return x.assign(treat=arm).join(products)


def _fitted(name: str, x: pd.DataFrame, frame: pd.DataFrame) -> object:
    import lifelines

    model = getattr(lifelines, name)(penalizer=RIDGE)
    columns = x.assign(time=frame["time"].to_numpy(), event=frame["event"].to_numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(columns, duration_col="time", event_col="event")


def _restricted_mean(model: object, x: pd.DataFrame, horizon: float) -> np.ndarray:
    grid = np.linspace(1e-6, horizon, NODES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        curves = model.predict_survival_function(x, times=grid).to_numpy()
    return np.trapezoid(curves, grid, axis=0)


OURS = {
    "lognormal": ours("lognormal"),
    "loglogistic": ours("loglogistic"),
    "weibull": ours("weibull"),
    "lognormal, noise by arm": ours("lognormal", noise="by_arm"),
    "weibull, noise by arm": ours("weibull", noise="by_arm"),
    "piecewise_hazard": ours("piecewise_hazard"),
}
PEERS = {
    "Cox, S-learner": lifelines_s("CoxPHFitter"),
    "Cox, T-learner": lifelines_t("CoxPHFitter"),
    "lognormal AFT, S-learner": lifelines_s("LogNormalAFTFitter"),
    "lognormal AFT, T-learner": lifelines_t("LogNormalAFTFitter"),
    "survival forest, T-learner": forest_t,
}
METHODS = OURS | PEERS
