"""The rows that a model sees: encoded columns, arms and mediator, for the study and new rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from bayes_hte.errors import DataError
from bayes_hte.study.encoding import Encoding
from bayes_hte.study.frames import as_table, check_present, unit_labels
from bayes_hte.study.kinds import label_text, levels_in_use
from bayes_hte.study.study import Study

# Derived columns; the parentheses distinguish them from a user's own.
PROPENSITY_COLUMN = "(propensity)"
ARM_COLUMN = "(arm)"
CLUSTER_COLUMN = "(cluster)"
EXPECTED_COLUMN = "(expected mediator)"
SECOND_EXPECTED_COLUMN = "(expected mediator 2)"
EXPECTED_COLUMNS = (EXPECTED_COLUMN, SECOND_EXPECTED_COLUMN)


def propensity_columns(n_arms: int) -> tuple[str, ...]:
    """Names of the columns of the estimated propensity: one for each arm but the reference."""
    if n_arms == 2:
        return (PROPENSITY_COLUMN,)
    return tuple(f"(propensity {arm})" for arm in range(1, n_arms))


def is_propensity_column(name: str) -> bool:
    """Whether a column, or a feature made from it, is an estimated propensity."""
    return name == PROPENSITY_COLUMN or name.startswith("(propensity ")


def is_arm_feature(name: str) -> bool:
    """Whether a feature is the arm, or with more than two arms the indicator of one."""
    return name == ARM_COLUMN or name.startswith(f"{ARM_COLUMN}=")


FeatureSet = Literal["none", "covariates", "covariates+propensity", "covariates+arm"]


@dataclass(frozen=True)
class Design:
    """Rows with the stored encoding of their columns.

    Attributes
    ----------
    encoding : Encoding
        State learned on the study; the same for all new rows.
    frame : DataFrame, shape (row, column)
        Covariates, and the derived columns ``(arm)`` and perhaps ``(propensity)``, ``(cluster)``
        (with more than two arms ``(propensity 1)``, ... for each but the reference); for the rows
        of a study whose outcome model sees a mediator also ``(expected mediator)``, and of a second
        one ``(expected mediator 2)``.
    covariates : tuple of str
        Names of the covariates, without the derived columns; each has columns in the encoding.
    cluster : str or None
        Column of the users' frames that labels clusters, if the study has them.
    clusters : tuple of str
        The clusters of the study, sorted.
    n_arms : int
        Arms of the study.
    codes : tuple of int
        The numbers that the arms had where the encoding was learned, if it had more of them.
    """

    encoding: Encoding
    frame: pd.DataFrame
    covariates: tuple[str, ...]
    cluster: str | None = None
    clusters: tuple[str, ...] = ()
    n_arms: int = 2
    codes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        encoded = {c.name for c in self.encoding.columns if len(c.levels) != 1}
        lost = [name for name in self.covariates if name not in encoded]
        if lost:
            raise DataError(
                f"the models would not see {', '.join(map(repr, lost))}: no column of the design "
                "holds it. A covariate needs text as its name and at least two values; build the "
                "study with Study.from_frame, which checks both."
            )

    @classmethod
    def learn(
        cls,
        study: Study,
        *,
        propensity: np.ndarray | None = None,
        expected_mediator: np.ndarray | None = None,
    ) -> Design:
        """Learn the encoding of a study's covariates.

        Parameters
        ----------
        study : Study
            The study.
        propensity : ndarray, shape (unit,) or (unit, arms - 1), optional
            Estimated probability of the non-reference arm, with more than two arms of each, to be
            used as a covariate.
        expected_mediator : ndarray, shape (unit,) or (unit, mediator), optional
            Expectation of each unit's mediator in its own arm, without having seen it. It is no
            covariate; see :mod:`bayes_hte.components.learners`.

        Returns
        -------
        Design

        Raises
        ------
        DataError
            If a covariate has the name of a derived column, or no column of its own.
        """
        n_arms = len(study.arms)
        derived = {ARM_COLUMN, PROPENSITY_COLUMN, CLUSTER_COLUMN, *EXPECTED_COLUMNS}
        taken = [c for c in study.roles.covariates if c in derived or _is_derived(c)]
        if taken:
            raise DataError(f"rename covariate {taken[0]!r}: the design uses that name itself.")
        frame = study.covariate_frame().assign(**{ARM_COLUMN: study.arm_index()})
        if propensity is not None:
            frame = frame.assign(**_named(propensity))
        # Two arms are a number, 0 or 1; of more each is a level.
        typed = frame if n_arms == 2 else frame.astype({ARM_COLUMN: str})
        encoding, labels = Encoding.learn(typed, gaps=study.gaps), study.clusters()
        if expected_mediator is not None:
            columns = expected_mediator.reshape(len(frame), -1).T
            frame = frame.assign(**dict(zip(EXPECTED_COLUMNS, columns, strict=False)))
        if labels is not None:
            frame = frame.assign(**{CLUSTER_COLUMN: labels})
        return cls(
            encoding,
            frame,
            study.roles.covariates,
            study.roles.cluster,
            () if labels is None else tuple(sorted(set(labels))),
            n_arms,
        )

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
        """Arm of each row, shape (row,): 0 is the reference."""
        return self.frame[ARM_COLUMN].to_numpy(dtype=np.int64)

    @property
    def arm_codes(self) -> np.ndarray:
        """Number of each row's arm where the encoding was learned, shape (row,)."""
        return np.array(self.codes)[self.arm] if self.codes else self.arm

    @property
    def has_propensity(self) -> bool:
        """Whether an estimated propensity is among the columns."""
        return self.propensity is not None

    @property
    def propensity(self) -> np.ndarray | None:
        """The estimated propensity, shape (row,) or (row, arms - 1); None without."""
        held = [name for name in self.frame.columns if is_propensity_column(name)]
        if not held:
            return None
        return self.frame[held].to_numpy() if len(held) > 1 else self.frame[held[0]].to_numpy()

    @property
    def expected_mediator(self) -> np.ndarray:
        """Expected mediator of each row in its own arm, shape (row,).

        Raises
        ------
        DataError
            If the rows have none; for new rows the mediator model predicts it.
        """
        if EXPECTED_COLUMN not in self.frame.columns:
            raise DataError("these rows have no expected mediator; predict it for both arms.")
        return self.frame[EXPECTED_COLUMN].to_numpy()

    @property
    def expected_mediators(self) -> np.ndarray:
        """Expected mediators of each row in its own arm, shape (row, mediator); maybe none."""
        held = [name for name in EXPECTED_COLUMNS if name in self.frame.columns]
        return self.frame[held].to_numpy(dtype=np.float64)

    @property
    def expected_by_arm(self) -> np.ndarray:
        """Mean of the expected mediator among the rows of each arm, shape (arm,)."""
        return self.expected_means(0)

    def expected_means(self, mediator: int) -> np.ndarray:
        """Mean of one expected mediator among the rows of each arm, shape (arm,)."""
        own = self.expected_mediators[:, mediator]
        return np.array([own[self.arm == arm].mean() for arm in range(self.n_arms)])

    def member(self, group: tuple[str, str]) -> np.ndarray:
        """Whether each row has a level, as text, of a covariate; shape (row,)."""
        column, level = group
        return label_text(self.frame[column]) == level

    def levels(self, column: str) -> tuple[str, ...]:
        """Levels of a covariate among the rows, as text: as its categories, else sorted."""
        if isinstance(self.frame[column].dtype, pd.CategoricalDtype):
            return levels_in_use(self.frame[column])
        return tuple(sorted(set(label_text(self.frame[column]))))

    @property
    def cluster_index(self) -> np.ndarray:
        """Position of each row's cluster in `clusters`, shape (row,); -1 for an unseen one."""
        return pd.Index(self.clusters).get_indexer(self.frame[CLUSTER_COLUMN])

    @property
    def cluster_labels(self) -> np.ndarray:
        """Label of each row's cluster, shape (row,)."""
        return self.frame[CLUSTER_COLUMN].to_numpy(dtype=object)

    def under(self, arm: int) -> Design:
        """Return the same rows, every one given the same arm, by its number."""
        return replace(self, frame=self.frame.assign(**{ARM_COLUMN: arm}))

    def among(self, arms: tuple[int, ...]) -> Design:
        """Return the rows of some arms, which are numbered anew in the order given.

        Parameters
        ----------
        arms : tuple of int
            The arms to keep, by their numbers.

        Returns
        -------
        Design
            With the encoding learned on all rows.
        """
        kept = self.frame[np.isin(self.arm, arms)]
        numbers = kept[ARM_COLUMN].map({arm: i for i, arm in enumerate(arms)})
        codes = tuple((self.codes or range(self.n_arms))[arm] for arm in arms)
        frame = kept.assign(**{ARM_COLUMN: numbers})
        return replace(self, frame=frame, n_arms=len(arms), codes=codes)

    def take(self, rows: np.ndarray) -> Design:
        """Return some of the rows, by their positions, with everything that is learned."""
        return replace(self, frame=self.frame.iloc[rows])

    def with_propensity(self, propensity: np.ndarray) -> Design:
        """Return the rows with the estimated propensity among their columns."""
        return replace(self, frame=self.frame.assign(**_named(propensity)))

    def replay(self, frame: pd.DataFrame, *, propensity: np.ndarray | None = None) -> Design:
        """Encode new rows with the stored state.

        Parameters
        ----------
        frame : DataFrame
            Must hold every covariate, and the cluster if the study has one; a cluster it never
            saw is one more draw of the population of clusters. Other columns are ignored.
        propensity : ndarray, shape (row,) or (row, arms - 1), optional
            Needed if the design was learned with one.

        Returns
        -------
        Design
            With every row in the reference arm; call :meth:`under` for the other.

        Raises
        ------
        DataError
            If a covariate is missing, has other levels, or missing values that the study has not
            in that column, or the propensity is missing.
        """
        frame = as_table(frame, "new rows")
        wanted = (*self.covariates, *([] if self.cluster is None else [self.cluster]))
        absent = [c for c in wanted if c not in frame.columns]
        if absent:
            raise DataError(
                f"new rows lack {', '.join(absent)}; they must hold every covariate of the study"
                f"{' and its cluster' if self.cluster else ''}: {', '.join(wanted)}."
            )
        check_present(frame, wanted, "column of the new rows")
        if self.cluster is not None and frame[self.cluster].isna().any():
            n = int(frame[self.cluster].isna().sum())
            raise DataError(f"cluster {self.cluster!r} is missing in {n} new rows; fill it in.")
        if self.has_propensity and propensity is None:
            raise DataError("this design was learned with a propensity; pass one for the new rows.")
        if self.has_propensity and len(propensity) != len(frame):
            raise DataError(
                f"propensity must have one value for each of {len(frame)} rows, got "
                f"{len(propensity)}."
            )
        rows = frame.loc[:, list(self.covariates)].assign(**{ARM_COLUMN: 0})
        rows = rows.set_axis(unit_labels(rows.index, frame.columns), axis=0)
        if self.has_propensity:
            rows = rows.assign(**_named(propensity))
        if self.cluster is not None:
            rows = rows.assign(**{CLUSTER_COLUMN: label_text(frame[self.cluster])})
        return replace(self, frame=rows)

    def standardized(self, features: FeatureSet) -> pd.DataFrame:
        """Return standardised columns of a feature set, shape (row, feature)."""
        return self.columns(features).standardized(self._coded())

    def split_columns(self, features: FeatureSet) -> pd.DataFrame:
        """Return the columns trees split on, shape (row, feature)."""
        return self.columns(features).split_columns(self._coded())

    def _coded(self) -> pd.DataFrame:
        """Return the frame with the arms as the encoding knows them."""
        return self.frame.assign(**{ARM_COLUMN: self.arm_codes}) if self.codes else self.frame

    def split_levels(self, features: FeatureSet) -> np.ndarray:
        """Return the number of levels of each split column, shape (feature,); 0 if numeric."""
        return self.columns(features).split_levels

    def split_missing(self, features: FeatureSet) -> np.ndarray:
        """Return whether each split column may hold NaN, shape (feature,)."""
        return self.columns(features).split_missing

    def columns(self, features: FeatureSet) -> Encoding:
        """Return the encoding of the columns of a feature set."""
        wanted = set() if features == "none" else set(self.covariates)
        if features == "covariates+arm":
            wanted.add(ARM_COLUMN)
        # Without an estimated propensity the set is just the covariates.
        if features == "covariates+propensity":
            wanted |= {c.name for c in self.encoding.columns if is_propensity_column(c.name)}
        return Encoding(tuple(c for c in self.encoding.columns if c.name in wanted))


def _is_derived(name: str) -> bool:
    return is_propensity_column(name) or is_arm_feature(name)


def _named(propensity: np.ndarray) -> dict[str, np.ndarray]:
    """Return the columns of a propensity by name."""
    columns = np.atleast_2d(np.transpose(propensity))
    return dict(zip(propensity_columns(len(columns) + 1), columns, strict=True))
