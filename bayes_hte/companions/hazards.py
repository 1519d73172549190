"""What is usually reported of times to an event: log-rank test, Cox models, Kaplan-Meier areas.

They accompany the posteriors for comparison, from the library ``lifelines``. A hazard ratio is
a statement about groups: it compares, at each time, those of either arm who have got that far, who
are no longer alike where the treatment or anything unmeasured matters (Hernan 2010). It is never
the effect on an individual, and has no place among the effects of this package.

Where events have several causes, a Cox model of any event mixes them. The cause-specific model
counts the events of one cause, and takes an event of another as the end of observation. Its ratio
compares rates among those without any event so far, and says nothing of the risk by a time: a
treatment can lower the rate of one cause and leave its risk as it was, or the reverse (Putter et
al. 2007). Effects on the risk are those of :func:`bayes_hte.companions.restricted_means`.

References
----------
Hernan, M. A. (2010). The hazards of hazard ratios. Epidemiology 21, 13-15.
doi:10.1097/EDE.0b013e3181c1ea43
Putter, H., Fiocco, M., Geskus, R. B. (2007). Tutorial in biostatistics: competing risks and
multi-state models. Statistics in Medicine 26, 2389-2430. doi:10.1002/sim.2712
Royston, P., Parmar, M. K. B. (2013). Restricted mean survival time: an alternative to the hazard
ratio. BMC Medical Research Methodology 13, 152. doi:10.1186/1471-2288-13-152
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from bayes_hte.companions.restricted_means import restricted_means
from bayes_hte.errors import DataError
from bayes_hte.study.encoding import Encoding
from bayes_hte.study.study import Study

if TYPE_CHECKING:
    from lifelines import CoxPHFitter

LOG_RANK = "log-rank test"
COX, COX_ADJUSTED = "Cox model", "Cox model, adjusted for the covariates"
AREA = "difference of restricted mean survival times (Kaplan-Meier)"
PROPORTIONAL = "test of proportional hazards"
METHODS = (AREA, LOG_RANK, COX, COX_ADJUSTED, PROPORTIONAL)
SPECIFIC = "cause-specific Cox model of {}"
SPECIFIC_ADJUSTED = "cause-specific Cox model of {}, adjusted for the covariates"
SPECIFIC_PROPORTIONAL = "test of proportional cause-specific hazards of {}"
TIME, EVENT, ENTRY, ARM_COLUMN, CLUSTER_COLUMN = "time", "event", "entry", "arm", "cluster"
# A tiny ridge keeps a covariate that separates the events from being infinite.
RIDGE = 1e-4


def compare_hazards(study: Study, *, horizon: float, ci_prob: float = 0.95) -> pd.DataFrame:
    """Compare the arms of a study of times to an event in the usual ways.

    Parameters
    ----------
    study : Study
        Of two arms, with events.
    horizon : float
        Up to which times count in restricted means, in the unit of the outcome.
    ci_prob : float, default 0.95
        Of the confidence intervals, which are normal (on the log scale for ratios).

    Returns
    -------
    DataFrame, index method
        ``estimate``, ``ci_lower``, ``ci_upper``, ``p_value`` and ``scale``: ``"time"`` for the
        difference of areas under the Kaplan-Meier curves up to the horizon, ``"hazard ratio"`` for
        the Cox models (below 1: fewer events in the other arm than in the reference arm); tests
        have a p-value alone. What could not be computed is NaN. In these rows any event counts.
        Where events have several causes, each cause, that of interest first, has three further
        rows: ``"cause-specific hazard ratio"`` is the scale of Cox models in which events of other
        causes are censored, without and with covariates, and a test of proportional hazards.

    Raises
    ------
    DataError
        If the outcome is no time to an event.
    UnsupportedError
        If the study has more than two arms.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import bayes_hte as hte
    >>> from bayes_hte.companions import compare_hazards
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame({"x": rng.normal(size=200), "drug": np.arange(200) % 2})
    >>> frame["years"] = rng.exponential(np.exp(frame["drug"]))
    >>> frame["died"] = frame["years"] < 3
    >>> frame["years"] = frame["years"].clip(upper=3)
    >>> roles = {"outcome": "years", "event": "died", "treatment": "drug", "covariates": ["x"]}
    >>> found = compare_hazards(hte.Study.from_frame(frame, **roles), horizon=3.0)
    >>> bool(found.loc["Cox model", "ci_upper"] < 1)
    True
    """
    study.check_two_arms("a comparison of hazards")
    if study.event is None:
        raise DataError(
            "a comparison of hazards needs times to an event; this study has no column of events "
            "(event=<column> in from_frame)."
        )
    study = study.with_outcome()
    frame = _frame(study)
    z = float(stats.norm.ppf(0.5 + ci_prob / 2))
    covariates = _covariates(study, frame)
    alone, adjusted = _cox(frame, ()), _cox(frame, covariates)
    rows = {
        AREA: _area(study, horizon, z),
        LOG_RANK: _test(_log_rank(frame)),
        COX: _ratio(alone, z),
        COX_ADJUSTED: _ratio(adjusted, z),
        PROPORTIONAL: _test(_proportional(alone, frame)),
    }
    for cause in study.causes:
        rows |= _cause_specific(
            frame.assign(**{EVENT: study.event_of(cause).astype(int)}), covariates, cause, z
        )
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")


def _cause_specific(
    frame: pd.DataFrame, covariates: tuple[str, ...], cause: str, z: float
) -> dict[str, dict[str, Any]]:
    """Return the rows of one cause, whose events alone are events in the frame."""
    # Without events of the cause in an arm the ratio is 0 or infinite, which no model reports.
    both = frame.loc[frame[EVENT] == 1, ARM_COLUMN].nunique() == 2
    alone, adjusted = (_cox(frame, names) if both else None for names in ((), covariates))
    scale = "cause-specific hazard ratio"
    return {
        SPECIFIC.format(cause): _ratio(alone, z, scale),
        SPECIFIC_ADJUSTED.format(cause): _ratio(adjusted, z, scale),
        SPECIFIC_PROPORTIONAL.format(cause): _test(_proportional(alone, frame)),
    }


def _frame(study: Study) -> pd.DataFrame:
    """Return times, events and arms under names of their own, shape (unit, column)."""
    columns = {TIME: study.outcome(), EVENT: study.event.astype(int), ARM_COLUMN: study.arm_index()}
    if study.entry is not None:
        columns[ENTRY] = study.entry
    clusters = study.clusters()
    if clusters is not None:
        columns[CLUSTER_COLUMN] = pd.factorize(clusters)[0]
    return pd.DataFrame(columns)


def _covariates(study: Study, frame: pd.DataFrame) -> tuple[str, ...]:
    """Add the standardised covariates to the frame, in place; return their names."""
    filled = study.filled_covariates()
    values = Encoding.learn(filled).standardized(filled).to_numpy()
    names = tuple(f"x{j}" for j in range(values.shape[1]))
    for j, name in enumerate(names):
        frame[name] = values[:, j]
    return names


def _area(study: Study, horizon: float, z: float) -> dict[str, Any]:
    scored = restricted_means(study, horizon)
    y, arm = scored.outcome(), scored.arm_index()
    difference = y[arm == 1].mean() - y[arm == 0].mean()
    error = float(np.sqrt(sum(y[arm == a].var(ddof=1) / (arm == a).sum() for a in (0, 1))))
    p = 2 * stats.norm.sf(abs(difference) / error) if error > 0 else np.nan
    return _row(difference, difference - z * error, difference + z * error, p, "time")


def _cox(frame: pd.DataFrame, covariates: tuple[str, ...]) -> CoxPHFitter | None:
    """Fit a Cox model of the arm and covariates; None if it does not converge."""
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError

    given = {ENTRY: "entry_col", CLUSTER_COLUMN: "cluster_col"}
    options = {option: column for column, option in given.items() if column in frame}
    used = [TIME, EVENT, ARM_COLUMN, *covariates, *options.values()]
    model = CoxPHFitter(penalizer=RIDGE if covariates else 0.0)
    try:
        with _quiet():
            return model.fit(frame[used], duration_col=TIME, event_col=EVENT, **options)
    except (ConvergenceError, np.linalg.LinAlgError):
        return None


def _ratio(model: CoxPHFitter | None, z: float, scale: str = "hazard ratio") -> dict[str, Any]:
    if model is None:
        return _row(np.nan, np.nan, np.nan, np.nan, scale)
    found = model.summary.loc[ARM_COLUMN]
    log, error = float(found["coef"]), float(found["se(coef)"])
    bounds = np.exp([log, log - z * error, log + z * error])
    return _row(*bounds, float(found["p"]), scale)


def _log_rank(frame: pd.DataFrame) -> float:
    """P-value; NaN where units enter late, which the test of the library does not know."""
    from lifelines.statistics import logrank_test

    if ENTRY in frame:
        return np.nan
    first, second = (frame[frame[ARM_COLUMN] == a] for a in (0, 1))
    with _quiet():
        found = logrank_test(first[TIME], second[TIME], first[EVENT], second[EVENT])
    return float(found.p_value)


def _proportional(model: CoxPHFitter | None, frame: pd.DataFrame) -> float:
    from lifelines.statistics import proportional_hazard_test

    if model is None or ENTRY in frame:
        return np.nan
    columns = [c for c in (TIME, EVENT, ARM_COLUMN, CLUSTER_COLUMN) if c in frame]
    with _quiet():
        found = proportional_hazard_test(model, frame[columns], time_transform="rank")
    return float(np.ravel(found.p_value)[0])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the library, which warns of its own use of pandas and of rare covariates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _test(p: float) -> dict[str, Any]:
    return _row(np.nan, np.nan, np.nan, p, "")


def _row(estimate: float, lower: float, upper: float, p: float, scale: str) -> dict[str, Any]:
    return {
        "estimate": float(estimate),
        "ci_lower": float(lower),
        "ci_upper": float(upper),
        "p_value": float(p),
        "scale": scale,
    }
