"""Judgements of refutations: whether repeats on altered studies come out as they must.

Judgements about repeats are tests at level `ALPHA`, so that a sound study rarely fails one of them;
the price is that a few repeats show only gross faults. The negative control is one interval, which
leaves out 0 in one sound study of twenty.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import binom, norm, t

from bayes_hte.checks.refitting import CI_KIND, CI_PROB, AverageEffect
from bayes_hte.effects.summaries import interval_words

Judged = tuple[bool, str]

ALPHA = 0.001
"""Probability with which a judgement about repeats fails a sound study."""
NEGLIGIBLE_BIAS = 0.1
"""Bias, in posterior standard deviations, that passes however many repeats resolve it: 95%
intervals then still cover in 94.9% of studies."""
MAX_MOVE = 0.5
"""Move of the average effect, in posterior standard deviations, that a column or rows of no
importance may cause: 95% intervals moved that much still cover in 92% of studies. A forest on 60 to
200 units moves by 0.2 to 0.3 for an irrelevant column, half of it by Monte Carlo error."""
MAX_SPREAD_LEFT = 0.5
"""Spread of individual effects on a shuffled outcome, as a share of the spread in the study, above
which the estimator makes so much of noise that its findings in the study are as likely noise."""
INTERVALS = interval_words(CI_PROB, CI_KIND)


def judge_placebo(original: AverageEffect, table: pd.DataFrame) -> Judged:
    """Judge repeats with a shuffled treatment: the average effect must be about 0."""
    passed, text = _about_zero(table, "With a shuffled treatment")
    spread, n = table["spread"], len(table)
    reached = int((spread >= original.spread).sum())
    chance = (1 + reached) / (1 + n)
    text += (
        f" Individual effects spread by {original.spread:.3g} (standard deviation) in the study "
        f"and by {spread.median():.3g} (median) here, as much as in the study in {reached} of {n} "
        f"repeats: if nobody had an effect, so large a spread would come out with probability "
        f"{chance:.2g} (Monte Carlo, the study counted as a repeat). This is not the probability "
        "that effects are equal."
    )
    return passed, text


def judge_random_cause(original: AverageEffect, table: pd.DataFrame) -> Judged:
    """Judge repeats with an unrelated covariate: the average effect must stay."""
    move = float(np.sqrt(np.mean((table["estimate"] - original.ate) ** 2)))
    allowed = MAX_MOVE * original.sd
    text = (
        f"An unrelated covariate moves the average effect of {original.ate:.3g} by {move:.3g} "
        f"(root mean square over {len(table)} repeats); up to {allowed:.3g}, {MAX_MOVE:g} of its "
        "posterior sd, is allowed."
    )
    if move > allowed:
        text += " The estimate hangs on which columns are offered."
    return move <= allowed, text


def judge_subset(original: AverageEffect, table: pd.DataFrame, *, share: float, n: int) -> Judged:
    """Judge random parts by the finite-population variance of an estimate from a part of the rows.

    Parameters
    ----------
    original : AverageEffect
        Of the whole study.
    table : DataFrame, one row per repeat
        Estimates from the parts.
    share : float
        Share of the study in each part.
    n : int
        Independent units of the whole study.

    Returns
    -------
    passed : bool
    text : str
    """
    difference = table["estimate"] - original.ate
    # The average over the units of a part differs also because their covariates do.
    noise = float(np.sqrt((original.sd**2 + original.spread**2 / n) * (1 - share) / share))
    band = float(norm.isf((1 - CI_PROB) / 2)) * noise
    outside, allowed = int((difference.abs() > band).sum()), _allowed(len(table))
    mean = float(difference.mean())
    of_mean = float(norm.isf(ALPHA / 2)) * noise / np.sqrt(len(table))
    bound = of_mean + MAX_MOVE * original.sd
    passed = outside <= allowed and abs(mean) <= bound
    text = (
        f"On random parts with {100 * share:g}% of the data the average effect of "
        f"{original.ate:.3g} differs by {mean:.3g} on average (up to {bound:.3g} is allowed), and "
        f"in {outside} of {len(table)} repeats by more than the {band:.3g} that such parts explain "
        f"(up to {allowed} allowed)."
    )
    if not passed:
        text += " The estimate hangs on part of the data, or its interval is too narrow."
    return passed, text


def judge_permuted(original: AverageEffect, table: pd.DataFrame) -> Judged:
    """Judge repeats with a shuffled outcome: the average effect must be about 0."""
    return _about_zero(table, "With a shuffled outcome")


def judge_spread(original: AverageEffect, table: pd.DataFrame) -> Judged:
    """Judge repeats with a shuffled outcome: little spread of individual effects may be left."""
    spread = float(table["spread"].median())
    allowed = max(MAX_SPREAD_LEFT * original.spread, original.sd)
    collapsed = spread <= allowed
    text = (
        f"Individual effects spread by {original.spread:.3g} in the study and by {spread:.3g} "
        f"(median) with a shuffled outcome; up to {allowed:.3g} is allowed ({MAX_SPREAD_LEFT:g} of "
        "the study's, or the posterior sd of its average effect)."
    )
    if not collapsed:
        text += " The estimator finds differences in noise: do not read individual effects."
    return collapsed, text


def judge_control(_original: AverageEffect, table: pd.DataFrame, *, rope: float) -> Judged:
    """Judge the effect on a negative control, of which up to `rope` counts as none."""
    row = table.iloc[0]
    passed = bool(row["lower"] <= rope and row["upper"] >= -rope)
    none = "0" if rope == 0 else f"effects from {-rope:g} to {rope:g}"
    text = (
        f"The average effect on the negative control is {row['estimate']:.3g} ({row['lower']:.3g} "
        f"to {row['upper']:.3g}; {INTERVALS}), which {'reaches' if passed else 'leaves out'} "
        f"{none}."
    )
    if not passed:
        text += (
            " The arms differ in ways that the covariates do not account for, or the treatment "
            "does affect the control."
        )
    return passed, text


def _about_zero(table: pd.DataFrame, when: str) -> Judged:
    """Judge whether estimates centre on 0 and their intervals cover it as often as they say."""
    n, estimates = len(table), table["estimate"]
    mean = float(estimates.mean())
    of_mean = float(t.isf(ALPHA / 2, n - 1) * estimates.std(ddof=1) / np.sqrt(n))
    bound = of_mean + NEGLIGIBLE_BIAS * float(table["sd"].mean())
    missed = int(((table["lower"] > 0) | (table["upper"] < 0)).sum())
    allowed = _allowed(n)
    passed = abs(mean) <= bound and missed <= allowed
    text = (
        f"{when} the average effect is {mean:.3g} on average over {n} repeats (up to {bound:.3g} "
        f"is allowed), and {missed} of the intervals ({INTERVALS}) leave out 0 (up to {allowed} "
        "allowed)."
    )
    if abs(mean) > bound:
        text += " The estimator finds an effect where there is none."
    elif not passed:
        text += " Its intervals are too narrow."
    return passed, text


def _allowed(n: int) -> int:
    """Return how many of n intervals may miss before that is improbable for their probability."""
    return int(binom.isf(ALPHA, n, 1 - CI_PROB))
