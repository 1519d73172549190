"""Draws of a linear predictor: the input of the g-formula, free of PyMC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from bayes_hte.errors import DataError


@dataclass(frozen=True)
class LinearPredictor:
    """Draws of a linear predictor under each arm, affine in the mediator.

    Under arm t and mediator value m it is ``base[t] + slope[t] (m - expected[t])``, with `expected`
    the mediator expected under that arm.

    Attributes
    ----------
    base : DataArray, dims (chain, draw, unit, arm)
        On the link scale.
    slope : DataArray, dims (chain, draw, unit, arm), or None
        None in a component without mediator.
    """

    base: xr.DataArray
    slope: xr.DataArray | None

    def as_observed(self, arm: np.ndarray, mediator: np.ndarray | None) -> np.ndarray:
        """Return the linear predictor at each unit's own arm and mediator.

        Parameters
        ----------
        arm : ndarray of int, shape (unit,)
            Arm of each unit.
        mediator : ndarray, shape (unit,), or None
            Its mediator minus the expectation in its own arm, if the component sees one.

        Returns
        -------
        ndarray, shape (chain, draw, unit)

        Raises
        ------
        DataError
            If the component sees a mediator and none is given.
        """
        eta = _own_arm(self.base, arm)
        if self.slope is None:
            return eta
        if mediator is None:
            raise DataError(
                "this component sees a mediator; give each unit's deviation from its expectation."
            )
        return eta + _own_arm(self.slope, arm) * mediator


def _own_arm(values: xr.DataArray, arm: np.ndarray) -> np.ndarray:
    return np.take_along_axis(values.to_numpy(), arm[None, None, :, None], axis=3)[..., 0]
