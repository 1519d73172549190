"""Maximum likelihood of the law of a mixture, by expectation-maximisation."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.special import logit, logsumexp

from bayes_hte.components.families import get_family
from bayes_hte.mixtures.arrays import Array
from bayes_hte.mixtures.likelihood.law import ClassLaw, Patterns, log_joint
from bayes_hte.mixtures.moments.data import MixtureData

MAX_STEPS: Final = 5000
TOLERANCE: Final = 1e-6
"""Steps stop when the log-likelihood gains less than this."""
CLOSED_FORM: Final = ("bernoulli", "gaussian", "poisson")
"""Families whose best parameters for rows of known class are averages."""
SMALLEST_COUNT: Final = 1e-6
"""Added to every count, so that an empty cell has a finite logit."""


def maximum_likelihood(
    data: MixtureData,
    patterns: Patterns,
    k: int,
    family: str,
    *,
    rng: np.random.Generator,
    level: int = 3,
) -> tuple[ClassLaw, float]:
    """Maximise the likelihood from one random start.

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

    Examples
    --------
    >>> import numpy as np
    >>> from bayes_hte.mixtures import collapse, maximum_likelihood, mixture_arrays
    >>> z, x, arm, y = ([0, 1, 0, 1] * 9, [0, 1, 1, 1] * 9, [0, 0, 1, 1] * 9, [0, 1, 1, 0] * 9)
    >>> data = mixture_arrays(z, x, arm=arm, outcome=y)
    >>> rng = np.random.default_rng(1)
    >>> law, reached = maximum_likelihood(data, collapse(data), 2, "bernoulli", rng=rng)
    >>> round(float(law.probabilities.sum()), 6), reached < 0
    (1.0, True)
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
    """Return the law that fits rows of known (fractional) class best; weights (class, m)."""
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


def n_parameters(data: MixtureData, k: int, family: str) -> int:
    """Return the number of free parameters of the level-3 law."""
    z, x = len(data.z.names), len(data.x.names)
    return (k - 1) + k * (z - 1) + k * (x - 1) + k * z + 2 * k + (family == "gaussian")
