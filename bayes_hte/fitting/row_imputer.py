"""Gaps of new rows, filled from a fixed model of the study's covariates, row by row.

Chained equations are fitted once to a study whose own gaps are filled: each covariate given all
others, without arm and outcome, which are not known of new people. The coefficients are one draw
from their posterior (numbers: Bayesian ridge regression), or those of a bootstrap sample of the
units (levels: multinomial regression), so that several imputed frames differ by what the study
leaves open. A row is then filled by its own walk through these models, and the random numbers of
the walk are a function of the seed and of what is recorded of the row. So a row gets the same
values alone, among others and in any order; rows that are alike get the same values.

References
----------
van Buuren, S., Groothuis-Oudshoorn, K. (2011). mice: multivariate imputation by chained equations
in R. Journal of Statistical Software 45(3), 1-67. doi:10.18637/jss.v045.i03
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri, softmax
from sklearn.linear_model import BayesianRidge, LogisticRegression

from bayes_hte.seeds import stage_seed
from bayes_hte.study.frames import with_columns
from bayes_hte.study.kinds import is_numeric, levels_in_use, numeric_column
from bayes_hte.study.missing import with_nan
from bayes_hte.study.study import Study

# Rounds of the walk over the gaps of a row; where it began no longer shows after them.
ROUNDS = 10
_ITERATIONS = 200


@dataclass(frozen=True, eq=False)
class RowImputer:
    """Fills the gaps of new rows; see the module.

    Attributes
    ----------
    study : Study
        With complete covariates: one imputation of a study.
    seed : int
        Same seed and same recorded values, same values for the gaps.
    """

    study: Study
    seed: int
    _known: dict[str, _Column] = field(default_factory=dict, repr=False)
    _models: dict[str, _Numbers | _Levels] = field(default_factory=dict, repr=False)

    def filled(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Fill the gaps of rows once.

        Parameters
        ----------
        rows : DataFrame, shape (row, ...)
            With the covariates of the study.

        Returns
        -------
        DataFrame, shape (row, ...)
            The rows, with complete covariates; the same object if nothing is missing.

        Raises
        ------
        DataError
            If a column that holds numbers in the study does not.
        """
        names = list(self.study.roles.covariates)
        if not set(names) <= set(rows.columns):
            return rows
        gaps = {name: rows[name].isna().to_numpy() for name in names}
        incomplete = np.flatnonzero(np.any(list(gaps.values()), axis=0))
        if not incomplete.size:
            return rows
        some = rows.iloc[incomplete]
        codes = {name: self._columns[name].codes(some[name]) for name in names}
        # A level, or a number, that the study has not is refused by the models of the effects.
        with np.errstate(invalid="ignore", over="ignore"):
            values = self._walk(codes, {n: g[incomplete] for n, g in gaps.items()})
        new = {}
        for name in (name for name in names if gaps[name].any()):
            column = self._columns[name].recorded(rows[name])
            column[gaps[name]] = self._columns[name].shown(values[name][gaps[name][incomplete]])
            new[name] = pd.Series(column, index=rows.index)
        return with_columns(rows, new)

    def _walk(
        self, codes: Mapping[str, np.ndarray], gaps: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Return the codes of each column with its gaps drawn, each of shape (row,)."""
        gappy = [name for name, gap in gaps.items() if gap.any()]
        chance = self._chances(codes, np.column_stack([gaps[name] for name in gappy]))
        several = sum(gaps[name].astype(int) for name in gappy) > 1
        values = {n: np.where(np.isnan(c), self._columns[n].start, c) for n, c in codes.items()}
        features = {name: self._columns[name].features(v) for name, v in values.items()}
        for turn in range(ROUNDS):
            for i, name in enumerate(gappy):
                # What a row lacks besides this does not change where it lacks nothing else.
                at = gaps[name] if turn == ROUNDS - 1 else gaps[name] & several
                if not at.any():
                    continue
                others = _without(name, {n: f[at] for n, f in features.items()})
                values[name][at] = self._model(name).drawn(others, chance[at, turn, i])
                features[name] = self._columns[name].features(values[name])
        return values

    def _chances(self, codes: Mapping[str, np.ndarray], gaps: np.ndarray) -> np.ndarray:
        """Return the random numbers of each row, shape (row, round, gappy column)."""
        # Adding 0.0 makes one zero of both.
        recorded = pd.DataFrame({i: c + 0.0 for i, c in enumerate(codes.values())})
        keys = pd.util.hash_pandas_object(recorded, index=False).to_numpy()
        chance = np.full((len(gaps), ROUNDS, gaps.shape[1]), np.nan)
        for row, (key, own) in enumerate(zip(keys.tolist(), gaps, strict=True)):
            drawn = np.random.default_rng([self.seed, key]).random((ROUNDS, int(own.sum())))
            chance[row][:, own] = drawn
        return chance

    @property
    def _columns(self) -> dict[str, _Column]:
        if not self._known:
            frame = self.study.frame
            self._known.update({n: _Column.of(frame[n]) for n in self.study.roles.covariates})
        return self._known

    def _model(self, name: str) -> _Numbers | _Levels:
        """Return the model of a column given all others, fitted when it is first needed."""
        if name not in self._models:
            columns, frame = self._columns, self.study.frame
            codes = {n: column.codes(frame[n]) for n, column in columns.items()}
            others = _without(name, {n: c.features(codes[n]) for n, c in columns.items()})
            rng = np.random.default_rng(stage_seed(self.seed, f"model of {name}"))
            kind = _Levels if columns[name].is_levels else _Numbers
            self._models[name] = kind.fit(others, codes[name], rng)
        return self._models[name]


@dataclass(frozen=True)
class _Column:
    """A covariate as numbers: its values, or the positions of its levels.

    Numbers of two values are levels too.
    """

    levels: tuple[str, ...] | tuple[float, ...]
    numeric: bool
    center: float
    scale: float
    start: float

    @classmethod
    def of(cls, column: pd.Series) -> _Column:
        """Look at a complete column of the study."""
        if not is_numeric(column):
            levels = levels_in_use(column)
            often = column.astype(str).value_counts(sort=False).reindex(list(levels)).argmax()
            return cls(levels, False, 0.0, 1.0, float(often))
        values = numeric_column(column, "covariate")
        found, counts = np.unique(values, return_counts=True)
        if found.size <= 2:
            return cls(tuple(found.tolist()), True, 0.0, 1.0, float(counts.argmax()))
        return cls((), True, float(values.mean()), float(values.std()), float(np.median(values)))

    @property
    def is_levels(self) -> bool:
        """Whether the codes are positions of levels."""
        return bool(self.levels)

    def codes(self, column: pd.Series) -> np.ndarray:
        """Return a column as numbers, NaN where it is missing; a level of others is -1."""
        known = column.notna().to_numpy()
        codes = np.full(len(column), np.nan)
        if not known.any():
            return codes
        if not self.numeric:
            codes[known] = pd.Index(self.levels).get_indexer(column[known].astype(str))
            return codes
        values = numeric_column(with_nan(column), "column of the new rows")
        if not self.is_levels:
            return values
        codes[known] = pd.Index(self.levels).get_indexer(values[known])
        return codes

    def recorded(self, column: pd.Series) -> np.ndarray:
        """Return a column of rows as floats or texts, to be completed."""
        known = column.notna().to_numpy()
        if self.numeric:
            values = np.full(len(column), np.nan)
            values[known] = column[known].to_numpy(dtype=np.float64)
            return values
        texts = np.full(len(column), None, dtype=object)
        texts[known] = column[known].astype(str)
        return texts

    def shown(self, codes: np.ndarray) -> np.ndarray:
        """Return codes as values of the column."""
        if not self.is_levels:
            return codes
        return np.array(self.levels, dtype=float if self.numeric else object)[codes.astype(int)]

    def features(self, codes: np.ndarray) -> np.ndarray:
        """Return codes as standardised numbers, or indicators, shape (row, feature)."""
        if not self.is_levels:
            return ((codes - self.center) / self.scale)[:, None]
        return (codes[:, None] == np.arange(1, len(self.levels))).astype(np.float64)


@dataclass(frozen=True)
class _Numbers:
    """A normal distribution around a linear function, within the range of the study."""

    constant: float
    slopes: np.ndarray
    noise: float
    low: float
    high: float

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> _Numbers:
        """Fit it, and draw its coefficients."""
        low, high = float(y.min()), float(y.max())
        if not x.shape[1]:
            return cls(float(y.mean()), np.empty(0), float(y.std()), low, high)
        model = BayesianRidge().fit(x, y)
        slopes = rng.multivariate_normal(model.coef_, model.sigma_, method="eigh")
        constant = float(y.mean() - x.mean(axis=0) @ slopes)
        return cls(constant, slopes, float(model.alpha_**-0.5), low, high)

    def drawn(self, x: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """Return values of rows, shape (row,), each the quantile at a probability."""
        mean = self.constant + _products(x, self.slopes)
        if not self.noise > 0:
            return np.clip(mean, self.low, self.high)
        below, above = (ndtr((bound - mean) / self.noise) for bound in (self.low, self.high))
        z = ndtri(below + chance * (above - below))
        return np.clip(mean + self.noise * z, self.low, self.high)


@dataclass(frozen=True)
class _Levels:
    """A multinomial regression of the positions of levels."""

    classes: np.ndarray
    constants: np.ndarray
    slopes: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> _Levels:
        """Fit it to a bootstrap sample of the units."""
        rows = rng.integers(len(y), size=len(y))
        found, counts = np.unique(y[rows], return_counts=True)
        if found.size < 2 or not x.shape[1]:
            return cls(found, np.log(counts), np.zeros((found.size, x.shape[1])))
        model = LogisticRegression(max_iter=_ITERATIONS).fit(x[rows], y[rows])
        constants, slopes = model.intercept_, model.coef_
        if found.size == 2:
            constants = np.concatenate([[0.0], constants])
            slopes = np.vstack([np.zeros_like(slopes), slopes])
        return cls(found, constants, slopes)

    def drawn(self, x: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """Return positions of levels, shape (row,), each the quantile at a probability."""
        logits = [c + _products(x, s) for c, s in zip(self.constants, self.slopes, strict=True)]
        up_to = np.cumsum(softmax(np.column_stack(logits), axis=1), axis=1)
        return self.classes[(chance[:, None] > up_to[:, :-1]).sum(axis=1)]


def _without(name: str, features: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the features of all columns but one, shape (row, feature)."""
    rows = len(features[name])
    return np.hstack([np.empty((rows, 0)), *(f for n, f in features.items() if n != name)])


def _products(x: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Return a linear function of each row; a matrix product would depend on the other rows."""
    return (np.ascontiguousarray(x) * slopes).sum(axis=1)
