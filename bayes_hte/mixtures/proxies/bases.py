"""Bases of one proxy column: indicators, bins, ranks and splines, each with its stored state.

The moment solver needs bounded features whose span holds the constant and whose averages settle
quickly, so raw unbounded powers are not offered. In every basis the constant involves the first
function, so that one may be dropped when columns are put side by side with a shared constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.interpolate import BSpline

from bayes_hte.errors import DataError
from bayes_hte.mixtures.arrays import Array, check_whole


class _AddsToOne:
    """A basis whose functions add up to one."""

    def constant(self) -> Array:
        """Return the coefficients of the constant function."""
        return np.ones(len(self.names()))


class _OneHot(_AddsToOne):
    """A basis of indicators, one of which is 1."""

    def matrix(self, values: pd.Series) -> Array:
        """Return the indicators, shape (n, number of indicators)."""
        return np.eye(len(self.names()))[self.codes(values)]


@dataclass(frozen=True)
class Levels(_OneHot):
    """One indicator per level of a category.

    Attributes
    ----------
    column : str
    levels : tuple
        In ascending order.
    """

    column: str
    levels: tuple[Any, ...]

    def names(self) -> tuple[str, ...]:
        """Return the name of each indicator."""
        return tuple(f"{self.column}={level}" for level in self.levels)

    def codes(self, values: pd.Series) -> NDArray[np.intp]:
        """Return the position of each value among the levels."""
        codes = pd.Index(self.levels).get_indexer(pd.Index(values.to_numpy()))
        if (codes < 0).any():
            raise DataError(
                f"column {self.column!r} holds {values.to_numpy()[codes < 0][0]!r}, which was "
                f"not among its levels before: {self.levels}."
            )
        return codes.astype(np.intp)


@dataclass(frozen=True)
class QuantileBins:
    """Continuous proxies as bins with equal shares of the units.

    Attributes
    ----------
    n_bins : int, default 4

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte.mixtures import QuantileBins
    >>> QuantileBins(2).fit(pd.Series([1.0, 2.0, 3.0, 4.0], name="age")).names()
    ('age in [-inf, 2.5)', 'age in [2.5, inf)')
    """

    n_bins: int = 4

    def fit(self, values: pd.Series) -> FittedBins:
        """Find the inner edges of the bins; ties may leave fewer bins.

        Parameters
        ----------
        values : Series, shape (unit,)
            The column.

        Returns
        -------
        FittedBins

        Raises
        ------
        SpecError
            If `n_bins` is not a whole number, 2 or more.
        """
        check_whole("n_bins", self.n_bins, 2)
        array = values.to_numpy(dtype=float)
        inner = np.quantile(array, np.arange(1, self.n_bins) / self.n_bins)
        edges = np.unique(inner[inner > array.min()])
        return FittedBins(values.name, tuple(float(edge) for edge in edges))


@dataclass(frozen=True)
class FittedBins(_OneHot):
    """One indicator per bin of a continuous column.

    Attributes
    ----------
    column : str
    edges : tuple of float
        Inner edges; a value equal to an edge lies in the bin above it.
    """

    column: str
    edges: tuple[float, ...]

    def names(self) -> tuple[str, ...]:
        """Return the name of each bin."""
        low = ("-inf", *(f"{edge:.4g}" for edge in self.edges))
        high = (*low[1:], "inf")
        return tuple(f"{self.column} in [{a}, {b})" for a, b in zip(low, high, strict=True))

    def codes(self, values: pd.Series) -> NDArray[np.intp]:
        """Return the bin of each value."""
        return np.searchsorted(self.edges, values.to_numpy(dtype=float), side="right")


@dataclass(frozen=True)
class Ranks:
    """Continuous proxies as Legendre polynomials of their rank.

    Attributes
    ----------
    degree : int, default 2
        Highest degree; the constant is degree 0.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte.mixtures import Ranks
    >>> Ranks(2).fit(pd.Series(range(9), name="age")).names()
    ('age rank^0', 'age rank^1', 'age rank^2')
    """

    degree: int = 2

    def fit(self, values: pd.Series) -> FittedRanks:
        """Store the distribution of the ranks.

        Parameters
        ----------
        values : Series, shape (unit,)
            The column.

        Returns
        -------
        FittedRanks

        Raises
        ------
        SpecError
            If `degree` is not a whole number, 1 or more.
        """
        check_whole("degree", self.degree, 1)
        grid = np.quantile(values.to_numpy(dtype=float), np.linspace(0, 1, 1025))
        return FittedRanks(values.name, grid, self.degree)


@dataclass(frozen=True)
class FittedRanks:
    """Legendre polynomials of the rank of a value in a stored distribution.

    Attributes
    ----------
    column : str
    grid : ndarray
        Equally spaced quantiles, ascending.
    degree : int
    """

    column: str
    grid: Array
    degree: int

    def names(self) -> tuple[str, ...]:
        """Return the name of each polynomial."""
        return tuple(f"{self.column} rank^{power}" for power in range(self.degree + 1))

    def constant(self) -> Array:
        """Return the coefficients of the constant function."""
        return np.eye(self.degree + 1)[0]

    def matrix(self, values: pd.Series) -> Array:
        """Return polynomials at the mid-rank scaled to [-1, 1], shape (n, degree + 1)."""
        array = values.to_numpy(dtype=float)
        below = np.searchsorted(self.grid, array, side="left")
        upto = np.searchsorted(self.grid, array, side="right")
        rank = (below + upto) / len(self.grid) - 1
        return np.polynomial.legendre.legvander(rank, self.degree)


@dataclass(frozen=True)
class Splines:
    """Continuous proxies as B-splines with knots at quantiles.

    Attributes
    ----------
    n_knots : int, default 3
        Knots including the two ends of the range.
    degree : int, default 2

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte.mixtures import Splines
    >>> Splines(n_knots=3, degree=2).fit(pd.Series(range(9), name="age")).knots
    (0.0, 4.0, 8.0)
    """

    n_knots: int = 3
    degree: int = 2

    def fit(self, values: pd.Series) -> FittedSplines:
        """Place the knots; ties may leave fewer.

        Parameters
        ----------
        values : Series, shape (unit,)
            The column.

        Returns
        -------
        FittedSplines

        Raises
        ------
        SpecError
            If `n_knots` is not a whole number, 2 or more, or `degree` not one, 1 or more.
        """
        check_whole("n_knots", self.n_knots, 2)
        check_whole("degree", self.degree, 1)
        places = np.linspace(0, 1, self.n_knots)
        knots = np.unique(np.quantile(values.to_numpy(dtype=float), places))
        return FittedSplines(values.name, tuple(float(knot) for knot in knots), self.degree)


@dataclass(frozen=True)
class FittedSplines(_AddsToOne):
    """B-splines of one column; they add up to one.

    Attributes
    ----------
    column : str
    knots : tuple of float
        Distinct and ascending; values beyond the ends are treated as the ends.
    degree : int
    """

    column: str
    knots: tuple[float, ...]
    degree: int

    def names(self) -> tuple[str, ...]:
        """Return the name of each spline."""
        count = len(self.knots) + self.degree - 1
        return tuple(f"{self.column} spline {i}" for i in range(count))

    def matrix(self, values: pd.Series) -> Array:
        """Return spline values, shape (n, number of splines)."""
        ends = (self.knots[0],) * self.degree, (self.knots[-1],) * self.degree
        knots = np.array([*ends[0], *self.knots, *ends[1]])
        inside = np.clip(values.to_numpy(dtype=float), self.knots[0], self.knots[-1])
        return BSpline.design_matrix(inside, knots, self.degree).toarray()


Discrete = Levels | FittedBins
Basis = Discrete | FittedRanks | FittedSplines
ContinuousBasis = QuantileBins | Ranks | Splines
