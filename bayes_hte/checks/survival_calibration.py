"""Predicted against observed survival of one time, in bins of the prediction.

Each unit's probability of surviving a time is predicted from all other units, in its own arm. In
bins of equal size of that probability its mean is compared with the Kaplan-Meier estimate of the
bin, whose error is that of the bin's pseudo-observations (which are its mean's jackknife values).

References
----------
D'Agostino, R. B., Nam, B.-H. (2003). Evaluation of the performance of survival analysis models:
discrimination and calibration measures. Handbook of Statistics 23, 1-25.
doi:10.1016/S0169-7161(03)23001-7
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import special, stats

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.subject import Subject
from bayes_hte.companions.jackknife import pseudo_observations
from bayes_hte.errors import DataError
from bayes_hte.names import SAMPLE, UNIT
from bayes_hte.targeting.buckets import quantile_codes

NAME = "calibration of predicted survival"
# A model that is right fails in this share of studies.
ALPHA = 0.005
N_BINS = 5
BAND = 0.95


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """Judge predicted survival of the median event time up to the horizon; see the module."""
    if subject.study.event is None:
        return ()
    study = subject.study.with_outcome()
    if study.roles.upper is not None:
        text = "Not judged: times lie in intervals, so who had survived a time is not known."
        return (CheckResult(NAME, None, pd.DataFrame(), text),)
    time, event = study.outcome(), study.event
    at = float(np.median(time[event & (time <= subject.fit.horizon)]))
    result = survival_calibration(
        left_out_survival(subject, at), time, event, at=at, entry=study.entry
    )
    return (result,)


def left_out_survival(subject: Subject, at: float) -> np.ndarray:
    """Return each unit's probability of surviving a time, predicted from all others.

    Parameters
    ----------
    subject : Subject
        With a fit of times to an event.
    at : float
        The time.

    Returns
    -------
    ndarray, shape (unit,)
        Of the units with a time, in their own arm.
    """
    family = subject.fit.components["outcome"].family.given(None)
    found = 0.0
    for label, fit in subject.candidates.items():
        eta = fit.observed_predictor()
        logs = subject.left_out_scores[label].log_weights.transpose(*SAMPLE, UNIT).to_numpy()
        weights = special.softmax(logs.reshape(-1, logs.shape[-1]), axis=0)
        survival = 1 - family.cdf(
            np.full(eta.sizes[UNIT], at), eta.to_numpy(), fit.observed_noise()
        )
        found += subject.weights[label] * (weights * survival.reshape(weights.shape)).sum(axis=0)
    return found


def survival_calibration(
    predicted: np.ndarray,
    time: np.ndarray,
    event: np.ndarray,
    *,
    at: float,
    entry: np.ndarray | None = None,
    n_bins: int = N_BINS,
) -> CheckResult:
    """Judge predicted probabilities of surviving a time.

    Parameters
    ----------
    predicted : ndarray, shape (unit,)
        Probability of surviving `at` in the unit's own arm, from a model that has not seen the
        unit.
    time, event : ndarray, shape (unit,)
        Observed times, and whether the event was seen.
    at : float
        The time.
    entry : ndarray, shape (unit,), optional
        Times from which units were observed.
    n_bins : int, default 5
        Bins wanted; ties give fewer.

    Returns
    -------
    CheckResult
        Fails if the distances of all bins together have a chi-square p-value below .005. One row
        per bin: ``units``, ``predicted``, ``observed`` (Kaplan-Meier), ``ci_lower`` and
        ``ci_upper`` (95% confidence, normal).
    """
    try:
        codes = quantile_codes(predicted, n_bins)
    except DataError:
        text = "The model predicts the same survival for everybody, so there are no bins."
        return CheckResult(NAME, None, pd.DataFrame(), text)
    rows = []
    for b in range(codes.max() + 1):
        own = codes == b
        given = None if entry is None else entry[own]
        values = pseudo_observations(time[own], event[own], horizon=at, at=at, entry=given)
        mean = float(predicted[own].mean())
        # Where nobody failed the jackknife sees no error; the prediction says how much there is.
        variance = max(float(values.var(ddof=1)), mean * (1 - mean)) / own.sum()
        error = stats.norm.ppf((1 + BAND) / 2) * np.sqrt(variance)
        rows.append(
            {
                "bin": b + 1,
                "units": int(own.sum()),
                "predicted": mean,
                "observed": float(values.mean()),
                "ci_lower": float(np.clip(values.mean() - error, 0, 1)),
                "ci_upper": float(np.clip(values.mean() + error, 0, 1)),
                "squared": (values.mean() - mean) ** 2 / variance if variance > 0 else 0.0,
            }
        )
    table = pd.DataFrame(rows).set_index("bin")
    p = float(stats.chi2.sf(table.pop("squared").sum(), len(table)))
    words = (
        f"Observed and predicted survival of time {at:.3g}, in {len(table)} bins of the left-out "
        f"prediction, {'agree' if p >= ALPHA else 'differ by more than chance'} (chi-square "
        f"p = {p:.2g}, {ALPHA} wanted)."
    )
    if p < ALPHA:
        words += " Another family, or noise that differs by arm, may fit better."
    return CheckResult(NAME, p >= ALPHA, table, words)
