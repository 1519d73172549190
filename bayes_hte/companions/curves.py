"""Observed survival: Kaplan-Meier curves, numbers at risk, and follow-up by arm."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayes_hte.errors import DataError
from bayes_hte.study.study import Study

ARM, TIME = "arm", "time"


def observed_survival(study: Study, rows: np.ndarray | None = None) -> pd.DataFrame:
    """Return the Kaplan-Meier curve of each arm; of several causes any event counts.

    Parameters
    ----------
    study : Study
        Of times to an event.
    rows : ndarray of bool, shape (unit,), optional
        Units to keep, such as those of a subgroup.

    Returns
    -------
    DataFrame
        One row per arm and time at which its curve falls, the first at 0: ``arm`` (its position),
        ``time``, ``survival``, ``ci_lower`` and ``ci_upper`` (95% confidence, by the exponential
        form of Greenwood's). Arms without units have no rows.

    Raises
    ------
    DataError
        If the outcome is no time to an event.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_hte as hte
    >>> frame = pd.DataFrame({"x": range(10), "drug": [0, 1] * 5, "died": [1] * 8 + [0] * 2})
    >>> frame["years"] = frame["x"] + 1.0
    >>> roles = {"outcome": "years", "event": "died", "treatment": "drug", "covariates": ["x"]}
    >>> study = hte.Study.from_frame(frame, **roles)
    >>> hte.observed_survival(study).query("arm == 0")["survival"].round(1).tolist()
    [1.0, 0.8, 0.6, 0.4, 0.2]
    """
    from lifelines import KaplanMeierFitter

    arm, time, event, entry = _known(study, rows)
    parts = []
    for a in np.unique(arm):
        own = arm == a
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            curve = KaplanMeierFitter().fit(
                time[own], event[own], entry=None if entry is None else entry[own]
            )
        bounds = curve.confidence_interval_survival_function_.to_numpy()
        at, survival = curve.survival_function_.index, curve.survival_function_.to_numpy()[:, 0]
        falls = np.concatenate([[True], np.diff(survival) < 0])
        columns = {TIME: at, "survival": survival, "ci_lower": bounds[:, 0]}
        part = pd.DataFrame({**columns, "ci_upper": bounds[:, 1]})[falls]
        parts.append(part.assign(arm=int(a))[[ARM, *columns, "ci_upper"]])
    return pd.concat(parts, ignore_index=True)


def at_risk(study: Study, times: Sequence[float], rows: np.ndarray | None = None) -> pd.DataFrame:
    """Return the number of units at risk at some times, by arm.

    Parameters
    ----------
    study : Study
        Of times to an event.
    times : sequence of float
        Times, in the unit of the outcome.
    rows : ndarray of bool, shape (unit,), optional
        Units to keep.

    Returns
    -------
    DataFrame, index position of the arm, columns the times
        Units that were observed then, and without event until then.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_hte as hte
    >>> from bayes_hte import companions
    >>> frame = pd.DataFrame({"x": range(10), "drug": [0, 1] * 5, "died": [1] * 8 + [0] * 2})
    >>> frame["years"] = frame["x"] + 1.0
    >>> roles = {"outcome": "years", "event": "died", "treatment": "drug", "covariates": ["x"]}
    >>> study = hte.Study.from_frame(frame, **roles)
    >>> companions.at_risk(study, [1, 5, 9]).to_numpy().tolist()
    [[5, 3, 1], [5, 3, 1]]
    """
    arm, time, _, entry = _known(study, rows)
    start = np.zeros(time.size) if entry is None else entry
    counts = {
        float(t): [
            int(((arm == a) & (time >= t) & ((start < t) | (start == 0))).sum())
            for a in range(len(study.arms))
        ]
        for t in times
    }
    return pd.DataFrame(counts).rename_axis(ARM)


def follow_up(study: Study) -> pd.DataFrame:
    """Return how long, and how many, units of each arm were followed.

    Parameters
    ----------
    study : Study
        Of times to an event.

    Returns
    -------
    DataFrame, index position of the arm
        ``units``, ``events``, ``censored``; ``median_follow_up``, by the Kaplan-Meier curve of the
        censoring times (NaN if more than half had the event before); ``last`` time of anybody.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_hte as hte
    >>> from bayes_hte import companions
    >>> frame = pd.DataFrame({"x": range(10), "drug": [0, 1] * 5, "died": [1] * 8 + [0] * 2})
    >>> frame["years"] = frame["x"] + 1.0
    >>> roles = {"outcome": "years", "event": "died", "treatment": "drug", "covariates": ["x"]}
    >>> study = hte.Study.from_frame(frame, **roles)
    >>> companions.follow_up(study)[["units", "events", "censored"]].to_numpy().tolist()
    [[5, 4, 1], [5, 4, 1]]
    """
    from lifelines import KaplanMeierFitter

    arm, time, event, entry = _known(study, None)
    rows = []
    for a in range(len(study.arms)):
        own = arm == a
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reverse = KaplanMeierFitter().fit(
                time[own], ~event[own], entry=None if entry is None else entry[own]
            )
        median = float(reverse.median_survival_time_)
        rows.append(
            {
                "units": int(own.sum()),
                "events": int(event[own].sum()),
                "censored": int((~event[own]).sum()),
                "median_follow_up": median if np.isfinite(median) else np.nan,
                "last": float(time[own].max()),
            }
        )
    return pd.DataFrame(rows).rename_axis(ARM)


def _known(
    study: Study, rows: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Return arms, times, events and entries of the units with a time."""
    if study.event is None:
        raise DataError(
            "observed survival needs times to an event; build the study with event=<column>."
        )
    time = study.outcome()
    kept = ~np.isnan(time) if rows is None else ~np.isnan(time) & np.asarray(rows, dtype=bool)
    entry = None if study.entry is None else study.entry[kept]
    return study.arm_index()[kept], time[kept], study.event[kept], entry
