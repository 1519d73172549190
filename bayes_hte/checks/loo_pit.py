"""Calibration of left-out predictions by arm: the probability integral transform of each outcome.

With ``F_i(y) = Pr(Y_i <= y | y_-i)``, the prediction of unit i from all others, the values
``u_i = F_i(y_i)`` are uniform if the model predicts as it should. Outcomes that fall into the tails
too often (u near 0 and 1) mean that the predictions are too narrow, too rarely that they are too
wide, more often on one side that they are biased. For discrete outcomes u_i is drawn uniformly
between ``Pr(Y_i < y_i | y_-i)`` and ``F_i(y_i)``, which is uniform again.

A censored time is only known to be exceeded: its u_i is drawn uniformly between ``F_i(y_i)`` and 1,
which is uniform again if censoring does not depend on the time among units alike.

F_i is the average of the family's distribution function over the draws with the leave-one-out
weights of the unit, and over the candidates with their stacking weights if there are several. (The
routine of the same name in ArviZ replaces the distribution function by one simulated outcome per
draw. That is right for continuous and discrete outcomes alike, but adds noise that the distribution
function is free of, and takes no candidates.)

Predictions of different units share the data, so the u_i are not quite independent: a model with
free parameters centres them, which makes tests for independent values pass a little more often than
they say. There are two: Kolmogorov and Smirnov's, which sees bias, and a chi-square test of the
shares of tenths, which sees too heavy or too light tails where the former barely does.

References
----------
Gelfand, A. E., Dey, D. K., Chang, H. (1992). Model determination using predictive distributions
with implementation via sampling-based methods. Bayesian Statistics 4, 147-167.
Czado, C., Gneiting, T., Held, L. (2009). Predictive model assessment for count data. Biometrics 65,
1254-1261. doi:10.1111/j.1541-0420.2009.01191.x
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr
from scipy import special, stats

from bayes_hte.checks.base import CheckResult, not_judged
from bayes_hte.checks.subject import Subject
from bayes_hte.components.families import Family, Noise
from bayes_hte.names import SAMPLE, UNIT
from bayes_hte.study.overview import suggested_family
from bayes_hte.study.study import Study

NAME = "calibration of left-out predictions by arm"
# A model that predicts as it should fails in an arm in at most this share of studies; each of the
# two tests has half of it.
ALPHA = 0.005
BINS = 10
BAND = 0.99
# Width of each of the two tails of [0, 1].
TAIL = 0.1


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """Judge left-out predictions of the outcome by arm; see :func:`calibration_check`."""
    study, pit = subject.study.with_outcome(), subject_probabilities(subject)
    family = subject.fit.components["outcome"].family.name
    judged = calibration_check(
        pit,
        arm=study.arm_index(),
        arm_names=subject.arm_names,
        try_family=suggested_family(study.outcome(), family),
    )
    return (judged,)


@dataclass(frozen=True)
class LeftOutDraws:
    """Posterior draws of one outcome model with the leave-one-out weights of every unit.

    Attributes
    ----------
    eta : ndarray, shape (sample, unit)
        Linear predictor at each unit's own arm (and mediator).
    noise : mapping of str to ndarray, shape (sample, 1) or (sample, unit)
        The family's other parameters.
    log_weights : ndarray, shape (sample, unit)
        Smoothed log importance weights; need not be normalised.
    share : float
        Stacking weight of the model; 1 if it is the only one.
    """

    eta: np.ndarray = field(repr=False)
    noise: Noise = field(repr=False)
    log_weights: np.ndarray = field(repr=False)
    share: float = 1.0


def subject_probabilities(subject: Subject) -> np.ndarray:
    """Return the transforms of the outcomes of a fit, under all its candidates.

    Parameters
    ----------
    subject : Subject
        The fit.

    Returns
    -------
    ndarray, shape (unit,)
        Of the units with an outcome, the same at each call; see :func:`left_out_probabilities`.

    Raises
    ------
    SamplingError
        If a log-likelihood is not finite.
    """
    study, scores = subject.study.with_outcome(), subject.left_out_scores
    models = [
        LeftOutDraws(
            eta=_samples(fit.observed_predictor()),
            noise={
                name: values.reshape(-1, values.shape[-1])
                for name, values in fit.observed_noise().items()
            },
            log_weights=_samples(scores[label].log_weights),
            share=subject.weights[label],
        )
        for label, fit in subject.candidates.items()
    ]
    return left_out_probabilities(
        models,
        study.outcome(),
        family=subject.fit.observed_family(),
        rng=subject.rng("calibration"),
        event=study.event,
        ends=None if study.roles.upper is None else interval_ends(study),
    )


def interval_ends(study: Study) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the intervals that times lie in, each shape (unit,), equal elsewhere."""
    known, time = study.censoring(), study.outcome()
    inside = known.within
    if inside is None:
        return time, time
    return np.where(inside, known.lower, time), np.where(inside, known.upper, time)


