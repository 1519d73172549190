"""Draws of a linear predictor: what the g-formula needs of a component, and nothing of PyMC."""

from __future__ import annotations

from dataclasses import dataclass

import xarray as xr


@dataclass(frozen=True)
class LinearPredictor:
    """Draws of a linear predictor under both arms, affine in the centred mediator.

    Under arm t and mediator value m it is ``base[t] + slope[t] (m - center)``.

    Attributes
    ----------
    base : DataArray, dims (chain, draw, unit, arm)
        On the link scale.
    slope : DataArray, dims (chain, draw, unit, arm), or None
        None in a component without mediator.
    """

    base: xr.DataArray
    slope: xr.DataArray | None
