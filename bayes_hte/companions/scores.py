"""One number per unit whose mean is the treatment effect: augmented inverse-probability scores.

A score is noisy for its unit but unbiased on average, so the mean score over any set of units
chosen without looking at their outcomes estimates the effect in that set.

References
----------
Robins, J. M., Rotnitzky, A., Zhao, L. P. (1994). Estimation of regression coefficients when some
regressors are not always observed. Journal of the American Statistical Association 89, 846-866.
doi:10.1080/01621459.1994.10476818
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.companions.inputs import align, treated_mask
from bayes_hte.errors import DataError
from bayes_hte.names import ARM, SAMPLE, UNIT

type LabelledValues = pd.Series | np.ndarray | xr.DataArray


def effect_scores(
    units: pd.Index,
    *,
    outcome: LabelledValues,
    treatment: LabelledValues,
    propensity: LabelledValues | None = None,
    expected: xr.DataArray | None = None,
) -> np.ndarray:
    """Return a score for each unit whose expectation is its conditional treatment effect.

    With m_a the expected outcome in arm a and e the propensity, the score is
    ``m_1 - m_0 + t (y - m_1) / e - (1 - t) (y - m_0) / (1 - e)``. It is unbiased if either the
    propensity or the expected outcomes are right.

    Parameters
    ----------
    units : Index, shape (unit,)
        Labels of the units.
    outcome, treatment : Series, ndarray or DataArray, shape (unit,)
        Observed outcome; observed arm coded 0/1. Labelled values are matched by label.
    propensity : Series, ndarray or DataArray, shape (unit,), optional
        P(treated | covariates). Left out, the share treated is used: right for a trial with equal
        allocation odds for everyone, wrong for an observational study.
    expected : DataArray, dims (unit, arm) or (chain, draw, unit, arm), optional
        Expected outcomes from models that were *not* fitted to these units, reference arm first;
        draws are averaged. Left out, the (weighted) mean outcome of each arm is used.

    Returns
    -------
    ndarray of float64, shape (unit,)
        In outcome units.

    Raises
    ------
    DataError
        If lengths, labels, coding or dims do not fit, or the propensity is outside (0, 1).

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte.companions import effect_scores
    >>> units = pd.RangeIndex(4)
    >>> effect_scores(units, outcome=[1, 2, 4, 6], treatment=[0, 0, 1, 1]).mean().item()
    3.5
    """
    y = align(outcome, units, "outcome")
    arm = treated_mask(align(treatment, units, "treatment"), "treatment")
    if propensity is None:
        e = np.full(y.size, arm.mean())
    else:
        e = align(propensity, units, "propensity")
        if e.min() <= 0 or e.max() >= 1:
            raise DataError(
                f"propensity must lie strictly between 0 and 1, got [{e.min():g}, {e.max():g}]; "
                "leave out the units that could only be in one arm."
            )
    m0, m1 = _arm_means(y, arm, e) if expected is None else _expected(expected, units)
    return m1 - m0 + np.where(arm, (y - m1) / e, (m0 - y) / (1 - e))


def _arm_means(y: np.ndarray, arm: np.ndarray, e: np.ndarray) -> tuple[float, float]:
    control = np.average(y[~arm], weights=1 / (1 - e[~arm]))
    return float(control), float(np.average(y[arm], weights=1 / e[arm]))


def _expected(expected: xr.DataArray, units: pd.Index) -> tuple[np.ndarray, np.ndarray]:
    if set(expected.dims) - set(SAMPLE) != {UNIT, ARM} or expected.sizes[ARM] != 2:
        raise DataError(
            f"expected must have dims ({UNIT!r}, {ARM!r}), with or without {SAMPLE}, and two arms; "
            f"got {dict(expected.sizes)}."
        )
    mean = expected.mean([d for d in SAMPLE if d in expected.dims], dtype=np.float64)
    arms = (mean.isel({ARM: k}, drop=True) for k in (0, 1))
    m0, m1 = (align(a, units, "expected") for a in arms)
    return m0, m1
