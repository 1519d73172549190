"""One-to-one nearest-neighbour matching on the propensity, with ties averaged.

Covariates repeat in real data, so many controls are often exactly as near as the nearest. Taking
one of them makes the estimate depend on the order of the rows. Here every tied control counts
equally (Abadie and Imbens 2006), so the result is a function of the values alone. Units with equal
propensities are interchangeable, which also makes the computation one of distinct values.

References
----------
Abadie, A., Imbens, G. W. (2006). Large sample properties of matching estimators for average
treatment effects. Econometrica 74, 235-267. doi:10.1111/j.1468-0262.2006.00655.x
Austin, P. C. (2011). Optimal caliper widths for propensity-score matching. Pharmaceutical
Statistics 10, 150-161. doi:10.1002/pst.433
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from bayes_hte.companions.inputs import UnitValues, numbers, point_propensity, treated
from bayes_hte.errors import DataError, SpecError, unknown_name

Scale = Literal["probability", "logit"]
SAME = 1e-12
"""Distances closer than this are ties: equal rows may differ by rounding in a matrix product."""


@dataclass(frozen=True, eq=False)
class MatchedEffect:
    """An average effect on the treated by matching.

    Attributes
    ----------
    att : float
        Mean over matched treated units of outcome minus the mean outcome of the matched controls,
        in outcome units.
    estimand : str
        Population of the effect: all treated units, or those with a match.
    distances : Series, shape (treated unit,)
        Distance to the matched controls on the matching scale; NaN where unmatched.
    weights : Series, shape (unit,)
        On the index of the frame. Treated: 1 if matched, 0 if not. Controls: how many treated
        units they stand for. Without replacement the units of one propensity share what their
        group was given, so weights can be fractions.
    matches : DataFrame
        One row per pair of distinct propensities: ``propensity_treated``, ``propensity_control``,
        ``distance``, ``pairs`` (treated units matched so) and ``tied_controls`` (controls among
        which the choice was a tie; they share the pairs equally).
    n_treated, n_matched, n_unmatched, n_controls_used : int
        Units; controls used are those with a positive weight.
    tied_share : float
        Share of matched treated units whose nearest control is not unique.
    """

    att: float
    estimand: str
    distances: pd.Series
    weights: pd.Series
    matches: pd.DataFrame
    n_treated: int
    n_matched: int
    n_unmatched: int
    n_controls_used: int
    tied_share: float

    def summary(self) -> pd.DataFrame:
        """Return one row: the estimate, its population, and the quality of the matches."""
        return pd.DataFrame(
            {
                "estimate": self.att,
                "population": self.estimand,
                "n_treated": self.n_treated,
                "n_matched": self.n_matched,
                "n_unmatched": self.n_unmatched,
                "n_controls_used": self.n_controls_used,
                "tied_share": self.tied_share,
                "mean_distance": self.distances.mean(),
                "max_distance": self.distances.max(),
            },
            index=pd.Index(["att"], name="quantity"),
        )


@dataclass(frozen=True, eq=False)
class _Groups:
    """Units of one arm, collapsed to distinct scores in increasing order."""

    scores: np.ndarray
    sizes: np.ndarray
    means: np.ndarray
    member: np.ndarray


@dataclass(frozen=True, eq=False)
class _Flows:
    """How many treated units of group `treated` are matched to control group `control`.

    `tied` counts the controls among which the choice was a tie, the chosen one included.
    """

    treated: np.ndarray
    control: np.ndarray
    pairs: np.ndarray
    tied: np.ndarray


def match_nearest(
    frame: pd.DataFrame,
    *,
    outcome: str,
    treatment: str,
    propensity: UnitValues,
    caliper: float | None = None,
    replace: bool = True,
    scale: Scale = "probability",
) -> MatchedEffect:
    """Match every treated unit to its nearest control and average the differences.

    With replacement, all controls at the smallest distance (within 1e-12) count equally. Without
    replacement, treated units are served from the highest propensity down, each taking the nearest
    control that is left; of two equally near propensities the lower is taken; controls (and treated
    units) of one propensity are exchangeable, so each receives its expected share over all ways to
    break the tie. Neither depends on the order of the rows, and neither looks at outcomes.

    Parameters
    ----------
    frame : DataFrame, shape (unit, ...)
        One row per unit.
    outcome, treatment : str
        Columns; the treatment is coded 0/1.
    propensity : str, Series, ndarray or DataArray
        P(treated | covariates) inside (0, 1): column name; values, shape (unit,); or draws, dims
        (chain, draw, unit), of which the posterior mean is used.
    caliper : float, optional
        Largest distance allowed, on `scale`. Treated units with no control that near stay
        unmatched, which changes the estimand.
    replace : bool, default True
        Whether a control may serve several treated units.
    scale : {"probability", "logit"}
        Distance is the difference of propensities or of their logits.

    Returns
    -------
    MatchedEffect
        A point estimate without an interval.

    Raises
    ------
    DataError
        If a column or the propensity cannot be used, or no treated unit finds a match.
    SpecError
        If `caliper` is not positive or `scale` is unknown.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_hte as hte
    >>> frame = pd.DataFrame({"y": [1, 2, 4, 6], "t": [0, 0, 1, 1], "e": [0.4, 0.5, 0.4, 0.5]})
    >>> matched = hte.match_nearest(frame, outcome="y", treatment="t", propensity="e")
    >>> matched.att, matched.estimand
    (3.5, 'all 2 treated units')
    """
    if caliper is not None and not caliper > 0:
        raise SpecError(f"caliper must be positive (a largest distance) or None, got {caliper}.")
    if scale not in ("probability", "logit"):
        raise unknown_name("scale", scale, ("probability", "logit"))
    y, arm = numbers(frame, outcome, "outcome"), treated(frame, treatment)
    score = point_propensity(frame, propensity)
    score = _snap(logit(score) if scale == "logit" else score)
    treated_groups, controls = _groups(score[arm], y[arm]), _groups(score[~arm], y[~arm])
    limit = np.inf if caliper is None else caliper + SAME
    match = _with_replacement if replace else _without_replacement
    flows = match(treated_groups, controls, limit)
    if not flows.pairs.size:
        raise DataError(f"no treated unit has a control within caliper {caliper}; widen it.")
    return _result(frame.index, arm, treated_groups, controls, flows, scale)


def _snap(score: np.ndarray) -> np.ndarray:
    """Give scores that differ by rounding alone one common value."""
    values, inverse = np.unique(score, return_inverse=True)
    first = np.concatenate([[True], np.diff(values) > SAME])
    return values[first][(np.cumsum(first) - 1)[inverse]]


def _groups(score: np.ndarray, y: np.ndarray) -> _Groups:
    values, member, sizes = np.unique(score, return_inverse=True, return_counts=True)
    return _Groups(values, sizes, np.bincount(member, y) / sizes, member)


def _with_replacement(treated: _Groups, controls: _Groups, limit: float) -> _Flows:
    above = np.searchsorted(controls.scores, treated.scores)
    last = controls.scores.size - 1
    low, high = np.clip(above - 1, 0, last), np.clip(above, 0, last)
    to_low = np.abs(treated.scores - controls.scores[low])
    to_high = np.abs(controls.scores[high] - treated.scores)
    nearest = np.minimum(to_low, to_high)
    use_low = to_low <= nearest + SAME
    use_high = (to_high <= nearest + SAME) & ~(use_low & (low == high))
    share = controls.sizes[low] * use_low + controls.sizes[high] * use_high
    parts = []
    for group, use in ((low, use_low), (high, use_high)):
        rows = np.flatnonzero(use & (nearest <= limit))
        pairs = treated.sizes[rows] * controls.sizes[group[rows]] / share[rows]
        parts.append((rows, group[rows], pairs, share[rows]))
    return _Flows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _without_replacement(treated: _Groups, controls: _Groups, limit: float) -> _Flows:
    left = controls.sizes.copy()
    # Links skip exhausted groups and are shortened as they are followed, so the whole pass is
    # nearly linear. Position k means group k - 1 going down (0: none left) and group k going up.
    down, up = list(range(left.size + 1)), list(range(left.size + 1))
    above = np.searchsorted(controls.scores, treated.scores).tolist()
    flows: list[tuple[int, int, int]] = []
    for group in range(treated.scores.size - 1, -1, -1):
        wanted, value = int(treated.sizes[group]), treated.scores[group]
        while wanted:
            low, high = _follow(down, above[group]), _follow(up, above[group])
            to_low = value - controls.scores[low - 1] if low else np.inf
            to_high = controls.scores[high] - value if high < left.size else np.inf
            if np.isinf(nearest := min(to_low, to_high)) or nearest > limit:
                break
            control = low - 1 if to_low <= to_high + SAME else high
            taken = min(wanted, int(left[control]))
            flows.append((group, control, taken))
            wanted -= taken
            left[control] -= taken
            if not left[control]:
                down[control + 1], up[control] = control, control + 1
    groups, taken_from, pairs = np.array(flows, dtype=np.int64).reshape(-1, 3).T
    return _Flows(groups, taken_from, pairs.astype(np.float64), controls.sizes[taken_from])


def _follow(links: list[int], start: int) -> int:
    """Follow links to one that points at itself, halving the path on the way."""
    while links[start] != start:
        links[start] = links[links[start]]
        start = links[start]
    return start


def _result(
    index: pd.Index,
    arm: np.ndarray,
    treated: _Groups,
    controls: _Groups,
    flows: _Flows,
    scale: Scale,
) -> MatchedEffect:
    t, c, pairs = flows.treated, flows.control, flows.pairs
    distance = np.abs(treated.scores[t] - controls.scores[c])
    matched = np.bincount(t, pairs, minlength=treated.scores.size)
    used = np.bincount(c, pairs, minlength=controls.scores.size)
    with np.errstate(invalid="ignore"):
        mean_distance = np.bincount(t, pairs * distance, minlength=matched.size) / matched
    weights = np.empty(arm.size)
    weights[arm] = (matched / treated.sizes)[treated.member]
    weights[~arm] = (used / controls.sizes)[controls.member]
    n_treated, n_matched = int(arm.sum()), round(matched.sum())
    back = expit if scale == "logit" else np.asarray
    return MatchedEffect(
        att=float(np.average(treated.means[t] - controls.means[c], weights=pairs)),
        estimand=_estimand(n_matched, n_treated),
        distances=pd.Series(mean_distance[treated.member], index[arm], name="distance"),
        weights=pd.Series(weights, index, name="weight"),
        matches=pd.DataFrame(
            {
                "propensity_treated": back(treated.scores[t]),
                "propensity_control": back(controls.scores[c]),
                "distance": distance,
                "pairs": pairs,
                "tied_controls": flows.tied,
            }
        ),
        n_treated=n_treated,
        n_matched=n_matched,
        n_unmatched=n_treated - n_matched,
        n_controls_used=int((weights[~arm] > 0).sum()),
        tied_share=float(pairs[flows.tied > 1].sum() / pairs.sum()),
    )


def _estimand(n_matched: int, n_treated: int) -> str:
    if n_matched == n_treated:
        return f"all {n_treated} treated units"
    return f"the {n_matched} of {n_treated} treated units with a match; not the ATT of all treated"
