"""A study: the data of one question, with the role of every column, checked when it is built.

Everything downstream may rely on what :meth:`Study.from_frame` has established: unique column
names, two or more arms, no missing or infinite value in any used column, covariates that vary,
enough rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.errors import DataError, SpecError, UnsupportedError, unknown_name
from bayes_hte.seeds import check_seed
from bayes_hte.study.frames import (
    check_names,
    check_present,
    check_table,
    missing_hint,
    names_given,
    unit_labels,
    with_columns,
)
from bayes_hte.study.kinds import (
    check_covariate,
    check_levels,
    described,
    is_numeric,
    label_text,
    numeric_column,
    plain,
)

MIN_UNITS_PER_ARM = 5
# A column with more values is a number or a label; each arm has a mean and a function of its own.
MOST_ARMS = 12


@dataclass(frozen=True)
class Roles:
    """The columns of a study by the part that they play.

    Attributes
    ----------
    outcome, treatment : str
        Column names.
    covariates : tuple of str
        Columns measured before treatment, in the order in which the models see them.
    mediator : str or None
        Column between treatment and outcome, if the question has one.
    cluster : str or None
        Column of the sampling units that rows come from (clinics, families), if there are any.
    """

    outcome: str
    treatment: str
    covariates: tuple[str, ...]
    mediator: str | None = None
    cluster: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Every used column: outcome, treatment, mediator and cluster (if any), covariates."""
        optional = tuple(c for c in (self.mediator, self.cluster) if c is not None)
        return (self.outcome, self.treatment, *optional, *self.covariates)


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
    """

    frame: pd.DataFrame
    roles: Roles
    arms: tuple[Any, ...]

    @classmethod
    def from_frame(
        cls,
        df: pd.DataFrame,
        *,
        outcome: str,
        treatment: str,
        covariates: Sequence[str],
        mediator: str | None = None,
        cluster: str | None = None,
        reference: Any = None,
    ) -> Study:
        """Check a frame and bind the roles of its columns.

        Parameters
        ----------
        df : pandas.DataFrame
            One row per unit. Copied, never changed. Its index labels the units in every result;
            an index of several levels becomes text (``"3, b"``).
        outcome, treatment : str
            Column names. The outcome is numeric, and the treatment has two to twelve distinct
            values, the arms.
        covariates : sequence of str
            Columns measured before treatment; numeric, boolean, text or categorical.
        mediator : str, optional
            Numeric column between treatment and outcome.
        cluster : str, optional
            Column that labels the sampling units rows come from (clinics, families): outcome and
            mediator models then have an intercept for each, drawn from a common normal.
        reference : optional
            The level of `treatment` that contrasts are taken against; it becomes the first arm, and
            the others keep their order. Default: the smallest level, or the first of an ordered
            categorical column and of a categorical column with more than two levels.

        Returns
        -------
        Study

        Raises
        ------
        DataError
            If a name is not text, or a column is absent, doubled or plays two parts; if the
            treatment has not two to twelve levels or an arm has fewer than five units; if any used
            value is missing or infinite; if a column does not vary, or holds values that its role
            cannot use. The message says what to try.

        Examples
        --------
        >>> import numpy as np
        >>> import bayes_hte as hte
        >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
        >>> study = hte.Study.from_frame(frame, outcome="y", treatment="treat", covariates=["x1"])
        >>> study.n_units, study.contrast
        (60, '1 vs 0')
        """
        roles = Roles(outcome, treatment, names_given(covariates, "covariate"), mediator, cluster)
        return cls.of_roles(df, roles, reference=reference)

    @classmethod
    def of_roles(cls, df: pd.DataFrame, roles: Roles, *, reference: Any = None) -> Study:
        """Check a frame for roles that are bound already.

        Parameters
        ----------
        df : DataFrame
            One row per unit; columns without a role are ignored.
        roles : Roles
            The roles of the columns.
        reference : optional
            The reference arm; as in :meth:`from_frame`.

        Returns
        -------
        Study

        Raises
        ------
        DataError
            As :meth:`from_frame`.
        """
        _check_frame(df, roles)
        frame = _own_copy(df, roles)
        _check_index(frame)
        _check_complete(frame)
        arms = _arms(frame[roles.treatment], reference)
        numeric_column(frame[roles.outcome], "outcome")
        if roles.mediator is not None:
            numeric_column(frame[roles.mediator], "mediator")
        for name in roles.covariates:
            check_covariate(frame[name])
        _check_variation(frame, roles)
        _check_size(frame[roles.treatment], arms, len(roles.covariates))
        return cls(frame=frame, roles=roles, arms=arms)

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
        return Study.of_roles(self.frame.loc[rows], self.roles, reference=reference)

    def outcome(self) -> np.ndarray:
        """Return the outcome as numbers, shape (unit,)."""
        return numeric_column(self.frame[self.roles.outcome], "outcome")

    def mediator(self) -> np.ndarray:
        """Return the mediator as numbers, shape (unit,).

        Raises
        ------
        DataError
            If the study has no mediator.
        """
        if self.roles.mediator is None:
            raise DataError(
                "this study declares no mediator; pass mediator=<column> to from_frame."
            )
        return numeric_column(self.frame[self.roles.mediator], "mediator")

    def arm_index(self) -> np.ndarray:
        """Return the position in `arms` of each unit's arm, shape (unit,): 0 is the reference."""
        place = {arm: i for i, arm in enumerate(self.arms)}
        return self.frame[self.roles.treatment].map(place).to_numpy(dtype=np.int64)

    def clusters(self) -> np.ndarray | None:
        """Return the label of each unit's cluster as text, shape (unit,); None without clusters."""
        if self.roles.cluster is None:
            return None
        return label_text(self.frame[self.roles.cluster])

    def covariate_frame(self) -> pd.DataFrame:
        """Return the covariate columns, shape (unit, covariate)."""
        return self.frame.loc[:, list(self.roles.covariates)]

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
        return self.alike(self.frame.iloc[np.flatnonzero(rows) if rows.dtype == bool else rows])

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
        study = Study.of_roles(frame, self.roles, reference=self.arms[0])
        if study.arms != self.arms:
            raise DataError(
                f"treatment {self.roles.treatment!r} has the arms {study.arms} in these rows, and "
                f"{self.arms} in the study; give rows of every arm of the study, and of no other."
            )
        return study

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
        return Study.of_roles(frame, roles, reference=self.arms[0])

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
            for a, size in enumerate(_in_proportion(n_units, np.bincount(arm)))
        ]
        return self.subset(np.sort(np.concatenate(kept)))

    def fingerprint(self) -> str:
        """Return a SHA-256 of roles, arms, units and values: equal data, equal fingerprint."""
        digest = hashlib.sha256(repr((self.roles, [str(a) for a in self.arms])).encode())
        # Strings are hashed by value; categories would otherwise hash by their codes.
        text = {c: str for c in self.frame.columns if not is_numeric(self.frame[c])}
        hashed = pd.util.hash_pandas_object(self.frame.astype(text), index=True)
        digest.update(hashed.to_numpy().tobytes())
        return digest.hexdigest()


