"""The latent class model: proxies, treatment and outcome that share an unseen class.

The class is summed out, so the sampler meets smooth parameters alone::

    P(z, x, t, y) = sum_u P(u) P(z|u) P(x|u) P(t|z,u) P(y|t,u)              level 3
    level 2: P(t|u) in place of P(t|z,u)        level 4: P(y|t,x,u) in place of P(y|t,u)

Covariates of the class turn P(u) into P(u|w). They act on the other columns through the class
alone, so the moments, which do not see them, still answer the same question.

Units with equal rows share one term of the likelihood, so a table of binary columns costs the same
for a thousand units as for a million. One function writes the law, for the model and for
membership alike, so the two cannot drift apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from numpy.typing import NDArray
from scipy.special import logit

from bayes_hte.components.families import Family, get_family
from bayes_hte.components.families.base import Noise
from bayes_hte.errors import SpecError, UnsupportedError
from bayes_hte.mixtures.arrays import Array
from bayes_hte.mixtures.moments.data import MixtureData
from bayes_hte.mixtures.moments.start import StartingValues
from bayes_hte.names import ARM, CLASS

Z_LEVEL: Final = "z_level"
X_LEVEL: Final = "x_level"
Z_TIE: Final = "z_tie"
"""Levels of Z that the treatment may depend on: one when there is no Z-T edge."""
X_TIE: Final = "x_tie"
"""Levels of X that the outcome may depend on: one when there is no X-Y edge."""

LEVELS: Final[dict[int, str]] = {
    2: "P(u) P(x|u) P(z|u) P(t|u) P(y|t,u)",
    3: "P(u) P(x|u) P(z|u) P(t|z,u) P(y|t,u)",
    4: "P(u) P(x|u) P(z|u) P(t|z,u) P(y|t,x,u)",
}
CLASS_COVARIATE: Final = "class_covariate"
OUTCOME: Final = "outcome"
"""Prefix of the outcome's noise parameters."""
SPREAD_OF_LOCATIONS: Final = 2.0
"""Prior sd of class means on an identity link, in sd of the column.

On other links it is the unit of the family: 1.5 logits, or 1 on the log scale."""