def left_out_probabilities(
    models: Sequence[LeftOutDraws],
    y: np.ndarray,
    *,
    family: Family,
    rng: np.random.Generator,
    event: np.ndarray | None = None,
    ends: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Return the probability integral transform of each outcome, randomised where it jumps.

    Parameters
    ----------
    models : sequence of LeftOutDraws
        The candidates, or the only model.
    y : ndarray, shape (unit,)
        Observed outcomes.
    family : Family
        Their distribution.
    rng : numpy.random.Generator
        For the place within a jump, and beyond a censored time.
    event : ndarray of bool, shape (unit,), optional
        Of times to an event, whether it was seen then; otherwise the time is censored.
    ends : tuple of two ndarrays, shape (unit,), optional
        Ends of the intervals that times lie in: the place between them is not known either.

    Returns
    -------
    ndarray, shape (unit,)
        Values in [0, 1].
    """
    first, y = (y, y) if ends is None else ends
    below = np.nextafter(first, -np.inf)
    upper, lower = np.zeros(y.shape), np.zeros(y.shape)
    for model in models:
        weights = model.share * special.softmax(model.log_weights, axis=0)
        upper += (weights * family.cdf(y, model.eta, model.noise)).sum(axis=0)
        lower += (weights * family.cdf(below, model.eta, model.noise)).sum(axis=0)
    if event is not None:
        lower, upper = np.where(event, lower, upper), np.where(event, upper, 1.0)
    # Rounding may push a sum of weighted probabilities just above 1.
    return np.minimum(lower + rng.random(y.shape) * (upper - lower), 1.0)


def calibration_check(
    pit: np.ndarray,
    *,
    arm: np.ndarray,
    arm_names: tuple[str, str],
    try_family: str | None = None,
) -> CheckResult:
    """Judge whether the transformed outcomes of each arm are uniform.

    Parameters
    ----------
    pit : ndarray, shape (unit,)
        From :func:`left_out_probabilities`.
    arm : ndarray of int, shape (unit,)
        Arm of each unit.
    arm_names : tuple of str
        Names of the arms.
    try_family : str, optional
        A family that suits the column better, to name if the check fails.

    Returns
    -------
    CheckResult
        Fails if one of the two tests of uniformity has a p-value below 0.0025 in an arm. One row
        per arm and tenth of [0, 1]: the ``share`` of the arm's units there, the central 99%
        (``lower``, ``upper``, of each tenth alone) of the shares under calibration, and for the arm
        its number of ``units``, the ``mean`` of the values (0.5 under calibration) and the p-values
        of uniformity ``p_distance`` (Kolmogorov-Smirnov) and ``p_shares`` (chi-square):
        frequentist, how often right predictions deviate as much.

    Examples
    --------
    Predictions that are right put outcomes evenly over [0, 1]; in the second arm they are too
    narrow.

    >>> import numpy as np
    >>> from bayes_hte.checks import calibration_check
    >>> even = np.linspace(0.005, 0.995, 100)
    >>> pit = np.concatenate([even, np.where(even < 0.5, even**3, 1 - (1 - even) ** 3)])
    >>> arm = np.repeat([0, 1], 100)
    >>> calibration_check(pit, arm=arm, arm_names=("usual", "new")).passed
    False
    """
    rows, broken = [], []
    for a, name in enumerate(arm_names):
        own = pit[arm == a]
        if not own.size or not np.isfinite(own).all():
            bad = f"{int((~np.isfinite(own)).sum())} of {own.size} values in {name} are no numbers"
            reason = f"{bad}; look at the outcomes and draws of those units."
            return not_judged(NAME, reason, pd.DataFrame(rows))
        tests = _tests(own)
        rows += _tenths(name, own, tests)
        if min(tests.values()) < ALPHA / 2:
            broken.append(f"{name}: {_words(own)}")
    table = pd.DataFrame(rows).set_index(["arm", "from"])
    text = (
        "In each arm, outcomes fall where predictions from all other units say, as often as they "
        "say (two tests of uniformity: predictions that are right deviate this much in at least "
        f"{ALPHA / 2:.2%} of studies)."
    )
    if broken:
        text = (
            f"Predictions of left-out outcomes are not calibrated. {'; '.join(broken)}. "
            f"{advice(try_family)} Averages over many units depend little "
            "on this shape; intervals for single units and small groups do."
        )
    return CheckResult(NAME, not broken, table, text)


def advice(try_family: str | None) -> str:
    """Say what may fit better, with the family that suits the column if there is one."""
    if try_family is None:
        return "Another family, noise model or surface may fit better."
    return f"Try family = {try_family!r}; another noise model or surface may fit better too."


def _samples(values: xr.DataArray) -> np.ndarray:
    """Return draws of all chains one after the other, shape (sample, unit)."""
    flat = values.transpose(*SAMPLE, UNIT).to_numpy()
    return flat.reshape(-1, flat.shape[-1])


def _tests(own: np.ndarray) -> dict[str, float]:
    counts, _ = np.histogram(own, bins=BINS, range=(0, 1))
    return {
        "p_distance": float(stats.kstest(own, "uniform").pvalue),
        "p_shares": float(stats.chisquare(counts).pvalue),
    }


def _tenths(name: str, own: np.ndarray, tests: Mapping[str, float]) -> list[dict[str, float | str]]:
    counts, edges = np.histogram(own, bins=BINS, range=(0, 1))
    lower, upper = stats.binom(own.size, 1 / BINS).interval(BAND)
    return [
        {
            "arm": name,
            "from": round(edges[i], 3),
            "to": round(edges[i + 1], 3),
            "share": counts[i] / own.size,
            "lower": lower / own.size,
            "upper": upper / own.size,
            "units": own.size,
            "mean": own.mean(),
            **tests,
        }
        for i in range(BINS)
    ]


def _words(own: np.ndarray) -> str:
    """Say in which way the values are not uniform, by the larger of two standardised deviations."""
    tails = float(((own < TAIL) | (own > 1 - TAIL)).mean())
    shift = (own.mean() - 0.5) / np.sqrt(1 / 12 / own.size)
    excess = (tails - 2 * TAIL) / np.sqrt(2 * TAIL * (1 - 2 * TAIL) / own.size)
    if max(abs(shift), abs(excess)) < stats.norm.isf(ALPHA / 2):
        return "the shape of the predictive distribution is wrong"
    if abs(shift) > abs(excess):
        return f"outcomes are {'higher' if shift > 0 else 'lower'} than predicted"
    return (
        f"predictions are too {'narrow' if excess > 0 else 'wide'} ({tails:.0%} of the outcomes in "
        f"their outer {2 * TAIL:.0%})"
    )
