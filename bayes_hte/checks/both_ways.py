"""Effects with and without the estimated propensity as a covariate, in one table.

References
----------
Hahn, P. R., Murray, J. S., Carvalho, C. M. (2020). Bayesian regression tree models for causal
inference. Bayesian Analysis 15, 965-1056. doi:10.1214/19-BA1195
"""

from __future__ import annotations

import xarray as xr

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.subject import Subject
from bayes_hte.effects.comparison import compare_effects
from bayes_hte.effects.summaries import interval_words

NAME = "propensity as a covariate: both ways"


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """Compare both ways if both were fitted; see :func:`propensity_both_ways`."""
    if subject.other is None:
        return ()
    ways = sorted((subject.fit, subject.other), key=lambda fit: not fit.plan.propensity_covariate)
    return (propensity_both_ways(*(fit.cate() for fit in ways)),)


def propensity_both_ways(with_propensity: xr.DataArray, without: xr.DataArray) -> CheckResult:
    """Compare individual effects of two fits that differ in the propensity covariate.

    Parameters
    ----------
    with_propensity, without : DataArray, dims (chain, draw, unit)
        Unit-level total effects of the same units.

    Returns
    -------
    CheckResult
        Informs; fails if one average effect lies outside the interval of the other fit: the answer
        then rests on a modelling choice.
    """
    table = compare_effects({"with propensity": with_propensity, "without": without})
    first, second = table.iloc[0], table.iloc[1]
    apart = not (
        second["sate_lower"] <= first["sate"] <= second["sate_upper"]
        and first["sate_lower"] <= second["sate"] <= first["sate_upper"]
    )
    words = interval_words(table.attrs["ci_prob"], table.attrs["ci_kind"])
    text = "; ".join(
        f"{name} average effect {row['sate']:.3g} ({row['sate_lower']:.3g} to "
        f"{row['sate_upper']:.3g}), spread over units {row['spread']:.3g}"
        for name, row in table.iterrows()
    )
    text = f"{text[0].upper()}{text[1:]} ({words})."
    if apart:
        text += " The two disagree: the answer rests on whether confounding is modelled this way."
    return CheckResult(NAME, False if apart else None, table, text)
