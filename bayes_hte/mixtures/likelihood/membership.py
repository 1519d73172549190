"""Membership of units in classes: Bayes' rule at every draw, for every distinct row.

Membership given the whole row includes the unit's own treatment and outcome, so it describes the
units of the study. Given the proxies alone it is that of a new unit before treatment.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

import numpy as np
from scipy.special import logsumexp, softmax

from bayes_hte.errors import unknown_name
from bayes_hte.mixtures.arrays import Array
from bayes_hte.mixtures.likelihood.law import (
    ClassLaw,
    Patterns,
    class_means,
    log_classes,
    log_joint,
    log_proxies,
)

Given = Literal["row", "proxies"]
GIVEN: Final[dict[str, str]] = {
    "row": "proxies, treatment and outcome of the unit",
    "proxies": "proxies of the unit alone, as before treatment",
}
CHUNK: Final = 20_000_000
"""Numbers held at once while averaging over draws: 160 MB."""


def membership_draws(law: ClassLaw, patterns: Patterns, family: str, given: Given) -> Array:
    """Return P(U=u | row) at every draw.

    Parameters
    ----------
    law : ClassLaw
        With leading axes ``...``.
    patterns : Patterns, m of them
    family : str
        Of the outcome.
    given : {"row", "proxies"}
        See ``GIVEN``.

    Returns
    -------
    ndarray, shape (..., class, m)

    Raises
    ------
    SpecError
        If `given` is unknown.
    """
    if given not in GIVEN:
        raise unknown_name("given", given, GIVEN)
    if given == "proxies":
        return softmax(log_proxies(law, patterns), axis=-2)
    return softmax(log_joint(law, patterns, family), axis=-2)


def mean_membership(
    law: ClassLaw, patterns: Patterns, family: str, given: Given
) -> tuple[Array, Array]:
    """Return posterior means of membership and of the soft effect, without holding all draws.

    Parameters
    ----------
    law : ClassLaw
        With leading axes (chain, draw).
    patterns : Patterns, m of them
    family, given
        As for :func:`membership_draws`.

    Returns
    -------
    membership : ndarray, shape (m, class)
    soft_effect : ndarray, shape (m,)
        Mean over draws of sum_u P(u | row) R_u, which is not the product of the means.
    """
    chains, draws, _ = law.probabilities.shape
    membership, soft = 0.0, 0.0
    for part in _parts(law, patterns):
        weights = membership_draws(part, patterns, family, given)
        means = class_means(part, family)
        membership = membership + weights.sum(axis=(0, 1))
        soft = soft + np.einsum("cdum,cdu->m", weights, means[..., 1] - means[..., 0])
    return np.asarray(membership).T / (chains * draws), np.asarray(soft) / (chains * draws)


def class_shares(law: ClassLaw, patterns: Patterns) -> Array:
    """Return P(U=u) on average over the units, at every draw.

    Parameters
    ----------
    law : ClassLaw
        With leading axes (chain, draw).
    patterns : Patterns

    Returns
    -------
    ndarray, shape (chain, draw, class)
        The law's own probabilities where the class has no covariates.
    """
    if law.class_slopes is None:
        return law.probabilities
    share = patterns.count / patterns.count.sum()
    parts = [np.exp(log_classes(part, patterns)) @ share for part in _parts(law, patterns)]
    return np.concatenate(parts, axis=1)


def log_likelihood(law: ClassLaw, patterns: Patterns, family: str) -> Array:
    """Return the log of P(z, x, t, y) of every distinct row at every draw.

    Parameters
    ----------
    law : ClassLaw
        With leading axes (chain, draw).
    patterns : Patterns, m of them
    family : str
        Of the outcome.

    Returns
    -------
    ndarray, shape (chain, draw, m)
    """
    parts = [
        logsumexp(log_joint(part, patterns, family), axis=-2) for part in _parts(law, patterns)
    ]
    return np.concatenate(parts, axis=1)


def _parts(law: ClassLaw, patterns: Patterns) -> Iterator[ClassLaw]:
    """The law in pieces of draws that fit in memory for every class and pattern."""
    chains, draws, k = law.probabilities.shape
    step = max(1, CHUNK // (chains * k * len(patterns.z)))
    for first in range(0, draws, step):
        yield law.at(slice(first, first + step))
