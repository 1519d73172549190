"""Leave-one-out prediction of the outcome: the score of each model, and whether it is reliable.

The score of a model is the sum over units of ``log p(y_i | y_-i)``, estimated from one fit by
importance sampling with Pareto-smoothed weights. A unit whose Pareto k is large moves the posterior
so much that its left-out prediction cannot be estimated in this way. A few such units leave the
score usable and should be looked at; many mean that the model is too flexible for the data, or
wrong.

The score is about outcomes, which were observed, and not about effects, which never are: models
with equal scores can disagree about effects, so the table has their effects too.

References
----------
Vehtari, A., Gelman, A., Gabry, J. (2017). Practical Bayesian model evaluation using leave-one-out
cross-validation and WAIC. Statistics and Computing 27, 1413-1432. doi:10.1007/s11222-016-9696-4
Vehtari, A., Simpson, D., Gelman, A., Yao, Y., Gabry, J. (2024). Pareto smoothed importance
sampling. Journal of Machine Learning Research 25(72), 1-58.
Yao, Y., Vehtari, A., Simpson, D., Gelman, A. (2018). Using stacking to average Bayesian predictive
distributions. Bayesian Analysis 13, 917-1007. doi:10.1214/17-BA1091
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import logsumexp

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.subject import Subject
from bayes_hte.effects.arguments import check_enough_draws
from bayes_hte.effects.comparison import compare_effects
from bayes_hte.effects.summaries import interval_words
from bayes_hte.errors import SamplingError
from bayes_hte.names import CHAIN, DRAW, SAMPLE, UNIT

if TYPE_CHECKING:
    from arviz_stats.utils import ELPDDataLOO

NAME = "leave-one-out prediction"
# Above this share of units with an unreliable importance weight, the score is only a rough guide.
MAX_BAD_SHARE = 0.1
MOST_UNITS_NAMED = 5
STACKED = "stacked"
# A log-likelihood that ranges by less than this over all draws has weights that are nearly equal.
FLAT = 0.2
# Half the range of log-likelihoods that stand for equal ones.
NEARLY_TIED = 1e-6


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """Score the outcome model, or each stacked candidate; see :func:`loo_check`."""
    scores = subject.left_out_scores
    if len(scores) == 1:
        return (loo_check(scores),)
    return (loo_check(scores, weights=subject.weights, effects=subject.candidate_effects),)


def leave_one_out(
    log_likelihood: xr.DataArray, *, censored: np.ndarray | None = None
) -> ELPDDataLOO:
    """Score left-out units by Pareto-smoothed importance sampling.

    Parameters
    ----------
    log_likelihood : DataArray, dims (chain, draw, unit)
        Of each unit's outcome.
    censored : ndarray of bool, shape (unit,), optional
        Of times to an event, which units were censored. One that was nearly certain to survive so
        long says next to nothing: its weights are nearly equal, and no Pareto distribution fits
        them, so its k is 0.

    Returns
    -------
    ELPDDataLOO
        With ``elpd_i``, ``pareto_k`` and ``log_weights`` of every unit. The relative efficiency of
        the draws is the mean over units of that of the likelihood's posterior mean.

    Raises
    ------
    SamplingError
        If a value is not finite, or if there are too few draws.
    """
    import arviz_stats

    values = log_likelihood.reset_coords(drop=True).rename("outcome")
    check_enough_draws(values.sizes[CHAIN] * values.sizes[DRAW])
    bad = int((~np.isfinite(values)).any(SAMPLE).sum())
    if bad:
        raise SamplingError(
            f"the log-likelihood is not finite for {bad} of {values.sizes[UNIT]} units, so no unit "
            "can be left out; look at their outcomes and at the family."
        )
    values, constant = _without_ties(values)
    efficiency = float(
        arviz_stats.ess(np.exp(values - values.max(SAMPLE)), method="mean", relative=True).mean()
    )
    tree = xr.DataTree.from_dict({"/log_likelihood": values.to_dataset()})
    with warnings.catch_warnings():
        # The check below reports units with a large k.
        warnings.filterwarnings("ignore", message="Estimated shape parameter of Pareto")
        found = arviz_stats.loo(tree, pointwise=True, reff=efficiency)
    if censored is not None:
        flat = (values.max(SAMPLE) - values.min(SAMPLE)).to_numpy() < FLAT
        found.pareto_k = found.pareto_k.where(~(censored & flat), 0.0)
    found.pareto_k = found.pareto_k.where(~constant, 0.0)
    return found


def _without_ties(values: xr.DataArray) -> tuple[xr.DataArray, np.ndarray]:
    """Return scores that vary over draws, and which units did not.

    A unit that was censored before it was at risk at all says nothing: its likelihood is 1 in every
    draw, and there is no tail to fit. It gets differences of no consequence.
    """
    constant = (values.max(SAMPLE) == values.min(SAMPLE)).to_numpy()
    if not constant.any():
        return values, constant
    sizes = [values.sizes[d] for d in SAMPLE]
    apart = np.linspace(-NEARLY_TIED, NEARLY_TIED, int(np.prod(sizes))).reshape(sizes)
    added = xr.DataArray(apart, dims=SAMPLE) * xr.DataArray(constant.astype(float), dims=UNIT)
    return (values + added).transpose(*values.dims).rename(values.name), constant


def loo_check(
    scores: Mapping[str, ELPDDataLOO],
    *,
    weights: Mapping[str, float] | None = None,
    effects: Mapping[str, xr.DataArray] | None = None,
) -> CheckResult:
    """Report the leave-one-out score of each model, and judge whether it is reliable.

    Parameters
    ----------
    scores : mapping of str to ELPDDataLOO
        From :func:`leave_one_out`, of each model by label.
    weights : mapping of str to float, optional
        Stacking weights, by label; adds the row of the mixture.
    effects : mapping of str to DataArray, dims (chain, draw, unit), optional
        Unit-level total effects of two or more models in outcome units, to be compared.

    Returns
    -------
    CheckResult
        Passes while at most 10% of the units of every model have a Pareto k above the threshold
        for its number of draws. One row per model: ``elpd`` (natural logarithms) with standard
        error ``se``, the effective number of parameters ``p_loo``, the ``threshold`` of k, the
        ``share above`` it and the ``units above`` (the largest ten); with `weights` the ``weight``;
        with `effects` the columns of :func:`~bayes_hte.compare_effects`: the average effect
        (``sate``) and the standard deviation of individual effects (``spread``).
    """
    table = pd.DataFrame.from_dict(
        {label: _row(score) for label, score in scores.items()}, orient="index"
    ).rename_axis("model")
    text = _reliability(scores, table)
    passed = bool((table["share above"] <= MAX_BAD_SHARE).all())
    if effects is not None:
        compared = compare_effects(effects)
        table = table.join(compared.assign(**compared.attrs))
        text += _agreement(table)
    if weights is not None:
        table.insert(0, "weight", pd.Series(weights))
        table = pd.concat([table, _mixture_row(scores, weights)]).rename_axis("model")
        text += (
            " Weights and scores are about predicting outcomes; they do not say which effects are "
            "right."
        )
    return CheckResult(NAME, passed, table, text)


def _row(score: ELPDDataLOO) -> dict[str, float | str]:
    above = score.pareto_k.to_series().pipe(lambda k: k[~(k <= score.good_k)])
    worst = above.sort_values(ascending=False, na_position="first").index[:10]
    return {
        "elpd": float(score.elpd),
        "se": float(score.se),
        "p_loo": float(score.p),
        "threshold": float(score.good_k),
        "share above": len(above) / score.n_data_points,
        "units above": ", ".join(str(unit) for unit in worst),
    }


def _mixture_row(scores: Mapping[str, ELPDDataLOO], weights: Mapping[str, float]) -> pd.DataFrame:
    """Score of the mixture: the left-out densities are mixed, not the draws."""
    pointwise = np.stack([scores[label].elpd_i.to_numpy() for label in scores])
    share = np.array([[weights[label]] for label in scores])
    mixed = logsumexp(pointwise, b=share, axis=0)
    row = {"weight": 1.0, "elpd": mixed.sum(), "se": np.sqrt(mixed.size * mixed.var(ddof=1))}
    return pd.DataFrame(row, index=[STACKED])


def _reliability(scores: Mapping[str, ELPDDataLOO], table: pd.DataFrame) -> str:
    label = str(table["share above"].idxmax())
    row, score = table.loc[label], scores[label]
    whose = f" of model {label}" if len(table) > 1 else ""
    count = round(row["share above"] * score.n_data_points)
    text = (
        f"Left-out predictions{whose} are unreliable (Pareto k above {row['threshold']:.2f}) for "
        f"{count} of {score.n_data_points} units (at most {MAX_BAD_SHARE:.0%} wanted)."
    )
    if count:
        k = score.pareto_k.to_series().sort_values(ascending=False, na_position="first")
        named = ", ".join(f"{u} ({v:.2f})" for u, v in k[: min(count, MOST_UNITS_NAMED)].items())
        text += f" Largest: unit {named}; look at their outcomes and covariates."
    if row["share above"] > MAX_BAD_SHARE:
        text += (
            " So many say that the model follows single units: its scores, and weights made of "
            "them, are a rough guide. Draw more, or use a smoother surface, tighter priors or a "
            "family with heavier tails."
        )
    return text


def _agreement(table: pd.DataFrame) -> str:
    """Say which models put the average effect outside each other's intervals."""
    apart = [
        f"{a} ({table.loc[a, 'sate']:.3g}) lies outside the interval of {b} "
        f"({table.loc[b, 'sate_lower']:.3g} to {table.loc[b, 'sate_upper']:.3g})"
        for a, b in permutations(table.index, 2)
        if not table.loc[b, "sate_lower"] <= table.loc[a, "sate"] <= table.loc[b, "sate_upper"]
    ]
    if not apart:
        return ""
    words = interval_words(table["ci_prob"].iloc[0], table["ci_kind"].iloc[0])
    return (
        f" The models disagree about the average effect: {'; '.join(apart)} ({words}). The "
        "conclusion depends on the model; report them all."
    )
