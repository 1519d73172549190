"""Draws of a linear predictor: the input of the g-formula, free of PyMC."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import xarray as xr

from bayes_hte.errors import DataError
from bayes_hte.surfaces.bends import Bends


@dataclass(frozen=True)
class BentPart:
    """What an outcome that bends in its mediator adds to a linear predictor.

    Attributes
    ----------
    coefficients : DataArray, dims (chain, draw, unit, arm, bend)
        On the link scale.
    bends : Bends
        The functions that they multiply.
    expected : ndarray, shape (unit, arm)
        Expected mediators.
    """

    coefficients: xr.DataArray
    bends: Bends
    expected: np.ndarray

    def at(self, mediator: np.ndarray | float, arm: int) -> np.ndarray:
        """Return the part under an arm at values of the mediator, shape (chain, draw, unit)."""
        value = np.asarray(mediator)
        return self.averaged(self.bends.nonlinear(value), value, arm)

    def averaged(self, nonlinear: np.ndarray, mean: np.ndarray, arm: int) -> np.ndarray:
        """Return the mean of the part under an arm over a law of the mediator.

        Parameters
        ----------
        nonlinear : ndarray, shape (chain, draw, unit, function)
            Means of the splines.
        mean : ndarray, shape (chain, draw, unit)
            Mean of the mediator.
        arm : int

        Returns
        -------
        ndarray, shape (chain, draw, unit)
        """
        own = (self.expected[:, arm], self._expectation[:, arm])
        values = self.bends.combined(nonlinear, mean, *own)
        return (self.coefficients.to_numpy()[..., arm, :] * values).sum(axis=-1)

    @cached_property
    def _expectation(self) -> np.ndarray:
        """Mean of the splines around the expected mediators, shape (unit, arm, function)."""
        return self.bends.expectation(self.expected)

    def as_observed(self, arm: np.ndarray, deviation: np.ndarray) -> np.ndarray:
        """Return the part at each unit's own arm and mediator; see `LinearPredictor`."""
        own = self.expected[np.arange(arm.size), arm]
        values = self.bends.at(own + deviation, own)
        return sum(
            _own_arm(self.coefficients[..., bend], arm) * values[:, bend]
            for bend in range(self.bends.number)
        )


@dataclass(frozen=True)
class LinearPredictor:
    """Draws of a linear predictor under each arm, affine in each mediator unless it bends.

    Under arm t and mediator value m it is ``base[t] + slope[t] (m - expected[t])``, with `expected`
    the mediator expected under that arm. Of two mediators the second adds a term of the same form,
    and their deviations may have a product.

    Attributes
    ----------
    base : DataArray, dims (chain, draw, unit, arm)
        On the link scale.
    slope : DataArray, dims (chain, draw, unit, arm), or None
        None in a component without mediator.
    second : DataArray, dims (chain, draw, unit, arm), or None
        Slope of the second of two mediators.
    product : DataArray, dims (chain, draw, unit, arm), or None
        Coefficient of the product of both deviations.
    bent : BentPart or None
        Of an outcome that bends in its mediator what is not affine in it.
    """

    base: xr.DataArray
    slope: xr.DataArray | None
    second: xr.DataArray | None = None
    product: xr.DataArray | None = None
    bent: BentPart | None = None

    def as_observed(self, arm: np.ndarray, mediator: np.ndarray | None) -> np.ndarray:
        """Return the linear predictor at each unit's own arm and mediator.

        Parameters
        ----------
        arm : ndarray of int, shape (unit,)
            Arm of each unit.
        mediator : ndarray, shape (unit,) or (unit, mediator), or None
            Its mediator minus the expectation in its own arm, if the component sees one; of two
            mediators both.

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
        first, *further = mediator.reshape(arm.size, -1).T
        eta = eta + _own_arm(self.slope, arm) * first
        if self.bent is not None:
            eta = eta + self.bent.as_observed(arm, first)
        if self.second is None:
            return eta
        if not further:
            raise DataError("this component sees two mediators; give the deviations of both.")
        eta = eta + _own_arm(self.second, arm) * further[0]
        if self.product is None:
            return eta
        return eta + _own_arm(self.product, arm) * (first * further[0])


def _own_arm(values: xr.DataArray, arm: np.ndarray) -> np.ndarray:
    return np.take_along_axis(values.to_numpy(), arm[None, None, :, None], axis=3)[..., 0]
