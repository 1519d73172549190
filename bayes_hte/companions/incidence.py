"""Observed cumulative incidence of one of several causes: Aalen-Johansen curves.

References
----------
Aalen, O. O., Johansen, S. (1978). An empirical transition matrix for non-homogeneous Markov chains
based on censored observations. Scandinavian Journal of Statistics 5, 141-150.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from bayes_hte.companions.curves import ARM, TIME
from bayes_hte.errors import DataError
from bayes_hte.study.study import Study

OF_INTEREST, OTHER = 1, 2


def observed_incidence(study: Study, rows: np.ndarray | None = None) -> pd.DataFrame:
    """Return the Aalen-Johansen curve of the cause of interest in each arm.

    Parameters
    ----------
    study : Study
        Of events of several causes.
    rows : ndarray of bool, shape (unit,), optional
        Units to keep, such as those of a subgroup.

    Returns
    -------
    DataFrame
        One row per arm and time at which its curve rises, the first at 0: ``arm`` (its position),
        ``time``, ``incidence``, ``ci_lower`` and ``ci_upper`` (95% confidence, on the scale of
        log minus log). Arms without units have no rows.

    Raises
    ------
    DataError
        If events have one cause.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_hte as hte
    >>> causes = ["flu", "other", "none", "flu", "flu"] * 4
    >>> frame = pd.DataFrame({"x": range(20), "drug": [0, 1] * 10, "cause": causes})
    >>> frame["years"] = frame["x"] + 1.0
    >>> roles = {"outcome": "years", "event": "cause", "treatment": "drug", "covariates": ["x"]}
    >>> study = hte.Study.from_frame(frame, **roles, cause="flu")
    >>> hte.observed_incidence(study).query("arm == 0")["incidence"].round(2).tolist()
    [0.0, 0.1, 0.21, 0.32, 0.44, 0.59, 0.74]
    """
    if not study.causes:
        raise DataError(
            "an observed cumulative incidence needs events of several causes; name the one of "
            "interest, Study.from_frame(..., cause=...), or, of one kind of event, use "
            "observed_survival."
        )
    time, arm = study.outcome(), study.arm_index()
    kept = ~np.isnan(time) if rows is None else ~np.isnan(time) & np.asarray(rows, dtype=bool)
    code = np.where(study.event_of(study.causes[0]), OF_INTEREST, np.where(study.event, OTHER, 0))
    parts = []
    for a in np.unique(arm[kept]):
        own = kept & (arm == a)
        entry = None if study.entry is None else study.entry[own]
        parts.append(_curve(time[own], code[own], entry).assign(arm=int(a)))
    return pd.concat(parts, ignore_index=True)[[ARM, TIME, "incidence", "ci_lower", "ci_upper"]]


def _curve(time: np.ndarray, code: np.ndarray, entry: np.ndarray | None) -> pd.DataFrame:
    """Return the curve of one arm, at 0 and where it rises."""
    from lifelines import AalenJohansenFitter

    # The curve depends on the order of times alone. Their places have no ties, which the library
    # would tell apart at random; taking tied events one by one changes nothing, as long as units
    # that are censored then come last.
    order = np.lexsort((code == 0, time))
    place = np.arange(1.0, time.size + 1)
    entered = None
    if entry is not None:
        before = np.searchsorted(time[order], entry[order], side="right")
        entered = np.where(before > 0, before + 0.5, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = AalenJohansenFitter().fit(
            place, code[order], event_of_interest=OF_INTEREST, entry=entered
        )
    incidence = fitted.cumulative_density_.iloc[:, 0]
    bounds = fitted.confidence_interval_cumulative_density_.fillna(0.0).to_numpy()
    columns = {"incidence": incidence, "ci_lower": bounds[:, 0], "ci_upper": bounds[:, 1]}
    table = pd.DataFrame(columns).reindex(np.arange(time.size + 1.0), method="ffill")
    table = table.assign(time=np.concatenate([[0.0], time[order]])).drop_duplicates(
        TIME, keep="last"
    )
    return table[np.concatenate([[True], np.diff(table["incidence"]) > 0])]
