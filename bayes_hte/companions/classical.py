"""The classical average effects of a study: raw difference, weighting, matching."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.companions.covariate_balance import RAW, balance, compare_balance
from bayes_hte.companions.hazards import compare_hazards
from bayes_hte.companions.matching import MatchedEffect, match_nearest
from bayes_hte.companions.restricted_means import restricted_means
from bayes_hte.companions.weighting import WeightedEffect, iptw
from bayes_hte.names import SAMPLE, UNIT
from bayes_hte.study.frames import with_columns
from bayes_hte.study.study import Study
from bayes_hte.study.time_to_event import Estimand, default_horizon

MATCHED, WEIGHTED = "matched", "weighted"
# Draws of the propensity the weights are computed for; their mean changes no digit shown.
MOST_DRAWS = 500
# Propensities of 0 or 1 have no weight; `iptw` then clips at its own bounds.
SMALLEST = 1e-9


@dataclass(frozen=True, eq=False)
class Classical:
    """Classical estimates of the average effect, with the balance each achieves.

    Of times to an event the outcome is the restricted mean survival time, by pseudo-observations.

    Attributes
    ----------
    difference : float
        Mean outcome of the treated minus that of the controls.
    standard_error : float
        Of the difference, for independent units.
    matched : MatchedEffect
        Nearest-neighbour matching on the propensity, with replacement.
    weighted : WeightedEffect
        Inverse-probability weighting with posterior draws.
    balance : DataFrame, index covariate
        Standardised mean differences: columns ``raw``, ``matched``, ``weighted``.
    variance_ratios : DataFrame, index covariate
        Variance of the treated over that of the controls, same columns.
    hazards : DataFrame or None
        Of times to an event what is usually reported of them; see
        :func:`bayes_hte.companions.compare_hazards`.
    """

    difference: float
    standard_error: float
    matched: MatchedEffect
    weighted: WeightedEffect
    balance: pd.DataFrame
    variance_ratios: pd.DataFrame
    hazards: pd.DataFrame | None = None


def classical(
    study: Study,
    propensity: xr.DataArray,
    *,
    rng: np.random.Generator,
    horizon: float | Estimand | None = None,
    ci_prob: float = 0.95,
) -> Classical:
    """Estimate the average effect of a study in the classical ways.

    Parameters
    ----------
    study : Study
        The data; a mediator plays no part.
    propensity : DataArray, dims (chain, draw, unit)
        Posterior probability of the non-reference arm.
    rng : numpy.random.Generator
        Of the Bayesian bootstrap over units.
    horizon : float or Estimand, optional
        Up to which times to an event count, or the scale of effects on them; default as in
        :func:`bayes_hte.companions.restricted_means`.
    ci_prob : float, default 0.95
        Of the intervals of the table of hazards.

    Returns
    -------
    Classical
    """
    study.check_two_arms("a classical estimate")
    propensity, study = propensity.isel({UNIT: study.known_outcome()}), study.with_outcome()
    hazards = None
    if study.event is not None:
        if horizon is None:
            horizon = default_horizon(study.outcome(), study.event, study.arm_index(), study.entry)
        until = horizon.at if isinstance(horizon, Estimand) else horizon
        hazards = compare_hazards(study, horizon=until, ci_prob=ci_prob)
        study = restricted_means(study, horizon)
    roles, arm = study.roles, study.arm_index()
    # Balance is of what was recorded, and of how often nothing was.
    frame = with_columns(study.frame, {roles.treatment: arm})
    draws = _some(propensity).clip(SMALLEST, 1 - SMALLEST)
    columns = {"outcome": roles.outcome, "treatment": roles.treatment}
    matched = match_nearest(frame, propensity=draws, **columns)
    weighted = iptw(frame, propensity=draws, rng=rng, **columns)
    weights = {MATCHED: matched.weights, WEIGHTED: weighted.weights}
    what = {"treatment": roles.treatment, "covariates": roles.covariates}
    ratios = {
        name: balance(frame, weights=w, **what)["variance_ratio"]
        for name, w in {RAW: None, **weights}.items()
    }
    treated, control = (frame.loc[arm == a, roles.outcome].astype(float) for a in (1, 0))
    return Classical(
        difference=float(treated.mean() - control.mean()),
        standard_error=float(np.sqrt(treated.var() / treated.size + control.var() / control.size)),
        matched=matched,
        weighted=weighted,
        balance=compare_balance(frame, weights=weights, **what),
        variance_ratios=pd.DataFrame(ratios),
        hazards=hazards,
    )


def _some(propensity: xr.DataArray) -> xr.DataArray:
    """Return at most `MOST_DRAWS` draws, evenly spread over each chain."""
    chain, draw = SAMPLE
    per_chain = max(1, MOST_DRAWS // propensity.sizes[chain])
    step = max(1, -(-propensity.sizes[draw] // per_chain))
    return propensity.isel({draw: slice(None, None, step)})
