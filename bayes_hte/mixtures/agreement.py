"""Two posteriors of one mixture compared: the likelihood's and the moments'.

Both answer the same question, the likelihood with a full law of the rows and priors, the moments
with averages alone. If the declared graph, the family of the outcome and the number of classes are
right, they settle on the same values.

The rule, for every quantity that the graph identifies (class effects, class probabilities, average
effect)::

    distance = |median by likelihood - median by moments| / sd by moments

(sd: half the central 68% of the draws). Of two posteriors of the same data the likelihood's is the
more precise when the model is right, and then the difference has at most the sd of the moments
(Hausman 1978), in practice far less: in 50 data sets from designs without an X-Y edge the largest
distance of each, with maximum likelihood for the median, was below 1.5 in all and above 1 in one.
So a distance above 1.5 is a disagreement. Where the likelihood is far more precise than the
moments, because of the shape of a continuous outcome or covariates of the class, the difference
has nearly the whole sd of the moments, and would pass 1.5 by chance. There the bound is 2.2 sd of
the difference, ``2.2 sqrt(1 - r^2)`` sd of the moments if the sd by likelihood is r times theirs;
with r above .73 the bound stays at 1.5. The 2.2 is the 97% point of one normal difference. It was
set after one of three simulated studies with a covariate of the class had passed 1.5, and its rate
of false alarms over all quantities has not been simulated. The overlap of the two posteriors is
shown and not judged, since two posteriors of unequal width overlap little even about one centre.

An undeclared X-Y edge that moved single class means by .09, .18 and .30 was found in 8%, 64% and
100% of 25 data sets with 5000 rows, and the last in 11% with 1000 rows (proxies of delta = .5).
So agreement is no proof. An X-Y edge can even move both answers alike: in the symmetric design of
:func:`bayes_hte.mixtures.moments.simulated.paper_design` it does so exactly, for any weight of the
edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import scipy.stats
import xarray as xr
from scipy.optimize import linear_sum_assignment

from bayes_hte.effects.summaries import CiKind, check_interval, interval_parameters
from bayes_hte.mixtures.arrays import Array
from bayes_hte.mixtures.moments.diagnostics import LARGEST_FAILED_SHARE
from bayes_hte.mixtures.moments.posterior import MomentPosterior, median_and_interval
from bayes_hte.names import CLASS, SAMPLE

LARGEST_DISTANCE: Final = 1.5
"""Distance of the medians, in sd of the moment posterior, above which the two disagree."""
LARGEST_DIFFERENCE: Final = 2.2
"""The same in sd of the difference, which decides where it allows more."""
N_BINS: Final = 20
"""Bins of equal pooled share in which densities are compared."""
AGREE: Final = "agree"
DISAGREE: Final = "disagree"
UNIDENTIFIABLE: Final = "not identifiable here"


@dataclass(frozen=True)
class Agreement:
    """How the likelihood and the moments of a mixture compare.

    Attributes
    ----------
    answer : str
        ``"agree"``, ``"disagree"`` or ``"not identifiable here"``.
    reasons : tuple of str
        Why; never empty.
    notes : tuple of str
        Notes of the diagnostics of the moments.
    table : DataFrame
        Index ``quantity``, ``class`` (-1 for the average effect); for each of ``likelihood`` and
        ``moments`` the columns ``_median``, ``_lower``, ``_upper``; ``distance``, the largest
        one ``allowed``, and ``overlap`` (see :func:`overlap_coefficient`); ``ci_prob``,
        ``ci_kind``. NaN where moments refuse.
    """

    answer: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    table: pd.DataFrame


@interval_parameters
def compare_posteriors(
    likelihood: xr.Dataset,
    moments: MomentPosterior | None,
    *,
    doubts: Sequence[str] = (),
    ci_prob: float = 0.95,
    ci_kind: CiKind = "eti",
) -> Agreement:
    """Compare the likelihood posterior of a mixture with its moment posterior.

    Parameters
    ----------
    likelihood : Dataset, dims (chain, draw, ...)
        ``ate``, ``effects`` (class), ``probabilities`` (class), ``class_means`` (class, arm),
        classes labelled; quantities that `moments` cannot identify are not read.
    moments : MomentPosterior or None
        Of the same rows; None when there is none: the answer is then "not identifiable here".
    doubts : sequence of str
        Reasons why the likelihood draws cannot be compared (labels, convergence).

    Returns
    -------
    Agreement

    References
    ----------
    Hausman (1978), Specification tests in econometrics, Econometrica 46, 1251-1271,
    doi:10.2307/1913827.
    """
    check_interval(ci_prob, ci_kind)
    if moments is None:
        why = "The moments need k levels on each side, so there is nothing to compare with."
        return Agreement(UNIDENTIFIABLE, (why, *doubts), (), pd.DataFrame())
    table = _table(likelihood, moments, ci_prob, ci_kind)
    answer, reasons = _judge(table, _obstacles(moments, doubts))
    return Agreement(answer, reasons, moments.diagnostics.notes, table)


def overlap_coefficient(first: Array, second: Array) -> float:
    """Return the shared area of two densities, 1 for equal and 0 for separate ones.

    Parameters
    ----------
    first, second : ndarray
        Finite draws of any shape.

    Returns
    -------
    float
        From histograms on 20 bins of equal share of the pooled draws (each sample weighs one
        half), so that single far draws do no harm. Equal densities give about .95 with two
        thousand independent draws each, as noise can only reduce the overlap.

    References
    ----------
    Inman, Bradley (1989), The overlapping coefficient as a measure of agreement between
    probability distributions, Communications in Statistics 18, 3851-3874,
    doi:10.1080/03610928908830127.
    """
    a, b = np.ravel(first), np.ravel(second)
    pooled = np.concatenate([a, b])
    weights = np.repeat([0.5 / a.size, 0.5 / b.size], [a.size, b.size])
    order = np.argsort(pooled)
    share = np.cumsum(weights[order])
    inner = np.unique(pooled[order][np.searchsorted(share, np.arange(1, N_BINS) / N_BINS)])
    counts = [
        np.bincount(np.searchsorted(inner, part, side="left"), minlength=len(inner) + 1) / part.size
        for part in (a, b)
    ]
    return float(np.minimum(*counts).sum())


def _obstacles(moments: MomentPosterior, doubts: Sequence[str]) -> tuple[str, ...]:
    """Why classes cannot be compared although the graph identifies them."""
    if "effects" not in moments.identifiability.identified:
        return tuple(doubts)
    found = [*doubts, *moments.refused]
    if moments.diagnostics.failed_share > LARGEST_FAILED_SHARE:
        found.append(
            f"{moments.diagnostics.failed_share:.0%} of the moment draws have no usable solution."
        )
    return tuple(found)


def _judge(table: pd.DataFrame, obstacles: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Return the answer and its reasons."""
    if obstacles:
        return UNIDENTIFIABLE, obstacles
    if table["distance"].isna().all():
        return UNIDENTIFIABLE, ("No moment draw has a usable solution.",)
    apart = table[table["distance"] > table["allowed"]]
    if apart.empty:
        furthest = table.loc[(table["distance"] / table["allowed"]).idxmax()]
        return AGREE, (
            f"No quantity differs by more than {furthest['distance']:.1f} sd of the moments "
            f"({furthest['allowed']:.1f} allowed). An X-Y edge can move both alike.",
        )
    reasons = [
        f"{_in_words(*index)}: {row.likelihood_median:.3g} by likelihood, "
        f"{row.moments_median:.3g} by moments, {row.distance:.1f} sd apart."
        for index, row in apart.iterrows()
    ]
    return DISAGREE, (
        *reasons,
        "Look for an X-Y edge or another edge that was ruled out, another family of the outcome, "
        "another number of classes, or priors that speak.",
    )


