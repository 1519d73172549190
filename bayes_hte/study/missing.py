"""Missing values of a study: the rules for them, their assumptions in words, and the flow of units.

Covariates, the outcome and the mediator may have missing values; the treatment, the cluster and the
weight of a unit may not. A unit without an outcome keeps its covariates and its effect, and says
nothing about the parameters of the outcome model. So does a unit without a mediator, in both
models: an outcome given an unknown mediator is informative only through a model of the mediator
given the outcome, and a value drawn from the mediator model alone would pull the slope towards 0.
(Of two mediators both are needed.)

Covariates follow one of three rules:

============  ======================================================================================
splits        forests split on missingness (Kapelner and Bleich 2015); nothing is imputed
impute        several imputed frames, one fit each, their draws put together (Rubin 1987)
complete      units with any missing value are left out
============  ======================================================================================

``splits`` is the default. It leaves no unit out, needs no model of the covariates, costs no further
fit, and is right wherever effects are wanted for people described as these were: with a gap, the
effect is that of people who have the gap, whatever the reason for it. ``impute`` learns more where
values are missing at random and other covariates tell of them, in as many times the time as there
are frames: with two modifiers missing for 30% each, the error of the effects of people without gaps
was 1.05 times that of complete data, against 1.46; that of the study's own units, given what was
recorded of them, was the same (``tests/benchmarks/RESULTS.md``).

References
----------
Kapelner, A., Bleich, J. (2015). Prediction with missing data via Bayesian additive regression
trees. Canadian Journal of Statistics 43, 224-239. doi:10.1002/cjs.11248
Rubin, D. B. (1987). Multiple Imputation for Nonresponse in Surveys. Wiley.
doi:10.1002/9780470316696
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from bayes_hte.errors import DataError, SpecError, unknown_name
from bayes_hte.study.kinds import is_numeric, numeric_column

if TYPE_CHECKING:
    from bayes_hte.study.study import Roles

MissingName = Literal["splits", "impute", "complete"]
MISSING_RULES: tuple[str, ...] = get_args(MissingName)
# A gap that occurs in one arm only, by chance less often than this, came after the treatment.
CHANCE = 0.01
MISSING_LEVEL = "(missing)"

_COVARIATES = {
    "splits": (
        "Missing values of covariates are treated as information: the effect of a unit with a gap "
        "is the mean effect of units with that gap and the same recorded values. That needs no "
        "assumption about the reasons for gaps, as long as they came before the treatment{extra}."
    ),
    "impute": (
        "Missing values of covariates were imputed several times, given the other covariates, the "
        "treatment and the columns measured after it. That assumes values missing at random: among "
        "units alike in everything recorded, the value does not decide whether it is missing."
    ),
    "complete": (
        "Units with any missing value were left out. That assumes that, among units with the same "
        "covariates and treatment, those left out would have had the same outcomes and effects; "
        "averages are over the units that are left."
    ),
}
_CONFOUNDING = (
    "; where treatment was not randomised, units with a gap are comparable between the arms only "
    "if the values that were not recorded did not decide who was treated"
)


@dataclass(frozen=True)
class Flow:
    """The way of the units from the table to the analysis.

    Attributes
    ----------
    recorded : int
        Rows of the table.
    excluded : tuple of (str, int)
        Reasons for leaving units out, each with their number, in order.
    missing : DataFrame
        Missing values among the recorded units: ``column``, ``role``, ``arm`` (its position,
        reference first), ``missing`` and ``units`` (their numbers in the arm); the columns that
        have some.
    """

    recorded: int
    excluded: tuple[tuple[str, int], ...]
    missing: pd.DataFrame

    @property
    def analysed(self) -> int:
        """Number of units in the analysis."""
        return self.recorded - sum(n for _, n in self.excluded)

    def without(self, reason: str, n_units: int) -> Flow:
        """Return the flow with one more exclusion."""
        return replace(self, excluded=(*self.excluded, (reason, n_units)))

    def of_arms(self, arms: Sequence[int], others: int) -> Flow:
        """Return the flow to the units of some arms, numbered anew, of which `others` were left."""
        table = self.missing[self.missing["arm"].isin(arms)]
        table = table.assign(arm=table["arm"].map({arm: i for i, arm in enumerate(arms)}))
        gappy = table.loc[table["missing"] > 0, "column"]
        table = table[table["column"].isin(gappy)].sort_values("arm", kind="stable")
        order = {name: i for i, name in enumerate(dict.fromkeys(gappy))}
        table = table.sort_values("column", kind="stable", key=lambda c: c.map(order))
        found = replace(self, missing=table.reset_index(drop=True))
        return found.without("in another arm", others) if others else found


def check_missing_rule(rule: str) -> None:
    """Raise a SpecError unless a rule for missing values is known."""
    if rule not in MISSING_RULES:
        raise unknown_name("missing", str(rule), MISSING_RULES)


def check_imputations(imputations: int) -> int:
    """Return a number of imputed frames.

    Raises
    ------
    SpecError
        Unless it is a whole number, 2 or more.
    """
    whole = isinstance(imputations, int | np.integer) and not isinstance(imputations, bool)
    if not whole or imputations < 2:
        raise SpecError(f"imputations must be a whole number, 2 or more, got {imputations!r}.")
    return int(imputations)


def differences(frames: Sequence[pd.DataFrame], covariates: Sequence[str]) -> pd.DataFrame:
    """Return the first of several imputed frames with gaps where they differ.

    Parameters
    ----------
    frames : sequence of DataFrame, shape (unit, column)
        With the columns of one study's roles.
    covariates : sequence of str
        The columns that may differ.

    Returns
    -------
    DataFrame

    Raises
    ------
    DataError
        If rows differ, a covariate is incomplete, or another column differs.
    """
    first = frames[0]
    holed = first.copy()
    for i, frame in enumerate(frames, start=1):
        if not frame.index.equals(first.index):
            raise DataError(
                f"frame {i} has other rows than frame 1 ({len(frame)} and {len(first)}, or other "
                "labels or order); imputed frames of one study have the same rows."
            )
        for name in frame.columns:
            if name in covariates and (n := int(frame[name].isna().sum())):
                raise DataError(f"covariate {name!r} has {n} missing values in frame {i}.")
            same = (frame[name] == first[name]) | (frame[name].isna() & first[name].isna())
            if same.all():
                continue
            if name not in covariates:
                raise DataError(
                    f"column {name!r} differs between frames 1 and {i}, and is no covariate: only "
                    "covariates are imputed. Leave missing outcomes and mediators missing."
                )
            holed[name] = holed[name].where(same)
    return holed


def assumption(rule: str, *, randomised: bool) -> str:
    """Return the assumption that a rule makes about missing covariates, in one or two sentences."""
    return _COVARIATES[rule].format(extra="" if randomised else _CONFOUNDING)


def outcome_assumption(role: str, *, mediated: bool) -> str:
    """Return the assumption behind units without an outcome or a mediator, in two sentences."""
    if role == "mediator":
        return (
            "Units without a mediator keep their covariates and their effects, and inform neither "
            "model, of the mediator and of the outcome. That assumes that, given covariates and "
            "treatment, they would have had the same mediators and outcomes as the others."
        )
    given = "covariates, treatment and mediator" if mediated else "covariates and treatment"
    return (
        "Units without an outcome keep their covariates and their effects, and do not inform the "
        f"model of the outcome. That assumes that, given {given}, they would have had the same "
        "outcomes as the others."
    )


def with_nan(column: pd.Series) -> pd.Series:
    """Return a column; if it holds numbers and has gaps, as floats with NaN for them."""
    if not column.isna().any() or not is_numeric(column):
        return column
    known = column.notna().to_numpy()
    values = np.full(len(column), np.nan)
    values[known] = numeric_column(column[known], "column")
    return pd.Series(values, index=column.index, name=column.name)


def filled(column: pd.Series) -> pd.Series:
    """Return a column with its gaps filled, to describe units by; see `Study.filled_covariates`."""
    if is_numeric(column):
        known = with_nan(column)
        return known.fillna(known.quantile(interpolation="lower"))
    if isinstance(column.dtype, pd.CategoricalDtype):
        if column.cat.ordered:
            codes = column.cat.codes[column.notna()]
            middle = int(codes.quantile(interpolation="lower"))
            return column.fillna(column.cat.categories[middle])
        return column.cat.add_categories([MISSING_LEVEL]).fillna(MISSING_LEVEL)
    return column.where(column.notna(), MISSING_LEVEL)


def filled_words(frame: pd.DataFrame, names: Sequence[str]) -> str:
    """Say what missing values of covariates count as in a description of units.

    Parameters
    ----------
    frame : DataFrame, shape (unit, ...)
        The units, with their gaps.
    names : sequence of str
        Covariates of the description.

    Returns
    -------
    str
        A sentence for each covariate that has gaps; empty if none has.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayes_hte.study.missing import filled_words
    >>> filled_words(pd.DataFrame({"age": [40.0, None, 60.0]}), ["age"])
    'Where age is missing (1 of 3), it counts as 40, the median.'
    """
    said = []
    for name in names:
        gaps = frame[name].isna()
        if not gaps.any():
            continue
        value = filled(frame[name])[gaps].iloc[0]
        if value == MISSING_LEVEL:
            counts = f"that is a level of its own, {MISSING_LEVEL}"
        else:
            shown = f"{value:g}" if is_numeric(frame[name]) else value
            counts = f"it counts as {shown}, the median"
        said.append(f"Where {name} is missing ({int(gaps.sum())} of {len(frame)}), {counts}.")
    return " ".join(said)


def missing_by_arm(frame: pd.DataFrame, roles: Roles, arm: np.ndarray, n_arms: int) -> pd.DataFrame:
    """Count missing values of covariates, mediator and outcome by arm; see :class:`Flow`.

    Parameters
    ----------
    frame : DataFrame, shape (unit, column)
        The table.
    roles : Roles
        The roles of its columns.
    arm : ndarray of int, shape (unit,)
        Arm of each unit.
    n_arms : int
        Number of arms.

    Returns
    -------
    DataFrame
        One row per column with missing values and arm.
    """
    named = [(roles.outcome, "outcome"), *((name, "mediator") for name in roles.mediators)]
    named += [(name, "covariate") for name in roles.covariates]
    sizes = np.bincount(arm, minlength=n_arms)
    rows = []
    for name, role in named:
        if not (gaps := frame[name].isna().to_numpy()).any():
            continue
        counts = np.bincount(arm[gaps], minlength=n_arms)
        rows += [(name, role, a, int(counts[a]), int(sizes[a])) for a in range(n_arms)]
    return pd.DataFrame(rows, columns=["column", "role", "arm", "missing", "units"])


def check_gaps(missing: pd.DataFrame, arms: tuple, rule: str, *, known: Sequence[str] = ()) -> None:
    """Refuse gaps that no analysis can bridge.

    Parameters
    ----------
    missing : DataFrame
        From :func:`missing_by_arm`.
    arms : tuple
        Labels of the arms.
    rule : {"splits", "impute", "complete"}
        What happens to the units with gaps.
    known : sequence of str, optional
        Covariates whose gaps were judged in a study that these units are a part, or an altered
        copy, of: of many such studies some have gaps in one arm only by chance.

    Raises
    ------
    DataError
        If all values of a column are missing, or all of one arm; or if a covariate has gaps in one
        arm only, too many for chance, so that they cannot have come before the treatment.
    """
    for name, part in missing.groupby("column", sort=False):
        role, gaps, units = part["role"].iloc[0], part["missing"], part["units"]
        if gaps.sum() == units.sum():
            raise DataError(
                f"all values of {role} {name!r} are missing; remove it from the roles, or check "
                "how its values are spelled in the file."
            )
        empty = part.loc[gaps == units, "arm"]
        if len(empty):
            raise DataError(
                f"{role} {name!r} is missing for all units of arm {arms[empty.iloc[0]]!r}, so the "
                "arms cannot be compared on it; leave it out, or find its values."
            )
        if role != "covariate" or rule == "complete" or name in known:
            continue
        if _chance_of_one_arm(gaps.to_numpy(), units.to_numpy()) < CHANCE:
            only = arms[int(part.loc[gaps > 0, "arm"].iloc[0])]
            raise DataError(
                f"covariate {name!r} has missing values in arm {only!r} only ({gaps.sum()} of "
                f"{units[gaps > 0].iloc[0]}), too many for chance: whether it was recorded seems "
                "to depend on the treatment, and then it is no covariate. Leave it out; or, if "
                "those units may be left out, write missing='complete' (in a study file under "
                "[data])."
            )


def _chance_of_one_arm(gaps: np.ndarray, units: np.ndarray) -> float:
    """Return the probability that as many random gaps fall into one arm; 1 if they did not."""
    if (gaps > 0).sum() != 1:
        return 1.0
    k, n = int(gaps.sum()), int(units.sum())

    def log_ways(size: int) -> float:
        if size < k:
            return -math.inf
        return math.lgamma(size + 1) - math.lgamma(size - k + 1)

    return sum(math.exp(log_ways(int(size)) - log_ways(n)) for size in units)
