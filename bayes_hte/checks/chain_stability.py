"""Agreement of the chains on who benefits more; chains have own seeds, so this needs no refit."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import spearmanr

from bayes_hte.checks.base import CheckResult, not_judged
from bayes_hte.checks.subject import Subject
from bayes_hte.names import CHAIN, DRAW, UNIT

NAME = "ranking over chains"
# At this correlation both chains rank two units in the same order in about 6 of 7 pairs.
MIN_CORRELATION = 0.9


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """Compare the rankings of units by total effect; see :func:`chain_stability`."""
    return (chain_stability(subject.effects["te"]),)


def chain_stability(effect: xr.DataArray) -> CheckResult:
    """Compare the rankings of units by posterior-mean effect between chains.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit)
        Individual effects.

    Returns
    -------
    CheckResult
        Passes if the smallest Spearman correlation of two chains is at least 0.9; one row per pair
        of chains. Information if all effects are equal. Fails with fewer than two chains.
    """
    means = effect.mean(DRAW).transpose(CHAIN, UNIT).to_numpy()
    if len(means) < 2:
        return not_judged(NAME, "one chain cannot be compared with another; run two or more.")
    if (np.ptp(means, axis=1) <= 1e-9 * np.abs(means).max(initial=0)).any():
        text = "Effects do not differ between units, so there is no ranking."
        return CheckResult(NAME, None, pd.DataFrame(), text)
    pairs = list(combinations(range(len(means)), 2))
    table = pd.DataFrame(
        {
            "chains": [f"{a} and {b}" for a, b in pairs],
            "rank correlation": [spearmanr(means[a], means[b]).statistic for a, b in pairs],
        }
    ).set_index("chains")
    least = float(table["rank correlation"].min())
    stable = bool(least >= MIN_CORRELATION)
    text = f"Chains rank units alike: rank correlation at least {least:.2f}."
    if not stable:
        text = (
            f"Chains rank units differently: rank correlation down to {least:.2f} "
            f"({MIN_CORRELATION:g} wanted). Draw more before reading individual effects."
        )
    return CheckResult(NAME, stable, table, text)
