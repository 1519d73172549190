"""Overlap of the arms in the propensity: a report with a conclusion, and trimming.

References
----------
Crump, R. K., Hotz, V. J., Imbens, G. W., Mitnik, O. A. (2009). Dealing with limited overlap in
estimation of average treatment effects. Biometrika 96, 187-199. doi:10.1093/biomet/asn055
Petersen, M. L., Porter, K. E., Gruber, S., Wang, Y., van der Laan, M. J. (2012). Diagnosing and
responding to violations in the positivity assumption. Statistical Methods in Medical Research 21,
31-54. doi:10.1177/0962280210386207
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayes_hte.companions.inputs import ARMS, UnitValues, point_propensity, treated
from bayes_hte.errors import DataError, SpecError

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


@dataclass(frozen=True, eq=False)
class OverlapReport:
    """The extent to which the arms can be compared.

    Attributes
    ----------
    table : DataFrame, index (control, treated)
        ``n``; quantiles ``q0`` (minimum) to ``q100`` (maximum) of the propensity;
        ``outside_support``: share of the arm outside the range both arms share; ``beyond_LO_HI``:
        share of the arm outside [LO, HI], one column for each requested pair.
    common_support : (float, float)
        Larger of the two minima and smaller of the two maxima; empty if the first is larger.
    passed : bool
        Whether no reason was found against comparing the arms.
    reasons : tuple of str
        Each broken rule with its numbers; empty if passed.
    """

    table: pd.DataFrame
    common_support: tuple[float, float]
    passed: bool
    reasons: tuple[str, ...]

    @property
    def conclusion(self) -> str:
        """The conclusion in one sentence."""
        if self.passed:
            return "overlap is adequate by the stated rules"
        return "near-positivity violation: " + "; ".join(self.reasons)

    @property
    def verdict(self) -> str:
        """An older name of :attr:`conclusion`: a verdict is that of :func:`bayes_hte.verdict`."""
        return self.conclusion

    def summary(self) -> pd.DataFrame:
        """Return the table by arm with the conclusion."""
        return self.table.assign(passed=self.passed, verdict=self.conclusion)


@dataclass(frozen=True, eq=False)
class Trimmed:
    """Units kept by a rule on the propensity, and the name of an effect among them.

    Attributes
    ----------
    frame : DataFrame
        The kept rows, a copy.
    kept : Series of bool, shape (unit,)
        On the index of the original frame.
    estimand : str
        The population every later estimate is about.
    counts : DataFrame, index (control, treated)
        ``n``, ``n_kept`` and ``n_dropped`` of each arm.
    """

    frame: pd.DataFrame
    kept: pd.Series
    estimand: str
    counts: pd.DataFrame

    def summary(self) -> pd.DataFrame:
        """Return the counts by arm with the estimand."""
        return self.counts.assign(population=self.estimand)


def overlap_report(
    frame: pd.DataFrame,
    *,
    treatment: str,
    propensity: UnitValues,
    beyond: Sequence[tuple[float, float]] = ((0.05, 0.95), (0.1, 0.9)),
    max_outside_support: float = 0.05,
    max_beyond: float = 0.05,
) -> OverlapReport:
    """Describe the propensity of each arm and judge whether the arms overlap.

    The conclusion is "near-positivity violation" if any of these holds: the arms share no range of
    propensities; more than `max_outside_support` of an arm is outside the shared range; more than
    `max_beyond` of an arm is outside the *first* interval of `beyond`. The thresholds are
    conventions, not theorems; the table has the numbers.

    Parameters
    ----------
    frame : DataFrame, shape (unit, ...)
        One row per unit.
    treatment : str
        Column coded 0/1.
    propensity : str, Series, ndarray or DataArray
        Inside (0, 1): column name; values, shape (unit,); or draws, dims (chain, draw, unit), of
        which the posterior mean is used.
    beyond : sequence of (low, high), default ((0.05, 0.95), (0.1, 0.9))
        Intervals whose outside is counted; the first decides.
    max_outside_support, max_beyond : float, default 0.05
        Largest tolerated shares of an arm, in [0, 1].

    Returns
    -------
    OverlapReport

    Raises
    ------
    DataError
        If a column or the propensity cannot be used.
    SpecError
        If an interval or a threshold is not meaningful.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_hte as hte
    >>> frame = pd.DataFrame({"y": [1, 2, 4, 6], "t": [0, 0, 1, 1], "e": [0.4, 0.5, 0.4, 0.5]})
    >>> report = hte.overlap_report(frame, treatment="t", propensity="e")
    >>> report.common_support, report.conclusion
    ((0.4, 0.5), 'overlap is adequate by the stated rules')
    """
    if not len(beyond):
        raise SpecError("beyond is empty: give at least one interval, e.g. [(0.05, 0.95)].")
    for pair in beyond:
        _check_bounds(pair, "beyond")
    for name, share in (("max_outside_support", max_outside_support), ("max_beyond", max_beyond)):
        if not 0 <= share <= 1:
            raise SpecError(f"{name} is a share and must be in [0, 1], got {share}.")
    arm = treated(frame, treatment)
    score = point_propensity(frame, propensity)
    support = (
        float(max(score[arm].min(), score[~arm].min())),
        float(min(score[arm].max(), score[~arm].max())),
    )
    table = pd.DataFrame(
        [_describe(score[group], support, beyond) for group in (~arm, arm)],
        index=pd.Index(ARMS, name="arm"),
    )
    reasons = _reasons(table, support, beyond[0], max_outside_support, max_beyond)
    return OverlapReport(table, support, not reasons, reasons)


def trim(
    frame: pd.DataFrame,
    *,
    treatment: str,
    propensity: UnitValues,
    bounds: tuple[float, float] = (0.1, 0.9),
) -> Trimmed:
    """Keep the units whose propensity lies within bounds, and rename the estimand.

    The trimmed population is one that could have received either arm. It is not the population of
    the study, so its effect has another name. Fit propensity and outcome models again on the kept
    rows.

    Parameters
    ----------
    frame : DataFrame, shape (unit, ...)
        One row per unit.
    treatment : str
        Column coded 0/1.
    propensity : str, Series, ndarray or DataArray
        Inside (0, 1): column name; values, shape (unit,); or draws, dims (chain, draw, unit), of
        which the posterior mean is used.
    bounds : (float, float), default (0.1, 0.9)
        Smallest and largest propensity kept, both included. The default is the rule of thumb of
        Crump et al. (2009); pass ``overlap_report(...).common_support`` for the shared range.

    Returns
    -------
    Trimmed

    Raises
    ------
    DataError
        If a column or the propensity cannot be used, or an arm would have no unit left.
    SpecError
        If `bounds` are not increasing inside (0, 1).

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_hte as hte
    >>> frame = pd.DataFrame({"y": [1, 2, 4, 6], "t": [0, 0, 1, 1], "e": [0.4, 0.5, 0.4, 0.5]})
    >>> trimmed = hte.trim(frame, treatment="t", propensity="e", bounds=(0.45, 0.55))
    >>> trimmed.kept.tolist()
    [False, True, False, True]
    """
    _check_bounds(bounds, "bounds")
    arm = treated(frame, treatment)
    score = point_propensity(frame, propensity)
    keep = (score >= bounds[0]) & (score <= bounds[1])
    n = np.array([(~arm).sum(), arm.sum()])
    kept = np.array([(keep & ~arm).sum(), (keep & arm).sum()])
    if not kept.all():
        raise DataError(
            f"within {list(bounds)} only {kept[0]} controls and {kept[1]} treated units remain; "
            "both arms are needed. Widen the bounds, or conclude that the arms do not overlap."
        )
    counts = pd.DataFrame({"n": n, "n_kept": kept, "n_dropped": n - kept}, index=list(ARMS))
    return Trimmed(
        frame=frame.loc[keep].copy(),
        kept=pd.Series(keep, frame.index, name="kept"),
        estimand=_estimand(bounds, int(keep.sum()), keep.size),
        counts=counts.rename_axis("arm"),
    )


def _check_bounds(bounds: tuple[float, float], name: str) -> None:
    if not (len(bounds) == 2 and 0 < bounds[0] < bounds[1] < 1):
        raise SpecError(
            f"{name} must be two increasing propensities inside (0, 1), got {bounds}; "
            "try (0.1, 0.9)."
        )


def _describe(
    score: np.ndarray, support: tuple[float, float], beyond: Sequence[tuple[float, float]]
) -> dict[str, float]:
    quantiles = np.quantile(score, QUANTILES)
    row = {"n": score.size} | {
        f"q{100 * p:g}": float(q) for p, q in zip(QUANTILES, quantiles, strict=True)
    }
    row["outside_support"] = _share_outside(score, support)
    return row | {_beyond_name(pair): _share_outside(score, pair) for pair in beyond}


def _beyond_name(pair: tuple[float, float]) -> str:
    return f"beyond_{pair[0]:g}_{pair[1]:g}"


def _share_outside(score: np.ndarray, bounds: tuple[float, float]) -> float:
    return float(np.mean((score < bounds[0]) | (score > bounds[1])))


def _reasons(
    table: pd.DataFrame,
    support: tuple[float, float],
    beyond: tuple[float, float],
    max_outside_support: float,
    max_beyond: float,
) -> tuple[str, ...]:
    if support[0] > support[1]:
        return ("the arms share no range of propensities: the effect is extrapolation everywhere",)
    rules = (
        ("outside_support", max_outside_support, f"the common support {_interval(support)}"),
        (_beyond_name(beyond), max_beyond, _interval(beyond)),
    )
    return tuple(
        f"{share:.1%} of the {'controls' if arm == 'control' else 'treated'} lie outside {words} "
        f"(tolerated: {limit:.1%})"
        for column, limit, words in rules
        for arm, share in table[column].items()
        if share > limit
    )


def _interval(bounds: tuple[float, float]) -> str:
    return f"[{bounds[0]:.3g}, {bounds[1]:.3g}]"


def _estimand(bounds: tuple[float, float], n_kept: int, n: int) -> str:
    words = f"units with a propensity in [{bounds[0]:.4g}, {bounds[1]:.4g}]"
    if n_kept == n:
        return f"all {n} {words}: nobody was dropped"
    return f"the {n_kept} of {n} {words}; not the population of the study"
