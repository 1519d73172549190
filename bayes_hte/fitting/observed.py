"""The data that a fit was made of under its draws: predictors, likelihoods, the ArviZ tree.

Every function reads the units of the study, each in its own arm and with its own mediator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.components.noise import noise_of
from bayes_hte.components.numbered import mediator_roles
from bayes_hte.fitting.at_rows import encoded_rows
from bayes_hte.fitting.blocks import BATCH, filled, is_large, positions
from bayes_hte.names import CHAIN, DRAW, SAMPLE, UNIT
from bayes_hte.seeds import stage_seed
from bayes_hte.study.study import Study
from bayes_hte.study.time_to_event import Censoring

if TYPE_CHECKING:
    from bayes_hte.fitting.fitted import Fit


def observed_predictor(fit: Fit) -> xr.DataArray:
    """Return what :meth:`Fit.observed_predictor` describes."""
    eta = fit._in_batches(lambda rows: _own_predictor(fit, rows), None, BATCH)
    known = fit.study.known_outcome()
    return eta if known.all() else eta.isel({UNIT: known})


def _own_predictor(fit: Fit, rows: np.ndarray | None) -> xr.DataArray:
    """Return the predictor of the study's units, or those at some positions, known or not."""
    outcome, deviation, expected = fit.components["outcome"], None, None
    rows_of = encoded_rows(outcome, rows, None)
    where = slice(None) if rows is None else rows
    if "mediator" in fit.components:
        own = outcome.design.expected_mediators[where]
        deviation = fit.study.mediators()[where] - own
        # Of the arms only the unit's own is used.
        expected = np.stack([own.T] * len(fit.study.arms), axis=-1)
    predictor = outcome.linear_predictor(rows_of, expected=expected)
    eta = predictor.as_observed(fit.study.arm_index()[where], deviation)
    coords = {d: predictor.base[d].to_numpy() for d in (CHAIN, DRAW, UNIT)}
    return xr.DataArray(eta, dims=(*SAMPLE, UNIT), coords=coords)


def log_likelihood(fit: Fit) -> xr.DataArray:
    """Return what :meth:`Fit.log_likelihood` describes."""
    eta, family, known = fit.observed_predictor(), fit.observed_family(), known_censoring(fit.study)
    y, noise = fit.study.outcome()[fit.study.known_outcome()], fit.observed_noise()

    def at(rows: np.ndarray | slice) -> xr.DataArray:
        some = eta.isel({UNIT: rows})
        own = noise_of(noise, rows)
        values = family.given(known and known.among(rows)).log_likelihood(
            y[rows], some.to_numpy().astype(float), own
        )
        return some.copy(data=values).rename("log_likelihood")

    if is_large(fit._n_draws, y.size):
        return filled(at, positions(y.size), y.size)
    return at(slice(None))


def unit_log_likelihood(fit: Fit) -> xr.DataArray:
    """Return what :meth:`Fit.unit_log_likelihood` describes."""
    outcome, study = fit.log_likelihood(), fit.study
    if outcome.sizes[UNIT] < study.n_units:
        outcome = outcome.reindex({UNIT: study.units.to_numpy()}, fill_value=0.0)
    if "mediator" not in fit.components:
        return outcome
    for role in mediator_roles(len(study.roles.mediators)):
        outcome = outcome + _mediator_log_likelihood(fit, role)
    return outcome


def _mediator_log_likelihood(fit: Fit, role: str) -> np.ndarray:
    """Log-likelihood of each unit's value of a mediator, given those before; 0 if missing."""
    mediator, known = fit.components[role], fit.study.known_mediator()
    observed, own = fit.study.mediators(), mediator.design.expected_mediators
    before = own.shape[1]
    expected = np.stack([own.T] * len(fit.study.arms), axis=-1) if before else None
    deviation = observed[:, :before] - own if before else None
    predictor = mediator.linear_predictor(expected=expected)
    eta = predictor.as_observed(fit.study.arm_index(), deviation)
    values = np.zeros(eta.shape)
    values[..., known] = mediator.family.log_likelihood(
        observed[known, before], eta[..., known], noise_of(mediator.noise(), known)
    )
    return values


def posterior_tree(fit: Fit) -> xr.DataTree:
    """Return what :attr:`Fit.posterior` describes."""
    parts = fit.sampled_parts()
    groups = {"posterior": xr.merge([c.posterior for c in parts.values()])}
    for role, component in parts.items():
        name = "sample_stats" if role == "outcome" else f"{role}_stats"
        groups[name] = component.stats
    if fit._is_large(None):
        return xr.DataTree.from_dict(groups)
    column, eta = fit.study.roles.outcome, fit.observed_predictor()
    name = _variable_of(column)
    # The same draws each time the tree is made.
    rng = np.random.default_rng(stage_seed(fit.seed, "posterior predictive"))
    drawn = fit.observed_family().draw(rng, eta.to_numpy(), fit.observed_noise())
    recorded = fit.study.frame[column][fit.study.known_outcome()]
    if fit.study.roles.upper is not None:
        # The column holds lower ends, which are no times.
        recorded = pd.Series(fit.study.outcome(), index=fit.study.units)
    observed = xr.DataArray(recorded.to_numpy(), dims=UNIT, coords={UNIT: eta[UNIT]})
    values = {
        "log_likelihood": fit.log_likelihood(),
        "posterior_predictive": eta.copy(data=drawn),
        "observed_data": observed,
    }
    for group, array in values.items():
        groups[group] = array.assign_attrs(column=column).to_dataset(name=name)
    return xr.DataTree.from_dict(groups)


def _variable_of(column: str) -> str:
    """Return the name of a column, or ``outcome`` if xarray cannot hold it as a variable."""
    reserved = (CHAIN, DRAW, UNIT, "", ".", "..")
    return "outcome" if column in reserved or "/" in column else column


def known_censoring(study: Study) -> Censoring | None:
    """Return events and entries of the units whose outcome is known, if they have any."""
    censoring = study.censoring()
    return censoring and censoring.among(study.known_outcome())
