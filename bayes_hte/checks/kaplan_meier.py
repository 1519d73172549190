"""Survival curves of groups against the curves that the fitted model replicates.

Units are grouped by arm and by thirds of their predicted time without treatment. New times are
drawn from the posterior predictive in the unit's own arm, and censored as the study was: at the
unit's own time where it was censored, otherwise at one drawn from the Kaplan-Meier curve of the
censoring times of its arm, later than the unit's event. So replicated Kaplan-Meier curves have the
noise that the observed one has. The largest standardised distance between the observed curve and
the mean of the replicated ones, over groups and times, is compared with the same distance of each
replicate.

References
----------
Gelman, A., Meng, X.-L., Stern, H. (1996). Posterior predictive assessment of model fitness.
Statistica Sinica 6, 733-807.
Kaplan, E. L., Meier, P. (1958). Nonparametric estimation from incomplete observations. Journal of
the American Statistical Association 53, 457-481. doi:10.1080/01621459.1958.10501452
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.subject import Subject
from bayes_hte.effects.contrasts import own_mediator
from bayes_hte.errors import DataError
from bayes_hte.names import ARM, SAMPLE
from bayes_hte.targeting.buckets import quantile_codes

NAME = "survival curves by arm and risk"
# A model that fits fails in this share of studies.
ALPHA = 0.01
REPLICATES = 400
BAND = 0.99
N_TIMES = 10
# Fewer units at risk leave a curve too rough to be compared.
FEW_AT_RISK = 5


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """Compare survival curves by arm and risk; nothing unless the outcome is a time to an event.

    See :func:`survival_check`.
    """
    if subject.study.event is None:
        return ()
    study, fit = subject.study.with_outcome(), subject.fit
    if study.entry is not None:
        text = "Not compared: units entered late, and replicated curves would need their entries."
        return (CheckResult(NAME, None, pd.DataFrame(), text),)
    if study.roles.upper is not None:
        text = "Not compared: times lie in intervals, and replicates would need their visits."
        return (CheckResult(NAME, None, pd.DataFrame(), text),)
    rng, known = subject.rng("survival curves"), subject.study.known_outcome()
    eta = fit.observed_predictor().to_numpy().reshape(-1, study.n_units)
    chosen = rng.choice(len(eta), size=min(REPLICATES, len(eta)), replace=False)
    noise = {k: v.reshape(-1, v.shape[-1])[chosen] for k, v in fit.observed_noise().items()}
    times = fit.first_stage().potential_outcomes(estimand="rmst")
    mu = own_mediator(times).isel({ARM: 0})
    result = survival_check(
        fit.observed_family().draw(rng, eta[chosen], noise),
        study.outcome(),
        study.event,
        arm=study.arm_index(),
        arm_names=subject.arm_names,
        third=thirds(mu.mean(SAMPLE).to_numpy()[known]),
        horizon=fit.horizon,
        rng=rng,
    )
    return (result,)


def thirds(expected: np.ndarray) -> np.ndarray:
    """Return the third of each unit by its predicted time, 0 for the shortest, shape (unit,)."""
    try:
        return quantile_codes(expected, 3)
    except DataError:  # the same prediction for everybody
        return np.zeros(expected.shape, dtype=int)


def kaplan_meier(time: np.ndarray, event: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Return Kaplan-Meier curves of many samples at given times.

    Parameters
    ----------
    time : ndarray, shape (..., unit)
        Times, for each of any number of samples.
    event : ndarray of bool, shape (..., unit)
        Whether the event was seen then.
    grid : ndarray, shape (time,)
        Times at which the curves are wanted.

    Returns
    -------
    ndarray, shape (..., time)
        Estimated probabilities of surviving each time.
    """
    shape, n = time.shape[:-1], time.shape[-1]
    time, event = time.reshape(-1, n), np.broadcast_to(event, time.shape).reshape(-1, n)
    # Of equal times events come first: who is censored then was at risk.
    order = np.lexsort((~event, time), axis=-1)
    time, event = np.take_along_axis(time, order, -1), np.take_along_axis(event, order, -1)
    steps = np.cumprod(np.where(event, 1 - 1 / np.arange(n, 0, -1), 1.0), axis=-1)
    steps = np.column_stack([np.ones(len(steps)), steps])
    found = [
        row[np.searchsorted(t, grid, side="right")] for t, row in zip(time, steps, strict=True)
    ]
    return np.stack(found).reshape(*shape, grid.size)


