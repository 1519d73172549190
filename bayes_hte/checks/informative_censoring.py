"""How the average effect would change had censored units done worse or better than others alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.subject import Subject
from bayes_hte.effects.summaries import probability_words
from bayes_hte.names import SAMPLE, UNIT
from bayes_hte.sensitivity.unseen_times import BOTH, OTHER, informative_censoring
from bayes_hte.study.time_to_event import Censoring

NAME = "sensitivity to informative censoring"
BOUNDS = (0.01, 0.99)
# A hazard of 1 has no finite cumulative hazard.
CERTAIN = 1 - 1e-12


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """Shift the unseen times of censored units; nothing unless some times are censored.

    See :func:`bayes_hte.sensitivity.informative_censoring`.
    """
    if subject.study.event is None:
        return ()
    study, fit = subject.study.with_outcome(), subject.fit
    time, event, arm = study.outcome(), study.event, study.arm_index()
    left = np.flatnonzero(~event)
    if not left.size:
        return ()
    eta = fit.observed_predictor().to_numpy()[..., left]
    noise = {k: v if v.shape[-1] == 1 else v[..., left] for k, v in fit.observed_noise().items()}
    # Who was censored has survived until then: as if observed from that time on.
    family = fit.components["outcome"].family.given(Censoring(event[left], time[left]))
    unseen = np.maximum(family.draw(subject.rng("informative censoring"), eta, noise), time[left])
    treated = fit.propensity().mean(SAMPLE).clip(*BOUNDS).to_numpy()[subject.study.known_outcome()]
    table = informative_censoring(
        subject.effects["te"].mean(UNIT),
        unseen,
        time=time,
        event=event,
        arm=arm,
        horizon=fit.horizon,
        better=subject.better,
        weights=1 / np.where(arm == 1, treated, 1 - treated),
        **_scale(subject, unseen, left),
    )
    table = table.set_index(["applied_to", "factor"])
    return (CheckResult(NAME, None, table, _text(table, subject.arm_names)),)


def _scale(subject: Subject, unseen: np.ndarray, left: np.ndarray) -> dict[str, Any]:
    """Return the scale of the effects, and of a cumulative incidence the causes of unseen events.

    The cause of a drawn event has the share of its hazard in that of all, in its interval.
    """
    scale = subject.fit.estimand()
    if scale is None or scale.name != "cumulative_incidence":
        return {} if scale is None else {"estimand": scale.name}
    known = np.flatnonzero(subject.study.known_outcome())[left]
    component, arm = subject.fit.components["outcome"], subject.study.arm_index()[known]
    chosen = subject.rng("causes of unseen events").random(unseen.shape)
    of_cause = np.zeros(unseen.shape, dtype=bool)
    edges = component.edges
    intervals = zip(edges[:-1], edges[1:], component.hazards_by_cause(), strict=True)
    for first, last, hazards in intervals:
        cumulative = [-np.log1p(-np.minimum(h[:, :, known, arm], CERTAIN)) for h in hazards]
        every = np.sum(cumulative, axis=0)
        inside = (unseen > first) & (unseen <= last)
        of_cause |= inside & (chosen * every < cumulative[0])
    return {"estimand": scale.name, "of_cause": of_cause}


def _text(table: pd.DataFrame, arm_names: tuple[str, str]) -> str:
    chances = table["prob_benefit"]
    unchanged = float(chances[BOTH, 1.0])
    worse, better = float(chances[OTHER].iloc[0]), float(chances[OTHER].iloc[-1])
    low, high = (f"{f:g}" for f in (chances[OTHER].index[0], chances[OTHER].index[-1]))
    both = [float(chances[BOTH].iloc[k]) for k in (0, -1)]
    reference, other = arm_names
    return (
        "If the time until the event of those who were censored is what the model expects of "
        "others alike, the posterior probability of an average benefit is "
        f"{probability_words(unchanged)}. Were it {low} (or {high}) times as long in {other} "
        f"alone, it would be {probability_words(worse)} ({probability_words(better)}); in both "
        f"arms {probability_words(both[0])} ({probability_words(both[1])}). The table has "
        f"{reference} alone and other factors."
    )
