"""Survival curves under each arm, as posteriors: of everybody, of groups, or of given patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.components.hazard import HazardComponent
from bayes_hte.effects.contrasts import own_mediator
from bayes_hte.errors import DataError, SpecError, unknown_name
from bayes_hte.fitting.at_rows import rows_of_outcome
from bayes_hte.fitting.blocks import is_large
from bayes_hte.fitting.mediation import arm_coords
from bayes_hte.names import CHAIN, DRAW, UNIT
from bayes_hte.study.design import Design
from bayes_hte.study.frames import as_table, unit_labels
from bayes_hte.study.time_to_event import EstimandName

if TYPE_CHECKING:
    from bayes_hte.fitting.fitted import Fit

TIME, GROUP = "time", "group"
N_TIMES = 25
# Single units whose curves are computed in one call.
MOST_UNITS = 1000
PROBABILITIES = ("survival", "cumulative_incidence")


def survival_curves(
    fit: Fit,
    newdata: pd.DataFrame | None = None,
    *,
    times: Sequence[float] | None = None,
    groups: pd.Series | np.ndarray | None = None,
    by_unit: bool = False,
    estimand: EstimandName = "survival",
) -> xr.DataArray:
    """Return the probability of surviving each time under each arm, averaged over units or not.

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
    by_unit : bool, default False
        Whether every unit, or row of `newdata`, has curves of its own; at most 1,000.
    estimand : {"survival", "cumulative_incidence"}
        With the second, where events have several causes, the probability of an event of the cause
        of interest by each time.

    Returns
    -------
    DataArray, dims (chain, draw[, group or unit], arm, time)
        Probabilities; averages are taken draw by draw. Units have the labels of their rows.

    Raises
    ------
    DataError
        If the outcome is no time to an event, groups do not fit the units, or more units than
        1,000 are asked for one by one.
    SpecError
        If times are not positive, the estimand is another, or groups are given for single units.

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

    Each of a few patients; :func:`bayes_hte.plots.plot_survival` draws such a table:

    >>> each = hte.survival_curves(fit, frame.head(3), times=[0.5, 1.0, 1.5], by_unit=True)
    >>> first = each.isel(unit=0, drop=True).assign_coords(arm=[0, 1])
    >>> table = hte.summarize(first, ci_prob=0.95).reset_index()
    >>> each.sizes["unit"], list(table)[:3]
    (3, ['arm', 'time', 'mean'])
    """
    if fit.horizon is None:
        raise DataError(
            "survival curves need times to an event; build the study with event=<column>."
        )
    if estimand not in PROBABILITIES:
        raise unknown_name("estimand of a curve", estimand, PROBABILITIES)
    if newdata is not None:
        newdata = as_table(newdata, "new rows")
    n = fit.study.n_units if newdata is None else len(newdata)
    if by_unit:
        return _of_units(fit, newdata, n, groups, times, estimand)
    if groups is None:
        found = averaged_curves(fit, {0: np.ones(n, dtype=bool)}, newdata, times, estimand)
        return found.isel({GROUP: 0}, drop=True)
    labels = np.asarray(groups)
    if labels.shape != (n,):
        raise DataError(f"groups need one value per unit, got shape {labels.shape} for {n} units.")
    members = {level: labels == level for level in np.unique(labels)}
    return averaged_curves(fit, members, newdata, times, estimand)


def _of_units(
    fit: Fit,
    newdata: pd.DataFrame | None,
    n: int,
    groups: pd.Series | np.ndarray | None,
    times: Sequence[float] | None,
    estimand: EstimandName,
) -> xr.DataArray:
    """Return the curves of single units: each is a group of its own."""
    if groups is not None:
        raise SpecError("give groups of units or by_unit=True, not both.")
    if not 0 < n <= MOST_UNITS:
        raise DataError(
            f"curves of single units are of 1 to {MOST_UNITS} rows, got {n}; ask for some rows at "
            "a time, or for averages over groups."
        )
    members = {i: np.arange(n) == i for i in range(n)}
    found = averaged_curves(fit, members, newdata, times, estimand)
    units = fit.study.units
    if newdata is not None:
        units = unit_labels(newdata.index, newdata.columns)
    return found.rename({GROUP: UNIT}).assign_coords({UNIT: units})


def averaged_curves(
    fit: Fit,
    members: Mapping[Any, np.ndarray],
    newdata: pd.DataFrame | None = None,
    times: Sequence[float] | None = None,
    estimand: EstimandName = "survival",
) -> xr.DataArray:
    """Return curves averaged over groups that may overlap, each probability computed once.

    Parameters
    ----------
    fit : Fit
        Of times to an event.
    members : mapping of group to ndarray of bool, shape (unit,)
        The units of each group.
    newdata, times, estimand
        As in :func:`survival_curves`.

    Returns
    -------
    DataArray, dims (chain, draw, group, arm, time)
    """
    grid, curves = _grid(fit, times), []
    for at in grid:
        # Refuses times beyond the follow-up, and causes that there are not.
        fit.estimand(estimand, at=float(at))
    component = fit.components["outcome"]
    if isinstance(component, HazardComponent):
        sizes = component.posterior.sizes
        n = fit.study.n_units if newdata is None else len(newdata)
        if not is_large(sizes[CHAIN] * sizes[DRAW], n):
            rows = rows_of_outcome(fit, newdata)
            return _of_hazards(fit, component, members, grid, estimand, rows)
    for at in grid:
        mu = own_mediator(fit.potential_outcomes(newdata, estimand=estimand, at=float(at)))
        mu = mu.drop_attrs().astype(np.float64)
        parts = [mu.isel({UNIT: own}).mean(UNIT) for own in members.values()]
        curves.append(xr.concat(parts, pd.Index(list(members), name=GROUP)))
    found = xr.concat(curves, pd.Index(grid, name=TIME))
    return found.transpose("chain", "draw", GROUP, ..., TIME).rename(estimand)


def _of_hazards(
    fit: Fit,
    component: HazardComponent,
    members: Mapping[Any, np.ndarray],
    grid: np.ndarray,
    estimand: EstimandName,
    rows: Design | None,
) -> xr.DataArray:
    """Return the curves of hazards, which are straight lines between the edges of intervals."""
    found = component.averages_at_edges(list(members.values()), estimand, rows)
    start = xr.full_like(found.isel(edge=[0]), 1.0 if estimand == "survival" else 0.0)
    found = xr.concat([start, found], "edge").assign_coords(edge=np.array(component.edges))
    curves = found.interp(edge=grid).rename(edge=TIME)
    curves = curves.assign_coords({GROUP: list(members)})
    curves = curves.assign_coords({d: component.posterior[d] for d in (CHAIN, DRAW)})
    curves = arm_coords(curves, fit.study.arms)
    return curves.transpose("chain", "draw", GROUP, ..., TIME).rename(estimand)


def _grid(fit: Fit, times: Sequence[float] | None) -> np.ndarray:
    """Return the times of curves."""
    grid = np.linspace(0, fit.horizon, N_TIMES + 1)[1:] if times is None else np.asarray(times)
    if not (np.isfinite(grid).all() and (grid > 0).all()):
        raise SpecError(f"times of survival curves are positive numbers, got {list(grid)}.")
    return grid
