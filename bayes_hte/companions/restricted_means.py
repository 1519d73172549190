"""A study of times to an event as everything that compares outcomes of arms can read it.

Differences of means, weighting, matching, scores of effects and refutations compare outcomes. A
time that is censored is no outcome. :func:`restricted_means` puts pseudo-observations of the
restricted mean survival time (:mod:`bayes_hte.companions.jackknife`) in its place, and leaves any
other study as it is, so that whoever compares outcomes asks here first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bayes_hte.companions.jackknife import pseudo_observations
from bayes_hte.study.frames import with_columns
from bayes_hte.study.study import Study
from bayes_hte.study.time_to_event import default_horizon


def restricted_means(
    study: Study, horizon: float | None = None, *, at: float | None = None
) -> Study:
    """Return a study whose outcome is a number that arms can be compared by.

    Parameters
    ----------
    study : Study
        Any study.
    horizon : float, optional
        Up to which times count, in the unit of the outcome; default the latest at which each arm
        has a tenth of its units at risk. Not used unless the outcome is a time to an event.
    at : float, optional
        Take pseudo-observations of the probability of surviving this time instead.

    Returns
    -------
    Study
        With pseudo-observations as outcome and without events; units without a time have none. The
        study itself if its outcome is no time to an event.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import bayes_hte as hte
    >>> from bayes_hte.companions import restricted_means
    >>> frame = pd.DataFrame({"years": np.arange(1.0, 41.0), "x": np.arange(40) % 7})
    >>> frame = frame.assign(died=np.arange(40) % 4 > 0, drug=np.arange(40) % 2)
    >>> roles = {"outcome": "years", "event": "died", "treatment": "drug", "covariates": ["x"]}
    >>> study = hte.Study.from_frame(frame, **roles)
    >>> restricted_means(study, horizon=30.0).outcome()[:3].round(1)
    array([23.6,  2. ,  1.9])
    """
    if study.event is None:
        return study
    time, entry, known = study.outcome(), study.entry, ~np.isnan(study.outcome())
    if horizon is None:
        horizon = default_horizon(time, study.event, study.arm_index(), entry)
    values = np.full(time.shape, np.nan)
    values[known] = pseudo_observations(
        time[known],
        study.event[known],
        horizon=horizon,
        at=at,
        arm=study.arm_index()[known],
        entry=None if entry is None else entry[known],
    )
    roles = study.roles
    frame = with_columns(study.frame, {roles.outcome: values})
    others = [c for c in (roles.event, roles.entry) if c is not None]
    bare = replace(roles, event=None, entry=None, cause=None)
    return replace(study, frame=frame.drop(columns=others), roles=bare)


def compared_outcomes(study: Study, scale: Mapping[Any, Any] | None = None) -> np.ndarray:
    """Return the recorded outcomes on the scale of effects, for the spread between units.

    Parameters
    ----------
    study : Study
        Any study.
    scale : mapping, optional
        Attributes of the effects, which say on which scale of times to an event they are.

    Returns
    -------
    ndarray, shape (recorded,)
        Pseudo-observations where the outcome is a time to an event, else the outcomes.
    """
    scale = {} if scale is None else scale
    time = scale.get("at")
    if scale.get("estimand") == "survival":
        return restricted_means(study, time, at=time).recorded_outcome()
    return restricted_means(study, time).recorded_outcome()
