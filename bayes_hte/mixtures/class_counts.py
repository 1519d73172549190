"""The number of classes, three ways: BIC, tests of rank, and prediction of left-out rows.

They answer different questions. BIC asks which number of classes describes the rows best, the
tests of rank how many classes the proxies distinguish in both arms; class effects need both.
Fits of the Bayesian model with different numbers of classes are compared by their prediction of
left-out rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.loo import MAX_BAD_SHARE, leave_one_out
from bayes_hte.components.families import get_family
from bayes_hte.effects.arguments import check_generator, check_number
from bayes_hte.errors import SpecError, UnsupportedError
from bayes_hte.mixtures.arrays import check_whole
from bayes_hte.mixtures.likelihood.law import collapse
from bayes_hte.mixtures.likelihood.maximum import CLOSED_FORM, maximum_likelihood, n_parameters
from bayes_hte.mixtures.moments.data import MixtureData, empirical_moments
from bayes_hte.mixtures.moments.diagnostics import classes_carried, rank_tests
from bayes_hte.mixtures.moments.uncertainty import bootstrap_moments
from bayes_hte.names import UNIT

if TYPE_CHECKING:
    from bayes_hte.mixtures.likelihood.mixture_fit import MixtureFit

NAME: Final = "number of classes"
RANK_DRAWS: Final = 500
CLOSE_FIT: Final = 0.01
"""Starts whose log-likelihood comes this near to the largest one have reached it."""


@dataclass(frozen=True)
class ClassCount:
    """Numbers of classes compared, by the rows (BIC) and by the proxies (rank).

    Attributes
    ----------
    table : DataFrame
        Index ``k``; columns ``log_likelihood`` (maximum over the starts), ``n_parameters``,
        ``bic`` (lower is better), ``reached`` (share of the starts that came within .01 of the
        maximum; if it is small, use more starts) and ``carried`` (whether the proxies distinguish
        that many classes).
    by_bic : int
        k of the lowest BIC.
    by_rank : int
        Number of classes that the proxies carry, by the tests of rank.
    """

    table: pd.DataFrame
    by_bic: int
    by_rank: int

    @property
    def agree(self) -> bool:
        """Whether both name the same number."""
        return self.by_bic == self.by_rank


def count_classes(
    data: MixtureData,
    *,
    rng: np.random.Generator,
    family: str = "bernoulli",
    max_k: int | None = None,
    starts: int = 10,
) -> ClassCount:
    """Compare numbers of classes by BIC and by the tests of rank.

    Parameters
    ----------
    data : MixtureData
        From :func:`bayes_hte.mixtures.mixture_data`, with categorical proxies.
    rng : numpy.random.Generator
        Random starts, and draws of the tests of rank.
    family : {"bernoulli", "gaussian", "poisson"}
        Of the outcome.
    max_k : int, optional
        Default, and at most, the smaller number of levels of the two sides.
    starts : int, default 10
        Random starts per k.

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

    Examples
    --------
    >>> import numpy as np
    >>> from bayes_hte import mixtures
    >>> rows = mixtures.draw_frame(mixtures.paper_design(), 2000, rng=np.random.default_rng(1))
    >>> data = mixtures.mixture_arrays(rows["z"], rows["x"], rows["t"], rows["y"])
    >>> found = mixtures.count_classes(data, rng=np.random.default_rng(2), starts=2)
    >>> found.by_bic, found.by_rank
    (2, 2)
    """
    check_generator(rng)
    largest = min(len(data.z.names), len(data.x.names))
    top = largest if max_k is None else max_k
    allowed = f"a whole number from 1 to {largest}, the levels of a side"
    check_number("max_k", top, allowed, lambda k: 1 <= k <= largest, whole=True)
    check_whole("starts", starts, 1)
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
        best, size = max(fits), n_parameters(data, k, family)
        rows.append(
            {
                "k": k,
                "log_likelihood": best,
                "n_parameters": size,
                "bic": size * np.log(patterns.count.sum()) - 2 * best,
                "reached": float(np.mean([best - one < CLOSE_FIT for one in fits])),
                "carried": k <= carried,
            }
        )
    table = pd.DataFrame(rows).set_index("k")
    return ClassCount(table, int(table["bic"].idxmin()), carried)


def compare_class_counts(fits: Sequence[MixtureFit]) -> CheckResult:
    """Compare fits of one data set with different numbers of classes, by left-out rows.

    Parameters
    ----------
    fits : sequence of MixtureFit
        Two or more, of the same rows, with the same level and covariates.

    Returns
    -------
    CheckResult
        Passes if at most 10% of the units of every fit have a Pareto k above the threshold for its
        draws. One row per fit: ``k``, ``elpd`` (natural logarithms), ``p_loo`` (effective number
        of parameters), ``difference`` from the best and its standard error ``se``, and the share of
        units ``above`` the threshold.

    Raises
    ------
    SpecError
        If there are fewer than two fits, a number of classes comes twice, or their rows differ.

    Examples
    --------
    >>> import bayes_hte as hte
    >>> hte.compare_class_counts([])
    Traceback (most recent call last):
    ...
    bayes_hte.errors.SpecError: give fits of two or more different numbers of classes; got [].
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
    """Standard error of a sum over units; each distinct row counts as often as it occurs."""
    n = count.sum()
    mean = float(difference @ count) / n
    return float(np.sqrt(n * (((difference - mean) ** 2) @ count) / (n - 1)))
