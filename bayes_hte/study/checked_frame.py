"""A frame whose columns suit their roles, with its arms, and its gaps of covariates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bayes_hte.study.arms import arm_positions, arms_of
from bayes_hte.study.frames import as_table
from bayes_hte.study.interval_times import with_open_ends
from bayes_hte.study.kinds import check_covariate, distinct, numeric_column
from bayes_hte.study.missing import (
    Flow,
    MissingName,
    check_gaps,
    check_missing_rule,
    missing_by_arm,
)
from bayes_hte.study.roles import Roles
from bayes_hte.study.time_to_event import check_times
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


@dataclass(frozen=True)
class CheckedFrame:
    """What a study is built from.

    Attributes
    ----------
    frame : pandas.DataFrame, shape (unit, used columns)
        A private copy with the used columns only.
    arms : tuple
        The levels of the treatment, reference arm first.
    gaps : tuple of str
        Covariates that may have missing values.
    flow : Flow
        The way of the units from the table to the frame.
    """

    frame: pd.DataFrame
    arms: tuple[Any, ...]
    gaps: tuple[str, ...]
    flow: Flow


def checked_frame(
    df: pd.DataFrame,
    roles: Roles,
    *,
    reference: Any,
    missing: MissingName,
    gaps: Sequence[str],
) -> CheckedFrame:
    """Check a frame for its roles, and leave out units if the rule for missing values says so.

    Parameters
    ----------
    df : DataFrame
        One row per unit; columns without a role are ignored.
    roles : Roles
        The roles of the columns.
    reference : object
        The reference arm; None for the default one.
    missing : {"splits", "impute", "complete"}
        The rule for missing covariates.
    gaps : sequence of str
        Covariates that may have missing values in rows to come, next to those that have some.

    Returns
    -------
    CheckedFrame

    Raises
    ------
    DataError
        As :meth:`bayes_hte.Study.from_frame`.
    SpecError
        If the rule for missing values is unknown.
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
    _check_columns(frame, roles)
    check_variation(frame, roles)
    check_weights(frame, roles)
    modelled = frame[[roles.outcome, *roles.mediators]]
    known = modelled.notna().all(axis=1)
    check_size(frame.loc[known, roles.treatment], arms)
    incomplete = [c for c in roles.covariates if c in gaps or frame[c].isna().any()]
    return CheckedFrame(frame, arms, tuple(incomplete), flow)


def _check_columns(frame: pd.DataFrame, roles: Roles) -> None:
    """Refuse columns of other kinds than their roles can use."""
    numeric_column(frame[roles.outcome], "outcome")
    for name in roles.mediators:
        numeric_column(frame[name], "mediator")
    if roles.cluster is not None:
        distinct(frame[roles.cluster], "cluster")
    for name in roles.covariates:
        check_covariate(frame[name].dropna())
