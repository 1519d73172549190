"""The expectation of each unit's mediator: the part of it that covariates and arm account for.

The outcome model is linear in the deviation from this expectation, and in the expectation itself,
each with a coefficient of its own (:mod:`bayes_hte.components.learners` says why). Predictions use
the posterior mean. For the units that the outcome model is fitted to, the posterior mean has seen
their own mediators: part of a unit's noise is in it, the deviations vary less than they should, and
the slope of the mediator would be biased. These units get the posterior mean given all the others,
by weighting the draws; that is cross-fitting without refitting.

References
----------
Chernozhukov, V. et al. (2018). Double/debiased machine learning for treatment and structural
parameters. Econometrics Journal 21, C1-C68. doi:10.1111/ectj.12097
Vehtari, A., Gelman, A., Gabry, J. (2017). Practical Bayesian model evaluation using leave-one-out
cross-validation and WAIC. Statistics and Computing 27, 1413-1432. doi:10.1007/s11222-016-9696-4
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from arviz_stats.base import array_stats
from scipy.special import softmax

from bayes_hte.components.families import Noise
from bayes_hte.components.fitted import FittedComponent
from bayes_hte.components.noise import noise_of
from bayes_hte.fitting.blocks import is_large, positions
from bayes_hte.names import CHAIN, DRAW
from bayes_hte.study.study import Study

# With fewer draws the shape of the tail cannot be estimated; such fits are trials.
FEWEST_DRAWS = 25


def expected_mediator(mediator: FittedComponent, eta: xr.DataArray) -> np.ndarray:
    """Return the posterior mean of the expected mediator under each arm.

    Parameters
    ----------
    mediator : FittedComponent
        The mediator model.
    eta : DataArray, dims (chain, draw, unit, arm)
        Its linear predictor at the rows.

    Returns
    -------
    ndarray, shape (unit, arm)
        In units of the mediator. It depends on covariates only.
    """
    return mediator.family.mean(eta.to_numpy(), _shared_noise(mediator)).mean(axis=(0, 1))


def _shared_noise(mediator: FittedComponent) -> Noise:
    """Noise parameters of a mediator, which are constant, shape (chain, draw, 1, 1)."""
    return {name: values[..., None] for name, values in mediator.noise().items()}


def expected_unseen(mediator: FittedComponent, study: Study) -> np.ndarray:
    """Return the expectation of each unit's mediator in its own arm, given the other units.

    Parameters
    ----------
    mediator : FittedComponent
        The mediator model.
    study : Study
        The study it was fitted to.

    Returns
    -------
    ndarray, shape (unit,)
        In units of the mediator: its expectation under the posterior without the unit, by
        Pareto-smoothed importance weights. (With fewer than 25 draws the weights are not smoothed.)
        Units without a mediator have informed nothing: theirs is the posterior mean.
    """
    sizes = mediator.posterior.sizes
    if not is_large(sizes[CHAIN] * sizes[DRAW], study.n_units):
        return _unseen(mediator, study, None)
    return np.concatenate([_unseen(mediator, study, rows) for rows in positions(study.n_units)])


def _unseen(mediator: FittedComponent, study: Study, rows: np.ndarray | None) -> np.ndarray:
    """Return the expectations of all units, or of those at some positions."""
    design, where = (None, slice(None)) if rows is None else (mediator.design.take(rows), rows)
    eta = mediator.linear_predictor(design).as_observed(study.arm_index()[where], None)
    values = mediator.family.mean(eta, mediator.noise(design))
    observed = study.mediator()[where]
    known, expected = ~np.isnan(observed), values.mean(axis=(0, 1))
    log_likelihood = mediator.family.log_likelihood(
        observed[known], eta[..., known], noise_of(mediator.noise(design), known)
    )
    expected[known] = _without_each(log_likelihood, values[..., known])
    return expected


def expected_seen(mediator: FittedComponent, study: Study) -> np.ndarray:
    """Return the posterior mean of each unit's mediator in its own arm, shape (unit,).

    For draws that have not seen the data, such as those of a prior.
    """
    expected = expected_mediator(mediator, mediator.linear_predictor().base)
    return expected[np.arange(study.n_units), study.arm_index()]


def _without_each(log_likelihood: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Average values over draws weighted as if the unit were left out, all (chain, draw, unit)."""
    n_units = values.shape[-1]
    by_unit = log_likelihood.reshape(-1, n_units).T
    if by_unit.shape[1] < FEWEST_DRAWS:
        log_weights = -by_unit
    else:
        # It takes log-likelihoods, and returns the weights of their inverses.
        log_weights, _ = array_stats.psislw(by_unit)
    return (softmax(log_weights, axis=1) * values.reshape(-1, n_units).T).sum(axis=1)
