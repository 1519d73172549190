"""Fits of interval-censored times against the maximum likelihood of a library, and their checks."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from lifelines import LogLogisticAFTFitter, LogNormalAFTFitter, WeibullAFTFitter
from scipy import stats

import bayes_hte as hte
from bayes_hte.checks import Subject, kaplan_meier, loo_pit, survival_calibration
from bayes_hte.companions import restricted_means
from bayes_hte.errors import UnhealthySamplingWarning

LIBRARY = {
    "lognormal": LogNormalAFTFitter,
    "loglogistic": LogLogisticAFTFitter,
    "weibull": WeibullAFTFitter,
}
HORIZON = 5.0


def frame_of(n: int = 300, *, width: float = 1.0) -> pd.DataFrame:
    """Return times of visits before and after events, censored after six of them."""
    rng = np.random.default_rng(1)
    x, arm = rng.normal(size=n), np.arange(n) % 2
    time = np.exp(0.5 + 0.5 * x + 0.4 * arm + 0.6 * rng.normal(size=n))
    lower = np.floor(time / width) * width
    seen = lower < 6
    return pd.DataFrame(
        {
            "lower": np.where(seen, lower, 6.0),
            "upper": np.where(seen, lower + width, np.nan),
            "arm": arm,
            "x": x,
        }
    )


@pytest.fixture(scope="module")
def study() -> hte.Study:
    roles = {"outcome": "lower", "upper": "upper", "treatment": "arm", "covariates": ["x"]}
    return hte.Study.from_frame(frame_of(), **roles)


def fitted(study: hte.Study, family: str, **options: object) -> hte.Fit:
    size = {"draws": 250, "tune": 200, "chains": 2, "cores": 1, "progress": False}
    how = {"surface": "linear", "learner": "homogeneous", "horizon": HORIZON, "seed": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnhealthySamplingWarning)
        return hte.fit(study, family=family, **(how | size | options))


@pytest.fixture(scope="module")
def fit(study: hte.Study) -> hte.Fit:
    return fitted(study, "lognormal")


def by_library(family: str, frame: pd.DataFrame) -> tuple[list[float], float]:
    """Return average restricted means of both arms, and the largest log-likelihood."""
    ends = frame.assign(lower=frame["lower"].clip(lower=1e-9), upper=frame["upper"].fillna(np.inf))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LIBRARY[family]().fit_interval_censoring(
            ends, lower_bound_col="lower", upper_bound_col="upper"
        )
        grid = np.linspace(1e-6, HORIZON, 300)
        curves = [
            model.predict_survival_function(ends.assign(arm=a), times=grid).to_numpy()
            for a in (0, 1)
        ]
    means = [float(np.trapezoid(c, grid, axis=0).mean()) for c in curves]
    return means, float(model.log_likelihood_)


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(LIBRARY))
def test_averages_are_those_of_the_library(study: hte.Study, fit: hte.Fit, family: str) -> None:
    """Within .06 of a year, half a posterior sd; the log-likelihood is below its maximum by 0 to 5.

    Half a parameter each is expected.
    """
    own = fit if family == "lognormal" else fitted(study, family)
    means, best = by_library(family, frame_of())
    mu = own.potential_outcomes().mean(("unit", "chain", "draw"))
    np.testing.assert_allclose(mu, means, atol=0.06)
    below = best - float(own.log_likelihood().sum("unit").mean())
    assert 0 < below < 5


@pytest.mark.slow
def test_the_truth_is_found_where_middles_are_far_off(study: hte.Study) -> None:
    """With intervals of three units no middle is early, and the fit finds the early events."""
    wide = frame_of(width=3.0)
    roles = {"outcome": "lower", "upper": "upper", "treatment": "arm", "covariates": ["x"]}
    own = fitted(hte.Study.from_frame(wide, **roles), "lognormal")
    early = 0.75
    eta = 0.5 + 0.5 * wide["x"].to_numpy()
    true = [stats.lognorm(0.6, scale=np.exp(eta + 0.4 * a)).sf(early).mean() for a in (0, 1)]
    alive = own.potential_outcomes(estimand="survival", at=early).mean("unit")
    lower, upper = alive.quantile([0.005, 0.995], ("chain", "draw")).to_numpy()
    assert (lower < true).all()
    assert (true < upper).all()
    middles = restricted_means(own.study, early, at=early)
    assert middles.outcome().mean() == 1.0 > upper.max()


@pytest.mark.slow
def test_left_out_predictions_are_uniform_and_other_checks_say_why_not(fit: hte.Fit) -> None:
    subject = Subject(fit, fit.effects())
    pit = loo_pit.subject_probabilities(subject)
    assert stats.kstest(pit, "uniform").pvalue > 0.01
    for check in (kaplan_meier, survival_calibration):
        (result,) = check.check(subject)
        assert result.passed is None
        assert "intervals" in result.text
