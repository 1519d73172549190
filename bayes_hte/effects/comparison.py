"""Effects of several fits, side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.arguments import check_draws
from bayes_hte.effects.pairs import check_one_contrast
from bayes_hte.effects.summaries import CiKind, interval, interval_parameters
from bayes_hte.effects.units import same_labels
from bayes_hte.errors import DataError
from bayes_hte.names import SAMPLE, UNIT


@interval_parameters
def compare_effects(
    effects: Mapping[str, xr.DataArray], *, ci_prob: float = 0.95, ci_kind: CiKind = "eti"
) -> pd.DataFrame:
    """Compare several fits by one effect of the same units.

    Parameters
    ----------
    effects : mapping of str to DataArray, dims (chain, draw, unit)
        Unit-level effects by name of the fit; the others are compared with the first.

    Returns
    -------
    DataFrame
        One row per fit, in outcome units: ``sate`` (posterior mean of the average over units) with
        ``sate_lower``, ``sate_upper``; ``spread`` (posterior mean of the standard deviation of the
        effect over units) with its interval; ``correlation`` and ``rms_difference`` of
        posterior-mean individual effects with those of the first fit. The attributes hold
        ``ci_prob`` and ``ci_kind``.

    Raises
    ------
    DataError
        If there is nothing to compare, or the units differ.

    Examples
    --------
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> effect = xr.DataArray([[[1.0, 2.0, 6.0]]], dims=["chain", "draw", "unit"])
    >>> table = hte.compare_effects({"first": effect, "second": effect + 1})
    >>> table[["sate", "correlation", "rms_difference"]].round(1).loc["second"].tolist()
    [4.0, 1.0, 1.0]
    """
    if not isinstance(effects, Mapping) or len(effects) < 2:
        got = len(effects) if isinstance(effects, Mapping) else type(effects).__name__
        raise DataError(
            f"comparing needs at least two fits by name, got {got}; for instance "
            "{'forest': first.cate(), 'linear': second.cate()}."
        )
    for name, effect in effects.items():
        check_draws(effect, f"effect of {name!r}", (*SAMPLE, UNIT))
        check_one_contrast(effect, "a comparison of fits")
    first = next(iter(effects.values()))
    rows = {}
    for name, effect in effects.items():
        if not same_labels(effect.get_index(UNIT), first.get_index(UNIT)):
            raise DataError(
                f"fit {name!r} is about other units than the first, or in another order; of the "
                "same units, select effect.sel(unit=first.unit)."
            )
        mean, reference = effect.mean(SAMPLE), first.mean(SAMPLE)
        # Labels that agree may still differ in type, by which xarray would drop units.
        difference = mean.copy(data=mean.to_numpy() - reference.to_numpy())
        rows[name] = {
            **_described("sate", effect.mean(UNIT), ci_prob, ci_kind),
            **_described("spread", effect.std(UNIT), ci_prob, ci_kind),
            "correlation": _correlation(mean.to_numpy(), reference.to_numpy()),
            "rms_difference": float(np.sqrt((difference**2).mean())),
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("fit")
    table.attrs |= {"ci_prob": ci_prob, "ci_kind": ci_kind}
    return table


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation; NaN where effects do not vary."""
    if a.std() == 0 or b.std() == 0:
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])


def _described(name: str, draws: xr.DataArray, ci_prob: float, ci_kind: CiKind) -> dict[str, float]:
    lower, upper = interval(draws, ci_prob=ci_prob, ci_kind=ci_kind)
    return {name: float(draws.mean()), f"{name}_lower": float(lower), f"{name}_upper": float(upper)}
