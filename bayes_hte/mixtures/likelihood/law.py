"""The law of a row of a mixture: proxies, treatment and outcome that share a class.

The class is summed out::

    P(z, x, t, y) = sum_u P(u) P(z|u) P(x|u) P(t|z,u) P(y|t,u)              level 3
    level 2: P(t|u) in place of P(t|z,u)        level 4: P(y|t,x,u) in place of P(y|t,u)

Covariates of the class turn P(u) into P(u|w). They act on the other columns through the class
alone, so the moments, which do not use them, still answer the same question.

Units with equal rows share one term of the likelihood, so a table of binary columns costs the same
for a thousand units as for a million. One function writes the law, for the model and for
membership alike, so the two cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from numpy.typing import NDArray

from bayes_hte.components.families import Family, get_family
from bayes_hte.components.families.base import Noise
from bayes_hte.errors import UnsupportedError
from bayes_hte.mixtures.arrays import Array
from bayes_hte.mixtures.moments.data import MixtureData

LEVELS: Final[dict[int, str]] = {
    2: "P(u) P(x|u) P(z|u) P(t|u) P(y|t,u)",
    3: "P(u) P(x|u) P(z|u) P(t|z,u) P(y|t,u)",
    4: "P(u) P(x|u) P(z|u) P(t|z,u) P(y|t,x,u)",
}
OUTCOME: Final = "outcome"
"""Prefix of the outcome's noise parameters."""


@dataclass(frozen=True)
class Patterns:
    """The distinct rows (z, x, t, y, w) of the data and how many units show each.

    Attributes
    ----------
    z, x, arm : ndarray of int, shape (m,)
        Codes of the proxies' levels, and the arm.
    outcome : ndarray, shape (m,)
    count : ndarray, shape (m,)
        Units with this row.
    row : ndarray of int, shape (n,)
        The pattern of each unit.
    w : ndarray, shape (m, q), or None
        Standardised covariates of the class.
    w_names : tuple of str, length q
    """

    z: NDArray[np.intp]
    x: NDArray[np.intp]
    arm: NDArray[np.intp]
    outcome: Array
    count: Array
    row: NDArray[np.intp]
    w: Array | None = None
    w_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClassLaw:
    """The law of a row given the class; arrays, or tensors of a model.

    Leading axes (draws) are allowed and written ``...``.

    Attributes
    ----------
    level : {2, 3, 4}
        See ``LEVELS``.
    probabilities : (..., class)
        With covariates of the class, where these are at their means.
    z_given_class : (..., class, z_level)
    x_given_class : (..., class, x_level)
    treatment_logit : (..., class, z_tie)
    outcome_predictor : (..., class, x_tie, arm)
        On the scale of the family's link.
    noise : mapping of str to (...)
        Other parameters of the outcome family, shared by classes and arms.
    class_slopes : (..., class_covariate, class) or None
        Of the log odds of the classes.
    """

    level: int
    probabilities: Any
    z_given_class: Any
    x_given_class: Any
    treatment_logit: Any
    outcome_predictor: Any
    noise: Noise = field(default_factory=dict)
    class_slopes: Any | None = None

    def at(self, draws: slice) -> ClassLaw:
        """The law of arrays with leading axes (chain, draw), at some of the draws."""
        parts = {
            name: value[:, draws] for name, value in vars(self).items() if hasattr(value, "ndim")
        }
        return replace(self, **parts, noise={n: v[:, draws] for n, v in self.noise.items()})


def collapse(data: MixtureData, covariates: pd.DataFrame | None = None) -> Patterns:
    """Count the distinct rows of the data.

    Parameters
    ----------
    data : MixtureData
        With one-hot features on both sides.
    covariates : DataFrame, shape (n, q), optional
        Standardised covariates of the class.

    Returns
    -------
    Patterns

    Raises
    ------
    UnsupportedError
        If the proxies of a side are not one categorical level per unit.

    Examples
    --------
    >>> from bayes_hte.mixtures import collapse, mixture_arrays
    >>> z, x, arm, y = ([0, 1, 0, 1] * 9, [0, 1, 1, 1] * 9, [0, 0, 1, 1] * 9, [0, 1, 1, 0] * 9)
    >>> data = mixture_arrays(z, x, arm=arm, outcome=y)
    >>> collapse(data).count.tolist()
    [9.0, 9.0, 9.0, 9.0]
    """
    if data.z.codes is None or data.x.codes is None:
        raise UnsupportedError(
            "the likelihood of a mixture takes categorical proxies, crossed to at most "
            "max_joint_levels levels per side. Cut continuous proxies into bins "
            "(continuous=QuantileBins(4)), name fewer proxies, or raise max_joint_levels; the "
            "moment posterior takes other features."
        )
    values, y = np.unique(data.outcome, return_inverse=True)
    shape = (len(data.z.names), len(data.x.names), 2, len(values))
    code = np.ravel_multi_index((data.z.codes, data.x.codes, data.arm, y), shape)
    if covariates is None:
        cells, row, count = np.unique(code, return_inverse=True, return_counts=True)
        z, x, arm, level = np.unravel_index(cells, shape)
        return Patterns(z, x, arm, values[level], count.astype(float), row)
    rows = np.column_stack([code, covariates.to_numpy(dtype=float)])
    seen, row, count = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    z, x, arm, level = np.unravel_index(seen[:, 0].astype(np.intp), shape)
    names = tuple(str(name) for name in covariates.columns)
    return Patterns(z, x, arm, values[level], count.astype(float), row.ravel(), seen[:, 1:], names)


