"""A first look at the columns of a table: kind, missing values, levels, and reasons against use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_hte.errors import DataError
from bayes_hte.study.kinds import Kind, kind_of
from bayes_hte.study.spec import bounded_name

# Whole numbers look like events counted where 0 occurs, the mean is small and the right tail long.
LARGEST_MEAN, LEAST_SKEWNESS = 5.0, 0.5
# Of a column that piles up at an end of its scale; money is more skewed.
LEAST_SKEWNESS_OF_SCALE, MOST_SKEWNESS_OF_SCALE = 0.5, 2.5
# A scale with ends has a few places, and is not a sum of money.
FEWEST_PLACES, LARGEST_SCALE = 8, 100
# Standard deviations from the mean to the nearer end: a normal distribution reaches beyond it.
NEAR_AN_END = 2.0
# Excess kurtosis of a column with outliers.
HEAVY_TAILS = 1.0
# Counts whose variance exceeds so many times their mean are no Poisson counts.
OVERDISPERSED = 1.5
# Levels of fewer units say little of an effect within them.
RARE = 10
# Columns that lack a larger share of their values are left out of a first study file.
MOSTLY_MISSING = 0.5
# More levels, or values, are no arms and are not listed.
MANY = 12
_CODES = 6
_IDENTIFIER = re.compile(
    r"(^|[_. ])(id|ids|uid|pid|nr|no|seqn|rownames?|row|index|record|subject|patient)$"
    r"|^unnamed: \d+$|(patient|subject|person|record|case|study)id$",
    re.IGNORECASE,
)
_CONTROL = re.compile(
    r"\b(control|controls|placebo|sham|usual|standard|untreated|observation|obs|none|no|never|"
    r"comparator|false|without)\b"
)
_HAPPENED = re.compile(
    r"\b(yes|y|true|event|dead|died|death|deceased|positive|present|case|failure|failed|relapse|"
    r"relapsed|success|recovered|responder)\b"
)
_NOT_HAPPENED = re.compile(
    r"\b(no|n|false|none|alive|negative|absent|control|survived|censored|never|not|"
    r"non-?responder|without)\b"
)


@dataclass(frozen=True)
class ColumnView:
    """One column at a first look.

    Attributes
    ----------
    name : str
        The column.
    kind : Kind
        Numbers, categories, ...
    missing : int
        Missing values.
    counts : dict
        How often each value occurs, at most `MANY`; empty for a column of more values.
    n_values : int
        Number of different values.
    unusable : str
        Why no model can use it as a covariate, or should not; empty if nothing speaks against it.
    """

    name: str
    kind: Kind
    missing: int
    counts: dict[Any, int]
    n_values: int
    unusable: str = ""

    @property
    def rare(self) -> dict[Any, int]:
        """Levels of fewer than `RARE` units."""
        levels = self.kind in (Kind.CATEGORY, Kind.BOOLEAN)
        return {v: n for v, n in self.counts.items() if n < RARE} if levels else {}

    @property
    def codes(self) -> bool:
        """Whether numbers may be codes of categories: few different whole ones, more than two."""
        if self.kind is not Kind.NUMBER or not 2 < self.n_values <= _CODES:
            return False
        return all(float(value).is_integer() for value in self.counts)


def overview(frame: pd.DataFrame) -> dict[str, ColumnView]:
    """Look at every column of a table.

    Parameters
    ----------
    frame : DataFrame, shape (unit, column)
        The data as read; nothing is required of them.

    Returns
    -------
    dict of str to ColumnView
        In the order of the columns.
    """
    return {str(name): _view(frame.iloc[:, i]) for i, name in enumerate(frame.columns)}


def _view(column: pd.Series) -> ColumnView:
    kind, name = kind_of(column), str(column.name)
    try:
        n_values, counts = column.nunique(), column.value_counts(sort=False)
    except (TypeError, NotImplementedError):
        return ColumnView(name, Kind.UNUSABLE, int(column.isna().sum()), {}, 0, _why(kind))
    # Categories in their order, text sorted.
    ordered = isinstance(column.dtype, pd.CategoricalDtype)
    text = None if kind is Kind.NUMBER or ordered else lambda index: index.astype(str)
    counts = counts[counts > 0]
    shown = counts.sort_index(key=text) if n_values <= MANY else counts
    listed = {v: int(n) for v, n in shown.items()} if n_values <= MANY else {}
    reason = _reason(column, kind, n_values)
    return ColumnView(name, kind, int(column.isna().sum()), listed, n_values, reason)


def _reason(column: pd.Series, kind: Kind, n_values: int) -> str:
    """Say why a column should not be a covariate, if it should not."""
    present = column.dropna()
    if not len(present):
        return "all values are missing"
    if n_values < 2:
        return "constant: one value" + (" and missing ones" if column.isna().any() else "")
    if kind in (Kind.DATE, Kind.UNUSABLE):
        return _why(kind)
    if kind is Kind.CATEGORY and n_values > len(column) / 2:
        return f"{n_values} different texts in {len(column)} rows: an identifier, or free text"
    if (empty := len(column) - len(present)) > MOSTLY_MISSING * len(column):
        return f"missing in {empty} of {len(column)} rows"
    whole = kind is Kind.NUMBER and n_values == len(present) and (present == present.round()).all()
    if whole and (_IDENTIFIER.search(str(column.name)) or (present.diff().dropna() == 1).all()):
        return "a different whole number in every row: an identifier"
    return ""


def _why(kind: Kind) -> str:
    return "dates: turn them into days since a fixed day" if kind is Kind.DATE else str(kind)


def likely_family(values: np.ndarray) -> str:
    """Return the family that a numeric column suggests.

    Parameters
    ----------
    values : ndarray, shape (unit,)
        Complete.

    Returns
    -------
    {"gaussian", "bernoulli", "poisson", "negative_binomial"}
        Bernoulli for two values, a family of counts for small whole numbers from 0 with a long
        right tail, else gaussian.
    """
    distinct = np.unique(values)
    if distinct.size == 2:
        return "bernoulli"
    counted = (
        distinct.size > 2
        and (values == np.round(values)).all()
        and distinct[0] == 0
        and values.mean() <= LARGEST_MEAN
        and _skewness(values) >= LEAST_SKEWNESS
    )
    if not counted:
        return "gaussian"
    return "negative_binomial" if values.var() > OVERDISPERSED * values.mean() else "poisson"


def likely_bounds(values: np.ndarray) -> tuple[float, float] | None:
    """Return the ends of the scale that a skewed column piles up against, or None.

    A sum or a mean of items, a percentage: whole numbers as ends, from 0 to at most 100, where a
    normal distribution would reach beyond an end.

    Parameters
    ----------
    values : ndarray, shape (unit,)
        Complete.

    Returns
    -------
    (lower, upper) or None
        The next whole numbers: the scale may go on where no unit has been.
    """
    if np.unique(values).size < FEWEST_PLACES:
        return None
    lower, upper = float(np.floor(values.min())), float(np.ceil(values.max()))
    if lower < 0 or upper > LARGEST_SCALE:
        return None
    skewness = _skewness(values)
    near = (values.mean() - lower if skewness > 0 else upper - values.mean()) / values.std()
    piled = LEAST_SKEWNESS_OF_SCALE <= abs(skewness) <= MOST_SKEWNESS_OF_SCALE
    return (lower, upper) if piled and near < NEAR_AN_END else None


def suggested_family(values: np.ndarray, family: str) -> str | None:
    """Return a family to try where the predictions of another one are not calibrated, or None.

    Parameters
    ----------
    values : ndarray, shape (unit,)
        The column, complete.
    family : str
        Its present family.

    Returns
    -------
    str or None
    """
    if family == "poisson":
        return "negative_binomial"
    if family not in ("gaussian", "student_t"):
        return None
    limits = likely_bounds(values)
    if limits is not None:
        return bounded_name(*limits)
    return "student_t" if family == "gaussian" and _kurtosis(values) > HEAVY_TAILS else None


def likely_reference(levels: list[Any]) -> Any:
    """Return the level that is the control arm without doubt, or None.

    False and the smallest number are; of texts the only one with a word such as "placebo" in it.
    """
    if all(isinstance(level, int | float | np.number) for level in levels):
        return min(levels)
    marked = [level for level in levels if _CONTROL.search(_words(level))]
    return marked[0] if len(marked) == 1 else None


def likely_event(levels: list[Any]) -> Any:
    """Return the level that is the event without doubt, or None: "yes" of "yes" and "no"."""
    if all(isinstance(level, int | float | np.number) for level in levels):
        return max(levels) if set(levels) == {0, 1} else None
    happened = [v for v in levels if _is_event(_words(v))]
    others = [v for v in levels if _NOT_HAPPENED.search(_words(v))]
    return happened[0] if len(happened) == len(others) == 1 and happened != others else None


def _is_event(words: str) -> bool:
    return bool(_HAPPENED.search(words)) and not _NOT_HAPPENED.search(words)


def _words(level: Any) -> str:
    """Return a level in small letters, without the number that it may begin with (``0_no``)."""
    text = re.sub(r"^\d+\s*[_\-.:)=]\s*", "", str(level).strip().lower())
    return re.sub(r"[_.]", " ", "no" if text == "0" else "yes" if text == "1" else text)


def missing_by_arm(frame: pd.DataFrame, treatment: str) -> pd.DataFrame:
    """Count missing values by column and arm.

    Parameters
    ----------
    frame : DataFrame, shape (unit, column)
        The data.
    treatment : str
        Column of the arms; rows without an arm are not counted.

    Returns
    -------
    DataFrame, one row per column with missing values, one column per arm
    """
    others = [name for name in frame.columns if name != treatment]
    counts = frame[others].isna().groupby(frame[treatment], observed=True).sum().T
    return counts[counts.sum(axis=1) > 0]


def same_as(frame: pd.DataFrame, column: str, other: str) -> bool:
    """Whether two columns say the same under other names: each determines the other.

    Numbers of many values count as the same if their correlation is 0.999 or more.
    """
    both = frame[[column, other]].dropna()
    try:
        pairs = both.drop_duplicates()
        n_column, n_other = both[column].nunique(), both[other].nunique()
    except (TypeError, NotImplementedError):
        return False
    if n_column <= MANY and n_other <= MANY:
        return 1 < n_column == n_other == len(pairs)
    if any(kind_of(both[name]) is not Kind.NUMBER for name in (column, other)) or len(both) < 3:
        return False
    if both[column].nunique() < 2 or both[other].nunique() < 2:
        return False
    return abs(np.corrcoef(both.to_numpy(dtype=np.float64), rowvar=False)[0, 1]) > 0.999


def sensible_difference(values: np.ndarray, family: str) -> tuple[float, str]:
    """Return a minimal important difference to start from, with the reason for it.

    Parameters
    ----------
    values : ndarray, shape (unit,)
        The outcome, complete.
    family : str
        Its family.

    Returns
    -------
    value : float
        0.05 of a probability; else a fifth of the standard deviation, to two digits.
    because : str
    """
    if family == "bernoulli":
        return 0.05, "5 percentage points, a common choice where no threshold is known"
    sd = float(np.std(values))
    if not sd > 0:
        raise DataError("the outcome does not vary.")
    return float(f"{sd / 5:.2g}"), (
        f"one fifth of the standard deviation of the outcome ({sd:.3g}): the conventional small "
        "effect, where no threshold is known"
    )


def counted(counts: Mapping[Any, int]) -> str:
    """Write values with their numbers: ``no 40, yes 20``."""
    return ", ".join(f"{_plain(value)} {n}" for value, n in counts.items())


def _plain(value: Any) -> str:
    """Write a whole number without a decimal point."""
    whole = isinstance(value, float | np.floating) and float(value).is_integer()
    return str(int(value)) if whole else str(value)


def _kurtosis(values: np.ndarray) -> float:
    from scipy import stats  # slow to import

    return float(stats.kurtosis(values))


def _skewness(values: np.ndarray) -> float:
    from scipy import stats  # slow to import

    return float(stats.skew(values))
