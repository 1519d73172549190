"""Whether the subgroups differ: a posterior probability against an absolute margin."""

from __future__ import annotations

from dataclasses import dataclass

import xarray as xr

from bayes_hte.names import SUBGROUP


@dataclass(frozen=True, eq=False)
class Verdict:
    """The judgement on a set of subgroups.

    Attributes
    ----------
    declared : bool
        Whether `probability` reaches what is required.
    probability : float
        Posterior probability that `contrast` exceeds the margin.
    contrast : DataArray, dims (chain, draw)
        Highest subgroup minus lowest, in outcome units.
    reason : str
        The verdict in a sentence.
    """

    declared: bool
    probability: float
    contrast: xr.DataArray
    reason: str


def judge(effects: xr.DataArray, *, margin: float, required: float, effect_words: str) -> Verdict:
    """Judge whether the highest and the lowest subgroup differ by more than a margin.

    The contrast is signed. Its absolute value would exceed any margin in most draws of a posterior
    that is merely wide, and so declare subgroups *because* the data say little.

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
    Verdict
    """
    lowest, highest = effects.isel({SUBGROUP: 0}), effects.isel({SUBGROUP: -1})
    contrast = (highest.drop_vars(SUBGROUP) - lowest.drop_vars(SUBGROUP)).rename("contrast")
    contrast.attrs = {**effects.attrs, "margin": margin}
    probability = float((contrast > margin).mean())
    declared = probability >= required
    last = effects.sizes[SUBGROUP] - 1
    if last == 0:
        reason = "No subgroups: all units are together, so there is nothing to compare."
    else:
        reason = (
            f"Subgroups {'are' if declared else 'are not'} declared: with posterior probability "
            f"{probability:.3f} ({required:g} needed) the {effect_words} of subgroup {last} is "
            f"above that of subgroup 0 by more than {margin:.3g}. The same units suggested and "
            "judged the subgroups."
        )
    return Verdict(declared, probability, contrast, reason)
