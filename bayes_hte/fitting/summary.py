"""The average effects of a fit in a table: both means, their difference, its interval.

Every effect is the difference of two expected outcomes, so each row shows the two averages that it
is the difference of: for the total effect those of the arms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte import effects
from bayes_hte.effects.contrasts import NATURAL
from bayes_hte.effects.pairs import Contrast, contrast_name, pairs_of
from bayes_hte.effects.summaries import summarize
from bayes_hte.names import ARM, CONTRAST, EFFECTS, MEDIATOR_ARM, SAMPLE, UNIT

if TYPE_CHECKING:
    from bayes_hte.fitting.fitted import Fit

WORDS = {name: words for name, (words, _) in EFFECTS.items()} | {"cate": EFFECTS["te"][0]}
"""What a report calls each row; the average of individual effects is the total effect."""
REFERENCE_MEAN, ARM_MEAN = "reference_mean", "arm_mean"


def summary_draws(fit: Fit, contrast: Contrast) -> tuple[xr.Dataset, pd.DataFrame]:
    """Return the effects of each unit and the average outcomes that they are differences of.

    Parameters
    ----------
    fit : Fit
        A fit.
    contrast : (arm, arm), str or None
        As in :meth:`bayes_hte.Fit.cate`.

    Returns
    -------
    draws : Dataset, dims (chain, draw, unit[, contrast])
    means : DataFrame, index quantity[, contrast]
        ``reference_mean`` and ``arm_mean``: posterior means of outcomes averaged over the units.
    """
    from bayes_hte.fitting.effects_of_fit import outcomes_by_arm

    pairs, several = pairs_of(fit.study.arms, contrast)
    if fit.has_natural_effects:
        mu = fit.potential_outcomes()
        draws, quantities = effects.decompose(mu, contrast=contrast), NATURAL
        each = mu.mean((*SAMPLE, UNIT)).transpose(ARM, MEDIATOR_ARM).to_numpy()
    else:
        draws, quantities = fit.cate(contrast=contrast).to_dataset(), {"cate": ((1, 1), (0, 0))}
        by_arm = outcomes_by_arm(fit).mean((*SAMPLE, UNIT)).to_numpy()
        each = np.diag(by_arm)
    rows = {}
    for name, ends in quantities.items():
        for arm, reference in pairs:
            at = (reference, arm)
            high, low = (float(each[at[a], at[m]]) for a, m in ends)
            pair = contrast_name(fit.study.arms[arm], fit.study.arms[reference])
            rows[(name, pair) if several else name] = {REFERENCE_MEAN: low, ARM_MEAN: high}
    means = pd.DataFrame.from_dict(rows, orient="index")
    means.index = (
        pd.MultiIndex.from_tuples(rows, names=["quantity", CONTRAST])
        if several
        else means.index.rename("quantity")
    )
    return draws, means


def summary_table(draws: xr.Dataset, means: pd.DataFrame, *, ci_prob: float) -> pd.DataFrame:
    """Put names, both means, the effect and its interval into one table.

    Parameters
    ----------
    draws, means
        From :func:`summary_draws`.
    ci_prob : float
        Posterior probability of the interval.

    Returns
    -------
    DataFrame, index quantity[, contrast]
    """
    table = summarize(effects.average(draws), ci_prob=ci_prob)
    first = table.index.get_level_values("quantity")
    table.insert(0, "effect", [WORDS.get(str(name), str(name)) for name in first])
    for place, name in enumerate((REFERENCE_MEAN, ARM_MEAN), start=1):
        table.insert(place, name, means[name].to_numpy())
    return table
