"""Draws to tidy tables, each with the kind and the probability of its intervals."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.arguments import check_draws, check_share
from bayes_hte.effects.docstrings import documented
from bayes_hte.errors import unknown_name
from bayes_hte.names import SAMPLE

CiKind = Literal["eti", "hdi"]
CI_WORDS: dict[str, str] = {"eti": "equal-tailed", "hdi": "highest-density"}
interval_parameters = documented(
    {
        "Parameters": """ci_prob : float
    Posterior probability of the interval.
ci_kind : {"eti", "hdi"}
    Equal-tailed or highest-density interval.""",
        "Raises": """SpecError
    If `ci_prob` is not between 0 and 1, or `ci_kind` is unknown.""",
    }
)
"""Decorator: describes `ci_prob` and `ci_kind`, and their error, in the docstring of a function."""


@interval_parameters
def check_interval(ci_prob: float, ci_kind: str) -> None:
    """Raise unless an interval can be made."""
    check_share("ci_prob", ci_prob, hint="try 0.95")
    if ci_kind not in CI_WORDS:
        raise unknown_name("ci_kind", str(ci_kind), CI_WORDS)


def probability_words(value: float) -> str:
    """Write a posterior probability with three decimals, never as exactly 0 or 1.

    A share of draws is an estimate: all draws on one side do not make an event certain.

    Parameters
    ----------
    value : float
        Share of draws.

    Returns
    -------
    str
        For instance ``"0.932"``, ``"below 0.001"``, or ``"not available"`` if it is not finite.
    """
    if not math.isfinite(value):
        return "not available"
    if value < 0.0005:
        return "below 0.001"
    if value >= 0.9995:
        return "above 0.999"
    return f"{value:.3f}"


@interval_parameters
def interval_words(ci_prob: float, ci_kind: CiKind = "eti") -> str:
    """Describe an interval in words.

    Returns
    -------
    str

    Examples
    --------
    >>> import bayes_hte as hte
    >>> hte.interval_words(0.95)
    '95% posterior interval, equal-tailed'
    """
    check_interval(ci_prob, ci_kind)
    return f"{100 * ci_prob:g}% posterior interval, {CI_WORDS[ci_kind]}"


@interval_parameters
def interval(
    draws: xr.DataArray, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti"
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the bounds of a posterior interval.

    Parameters
    ----------
    draws : DataArray, dims (chain, draw, ...)
        Posterior draws of one quantity.

    Returns
    -------
    lower, upper : DataArray, dims of `draws` without chain and draw
    """
    check_interval(ci_prob, ci_kind)
    if ci_kind == "eti":
        tail = (1 - ci_prob) / 2
        bounds = draws.quantile([tail, 1 - tail], dim=SAMPLE, skipna=_has_gaps(draws))
        return (
            bounds.isel(quantile=0, drop=True),
            bounds.isel(quantile=1, drop=True),
        )
    import arviz_stats  # slow to import, and only needed for this kind

    bounds = arviz_stats.hdi(draws, prob=ci_prob, dim=list(SAMPLE))
    return bounds.sel(ci_bound="lower", drop=True), bounds.sel(ci_bound="upper", drop=True)


