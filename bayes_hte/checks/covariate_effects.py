"""Whether effects differ along a single covariate by more than chance, in unseen outcomes.

A ranking of units is learned from the data, so a left-out slope on it has little power where
differences are moderate. A covariate is given beforehand. Each is looked at in the two ways that
need no choice, as it is and above against below its median (of levels, one against the others), and
the strongest of all these differences is compared with what the strongest of as many would be by
chance, given their correlations. The scores are those of :mod:`bayes_hte.companions.scores`, with
expected outcomes that do not know the unit's own, so the comparison is as trustworthy as they are,
and needs no model of how effects differ.

References
----------
Semenova, V., Chernozhukov, V. (2021). Debiased machine learning of conditional average treatment
effects and other causal functions. Econometrics Journal 24, 264-289. doi:10.1093/ectj/utaa027
Hothorn, T., Bretz, F., Westfall, P. (2008). Simultaneous inference in general parametric models.
Biometrical Journal 50, 346-363. doi:10.1002/bimj.200810425
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.subject import Subject
from bayes_hte.companions.scores import effect_scores
from bayes_hte.effects.summaries import probability_words
from bayes_hte.seeds import stage_seed
from bayes_hte.study.kinds import is_numeric

if TYPE_CHECKING:
    from bayes_hte.trust.unseen import Unseen

NAME = "effects along covariates in"
LEFT_OUT = f"{NAME} left-out outcomes"
HELD_OUT = f"{NAME} held-out outcomes"
# Probability of so strong a difference by chance up to which it counts as one.
CHANCE = 0.02
# Draws of the strongest difference by chance: the smallest probability is one in so many.
CHANCE_DRAWS = 5_000
# Units, or clusters, on either side of a division below which it is not tried.
FEW = 10
# Of a column's variation, the least that is taken to be left without one group.
MIN_LEFT = 0.05
CI_PROB = 0.95

Difference = tuple[Hashable, str, np.ndarray]


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """Compare effects along each covariate, in held-out units if any, then in left-out ones."""
    return tuple(_check_unseen(unseen, subject.fit.seed) for unseen in subject.unseen)


def strongest(check: CheckResult) -> float:
    """Return the probability of the strongest difference by chance; 1 if none was tried."""
    return 1.0 if check.table.empty else float(check.table["by_chance"].min())


def is_beyond_chance(check: CheckResult) -> bool:
    """Whether the strongest difference along a covariate is more than chance explains."""
    return strongest(check) <= CHANCE


def _check_unseen(unseen: Unseen, seed: int) -> CheckResult:
    study = unseen.study
    scores = effect_scores(study.units, **unseen.given())
    name = HELD_OUT if unseen.how == "held out" else LEFT_OUT
    rng = np.random.default_rng(stage_seed(seed, "effects along covariates"))
    return covariate_effects(
        study.filled_covariates(), scores, clusters=study.clusters(), rng=rng, name=name
    )


def covariate_effects(
    covariates: pd.DataFrame,
    scores: np.ndarray,
    *,
    rng: np.random.Generator,
    clusters: np.ndarray | None = None,
    name: str = LEFT_OUT,
) -> CheckResult:
    """Compare scores along each covariate, and the strongest difference with chance.

    Parameters
    ----------
    covariates : DataFrame, shape (unit, covariate)
        Without gaps.
    scores : ndarray, shape (unit,)
        From :func:`bayes_hte.companions.effect_scores`, in outcome units.
    rng : numpy.random.Generator
        Of the strongest difference by chance.
    clusters : ndarray, shape (unit,), optional
        Cluster of each unit; their sums are then what varies independently.
    name : str
        Name of the result.

    Returns
    -------
    CheckResult
        Information. One row per covariate, of its stronger difference: ``covariate``,
        ``comparison`` in words (``column=level`` of one level against the others), ``difference``
        of the effect in outcome units with ``ci_lower`` and ``ci_upper`` (a 95% confidence
        interval, not adjusted; ``ci_prob``, ``ci_kind``), and ``by_chance``, the probability that
        the strongest of all differences would be so strong if effects did not differ.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from bayes_hte.checks.covariate_effects import covariate_effects
    >>> rng = np.random.default_rng(1)
    >>> frame = pd.DataFrame({"age": rng.normal(50, 9, size=200), "sex": ["m", "f"] * 100})
    >>> scores = 2.0 * (frame["age"] > 50) + rng.normal(size=200)
    >>> found = covariate_effects(frame, scores.to_numpy(), rng=rng)
    >>> found.table.index.tolist(), found.table["by_chance"].round(3).tolist()
    (['age', 'sex'], [0.0, 0.179])
    """
    groups = np.arange(len(scores)) if clusters is None else pd.factorize(clusters)[0]
    tried = list(_differences(covariates, groups))
    if not tried:
        text = "No covariate divides the units into parts that are large enough to compare."
        return CheckResult(name, None, pd.DataFrame(), text)
    columns = np.column_stack([column for *_, column in tried])
    slopes, errors, influence = _slopes(columns, scores, groups)
    degrees = max(influence.shape[0] - 2, 1)
    table = pd.DataFrame(
        {
            "covariate": [covariate for covariate, *_ in tried],
            "comparison": [words for _, words, _ in tried],
            "difference": slopes,
            "ci_lower": slopes + student_t.ppf((1 - CI_PROB) / 2, degrees) * errors,
            "ci_upper": slopes + student_t.ppf((1 + CI_PROB) / 2, degrees) * errors,
            "ci_prob": CI_PROB,
            "ci_kind": "confidence",
            "by_chance": _by_chance(np.abs(slopes / errors), influence / errors, degrees, rng),
        }
    )
    order = np.abs(slopes / errors).argsort()[::-1]
    table = table.iloc[order].drop_duplicates("covariate").set_index("covariate")
    return CheckResult(name, None, table, _text(table))


def _differences(covariates: pd.DataFrame, groups: np.ndarray) -> Iterator[Difference]:
    """Yield each difference that is tried: its covariate, its words, its column of the units."""
    for name, values in covariates.items():
        if is_numeric(values):
            numbers = values.to_numpy(dtype=np.float64)
            middle = float(np.median(numbers))
            if values.nunique() > 2 and _is_large(numbers != middle, groups):
                yield name, "per standard deviation", numbers / numbers.std()
            above = numbers > middle if values.nunique() > 2 else numbers == numbers.max()
            words = f"above {middle:.4g} against the rest"
            if values.nunique() == 2:
                words = f"{numbers.max():g} against {numbers.min():g}"
            divisions = [(words, above)]
        else:
            levels = list(values.unique())
            levels = levels[:1] if len(levels) == 2 else levels
            divisions = [(f"{name}={level}", values == level) for level in levels]
        for words, part in divisions:
            column = np.asarray(part, dtype=bool)
            if _is_large(column, groups) and _is_large(~column, groups):
                yield name, words, column.astype(np.float64)


def _is_large(part: np.ndarray, groups: np.ndarray) -> bool:
    return np.unique(groups[part]).size >= FEW


def _slopes(
    columns: np.ndarray, scores: np.ndarray, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the slope on each column, its standard error, and what each group adds to its error.

    Each column alone, by least squares; errors are those that a group left out would make
    (Huber and White, with leverages).
    """
    x, y = columns - columns.mean(axis=0), scores - scores.mean()
    squares = (x**2).sum(axis=0)
    slopes = (x * y[:, None]).sum(axis=0) / squares
    residuals = x * (y[:, None] - x * slopes) / squares
    leverages = _by_group(1 / len(y) + x**2 / squares, groups)
    influence = _by_group(residuals, groups) / np.maximum(1 - leverages, MIN_LEFT)
    return slopes, np.sqrt((influence**2).sum(axis=0)), influence


