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
from bayes_hte.effects.arguments import FEWEST_DRAWS
from bayes_hte.fitting.blocks import is_large, positions
from bayes_hte.fitting.two_mediators import marginal_mean
from bayes_hte.names import CHAIN, DRAW
from bayes_hte.study.design import Design
from bayes_hte.study.study import Study


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


def expected_unseen(
    mediator: FittedComponent, study: Study, *, first: FittedComponent | None = None
) -> np.ndarray:
    """Return the expectation of each unit's mediator in its own arm, given the other units.

    Parameters
    ----------
    mediator : FittedComponent
        The mediator model.
    study : Study
        The study it was fitted to.
    first : FittedComponent, optional
        The model of the first of two mediators, if `mediator` is that of the second, whose
        expectation does not depend on the first.

    Returns
    -------
    ndarray, shape (unit,)
        In units of the mediator: its expectation under the posterior without the unit, by
        Pareto-smoothed importance weights. (With fewer than 25 draws the weights are not smoothed.)
        Units without a mediator have informed nothing: theirs is the posterior mean.
    """
    sizes = mediator.posterior.sizes
    if not is_large(sizes[CHAIN] * sizes[DRAW], study.n_units):
        return _unseen(mediator, study, None, first)
    blocks = positions(study.n_units)
    return np.concatenate([_unseen(mediator, study, rows, first) for rows in blocks])


def _unseen(
    mediator: FittedComponent,
    study: Study,
    rows: np.ndarray | None,
    first: FittedComponent | None,
) -> np.ndarray:
    """Return the expectations of all units, or of those at some positions."""
    observed = study.mediators()[slice(None) if rows is None else rows]
    known = ~np.isnan(observed).any(axis=1)
    if first is None:
        eta = _own(mediator, study, rows)
        values = mediator.family.mean(eta, mediator.noise())
        log_likelihood = _log_likelihood(mediator, eta, observed[:, 0], known)
    else:
        values, eta = _second_as_observed(first, mediator, study, rows)
        log_likelihood = _log_likelihood(mediator, eta, observed[:, 1], known)
        eta_first = _own(first, study, rows)
        log_likelihood = log_likelihood + _log_likelihood(first, eta_first, observed[:, 0], known)
    expected = values.mean(axis=(0, 1))
    expected[known] = _without_each(log_likelihood, values[..., known])
    return expected


def expected_seen(
    mediator: FittedComponent, study: Study, *, first: FittedComponent | None = None
) -> np.ndarray:
    """Return the posterior mean of each unit's mediator in its own arm, shape (unit,).

    For draws that have not seen the data, such as those of a prior.
    """
    if first is not None:
        return _second_as_observed(first, mediator, study, None)[0].mean(axis=(0, 1))
    expected = expected_mediator(mediator, mediator.linear_predictor().base)
    return expected[np.arange(study.n_units), study.arm_index()]


def _design(component: FittedComponent, rows: np.ndarray | None) -> Design | None:
    """Rows of the study at some positions in a component's encoding; None stands for all."""
    return None if rows is None else component.design.take(rows)


def _own(mediator: FittedComponent, study: Study, rows: np.ndarray | None) -> np.ndarray:
    """Linear predictor of a mediator that sees no other, in each unit's own arm."""
    arm = study.arm_index()[slice(None) if rows is None else rows]
    return mediator.linear_predictor(_design(mediator, rows)).as_observed(arm, None)


def _log_likelihood(
    mediator: FittedComponent, eta: np.ndarray, observed: np.ndarray, known: np.ndarray
) -> np.ndarray:
    """Log-likelihood of the known values of a mediator, shape (chain, draw, known)."""
    # The noise of mediators is constant.
    return mediator.family.log_likelihood(observed[known], eta[..., known], mediator.noise())


def _second_as_observed(
    first: FittedComponent, second: FittedComponent, study: Study, rows: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the second mediator's mean in each unit's own arm, and its predictor given the first.

    Both have shape (chain, draw, unit).
    """
    where = slice(None) if rows is None else rows
    arm, own = study.arm_index()[where], second.design.expected_mediator[where]
    # Of the arms only the unit's own is used.
    each = np.column_stack([own] * len(study.arms))
    predictor = second.linear_predictor(_design(second, rows), expected=each)
    start = first.linear_predictor(_design(first, rows))
    families, noise = (first.family, second.family), (first.noise(), second.noise())
    means = [
        marginal_mean(start, predictor, families, noise, each, a) for a in range(len(study.arms))
    ]
    values = np.take_along_axis(np.stack(means), arm[None, None, None, :], axis=0)[0]
    return values, predictor.as_observed(arm, study.mediators()[where, 0] - own)


def _without_each(log_likelihood: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Average values over draws weighted as if the unit were left out, all (chain, draw, unit)."""
    n_units = values.shape[-1]
    by_unit = log_likelihood.reshape(-1, n_units).T
    if by_unit.shape[1] < FEWEST_DRAWS:
        # The shape of the tail cannot be estimated; such fits are trials.
        log_weights = -by_unit
    else:
        # It takes log-likelihoods, and returns the weights of their inverses.
        log_weights, _ = array_stats.psislw(by_unit)
    return (softmax(log_weights, axis=1) * values.reshape(-1, n_units).T).sum(axis=1)
