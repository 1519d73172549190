"""How many hidden classes: leave-one-out prediction of whole rows by fits with different numbers.

A row is what was seen of a unit: proxies, treatment and outcome. Units with equal rows have equal
scores, so each distinct row is left out once and counted as often as it was seen. Beside BIC and
the tests of rank (:func:`bayes_hte.count_classes`) this is the criterion that uses the posterior.

References
----------
Vehtari, A., Gelman, A., Gabry, J. (2017). Practical Bayesian model evaluation using leave-one-out
cross-validation and WAIC. Statistics and Computing 27, 1413-1432. doi:10.1007/s11222-016-9696-4
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.loo import MAX_BAD_SHARE, leave_one_out
from bayes_hte.errors import SpecError
from bayes_hte.names import UNIT

if TYPE_CHECKING:
    from bayes_hte.latent import MixtureFit

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
