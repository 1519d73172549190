"""Check of a fit of several causes: its cumulative incidence beside Aalen-Johansen curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayes_hte.companions.incidence import observed_incidence
from bayes_hte.effects.summaries import CiKind, interval, interval_parameters
from bayes_hte.errors import DataError
from bayes_hte.fitting.curves import GROUP, TIME, averaged_curves
from bayes_hte.fitting.fitted import Fit
from bayes_hte.names import ARM, SAMPLE

# Times at which curves are compared.
N_TIMES = 5


@interval_parameters
def check_incidence(
    fit: Fit,
    *,
    times: Sequence[float] | None = None,
    ci_prob: float = 0.95,
    ci_kind: CiKind = "eti",
) -> pd.DataFrame:
    """Compare the cumulative incidence of a fit with the Aalen-Johansen curve of each arm.

    Both are of the units that were given the arm. The curve uses no covariates, so it is right
    where censoring does not depend on them, and then a fit that differs from it by more than both
    intervals allow does not suit the data.

    Parameters
    ----------
    fit : Fit
        Of events of several causes.
    times : sequence of float, optional
        Default five, evenly spaced up to the horizon of `fit`.

    Returns
    -------
    DataFrame, index (arm, time)
        ``incidence`` (posterior mean of the average over the units in the arm), ``ci_lower``,
        ``ci_upper``; ``observed``, ``observed_lower`` and ``observed_upper`` (95% confidence) of
        :func:`bayes_hte.observed_incidence`.

    Raises
    ------
    DataError
        If events have one cause, or a time lies beyond the follow-up.
    SpecError
        If a time is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import bayes_hte as hte
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame({"x": rng.normal(size=60), "drug": np.arange(60) % 2})
    >>> frame["years"] = rng.exponential(size=60).clip(max=2)
    >>> causes = np.where(frame["x"] > 0, "flu", "other")
    >>> frame["cause"] = np.where(frame["years"] < 2, causes, "none")
    >>> roles = {"outcome": "years", "event": "cause", "treatment": "drug", "covariates": ["x"]}
    >>> study = hte.Study.from_frame(frame, **roles, cause="flu")
    >>> size = {"draws": 20, "tune": 20, "chains": 2, "progress": False}
    >>> fit = hte.fit(study, family="piecewise_hazard", seed=1, **size)
    >>> table = hte.check_incidence(fit, times=[0.5, 1.0])
    >>> table.index.tolist(), table.columns[3]
    ([(0, 0.5), (0, 1.0), (1, 0.5), (1, 1.0)], 'observed')
    """
    if fit.horizon is None or not fit.study.causes:
        raise DataError(
            "this is a check of events of several causes; name the one of interest, "
            "Study.from_frame(..., cause=...)."
        )
    grid = np.linspace(0, fit.horizon, N_TIMES + 1)[1:] if times is None else times
    curves, given = observed_incidence(fit.study), fit.study.arm_index()
    rows = {}
    members = {a: given == a for a in range(len(fit.study.arms))}
    expected = averaged_curves(fit, members, times=grid, estimand="cumulative_incidence")
    for place, at in enumerate(grid):
        for a in members:
            draws = expected.isel({ARM: a, GROUP: a, TIME: place})
            lower, upper = interval(draws, ci_prob=ci_prob, ci_kind=ci_kind)
            own = curves[(curves[ARM] == a) & (curves["time"] <= at)].iloc[-1]
            rows[a, float(at)] = {
                "incidence": float(draws.mean(SAMPLE)),
                "ci_lower": float(lower),
                "ci_upper": float(upper),
                "observed": own["incidence"],
                "observed_lower": own["ci_lower"],
                "observed_upper": own["ci_upper"],
            }
    names = expected[ARM].to_numpy().tolist()
    # Arms in their order, and times within each.
    keys = sorted(rows, key=lambda key: key[0])
    index = pd.MultiIndex.from_tuples([(names[a], at) for a, at in keys], names=[ARM, "time"])
    return pd.DataFrame([rows[key] for key in keys], index=index)
