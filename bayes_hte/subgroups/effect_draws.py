"""The effects that the M-learner accepts: checked against the study, averaged, named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.pairs import check_one_contrast
from bayes_hte.effects.units import same_labels
from bayes_hte.errors import DataError
from bayes_hte.names import EFFECTS, SAMPLE, UNIT
from bayes_hte.study.study import Study
from bayes_hte.subgroups.membership import posterior_mean


def as_effects(
    effect: xr.DataArray | xr.Dataset, study: Study | pd.Index
) -> tuple[xr.DataArray, ...]:
    """Check the draws of an effect, or of several, against the contract and the units.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit), or Dataset of such
        Unit-level draws.
    study : Study or Index
        The study, or the labels of its units.

    Returns
    -------
    tuple of DataArray
        The effect alone, or the variables of the Dataset.

    Raises
    ------
    DataError
        If it lacks a dimension or has another one, its units are not those of the study, or it
        holds no draws; if the study is none.
    """
    if not isinstance(study, Study | pd.Index):
        raise DataError(
            f"study must be a Study, got {type(study).__name__}; make one with Study.from_frame."
        )
    units = study if isinstance(study, pd.Index) else study.units
    if not isinstance(effect, xr.DataArray | xr.Dataset) or not len(effect):
        raise DataError(
            f"effect must be draws in a DataArray or Dataset, got {type(effect).__name__}; "
            "bayes_hte.effects makes them from potential outcomes."
        )
    single = isinstance(effect, xr.DataArray)
    effects = (effect,) if single else tuple(effect[v] for v in effect.data_vars)
    for part in effects:
        _check_effect(part, units)
    return effects


def _check_effect(effect: xr.DataArray, units: pd.Index) -> None:
    check_one_contrast(effect, "the search for subgroups")
    name = effect.name
    if set(effect.dims) != {*SAMPLE, UNIT}:
        raise DataError(
            f"effect {name!r} must have dims {(*SAMPLE, UNIT)}, got {tuple(effect.dims)}; "
            "pass unit-level draws, not averages or potential outcomes."
        )
    if effect.sizes[UNIT] != len(units):
        raise DataError(
            f"effect {name!r} has {effect.sizes[UNIT]} units and the study {len(units)}; pass the "
            "study the effect was estimated for."
        )
    if UNIT in effect.coords and not same_labels(effect.get_index(UNIT), units):
        raise DataError(
            f"the unit labels of effect {name!r} are not those of the study in the same order; "
            "select effect.sel(unit=study.units). If the order is right and the labels differ, "
            "take them off: effect.drop_vars('unit')."
        )
    if not all(effect.sizes[d] for d in SAMPLE):
        raise DataError(f"effect {name!r} holds no draws.")


def posterior_means(effects: tuple[xr.DataArray, ...]) -> np.ndarray:
    """Average the draws of each unit and effect.

    Parameters
    ----------
    effects : tuple of DataArray, dims (chain, draw, unit)
        The effects.

    Returns
    -------
    ndarray, shape (unit, effect)

    Raises
    ------
    DataError
        If a draw is NaN or infinite.
    """
    with np.errstate(invalid="ignore"):  # infinities of both signs make the NaN reported below
        points = np.column_stack([posterior_mean(part) for part in effects])
    bad = int((~np.isfinite(points)).any(axis=1).sum())
    if bad:
        raise DataError(
            f"the effect has NaN or infinite draws in {bad} of {len(points)} units; repair the fit "
            "that produced them before looking for subgroups."
        )
    return points


def effect_names(effect: xr.DataArray) -> tuple[str, str]:
    """Return the short name of an effect, and its name in words."""
    name = str(effect.attrs.get("effect", effect.name or "effect"))
    words = EFFECTS[name][0] if name in EFFECTS else name
    return name, str(effect.attrs.get("long_name", words))