def log_classes(law: ClassLaw, patterns: Patterns, ops: Any = np) -> Any:
    """Return the log of P(u), or of P(u|w), for every class and pattern.

    Parameters
    ----------
    law, patterns, ops
        As for :func:`log_proxies`.

    Returns
    -------
    array or tensor, shape (..., class, m), or (..., class, 1) without covariates
    """
    same = ops.log(law.probabilities)[..., None]
    if law.class_slopes is None:
        return same
    odds = same + ops.swapaxes(ops.matmul(patterns.w, law.class_slopes), -1, -2)
    odds = odds - odds.max(axis=-2, keepdims=True)
    return odds - ops.log(ops.exp(odds).sum(axis=-2, keepdims=True))


def log_proxies(law: ClassLaw, patterns: Patterns, ops: Any = np) -> Any:
    """Return the log of P(u) P(z|u) P(x|u) for every class and pattern.

    Parameters
    ----------
    law : ClassLaw
    patterns : Patterns, m of them
    ops : module, default numpy
        numpy, or ``pytensor.tensor`` for tensors: both spell these functions alike.

    Returns
    -------
    array or tensor, shape (..., class, m)
    """
    return (
        log_classes(law, patterns, ops)
        + ops.log(law.z_given_class)[..., patterns.z]
        + ops.log(law.x_given_class)[..., patterns.x]
    )


def log_joint(law: ClassLaw, patterns: Patterns, family: str, ops: Any = np) -> Any:
    """Return the log of P(u, z, x, t, y) for every class and pattern.

    Parameters
    ----------
    law : ClassLaw
    patterns : Patterns, m of them
    family : str
        Of the outcome.
    ops : module, default numpy
        As for :func:`log_proxies`.

    Returns
    -------
    array or tensor, shape (..., class, m)
    """
    none = np.zeros_like(patterns.z)
    eta = law.treatment_logit[..., none if law.level == 2 else patterns.z]
    treatment = patterns.arm * eta - ops.logaddexp(0.0, eta)
    by_arm = law.outcome_predictor[..., patterns.x if law.level == 4 else none, :]
    mean = by_arm[..., 0] + patterns.arm * (by_arm[..., 1] - by_arm[..., 0])
    outcome = _log_outcome(get_family(family), patterns.outcome, mean, law.noise, ops)
    return log_proxies(law, patterns, ops) + treatment + outcome


def _log_outcome(family: Family, y: Array, mean: Any, noise: Noise, ops: Any) -> Any:
    """Log of P(y|t,u) for every class and pattern, from the family itself."""
    if ops is np:
        spread = {name: np.asarray(value)[..., None, None] for name, value in noise.items()}
        return family.log_likelihood(np.broadcast_to(y, mean.shape), mean, spread)
    return pm.logp(family.distribution(mean, noise), pt.broadcast_to(y, mean.shape))


def class_law(posterior: xr.Dataset, level: int, family: str) -> ClassLaw:
    """Read the law of the classes from posterior draws.

    Parameters
    ----------
    posterior : Dataset, dims (chain, draw, ...)
        Of the model of :func:`bayes_hte.mixtures.likelihood.model.build_mixture`.
    level : {2, 3, 4}
        Of that model.
    family : str
        Of its outcome.

    Returns
    -------
    ClassLaw
        With leading axes (chain, draw).
    """
    noise = {n: posterior[f"{OUTCOME}_{n}"].to_numpy() for n in get_family(family).noise}
    names = [f.name for f in fields(ClassLaw) if f.name in posterior]
    return ClassLaw(level, **{name: posterior[name].to_numpy() for name in names}, noise=noise)


def class_means(law: ClassLaw, family: str) -> Array:
    """Return E[Y(t) | U=u] on the scale of the outcome.

    Parameters
    ----------
    law : ClassLaw
        Of arrays.
    family : str

    Returns
    -------
    ndarray, shape (..., class, arm)
        Averaged over P(x|u) when the outcome depends on X.

    Examples
    --------
    >>> import numpy as np
    >>> from bayes_hte.mixtures import class_means, collapse, maximum_likelihood, mixture_arrays
    >>> z, x, arm, y = ([0, 1, 0, 1] * 9, [0, 1, 1, 1] * 9, [0, 0, 1, 1] * 9, [0, 1, 1, 0] * 9)
    >>> data = mixture_arrays(z, x, arm=arm, outcome=y)
    >>> rng = np.random.default_rng(1)
    >>> law, _ = maximum_likelihood(data, collapse(data), 2, "bernoulli", rng=rng)
    >>> class_means(law, "bernoulli").shape
    (2, 2)
    """
    mean = get_family(family).inverse_link(law.outcome_predictor)
    if law.level != 4:
        return mean[..., 0, :]
    return np.einsum("...ux,...uxt->...ut", law.x_given_class, mean)
