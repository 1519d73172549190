"""Numbers that a user gives to a check, looked at before anything is computed."""

from __future__ import annotations

import numpy as np

from bayes_hte.errors import SpecError


def check_whole(name: str, value: object, *, at_least: int, hint: str) -> None:
    """Raise unless an argument is a whole number that is large enough.

    Parameters
    ----------
    name : str
        The argument.
    value : object
        What was given for it.
    at_least : int
        The smallest value allowed.
    hint : str
        The end of the message: the reason, or what to try.

    Raises
    ------
    SpecError
        If it is not a whole number (of Python or NumPy), or too small.
    """
    if not is_whole(value) or value < at_least:
        raise SpecError(
            f"{name} must be a whole number, at least {at_least}, got {value!r}; {hint}."
        )


def check_n_jobs(value: object) -> None:
    """Raise unless a number of processes is one that joblib takes.

    Parameters
    ----------
    value : object
        What was given for ``n_jobs``.

    Raises
    ------
    SpecError
        If it is not a whole number, or 0.
    """
    if value is not None and (not is_whole(value) or value == 0):
        raise SpecError(
            f"n_jobs must be a whole number but 0, got {value!r}; 1 runs in this process, -1 on "
            "all processors."
        )


def check_fraction(name: str, value: object, *, hint: str) -> None:
    """Raise unless an argument is a number between 0 and 1.

    Parameters
    ----------
    name, value, hint
        As in :func:`check_whole`.

    Raises
    ------
    SpecError
        If it is not a number, or not above 0 and below 1.
    """
    if not is_number(value) or not 0 < value < 1:
        raise SpecError(f"{name} must be a number between 0 and 1, got {value!r}; {hint}.")


def is_whole(value: object) -> bool:
    """Whether a value is a whole number of Python or NumPy (no boolean)."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether a value is a number of Python or NumPy (no boolean)."""
    return is_whole(value) or isinstance(value, float | np.floating)