@dataclass(frozen=True)
class LatentClassPriors:
    """How strongly the priors of the latent class model speak.

    Attributes
    ----------
    class_concentration : float
        Dirichlet of the class probabilities; 1 is flat.
    proxy_concentration : float
        Dirichlet of P(x|u) and P(z|u); 1 is flat.
    treatment_sd : float
        Normal sd of logit P(T=1 | z, u), about 0.
    outcome_scale : float
        Factor on the sd of the outcome's class means, which are normal about the overall mean.
    covariate_sd : float
        Normal sd of the class covariates' slopes, in log odds against the average class for one
        standard deviation; slopes add up to zero over classes.
    """

    class_concentration: float = 1.0
    proxy_concentration: float = 1.0
    treatment_sd: float = 1.5
    outcome_scale: float = 1.0
    covariate_sd: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values that are not positive numbers."""
        for name, value in vars(self).items():
            if not (math.isfinite(value) and value > 0):
                raise SpecError(f"prior {name} must be a positive number; got {value!r}.")


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
        If the proxies of a side are not one categorical level a unit.
    """
    if data.z.codes is None or data.x.codes is None:
        raise UnsupportedError(
            "the latent class model takes categorical proxies, crossed to at most "
            "max_joint_levels levels a side. Cut continuous proxies into bins "
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
    """Log of P(u), or of P(u|w), for every class and pattern.

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
    """Log of P(u) P(z|u) P(x|u) for every class and pattern.

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
    """Log of P(u, z, x, t, y) for every class and pattern.

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
        Of the model of :func:`build_latent_class`.
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
    """E[Y(t) | U=u] on the scale of the outcome.

    Parameters
    ----------
    law : ClassLaw
        Of arrays.
    family : str

    Returns
    -------
    ndarray, shape (..., class, arm)
        Averaged over P(x|u) when the outcome depends on X.
    """
    mean = get_family(family).inverse_link(law.outcome_predictor)
    if law.level != 4:
        return mean[..., 0, :]
    return np.einsum("...ux,...uxt->...ut", law.x_given_class, mean)


def build_latent_class(
    data: MixtureData,
    patterns: Patterns,
    *,
    k: int,
    level: int,
    family: str,
    priors: LatentClassPriors,
) -> pm.Model:
    """Build the latent class model; nothing is sampled.

    Parameters
    ----------
    data : MixtureData
        Gives levels, arms and the scale of the outcome.
    patterns : Patterns
        Of `data`.
    k : int
        Number of classes.
    level : {2, 3, 4}
        Which edges the law allows, see ``LEVELS``.
    family : str
        Of the outcome; classes and arms share its other parameters.
    priors : LatentClassPriors

    Returns
    -------
    pymc.Model

    Raises
    ------
    DataError
        If the outcome does not suit the family.
    SpecError
        If the level or the family is unknown.
    """
    if level not in LEVELS:
        raise SpecError(f"level must be one of {sorted(LEVELS)}; got {level!r}.")
    likelihood = get_family(family)
    likelihood.check(data.outcome, OUTCOME)
    with pm.Model(coords=_coords(data, patterns, k, level)) as model:
        law = _parameters(data, patterns, k, level, likelihood, priors)
        terms = pt.logsumexp(log_joint(law, patterns, family, pt), axis=0)
        pm.Potential("rows", (patterns.count * terms).sum())
    return model


def start_point(
    start: StartingValues, data: MixtureData, *, level: int, family: str, priors: LatentClassPriors
) -> dict[str, Array]:
    """Turn starting values into a starting point of the model.

    Parameters
    ----------
    start : StartingValues
    data : MixtureData
    level : {2, 3, 4}
    family : str
    priors : LatentClassPriors
        Those of the model.

    Returns
    -------
    dict of str to ndarray
        Values of the free parameters. Noise and slopes are left to their defaults.
    """
    treated = start.treated_given_zu
    if level == 2:
        treated = (start.z_given_u * treated).sum(axis=1, keepdims=True)
    likelihood = get_family(family)
    predictor = likelihood.link(start.baseline)
    centre, spread = _outcome_prior(data, likelihood, priors)
    ties = start.x_given_u.shape[1] if level == 4 else 1
    raw = np.repeat(((predictor - centre) / spread)[:, None, :], ties, axis=1)
    return {
        "probabilities": start.probabilities,
        "z_given_class": start.z_given_u,
        "x_given_class": start.x_given_u,
        "treatment_logit": logit(treated),
        "outcome_raw": raw,
    }


def _coords(data: MixtureData, patterns: Patterns, k: int, level: int) -> dict[str, list[Any]]:
    """Coordinates of the model; a tie that the level excludes has one level."""
    z, x = list(data.z.names), list(data.x.names)
    return {
        CLASS: list(range(k)),
        ARM: list(data.arms),
        Z_LEVEL: z,
        X_LEVEL: x,
        Z_TIE: ["any"] if level == 2 else z,
        X_TIE: x if level == 4 else ["any"],
        CLASS_COVARIATE: list(patterns.w_names),
    }


def _parameters(
    data: MixtureData,
    patterns: Patterns,
    k: int,
    level: int,
    family: Family,
    priors: LatentClassPriors,
) -> ClassLaw:
    """Add the free parameters to the model in context."""
    concentration = {
        name: np.full((k, len(side.names)), priors.proxy_concentration)
        for name, side in (("z", data.z), ("x", data.x))
    }
    raw = pm.Normal("outcome_raw", 0, 1, dims=(CLASS, X_TIE, ARM))
    centre, spread = _outcome_prior(data, family, priors)
    slopes = None
    if patterns.w is not None:
        slopes = pm.ZeroSumNormal(
            "class_slopes", priors.covariate_sd, dims=(CLASS_COVARIATE, CLASS)
        )
    return ClassLaw(
        level=level,
        probabilities=pm.Dirichlet(
            "probabilities", np.full(k, priors.class_concentration), dims=CLASS
        ),
        z_given_class=pm.Dirichlet("z_given_class", concentration["z"], dims=(CLASS, Z_LEVEL)),
        x_given_class=pm.Dirichlet("x_given_class", concentration["x"], dims=(CLASS, X_LEVEL)),
        treatment_logit=pm.Normal("treatment_logit", 0, priors.treatment_sd, dims=(CLASS, Z_TIE)),
        outcome_predictor=pm.Deterministic(
            "outcome_predictor", centre + spread * raw, dims=(CLASS, X_TIE, ARM)
        ),
        noise=family.parameters(OUTCOME, data.outcome),
        class_slopes=slopes,
    )


def _outcome_prior(
    data: MixtureData, family: Family, priors: LatentClassPriors
) -> tuple[float, float]:
    """Mean and sd of the prior of a class mean on the scale of the link."""
    factor = SPREAD_OF_LOCATIONS if family.linear_mean else 1.0
    spread = factor * family.latent_sd(data.outcome) * priors.outcome_scale
    return family.offset(data.outcome), spread
