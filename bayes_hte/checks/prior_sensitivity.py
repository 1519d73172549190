"""Dependence of the effects on their priors: power scaling of prior and likelihood.

The prior density is raised to a power near 1 and the posterior draws are reweighted accordingly;
the sensitivity of a quantity is how fast its distribution moves, as a cumulative Jensen-Shannon
distance per doubling of the power. The likelihood is scaled likewise. A quantity that moves with
the prior is not wrong, but the prior is then part of the evidence and has to be defended.

Scaled is the density of the parameters that say how large effects are and how much they may vary
(:mod:`bayes_hte.fitting.log_prior`), not the form of the surfaces, nor the shared part, nor noise.

The answer is local: it is about slightly stronger or weaker priors of the same shape, and about the
scales at the top of the model. How a forest or process spreads an effect over units given its scale
is a prior too, which it does not see; :mod:`bayes_hte.checks.prior_view` shows all of it at once.

Reweighting finite draws moves a distribution a little even if it does not depend on the scaled
density. To see how much, the draws of the quantity are shifted against the log density within each
chain, 19 times by between a quarter and three quarters of the chain: a sensitivity no larger than
the largest of those is noise.

References
----------
Kallioinen, N., Paananen, T., Buerkner, P.-C., Vehtari, A. (2024). Detecting and diagnosing prior
and likelihood sensitivity with power-scaling. Statistics and Computing 34, 57.
doi:10.1007/s11222-023-10366-5
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.checks.base import CheckResult, not_judged
from bayes_hte.checks.prior_view import quantities
from bayes_hte.checks.subject import Subject
from bayes_hte.companions.restricted_means import restricted_means
from bayes_hte.names import CHAIN, DRAW, SAMPLE, UNIT

NAME = "sensitivity to priors"
# Threshold of the source for both sensitivities.
THRESHOLD = 0.05
SHIFTS = 19
FEWEST_DRAWS = 2 * (SHIFTS + 1)

BARELY = "the prior barely matters"
CONFLICT = "prior and data both matter, and may conflict"
STRONG = "the prior matters, the data barely do"
NOISE = "not distinguished from Monte Carlo noise"


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """Judge how far average and spread of the effects depend on priors; fails for learner ``"x"``.

    See :func:`prior_sensitivity`. The second stage of learner ``"x"`` has no prior of its own.
    """
    from bayes_hte.fitting.log_prior import effect_log_prior

    outcome_sd = float(
        restricted_means(subject.study, subject.fit.estimand()).recorded_outcome().std()
    )
    # Of several imputed frames the first: each has the same prior, and about the same data.
    first = (*getattr(subject.fit, "imputations", ()), subject.fit)[0]
    candidates = subject.candidates if first is subject.fit else first.candidates()
    log_priors = {label: effect_log_prior(fit) for label, fit in candidates.items()}
    pooled = first is not subject.fit
    effects = {k: f.cate() for k, f in candidates.items()} if pooled else subject.candidate_effects
    scaled = {
        label: Scaled(
            _varying(quantities(effects[label]), outcome_sd),
            log_priors[label],
            fit.unit_log_likelihood().sum(UNIT, skipna=False),
        )
        for label, fit in candidates.items()
    }
    return (prior_sensitivity(scaled),)


@dataclass(frozen=True)
class Scaled:
    """Draws of the quantities in question, and of the log densities that are scaled.

    Attributes
    ----------
    quantities : Dataset, dims (chain, draw)
        The quantities in question.
    log_prior : Dataset, dims (chain, draw)
        Log prior density of each scaled parameter, by its name.
    log_likelihood : DataArray, dims (chain, draw)
        Log-likelihood of all data together.
    """

    quantities: xr.Dataset = field(repr=False)
    log_prior: xr.Dataset = field(repr=False)
    log_likelihood: xr.DataArray = field(repr=False)


def prior_sensitivity(models: Mapping[str, Scaled]) -> CheckResult:
    """Judge how far quantities depend on the scaled priors.

    Parameters
    ----------
    models : mapping of str to Scaled
        By label.

    Returns
    -------
    CheckResult
        Passes if every prior sensitivity is at most 0.05; information if one is larger, with
        advice; fails if nothing could be scaled or no number comes out. One row per model and
        quantity: sensitivity to ``prior`` and ``likelihood``, the ``prior noise`` of the draws,
        the ``diagnosis``, and the parameters whose prior density was ``scaled``.
    """
    tables = {}
    for label, scaled in models.items():
        problem = _problem(scaled)
        if problem:
            return not_judged(NAME, f"model {label}: {problem}")
        names = ", ".join(sorted(map(str, scaled.log_prior.data_vars)))
        tables[label] = _sensitivities(scaled).assign(scaled=names)
    table = pd.concat(tables, names=["model", "quantity"])
    if not np.isfinite(table[["prior", "likelihood", "prior noise"]]).all(axis=None):
        return not_judged(NAME, "a sensitivity is not a number; look at the draws.", table)
    passed = True if (table["prior"] <= THRESHOLD).all() else None
    return CheckResult(NAME, passed, table, _text(table, models))


def _problem(scaled: Scaled) -> str:
    if not scaled.log_prior.data_vars:
        return "no parameter of the model says how much effects may vary."
    if scaled.log_likelihood.sizes[DRAW] < FEWEST_DRAWS:
        return f"at least {FEWEST_DRAWS} draws per chain are needed."
    total = scaled.log_prior.to_array().sum("variable", skipna=False)
    for word, values in (("prior", total), ("likelihood", scaled.log_likelihood)):
        if not np.isfinite(values).all():
            return f"the log {word} is not finite in some draws."
        if float(values.std()) == 0:
            return f"the log {word} is the same in all draws, so scaling it does nothing."
    for name, values in scaled.quantities.data_vars.items():
        if not np.isfinite(values).all() or float(values.std()) == 0:
            return f"draws of {name} are not finite or do not vary."
    return ""


def _varying(quantities: xr.Dataset, outcome_sd: float) -> xr.Dataset:
    """Leave out constants, up to rounding: the spread of effects that cannot vary."""
    return quantities[[n for n, q in quantities.data_vars.items() if q.std() > 1e-9 * outcome_sd]]


def _sensitivities(scaled: Scaled) -> pd.DataFrame:
    import arviz_stats

    # ArviZ sums a log density over all dimensions; its own summary would call NaN fine.
    posterior = xr.Dataset(
        {name: _with_shifts(draws) for name, draws in scaled.quantities.data_vars.items()}
    )
    tree = xr.DataTree.from_dict(
        {
            "/posterior": posterior,
            "/log_prior": scaled.log_prior.map(_plain),
            "/log_likelihood": _plain(scaled.log_likelihood).to_dataset(name="all"),
        }
    )
    prior = arviz_stats.psense(tree, group="prior")
    likelihood = arviz_stats.psense(tree, group="likelihood")
    rows = {
        name: {
            "prior": float(prior[name][0]),
            "likelihood": float(likelihood[name][0]),
            "prior noise": float(prior[name][1:].max(skipna=False)),
        }
        for name in posterior.data_vars
    }
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.assign(diagnosis=table.apply(_diagnosis, axis=1))


def _with_shifts(draws: xr.DataArray) -> xr.DataArray:
    """Add a first dimension: the draws as they are, and shifted within their chains."""
    values = _plain(draws)
    length = values.sizes[DRAW]
    lags = np.linspace(length / 4, 3 * length / 4, SHIFTS).round().astype(int)
    return xr.concat([values.roll({DRAW: lag}) for lag in (0, *lags.tolist())], "shift")


def _plain(draws: xr.DataArray) -> xr.DataArray:
    """Number chains and draws from 0, so that all groups agree."""
    coords = {CHAIN: np.arange(draws.sizes[CHAIN]), DRAW: np.arange(draws.sizes[DRAW])}
    values = draws.transpose(*SAMPLE).to_numpy()
    return xr.DataArray(values, dims=SAMPLE, coords=coords)


def _diagnosis(row: pd.Series) -> str:
    if row["prior"] <= THRESHOLD:
        return BARELY
    if row["prior"] <= row["prior noise"]:
        return NOISE
    return CONFLICT if row["likelihood"] > THRESHOLD else STRONG


def _text(table: pd.DataFrame, models: Mapping[str, Scaled]) -> str:
    names = {name for scaled in models.values() for name in scaled.log_prior.data_vars}
    which = f"the {len(names)} parameters" if len(names) > 1 else "the parameter"
    scaled = (
        f" Scaled were the prior densities of {which} of the size and variation of effects, which "
        "the table names; the shared part, the form of the surfaces and the noise were not."
    )
    above = table[table["prior"] > THRESHOLD]
    if above.empty:
        largest = table["prior"].max()
        return (
            f"The effects depend little on the priors of their size and variation: largest "
            f"sensitivity {largest:.3f} (at most {THRESHOLD} wanted)." + scaled
        )
    several = len(models) > 1
    parts = [
        f"{quantity}{f' of model {model}' if several else ''} ({row['prior']:.2f}): "
        f"{row['diagnosis']}"
        for (model, quantity), row in above.iterrows()
    ]
    advice = ""
    if (above["diagnosis"] != NOISE).any():
        advice += (
            " Declare the scale of these priors ([[prior]], with the reason for it) before seeing "
            "results, and report the effects under half and twice that scale too."
        )
    if (above["diagnosis"] == NOISE).any():
        advice += " Draw more to distinguish a dependence on the prior from noise."
    return f"Prior sensitivity above {THRESHOLD}: {'; '.join(parts)}.{advice}{scaled}"
