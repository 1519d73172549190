"""Survival curves under each arm, as posteriors: of everybody, of groups, or of given patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.contrasts import own_mediator
from bayes_hte.errors import DataError, SpecError
from bayes_hte.names import UNIT

if TYPE_CHECKING:
    from bayes_hte.fitting.fitted import Fit

TIME, GROUP = "time", "group"
N_TIMES = 25


def survival_curves(
    fit: Fit,
    newdata: pd.DataFrame | None = None,
    *,
    times: Sequence[float] | None = None,
    groups: pd.Series | np.ndarray | None = None,
) -> xr.DataArray:
    """Return the probability of surviving each time under each arm, averaged over units.

    Parameters
    ----------
    fit : Fit
        Of times to an event.
    newdata : DataFrame, optional
        Rows with every covariate, such as the one of a given patient; default the study's units.
    times : sequence of float, optional
        Positive times, in the unit of the outcome; default 25, evenly spaced up to the horizon.
    groups : Series or ndarray, shape (unit,), optional
        The group of each unit; a curve is then the average over the units of its group.

    Returns
    -------
    DataArray, dims (chain, draw[, group], arm, time)
        Probabilities; averages are taken draw by draw.

    Raises
    ------
    DataError
        If the outcome is no time to an event, or groups do not fit the units.
    SpecError
        If times are not positive.

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
    >>> size = {"draws": 20, "tune": 20, "chains": 2, "progress": False, "stack_with": []}
    >>> fit = hte.fit(study, family="lognormal", surface="linear", seed=1, **size)
    >>> curves = hte.survival_curves(fit, frame.head(1), times=[0.5, 1.0, 1.5])
    >>> curves.dims, bool((curves.diff("time") <= 0).all())
    (('chain', 'draw', 'arm', 'time'), True)
    """
    if fit.horizon is None:
        raise DataError(
            "survival curves need times to an event; build the study with event=<column>."
        )
    grid = np.linspace(0, fit.horizon, N_TIMES + 1)[1:] if times is None else np.asarray(times)
    if not (np.isfinite(grid).all() and (grid > 0).all()):
        raise SpecError(f"times of survival curves are positive numbers, got {list(grid)}.")
    n = fit.study.n_units if newdata is None else len(newdata)
    labels = None if groups is None else np.asarray(groups)
    if labels is not None and labels.shape != (n,):
        raise DataError(f"groups need one value per unit, got shape {labels.shape} for {n} units.")
    curves = [_survival(fit, newdata, float(t), labels) for t in grid]
    return xr.concat(curves, pd.Index(grid, name=TIME)).transpose(..., TIME).rename("survival")


def _survival(
    fit: Fit, newdata: pd.DataFrame | None, at: float, labels: np.ndarray | None
) -> xr.DataArray:
    """Average the probability of surviving one time over the units of each group."""
    mu = own_mediator(fit.potential_outcomes(newdata, estimand="survival", at=at))
    mu = mu.drop_attrs().astype(np.float64)
    if labels is None:
        return mu.mean(UNIT)
    levels, codes = np.unique(labels, return_inverse=True)
    parts = [mu.isel({UNIT: codes == g}).mean(UNIT) for g in range(levels.size)]
    return xr.concat(parts, pd.Index(levels, name=GROUP)).transpose("chain", "draw", GROUP, ...)
