"""Yes/no questions on covariates, their conjunctions, and both in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.errors import DataError
from bayes_hte.study.frames import as_table, column
from bayes_hte.study.kinds import numeric_column

# The rule of units of which nothing is asked.
EVERYONE = "everyone"


@dataclass(frozen=True)
class Condition:
    """One question about one covariate: is it at most a number, or is it among some levels.

    Attributes
    ----------
    covariate : str
        Column of the question.
    threshold : float or None
        For a number: the answer is yes at or below it.
    levels, others : tuple
        For a covariate with levels: those with the answer yes, and those with the answer no.
    """

    covariate: str
    threshold: float | None = None
    levels: tuple[Any, ...] = ()
    others: tuple[Any, ...] = ()

    @property
    def text(self) -> str:
        """The condition in words, true where the answer is yes."""
        return rule_text([(self, True)])

    def holds(self, frame: pd.DataFrame, *, unknown_is_no: bool = False) -> np.ndarray:
        """Return the answer for every row.

        Parameters
        ----------
        frame : DataFrame, shape (unit, ...)
            With the covariate.
        unknown_is_no : bool, default False
            Whether a level that the units of the profile did not have counts as none of `levels`.

        Returns
        -------
        ndarray of bool, shape (unit,)

        Raises
        ------
        DataError
            If the covariate is absent, doubled or missing in a row, is not numeric where the
            question is about a number, or has a level that the units of the profile did not have
            and that does not count as a no.

        Examples
        --------
        >>> import pandas as pd
        >>> from bayes_hte.subgroups import Condition
        >>> adult = Condition("age", threshold=60.0)
        >>> adult.text, adult.holds(pd.DataFrame({"age": [40, 60, 80]})).tolist()
        ('age at most 60', [True, True, False])
        """
        frame = as_table(frame, "frame")
        if self.covariate not in frame.columns:
            raise DataError(f"the profile needs covariate {self.covariate!r}; add the column.")
        values = column(frame, self.covariate, "covariate")
        if self.threshold is not None:
            return numeric_column(values, "covariate") <= self.threshold
        unseen = values[~values.isin([*self.levels, *self.others])].unique()
        if len(unseen) and not unknown_is_no:
            raise DataError(
                f"covariate {self.covariate!r} has levels that the profile does not know: "
                f"{', '.join(map(str, unseen[:5]))}. Known: "
                f"{', '.join(map(str, (*self.levels, *self.others)))}."
            )
        return values.isin(list(self.levels)).to_numpy(dtype=bool)


def rule_text(path: Sequence[tuple[Condition, bool]]) -> str:
    """Write the answers to several questions as one rule.

    Several answers on one covariate are merged: two thresholds to a range, exclusions to the
    levels that remain.

    Parameters
    ----------
    path : sequence of (Condition, bool)
        Questions with their answers, from the root of a tree to a node.

    Returns
    -------
    str
        For instance ``"age above 40 and at most 60, sex is female"``; ``"everyone"`` if empty.
    """
    by_covariate: dict[str, list[tuple[Condition, bool]]] = {}
    for condition, answer in path:
        by_covariate.setdefault(condition.covariate, []).append((condition, answer))
    parts = [
        _range_text(name, steps) if steps[0][0].threshold is not None else _level_text(name, steps)
        for name, steps in by_covariate.items()
    ]
    return ", ".join(parts) or EVERYONE


def _range_text(name: str, steps: Sequence[tuple[Condition, bool]]) -> str:
    above = [c.threshold for c, answer in steps if not answer]
    at_most = [c.threshold for c, answer in steps if answer]
    words = [f"above {_number(max(above))}"] if above else []
    words += [f"at most {_number(min(at_most))}"] if at_most else []
    return f"{name} {' and '.join(words)}"


def _level_text(name: str, steps: Sequence[tuple[Condition, bool]]) -> str:
    first = steps[0][0]
    excluded = {level for c, answer in steps for level in (c.others if answer else c.levels)}
    known = (*first.levels, *first.others)
    inside = [level for level in known if level not in excluded]
    outside = [level for level in known if level in excluded]
    if len(inside) > 3 and len(outside) < len(inside):
        return f"{name} is not {_alternatives(outside)}"
    return f"{name} is {_alternatives(inside)}"


def _alternatives(levels: Sequence[Any]) -> str:
    words = [_number(v) if isinstance(v, float) else str(v) for v in levels]
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _number(value: float) -> str:
    return np.format_float_positional(value, trim="-")


def round_between(low: float, high: float) -> float:
    """Return the shortest decimal number t with low <= t < high.

    A threshold that is rounded in this way divides the units exactly as the unrounded one did, so
    that the words describe the tree.

    Parameters
    ----------
    low, high : float
        Largest value on the lower side and smallest on the upper side; low < high.

    Returns
    -------
    float
        Among equally short numbers the nearest to the middle.
    """
    middle = low + (high - low) / 2
    magnitude = math.ceil(math.log10(max(abs(low), abs(high)))) + 1
    for decimals in range(-magnitude, 18 - magnitude):
        nearest = round(middle, decimals)
        for candidate in (nearest, round(nearest - 10.0**-decimals, decimals)):
            if low <= candidate < high:
                return candidate + 0.0  # turns -0.0 into 0.0
    return low
