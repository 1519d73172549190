"""Columns to matrices, with stored state that replays the same encoding on new rows.

Two encodings share one state: *standardised* (numeric columns centred and scaled, categories as
indicators without the first level) for linear surfaces, and *ranks* (every column through its
empirical distribution function into [1, 2], categories as indicators of every level) for forests.
Ranks make a forest invariant to monotone transformations of a covariate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.errors import DataError, unknown_name
from bayes_hte.study import is_numeric

# Interpolation points kept of a numeric column's distribution; more change no rank visibly.
MAX_KNOTS = 2000


@dataclass(frozen=True)
class ColumnEncoding:
    """How one column of the frame becomes columns of a matrix.

    Attributes
    ----------
    name : str
        Column of the frame.
    levels : tuple of str
        Levels of a categorical column, sorted; empty for a numeric one.
    center, scale : float
        Mean and standard deviation of a numeric column.
    knots, ranks : tuple of float
        Distinct values of a numeric column and their mid-ranks in (0, 1).
    """

    name: str
    levels: tuple[str, ...] = ()
    center: float = 0.0
    scale: float = 1.0
    knots: tuple[float, ...] = ()
    ranks: tuple[float, ...] = ()

    @classmethod
    def learn(cls, column: pd.Series) -> ColumnEncoding:
        """Learn the encoding of a column from the rows of the study."""
        name = str(column.name)
        if not is_numeric(column):
            return cls(name, levels=tuple(sorted({str(v) for v in column})))
        values = column.to_numpy(dtype=np.float64)
        knots, counts = np.unique(values, return_counts=True)
        ranks = (np.cumsum(counts) - counts / 2) / values.size
        if knots.size > MAX_KNOTS:
            keep = np.unique(np.linspace(0, knots.size - 1, MAX_KNOTS).astype(int))
            knots, ranks = knots[keep], ranks[keep]
        # A scale of 1 keeps a constant column of a derived frame harmless.
        scale = float(values.std()) if knots.size > 1 else 1.0
        center = float(values.mean()) if knots.size > 1 else float(knots[0])
        return cls(name, (), center, scale, tuple(knots), tuple(ranks))

    def standardized(self, column: pd.Series) -> dict[str, np.ndarray]:
        """Return the standardised columns, by feature name, each of shape (row,)."""
        if self.levels:
            return self._indicators(column, self.levels[1:])
        return {self.name: (self._numbers(column) - self.center) / self.scale}

    def ranked(self, column: pd.Series) -> dict[str, np.ndarray]:
        """Return the rank columns, by feature name, each of shape (row,), values in [1, 2]."""
        if self.levels:
            shown = self.levels[1:] if len(self.levels) == 2 else self.levels
            return {name: 1 + flag for name, flag in self._indicators(column, shown).items()}
        return {self.name: 1 + np.interp(self._numbers(column), self.knots, self.ranks)}

    def _numbers(self, column: pd.Series) -> np.ndarray:
        if not is_numeric(column):
            raise DataError(f"column {self.name!r} was numeric in the study, now {column.dtype}.")
        values = column.to_numpy(dtype=np.float64)
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            raise DataError(f"column {self.name!r} has {bad} missing or infinite values.")
        return values

    def _indicators(self, column: pd.Series, shown: Sequence[str]) -> dict[str, np.ndarray]:
        if column.isna().any():
            raise DataError(f"column {self.name!r} has {int(column.isna().sum())} missing values.")
        text = column.astype(str)
        unseen = sorted(set(text) - set(self.levels))
        if unseen:
            raise DataError(
                f"column {self.name!r} has levels the model never saw: {', '.join(unseen[:5])}. "
                f"Known: {', '.join(self.levels)}."
            )
        return {f"{self.name}={v}": (text == v).to_numpy(dtype=np.float64) for v in shown}


@dataclass(frozen=True)
class Encoding:
    """The encodings of several columns, in order.

    Attributes
    ----------
    columns : tuple of ColumnEncoding
        One a column of the frame.
    """

    columns: tuple[ColumnEncoding, ...]

    @classmethod
    def learn(cls, frame: pd.DataFrame) -> Encoding:
        """Learn the encoding of every column of a frame."""
        return cls(tuple(ColumnEncoding.learn(frame[name]) for name in frame.columns))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the encoded columns of the frame."""
        return tuple(c.name for c in self.columns)

    def standardized(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the standardised matrix, shape (row, feature); see the module."""
        return self._apply(frame, "standardized")

    def ranked(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rank matrix, shape (row, feature), values in [1, 2]; see the module."""
        return self._apply(frame, "ranked")

    def _apply(self, frame: pd.DataFrame, how: str) -> pd.DataFrame:
        features: dict[str, np.ndarray] = {}
        for column in self.columns:
            if column.name not in frame.columns:
                raise unknown_name("column", column.name, frame.columns, DataError)
            features |= getattr(column, how)(frame[column.name])
        return pd.DataFrame(features, index=frame.index)

    def to_state(self) -> list[dict[str, Any]]:
        """Return the state as plain lists and numbers, for JSON."""
        return [
            {key: list(v) if isinstance(v, tuple) else v for key, v in vars(c).items()}
            for c in self.columns
        ]

    @classmethod
    def from_state(cls, state: Sequence[Mapping[str, Any]]) -> Encoding:
        """Rebuild an encoding from :meth:`to_state`."""
        return cls(
            tuple(
                ColumnEncoding(**{k: tuple(v) if isinstance(v, list) else v for k, v in c.items()})
                for c in state
            )
        )