def _check_frame(df: pd.DataFrame, roles: Roles) -> None:
    check_table(df, "df")
    if df.empty:
        raise DataError(f"the frame is empty: {len(df)} rows, {df.shape[1]} columns.")
    check_names([roles.outcome], "outcome")
    check_names([roles.treatment], "treatment")
    check_names([c for c in (roles.mediator, roles.cluster) if c is not None], "further column")
    names_given(roles.covariates, "covariate")
    doubled = sorted({str(c) for c in df.columns[df.columns.duplicated()]})
    if doubled:
        raise DataError(
            f"duplicate column names: {', '.join(doubled)}. Rename or drop them before "
            "building the study."
        )
    check_present(df, roles.columns)
    repeated = sorted({c for c in roles.columns if roles.columns.count(c) > 1})
    if repeated:
        raise DataError(
            f"{', '.join(repeated)} would play two parts: outcome, treatment, mediator, cluster "
            "and covariates must be different columns, each named once."
        )


def _own_copy(df: pd.DataFrame, roles: Roles) -> pd.DataFrame:
    """Return a copy of the used columns with plain types and labels of units of its own."""
    frame = df.loc[:, list(roles.columns)].copy()
    # Treatments and clusters are levels, of any type.
    for name in roles.columns:
        if name not in (roles.treatment, roles.cluster):
            frame[name] = plain(frame[name])
    frame.columns.name = None
    return frame.set_axis(unit_labels(frame.index, roles.columns), axis=0)


