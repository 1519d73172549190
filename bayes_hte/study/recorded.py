"""The columns of a study as they were recorded: outcome, mediators, events, arms, covariates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.errors import DataError, UnsupportedError
from bayes_hte.study.arms import arm_positions
from bayes_hte.study.causes import cause_codes, causes_of, check_no_event
from bayes_hte.study.frames import with_columns
from bayes_hte.study.interval_times import middles
from bayes_hte.study.kinds import label_text, numeric_column
from bayes_hte.study.missing import filled
from bayes_hte.study.roles import Roles
from bayes_hte.study.time_to_event import Censoring


class RecordedColumns:
    """What a :class:`Study` says of its columns, row by row.

    Attributes
    ----------
    frame : pandas.DataFrame, shape (unit, used columns)
        The checked frame.
    roles : Roles
        The part each column plays.
    arms : tuple
        The levels of the treatment, reference arm first.
    """

    frame: pd.DataFrame
    roles: Roles
    arms: tuple[Any, ...]

    def outcome(self) -> np.ndarray:
        """Return the outcome as numbers, shape (unit,); NaN where it is missing.

        Of interval-censored times the middles of the intervals.
        """
        outcome = numeric_column(self.frame[self.roles.outcome], "outcome")
        if self.roles.upper is None:
            return outcome
        return middles(outcome, numeric_column(self.frame[self.roles.upper], "upper"))

    def known_outcome(self) -> np.ndarray:
        """Return whether each unit informs the outcome model, shape (unit,).

        It has an outcome and, where there are any, every mediator.
        """
        return ~np.isnan(self.outcome()) & self.known_mediator()

    def recorded_outcome(self) -> np.ndarray:
        """Return the outcomes that are not missing, shape (recorded,)."""
        return self.outcome()[~np.isnan(self.outcome())]

    def mediator(self) -> np.ndarray:
        """Return the one mediator as numbers, shape (unit,); NaN where it is missing.

        Raises
        ------
        DataError
            If the study has no mediator.
        UnsupportedError
            If it has two; see :meth:`mediators`.
        """
        if self.roles.mediator is None:
            raise DataError(
                "this study declares no mediator; pass mediator=<column> to from_frame."
            )
        self.check_one_mediator("this part of an analysis")
        return self.mediators()[:, 0]

    def mediators(self) -> np.ndarray:
        """Return all mediators as numbers, shape (unit, mediator); NaN where one is missing."""
        columns = [numeric_column(self.frame[m], "mediator") for m in self.roles.mediators]
        return np.stack(columns, axis=1) if columns else np.empty((len(self.frame), 0))

    def check_one_mediator(self, what: str) -> None:
        """Refuse a part of an analysis that is not worked out for two mediators.

        Parameters
        ----------
        what : str
            The part, in words.

        Raises
        ------
        UnsupportedError
            Naming the mediators.
        """
        if self.roles.post_treatment is not None:
            raise UnsupportedError(
                f"{what} assumes that the treatment changes no confounder of mediator and outcome, "
                f"and this study declares one: {self.roles.post_treatment!r}."
            )
        if len(self.roles.mediators) > 1:
            named = " and ".join(map(repr, self.roles.mediators))
            raise UnsupportedError(
                f"{what} takes one mediator, and this study has two: {named}. Leave it out, or "
                "build a study with one of them; its indirect effect is then that through this one "
                "and whatever follows from it."
            )

    def known_mediator(self) -> np.ndarray:
        """Return whether each unit has every mediator, shape (unit,); all do if there is none."""
        return ~np.isnan(self.mediators()).any(axis=1)

    def recorded_mediator(self) -> np.ndarray:
        """Return the values of the one mediator that are not missing, shape (recorded,)."""
        if self.roles.post_treatment is not None:  # the first of two columns
            return self.mediators()[self.known_mediator(), -1]
        return self.mediator()[self.known_mediator()]

    def recorded(self, column: str) -> np.ndarray:
        """Return the numbers of a column that are not missing.

        Parameters
        ----------
        column : str
            A column of numbers with a role.

        Returns
        -------
        ndarray, shape (recorded,)
        """
        values = numeric_column(self.frame[column], column)
        return values[~np.isnan(values)]

    @property
    def event(self) -> np.ndarray | None:
        """Whether the event of each unit was seen, shape (unit,); None if no times are studied.

        False where the outcome is missing. Of several causes any one counts, and an event that
        lies in an interval was seen.
        """
        if self.roles.upper is not None:
            return np.isfinite(numeric_column(self.frame[self.roles.upper], "upper"))
        if self.roles.event is None:
            return None
        if self.roles.cause is not None:
            codes = cause_codes(self.frame[self.roles.event], self.roles.no_event)
            return (codes != "") & ~np.isnan(self.outcome())
        return np.nan_to_num(numeric_column(self.frame[self.roles.event], "event")) == 1

    @property
    def entry(self) -> np.ndarray | None:
        """Time from which each unit was observed, shape (unit,); None if all were from the start.

        0 where the outcome is missing.
        """
        if self.roles.entry is None:
            return None
        entry = numeric_column(self.frame[self.roles.entry], "entry")
        return np.where(np.isnan(self.outcome()), 0.0, entry)

    def censoring(self) -> Censoring | None:
        """Return events and entries of all units; None unless the outcome is a time to an event."""
        event = self.event
        if event is None or self.roles.upper is None:
            return None if event is None else Censoring(event, self.entry)
        ends = (self.frame[c] for c in (self.roles.outcome, self.roles.upper))
        return Censoring(event, self.entry, *(numeric_column(end, "time") for end in ends))

    @property
    def causes(self) -> tuple[str, ...]:
        """Causes of events as text, that of interest first; empty unless one was declared."""
        if self.roles.cause is None:
            return ()
        return causes_of(self.frame[self.roles.event], self.roles.cause, self.roles.no_event)

    def check_causes(self) -> None:
        """Refuse a whole study in which a level of causes may mean a censored unit.

        Raises
        ------
        DataError
            As ``check_no_event`` of :mod:`bayes_hte.study.causes`.
        """
        if self.roles.cause is not None:
            check_no_event(self.frame[self.roles.event], self.roles.cause, self.roles.no_event)

    def event_of(self, cause: str) -> np.ndarray:
        """Return whether each unit had an event of one cause.

        Parameters
        ----------
        cause : str
            One of :attr:`causes`.

        Returns
        -------
        ndarray of bool, shape (unit,)
            False where the outcome is missing.
        """
        codes = cause_codes(self.frame[self.roles.event], self.roles.no_event)
        return (codes == cause) & ~np.isnan(self.outcome())

    def weights(self) -> np.ndarray | None:
        """Return the weight of each unit, shape (unit,); None without weights."""
        if self.roles.weights is None:
            return None
        return numeric_column(self.frame[self.roles.weights], "weights")

    def arm_index(self) -> np.ndarray:
        """Return the position in `arms` of each unit's arm, shape (unit,): 0 is the reference."""
        return arm_positions(self.frame[self.roles.treatment], self.arms)

    def clusters(self) -> np.ndarray | None:
        """Return the label of each unit's cluster as text, shape (unit,); None without clusters."""
        if self.roles.cluster is None:
            return None
        return label_text(self.frame[self.roles.cluster])

    def covariate_frame(self) -> pd.DataFrame:
        """Return the covariate columns, shape (unit, covariate)."""
        return self.frame.loc[:, list(self.roles.covariates)]

    def filled_covariates(self) -> pd.DataFrame:
        """Return the covariates without gaps, shape (unit, covariate), to describe units by.

        A missing number, or ordered level, is the median of the study; any other missing level is
        the level ``(missing)``. Models do not see these values; see
        :mod:`bayes_hte.study.missing`.
        """
        return self.filled_frame().loc[:, list(self.roles.covariates)]

    def filled_frame(self) -> pd.DataFrame:
        """Return the frame with the gaps of covariates filled; see :meth:`filled_covariates`."""
        gappy = [c for c in self.roles.covariates if self.frame[c].isna().any()]
        return with_columns(self.frame, {c: filled(self.frame[c]) for c in gappy})

    def check_complete(self, names: Sequence[str], what: str) -> None:
        """Refuse missing values in columns that are used by something that cannot have any.

        Parameters
        ----------
        names : sequence of str
            The columns.
        what : str
            What needs them complete, in the plural, for the message.

        Raises
        ------
        DataError
            With the counts, and the way out.
        """
        missing = {name: int(self.frame[name].isna().sum()) for name in names}
        counts = ", ".join(f"{name} ({n})" for name, n in missing.items() if n)
        if counts:
            raise DataError(
                f"missing values in {counts}: {what} need complete columns. Build the study with "
                "missing='complete' (in a study file under [data]), or impute the values first."
            )
