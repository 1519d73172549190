"""How many classes: BIC of the level-3 likelihood beside what the proxies can carry.

The two answer different questions. BIC asks which number of classes describes the rows best; the
tests of rank ask how many classes the proxies tell apart in both arms. Class effects need both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy.special import logit, logsumexp

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.loo import MAX_BAD_SHARE, leave_one_out
from bayes_hte.components.families import get_family
from bayes_hte.errors import SpecError, UnsupportedError
from bayes_hte.mixtures.arrays import Array
from bayes_hte.mixtures.likelihood.model import ClassLaw, Patterns, collapse, log_joint
from bayes_hte.mixtures.moments.data import MixtureData, empirical_moments
from bayes_hte.mixtures.moments.diagnostics import classes_carried, rank_tests
from bayes_hte.mixtures.moments.uncertainty import bootstrap_moments
from bayes_hte.names import UNIT

if TYPE_CHECKING:
    from bayes_hte.mixtures.likelihood.mixture_fit import MixtureFit

MAX_STEPS: Final = 5000
TOLERANCE: Final = 1e-6
"""Steps stop when the log-likelihood gains less than this."""
CLOSED_FORM: Final = ("bernoulli", "gaussian", "poisson")
"""Families whose best parameters for rows of known class are averages."""
SMALLEST_COUNT: Final = 1e-6
"""Added to every count, so that an empty cell has a finite logit."""
RANK_DRAWS: Final = 500


@dataclass(frozen=True)
class ClassCount:
    """How many classes the rows and the proxies speak for.

    Attributes
    ----------
    table : DataFrame
        Index ``k``; columns ``log_likelihood`` (maximum over the starts), ``n_parameters``,
        ``bic`` (lower is better), ``reached`` (share of the starts that came within .01 of the
        maximum; a small one asks for more starts) and ``carried`` (whether the proxies tell that
        many classes apart).
    by_bic : int
        k of the lowest BIC.
    by_rank : int
        Classes carried, by the tests of rank.
    """

    table: pd.DataFrame
    by_bic: int
    by_rank: int

    @property
    def agree(self) -> bool:
        """Whether both give one answer."""
        return self.by_bic == self.by_rank


def count_classes(
    data: MixtureData,
    *,
    rng: np.random.Generator,
    family: str = "bernoulli",
    max_k: int | None = None,
    starts: int = 10,
) -> ClassCount:
    """Compare numbers of classes.

    Parameters
    ----------
    data : MixtureData
        Of :func:`bayes_hte.mixtures.mixture_data`, with categorical proxies.
    rng : numpy.random.Generator
        Random starts, and draws of the tests of rank.
    family : {"bernoulli", "gaussian", "poisson"}
        Of the outcome.
    max_k : int, optional
        Default, and at most, the smaller number of levels of the two sides.
    starts : int, default 10
        Random starts for each k.

    Returns
    -------
    ClassCount

    Raises
    ------
    SpecError
        If `max_k` or `starts` is out of range.
    UnsupportedError
        If proxies are not categorical or the family is not one of the three.
    DataError
        If the outcome does not suit the family.

    Notes
    -----
    BIC rests on regular asymptotics, which fail when a class is superfluous: with few rows it
    tends to name too few classes.

    References
    ----------
    Schwarz (1978), Estimating the dimension of a model, Annals of Statistics 6, 461-464,
    doi:10.1214/aos/1176344136.
    """
    largest = min(len(data.z.names), len(data.x.names))
    top = largest if max_k is None else max_k
    if not 1 <= top <= largest:
        raise SpecError(f"max_k must be from 1 to {largest}, the levels of a side; got {max_k!r}.")
    if starts < 1:
        raise SpecError(f"starts must be at least 1; got {starts}.")
    likelihood = get_family(family)
    if family not in CLOSED_FORM:
        raise UnsupportedError(
            f"classes are counted with the families {', '.join(CLOSED_FORM)}; got {family!r}. Use "
            "gaussian in place of student_t and poisson in place of negative_binomial, or compare "
            "fits by compare_class_counts."
        )
    likelihood.check(data.outcome, "outcome")
    patterns = collapse(data)
    sampled = bootstrap_moments(data, RANK_DRAWS, rng=rng)
    carried = classes_carried(rank_tests(empirical_moments(data), sampled))
    rows = []
    for k in range(1, top + 1):
        fits = [maximum_likelihood(data, patterns, k, family, rng=rng)[1] for _ in range(starts)]
        best = max(fits)
        size = n_parameters(data, k, family)
        rows.append(
            {
                "k": k,
                "log_likelihood": best,
                "n_parameters": size,
                "bic": size * np.log(patterns.count.sum()) - 2 * best,
                "reached": float(np.mean([best - one < 0.01 for one in fits])),
                "carried": k <= carried,
            }
        )
    table = pd.DataFrame(rows).set_index("k")
    return ClassCount(table, int(table["bic"].idxmin()), carried)


def n_parameters(data: MixtureData, k: int, family: str) -> int:
    """Number of free parameters of the level-3 law."""
    z, x = len(data.z.names), len(data.x.names)
    return (k - 1) + k * (z - 1) + k * (x - 1) + k * z + 2 * k + (family == "gaussian")


def maximum_likelihood(
    data: MixtureData,
    patterns: Patterns,
    k: int,
    family: str,
    *,
    rng: np.random.Generator,
    level: int = 3,
) -> tuple[ClassLaw, float]:
    """Maximise the likelihood by expectation-maximisation from one random start.

    Parameters
    ----------
    data : MixtureData
    patterns : Patterns
        Of `data`.
    k : int
    family : {"bernoulli", "gaussian", "poisson"}
    rng : numpy.random.Generator
        Draws the start: random memberships.
    level : {2, 3}, default 3
        Whether Z is independent of T given the class (2) or may be tied to it.

    Returns
    -------
    law : ClassLaw
        Classes in no particular order.
    log_likelihood : float
        A local maximum; take the best of several starts.
    """
    shape = (len(data.z.names), len(data.x.names))
    membership = rng.dirichlet(np.ones(k), size=len(patterns.z)).T
    previous = -np.inf
    for _ in range(MAX_STEPS):
        law = _complete_data_fit(membership * patterns.count, patterns, shape, family, level)
        joint = log_joint(law, patterns, family)
        total = logsumexp(joint, axis=0)
        reached = float(patterns.count @ total)
        if reached - previous < TOLERANCE:
            break
        previous, membership = reached, np.exp(joint - total)
    return law, reached


def _complete_data_fit(
    weights: Array, patterns: Patterns, shape: tuple[int, int], family: str, level: int
) -> ClassLaw:
    """The law that fits rows of known (fractional) class best; weights of shape (class, m)."""
    z, x = np.eye(shape[0])[patterns.z], np.eye(shape[1])[patterns.x]
    arms = np.eye(2)[patterns.arm]
    by_z = weights @ z + SMALLEST_COUNT
    by_x = weights @ x + SMALLEST_COUNT
    tie = np.ones((len(patterns.z), 1)) if level == 2 else z
    treated = (weights * patterns.arm) @ tie + SMALLEST_COUNT
    seen = weights @ tie + 2 * SMALLEST_COUNT
    by_arm = weights @ arms + 2 * SMALLEST_COUNT
    mean = ((weights * patterns.outcome) @ arms + SMALLEST_COUNT) / by_arm
    noise = {}
    if family == "gaussian":
        residual = patterns.outcome - mean[:, patterns.arm]
        noise["sigma"] = np.sqrt((weights * residual**2).sum() / weights.sum())
    return ClassLaw(
        level=level,
        probabilities=by_z.sum(axis=1) / by_z.sum(),
        z_given_class=by_z / by_z.sum(axis=1, keepdims=True),
        x_given_class=by_x / by_x.sum(axis=1, keepdims=True),
        treatment_logit=logit(treated / seen),
        outcome_predictor=get_family(family).link(mean)[:, None, :],
        noise=noise,
    )


NAME: Final = "number of hidden classes"


def compare_class_counts(fits: Sequence[MixtureFit]) -> CheckResult:
    """Compare fits of one data set with different numbers of classes.

    Parameters
    ----------
    fits : sequence of MixtureFit
        Two or more, of the same rows, with the same level and covariates.

    Returns
    -------
    CheckResult
        Passes if at most 10% of the units of every fit have a Pareto k above the threshold for its
        draws. One row a fit: ``k``, ``elpd`` (natural logarithms), ``p_loo`` (effective number of
        parameters),
        ``difference`` from the best and its standard error ``se``, the share of units ``above``
        the threshold.

    Raises
    ------
    SpecError
        If there are fewer than two fits, a number of classes comes twice, or their rows differ.
    """
    _check_comparable(fits)
    count = fits[0].patterns.count
    scores = {fit.identifiability.k: _score(fit) for fit in fits}
    rows = {k: score["elpd"] for k, score in scores.items()}
    best = max(rows, key=lambda k: float(rows[k] @ count))
    table = pd.DataFrame(
        {
            k: {
                "elpd": rows[k] @ count,
                "p_loo": score["p_loo"] @ count,
                "difference": (rows[k] - rows[best]) @ count,
                "se": _standard_error(rows[k] - rows[best], count),
                "above": score["above"] @ count / count.sum(),
            }
            for k, score in sorted(scores.items())
        }
    ).T.rename_axis("k")
    close = [k for k in table.index if -table.loc[k, "difference"] <= 2 * table.loc[k, "se"]]
    text = (
        f"{best} classes predict left-out rows best"
        + (f"; {min(close)} classes do so within two standard errors" if min(close) < best else "")
        + "."
    )
    worst = table["above"].max()
    if worst > MAX_BAD_SHARE:
        text += f" Scores are unreliable: {worst:.0%} of the units weigh too much in a fit."
    return CheckResult(NAME, bool(worst <= MAX_BAD_SHARE), table.reset_index(), text)


def _check_comparable(fits: Sequence[MixtureFit]) -> None:
    """Refuse fits that were not made of the same rows."""
    counts = [fit.identifiability.k for fit in fits]
    if len(set(counts)) != len(counts) or len(counts) < 2:
        raise SpecError(f"give fits of two or more different numbers of classes; got {counts}.")
    first = fits[0].patterns
    for fit in fits[1:]:
        rows = fit.patterns
        same = all(
            np.array_equal(getattr(rows, name), getattr(first, name))
            for name in ("z", "x", "arm", "outcome", "count", "row")
        )
        if not same:
            raise SpecError("the fits see different rows; use the same frame and the same proxies.")


def _score(fit: MixtureFit) -> pd.DataFrame:
    """Leave-one-out score of every distinct row."""
    values = fit.log_likelihood().rename({"pattern": UNIT})
    found = leave_one_out(values)
    elpd = found.elpd_i.to_numpy()
    draws = values.to_numpy().reshape(-1, values.sizes[UNIT])
    seen = np.logaddexp.reduce(draws, axis=0) - np.log(len(draws))
    above = found.pareto_k.to_numpy() > found.good_k
    return pd.DataFrame({"elpd": elpd, "p_loo": seen - elpd, "above": above.astype(float)})


def _standard_error(difference: pd.Series, count: np.ndarray) -> float:
    """Standard error of a sum over units, each row counted as often as it was seen."""
    n = count.sum()
    mean = float(difference @ count) / n
    return float(np.sqrt(n * (((difference - mean) ** 2) @ count) / (n - 1)))
