"""Check of a family of times: its survival curves against those of hazards without a form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from bayes_hte.effects.summaries import check_interval
from bayes_hte.errors import DataError, SpecError
from bayes_hte.fitting.curves import TIME, survival_curves
from bayes_hte.fitting.times import HAZARD
from bayes_hte.names import ARM, SAMPLE

if TYPE_CHECKING:
    from bayes_hte.fitting.fitted import Fit

# Times at which curves are compared.
N_TIMES = 5


def check_against_hazards(
    fit: Fit, hazards: Fit, *, times: Sequence[float] | None = None, ci_prob: float = 0.99
) -> pd.DataFrame:
    """Compare the survival curves of a family with those of family ``piecewise_hazard``.

    Families such as ``lognormal`` have one form for the hazards of all units. A fit of family
    ``piecewise_hazard`` has none, so average curves that differ from its curves by more than the
    posteriors allow say that the form does not suit the data. Where none differs, the family has
    the shorter intervals.

    Parameters
    ----------
    fit : Fit
        Of the family to be checked.
    hazards : Fit
        Of family ``piecewise_hazard``, of the same study.
    times : sequence of float, optional
        Default five, evenly spaced up to the horizon of `fit`.
    ci_prob : float, default 0.99
        Probability of the intervals, which are normal. The posteriors share their data and count as
        independent here, so a difference is found too rarely rather than too often.

    Returns
    -------
    DataFrame, index (arm, time)
        Average probability of surviving: ``family``, ``hazards`` (posterior means), ``difference``
        of both, ``ci_lower``, ``ci_upper``, and ``differs``, whether that excludes 0.

    Raises
    ------
    SpecError
        If `hazards` is of another family, or `ci_prob` is not between 0 and 1.
    DataError
        If the fits are of different studies, or the outcome is no time to an event.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import bayes_hte as hte
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame({"x": rng.normal(size=60), "drug": np.arange(60) % 2})
    >>> frame["years"] = rng.exponential(size=60).clip(max=2)
    >>> frame["died"] = frame["years"] < 2
    >>> roles = {"outcome": "years", "event": "died", "treatment": "drug", "covariates": ["x"]}
    >>> study = hte.Study.from_frame(frame, **roles)
    >>> size = {"draws": 20, "tune": 20, "chains": 2, "progress": False}
    >>> fits = [
    ...     hte.fit(study, family=family, seed=1, **size)
    ...     for family in ("lognormal", "piecewise_hazard")
    ... ]
    >>> table = hte.check_against_hazards(*fits)
    >>> len(table), table.columns[-1]
    (10, 'differs')
    """
    check_interval(ci_prob, "eti")
    if hazards.plan.family != HAZARD:
        raise SpecError(
            f"hazards must be a fit of family 'piecewise_hazard', got {hazards.plan.family!r}; the "
            "family to be checked comes first."
        )
    if fit.study.fingerprint() != hazards.study.fingerprint():
        raise DataError("the two fits are of different studies; fit both to the same one.")
    if fit.horizon is None:
        raise DataError("this is a check of times to an event, and the outcome is none.")
    grid = np.linspace(0, fit.horizon, N_TIMES + 1)[1:] if times is None else times
    own, other = (survival_curves(f, times=grid) for f in (fit, hazards))
    means = [c.mean(SAMPLE).transpose(ARM, TIME) for c in (own, other)]
    variance = sum(c.var(SAMPLE).transpose(ARM, TIME).to_numpy() for c in (own, other))
    error = stats.norm.ppf((1 + ci_prob) / 2) * np.sqrt(variance)
    away = means[0].to_numpy() - means[1].to_numpy()
    index = pd.MultiIndex.from_product(
        [means[0][ARM].to_numpy(), np.asarray(grid)], names=[ARM, TIME]
    )
    columns = {
        "family": means[0].to_numpy(),
        "hazards": means[1].to_numpy(),
        "difference": away,
        "ci_lower": away - error,
        "ci_upper": away + error,
        "differs": np.abs(away) > error,
    }
    return pd.DataFrame({name: values.ravel() for name, values in columns.items()}, index=index)