def _in_words(quantity: str, label: int) -> str:
    """Name of a row of the table."""
    if quantity == "ate":
        return "average effect"
    return f"{'effect' if quantity == 'effects' else 'probability'} of class {label}"


def _table(
    likelihood: xr.Dataset, moments: MomentPosterior, ci_prob: float, ci_kind: CiKind
) -> pd.DataFrame:
    """One row per quantity."""
    rows = {("ate", -1): (likelihood["ate"], moments.draws["ate"])}
    if "effects" in moments.identifiability.identified:
        partner = _partners(likelihood, moments)
        for name in ("effects", "probabilities"):
            for u, other in enumerate(partner):
                pair = likelihood[name].isel({CLASS: u}), moments.draws[name].isel({CLASS: other})
                rows[name, u] = pair
    columns = {index: _row(*pair, ci_prob, ci_kind) for index, pair in rows.items()}
    table = pd.DataFrame.from_dict(columns, orient="index")
    table.index = pd.MultiIndex.from_tuples(list(columns), names=["quantity", CLASS])
    return table.assign(ci_prob=ci_prob, ci_kind=ci_kind)


def _partners(likelihood: xr.Dataset, moments: MomentPosterior) -> list[int]:
    """The moment class that fits each likelihood class best, by outcome means."""
    ours = likelihood["class_means"].median(SAMPLE).to_numpy()
    theirs = moments.draws["class_means"].median(SAMPLE).to_numpy()
    if not np.isfinite(theirs).all():
        return list(range(len(ours)))
    cost = ((ours[:, None] - theirs[None]) ** 2).sum(axis=-1)
    return linear_sum_assignment(cost)[1].tolist()


def _row(
    ours: xr.DataArray, theirs: xr.DataArray, ci_prob: float, ci_kind: CiKind
) -> dict[str, float]:
    """Medians, intervals, distance and overlap of one quantity."""
    kept = {"likelihood": ours.to_numpy().ravel(), "moments": theirs.to_numpy().ravel()}
    kept = {name: draws[np.isfinite(draws)] for name, draws in kept.items()}
    row: dict[str, float] = {}
    for name, draws in kept.items():
        numbers = median_and_interval(draws, ci_prob, ci_kind)
        row |= {
            f"{name}_{part}": value
            for part, value in zip(("median", "lower", "upper"), numbers, strict=True)
        }
    if min(draws.size for draws in kept.values()) < 2:
        return row | dict.fromkeys(("distance", "allowed", "overlap"), np.nan)
    sd = _spread(kept["moments"])
    ratio = min(_spread(kept["likelihood"]) / sd, 1.0)
    return row | {
        "distance": abs(row["likelihood_median"] - row["moments_median"]) / sd,
        "allowed": max(LARGEST_DISTANCE, LARGEST_DIFFERENCE * np.sqrt(1 - ratio**2)),
        "overlap": overlap_coefficient(*kept.values()),
    }


def _spread(draws: Array) -> float:
    """Half the width of the central 68% of the draws: the sd, if they are normal."""
    low, high = np.quantile(draws, scipy.stats.norm.cdf([-1, 1]))
    return float(high - low) / 2
