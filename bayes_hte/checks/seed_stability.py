"""Dependence of the answer on the seed: the same plan refitted with others, and compared.

A seed decides nothing about the world. Where another one gives another average effect, another
ranking or another sign of benefit, the sampling is too short or the chains sit in different modes,
and the intervals of the reported fit do not show it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from joblib import Parallel, delayed
from scipy.stats import spearmanr

from bayes_hte.checks.base import CheckResult, not_judged
from bayes_hte.checks.refitting import (
    CI_KIND,
    CI_PROB,
    average_effect,
    check_n_jobs,
    refit_plan,
)
from bayes_hte.checks.subject import Subject
from bayes_hte.effects.arguments import check_number
from bayes_hte.effects.summaries import interval_words
from bayes_hte.errors import BayesHTEError, DataError
from bayes_hte.names import SAMPLE, UNIT
from bayes_hte.seeds import children, number_of
from bayes_hte.study.study import Study

if TYPE_CHECKING:
    from bayes_hte.fitting.fitted import Fit
    from bayes_hte.fitting.plan import Plan

NAME = "seed stability"

MAX_DIFFERENCE = 0.25
"""Difference of two average effects, in posterior standard deviations. Two fits with 400 effective
draws differ by 0.07 by chance; an interval moved by 0.25 still covers in 94.3% instead of 95%."""
MIN_RANK_CORRELATION = 0.9
"""Spearman correlation of posterior-mean individual effects: at 0.9 both fits rank two units in the
same order in about 6 of 7 pairs (normal effects)."""
MAX_SIGN_CHANGES = 0.05
"""Share of units whose posterior-mean effect changes its sign: beyond it, the seed would decide for
more than one person in twenty whether the treatment helps or harms."""


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """Refit with other seeds if they are asked for; see :func:`seed_stability`."""
    if subject.other_seeds is None:
        return ()
    return (seed_stability(subject.fit, **subject.other_seeds),)


def seed_stability(
    fit: Fit,
    *,
    seeds: int = 2,
    draws: int = 500,
    tune: int = 300,
    chains: int = 4,
    n_jobs: int = 1,
) -> CheckResult:
    """Refit the full model with other seeds and compare individual and average effects.

    Parameters
    ----------
    fit : Fit
        The fit in question; its plan is refitted.
    seeds : int, default 2
        Further seeds, derived from the seed of the fit.
    draws, tune, chains : int
        Size of each refit. Take those of the fit: shorter refits differ more.
    n_jobs : int, default 1
        Processes (joblib); the results do not depend on it.

    Returns
    -------
    CheckResult
        As from :func:`compare_seeds`, the fit first. Fails, with the reason, if a refit could not
        be run.

    Raises
    ------
    SpecError
        If `seeds` or `n_jobs` is out of range.
    """
    allowed = "a whole number, at least 1"
    check_number("seeds", seeds, allowed, lambda n: n >= 1, whole=True, hint="2 is usual")
    check_n_jobs(n_jobs)
    numbers = [number_of(child) for child in children(fit.seed, seeds)]
    size = {"draws": draws, "tune": tune, "chains": chains}
    # Two arms of a fit of more are compared with the same two arms of such fits.
    whole = fit.whole or fit
    pair = None if fit.whole is None else fit.study.arms
    try:
        cates = Parallel(n_jobs=n_jobs)(
            delayed(_refitted_cate)(whole.study, fit.plan, number, size, pair) for number in numbers
        )
    except BayesHTEError as error:
        return not_judged(NAME, error)
    return compare_seeds({fit.seed: fit.cate(), **dict(zip(numbers, cates, strict=True))})


def compare_seeds(cates: Mapping[int, xr.DataArray]) -> CheckResult:
    """Judge whether fits that differ in their seed alone agree.

    Parameters
    ----------
    cates : mapping of int to DataArray, dims (chain, draw, unit)
        Individual effects of the same units by seed; the others are compared with the first.

    Returns
    -------
    CheckResult
        Fails if another seed moves the average effect by more than a quarter of its posterior sd,
        ranks units with a Spearman correlation below 0.9, or changes the sign of the posterior-mean
        effect of more than 5% of them. Effects that are the same for every unit have no ranking,
        which is then not judged. One row of the table per seed: ``sate``, ``sd``, ``lower``,
        ``upper``, ``spread`` (in outcome units), ``difference`` (from the first, in posterior
        standard deviations), ``rank correlation``, ``sign changes`` (share of the units).

    Raises
    ------
    DataError
        If there are fewer than two fits, their units differ, or a draw is not finite.
    """
    if len(cates) < 2:
        raise DataError(f"comparing seeds needs at least two fits, got {len(cates)}.")
    (first_seed, first), *_ = cates.items()
    means = {seed: cate.mean(SAMPLE) for seed, cate in cates.items()}
    reference = average_effect(first)
    rows = {}
    for seed, cate in cates.items():
        if not np.array_equal(cate[UNIT], first[UNIT]):
            raise DataError(f"the fit of seed {seed} is about other units than the first.")
        if not bool(np.isfinite(cate).all()):
            raise DataError(f"the fit of seed {seed} has draws that are not finite.")
        average = average_effect(cate)
        # Both posteriors estimate one standard deviation; their mean square is steadier.
        sd = math.sqrt((average.sd**2 + reference.sd**2) / 2)
        a, b = (means[s].to_numpy() for s in (seed, first_seed))
        rows[seed] = {
            "sate": average.ate,
            "sd": average.sd,
            "lower": average.lower,
            "upper": average.upper,
            "spread": average.spread,
            "difference": (average.ate - reference.ate) / sd,
            "rank correlation": _rank_correlation(a, b),
            "sign changes": float(np.mean(np.sign(a) != np.sign(b))),
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("seed")
    table.attrs |= {"ci_prob": CI_PROB, "ci_kind": CI_KIND}
    return _judged(table)


def _refitted_cate(
    study: Study, plan: Plan, seed: int, size: Mapping[str, int], arms: tuple[Any, ...] | None
) -> xr.DataArray:
    refitted = refit_plan(study, plan, seed=seed, **size)
    return refitted.cate() if arms is None else refitted.two_arms(arms[1], arms[0]).cate()


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman correlation; 0 if only one of the two differs between units, NaN if neither does."""
    constant = [np.ptp(x) <= 1e-9 * np.abs(x).max() for x in (a, b)]
    if any(constant):
        return math.nan if all(constant) else 0.0
    return float(spearmanr(a, b).statistic)


