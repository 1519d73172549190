"""The choice among several arms: the probability that an arm is a unit's best, and regret.

With potential outcomes ``mu[t]`` of a unit and a sign s that is 1 where higher outcomes are better
and -1 where lower ones are, in every draw

    ``P(t is best) = P(s mu[t] = max_u s mu[u])``,  ``regret(t) = max_u s mu[u] - s mu[t] >= 0``.

The expected regret of an arm is how much outcome is lost, by the posterior, where a unit gets that
arm and not its best, which nobody knows. The arm with the least expected regret is the one with the
best expected outcome; its probability of being the best may be small where arms are alike, and its
regret is then small too, so regret is the number to decide by. Both are about expected outcomes,
those of units with such covariates, and not about the outcome of a single person.

References
----------
Manski, C. F. (2004). Statistical treatment rules for heterogeneous populations. Econometrica 72,
1221-1246. doi:10.1111/j.1468-0262.2004.00530.x
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.arguments import Better, benefit_sign
from bayes_hte.effects.contrasts import check_potential_outcomes, own_mediator
from bayes_hte.effects.summaries import CiKind, interval_parameters, summarize
from bayes_hte.effects.units import unit_order
from bayes_hte.errors import DataError
from bayes_hte.names import ARM, SAMPLE, UNIT

INDIVIDUAL = "each unit its best"


def probability_best(mu: xr.DataArray, *, better: Better) -> xr.DataArray:
    """Posterior probability that each arm is the best one for a unit.

    Parameters
    ----------
    mu : DataArray, dims (chain, draw, unit, arm[, mediator_arm])
        Potential outcomes, of two arms or more; the mediator follows the arm.
    better : {"higher", "lower"}
        Which direction of the outcome is good.

    Returns
    -------
    DataArray, dims (unit, arm)
        They sum to 1 over the arms; arms that are equal in a draw share it.

    Raises
    ------
    DataError
        If `mu` breaks the contract.
    SpecError
        If `better` is unknown.

    Examples
    --------
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> dims = ["chain", "draw", "unit", "arm"]
    >>> mu = xr.DataArray([[[[0.0, 2.0, 1.0]], [[0.0, 1.0, 3.0]]]], dims=dims)
    >>> hte.probability_best(mu, better="higher").values.tolist()
    [[0.0, 0.5, 0.5]]
    """
    best = _lost(mu, better) == 0
    return (best / best.sum(ARM)).mean(SAMPLE).rename("prob_best")


def regret_by_arm(mu: xr.DataArray, *, better: Better) -> xr.DataArray:
    """Outcome that a unit loses in each arm, compared with its best arm in the same draw.

    Parameters
    ----------
    mu, better
        As in :func:`probability_best`.

    Returns
    -------
    DataArray, dims (chain, draw, unit, arm)
        In outcome units, 0 or more; its mean over draws is the expected regret.

    Raises
    ------
    DataError
        If `mu` breaks the contract.
    SpecError
        If `better` is unknown.

    Examples
    --------
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> dims = ["chain", "draw", "unit", "arm"]
    >>> mu = xr.DataArray([[[[0.0, 2.0, 1.0]], [[0.0, 1.0, 3.0]]]], dims=dims)
    >>> hte.regret_by_arm(mu, better="higher").mean(["chain", "draw"]).values.tolist()
    [[2.5, 1.0, 0.5]]
    """
    return _lost(mu, better).rename("regret").assign_attrs(long_name="regret")


def best_arms(mu: xr.DataArray, *, better: Better) -> pd.DataFrame:
    """Choose an arm for each unit, and say how sure the choice is and what it may cost.

    Parameters
    ----------
    mu, better
        As in :func:`probability_best`.

    Returns
    -------
    DataFrame, index unit
        ``choice``, the arm with the best expected outcome; ``prob_best``, the probability that it
        is the best; ``expected_regret`` of the choice; and ``runner_up``, the arm with the next
        best expected outcome, with ``runner_up_regret``.

    Raises
    ------
    DataError
        If `mu` breaks the contract.
    SpecError
        If `better` is unknown.

    Examples
    --------
    Arms 0 to 2, one unit, two draws:

    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> dims = ["chain", "draw", "unit", "arm"]
    >>> mu = xr.DataArray([[[[0.0, 2.0, 1.0]], [[0.0, 1.0, 3.0]]]], dims=dims)
    >>> hte.best_arms(mu, better="higher").drop(columns="prob_best").to_dict("list")
    {'choice': [2], 'expected_regret': [0.5], 'runner_up': [1], 'runner_up_regret': [1.0]}
    """
    lost = _lost(mu, better)
    expected = lost.mean(SAMPLE).transpose(UNIT, ARM).to_numpy()
    prob = probability_best(mu, better=better).transpose(UNIT, ARM).to_numpy()
    order = np.argsort(expected, axis=1, kind="stable")
    rows, labels = np.arange(len(order)), _arms(lost)
    first, second = order[:, 0], order[:, 1]
    return pd.DataFrame(
        {
            "choice": labels[first],
            "prob_best": prob[rows, first],
            "expected_regret": expected[rows, first],
            "runner_up": labels[second],
            "runner_up_regret": expected[rows, second],
        },
        index=lost.get_index(UNIT),
    )


def choice_regret(mu: xr.DataArray, choice: Any, *, better: Better) -> xr.DataArray:
    """Regret of a choice of arms, averaged over the units.

    Parameters
    ----------
    mu : DataArray, dims (chain, draw, unit, arm[, mediator_arm])
        As in :func:`probability_best`.
    choice : object, or Series, ndarray or list of objects, shape (unit,)
        One arm for all units, or an arm for each; a Series with the labels of the units is matched
        by label. For instance ``best_arms(mu, better=better)["choice"]``.
    better : {"higher", "lower"}
        Which direction of the outcome is good.

    Returns
    -------
    DataArray, dims (chain, draw)
        In outcome units, 0 or more; its mean is the expected regret of the choice.

    Raises
    ------
    DataError
        If `mu` breaks the contract, or a choice is no arm of it.
    SpecError
        If `better` is unknown.

    Examples
    --------
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> dims = ["chain", "draw", "unit", "arm"]
    >>> mu = xr.DataArray([[[[0.0, 2.0, 1.0]], [[0.0, 1.0, 3.0]]]], dims=dims)
    >>> hte.choice_regret(mu, 1, better="higher").values.tolist()
    [[0.0, 2.0]]
    """
    lost = _lost(mu, better)
    chosen = xr.DataArray(_positions(choice, lost), dims=UNIT)
    plain = lost.drop_vars(ARM, errors="ignore")
    regret = plain.isel({ARM: chosen}).mean(UNIT)
    return regret.rename("regret").assign_attrs(
        long_name="regret", population=f"SATE of the {lost.sizes[UNIT]} units given"
    )


@interval_parameters
def choices_table(
    mu: xr.DataArray, *, better: Better, ci_prob: float = 0.95, ci_kind: CiKind = "eti"
) -> pd.DataFrame:
    """Compare giving all units one arm with giving each the arm that is best for it.

    Parameters
    ----------
    mu, better
        As in :func:`probability_best`.

    Returns
    -------
    DataFrame, index choice
        One row per arm, for all units in it, and one for each unit in its best arm by expected
        outcome: ``outcome``, the average expected outcome, with ``ci_lower`` and ``ci_upper``;
        ``expected_regret``; ``prob_best``, the average probability of being a unit's best arm;
        ``share``, the units whose choice it is; ``ci_prob`` and ``ci_kind``.

    Raises
    ------
    DataError
        If `mu` breaks the contract.
    SpecError
        If `better` is unknown, or an interval option is.

    Notes
    -----
    The same draws choose the arms and judge them, so the outcome of the last row is the best that
    the models promise. New units that are alike would do as well if the models are right.

    Examples
    --------
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> dims = ["chain", "draw", "unit", "arm"]
    >>> coords = {"arm": ["none", "low", "high"]}
    >>> mu = xr.DataArray([[[[0.0, 2.0, 1.0]], [[0.0, 1.0, 3.0]]]], dims=dims, coords=coords)
    >>> hte.choices_table(mu, better="higher")["expected_regret"].to_dict()
    {'none': 2.5, 'low': 1.0, 'high': 0.5, 'each unit its best': 0.5}
    """
    own, labels = own_mediator(mu), _arms(mu)
    each = best_arms(mu, better=better)
    prob = probability_best(mu, better=better).mean(UNIT).to_numpy()
    chosen = _positions(each["choice"].to_numpy(), own)
    plain = own.drop_vars(ARM, errors="ignore")
    outcomes = {label: plain.isel({ARM: a}).mean(UNIT) for a, label in enumerate(labels)}
    outcomes[INDIVIDUAL] = plain.isel({ARM: xr.DataArray(chosen, dims=UNIT)}).mean(UNIT)
    rows = {}
    for a, (label, outcome) in enumerate(outcomes.items()):
        given = each["choice"].to_numpy() if label == INDIVIDUAL else label
        row = summarize(outcome, ci_prob=ci_prob, ci_kind=ci_kind).iloc[0]
        rows[label] = {
            "outcome": row["mean"],
            "ci_lower": row["ci_lower"],
            "ci_upper": row["ci_upper"],
            "expected_regret": float(choice_regret(mu, given, better=better).mean()),
            "prob_best": each["prob_best"].mean() if label == INDIVIDUAL else prob[a],
            "share": 1.0 if label == INDIVIDUAL else float((chosen == a).mean()),
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("choice")
    return table.assign(ci_prob=ci_prob, ci_kind=ci_kind)


def _lost(mu: xr.DataArray, better: Better) -> xr.DataArray:
    """Return the regret of each arm, dims (chain, draw, unit, arm)."""
    sign = benefit_sign(better)
    check_potential_outcomes(mu)
    value = sign * own_mediator(mu)
    return value.max(ARM) - value


def _arms(mu: xr.DataArray) -> np.ndarray:
    return np.array(mu[ARM].to_numpy().tolist(), dtype=object)


def _positions(choice: Any, mu: xr.DataArray) -> np.ndarray:
    """Return the position of the chosen arm of each unit, shape (unit,)."""
    arms, n_units = _arms(mu).tolist(), mu.sizes[UNIT]
    if isinstance(choice, pd.Series):
        chosen = choice.to_numpy(dtype=object)[unit_order(choice, mu, "choice")].tolist()
    elif isinstance(choice, np.ndarray | list):
        chosen = list(choice)
    else:
        chosen = [choice] * n_units
    if len(chosen) != n_units:
        raise DataError(f"choice must have one arm for each of {n_units} units, got {len(chosen)}.")
    strange = [arm for arm in chosen if arm not in arms]
    if strange:
        raise DataError(
            f"choice holds {strange[0]!r}, which is no arm; the arms are "
            f"{', '.join(repr(arm) for arm in arms)}."
        )
    return np.array([arms.index(arm) for arm in chosen])
