"""A study: the data of one question, with the role of every column, checked when it is built.

Everything downstream may rely on what :meth:`Study.from_frame` has established: unique column
names, two or more arms, no infinite value in any used column, missing values only in covariates,
outcome and mediator (:mod:`bayes_hte.study.missing`), covariates that vary, enough rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.errors import DataError, SpecError, UnsupportedError, unknown_name
from bayes_hte.study.arms import random_units
from bayes_hte.study.checked_frame import checked_frame
from bayes_hte.study.fingerprints import fingerprint
from bayes_hte.study.frames import names_given, with_columns
from bayes_hte.study.missing import Flow, MissingName, check_imputations, differences
from bayes_hte.study.recorded import RecordedColumns
from bayes_hte.study.roles import Roles
from bayes_hte.study.shown import as_html, in_a_line


@dataclass(frozen=True)
class Study(RecordedColumns):
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
        bound = checked_frame(df, roles, reference=reference, missing=missing, gaps=gaps)
        return cls(bound.frame, roles, bound.arms, missing, bound.gaps, bound.flow)

    def __repr__(self) -> str:
        """Name the units, the arms and the roles in a line."""
        return in_a_line(self)

    def _repr_html_(self) -> str:
        """Show the roles, the arms and the first rows."""
        return as_html(self)

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

    def with_outcome(self) -> Study:
        """Return the study of the units that inform the outcome model; itself if all do."""
        known = self.known_outcome()
        return self if known.all() else self.subset(known)

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
        return self.subset(random_units(self.arm_index(), n_units, seed=seed))

    def fingerprint(self) -> str:
        """Return a SHA-256 of roles, arms, units and values: equal data, equal fingerprint."""
        return fingerprint(self)
