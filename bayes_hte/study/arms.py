"""The arms of a study: levels of its treatment, their order, and the arm of each unit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.errors import DataError
from bayes_hte.seeds import check_seed
from bayes_hte.study.kinds import check_levels, distinct, is_numeric

# A column with more values is a number or a label; each arm has a mean and a function of its own.
MOST_ARMS = 12


def arms_of(treatment: pd.Series, reference: Any) -> tuple[Any, ...]:
    """Return the arms, the reference first; raise DataError if the levels are no arms."""
    levels = levels_of(treatment)
    if not 2 <= len(levels) <= MOST_ARMS:
        shown = ", ".join(repr(v) for v in levels[:5]) + (", ..." if len(levels) > 5 else "")
        raise DataError(
            f"treatment {treatment.name!r} must have two to {MOST_ARMS} levels, the arms, got "
            f"{len(levels)}: {shown}. Keep the rows of the arms to be compared, or recode the "
            "column."
        )
    check_levels(levels, f"treatment {treatment.name!r}")
    _check_reference(treatment, levels, reference)
    if reference is not None and reference not in levels:
        raise DataError(
            f"reference {reference!r} is not a level of treatment {treatment.name!r}: "
            f"{', '.join(repr(level) for level in levels)}."
        )
    first = levels[0] if reference is None else levels[levels.index(reference)]
    return (first, *(level for level in levels if level != first))


def _check_reference(treatment: pd.Series, levels: list[Any], reference: Any) -> None:
    """Refuse text without a reference: its alphabet would decide the sign of every effect."""
    dtype = treatment.dtype
    ordered = isinstance(dtype, pd.CategoricalDtype) and dtype.ordered
    if reference is not None or ordered or is_numeric(pd.Series(levels)):
        return
    shown = " or ".join(f"reference={level!r}" for level in levels)
    raise DataError(
        f"treatment {treatment.name!r} has the levels {', '.join(map(repr, levels))}, and nothing "
        "says which of them the others are compared with: name the control arm, "
        f"{shown} (in a study file under [roles])."
    )


def levels_of(treatment: pd.Series) -> list[Any]:
    """Return the observed levels: in the order of a declared one, else sorted."""
    if isinstance(treatment.dtype, pd.CategoricalDtype):
        kept = treatment.cat.remove_unused_categories().cat.categories.tolist()
        if treatment.cat.ordered or len(kept) > 2:
            return kept
    levels = distinct(treatment, "treatment")
    try:
        return sorted(levels)
    except TypeError:
        return sorted(levels, key=str)


def arm_positions(treatment: pd.Series, arms: tuple) -> np.ndarray:
    """Return the position of each unit's arm among the arms, shape (unit,)."""
    place = {arm: i for i, arm in enumerate(arms)}
    return treatment.map(place).to_numpy(dtype=np.int64)


def in_proportion(total: int, counts: np.ndarray) -> list[int]:
    """Divide units between the arms in proportion to the counts, the remainder to the first."""
    sizes = [round(total * float(share)) for share in counts[1:] / counts.sum()]
    return [total - sum(sizes), *sizes]


def random_units(arm: np.ndarray, n_units: int, *, seed: int) -> np.ndarray:
    """Draw units with the arms in their proportions.

    Parameters
    ----------
    arm : ndarray, shape (unit,)
        Arm of each unit.
    n_units : int
        Units to draw.
    seed : int
        Same seed, same units.

    Returns
    -------
    ndarray of int, shape (drawn,)
        Their positions, sorted.

    Raises
    ------
    DataError
        If there are fewer units.
    SpecError
        If the seed is no whole number, 0 or more.
    """
    if not isinstance(n_units, int | np.integer) or not 0 < n_units <= arm.size:
        raise DataError(
            f"cannot sample {n_units!r} of {arm.size} units; give a whole number up to it."
        )
    rng = np.random.default_rng(check_seed(seed))
    kept = [
        rng.choice(np.flatnonzero(arm == a), size=size, replace=False)
        for a, size in enumerate(in_proportion(n_units, np.bincount(arm)))
    ]
    return np.sort(np.concatenate(kept))
