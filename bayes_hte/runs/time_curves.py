"""Curves over time of a run: of everybody, of thirds of predicted risk, and of found subgroups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from bayes_hte.checks.kaplan_meier import thirds
from bayes_hte.names import ARM, SAMPLE, UNIT
from bayes_hte.reporting.tables.lookup_curves import codes_like
from bayes_hte.runs.prepared import Prepared
from bayes_hte.runs.subgroups import find_subgroups
from bayes_hte.study.labels import labelled_study
from bayes_hte.study.time_to_event import EstimandName

if TYPE_CHECKING:
    from bayes_hte.fitting.fitted import Fit

# Variables of the curves of subgroups, as they are saved.
CURVE, LABEL = "curve", "label"


def risk_curves(fit: Fit, mu: xr.DataArray, estimand: EstimandName) -> xr.DataArray | None:
    """Return curves of everybody and of thirds of the outcome expected in the reference arm.

    Parameters
    ----------
    fit : Fit
        Of any outcome.
    mu : DataArray, dims (chain, draw, unit, arm)
        Expected outcomes.
    estimand : {"survival", "cumulative_incidence"}
        The probability.

    Returns
    -------
    DataArray or None
        Dims (chain, draw, group, arm, time), group 0 everybody, then the thirds, lowest first. None
        unless the outcome is a time to an event, or without causes for a cumulative incidence.
    """
    if fit.study.event is None or (estimand != "survival" and not fit.study.causes):
        return None
    risk = thirds(mu.isel({ARM: 0}).mean(SAMPLE).to_numpy())
    members = {0: np.ones(risk.shape, dtype=bool)}
    if risk.max() > 0:
        members |= {int(third) + 1: risk == third for third in np.unique(risk)}
    return _averaged(fit, members, estimand)


def curves_of_groups(
    fit: Fit, unit: xr.Dataset, prepared: Prepared
) -> tuple[dict[str, xr.Dataset], xr.Dataset | None]:
    """Return curves of found subgroups, and of units that agree on a few covariates.

    Parameters
    ----------
    fit : Fit
        Of any outcome.
    unit : Dataset, dims (chain, draw, unit)
        Effects of each unit.
    prepared : Prepared
        The study file and its data.

    Returns
    -------
    of_subgroups : dict of str to Dataset
        By effect, of the subgroups that the study file's search finds: ``curve``, dims (chain,
        draw, group, arm, time), of the probability that effects are on, or of surviving where they
        are on restricted means; ``label``, dims (unit,), the subgroup of each unit, by which a
        report knows whether it has the same subgroups. Empty unless the outcome is a time to an
        event, and for a single subgroup.
    like : Dataset or None
        The same of the combinations of the report's look-up, at every second time.
    """
    if fit.study.event is None:
        return {}, None
    spec = prepared.spec
    found: Mapping = find_subgroups(unit, fit.study, spec, seed=spec.sampler.seed)
    labels = {name: groups.labels.to_numpy() for name, groups in found.items()}
    labels = {name: own for name, own in labels.items() if len(np.unique(own)) > 1}
    like = codes_like(labelled_study(fit.study, spec.labels), unit["te"])
    # All in one pass over the times, each of which predicts every unit.
    divisions = [*labels.values(), *([] if like is None else [like])]
    levels = [np.unique(own) for own in divisions]
    masks = [own == level for own, each in zip(divisions, levels, strict=True) for level in each]
    if not masks:
        return {}, None
    incidence = spec.estimand == "cumulative_incidence"
    curves = _averaged(
        fit, dict(enumerate(masks)), "cumulative_incidence" if incidence else "survival"
    )
    parts, start = [], 0
    for own, each in zip(divisions, levels, strict=True):
        part = curves.isel(group=slice(start, start + each.size)).assign_coords(group=each)
        start += each.size
        parts.append(xr.Dataset({CURVE: part, LABEL: (UNIT, own)}, coords={UNIT: fit.study.units}))
    rest = None if like is None else parts[-1].isel(time=slice(None, None, 2))
    return dict(zip(labels, parts, strict=False)), rest


def _averaged(fit: Fit, members: Mapping[int, np.ndarray], estimand: EstimandName) -> xr.DataArray:
    from bayes_hte.fitting.curves import averaged_curves

    found = averaged_curves(fit.first_stage(), members, estimand=estimand)
    return found.drop_vars(ARM).astype(np.float32)
