"""Columns to matrices, with a stored state that encodes new rows in the same way.

Two encodings share one state: *standardised* (numeric columns centred and scaled, categories as
indicators without the first level) for smooth surfaces, and *split columns* for forests (numeric
columns through their empirical distribution function into [0, 1], categories as codes that a tree
splits into any two sets of levels). Ranks make a forest invariant to monotone transformations of a
covariate.

A column that had missing values in the study may have some in new rows. Standardised, a missing
value is the mean (or the first level), and a further column says that it is missing (Rosenbaum and
Rubin 1984). Among split columns it is NaN in a numeric column, and a level in one of categories.

References
----------
Rosenbaum, P. R., Rubin, D. B. (1984). Reducing bias in observational studies using
subclassification on the propensity score. Journal of the American Statistical Association 79,
516-524. doi:10.1080/01621459.1984.10478078
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.errors import DataError
from bayes_hte.study.frames import check_present, free_name
from bayes_hte.study.kinds import (
    check_levels,
    check_usable,
    described,
    is_numeric,
    levels_in_use,
    numeric_column,
)
from bayes_hte.study.missing import with_nan

# Interpolation points kept of a numeric column's distribution; more change no rank visibly.
MAX_KNOTS = 2000
# A tree holds a set of levels in the bits of one integer; columns with more levels are indicators.
MAX_SPLIT_LEVELS = 63


@dataclass(frozen=True)
class ColumnEncoding:
    """The encoding of one column of the frame as columns of a matrix.

    Attributes
    ----------
    name : str
        Column of the frame.
    levels : tuple of str
        Levels of a categorical column, in its order or sorted; empty for a numeric one.
    center, scale : float
        Mean and standard deviation of a numeric column.
    knots, ranks : tuple of float
        Distinct values of a numeric column and their mid-ranks in (0, 1).
    missing : bool
        Whether values may be missing.
    """

    name: str
    levels: tuple[str, ...] = ()
    center: float = 0.0
    scale: float = 1.0
    knots: tuple[float, ...] = ()
    ranks: tuple[float, ...] = ()
    missing: bool = False

    @classmethod
    def learn(cls, column: pd.Series, *, missing: bool = False) -> ColumnEncoding:
        """Learn the encoding of a column from the rows of the study.

        Values may be missing if some are, or if `missing` says so.
        """
        name = column.name
        missing = missing or bool(column.isna().any())
        column = column.dropna()
        if not is_numeric(column):
            check_usable(column, "covariate")
            check_levels(column.unique(), f"covariate {name!r}")
            return cls(name, levels=levels_in_use(column), missing=missing)
        values = numeric_column(column, "covariate")
        knots, counts = np.unique(values, return_counts=True)
        ranks = (np.cumsum(counts) - counts / 2) / values.size
        if knots.size > MAX_KNOTS:
            keep = np.unique(np.linspace(0, knots.size - 1, MAX_KNOTS).astype(int))
            knots, ranks = knots[keep], ranks[keep]
        # A scale of 1 keeps a constant column of a derived frame harmless.
        scale = float(values.std()) if knots.size > 1 else 1.0
        center = float(values.mean()) if knots.size > 1 else float(knots[0])
        return cls(name, (), center, scale, tuple(knots), tuple(ranks), missing)

    def standardized(self, column: pd.Series) -> dict[str, np.ndarray]:
        """Return the standardised columns, by feature name, each of shape (row,)."""
        if self.levels:
            found = self._indicators(column, self.levels[1:])
        else:
            found = {self.name: (self._numbers(column) - self.center) / self.scale}
        if not self.missing:
            return found
        gaps = column.isna().to_numpy()
        filled = {name: np.where(gaps, 0.0, values) for name, values in found.items()}
        return filled | {f"{self.name} (missing)": gaps.astype(np.float64)}

    def split_columns(self, column: pd.Series) -> dict[str, np.ndarray]:
        """Return the columns that trees split on, by feature name, each of shape (row,)."""
        if not self.levels:
            return {self.name: np.interp(self._numbers(column), self.knots, self.ranks)}
        if self.split_levels[0] == 0:
            shown = self.levels[1:] if len(self.levels) == 2 else self.levels
            return self._indicators(column, shown)
        codes = pd.Index(self.levels).get_indexer(self._known(column)).astype(np.float64)
        # Missing is the last level.
        codes[column.isna().to_numpy()] = len(self.levels)
        return {self.name: codes}

    @property
    def split_levels(self) -> tuple[int, ...]:
        """Number of levels of each split column that holds codes; 0 for numbers and indicators."""
        if not self.levels or len(self.levels) == 2:
            return (0,)
        if len(self.levels) + self.missing > MAX_SPLIT_LEVELS:
            return (0,) * len(self.levels)
        return (len(self.levels) + self.missing,)

    @property
    def split_missing(self) -> tuple[bool, ...]:
        """Whether each split column may hold NaN; codes have a level for missing instead."""
        return tuple(self.missing and levels == 0 for levels in self.split_levels)

    def known(self, column: pd.Series) -> np.ndarray:
        """Return which values can be encoded, shape (row,).

        The others are missing or infinite where the study has no such values, or levels that it
        lacks.

        Raises
        ------
        DataError
            If the column was numeric in the study and is not, or holds neither numbers nor levels.
        """
        gaps = column.isna().to_numpy()
        if gaps.all():
            return np.full(len(column), self.missing)
        if not self.levels:
            if not is_numeric(column):
                self._numbers(column)
            values = numeric_column(with_nan(column), "column")
            return np.isfinite(values) | (gaps & self.missing)
        check_usable(column, "covariate")
        return np.where(gaps, self.missing, column.astype(str).isin(self.levels).to_numpy())

    def _numbers(self, column: pd.Series) -> np.ndarray:
        if not is_numeric(column):
            raise DataError(
                f"column {self.name!r} was numeric in the study, and now holds "
                f"{described(column)}; convert it, pd.to_numeric(frame[{self.name!r}])."
            )
        values = numeric_column(with_nan(column), "column")
        allowed = np.isfinite(values) | (np.isnan(values) & self.missing)
        if not allowed.all():
            bad = int((~allowed).sum())
            raise DataError(
                f"column {self.name!r} has {bad} missing or infinite values{self._no_gaps}."
            )
        return values

    @property
    def _no_gaps(self) -> str:
        return "" if self.missing else "; it has none in the study, so no model has learned of gaps"

    def _indicators(self, column: pd.Series, shown: Sequence[str]) -> dict[str, np.ndarray]:
        text, gaps = self._known(column), column.isna().to_numpy()
        return {f"{self.name}={v}": np.where(gaps, np.nan, text == v) for v in shown}

    def _known(self, column: pd.Series) -> np.ndarray:
        """Return the column as text, each value a level that was learned; "" where missing."""
        gaps = column.isna()
        if gaps.any() and not self.missing:
            n = int(gaps.sum())
            raise DataError(f"column {self.name!r} has {n} missing values{self._no_gaps}.")
        # Each level becomes text once, which is faster than each value.
        codes, found = pd.factorize(column[~gaps].astype(str))
        unseen = sorted(set(found) - set(self.levels))
        if unseen:
            raise DataError(
                f"column {self.name!r} has levels the model never saw: {', '.join(unseen[:5])}. "
                f"Known: {', '.join(self.levels)}."
            )
        text = np.full(len(column), "", dtype=object)
        text[~gaps.to_numpy()] = np.array(found, dtype=object)[codes]
        return text.astype(str)


@dataclass(frozen=True)
class Encoding:
    """The encodings of several columns, in order.

    Attributes
    ----------
    columns : tuple of ColumnEncoding
        One per column of the frame.
    """

    columns: tuple[ColumnEncoding, ...]

    @classmethod
    def learn(cls, frame: pd.DataFrame, *, gaps: Sequence[str] = ()) -> Encoding:
        """Learn the encoding of every column of a frame; those in `gaps` may have missing values.

        So may columns that have some.
        """
        return cls(tuple(ColumnEncoding.learn(frame[c], missing=c in gaps) for c in frame.columns))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the encoded columns of the frame."""
        return tuple(c.name for c in self.columns)

    def standardized(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the standardised matrix, shape (row, feature); see the module."""
        return self._apply(frame, "standardized")

    def split_columns(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the matrix that trees split on, shape (row, feature); see the module."""
        return self._apply(frame, "split_columns")

    @property
    def split_levels(self) -> np.ndarray:
        """Levels of each split column, shape (feature,): 0 unless it holds category codes."""
        return np.array([k for c in self.columns for k in c.split_levels], dtype=np.int64)

    @property
    def split_missing(self) -> np.ndarray:
        """Whether each split column may hold NaN, shape (feature,)."""
        return np.array([k for c in self.columns for k in c.split_missing], dtype=bool)

    def _apply(self, frame: pd.DataFrame, how: str) -> pd.DataFrame:
        check_present(frame, self.names)
        features: dict[str, np.ndarray] = {}
        for column in self.columns:
            for name, values in getattr(column, how)(frame[column.name]).items():
                # An indicator may be called as a column, or as the indicator of another column.
                own = name == column.name
                features[name if own else free_name(name, {*self.names, *features})] = values
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