@interval_parameters
def summarize(
    draws: xr.DataArray | xr.Dataset, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti"
) -> pd.DataFrame:
    """Summarise posterior draws in one tidy table.

    Parameters
    ----------
    draws : DataArray or Dataset, dims (chain, draw, ...)
        Draws of one or several quantities.

    Returns
    -------
    DataFrame
        One row per quantity and coordinate: ``mean``, ``median``, ``sd``, ``ci_lower``,
        ``ci_upper``, ``prob_positive``, ``ci_prob``, ``ci_kind``. The index is the name of the
        variable (for a Dataset) and the remaining coordinates.

    Raises
    ------
    DataError
        If `draws` are no DataArray or Dataset with the dimensions chain and draw.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> draws = xr.DataArray(np.arange(1.0, 102.0)[np.newaxis], dims=["chain", "draw"], name="te")
    >>> hte.summarize(draws, ci_prob=0.5).loc["te", ["mean", "ci_lower", "ci_upper"]].tolist()
    [51.0, 26.0, 76.0]
    """
    check_interval(ci_prob, ci_kind)
    if isinstance(draws, xr.Dataset):
        tables = {
            str(name): summarize(draws[name], ci_prob=ci_prob, ci_kind=ci_kind)
            for name in draws.data_vars
        }
        if all(draws[name].ndim == len(SAMPLE) for name in draws.data_vars):
            return pd.concat(tables.values()).rename_axis("quantity")
        return pd.concat(tables, names=["quantity"])
    check_draws(draws, "draws", SAMPLE)
    columns = _statistics(draws, ci_prob=ci_prob, ci_kind=ci_kind)
    name = str(draws.name or "quantity")
    if draws.ndim == len(SAMPLE):
        table = pd.DataFrame({k: [float(v)] for k, v in columns.items()}, index=[name])
        table.index.name = "quantity"
    else:
        keep = [d for d in draws.dims if d not in SAMPLE]
        # The levels of an index stay with their dimension.
        stacked = {
            k: v.drop_vars([c for c in v.coords if c not in (*keep, *v.xindexes)])
            for k, v in columns.items()
        }
        table = xr.Dataset(stacked).to_dataframe(dim_order=keep)
    return table.assign(ci_prob=ci_prob, ci_kind=ci_kind)


def _statistics(draws: xr.DataArray, *, ci_prob: float, ci_kind: CiKind) -> dict[str, xr.DataArray]:
    """Return the columns of a summary by name, each with the dims of `draws` without the sample."""
    several = math.prod(draws.sizes[dim] for dim in SAMPLE) > 1  # one draw has no sd
    if several and ci_kind == "eti" and draws.dtype.kind == "f" and not _has_gaps(draws):
        return _whole_statistics(draws, ci_prob=ci_prob)
    lower, upper = interval(draws, ci_prob=ci_prob, ci_kind=ci_kind)
    return {
        "mean": draws.mean(SAMPLE),
        "median": draws.median(SAMPLE, skipna=_has_gaps(draws)),
        "sd": draws.std(SAMPLE, ddof=1),
        "ci_lower": lower,
        "ci_upper": upper,
        "prob_positive": (draws > 0).mean(SAMPLE),
    }


def _whole_statistics(draws: xr.DataArray, *, ci_prob: float) -> dict[str, xr.DataArray]:
    """Return the same of draws without gaps, to the last digit, in a fifth of the time.

    A report makes more than a hundred summaries of small arrays, whose time goes into alignment and
    into looking for gaps in each reduction.
    """
    values = draws.to_numpy()
    axes = draws.get_axis_num(SAMPLE)
    tail = (1 - ci_prob) / 2
    lower, upper = np.quantile(values, [tail, 1 - tail], axis=axes)
    numbers = {
        "mean": values.mean(axis=axes),
        "median": np.median(values, axis=axes),
        "sd": values.std(axis=axes, ddof=1),
        "ci_lower": lower,
        "ci_upper": upper,
        "prob_positive": (values > 0).mean(axis=axes),
    }
    one = draws.isel(dict.fromkeys(SAMPLE, 0), drop=True)
    return {name: one.copy(data=number) for name, number in numbers.items()}


def _has_gaps(draws: xr.DataArray) -> bool:
    """Whether a draw is missing: only then are quantiles taken column by column, without gaps."""
    return bool(np.isnan(draws).any())


def monte_carlo_error(draws: xr.DataArray) -> float:
    """Return the Monte Carlo standard error of a scalar posterior mean.

    Parameters
    ----------
    draws : DataArray, dims (chain, draw)

    Returns
    -------
    float
        Posterior sd over the square root of the effective sample size.
    """
    import arviz_stats

    return float(np.asarray(arviz_stats.mcse(draws, method="mean")))
