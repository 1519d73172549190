"""Inverse-probability-of-treatment weighting, with the diagnostics of its weights.

References
----------
Robins, J. M., Hernan, M. A., Brumback, B. (2000). Marginal structural models and causal inference
in epidemiology. Epidemiology 11, 550-560. doi:10.1097/00001648-200009000-00011
Cole, S. R., Hernan, M. A. (2008). Constructing inverse probability weights for marginal structural
models. American Journal of Epidemiology 168, 656-664. doi:10.1093/aje/kwn164
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.companions.inputs import (
    ARMS,
    UnitValues,
    has_draws,
    numbers,
    point_propensity,
    propensity_draws,
    treated,
)
from bayes_hte.effects.arguments import check_generator
from bayes_hte.effects.summaries import CiKind, summarize
from bayes_hte.errors import SpecError
from bayes_hte.names import SAMPLE, UNIT

CELLS_AT_ONCE = 250_000
"""Draws times units held in float64 at once, so that memory does not grow with the posterior."""


@dataclass(frozen=True, eq=False)
class WeightedEffect:
    """An average treatment effect by weighting.

    Attributes
    ----------
    estimate : float
        ATE over all units of the frame, in outcome units; the posterior mean if there are draws.
    draws : DataArray or None, dims (chain, draw)
        The ATE of each draw of the propensity; None for a point propensity.
    weights : Series, shape (unit,)
        Weights on the index of the frame; their posterior mean if there are draws.
    weight_draws : DataArray or None, dims (chain, draw, unit)
        The weights of each draw (float32).
    effective_sample_size : Series, index (control, treated, all)
        Kish's (sum w)^2 / sum w^2, averaged over draws.
    diagnostics : DataFrame, index (control, treated, all)
        ``n``; ``mean``, ``median``, ``q99``, ``max`` of the weights; ``ess`` and ``ess_share``
        (of n); ``n_clipped``. Averages over draws if there are draws.
    uncertainty : str
        Sources of uncertainty that the interval covers, in words.
    """

    estimate: float
    draws: xr.DataArray | None
    weights: pd.Series
    weight_draws: xr.DataArray | None
    effective_sample_size: pd.Series
    diagnostics: pd.DataFrame
    uncertainty: str

    def summary(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Return one row: the estimate, its interval (NaN without draws) and its coverage.

        Parameters
        ----------
        ci_prob : float, default 0.95
            Posterior probability of the interval.
        ci_kind : {"eti", "hdi"}
            Equal-tailed or highest-density.

        Returns
        -------
        DataFrame, index quantity
            The columns of :func:`bayes_hte.summarize`; ``population``, ``ess_control``,
            ``ess_treated``, ``n_clipped``, and ``uncertainty``: what the interval covers.

        Raises
        ------
        SpecError
            If the interval request is not meaningful.
        """
        if self.draws is None:
            missing = dict.fromkeys(("median", "sd", "ci_lower", "ci_upper", "prob_positive"))
            row = pd.DataFrame({"mean": self.estimate, **missing}, index=["ate"], dtype=float)
            row = row.assign(ci_prob=np.nan, ci_kind="none")
        else:
            row = summarize(self.draws, ci_prob=ci_prob, ci_kind=ci_kind)
        return row.rename_axis("quantity").assign(
            population=f"all {len(self.weights)} units",
            ess_control=self.effective_sample_size["control"],
            ess_treated=self.effective_sample_size["treated"],
            n_clipped=self.diagnostics.loc["all", "n_clipped"],
            uncertainty=self.uncertainty,
        )


def iptw(
    frame: pd.DataFrame,
    *,
    outcome: str,
    treatment: str,
    propensity: UnitValues,
    stabilized: bool = True,
    clip: tuple[float, float] | None = (0.01, 0.99),
    rng: np.random.Generator | None = None,
) -> WeightedEffect:
    """Estimate the average treatment effect by inverse-probability weighting.

    The estimate is the difference of the weighted means of the arms, each normalised by the
    weights of its arm (Hajek). Stabilising multiplies each arm by its share of the units: it
    changes the weights and their diagnostics, never this estimate.

    Parameters
    ----------
    frame : DataFrame, shape (unit, ...)
        One row per unit.
    outcome, treatment : str
        Columns; the treatment is coded 0/1.
    propensity : str, Series, ndarray or DataArray
        P(treated | covariates), strictly between 0 and 1: a column name; values, shape (unit,);
        or posterior draws, dims (chain, draw, unit).
    stabilized : bool, default True
        Whether weights are multiplied by the share of the unit's arm.
    clip : (float, float) or None, default (0.01, 0.99)
        Propensities beyond are set to these bounds before weighting; their number is reported.
    rng : numpy.random.Generator, optional
        With posterior draws: also give each draw Bayesian-bootstrap weights over units, so that
        the interval covers the sampling of (independent) units as well as the propensity. Without
        it the interval is about the propensity alone and is usually much too narrow for the ATE.

    Returns
    -------
    WeightedEffect

    Raises
    ------
    DataError
        If a column cannot be used or the propensity is not inside (0, 1).
    SpecError
        If `clip` is not an increasing pair inside (0, 1), or `rng` comes without draws or is no
        generator.

    References
    ----------
    Rubin, D. B. (1981). The Bayesian bootstrap. Annals of Statistics 9, 130-134.
    doi:10.1214/aos/1176345338

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_hte as hte
    >>> frame = pd.DataFrame({"y": [1, 2, 4, 6], "t": [0, 0, 1, 1], "e": [0.4, 0.5, 0.4, 0.5]})
    >>> weighted = hte.iptw(frame, outcome="y", treatment="t", propensity="e")
    >>> round(weighted.estimate, 2), weighted.uncertainty
    (3.34, 'none: a point propensity')
    """
    _check_clip(clip)
    y, arm = numbers(frame, outcome, "outcome"), treated(frame, treatment)
    draws = propensity_draws(frame, propensity) if has_draws(propensity) else None
    if draws is None:
        if rng is not None:
            raise SpecError(
                "rng= resamples units once per posterior draw, and this propensity has no draws; "
                "leave rng out, or pass draws with dims (chain, draw, unit)."
            )
        scores = point_propensity(frame, propensity)[None, :]
    else:
        if rng is not None:
            check_generator(rng)
        scores = draws.to_numpy().reshape(-1, arm.size)
    ates, diagnostics, weights = _weigh_all(
        scores, y, arm, stabilized=stabilized, clip=clip, rng=rng
    )
    sampled = draws is not None
    return WeightedEffect(
        estimate=float(ates.mean()),
        draws=_ate_draws(ates, draws) if sampled else None,
        weights=pd.Series(weights.mean(axis=0, dtype=np.float64), frame.index, name="weight"),
        weight_draws=draws.copy(data=weights.reshape(draws.shape)).rename("weight")
        if sampled
        else None,
        effective_sample_size=diagnostics["ess"].rename("effective_sample_size"),
        diagnostics=diagnostics,
        uncertainty=_uncertainty(sampled, rng is not None),
    )


