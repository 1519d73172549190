"""Qini and targeting-operator (TOC) curves, with posterior bands.

A curve follows the units from the one expected to benefit most to the one expected to benefit
least. At the share q it shows the effect among the first q of them:

- TOC(q) = average effect among the top q minus the average effect of all; its area is the AUTOC;
- Qini(q) = q * TOC(q): the gain for each unit of the population when the top q are treated rather
  than a random q; its area is the Qini coefficient.

Both areas are integrals over q from 0 to 1, exact for the piecewise linear gain curve, and 0 for a
ranking that is no better than chance. Where units tie, a cut through the tie takes its expected
part, so no result depends on the order of the rows.

**Ranking.** A rule that can be used ranks by one number per unit, so the default ranks by the
posterior mean. ``ranked_by="draw"`` ranks anew in every draw: the band then also shows the
uncertainty of the ranking, and its centre is the achievement of a ranking by one random draw, which
is less.

**Honesty.** The curves of :func:`qini` and :func:`toc` use the outcomes of units that the effects
were *not* learned from: predict the effects of held-out units and pass their outcome and treatment.
On the training units they flatter. :func:`implied_qini` and :func:`implied_toc` use no outcomes:
they show the expectation of the posterior about its own ranking, which is right only if the model
is.

References
----------
Radcliffe, N. J. (2007). Using control groups to target on predicted lift. Direct Marketing
Analytics Journal 1, 14-21.
Yadlowsky, S., Fleming, S., Shah, N., Brunskill, E., Wager, S. (2024). Evaluating treatment
prioritization rules via rank-weighted average treatment effects. Journal of the American
Statistical Association. doi:10.1080/01621459.2024.2393466
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.companions.scores import LabelledValues, effect_scores
from bayes_hte.effects.arguments import Better, benefit_sign, check_generator
from bayes_hte.effects.summaries import CiKind, interval_parameters, summarize
from bayes_hte.errors import unknown_name
from bayes_hte.targeting.posterior import (
    BENEFIT,
    as_draws,
    effect_rows,
    places,
    posterior_mean,
    row_chunks,
    shares_of_units,
    units_of,
)

RankedBy = Literal["posterior_mean", "draw"]
Kind = Literal["qini", "toc"]
FRACTIONS = tuple(k / 20 for k in range(1, 21))
OBSERVED = "observed outcomes"
AREAS = {"qini": "qini_coefficient", "toc": "autoc"}

type Blocks = Iterator[tuple[np.ndarray, np.ndarray]]
"""Share of units and gain so far, each (draw, distinct place), both starting at 0."""


@dataclass(frozen=True, eq=False)
class TargetingCurve:
    """A Qini or TOC curve with its area, draw by draw.

    Attributes
    ----------
    kind : {"qini", "toc"}
        Which curve.
    curve : DataArray, dims (chain, draw, fraction)
        Height at each share of units, in units of benefit: outcome units, positive is good.
    area : DataArray, dims (chain, draw)
        Qini coefficient or AUTOC, same units; above 0 the ranking beats chance.
    ranked_by, evaluated_on : str
        The basis of the ranking, and the source of the effects that the curve shows.
    """

    kind: Kind
    curve: xr.DataArray
    area: xr.DataArray
    ranked_by: str
    evaluated_on: str

    @interval_parameters
    def summary(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Return one row: the posterior of the area.

        Returns
        -------
        DataFrame, index quantity
            The columns of :func:`bayes_hte.summarize`, ``ranked_by`` and ``evaluated_on``.

        Examples
        --------
        >>> import xarray as xr
        >>> from bayes_hte.targeting import implied_qini
        >>> effect = xr.DataArray([[[3.0, 1.0, -1.0, -3.0]] * 2], dims=["chain", "draw", "unit"])
        >>> implied_qini(effect, better="higher").summary()["mean"].to_dict()
        {'qini_coefficient': 0.625}
        """
        return self._label(summarize(self.area, ci_prob=ci_prob, ci_kind=ci_kind))

    @interval_parameters
    def curve_summary(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Return one row per fraction: the posterior band of the curve, pointwise.

        Returns
        -------
        DataFrame, index fraction
            As :func:`bayes_hte.plots.plot_targeting_curve` draws it: the columns of
            :func:`bayes_hte.summarize`, ``ranked_by`` and ``evaluated_on``.
        """
        return self._label(summarize(self.curve, ci_prob=ci_prob, ci_kind=ci_kind))

    def _label(self, table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(ranked_by=self.ranked_by, evaluated_on=self.evaluated_on)


def qini(
    effect: xr.DataArray,
    *,
    outcome: LabelledValues,
    treatment: LabelledValues,
    better: Better,
    rng: np.random.Generator,
    propensity: LabelledValues | None = None,
    expected: xr.DataArray | None = None,
    ranked_by: RankedBy = "posterior_mean",
    fractions: Sequence[float] = FRACTIONS,
) -> TargetingCurve:
    """Evaluate a ranking on observed outcomes: Qini curve and coefficient.

    The effect of a set of units is the mean of their scores (see
    :func:`bayes_hte.companions.effect_scores`). The band covers the sampling of independent units,
    by one set of Bayesian-bootstrap weights per draw, and with ``ranked_by="draw"`` the ranking.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit)
        Posterior effects of the units to evaluate on, best held out.
    outcome, treatment : Series, ndarray or DataArray, shape (unit,)
        Observed outcome and arm (0/1) of the same units.
    better : {"higher", "lower"}
        Which direction of the outcome is good for the patient.
    rng : numpy.random.Generator
        Source of the bootstrap weights.
    propensity : Series, ndarray or DataArray, shape (unit,), optional
        P(treated | covariates); needed unless treatment was randomised with equal odds.
    expected : DataArray, dims (unit, arm) or (chain, draw, unit, arm), optional
        Expected outcomes by arm, to make the scores less noisy.
    ranked_by : {"posterior_mean", "draw"}
        Whether units are ranked once, or anew in every draw (see the module).
    fractions : sequence of float
        Shares of units in (0, 1], increasing, at which the curve is kept. The area does not depend
        on them.

    Returns
    -------
    TargetingCurve

    Raises
    ------
    DataError
        If an array breaks its contract or does not fit the units.
    SpecError
        If an option is unknown, `fractions` are not increasing shares or `rng` is no generator.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> treatment, truth = np.arange(100) % 2, np.linspace(-1, 1, 100)
    >>> effect = xr.DataArray(np.tile(truth, (1, 50, 1)), dims=["chain", "draw", "unit"])
    >>> rng = np.random.default_rng(1)
    >>> found = hte.qini(
    ...     effect, outcome=truth * treatment, treatment=treatment, better="higher", rng=rng
    ... )
    >>> bool((found.area > 0).all())
    True
    """
    return _observed(
        "qini",
        effect,
        better,
        rng,
        ranked_by,
        fractions,
        outcome=outcome,
        treatment=treatment,
        propensity=propensity,
        expected=expected,
    )


def toc(
    effect: xr.DataArray,
    *,
    outcome: LabelledValues,
    treatment: LabelledValues,
    better: Better,
    rng: np.random.Generator,
    propensity: LabelledValues | None = None,
    expected: xr.DataArray | None = None,
    ranked_by: RankedBy = "posterior_mean",
    fractions: Sequence[float] = FRACTIONS,
) -> TargetingCurve:
    """Evaluate a ranking on observed outcomes: TOC curve and AUTOC.

    As :func:`qini`, with more weight on the units ranked first.

    Parameters
    ----------
    effect, outcome, treatment, better, rng, propensity, expected, ranked_by, fractions
        As in :func:`qini`.

    Returns
    -------
    TargetingCurve

    Raises
    ------
    DataError, SpecError
        As :func:`qini`.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> treatment, truth = np.arange(100) % 2, np.linspace(-1, 1, 100)
    >>> effect = xr.DataArray(np.tile(truth, (1, 50, 1)), dims=["chain", "draw", "unit"])
    >>> rng = np.random.default_rng(1)
    >>> found = hte.toc(
    ...     effect, outcome=truth * treatment, treatment=treatment, better="higher", rng=rng
    ... )
    >>> bool((found.area > 0).all())
    True
    """
    return _observed(
        "toc",
        effect,
        better,
        rng,
        ranked_by,
        fractions,
        outcome=outcome,
        treatment=treatment,
        propensity=propensity,
        expected=expected,
    )


def implied_qini(
    effect: xr.DataArray, *, better: Better, fractions: Sequence[float] = FRACTIONS
) -> TargetingCurve:
    """Return the Qini curve that the posterior expects of ranking its units by posterior mean.

    Parameters
    ----------
    effect, better, fractions
        As in :func:`qini`.

    Returns
    -------
    TargetingCurve
        Trust it as far as the model; :func:`qini` on held-out units is the test.

    Raises
    ------
    DataError, SpecError
        As :func:`qini`.

    Examples
    --------
    >>> import xarray as xr
    >>> from bayes_hte.targeting import implied_qini
    >>> effect = xr.DataArray([[[3.0, 1.0, -1.0, -3.0]]], dims=["chain", "draw", "unit"])
    >>> implied_qini(effect, better="higher").area.round(3).item()
    0.625
    """
    return _implied("qini", effect, better, fractions)


def implied_toc(
    effect: xr.DataArray, *, better: Better, fractions: Sequence[float] = FRACTIONS
) -> TargetingCurve:
    """Return the TOC curve that the posterior expects of ranking its units by posterior mean.

    Parameters
    ----------
    effect, better, fractions
        As in :func:`qini`.

    Returns
    -------
    TargetingCurve
        Trust it as far as the model; :func:`toc` on held-out units is the test.

    Raises
    ------
    DataError, SpecError
        As :func:`qini`.

    Examples
    --------
    >>> import xarray as xr
    >>> from bayes_hte.targeting import implied_toc
    >>> effect = xr.DataArray([[[3.0, 1.0, -1.0, -3.0]]], dims=["chain", "draw", "unit"])
    >>> implied_toc(effect, better="higher").area.round(3).item()
    1.818
    """
    return _implied("toc", effect, better, fractions)


def _observed(
    kind: Kind,
    effect: xr.DataArray,
    better: Better,
    rng: np.random.Generator,
    ranked_by: RankedBy,
    fractions: Sequence[float],
    **seen: LabelledValues | None,
) -> TargetingCurve:
    """Evaluate a ranking by the scores of the data `seen`, arguments of :func:`effect_scores`."""
    rows, sign = effect_rows(effect), benefit_sign(better)
    scores = sign * effect_scores(units_of(effect), **seen)
    check_generator(rng)
    if ranked_by == "draw":
        blocks = _ranked_by_draw(scores, rows, sign, rng)
    elif ranked_by == "posterior_mean":
        blocks = _ranked_once(scores, sign * posterior_mean(rows), len(rows), rng)
    else:
        raise unknown_name("ranked_by", str(ranked_by), ("posterior_mean", "draw"))
    return _collect(kind, blocks, effect, better, fractions, ranked_by, OBSERVED)


def _implied(
    kind: Kind, effect: xr.DataArray, better: Better, fractions: Sequence[float]
) -> TargetingCurve:
    sign, rows = benefit_sign(better), effect_rows(effect)
    order, ends = places(sign * posterior_mean(rows))
    blocks = (
        _cumulate(np.ones((1, order.size)), sign * rows[c][:, order].astype(np.float64), ends)
        for c in row_chunks(*rows.shape)
    )
    return _collect(kind, blocks, effect, better, fractions, "posterior_mean", "the posterior")


def _ranked_once(
    scores: np.ndarray, benefit: np.ndarray, n_draws: int, rng: np.random.Generator
) -> Blocks:
    order, ends = places(benefit)
    ordered = scores[order]
    for chunk in row_chunks(n_draws, order.size):
        # The weights are exchangeable over units, so they can be drawn in ranked order.
        weights = rng.standard_exponential((chunk.stop - chunk.start, order.size))
        yield _cumulate(weights, ordered, ends)


def _ranked_by_draw(
    scores: np.ndarray, rows: np.ndarray, sign: int, rng: np.random.Generator
) -> Blocks:
    for row in rows:
        order, ends = places(sign * row)
        weights = rng.standard_exponential((1, order.size))
        yield _cumulate(weights, scores[order], ends)


def _cumulate(
    weights: np.ndarray, gains: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of weight and the weighted gain up to each run's end, from (0, 0) on."""
    total = weights.sum(axis=1, keepdims=True)
    share = np.cumsum(weights, axis=1)[:, ends] / total
    gain = np.cumsum(weights * gains, axis=1)[:, ends] / total
    share[:, -1] = 1.0  # against rounding: the curve ends with all units
    pad = ((0, 0), (1, 0))
    return np.pad(share, pad), np.pad(gain, pad)