def _judged(table: pd.DataFrame) -> CheckResult:
    others = table.iloc[1:]
    difference = float(others["difference"].abs().max())
    correlation = float(others["rank correlation"].min())
    changes = float(others["sign changes"].max())
    problems = []
    if difference > MAX_DIFFERENCE:
        problems.append("the average effect depends on the seed: sample longer")
    if correlation < MIN_RANK_CORRELATION:
        problems.append("the ranking of units depends on the seed: do not use it")
    if changes > MAX_SIGN_CHANGES:
        problems.append("who benefits depends on the seed: do not read the signs of single units")
    ranks = (
        "effects do not differ between units, so there is no ranking"
        if math.isnan(correlation)
        else f"rank correlation of individual effects at least {correlation:.2f} "
        f"({MIN_RANK_CORRELATION:g} needed)"
    )
    text = (
        f"Over {len(table)} seeds of the full model the average effect moves by at most "
        f"{difference:.2f} of its posterior sd ({MAX_DIFFERENCE:g} allowed); {ranks}; the sign of "
        f"the effect changes in at most {100 * changes:.1f}% of the units "
        f"({100 * MAX_SIGN_CHANGES:g}% allowed). Intervals of the table: "
        f"{interval_words(CI_PROB, CI_KIND)}."
    )
    if problems:
        text += f" But {'; '.join(problems)}."
    return CheckResult(NAME, not problems, table, text)
