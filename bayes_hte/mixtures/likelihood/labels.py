"""Names for the classes of every draw: which raw class is class 0, 1, ...

The likelihood does not change when classes swap names, so each chain has an order of its own, and
may change it. Averages over such draws mean nothing. Here a rule gives labels to every draw, and
how far the rule can be trusted is reported with them.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bayes_hte.checks.base import CheckResult
from bayes_hte.mixtures.arrays import Array
from bayes_hte.mixtures.moments.diagnostics import LEAST_LABEL_GAP, label_gap

LARGEST_AMBIGUOUS_SHARE: Final = 0.05
"""Labels are not trusted when classes come close in more draws than this."""
CLOSE: Final = 0.25
"""Two classes are close in a draw at less than this share of their mean distance."""
MAX_ROUNDS: Final = 20


@dataclass(frozen=True)
class ClassLabels:
    """Labels of the classes of every draw.

    Attributes
    ----------
    order : ndarray of int, shape (chain, draw, class)
        The raw class that carries each label.
    rule : {"effect", "reference"}
        ``"effect"``: ascending effect within every draw. ``"reference"``, when effects are within
        two standard deviations of each other: every draw matched to common class profiles, which
        are in ascending order of their mean effect.
    gap : float
        Least distance of neighbouring effects in standard deviations.
    switched : ndarray, shape (chain,)
        Share of the draws of each chain whose raw order is not the chain's most frequent one: the
        chain moved between labellings. The labels undo it, so it is harmless when `ambiguous` is
        small.
    chains_differ : bool
        Whether chains settled on different raw orders; harmless in the same case.
    ambiguous : float
        Share of draws in which two classes come within a quarter of their mean distance, in effect
        or in profile according to the rule: labels that the data do not settle. About 5% when the
        distance is 2.2 of its standard deviations, and 16% for classes that are not distinct.
    """

    order: NDArray[np.intp]
    rule: str
    gap: float
    switched: Array
    chains_differ: bool
    ambiguous: float

    @property
    def trusted(self) -> bool:
        """Whether summaries by class mean anything."""
        return self.ambiguous <= LARGEST_AMBIGUOUS_SHARE

    def check(self) -> CheckResult:
        """Return a check of the labels: how often two classes come too close to name."""
        table = pd.DataFrame(
            {
                "value": {
                    "label gap (sd)": self.gap,
                    "largest switched share": float(self.switched.max()),
                    "ambiguous share": self.ambiguous,
                }
            }
        ).rename_axis("quantity")
        text = (
            f"Classes are labelled by {self.rule}; two classes come too close to label in "
            f"{self.ambiguous:.1%} of the draws (at most {LARGEST_AMBIGUOUS_SHARE:.0%} wanted)."
        )
        if not self.trusted:
            text += " Classes cannot be distinguished reliably: use fewer classes or more proxies."
        return CheckResult("class labels", self.trusted, table, text)


def label_classes(effects: Array, profiles: Array, logp: Array) -> ClassLabels:
    """Give labels to the classes of every draw.

    Parameters
    ----------
    effects : ndarray, shape (chain, draw, class)
        Raw effects.
    profiles : ndarray, shape (chain, draw, class, feature)
        Features that classes are matched by, on comparable scales.
    logp : ndarray, shape (chain, draw)
        Log posterior density; the best draw starts the matching.

    Returns
    -------
    ClassLabels
    """
    shape = effects.shape
    flat = effects.reshape(-1, shape[-1])
    by_effect = np.argsort(flat, axis=1)
    gap = label_gap(np.take_along_axis(flat, by_effect, axis=1))
    if gap < LEAST_LABEL_GAP:
        rule, seen = "reference", profiles.reshape(len(flat), shape[-1], -1)
        flat_order = _match(flat, seen, int(logp.argmax()))
    else:
        rule, seen, flat_order = "effect", flat[..., None], by_effect
    order = flat_order.reshape(shape)
    usual = [_most_frequent(chain) for chain in order]
    switched = [
        (chain != most).any(axis=1).mean() for chain, most in zip(order, usual, strict=True)
    ]
    return ClassLabels(
        order=order,
        rule=rule,
        gap=gap,
        switched=np.array(switched),
        chains_differ=any((most != usual[0]).any() for most in usual),
        ambiguous=_close_share(np.take_along_axis(seen, flat_order[..., None], axis=1)),
    )


def _match(effects: Array, profiles: Array, start: int) -> NDArray[np.intp]:
    """Match every draw to common profiles, updated until no draw changes (k-means on labels)."""
    reference = profiles[start]
    order = np.zeros(effects.shape, dtype=np.intp)
    for _ in range(MAX_ROUNDS):
        cost = ((reference[None, :, None, :] - profiles[:, None, :, :]) ** 2).sum(axis=-1)
        new = np.array([linear_sum_assignment(one)[1] for one in cost])
        if (new == order).all():
            break
        order = new
        reference = np.take_along_axis(profiles, order[..., None], axis=1).mean(axis=0)
    mean_effects = np.take_along_axis(effects, order, axis=1).mean(axis=0)
    return order[:, np.argsort(mean_effects)]


def _close_share(values: Array) -> float:
    """Share of draws, shape (draw, class, feature), in which any two classes are close."""
    means = values.mean(axis=0)
    close = np.zeros(len(values), dtype=bool)
    for a, b in itertools.combinations(range(len(means)), 2):
        apart = means[b] - means[a]
        close |= (values[:, b] - values[:, a]) @ apart < CLOSE * (apart @ apart)
    return float(close.mean())


def _most_frequent(order: NDArray[np.intp]) -> NDArray[np.intp]:
    """Most frequent row, shape (class,)."""
    rows, counts = np.unique(order, axis=0, return_counts=True)
    return rows[counts.argmax()]
