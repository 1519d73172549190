"""A study: the data of one question, with the role of every column, checked when it is built.

Everything downstream may rely on what :meth:`Study.from_frame` has established: unique column
names, two or more arms, no infinite value in any used column, missing values only in covariates,
outcome and mediator (:mod:`bayes_hte.study.missing`), covariates that vary, enough rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.errors import DataError, SpecError, UnsupportedError, unknown_name
from bayes_hte.seeds import check_seed
from bayes_hte.study.arms import arm_positions, arms_of, in_proportion
from bayes_hte.study.causes import cause_codes, causes_of, check_no_event
from bayes_hte.study.frames import (
    as_table,
    names_given,
    with_columns,
)
from bayes_hte.study.interval_times import middles, with_open_ends
from bayes_hte.study.kinds import (
    check_covariate,
    distinct,
    is_numeric,
    label_text,
    levels_in_use,
    numeric_column,
)
from bayes_hte.study.missing import (
    Flow,
    MissingName,
    check_gaps,
    check_imputations,
    check_missing_rule,
    differences,
    filled,
    missing_by_arm,
)
from bayes_hte.study.roles import Roles
from bayes_hte.study.time_to_event import Censoring, check_times
from bayes_hte.study.validation import (
    check_complete,
    check_finite,
    check_frame,
    check_index,
    check_size,
    check_variation,
    check_weights,
    own_copy,
)
from bayes_hte.views import counted, html_block


@dataclass(frozen=True)
class Study:
    """A validated frame with roles and arms; build it with :meth:`Study.from_frame`.

    Attributes
    ----------
    frame : pandas.DataFrame, shape (unit, used columns)
        A private copy with the used columns only; its index labels the units.
    roles : Roles
        The part each column plays.
    arms : tuple
        The levels of the treatment, reference arm first; two or more.
    missing : {"splits", "impute", "complete"}
        The rule for missing covariates; see :mod:`bayes_hte.study.missing`.
    gaps : tuple of str
        Covariates that may have missing values: in this study, in the one it is a part of, or in
        new rows.
    flow : Flow or None
        The way of the units from the table to this study.
    imputations : int
        Number of imputed frames, under the rule ``"impute"``.
    completed : tuple of DataFrame
        Frames that the user imputed himself; see :meth:`from_frames`.
    """

    frame: pd.DataFrame
    roles: Roles
    arms: tuple[Any, ...]
    missing: MissingName = "splits"
    gaps: tuple[str, ...] = ()
    flow: Flow | None = field(default=None, repr=False, compare=False)
    imputations: int = 5
    completed: tuple[pd.DataFrame, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def from_frame(
        cls,
        df: pd.DataFrame,
        *,
        outcome: str,
        treatment: str,
        covariates: Sequence[str],
        mediator: str | Sequence[str] | None = None,
        cluster: str | None = None,
        reference: Any = None,
        weights: str | None = None,
        missing: MissingName = "splits",
        imputations: int = 5,
        event: str | None = None,
        entry: str | None = None,
        post_treatment: str | None = None,
        cause: Any = None,
        no_event: Any = None,
        upper: str | None = None,
    ) -> Study:
        """Check a frame and bind the roles of its columns.

        Parameters
        ----------
        df : pandas.DataFrame
            One row per unit (or a frame of polars or a table of Arrow, through narwhals). Copied,
            never changed. Its index labels the units in every result; an index of several levels
            becomes text (``"3, b"``).
        outcome, treatment : str
            Column names. The outcome is numeric, and the treatment has two to twelve distinct
            values, the arms.
        covariates : sequence of str
            Columns measured before treatment; numeric, boolean, text or categorical.
        mediator : str or sequence of str, optional
            Numeric column between treatment and outcome; two of them as ``["m1", "m2"]``. The
            natural effects of two are those through both together, which no order between them
            changes. They are modelled in the order given, the second given the first, which carries
            whatever relates them.
        cluster : str, optional
            Column that labels the sampling units rows come from (clinics, families): outcome and
            mediator models then have an intercept for each, drawn from a common normal.
        reference : optional
            The level of `treatment` that contrasts are taken against; it becomes the first arm, and
            the others keep their order: that of an ordered categorical column, or of a categorical
            one with more than two levels, else sorted. Default: False, the smallest number, or the
            first level of an ordered categorical; for other text it must be given.
        weights : str, optional
            Column with the weight of each unit in a population (survey weights, or 1 over the
            probability of being in the study). They enter averages of effects over the population
            (PATE). They do not enter the likelihood: the models describe outcomes given
            covariates, and if what decided about being in the study is among the covariates, these
            are the same in study and population; weighting would only cost precision.
        missing : {"splits", "impute", "complete"}, default "splits"
            What happens to missing covariates: forests split on missingness, several imputed
            frames are fitted, or units with any missing value are left out. Outcomes and mediators
            may be missing too: their units keep their covariates and effects, and say nothing
            about the models of what they lack. See :mod:`bayes_hte.study.missing`.
        imputations : int, default 5
            Number of imputed frames, with ``missing="impute"``: one fit each. For frames that you
            imputed yourself, see :meth:`from_frames`.
        event : str, optional
            Column that makes the outcome a time to an event: 1 (or true) where the event was seen
            at that time, 0 (or false) where the unit was censored then, last known without it.
        entry : str, optional
            Column of the times from which units were observed (left truncation), 0 from the start,
            counted from the same start as the outcome. It needs `event`.
        post_treatment : str, optional
            Numeric column that the treatment changes and that affects both the mediator and the
            outcome. Natural direct and indirect effects are then not identified, and refused;
            ``fit.interventional_effects()`` has those that are.
        cause : optional
            Where events have several causes (competing risks): the level of `event` that is the
            cause of interest. Each other level is a cause too, but those that mean a censored
            unit. Times are then those to any event; ``estimand="cumulative_incidence"`` of a fit
            with ``family="piecewise_hazard"`` is about the cause.
        no_event : optional
            The level of `event`, or a list of levels, that means a censored unit where events have
            causes. Default: 0, False and plain words (``"none"``, ``"no event"``, ``"censored"``,
            ``"alive"``, ...); a column without any of these, or with a level that may be one, is
            refused. An empty list says that every unit had an event.
        upper : str, optional
            Column that makes the outcome the lower end of an interval in which the event came
            (interval censoring), and holds its upper end. Equal ends are a time that was seen;
            without an upper end the unit was censored at the lower one; a lower end of 0 leaves
            open how early the event came. It takes the place of `event`. See
            :mod:`bayes_hte.study.interval_times`.

        Returns
        -------
        Study

        Raises
        ------
        DataError
            If a name is not text, or a column is absent, doubled or plays two parts; if the
            treatment has not two to twelve levels, holds text without a `reference`, or an arm has
            fewer than five units with outcomes;
            if a treatment, cluster or weight is missing, all values of a column are, or those of a
            covariate in one arm only; if a value is infinite; if a weight is negative, or all are
            0; if a column does not vary, or holds values that its role cannot use; or if times to
            an event, events or entries are impossible
            (:mod:`bayes_hte.study.time_to_event`). The message says what to try.
        SpecError
            If the rule for missing values is unknown.
        UnsupportedError
            If there are more than two mediators, or not one with `post_treatment`.

        Examples
        --------
        >>> import numpy as np
        >>> import bayes_hte as hte
        >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
        >>> study = hte.Study.from_frame(frame, outcome="y", treatment="treat", covariates=["x1"])
        >>> study.n_units, study.contrast
        (60, '1 vs 0')
        """
        listed = names_given(covariates, "covariate")
        if isinstance(mediator, Sequence) and not isinstance(mediator, str):
            mediator = names_given(mediator, "mediator")
        further = (event, entry, post_treatment, cause, no_event, upper)
        roles = Roles(outcome, treatment, listed, mediator, cluster, weights, *further)
        study = cls.of_roles(df, roles, reference=reference, missing=missing)
        study.check_causes()
        return replace(study, imputations=check_imputations(imputations))

    @classmethod
    def from_frames(cls, frames: Sequence[pd.DataFrame], **roles: Any) -> Study:
        """Bind several frames of one study, in which missing covariates were imputed differently.

        Parameters
        ----------
        frames : sequence of DataFrame
            At least two, with the same rows in the same order. Their covariates are complete; the
            other columns are the same in all.
        **roles
            Outcome, treatment, covariates and the others, as in :meth:`from_frame` (without
            `missing`).

        Returns
        -------
        Study
            Its frame has gaps where the frames differ; one model is fitted to each of them, and
            their draws are put together.

        Raises
        ------
        DataError
            If there are fewer than two frames, their rows or columns without imputations differ,
            or a covariate is incomplete; or as :meth:`from_frame`.

        Examples
        --------
        >>> import numpy as np
        >>> import bayes_hte as hte
        >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
        >>> other = frame.assign(x1=frame["x1"].where(frame.index > 3, 0.0))
        >>> roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
        >>> study = hte.Study.from_frames([frame, other], **roles)
        >>> study.gaps, study.frame["x1"].isna().sum().item()
        (('x1',), 4)
        """
        if isinstance(frames, pd.DataFrame) or len(frames := list(frames)) < 2:
            raise DataError("from_frames takes a list of at least two imputed frames.")
        studies = [cls.from_frame(frame, **roles) for frame in frames]
        completed = tuple(study.frame for study in studies)
        first = studies[0]
        holed = cls.of_roles(
            differences(completed, first.roles.covariates),
            first.roles,
            reference=first.arms[0],
            missing="impute",
        )
        return replace(holed, completed=completed, imputations=len(completed))

    @classmethod
    def of_roles(
        cls,
        df: pd.DataFrame,
        roles: Roles,
        *,
        reference: Any = None,
        missing: MissingName = "splits",
        gaps: Sequence[str] = (),
    ) -> Study:
        """Check a frame for roles that are bound already.

        Parameters
        ----------
        df : DataFrame
            One row per unit; columns without a role are ignored.
        roles : Roles
            The roles of the columns.
        reference : optional
            The reference arm; as in :meth:`from_frame`.
        missing : {"splits", "impute", "complete"}
            As in :meth:`from_frame`.
        gaps : sequence of str, optional
            Covariates that may have missing values in rows to come, next to those that have some.

        Returns
        -------
        Study

        Raises
        ------
        DataError
            As :meth:`from_frame`.
        """
        df = as_table(df, "df")
        check_missing_rule(missing)
        check_frame(df, roles)
        frame = with_open_ends(own_copy(df, roles), roles)
        check_index(frame)
        check_complete(frame, [roles.treatment, roles.cluster, roles.weights])
        check_finite(frame, but=roles.upper)
        arms = arms_of(frame[roles.treatment], reference)
        check_times(frame, roles, arm_positions(frame[roles.treatment], arms), arms)
        table = missing_by_arm(frame, roles, arm_positions(frame[roles.treatment], arms), len(arms))
        check_gaps(table, arms, missing, known=gaps)
        flow = Flow(len(frame), (), table)
        if missing == "complete" and len(table):
            frame = frame.dropna()
            flow = flow.without("with a missing value", flow.recorded - len(frame))
        numeric_column(frame[roles.outcome], "outcome")
        for name in roles.mediators:
            numeric_column(frame[name], "mediator")
        if roles.cluster is not None:
            distinct(frame[roles.cluster], "cluster")
        for name in roles.covariates:
            check_covariate(frame[name].dropna())
        check_variation(frame, roles)
        check_weights(frame, roles)
        modelled = frame[[roles.outcome, *roles.mediators]]
        known = modelled.notna().all(axis=1)
        check_size(frame.loc[known, roles.treatment], arms)
        incomplete = [c for c in roles.covariates if c in gaps or frame[c].isna().any()]
        return cls(frame, roles, arms, missing, tuple(incomplete), flow)

    def __repr__(self) -> str:
        """Name the units, the arms and the roles in a line."""
        named = " and ".join(self.roles.mediators)
        mediator = f"; mediator {named}" if named else ""
        return (
            f"Study({counted(self.n_units, 'unit')}; {self.roles.treatment}: {self._arm_sizes()}; "
            f"outcome {self.roles.outcome}{mediator}; "
            f"{counted(len(self.roles.covariates), 'covariate')})"
        )

    def _repr_html_(self) -> str:
        """Show the roles, the arms and the first rows."""
        roles = self.roles
        mediator = " and ".join(roles.mediators) or None
        named = {"mediator": mediator, "cluster": roles.cluster, "weights": roles.weights}
        facts = {
            "units": self.n_units,
            "outcome": roles.outcome,
            "treatment": f"{roles.treatment} ({self._arm_sizes()}; reference {self.arms[0]})",
            **{name: column for name, column in named.items() if column is not None},
            "covariates": ", ".join(map(str, roles.covariates)),
        }
        gaps = int(self.frame.isna().sum().sum())
        said = [f"Missing values: {gaps}, rule {self.missing!r}."] if gaps else []
        return html_block("Study", facts, sentences=said, details={"first rows": self.frame.head()})

    def _arm_sizes(self) -> str:
        counts = np.bincount(self.arm_index(), minlength=len(self.arms))
        return ", ".join(f"{arm} ({n})" for n, arm in zip(counts, self.arms, strict=True))

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.frame)

    @property
    def units(self) -> pd.Index:
        """Labels of the units (the index of the frame)."""
        return self.frame.index

    @property
    def contrast(self) -> str:
        """The contrast of a study of two arms in words, ``"treated vs reference"``.

        Raises
        ------
        UnsupportedError
            If the study has more than two arms.
        """
        self.check_two_arms("one contrast")
        return f"{self.arms[1]} vs {self.arms[0]}"

    def check_two_arms(self, what: str) -> None:
        """Refuse a part of an analysis that compares two arms, in a study of more.

        Parameters
        ----------
        what : str
            The part, in words.

        Raises
        ------
        UnsupportedError
            Naming the arms, and the view of two of them that can be used.
        """
        if len(self.arms) > 2:
            arms = ", ".join(repr(arm) for arm in self.arms)
            raise UnsupportedError(
                f"{what} needs two arms, and this study has {len(self.arms)}: {arms}. Look at two "
                f"of them: study.two_arms({self.arms[1]!r}, {self.arms[0]!r}), or of a fit "
                f"fit.two_arms({self.arms[1]!r}, {self.arms[0]!r})."
            )

    def two_arms(self, arm: Any, reference: Any) -> Study:
        """Return the units of two arms as a study of its own, of the contrast ``arm vs reference``.

        Companions, checks, refutations and everything else that compares two arms work on it.

        Parameters
        ----------
        arm : object
            An arm of the study.
        reference : object
            Another, which the contrast is taken against.

        Returns
        -------
        Study

        Raises
        ------
        SpecError
            If these are not two different arms of the study.
        DataError
            If a covariate has only one value in the two arms.

        Examples
        --------
        >>> import numpy as np
        >>> import pandas as pd
        >>> import bayes_hte as hte
        >>> rng = np.random.default_rng(1)
        >>> frame = pd.DataFrame({"y": rng.normal(size=60), "x": rng.normal(size=60)})
        >>> frame["drug"] = ["none", "low", "high"] * 20
        >>> roles = {"outcome": "y", "treatment": "drug", "covariates": ["x"]}
        >>> study = hte.Study.from_frame(frame, **roles, reference="none")
        >>> study.arms
        ('none', 'high', 'low')
        >>> pair = study.two_arms("high", "low")
        >>> pair.contrast, pair.n_units
        ('high vs low', 40)
        """
        for asked in (arm, reference):
            if asked not in self.arms:
                raise unknown_name("arm", asked, self.arms)
        if arm == reference:
            raise SpecError(f"a contrast is between two different arms, got {arm!r} twice.")
        kept = [self.arms.index(arm), self.arms.index(reference)]
        rows = np.isin(self.arm_index(), kept)
        how = {"reference": reference, "missing": self.missing, "gaps": self.gaps}
        return replace(
            Study.of_roles(self.frame.loc[rows], self.roles, **how),
            flow=None if self.flow is None else self.flow.of_arms(kept[::-1], int((~rows).sum())),
            imputations=self.imputations,
            completed=tuple(frame.loc[rows] for frame in self.completed),
        )

    def outcome(self) -> np.ndarray:
        """Return the outcome as numbers, shape (unit,); NaN where it is missing.

        Of interval-censored times the middles of the intervals.
        """
        outcome = numeric_column(self.frame[self.roles.outcome], "outcome")
        if self.roles.upper is None:
            return outcome
        return middles(outcome, numeric_column(self.frame[self.roles.upper], "upper"))

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
        return np.stack(columns, axis=1) if columns else np.empty((self.n_units, 0))

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

    def known_outcome(self) -> np.ndarray:
        """Return whether each unit informs the outcome model, shape (unit,).

        It has an outcome and, where there are any, every mediator.
        """
        return ~np.isnan(self.outcome()) & self.known_mediator()

    def recorded_outcome(self) -> np.ndarray:
        """Return the outcomes that are not missing, shape (recorded,)."""
        return self.outcome()[~np.isnan(self.outcome())]

    def recorded_mediator(self) -> np.ndarray:
        """Return the values of the one mediator that are not missing, shape (recorded,)."""
        if self.roles.post_treatment is not None:  # the first of two columns
            return self.mediators()[self.known_mediator(), -1]
        return self.mediator()[self.known_mediator()]

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

    def with_outcome(self) -> Study:
        """Return the study of the units that inform the outcome model; itself if all do."""
        known = self.known_outcome()
        return self if known.all() else self.subset(known)

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

    def subset(self, rows: np.ndarray) -> Study:
        """Return the study restricted to some rows, checked again.

        Parameters
        ----------
        rows : ndarray of bool or int, shape (unit,) or (kept,)
            Mask or positions of the rows to keep.

        Returns
        -------
        Study

        Examples
        --------
        >>> import numpy as np
        >>> import bayes_hte as hte
        >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
        >>> study = hte.Study.from_frame(frame, outcome="y", treatment="treat", covariates=["x1"])
        >>> study.subset(frame["x2"] > 0).n_units
        33
        """
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        return self.alike(self.frame.iloc[rows])

    def alike(self, frame: pd.DataFrame) -> Study:
        """Return other rows as a study with the same roles and the same reference arm.

        Parameters
        ----------
        frame : DataFrame
            With every column of this study's roles.

        Returns
        -------
        Study

        Raises
        ------
        DataError
            As :meth:`Study.from_frame`.
        """
        return self._rebuilt(frame, self.roles)

    def _rebuilt(self, frame: pd.DataFrame, roles: Roles) -> Study:
        study = Study.of_roles(
            frame, roles, reference=self.arms[0], missing=self.missing, gaps=self.gaps
        )
        if study.arms != self.arms:
            raise DataError(
                f"treatment {self.roles.treatment!r} has the arms {study.arms} in these rows, and "
                f"{self.arms} in the study; give rows of every arm of the study, and of no other."
            )
        completed: tuple[pd.DataFrame, ...] = ()
        if self.completed and study.frame.index.isin(self.frame.index).all():
            # Whatever else has changed, the same units keep the values that the user imputed.
            gaps, units = [c for c in self.gaps if c in roles.covariates], study.frame.index
            completed = tuple(
                with_columns(study.frame, {c: given.loc[units, c] for c in gaps})
                for given in self.completed
            )
        return replace(study, imputations=self.imputations, completed=completed)

    def with_covariate(self, name: str, values: np.ndarray) -> Study:
        """Return the study with one more covariate, checked again.

        Parameters
        ----------
        name : str
            Its column; none that the frame has.
        values : ndarray, shape (unit,)
            Measured, or decided, before treatment.

        Returns
        -------
        Study

        Raises
        ------
        DataError
            If the column exists, or as :meth:`Study.from_frame`.
        """
        if name in self.frame.columns:
            raise DataError(f"the study has a column {name!r} already; choose another name.")
        roles = replace(self.roles, covariates=(*self.roles.covariates, name))
        frame = with_columns(self.frame, {name: values})
        return self._rebuilt(frame, roles)

    def sample(self, n_units: int, *, seed: int) -> Study:
        """Return a random part of the study with the arms in their proportions.

        For studies too large to fit as a whole: fit the part, then predict effects for every row
        of the frame with ``fit.cate(frame)``.

        Parameters
        ----------
        n_units : int
            Units to keep.
        seed : int
            Same seed, same units.

        Returns
        -------
        Study

        Raises
        ------
        DataError
            If the study has fewer units.
        SpecError
            If the seed is no whole number, 0 or more.

        Examples
        --------
        >>> import numpy as np
        >>> import bayes_hte as hte
        >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
        >>> study = hte.Study.from_frame(frame, outcome="y", treatment="treat", covariates=["x1"])
        >>> study.sample(20, seed=1).arm_index().mean().item()
        0.5
        """
        if not isinstance(n_units, int | np.integer) or not 0 < n_units <= self.n_units:
            raise DataError(
                f"cannot sample {n_units!r} of {self.n_units} units; give a whole number up to it."
            )
        arm, rng = self.arm_index(), np.random.default_rng(check_seed(seed))
        kept = [
            rng.choice(np.flatnonzero(arm == a), size=size, replace=False)
            for a, size in enumerate(in_proportion(n_units, np.bincount(arm)))
        ]
        return self.subset(np.sort(np.concatenate(kept)))

    def fingerprint(self) -> str:
        """Return a SHA-256 of roles, arms, units and values: equal data, equal fingerprint."""
        digest = hashlib.sha256(repr((self.roles, [str(a) for a in self.arms])).encode())
        # Strings are hashed by value; categories would otherwise hash by their codes.
        text = {c: str for c in self.frame.columns if not is_numeric(self.frame[c])}
        for name in self.frame.columns:
            levels = levels_in_use(self.frame[name]) if name in text else ()
            # The order of the alphabet leaves no trace, as in runs saved before others were kept.
            if list(levels) != sorted(levels):
                digest.update(repr((name, levels)).encode())
        hashed = pd.util.hash_pandas_object(self.frame.astype(text), index=True)
        digest.update(hashed.to_numpy().tobytes())
        # Studies without them have the fingerprints of earlier versions.
        if self.gaps or self.roles.weights is not None:
            digest.update(repr((self.missing, self.gaps, self.roles.weights)).encode())
        if self.roles.post_treatment is not None:
            digest.update(repr(("post_treatment", self.roles.post_treatment)).encode())
        if self.gaps and self.missing == "impute":
            digest.update(repr(self.imputations).encode())
        if self.roles.event is not None:
            digest.update(repr(("event", self.roles.event, self.roles.entry)).encode())
        if self.roles.upper is not None:
            digest.update(repr(("upper", self.roles.upper, self.roles.entry)).encode())
        if self.roles.cause is not None:
            digest.update(repr(("cause", self.causes[0])).encode())
        if self.roles.no_event is not None:
            digest.update(repr(("no event", self.roles.no_event)).encode())
        for frame in self.completed:
            digest.update(pd.util.hash_pandas_object(frame.astype(text)).to_numpy().tobytes())
        return digest.hexdigest()
