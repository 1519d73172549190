"""How much a mediator varies among units that agree in arm and covariates.

Direct and indirect effects are separated by such units alone. Where arm and covariates determine
the mediator, nothing separates its effect from theirs: the model still returns numbers, which are
those of its priors, stretched by the ratio of the mediator's change to what is left of it.

Within each arm the mediator is predicted in several ways: by its mean, by least squares on the
covariates, on their powers and on their products, from the neighbouring values of one covariate
and, if it has few values, by a small tree and (for two values) by a separating plane. A relation
that is none of these can go unnoticed; what it leaves undetermined is then the error of the
approximation, as in any nonparametric regression.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import optimize, stats
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from bayes_hte.errors import DataError
from bayes_hte.study.encoding import Encoding
from bayes_hte.study.study import Study

# Share of the mediator's variance that is no more than rounding: numbers kept to four digits.
VANISHES = 1e-8
# Below this share the own variation has a 300th of the mediator's standard deviation. Whatever is
# measured varies more; and an effect of the whole mediator would be extrapolated 300 times over.
SMALL = 1e-5
# Rows of an arm that are looked at: a relation that holds in all rows holds in these.
MOST_ROWS = 2000
# Residual variances up to this quantile of their sampling distribution are not ruled out.
LARGEST = 0.001
FEWEST_FREE = 3
DEGREE = 8
# Of a mediator with few values: values, leaves of the tree, and units with the rarest value that
# it takes for a perfect prediction not to be chance.
FEW_VALUES, LEAVES, FEWEST_OF_A_VALUE = 10, 8, 10


@dataclass(frozen=True)
class OwnVariation:
    """The part of a mediator's variance that arm and covariates leave.

    Attributes
    ----------
    share : float
        Largest share of the mediator's variance that the best prediction may leave.
    source : str
        Best prediction of the mediator within the arms, in words.
    """

    share: float
    source: str


def own_variation(study: Study, which: int = 0) -> OwnVariation:
    """Return how much of a mediator's variance arm and covariates leave.

    Parameters
    ----------
    study : Study
        A study with a mediator.
    which : int, default 0
        Which of two mediators. The second must also vary among units that agree in the first,
        which counts as one more covariate.

    Returns
    -------
    OwnVariation
    """
    known, names = study.known_mediator(), study.roles.mediators
    arm = study.arm_index()[known]
    covariates = study.frame.loc[known, [*study.roles.covariates, *names[:which]]]
    mediator = study.mediators()[known, which]
    mediator = mediator / mediator.std()
    z = Encoding.learn(covariates).standardized(covariates)
    left, sources = 0.0, []
    # The matrices are small: more threads would wait for each other.
    with threadpool_limits(1):
        for a in range(len(study.arms)):
            rows = np.flatnonzero(arm == a)
            some = rows[np.linspace(0, rows.size - 1, min(rows.size, MOST_ROWS)).astype(int)]
            variance, source = _smallest(_residual_variances(mediator[some], z.iloc[some]))
            left += variance * rows.size / arm.size
            sources.append(source)
    return OwnVariation(float(left), " and ".join(dict.fromkeys(sources)))


def check_mediator_varies(study: Study) -> None:
    """Refuse a mediator that arm and covariates determine.

    Parameters
    ----------
    study : Study
        A study with a mediator.

    Raises
    ------
    DataError
        Naming what determines the mediator.
    """
    for which, name in enumerate(study.roles.mediators):
        own = own_variation(study, which)
        if own.share >= VANISHES:
            continue
        if which and own_variation(_alone(study, name)).share >= VANISHES:
            raise DataError(
                f"mediator {name!r} has no variation beside {study.roles.mediators[0]!r}: within "
                f"each arm it is determined by {own.source}, where that mediator counts as a "
                "covariate. What each passes on cannot be separated; name one of the two."
            )
        raise DataError(
            f"mediator {name!r} has no variation of its own: within each arm it is "
            f"determined by {own.source}. Units that agree in arm and covariates must differ in "
            "the mediator, otherwise its effect cannot be separated from theirs. Leave the "
            "mediator out to estimate the total effect, or declare one that was measured and not "
            "computed from other columns."
        )


def _alone(study: Study, mediator: str) -> Study:
    """Return the study with one of its mediators only."""
    return replace(study, roles=replace(study.roles, mediator=mediator))


def _smallest(found: Iterator[tuple[float, str]]) -> tuple[float, str]:
    """Return the smallest residual variance, or the first that vanishes: the simplest words."""
    smallest = (np.inf, "")
    for candidate in found:
        smallest = min(smallest, candidate)
        if smallest[0] < VANISHES:
            break
    return smallest


def _residual_variances(m: np.ndarray, frame: pd.DataFrame) -> Iterator[tuple[float, str]]:
    """Yield the largest plausible variance that each prediction leaves, and its words."""
    yield float(m.var()), "the arm alone"
    z = frame.to_numpy(dtype=np.float64)
    linear = np.column_stack([np.ones(m.size), z])
    yield _least_squares(m, linear), "a linear function of the covariates"
    if _is_determined(m, z):
        yield 0.0, "a rule on the covariates"
    for name, column in zip(frame.columns, z.T, strict=True):
        yield _from_neighbours(m, column), f"a function of {name!r}"
        if np.unique(column).size > 2:
            columns = np.hstack([linear, _powers(column)])
            yield _least_squares(m, columns), f"powers of {name!r} and the other covariates"
    pairs = [z[:, i] * z[:, j] for i in range(z.shape[1]) for j in range(i + 1)]
    if linear.shape[1] + len(pairs) < m.size:
        columns = np.column_stack([linear, *pairs])
        yield _least_squares(m, columns), "products of the covariates"


def _least_squares(m: np.ndarray, columns: np.ndarray) -> float:
    beta, _, rank, _ = np.linalg.lstsq(columns, m - m.mean(), rcond=None)
    residual = m - m.mean() - columns @ beta
    return _plausible(float(residual @ residual), m.size - int(rank))


def _powers(column: np.ndarray) -> np.ndarray:
    """Return Legendre polynomials of a column from the second degree on."""
    lower, upper = column.min(), column.max()
    scaled = 2 * (column - lower) / (upper - lower) - 1
    return np.polynomial.legendre.legvander(scaled, DEGREE)[:, 2:]


def _from_neighbours(m: np.ndarray, column: np.ndarray) -> float:
    """Predict each unit by the line between its two neighbours along a covariate."""
    order = np.argsort(column, kind="stable")
    x, m = column[order], m[order]
    gap = x[2:] - x[:-2]
    # Weight of the right neighbour; units with equal values share them evenly.
    right = np.divide(x[1:-1] - x[:-2], gap, out=np.full(gap.size, 0.5), where=gap > 0)
    residual = m[1:-1] - (1 - right) * m[:-2] - right * m[2:]
    squares = residual**2 / (1 + right**2 + (1 - right) ** 2)
    # Neighbouring residuals share units, so they count for about half.
    return _plausible(float(squares.sum()) / 2, m.size // 2)


def _plausible(squares: float, free: int) -> float:
    """Return the largest residual variance that a sum of squares does not rule out."""
    return squares / stats.chi2.ppf(LARGEST, free) if free >= FEWEST_FREE else np.inf


def _is_determined(m: np.ndarray, z: np.ndarray) -> bool:
    """Whether few values are predicted without an error by a small tree or a separating plane."""
    values, counts = np.unique(m, return_counts=True)
    if not 1 < values.size <= FEW_VALUES or counts.min() < FEWEST_OF_A_VALUE:
        return False
    code = np.searchsorted(values, m)
    leaves = min(LEAVES, m.size // FEWEST_OF_A_VALUE)
    tree = DecisionTreeClassifier(max_leaf_nodes=max(2, leaves), random_state=0).fit(z, code)
    if tree.score(z, code) == 1:
        return True
    return values.size == 2 and _are_separable(code == 1, z)


def _are_separable(one: np.ndarray, z: np.ndarray) -> bool:
    """Whether a plane separates two sets of units, too many for that to be chance."""
    dimensions = z.shape[1] + 1
    # Of random labels a plane separates half as soon as there are two units per dimension, and next
    # to none at four.
    if min(one.sum(), (~one).sum()) < max(FEWEST_OF_A_VALUE, 2 * dimensions):
        return False
    side = np.where(one, 1.0, -1.0)
    columns = side[:, None] * np.column_stack([np.ones(len(z)), z])
    beta = np.linalg.lstsq(columns, np.ones(len(z)), rcond=None)[0]
    if (columns @ beta > 0).mean() < 0.9:
        return False
    found = optimize.linprog(
        np.zeros(dimensions), A_ub=-columns, b_ub=-np.ones(len(z)), bounds=(None, None)
    )
    return found.status == 0