def _by_group(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the sums of the rows of each group, shape (group, column)."""
    sums = np.zeros((groups.max() + 1, values.shape[1]))
    np.add.at(sums, groups, values)
    return sums


def _by_chance(
    sizes: np.ndarray, influence: np.ndarray, degrees: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the probability that the strongest difference by chance is as strong as each.

    Differences by chance are jointly t distributed, with the correlations of `influence`, whose
    columns have length 1.
    """
    together = influence.T @ influence
    zero = np.zeros(len(sizes))
    drawn = rng.multivariate_normal(zero, together, size=CHANCE_DRAWS, method="eigh")
    drawn /= np.sqrt(rng.chisquare(degrees, size=(CHANCE_DRAWS, 1)) / degrees)
    largest = np.sort(np.abs(drawn).max(axis=1))
    reached = CHANCE_DRAWS - np.searchsorted(largest, sizes)
    return (1 + reached) / (1 + CHANCE_DRAWS)


def _text(table: pd.DataFrame) -> str:
    first, name = table.iloc[0], table.index[0]
    count = f"{len(table)} covariates" if len(table) > 1 else "one covariate"
    beyond = first["by_chance"] <= CHANCE
    # Levels stand in the table, where they get the words that a study file has for them.
    words = "one level against the rest" if "=" in first["comparison"] else first["comparison"]
    claim = "beyond chance" if beyond else "by no more than chance explains"
    return (
        f"Effects differ along single covariates {claim}: the strongest difference is along "
        f"{name!r} ({words}), {first['difference']:.3g} (95% confidence interval "
        f"{first['ci_lower']:.3g} to {first['ci_upper']:.3g}). The strongest along {count} would "
        "be so strong, if effects did not differ, with probability "
        f"{probability_words(first['by_chance'])}."
    )
