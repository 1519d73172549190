"""The average effect of a fit in another population, and who of it the study says nothing about.

Effects are carried over by their covariates: everybody is given the effect that the study has
learned for people like them. That takes two things: what makes effects differ between study and
population is among the covariates (no data can show that), and the study has people like those of
the population (that is checked, row by row).

References
----------
Dahabreh, I. J., Robertson, S. E., Steingrimsson, J. A., Stuart, E. A., Hernan, M. A. (2020).
Extending inferences from a randomized trial to a new target population. Statistics in Medicine 39,
1999-2014. doi:10.1002/sim.8426
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte import effects
from bayes_hte.checks.base import CheckResult
from bayes_hte.companions.population_overlap import PopulationOverlap, population_overlap
from bayes_hte.effects.averages import unit_weights
from bayes_hte.effects.summaries import summarize
from bayes_hte.errors import DataError
from bayes_hte.fitting.fitted import Fit
from bayes_hte.names import UNIT
from bayes_hte.seeds import stage_seed
from bayes_hte.study.frames import as_table, unit_labels

NAME = "overlap with the other population"
# Share of the population that may lie outside the study before the average is an extrapolation.
MAX_EXTRAPOLATED = 0.05
MOST_REASONS = 5


@dataclass(frozen=True, eq=False)
class Transport:
    """An average effect in another population.

    Attributes
    ----------
    effect : DataArray, dims (chain, draw)
        Average over the population, in outcome units.
    within : DataArray, dims (chain, draw), or None
        The average over those that the study has people like; None if there are none.
    units : DataArray, dims (chain, draw, unit)
        Effects of the rows.
    table : DataFrame, index unit
        For each row ``weight`` (they sum to 1), ``distance`` to the study, ``extrapolated`` and
        ``why``.
    check : CheckResult
        The check of overlap between the study and the population.
    """

    effect: xr.DataArray
    within: xr.DataArray | None
    units: xr.DataArray
    table: pd.DataFrame
    check: CheckResult

    def summary(self, *, ci_prob: float = 0.95) -> pd.DataFrame:
        """Summarise both averages, with the columns of :func:`bayes_hte.summarize`.

        Parameters
        ----------
        ci_prob : float, default 0.95
            Posterior probability of the interval, which is equal-tailed.

        Returns
        -------
        DataFrame, index quantity
            ``population`` and, if anybody is left, ``within``; ``share`` is the part of the
            population each is the average of.
        """
        parts = {"population": self.effect, "within": self.within}
        kept = {name: part for name, part in parts.items() if part is not None}
        table = summarize(xr.Dataset({k: v.drop_attrs() for k, v in kept.items()}), ci_prob=ci_prob)
        inside = float(self.table.loc[~self.table["extrapolated"], "weight"].sum())
        return table.assign(share=[1.0, inside][: len(table)])


def transport(
    fit: Fit,
    frame: pd.DataFrame,
    weights: str | pd.Series | np.ndarray | Sequence[float] | None = None,
) -> Transport:
    """Average the effects of a fit over another population, and check who is extrapolated.

    Parameters
    ----------
    fit : Fit
        The fitted study.
    frame : DataFrame, shape (row, ...)
        Covariates of a sample of the population (or of all of it), with the columns and levels of
        the study; neither outcome nor treatment is needed.
    weights : str, Series or ndarray, shape (row,), optional
        Members of the population that each row stands for, up to a factor: a column of `frame`, or
        values. Default: the same number.

    Returns
    -------
    Transport
        The average is over the population that the rows are a sample of (PATE): a Bayesian
        bootstrap over the rows is part of its posterior.

    Raises
    ------
    DataError
        If the rows lack a covariate, or hold a level, or gaps, that the study has not.
    SpecError
        If a weight is negative or missing, or all are 0.
    UnsupportedError
        If the study has more than two arms; take ``fit.two_arms(...)``.

    Examples
    --------
    >>> import numpy as np
    >>> import bayes_hte as hte
    >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
    >>> study = hte.Study.from_frame(frame, outcome="y", treatment="treat", covariates=["x1", "x2"])
    >>> fit = hte.fit(study, seed=1, draws=20, tune=20, chains=2, progress=False, stack_with=[])
    >>> older = frame.assign(x1=frame["x1"] + 10)
    >>> found = hte.transport(fit, older)
    >>> found.check.state, found.within
    ('FAIL', None)
    >>> found.effect.dims
    ('chain', 'draw')
    """
    fit.study.check_two_arms("an average in another population")
    frame = as_table(frame, "the other population")
    if not len(frame):
        raise DataError("the other population has no rows.")
    frame = frame.set_axis(unit_labels(frame.index, frame.columns), axis=0)
    units = fit.cate(frame)
    given = _weights(frame, weights, units)
    overlap = population_overlap(
        fit.study.covariate_frame(),
        frame[list(fit.study.roles.covariates)],
        fit.components["outcome"].design.columns("covariates"),
    )
    table = overlap.table.assign(weight=given / given.sum())
    inside = ~overlap.extrapolated & (given > 0)
    rng = np.random.default_rng(stage_seed(fit.seed, "transport"))
    return Transport(
        effect=effects.average(units, population="PATE", rng=rng, weights=given),
        within=effects.average(
            units.isel({UNIT: inside}), population="PATE", rng=rng, weights=given[inside]
        )
        if inside.any()
        else None,
        units=units,
        table=table[["weight", "distance", "extrapolated", "why"]],
        check=_check(overlap, table),
    )


def _weights(
    frame: pd.DataFrame,
    weights: str | pd.Series | np.ndarray | Sequence[float] | None,
    units: xr.DataArray,
) -> np.ndarray:
    if weights is None:
        return np.ones(len(frame))
    if isinstance(weights, str):
        if weights not in frame.columns:
            raise DataError(
                f"the other population has no column {weights!r}; name the column of its weights, "
                "or pass them as values."
            )
        weights = frame[weights].to_numpy()
    return unit_weights(weights, units)


def _check(overlap: PopulationOverlap, table: pd.DataFrame) -> CheckResult:
    """Judge the share of the population that the study has nobody like."""
    out = table[table["extrapolated"]]
    share = float(out["weight"].sum())
    counts: Counter[str] = Counter()
    for found, weight in zip(overlap.reasons, table["weight"], strict=True):
        for reason in found:
            counts[reason] += weight
    reasons = counts.most_common(MOST_REASONS)
    text = "The study has people like everybody in the population."
    if share:
        named = "; ".join(f"{reason} ({part:.1%})" for reason, part in reasons)
        text = (
            f"The study has nobody like {share:.1%} of the population: {named}. Their effects are "
            "extrapolated"
            + (
                ", and with them the average: use the average over the others, or describe the "
                "population more narrowly."
                if share > MAX_EXTRAPOLATED
                else ", which is little enough for the average to stand."
            )
        )
    numbers = pd.DataFrame(
        {"share of the population": dict(reasons) | {"extrapolated": share}}
    ).rename_axis("reason")
    return CheckResult(NAME, share <= MAX_EXTRAPOLATED, numbers, text)
