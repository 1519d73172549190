"""Who is in which class: Bayes' rule at every draw, for every distinct row.

Membership given everything seen includes the unit's own treatment and outcome, so it describes the
units of the study. Given the proxies alone it is what could be said of a new unit before treatment.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from scipy.special import softmax

from bayes_hte.components.latent_class import (
    ClassLaw,
    Patterns,
    class_means,
    log_joint,
    log_proxies,
)
from bayes_hte.errors import unknown_name
from bayes_hte.mixtures.solver import Array

Given = Literal["row", "proxies"]
GIVEN: Final[dict[str, str]] = {
    "row": "proxies, treatment and outcome of the unit",
    "proxies": "proxies of the unit alone, as before treatment",
}
CHUNK: Final = 20_000_000
"""Numbers held at once while averaging over draws: 160 MB."""


def membership_draws(law: ClassLaw, patterns: Patterns, family: str, given: Given) -> Array:
    """P(U=u | row) at every draw.

    Parameters
    ----------
    law : ClassLaw
        With leading axes ``...``.
    patterns : Patterns, m of them
    family : {"bernoulli", "gaussian"}
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
    """Posterior means of membership and of the soft effect, without holding all draws.

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
    chains, draws, k = law.probabilities.shape
    step = max(1, CHUNK // (chains * k * len(patterns.z)))
    membership, soft = 0.0, 0.0
    for first in range(0, draws, step):
        part = _slice(law, slice(first, first + step))
        weights = membership_draws(part, patterns, family, given)
        means = class_means(part, family)
        membership = membership + weights.sum(axis=(0, 1))
        soft = soft + np.einsum("cdum,cdu->m", weights, means[..., 1] - means[..., 0])
    return np.asarray(membership).T / (chains * draws), np.asarray(soft) / (chains * draws)


def _slice(law: ClassLaw, draws: slice) -> ClassLaw:
    """The law at some draws."""
    parts = {
        name: value[:, draws] if isinstance(value, np.ndarray) else value
        for name, value in vars(law).items()
    }
    return ClassLaw(**parts)
