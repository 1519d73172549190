"""What the M-learner accepts as an effect: checked against the study, averaged, named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.errors import DataError
from bayes_hte.names import EFFECTS, SAMPLE, UNIT
from bayes_hte.subgroups.membership import posterior_mean


def as_effects(effect: xr.DataArray | xr.Dataset, units: pd.Index) -> tuple[xr.DataArray, ...]:
    """Check the draws of an effect, or of several, against the contract and the units.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit), or Dataset of such
        Unit-level draws.
    units : Index
        Labels of the units of the study.

    Returns
    -------
    tuple of DataArray
        The effect alone, or the variables of the Dataset.

    Raises
    ------
    DataError
        If it lacks a dimension or has another one, its units are not those of the study, or it
        holds no draws.
    """
    if not isinstance(effect, xr.DataArray | xr.Dataset) or not len(effect):
        raise DataError(
            f"effect must be draws in a DataArray or Dataset, got {type(effect).__name__}; "
            "bayes_hte.effects makes them from potential outcomes."
        )
    single = isinstance(effect, xr.DataArray)
    effects = (effect,) if single else tuple(effect[v] for v in effect.data_vars)
    for part in effects:
        if set(part.dims) != {*SAMPLE, UNIT}:
            raise DataError(
                f"effect {part.name!r} must have dims {(*SAMPLE, UNIT)}, got {tuple(part.dims)}; "
                "pass unit-level draws, not averages or potential outcomes."
            )
        if part.sizes[UNIT] != len(units):
            raise DataError(
                f"effect {part.name!r} has {part.sizes[UNIT]} units and the study "
                f"{len(units)}; pass the study the effect was estimated for."
            )
        if UNIT in part.coords and not pd.Index(part[UNIT].values).equals(units):
            raise DataError(
                f"the unit labels of effect {part.name!r} are not those of the study in the same "
                "order; select effect.sel(unit=study.units)."
            )
        if not part.sizes[SAMPLE[0]] * part.sizes[SAMPLE[1]]:
            raise DataError(f"effect {part.name!r} holds no draws.")
    return effects


def posterior_means(effects: tuple[xr.DataArray, ...]) -> np.ndarray:
    """Average the draws of each unit and effect.

    Parameters
    ----------
    effects : tuple of DataArray, dims (chain, draw, unit)

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