def _collect(
    kind: Kind,
    blocks: Blocks,
    effect: xr.DataArray,
    better: Better,
    fractions: Sequence[float],
    ranked_by: str,
    evaluated_on: str,
) -> TargetingCurve:
    q = shares_of_units(fractions, increasing=True)
    curves, areas = [], []
    for share, gain in blocks:
        areas.append(_area(kind, share, gain))
        at = np.array(
            [
                np.interp(q, s, g)
                for s, g in zip(np.broadcast_to(share, gain.shape), gain, strict=True)
            ]
        )
        height = at - q * gain[:, -1:]
        curves.append(height if kind == "qini" else height / q)
    curve = as_draws(np.concatenate(curves), effect, kind, ("fraction", q), scale=BENEFIT)
    area = as_draws(np.concatenate(areas), effect, AREAS[kind], scale=BENEFIT)
    curve, area = (draws.assign_attrs(better=better) for draws in (curve, area))
    return TargetingCurve(kind, curve, area, ranked_by, evaluated_on)


def _area(kind: Kind, share: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Return the integral over q of the Qini or TOC curve of each draw, shape (draw,)."""
    average = gain[:, -1]
    if kind == "qini":
        return np.trapezoid(gain, share, axis=1) - average / 2
    # On a segment gain = a + b q, so the integral of gain / q is a log(q1 / q0) + b (q1 - q0);
    # on the first segment a = 0.
    width = np.diff(share, axis=1)
    slope = np.diff(gain, axis=1) / width
    offset = gain[:, 1:-1] - slope[:, 1:] * share[:, 1:-1]
    logs = np.log1p(width[:, 1:] / share[:, 1:-1])
    return (offset * logs).sum(axis=1) + gain[:, -1] - average
