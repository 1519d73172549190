"""The decision whether subgroups differ: a posterior probability against an absolute margin."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayes_hte.effects.arguments import check_number, check_share
from bayes_hte.effects.summaries import probability_words
from bayes_hte.names import SUBGROUP

DEFAULT_MARGIN = 0.05


@dataclass(frozen=True, eq=False)
class Decision:
    """The decision on a set of subgroups.

    Attributes
    ----------
    declared : bool
        Whether `probability` reaches the required probability.
    probability : float
        Posterior probability that `contrast` exceeds the margin.
    contrast : DataArray, dims (chain, draw)
        Highest subgroup minus lowest, in outcome units.
    reason : str
        The decision in a sentence.
    """

    declared: bool
    probability: float
    contrast: xr.DataArray
    reason: str


def judge(effects: xr.DataArray, *, margin: float, required: float, effect_words: str) -> Decision:
    """Decide whether the highest and the lowest subgroup differ by more than a margin.

    The contrast is signed. Its absolute value would exceed any margin in most draws of a wide
    posterior, and so declare subgroups *because* the data say little.

    Parameters
    ----------
    effects : DataArray, dims (chain, draw, subgroup)
        Subgroup averages, lowest posterior mean first.
    margin : float
        Difference that matters, in outcome units.
    required : float
        Posterior probability needed to declare subgroups.
    effect_words : str
        The effect in words, for the reason.

    Returns
    -------
    Decision
    """
    contrast = highest_less_lowest(effects, margin=margin)
    probability = float((contrast > margin).mean())
    declared = probability >= required
    if effects.sizes[SUBGROUP] == 1:
        reason = "No subgroups: all units are in one group, so there is nothing to compare."
    else:
        reason = (
            f"Subgroups {'are' if declared else 'are not'} declared in-sample: with posterior "
            f"probability {probability_words(probability)} ({required:g} needed) the "
            f"{effect_words} of the subgroup with the highest is above that of the subgroup with "
            f"the lowest by more than {margin:.3g}. The same units suggested and judged the "
            "subgroups."
        )
    return Decision(declared, probability, contrast, reason)


def highest_less_lowest(effects: xr.DataArray, *, margin: float) -> xr.DataArray:
    """Return the draws of the last subgroup minus the first.

    Parameters
    ----------
    effects : DataArray, dims (chain, draw, subgroup)
        Subgroup averages, in the order of the discovery.
    margin : float
        Difference that matters, kept in the attributes.

    Returns
    -------
    DataArray, dims (chain, draw)
        Named ``contrast``, in outcome units; zero if there is one subgroup.
    """
    lowest, highest = effects.isel({SUBGROUP: 0}), effects.isel({SUBGROUP: -1})
    contrast = (highest.drop_vars(SUBGROUP) - lowest.drop_vars(SUBGROUP)).rename("contrast")
    return contrast.assign_attrs({**effects.attrs, "margin": margin})


def margin_of(outcome: np.ndarray, margin: float | None) -> float:
    """Return the region of practical equivalence, in outcome units.

    Parameters
    ----------
    outcome : ndarray, shape (unit,)
        Observed outcomes; their spread sets the default.
    margin : float or None
        None for 0.05 standard deviations of the outcome.

    Returns
    -------
    float

    Raises
    ------
    SpecError
        If the margin is negative or not finite.
    """
    if margin is None:
        return DEFAULT_MARGIN * float(outcome.std(ddof=1))
    check_number(
        "margin",
        margin,
        "0 or more, in outcome units",
        lambda size: 0 <= size < math.inf,
        hint=f"leave it out for {DEFAULT_MARGIN} standard deviations of the outcome",
    )
    return float(margin)


def check_probability(probability: float) -> None:
    """Raise unless a probability between 0.5 and 1 is required to declare subgroups."""
    check_share("probability", probability, low=0.5, hint="try 0.95")
