"""Whether predicted differences between units show in outcomes the predictions have not seen.

In-sample posteriors of the spread of effects cannot answer this: they are never at zero, and on
data without any heterogeneity they put most of their mass above small margins. Here the effects of
units are predicted without their own outcomes, and compared with scores whose expectation is the
effect of the unit. Two numbers, each with the posterior of a Bayesian bootstrap over units:

- the **slope** of the scores on the predicted effects: 1 if predicted differences are borne out, 0
  if they are noise (Chernozhukov et al. 2018);
- the **AUTOC**, the area under the targeting curve: above 0 if treating those ranked first is
  better than treating at random (Yadlowsky et al. 2024).

Left-out predictions are around one average effect (:mod:`bayes_hte.targeting.left_out`); otherwise
the slope would lie below 0 where effects are equal, and moderate differences would not be found.
The required probabilities are meant to bound the rate of false claims near 2% for one study; the
rates in planted cases are measured in tests/benchmarks/TRUST.md.

References
----------
Chernozhukov, V., Demirer, M., Duflo, E., Fernandez-Val, I. (2018). Generic machine learning
inference on heterogeneous treatment effects in randomized experiments. doi:10.3386/w24678
Yadlowsky, S., Fleming, S., Shah, N., Brunskill, E., Wager, S. (2024). Evaluating treatment
prioritization rules via rank-weighted average treatment effects. Journal of the American
Statistical Association. doi:10.1080/01621459.2024.2393466
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.subject import Subject
from bayes_hte.companions.scores import LabelledValues
from bayes_hte.effects.arguments import Better
from bayes_hte.effects.summaries import interval_words, probability_words, summarize
from bayes_hte.names import SAMPLE
from bayes_hte.seeds import stage_seed
from bayes_hte.targeting import calibration_by_bins, toc
from bayes_hte.targeting.posterior import effect_rows
from bayes_hte.targeting.posterior import posterior_mean as mean_effect

NAME = "heterogeneity in"
LEFT_OUT = f"{NAME} left-out outcomes"
HELD_OUT = f"{NAME} held-out outcomes"
# Probability that the slope is above 0 from which it shows differences by itself. Of trials with
# equal effects .02 to .04 reach .99, .00 to .02 this; hardly any with differences lie between.
SURE = 0.998
# The same, where effects also differ along a single covariate beyond chance; see
# :mod:`bayes_hte.checks.covariate_effects`.
LIKELY = 0.9
# Probability that the area is above 0 from which a ranking is claimed, if differences are shown.
RANKED = 0.99
# Probability of a slope above 0 below which it is clearly below 0.
AGAINST = 0.05
# Posterior standard deviation of a slope beyond which 0 and 1 cannot be distinguished at all.
UNREADABLE = 2.0
# Below this spread, in standard deviations of the outcome, effects are equal up to rounding.
NEGLIGIBLE = 1e-6


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """Judge heterogeneity on held-out units, if any, then on units left out one by one."""
    return tuple(
        heterogeneity_check(
            unseen.effect,
            **unseen.given(),
            better=subject.better,
            seed=bootstrap_seed(subject.fit.seed),
            name=HELD_OUT if unseen.how == "held out" else LEFT_OUT,
        )
        for unseen in subject.unseen
    )


def bootstrap_seed(seed: int) -> int:
    """Return the seed of the weights of unseen units: one, so that no number differs by place."""
    return stage_seed(seed, "unseen")


def heterogeneity_check(
    effect: xr.DataArray,
    *,
    outcome: LabelledValues,
    treatment: LabelledValues,
    propensity: LabelledValues,
    expected: xr.DataArray,
    better: Better,
    seed: int,
    name: str = LEFT_OUT,
) -> CheckResult:
    """Judge whether predicted heterogeneity is borne out.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit)
        Effects predicted without the units' own outcomes, in outcome units.
    outcome, treatment, propensity : Series, ndarray or DataArray, shape (unit,)
        Outcome, arm (0/1) and probability of arm 1 of the same units.
    expected : DataArray, dims (unit, arm)
        Expected outcomes, predicted without the units' own.
    better : {"higher", "lower"}
        Which direction of the outcome is good.
    seed : int
        Of the Bayesian bootstrap; slope and area are computed with the same weights of the units.
    name : str
        Name of the result.

    Returns
    -------
    CheckResult
        Information (``passed`` is None): equal effects are no fault. Rows ``slope`` and ``autoc``
        with their posteriors, and ``prob_positive`` of each.
    """
    rows = effect_rows(effect)
    if np.ptp(mean_effect(rows)) <= NEGLIGIBLE * np.std(np.asarray(outcome)):
        text = "The model predicts the same effect for everybody, so there is nothing to compare."
        return CheckResult(name, None, pd.DataFrame(), text)
    given = {
        "outcome": outcome,
        "treatment": treatment,
        "propensity": propensity,
        "expected": expected,
    }
    slope = calibration_by_bins(effect, n_bins=2, rng=np.random.default_rng(seed), **given).slope
    area = toc(effect, better=better, rng=np.random.default_rng(seed), **given).area
    both = xr.Dataset({"slope": slope.drop_attrs(), "autoc": area.drop_attrs()})
    table = summarize(both)
    return CheckResult(name, None, table, _text(table, slope))


def is_shown(check: CheckResult) -> bool:
    """Whether the differences between units are borne out with probability `SURE`."""
    return _probability(check, "slope") >= SURE


def is_likely(check: CheckResult) -> bool:
    """Whether the differences between units are borne out with probability `LIKELY`."""
    return _probability(check, "slope") >= LIKELY


def is_ranked(check: CheckResult) -> bool:
    """Whether the ranking beats chance with probability `RANKED`."""
    return _probability(check, "autoc") >= RANKED


def runs_against(prob_positive: float) -> bool:
    """Whether a slope is clearly below 0, given the probability that it is above 0."""
    return prob_positive <= AGAINST


def is_readable(row: Mapping[str, Any]) -> bool:
    """Whether the size of a slope says anything, given a row of its summary.

    Where predicted effects barely vary, a slope on them may be any number, of either sign.
    """
    sure = row["prob_positive"]
    return not runs_against(sure) and (row["sd"] <= UNREADABLE or sure >= SURE)


def _probability(check: CheckResult, row: str) -> float:
    if row not in check.table.index:
        return 0.0
    return float(check.table.loc[row, "prob_positive"])


def _text(table: pd.DataFrame, slope: xr.DataArray) -> str:
    row = table.loc["slope"]
    words = interval_words(row["ci_prob"], row["ci_kind"])
    sure = row["prob_positive"]
    if runs_against(sure):
        return (
            "Predicted differences of effects run against the outcomes that the predictions have "
            "not seen: units expected to benefit more benefited less (slope below 0 with "
            f"probability {probability_words(1 - sure)}). This happens where effects barely vary: "
            "predictions without a unit's own outcome then lean away from it. The differences must "
            "not be used."
        )
    if not is_readable(row):
        return (
            "Predicted differences of effects are not shown by outcomes the predictions have not "
            "seen: the predicted effects barely vary, so a slope on them has no readable size; it "
            f"is above 0 with probability {probability_words(sure)} ({SURE} wanted)."
        )
    wanted = f"{SURE} wanted, or {LIKELY} where effects differ along a covariate beyond chance"
    claim = (
        "Predicted differences of effects are not shown by outcomes the predictions have not seen"
    )
    if sure >= SURE:
        claim = claim.replace("not shown", "borne out", 1)
        wanted = f"{SURE} wanted"
    elif sure >= LIKELY:
        claim = claim.replace("not shown", "probably, but not surely, borne out", 1)
    half = float((slope < 0.5).mean(SAMPLE))
    exaggerated = (
        f" They look exaggerated: the slope is below one half with probability {half:.2f}."
        if sure >= SURE and half > 0.5
        else ""
    )
    bounds = f"{words} {row['ci_lower']:.2f} to {row['ci_upper']:.2f}"
    ranking = table.loc["autoc", "prob_positive"]
    return (
        f"{claim}: slope {row['mean']:.2f} ({bounds}; 1 if borne out in full, 0 if noise), above 0 "
        f"with probability {probability_words(sure)} ({wanted}); the ranking beats chance "
        f"with probability {probability_words(ranking)}.{exaggerated}"
    )
