"""The value of a treatment rule, and the cost of not knowing better.

References
----------
Manski, C. F. (2004). Statistical treatment rules for heterogeneous populations. Econometrica 72,
1221-1246. doi:10.1111/j.1468-0262.2004.00530.x
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.companions.inputs import align
from bayes_hte.companions.scores import LabelledValues
from bayes_hte.effects.arguments import Better, benefit_sign, check_number
from bayes_hte.effects.contrasts import cate
from bayes_hte.effects.summaries import CiKind, interval_parameters, summarize
from bayes_hte.errors import DataError
from bayes_hte.names import ARM, MEDIATOR_ARM, SAMPLE, UNIT
from bayes_hte.targeting.posterior import (
    BENEFIT,
    as_draws,
    effect_rows,
    row_chunks,
    units_of,
)


@dataclass(frozen=True, eq=False)
class PolicyValue:
    """The posterior value of a treatment rule for the units given.

    Attributes
    ----------
    gain : DataArray, dims (chain, draw)
        Benefit per unit of the population, net of cost, over treating nobody; outcome units,
        positive is good.
    gain_over_all : DataArray, dims (chain, draw)
        The same over treating everybody.
    regret : DataArray, dims (chain, draw)
        Benefit lost compared with a decision that knows every unit's effect in the draw; never
        negative. For the rule that is best on average its posterior mean is the expected value of
        perfect information about unit effects, an upper bound on the value of more research.
    expected_outcome : DataArray or None, dims (chain, draw)
        Mean outcome under the rule, cost not included; None if only effects were given.
    share_treated : float
        Share of the units the rule treats.
    """

    gain: xr.DataArray
    gain_over_all: xr.DataArray
    regret: xr.DataArray
    expected_outcome: xr.DataArray | None
    share_treated: float

    @interval_parameters
    def summary(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Return one row per quantity: gain, gain over treating all, regret, expected outcome.

        Returns
        -------
        DataFrame, index quantity
            The columns of :func:`bayes_hte.summarize`, and ``share_treated``.

        Examples
        --------
        >>> import numpy as np
        >>> import xarray as xr
        >>> import bayes_hte as hte
        >>> effect = xr.DataArray([[[2.0, -1.0]]], dims=["chain", "draw", "unit"])
        >>> value = hte.policy_value(effect, treat=np.array([True, True]), better="higher")
        >>> value.summary()["mean"].to_dict()
        {'gain': 0.5, 'gain_over_all': 0.0, 'regret': 0.5}
        """
        known = (self.gain, self.gain_over_all, self.regret, self.expected_outcome)
        draws = xr.Dataset({d.name: d for d in known if d is not None})
        table = summarize(draws, ci_prob=ci_prob, ci_kind=ci_kind)
        return table.assign(share_treated=self.share_treated)


def policy_value(
    posterior: xr.DataArray,
    *,
    treat: LabelledValues,
    better: Better,
    cost: float = 0.0,
) -> PolicyValue:
    """Return the expected value of a treatment rule and its regret, draw by draw.

    The value of a rule that was chosen by looking at this posterior is as honest as the posterior:
    it contains no outcomes of held-out units.

    Parameters
    ----------
    posterior : DataArray, dims (chain, draw, unit) or (chain, draw, unit, arm[, mediator_arm])
        Effects, or potential outcomes (reference arm first), of the units the rule is applied to.
    treat : Series, ndarray or DataArray, shape (unit,)
        True or 1 to treat, False or 0 not to; in between, the probability of treating.
    better : {"higher", "lower"}
        Which direction of the outcome is good for the patient.
    cost : float, default 0
        Cost of treating one unit, in outcome units; the benefit must exceed it.

    Returns
    -------
    PolicyValue
        About the units given, each counted once (SATE).

    Raises
    ------
    DataError
        If the posterior breaks its contract, or `treat` does not fit the units or leaves [0, 1].
    SpecError
        If `better` is unknown or `cost` is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> effect = xr.DataArray([[[2.0, -1.0]]], dims=["chain", "draw", "unit"])
    >>> value = hte.policy_value(effect, treat=np.array([True, False]), better="higher")
    >>> value.gain.item(), value.gain_over_all.item(), value.regret.item()
    (1.0, 0.5, 0.0)
    """
    check_number("cost", cost, "a finite number in outcome units", np.isfinite)
    sign = benefit_sign(better)
    potential = isinstance(posterior, xr.DataArray) and ARM in posterior.dims
    effect = cate(posterior) if potential else posterior
    rows, share = effect_rows(effect), align(treat, units_of(effect), "treat")
    if share.min() < 0 or share.max() > 1:
        raise DataError(f"treat must lie in [0, 1], got [{share.min():g}, {share.max():g}].")
    everybody, kept, ideal = (np.empty(len(rows)) for _ in range(3))
    for chunk in row_chunks(*rows.shape):
        net = sign * rows[chunk].astype(np.float64) - cost
        everybody[chunk] = net.mean(axis=1)
        kept[chunk] = net @ share / share.size
        ideal[chunk] = np.maximum(net, 0).mean(axis=1)
    outcome = None
    if potential:
        change = as_draws(sign * (kept + cost * share.mean()), effect, "change")
        outcome = (_reference_mean(posterior) + change).rename("expected_outcome")
    return PolicyValue(
        gain=as_draws(kept, effect, "gain", scale=BENEFIT),
        gain_over_all=as_draws(kept - everybody, effect, "gain_over_all", scale=BENEFIT),
        regret=as_draws(ideal - kept, effect, "regret", scale=BENEFIT),
        expected_outcome=outcome,
        share_treated=float(share.mean()),
    )


def _reference_mean(mu: xr.DataArray) -> xr.DataArray:
    """Return the mean outcome with everybody in the reference arm, dims (chain, draw)."""
    first = {d: 0 for d in (ARM, MEDIATOR_ARM) if d in mu.dims}
    return mu.isel(first, drop=True).mean(UNIT, dtype=np.float64).transpose(*SAMPLE)