def _check_clip(clip: tuple[float, float] | None) -> None:
    if clip is not None and not (len(clip) == 2 and 0 < clip[0] < clip[1] < 1):
        raise SpecError(
            f"clip must be two increasing propensities inside (0, 1) or None, got {clip}; "
            "try (0.01, 0.99)."
        )


def _weigh_all(
    scores: np.ndarray,
    y: np.ndarray,
    arm: np.ndarray,
    *,
    stabilized: bool,
    clip: tuple[float, float] | None,
    rng: np.random.Generator | None,
) -> tuple[np.ndarray, pd.DataFrame, np.ndarray]:
    """ATE of each draw, diagnostics averaged over draws, and all weights (draw, unit)."""
    n_draws, n_units = scores.shape
    step = max(1, CELLS_AT_ONCE // n_units)
    ates = np.empty(n_draws)
    # A point estimate keeps every digit; a posterior of weights is stored in half the memory.
    weights = np.empty(scores.shape, dtype=np.float32 if n_draws > 1 else np.float64)
    totals = 0.0
    for start in range(0, n_draws, step):
        rows = slice(start, min(start + step, n_draws))
        raw = scores[rows].astype(np.float64)
        used = raw if clip is None else np.clip(raw, *clip)
        w = 1 / np.where(arm, used, 1 - used)
        if stabilized:
            w *= np.where(arm, arm.mean(), 1 - arm.mean())
        weights[rows] = w
        totals = totals + _diagnose(w, raw != used, arm)
        if rng is not None:
            w = w * rng.standard_exponential(w.shape)
        control, treatment = ((w[:, g] @ y[g]) / w[:, g].sum(axis=1) for g in (~arm, arm))
        ates[rows] = treatment - control
    return ates, _diagnostic_table(totals / n_draws, arm), weights


def _diagnose(w: np.ndarray, clipped: np.ndarray, arm: np.ndarray) -> np.ndarray:
    """Sum over draws each diagnostic, shape (3 groups, 6 diagnostics)."""
    rows = []
    for group in (~arm, arm, np.ones_like(arm)):
        # Sorting first makes both quantiles several times cheaper.
        part = np.sort(w.compress(group, axis=1), axis=1)
        median, q99 = np.quantile(part, [0.5, 0.99], axis=1)
        ess = part.sum(axis=1) ** 2 / (part**2).sum(axis=1)
        columns = (part.mean(axis=1), median, q99, part[:, -1], ess)
        rows.append([c.sum() for c in columns] + [clipped[:, group].sum()])
    return np.array(rows, dtype=np.float64)


def _diagnostic_table(values: np.ndarray, arm: np.ndarray) -> pd.DataFrame:
    names = ["mean", "median", "q99", "max", "ess", "n_clipped"]
    table = pd.DataFrame(values, index=pd.Index([*ARMS, "all"], name="arm"), columns=names)
    table.insert(0, "n", [int((~arm).sum()), int(arm.sum()), arm.size])
    table.insert(6, "ess_share", table["ess"] / table["n"])
    return table


def _ate_draws(ates: np.ndarray, propensity: xr.DataArray) -> xr.DataArray:
    shape = propensity.shape[:2]
    coords = {d: propensity[d] for d in SAMPLE if d in propensity.coords}
    return xr.DataArray(
        ates.reshape(shape),
        dims=SAMPLE,
        coords=coords,
        name="ate",
        attrs={
            "effect": "ate",
            "scale": "response",
            "population": f"all {propensity.sizes[UNIT]} units",
        },
    )


def _uncertainty(sampled: bool, resampled: bool) -> str:
    if not sampled:
        return "none: a point propensity"
    if resampled:
        return "propensity and sampling of independent units"
    return "propensity only; not the sampling of units"
