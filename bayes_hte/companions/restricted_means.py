"""A study of times to an event as everything that compares outcomes of arms can read it.

Differences of means, weighting, matching, scores of effects and refutations compare outcomes. A
time that is censored is no outcome. :func:`restricted_means` puts pseudo-observations of the
restricted mean survival time, or of the probability that effects are on
(:mod:`bayes_hte.companions.jackknife`), in its place, and leaves any other study as it is, so that
whoever compares outcomes asks here first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from bayes_hte.companions.jackknife import pseudo_observations
from bayes_hte.study.frames import with_columns
from bayes_hte.study.study import Study
from bayes_hte.study.time_to_event import Estimand, default_horizon


def restricted_means(
    study: Study, horizon: float | Estimand | None = None, *, at: float | None = None
) -> Study:
    """Return a study whose outcome is a number that arms can be compared by.

    Parameters
    ----------
    study : Study
        Any study.
    horizon : float or Estimand, optional
        Up to which times count, in the unit of the outcome; default the latest at which each arm
        has a tenth of its units at risk. An estimand says the scale as well: the restricted mean,
        or the probability of surviving or of an event of one cause. Not used unless the outcome is
        a time to an event.
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
    of_cause = None
    if isinstance(horizon, Estimand):
        horizon, at, of_cause = _parts(study, horizon)
    values = np.full(time.shape, np.nan)
    values[known] = pseudo_observations(
        time[known],
        study.event[known],
        horizon=horizon,
        at=at,
        arm=study.arm_index()[known],
        entry=None if entry is None else entry[known],
        of_cause=None if of_cause is None else of_cause[known],
    )
    roles = study.roles
    frame = with_columns(study.frame, {roles.outcome: values})
    others = [c for c in (roles.event, roles.entry, roles.upper) if c is not None]
    bare = replace(roles, event=None, entry=None, cause=None, no_event=None, upper=None)
    return replace(study, frame=frame.drop(columns=others), roles=bare)


def probability_scale(effect: xr.DataArray) -> Mapping[Any, Any] | None:
    """Return the scale of effects on the probability of a time or of a cause, by their attributes.

    None for effects on restricted means, which each study takes to its own default horizon where
    nobody names one, and for other outcomes.
    """
    scale = Estimand.of(effect.attrs)
    return None if scale is None or scale.name == "rmst" else effect.attrs


def _parts(study: Study, scale: Estimand) -> tuple[float, float | None, np.ndarray | None]:
    """Return the horizon, the time of a probability, and the events of the cause of interest."""
    of_cause = study.event_of(scale.event) if scale.name == "cumulative_incidence" else None
    return scale.at, None if scale.name == "rmst" else scale.at, of_cause


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
    return restricted_means(study, Estimand.of(scale) or scale.get("at")).recorded_outcome()
