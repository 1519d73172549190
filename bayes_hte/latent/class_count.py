"""How many classes: BIC of the level-3 likelihood beside what the proxies can carry.

The two answer different questions. BIC asks which number of classes describes the rows best; the
tests of rank ask how many classes the proxies tell apart in both arms. Class effects need both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from scipy.special import logit, logsumexp

from bayes_hte.components.families import get_family
from bayes_hte.components.latent_class import (
    ClassLaw,
    Patterns,
    collapse,
    log_joint,
)
from bayes_hte.errors import SpecError, UnsupportedError
from bayes_hte.mixtures.data import MixtureData, empirical_moments
from bayes_hte.mixtures.diagnostics import classes_carried, rank_tests
from bayes_hte.mixtures.solver import Array
from bayes_hte.mixtures.uncertainty import bootstrap_moments

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