def censoring_times(
    time: np.ndarray, event: np.ndarray, arm: np.ndarray, *, size: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw times at which units could have been censored, given what is known of them.

    Parameters
    ----------
    time, event, arm : ndarray, shape (unit,)
        Times, whether the event was seen, and arms.
    size : int
        Draws.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray, shape (size, unit)
        A censored unit's own time; for another one a time later than its event, from the curve of
        the censoring times of its arm, or the last time of the arm where that curve ends above 0.
    """
    found = np.tile(time.astype(np.float64), (size, 1))
    for level in np.unique(arm):
        own = arm == level
        grid = np.unique(time[own & ~event])
        curve = kaplan_meier(time[own], ~event[own], grid)
        seen = np.flatnonzero(own & event)
        # The curve just after each event, from which the uniform numbers go down.
        start = np.concatenate([[1.0], curve])[np.searchsorted(grid, time[seen], side="right")]
        level_reached = start * rng.random((size, seen.size))
        place = np.searchsorted(-curve, -level_reached, side="left")
        later = np.concatenate([grid, [time[own].max()]])[np.minimum(place, grid.size)]
        found[:, seen] = np.maximum(later, time[seen])
    return found


def survival_check(
    drawn: np.ndarray,
    time: np.ndarray,
    event: np.ndarray,
    *,
    arm: np.ndarray,
    arm_names: tuple[str, str],
    third: np.ndarray,
    horizon: float,
    rng: np.random.Generator,
) -> CheckResult:
    """Compare observed Kaplan-Meier curves with replicated ones.

    Parameters
    ----------
    drawn : ndarray, shape (sample, unit)
        Times of the event drawn from the posterior predictive, in the unit's own arm.
    time, event : ndarray, shape (unit,)
        Observed times, and whether the event was seen.
    arm : ndarray of int, shape (unit,)
        Arm of each unit, 0 or 1.
    arm_names : tuple of str
        Their names.
    third : ndarray of int, shape (unit,)
        Group of predicted times without treatment, 0 for the shortest.
    horizon : float
        Up to which time curves are compared.
    rng : numpy.random.Generator
        For the censoring times.

    Returns
    -------
    CheckResult
        Fails if the observed curves lie further from the replicated ones than 99% of these do. One
        row per arm, third and time: ``units``, ``observed``, ``replicated`` (mean),
        ``replicated 0.5%``, ``replicated 99.5%``.
    """
    censored = censoring_times(time, event, arm, size=len(drawn), rng=rng)
    new_time, new_event = np.minimum(drawn, censored), drawn <= censored
    grid = _grid(time[event], horizon)
    rows, distances = [], [np.zeros(1 + len(drawn))]
    for a, name in enumerate(arm_names):
        for g in np.unique(third):
            own = (arm == a) & (third == g)
            shown = grid[[(time[own] >= t).sum() >= FEW_AT_RISK for t in grid]]
            if not shown.size:
                continue
            observed = kaplan_meier(time[own], event[own], shown)
            replicated = kaplan_meier(new_time[:, own], new_event[:, own], shown)
            distances.append(_distance(np.vstack([observed, replicated]), replicated))
            lower, upper = np.quantile(replicated, [(1 - BAND) / 2, (1 + BAND) / 2], axis=0)
            rows.append(
                pd.DataFrame(
                    {
                        "arm": name,
                        "third": int(g) + 1,
                        "time": shown,
                        "units": int(own.sum()),
                        "observed": observed,
                        "replicated": replicated.mean(axis=0),
                        "replicated 0.5%": lower,
                        "replicated 99.5%": upper,
                    }
                )
            )
    table = pd.concat(rows, ignore_index=True).set_index(["arm", "third", "time"])
    furthest = np.max(distances, axis=0)
    share = float((1 + (furthest[1:] >= furthest[0]).sum()) / furthest.size)
    return CheckResult(NAME, share >= ALPHA, table, _text(table, share))


def _grid(seen: np.ndarray, horizon: float) -> np.ndarray:
    """Times at which equally many events lie between, up to the horizon."""
    within = seen[seen <= horizon]
    return np.unique(np.quantile(within, (np.arange(N_TIMES) + 0.5) / N_TIMES, method="higher"))


def _distance(curves: np.ndarray, replicated: np.ndarray) -> np.ndarray:
    """Largest standardised distance of curves from the mean of the replicated, shape (curve,)."""
    sd = replicated.std(axis=0)
    away = np.abs(curves - replicated.mean(axis=0))
    return np.divide(away, sd, out=np.zeros_like(away), where=sd > 0).max(axis=1)


def _text(table: pd.DataFrame, share: float) -> str:
    said = (
        f"{100 * share:.1f}% of the curves that the fitted model replicates lie as far from their "
        "mean as the observed ones do"
    )
    if share >= ALPHA:
        return (
            "Kaplan-Meier curves by arm and by thirds of the predicted time without treatment lie "
            f"among those that the fitted model replicates: {said}."
        )
    outside = table[~table["observed"].between(table["replicated 0.5%"], table["replicated 99.5%"])]
    places = outside.reset_index().groupby(["arm", "third"], sort=False)["time"].first()
    where = "; ".join(f"{arm}, third {third}, from {t:.3g}" for (arm, third), t in places.items())
    return (
        "The fitted model does not reproduce the Kaplan-Meier curves by arm and by thirds of the "
        f"predicted time without treatment ({where or 'no single time alone'}): {said}. Try "
        "another family, or noise that differs by arm where curves cross."
    )