def _check_index(frame: pd.DataFrame) -> None:
    if not frame.index.is_unique:
        n = int(frame.index.duplicated().sum())
        raise DataError(
            f"the index labels the units and must be unique; {n} labels are repeated. "
            "Call df.reset_index(drop=True) first."
        )


def _check_complete(frame: pd.DataFrame) -> None:
    missing = frame.isna().sum()
    missing = missing[missing > 0]
    if len(missing):
        counts = ", ".join(f"{name} ({count})" for name, count in missing.items())
        rows = int(frame.isna().any(axis=1).sum())
        raise DataError(
            f"missing values in {counts}; {rows} of {len(frame)} rows are affected. "
            "Impute them, or drop the rows with df.dropna(subset=[...]) if that is defensible."
            + missing_hint(frame[name] for name in frame.columns)
        )
    infinite = {
        name: int((~np.isfinite(frame[name].to_numpy(dtype=np.float64))).sum())
        for name in frame.columns
        if is_numeric(frame[name])
    }
    if any(infinite.values()):
        counts = ", ".join(f"{name} ({count})" for name, count in infinite.items() if count)
        raise DataError(f"infinite values in {counts}. Replace or drop them.")


def _arms(treatment: pd.Series, reference: Any) -> tuple[Any, ...]:
    levels = _levels(treatment)
    if not 2 <= len(levels) <= MOST_ARMS:
        shown = ", ".join(repr(v) for v in levels[:5]) + (", ..." if len(levels) > 5 else "")
        raise DataError(
            f"treatment {treatment.name!r} must have two to {MOST_ARMS} levels, the arms, got "
            f"{len(levels)}: {shown}. Keep the rows of the arms to be compared, or recode the "
            "column."
        )
    check_levels(levels, f"treatment {treatment.name!r}")
    if reference is not None and reference not in levels:
        raise DataError(
            f"reference {reference!r} is not a level of treatment {treatment.name!r}: "
            f"{', '.join(repr(level) for level in levels)}."
        )
    first = levels[0] if reference is None else levels[levels.index(reference)]
    return (first, *(level for level in levels if level != first))


def _in_proportion(total: int, counts: np.ndarray) -> list[int]:
    """Divide units between the arms in proportion to the counts, the remainder to the first."""
    sizes = [round(total * float(share)) for share in counts[1:] / counts.sum()]
    return [total - sum(sizes), *sizes]


def _levels(treatment: pd.Series) -> list[Any]:
    """Return the observed levels: in the order of a declared one, else sorted."""
    if isinstance(treatment.dtype, pd.CategoricalDtype):
        kept = treatment.cat.remove_unused_categories().cat.categories.tolist()
        if treatment.cat.ordered or len(kept) > 2:
            return kept
    try:
        levels = treatment.unique().tolist()
    except TypeError as error:
        raise DataError(
            f"treatment {treatment.name!r} holds {described(treatment)}, which are no levels; "
            "recode it as numbers or text."
        ) from error
    try:
        return sorted(levels)
    except TypeError:
        return sorted(levels, key=str)


def _check_variation(frame: pd.DataFrame, roles: Roles) -> None:
    constant = [c for c in roles.columns if frame[c].nunique() < 2]
    if constant:
        raise DataError(
            f"constant column{'s' * (len(constant) > 1)}: {', '.join(constant)}. A column with one "
            "value carries no information; remove it from the roles."
        )


def _check_size(treatment: pd.Series, arms: tuple[Any, ...], n_covariates: int) -> None:
    counts = {arm: int((treatment == arm).sum()) for arm in arms}
    small = {arm: n for arm, n in counts.items() if n < MIN_UNITS_PER_ARM}
    needed = n_covariates + 2
    if small or len(treatment) < needed:
        shown = ", ".join(f"{arm!r}: {n}" for arm, n in counts.items())
        raise DataError(
            f"too few units for the model: {len(treatment)} ({shown}). At least "
            f"{MIN_UNITS_PER_ARM} per arm and {needed} in all are needed for {n_covariates} "
            "covariates; collect more, or declare fewer covariates."
        )
