"""Agreement of the chains on who benefits more; chains have own seeds, so this needs no refit.

Units are ranked by the mean of all chains, which is steadier than that of one: with r the mean rank
correlation of two chains, another fit of K chains would rank units with a correlation of
``K r / (1 + (K - 1) r)`` with this one (Spearman 1910, Brown 1910), as far as ranks are linear.
Single chains need not agree to the last unit, as where effects have two values only.

References
----------
Spearman, C. (1910). Correlation calculated from faulty data. British Journal of Psychology 3,
271-295. doi:10.1111/j.2044-8295.1910.tb00206.x
Brown, W. (1910). Some experimental results in the correlation of mental abilities. British Journal
of Psychology 3, 296-322. doi:10.1111/j.2044-8295.1910.tb00207.x
"""

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
# At this correlation two fits rank two units in the same order in about 6 of 7 pairs.
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
        Passes if another fit of as many chains would rank units with a correlation of at least 0.9;
        one row per pair of chains with their Spearman correlation. Information if all effects are
        equal. Fails with fewer than two chains.
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
    expected = of_another_fit(float(table["rank correlation"].mean()), len(means))
    stable = bool(expected >= MIN_CORRELATION)
    least = f"two single chains: {table['rank correlation'].min():.2f} or more"
    wanted = "" if stable else f" ({MIN_CORRELATION:g} wanted)"
    text = (
        f"Another fit of as many chains would rank units with a correlation of {expected:.2f} with "
        f"this one{wanted}; {least}."
    )
    if not stable:
        text += " Draw more before reading individual effects."
    return CheckResult(NAME, stable, table, text)


def of_another_fit(correlation: float, n_chains: int) -> float:
    """Return the correlation of two means of so many chains, from that of two single chains.

    Parameters
    ----------
    correlation : float
        Mean correlation of two chains.
    n_chains : int
        Chains of a fit.

    Returns
    -------
    float
        By the formula of Spearman and Brown; a correlation below 0 stays as it is.

    Examples
    --------
    >>> from bayes_hte.checks.chain_stability import of_another_fit
    >>> round(of_another_fit(0.8, 4), 3)
    0.941
    """
    if correlation <= 0:
        return correlation
    return n_chains * correlation / (1 + (n_chains - 1) * correlation)
