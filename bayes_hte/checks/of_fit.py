"""From a fit to the arrays that the checks of outcome model and priors take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.checks import loo, loo_pit, prior_sensitivity, prior_view
from bayes_hte.checks.base import CheckResult
from bayes_hte.errors import SamplingError, UnsupportedError
from bayes_hte.names import SAMPLE, UNIT

if TYPE_CHECKING:
    from arviz_stats.utils import ELPDDataLOO

    from bayes_hte.fitting.fitted import Fit

# Of the priors; cheap beside posterior draws, and enough for the central 99.9%.
PRIOR_DRAWS = 2000
# Average and spread of effects under the prior hardly depend on how many units they are over.
PRIOR_UNITS = 1000


def outcome_checks(fit: Fit) -> tuple[CheckResult, ...]:
    """Check left-out predictions of the outcome model.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    leave_one_out, calibration : CheckResult
    """
    fits = fit.candidates()
    stacked = len(fits) > 1
    shares = (share for _, share in fit.weighted_candidates())
    weights = dict(zip(fits, shares, strict=True))
    try:
        scores = {label: loo.leave_one_out(f.log_likelihood()) for label, f in fits.items()}
    except SamplingError as error:
        return could_not_run(loo.NAME, error), could_not_run(loo_pit.NAME, error)
    return (
        loo.loo_check(
            scores,
            weights=weights if stacked else None,
            effects={label: f.cate() for label, f in fits.items()} if stacked else None,
        ),
        _calibration(fit, fits, scores, weights),
    )


def prior_checks(fit: Fit, *, prior_draws: int = PRIOR_DRAWS) -> tuple[CheckResult, ...]:
    """Check what the priors say of the effects, and how much the effects depend on them.

    Parameters
    ----------
    fit : Fit
    prior_draws : int, default 2000
        Independent draws from the priors.

    Returns
    -------
    view, sensitivity : CheckResult
        Both fail, with the reason, for learner ``"x"``, whose second stage has no prior of its own.
    """
    from bayes_hte.fitting.from_priors import fit_prior
    from bayes_hte.fitting.log_prior import effect_log_prior

    fits = fit.candidates()
    posterior = {label: f.cate() for label, f in fits.items()}
    outcome_sd = float(fit.study.outcome().std())
    some = fit.study
    if some.n_units > PRIOR_UNITS:
        some = some.sample(PRIOR_UNITS, seed=fit.seed)
    prior, scaled = {}, {}
    try:
        for label, f in fits.items():
            seed = fit.seed
            prior[label] = fit_prior(some, f.plan, seed=seed, draws=prior_draws).cate()
            scaled[label] = prior_sensitivity.Scaled(
                _varying(prior_view.quantities(posterior[label]), outcome_sd),
                effect_log_prior(f),
                _all_data(f),
            )
    except UnsupportedError as error:
        names = (prior_view.NAME, prior_sensitivity.NAME)
        return tuple(could_not_run(name, error) for name in names)
    return (
        prior_view.prior_view(prior, posterior, outcome_sd=outcome_sd),
        prior_sensitivity.prior_sensitivity(scaled),
    )


def could_not_run(name: str, error: Exception) -> CheckResult:
    """Return the failed check of a name, with the reason."""
    return CheckResult(name, False, pd.DataFrame(), f"Could not be judged: {error}")


def _calibration(
    fit: Fit,
    fits: Mapping[str, Fit],
    scores: Mapping[str, ELPDDataLOO],
    weights: Mapping[str, float],
) -> CheckResult:
    from bayes_hte.seeds import stage_seed

    study = fit.study
    models = [
        loo_pit.LeftOutDraws(
            eta=_samples(f.observed_predictor()),
            noise={
                name: values.reshape(-1, values.shape[-1])
                for name, values in f.components["outcome"].noise().items()
            },
            log_weights=_samples(scores[label].log_weights),
            share=weights[label],
        )
        for label, f in fits.items()
    ]
    pit = loo_pit.left_out_probabilities(
        models,
        study.outcome(),
        family=fit.components["outcome"].family,
        rng=np.random.default_rng(stage_seed(fit.seed, "calibration")),
    )
    names = (str(study.arms[0]), str(study.arms[1]))
    return loo_pit.calibration_check(pit, arm=study.arm_index(), arm_names=names)


def _samples(values: xr.DataArray) -> np.ndarray:
    """Return draws of all chains one after the other, shape (sample, unit)."""
    flat = values.transpose(*SAMPLE, UNIT).to_numpy()
    return flat.reshape(-1, flat.shape[-1])


def _varying(quantities: xr.Dataset, outcome_sd: float) -> xr.Dataset:
    """Leave out what is constant up to rounding: the spread of effects that cannot vary."""
    return quantities[[n for n, q in quantities.data_vars.items() if q.std() > 1e-9 * outcome_sd]]


def _all_data(fit: Fit) -> xr.DataArray:
    """Log-likelihood of outcomes and mediators together, dims (chain, draw)."""
    return fit.unit_log_likelihood().sum(UNIT, skipna=False)
