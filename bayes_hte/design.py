"""The rows a model sees: encoded columns, arms and mediator, replayable on new rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from bayes_hte.encoding import Encoding
from bayes_hte.errors import DataError
from bayes_hte.study import Study

# Derived columns; the parentheses keep them apart from a user's own.
PROPENSITY_COLUMN = "(propensity)"
ARM_COLUMN = "(arm)"

FeatureSet = Literal["none", "covariates", "covariates+propensity", "covariates+arm"]


@dataclass(frozen=True)
class Design:
    """Rows with the stored encoding of their columns.

    Attributes
    ----------
    encoding : Encoding
        State learned on the study; the same for every replay.
    frame : DataFrame, shape (row, column)
        Covariates, and the derived columns ``(arm)`` and perhaps ``(propensity)``.
    covariates : tuple of str
        Names of the covariates, without the derived columns.
    """

    encoding: Encoding
    frame: pd.DataFrame
    covariates: tuple[str, ...]

    @classmethod
    def learn(cls, study: Study, *, propensity: np.ndarray | None = None) -> Design:
        """Learn the encoding of a study's covariates.

        Parameters
        ----------
        study : Study
            The study.
        propensity : ndarray, shape (unit,), optional
            Estimated probability of the non-reference arm, to be used as a covariate.

        Returns
        -------
        Design
        """
        taken = {ARM_COLUMN, PROPENSITY_COLUMN} & set(study.roles.covariates)
        if taken:
            raise DataError(f"rename covariate {taken.pop()!r}: the design uses that name itself.")
        frame = study.covariate_frame().assign(**{ARM_COLUMN: study.arm_index()})
        if propensity is not None:
            frame = frame.assign(**{PROPENSITY_COLUMN: propensity})
        return cls(Encoding.learn(frame), frame, study.roles.covariates)

    @property
    def units(self) -> pd.Index:
        """Labels of the rows."""
        return self.frame.index

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.frame)

    @property
    def arm(self) -> np.ndarray:
        """Arm of each row, shape (row,): 0 reference, 1 the other."""
        return self.frame[ARM_COLUMN].to_numpy(dtype=np.int64)

    @property
    def has_propensity(self) -> bool:
        """Whether an estimated propensity is among the columns."""
        return PROPENSITY_COLUMN in self.frame.columns

    def under(self, arm: int) -> Design:
        """Return the same rows, every one given the same arm (0 or 1)."""
        return replace(self, frame=self.frame.assign(**{ARM_COLUMN: arm}))

    def replay(self, frame: pd.DataFrame, *, propensity: np.ndarray | None = None) -> Design:
        """Encode new rows with the stored state.

        Parameters
        ----------
        frame : DataFrame
            Must hold every covariate; other columns are ignored.
        propensity : ndarray, shape (row,), optional
            Needed if the design was learned with one.

        Returns
        -------
        Design
            With every row in the reference arm; call :meth:`under` for the other.

        Raises
        ------
        DataError
            If a covariate is missing, has other levels or missing values, or the propensity is
            missing.
        """
        absent = [c for c in self.covariates if c not in frame.columns]
        if absent:
            raise DataError(
                f"new rows lack {', '.join(absent)}; they must hold every covariate of the study: "
                f"{', '.join(self.covariates)}."
            )
        if self.has_propensity and propensity is None:
            raise DataError("this design was learned with a propensity; pass one for the new rows.")
        if self.has_propensity and len(propensity) != len(frame):
            raise DataError(
                f"propensity must have one value for each of {len(frame)} rows, got "
                f"{len(propensity)}."
            )
        rows = frame.loc[:, list(self.covariates)].assign(**{ARM_COLUMN: 0})
        if self.has_propensity:
            rows = rows.assign(**{PROPENSITY_COLUMN: propensity})
        return replace(self, frame=rows)

    def standardized(self, features: FeatureSet) -> pd.DataFrame:
        """Return standardised columns of a feature set, shape (row, feature)."""
        return self._select(features).standardized(self.frame)

    def ranked(self, features: FeatureSet) -> pd.DataFrame:
        """Return rank columns of a feature set, shape (row, feature), values in [1, 2]."""
        return self._select(features).ranked(self.frame)

    def _select(self, features: FeatureSet) -> Encoding:
        wanted = set() if features == "none" else set(self.covariates)
        if features == "covariates+arm":
            wanted.add(ARM_COLUMN)
        # Without an estimated propensity the set is just the covariates.
        if features == "covariates+propensity":
            wanted.add(PROPENSITY_COLUMN)
        return Encoding(tuple(c for c in self.encoding.columns if c.name in wanted))
