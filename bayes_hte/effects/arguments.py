"""Checks of arguments: numbers, generators, draws, and the direction that is better."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Literal

import xarray as xr

from bayes_hte.errors import DataError, SamplingError, SpecError, unknown_name

Better = Literal["higher", "lower"]
# A Pareto distribution is fitted to the largest fifth of the weights, and takes five or more.
FEWEST_DRAWS = 25


def check_number(
    name: str,
    value: object,
    allowed: str,
    fits: Callable[[float], bool],
    *,
    whole: bool = False,
    hint: str = "",
) -> None:
    """Raise unless a user's number is one, and in its range.

    Parameters
    ----------
    name : str
        Name of the argument.
    value : object
        The argument.
    allowed : str
        The range in words, after "must be".
    fits : callable
        Whether a number is in the range.
    whole : bool, default False
        Whether it must be a whole number.
    hint : str
        A value to try, or the reason.

    Raises
    ------
    SpecError
        If it is no number, or out of range.
    """
    number = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    if not number or not fits(value):
        shown = value if isinstance(value, Real) else repr(value)
        raise SpecError(f"{name} must be {allowed}, got {shown}{hint and f'; {hint}'}.")


def check_share(
    name: str, value: object, *, low: float = 0.0, high: float = 1.0, hint: str = ""
) -> None:
    """Raise SpecError unless a number lies between two bounds, which it may not reach."""
    allowed = f"between {low:g} and {high:g}"
    check_number(name, value, allowed, lambda share: low < share < high, hint=hint)


def check_generator(rng: object) -> None:
    """Raise unless something can draw the weights of a Bayesian bootstrap.

    Raises
    ------
    SpecError
        If it has not the methods of a generator of NumPy.
    """
    if not hasattr(rng, "standard_exponential"):
        raise SpecError(f"pass rng=numpy.random.default_rng(<seed>), got {type(rng).__name__}.")


def check_draws(draws: object, what: str, dims: tuple[str, ...]) -> None:
    """Raise unless something is an array of draws.

    Parameters
    ----------
    draws : object
        The argument.
    what : str
        Name of the argument.
    dims : tuple of str
        The dimensions it needs; it may have others.

    Raises
    ------
    DataError
        If it is no DataArray, or lacks a dimension.
    """
    has = draws.dims if isinstance(draws, xr.DataArray) else None
    if has is None or not set(dims) <= set(has):
        raise DataError(
            f"{what} must be a DataArray of draws with dims {dims}, got "
            f"{type(draws).__name__ if has is None else has}."
        )


def benefit_sign(better: Better) -> int:
    """Return +1 if higher outcomes are good for the patient, -1 if lower ones are.

    Raises
    ------
    SpecError
        If `better` is neither "higher" nor "lower".
    """
    if better not in ("higher", "lower"):
        raise unknown_name("direction for better", str(better), ("higher", "lower"))
    return 1 if better == "higher" else -1


def check_enough_draws(draws: int) -> None:
    """Refuse to leave units out by importance sampling with too few draws.

    Parameters
    ----------
    draws : int
        Draws of all chains together.

    Raises
    ------
    SamplingError
        If they are fewer than `FEWEST_DRAWS`.
    """
    if draws < FEWEST_DRAWS:
        raise SamplingError(
            f"leave-one-out prediction needs at least {FEWEST_DRAWS} draws of all chains together, "
            f"got {draws}; fit again with more, such as the default of 4 chains of 500 draws."
        )
