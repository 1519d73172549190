"""Estimators that checks run again and again: the fitted plan, or a cheap stand-in for it.

A check that refits a study many times only needs the average effect, its interval and how much
individual effects differ. :func:`full_model` samples the same plan again; :func:`linear_stand_in`
is a linear model in each arm with a posterior in closed form, hundreds of times cheaper. A reader
must know which of them a result is about, so each carries its name.

References
----------
MacKay, D. J. C. (1992). Bayesian interpolation. Neural Computation 4, 415-447.
doi:10.1162/neco.1992.4.3.415
Cameron, A. C., Miller, D. L. (2015). A practitioner's guide to cluster-robust inference. Journal of
Human Resources 50, 317-372. doi:10.3368/jhr.50.2.317
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import norm

from bayes_hte.companions.restricted_means import restricted_means
from bayes_hte.effects.arguments import check_number
from bayes_hte.effects.summaries import CiKind, interval
from bayes_hte.names import SAMPLE, UNIT
from bayes_hte.study.encoding import Encoding
from bayes_hte.study.study import Study
from bayes_hte.study.time_to_event import Estimand

if TYPE_CHECKING:
    from bayes_hte.fitting.fitted import Fit
    from bayes_hte.fitting.plan import Plan

CI_PROB = 0.95
CI_KIND: CiKind = "eti"


@dataclass(frozen=True)
class AverageEffect:
    """Estimate of the average (total) effect over the units of a study, from one fit.

    Attributes
    ----------
    ate : float
        Posterior mean of the average effect over the units (SATE), in outcome units.
    sd : float
        Its posterior standard deviation.
    lower, upper : float
        Bounds of its 95% posterior interval, equal-tailed.
    spread : float
        Standard deviation over units of the posterior-mean individual effects.
    n_units : int
        Units averaged over.
    """

    ate: float
    sd: float
    lower: float
    upper: float
    spread: float
    n_units: int


@dataclass(frozen=True)
class Refit:
    """An estimator of the average effect that can be run on any study.

    Attributes
    ----------
    name : str
        Its description in the text of a check.
    estimate : callable (Study, int) -> AverageEffect
        Estimates from a study and a seed. It must be picklable if repeats run in parallel.
    of_study : AverageEffect or None
        The estimate of the unchanged study where it is known already; None to have it computed.
    """

    name: str
    estimate: Callable[[Study, int], AverageEffect]
    of_study: AverageEffect | None = None


def check_n_jobs(n_jobs: object) -> None:
    """Raise unless joblib takes this number of processes.

    Raises
    ------
    SpecError
        If it is not a whole number, or 0.
    """
    if n_jobs is not None:  # joblib's own default
        hint = "1 runs in this process, -1 on all processors"
        allowed = "a whole number other than 0"
        check_number("n_jobs", n_jobs, allowed, lambda n: n != 0, whole=True, hint=hint)


@dataclass(frozen=True)
class _Line:
    """A ridge regression in one arm, with outcomes in units of their standard deviation.

    Attributes
    ----------
    slopes : ndarray, shape (feature,)
    mean, sd : float
        Posterior of the average prediction over all units.
    influence : ndarray, shape (unit of the arm,)
        Weight of each residual in that average.
    residual : ndarray, shape (unit of the arm,)
    """

    slopes: np.ndarray
    mean: float
    sd: float
    influence: np.ndarray
    residual: np.ndarray


def average_effect(cate: xr.DataArray) -> AverageEffect:
    """Summarise draws of individual effects; draws are averaged over units first.

    Parameters
    ----------
    cate : DataArray, dims (chain, draw, unit)
        In outcome units.

    Returns
    -------
    AverageEffect
    """
    ate = cate.mean(UNIT)
    lower, upper = interval(ate, ci_prob=CI_PROB, ci_kind=CI_KIND)
    return AverageEffect(
        ate=float(ate.mean()),
        sd=float(ate.std(ddof=1)),
        lower=float(lower),
        upper=float(upper),
        spread=float(cate.mean(SAMPLE).std()),
        n_units=cate.sizes[UNIT],
    )


def full_model(
    fit: Fit, *, draws: int = 250, tune: int = 250, chains: int = 2, cores: int = 1
) -> Refit:
    """Return the estimator that samples a fit's plan again, every stage of it.

    Parameters
    ----------
    fit : Fit
        Its plan (learner, surfaces, families, noise, priors) is refitted; its own average effect is
        the estimate of the unchanged study.
    draws, tune, chains : int
        Size of each refit. Smaller than a fit that is reported, because only its average effect is
        used.
    cores : int, default 1
        Processes of each refit; one, since repeats run in parallel themselves.

    Returns
    -------
    Refit
    """
    plan = fit.plan  # the closure must not hold the draws of the fit: it is sent to workers

    def estimate(study: Study, seed: int) -> AverageEffect:
        refitted = refit_plan(
            study, plan, seed=seed, draws=draws, tune=tune, chains=chains, cores=cores
        )
        return average_effect(refitted.cate())

    name = (
        f"full model (learner {plan.learner!r}, surface {plan.surface!r}; "
        f"{chains} chains of {draws} draws)"
    )
    return Refit(name, estimate, of_study=average_effect(fit.cate()))


def refit_plan(
    study: Study, plan: Plan, *, seed: int, draws: int, tune: int, chains: int, cores: int = 1
) -> Fit:
    """Fit a plan to a study without progress bars; parameters as in :func:`bayes_hte.fit`."""
    from bayes_hte.fitting.sampling import SamplerSize
    from bayes_hte.fitting.stages import fit_plan, posterior_sampler

    size = SamplerSize(chains=chains, draws=draws, tune=tune, cores=cores, progress=False)
    return fit_plan(study, plan, seed=seed, sample=posterior_sampler(seed=seed, size=size))


def linear_stand_in(horizon: float | Estimand | None = None) -> Refit:
    """Return the cheap estimator: a linear model in each arm, in closed form.

    Each arm has a Bayesian ridge regression of the outcome on the standardised covariates, with the
    noise scale and the shrinkage of the slopes at their most probable values (MacKay 1992) and a
    flat prior on the intercept. Given those two numbers the posterior is normal, and so is that of
    the effects, the treated arm's predictions minus the reference arm's: a linear T-learner. For
    every family of outcomes it models the *mean*: for a 0/1 outcome it is a linear probability
    model, for a count a linear model of the expected count. It knows neither the mediator (its
    effect is the total effect) nor the propensity. Where a cluster is declared, the standard
    deviation is multiplied by the root of the design effect, the ratio (never below 1) of the
    cluster-robust variance of the estimate to the one for independent rows. Of times to an event it
    models pseudo-observations of the restricted mean survival time.

    Parameters
    ----------
    horizon : float or Estimand, optional
        Up to which times to an event count, or the scale of effects on them; default as in
        :func:`bayes_hte.companions.restricted_means`.

    Returns
    -------
    Refit
        Deterministic: the seed changes nothing.
    """
    return Refit(
        "stand-in (a linear model in each arm, in closed form)",
        partial(_linear_effect, horizon=horizon),
    )


def _linear_effect(
    study: Study, _seed: int, *, horizon: float | Estimand | None = None
) -> AverageEffect:
    study = restricted_means(study.with_outcome(), horizon)
    covariates = study.covariate_frame()
    x = Encoding.learn(covariates).standardized(covariates).to_numpy()
    y, treated = study.outcome(), study.arm_index() == 1
    unit = float(y.std())
    reference, other = (
        _line(x[rows], y[rows] / unit, center=x.mean(axis=0)) for rows in (~treated, treated)
    )
    shares = np.empty(y.size)
    shares[treated] = other.influence * other.residual
    shares[~treated] = -reference.influence * reference.residual
    ate = unit * (other.mean - reference.mean)
    sd = unit * float(np.hypot(other.sd, reference.sd)) * _cluster_factor(shares, study.clusters())
    margin = float(norm.ppf(0.5 + CI_PROB / 2)) * sd
    spread = unit * float((x @ (other.slopes - reference.slopes)).std())
    return AverageEffect(ate, sd, ate - margin, ate + margin, spread, y.size)


def _line(x: np.ndarray, y: np.ndarray, *, center: np.ndarray) -> _Line:
    """Fit one arm and average its predictions over units whose covariates average `center`."""
    from sklearn.linear_model import BayesianRidge

    ridge = BayesianRidge().fit(x, y)
    away = center - x.mean(axis=0)
    # scikit-learn's predictive variance treats the intercept as known; here it is not.
    variance = 1 / (ridge.alpha_ * y.size) + away @ ridge.sigma_ @ away
    gain = ridge.alpha_ * (x - x.mean(axis=0)) @ ridge.sigma_ @ away
    return _Line(
        slopes=ridge.coef_,
        mean=float(ridge.intercept_ + ridge.coef_ @ center),
        sd=float(np.sqrt(variance)),
        influence=1 / y.size + gain,
        residual=y - ridge.predict(x),
    )


def _cluster_factor(shares: np.ndarray, clusters: np.ndarray | None) -> float:
    """Return the root of the design effect of each row's share in the error of an estimate."""
    if clusters is None:
        return 1.0
    sums = pd.Series(shares).groupby(clusters).sum().to_numpy()
    independent = float((shares**2).sum())
    if independent == 0:
        return 1.0
    corrected = float((sums**2).sum()) * sums.size / (sums.size - 1)
    return float(np.sqrt(max(1.0, corrected / independent)))
