"""The latent class model: proxies, treatment and outcome that share an unseen class.

The class is summed out, so the sampler meets smooth parameters alone::

    P(z, x, t, y) = sum_u P(u) P(z|u) P(x|u) P(t|z,u) P(y|t,u)              level 3
    level 2: P(t|u) in place of P(t|z,u)        level 4: P(y|t,x,u) in place of P(y|t,u)

Units with equal rows share one term of the likelihood, so a table of binary columns costs the same
for a thousand units as for a million. One function writes the law, for the model and for
membership alike, so the two cannot drift apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr
from numpy.typing import NDArray
from scipy.special import logit

from bayes_hte.components.families import Family, get_family
from bayes_hte.errors import SpecError, UnsupportedError
from bayes_hte.mixtures.data import MixtureData
from bayes_hte.mixtures.solver import Array
from bayes_hte.mixtures.start import StartingValues
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
OUTCOME_SPREAD: Final[dict[str, float]] = {"bernoulli": 1.0, "gaussian": 2.0}
"""Prior sd of class means, in the unit of the family: 1.5 logits, or two sd of the column."""


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
    """

    class_concentration: float = 1.0
    proxy_concentration: float = 1.0
    treatment_sd: float = 1.5
    outcome_scale: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values that are not positive numbers."""
        for name, value in vars(self).items():
            if not (math.isfinite(value) and value > 0):
                raise SpecError(f"prior {name} must be a positive number; got {value!r}.")


@dataclass(frozen=True)
class Patterns:
    """The distinct rows (z, x, t, y) of the data and how many units show each.

    Attributes
    ----------
    z, x, arm : ndarray of int, shape (m,)
        Codes of the proxies' levels, and the arm.
    outcome : ndarray, shape (m,)
    count : ndarray, shape (m,)
        Units with this row.
    row : ndarray of int, shape (n,)
        The pattern of each unit.
    """

    z: NDArray[np.intp]
    x: NDArray[np.intp]
    arm: NDArray[np.intp]
    outcome: Array
    count: Array
    row: NDArray[np.intp]


@dataclass(frozen=True)
class ClassLaw:
    """The law of a row given the class; arrays, or tensors of a model.

    Leading axes (draws) are allowed and written ``...``.

    Attributes
    ----------
    level : {2, 3, 4}
        See ``LEVELS``.
    probabilities : (..., class)
    z_given_class : (..., class, z_level)
    x_given_class : (..., class, x_level)
    treatment_logit : (..., class, z_tie)
    outcome_predictor : (..., class, x_tie, arm)
        On the scale of the family's link.
    sigma : (...) or None
        Noise sd of a gaussian outcome.
    """

    level: int
    probabilities: Any
    z_given_class: Any
    x_given_class: Any
    treatment_logit: Any
    outcome_predictor: Any
    sigma: Any | None


def collapse(data: MixtureData) -> Patterns:
    """Count the distinct rows of the data.

    Parameters
    ----------
    data : MixtureData
        With one-hot features on both sides.

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
    cells, row, count = np.unique(code, return_inverse=True, return_counts=True)
    z, x, arm, level = np.unravel_index(cells, shape)
    return Patterns(z, x, arm, values[level], count.astype(float), row)


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
        ops.log(law.probabilities)[..., None]
        + ops.log(law.z_given_class)[..., patterns.z]
        + ops.log(law.x_given_class)[..., patterns.x]
    )


def log_joint(law: ClassLaw, patterns: Patterns, family: str, ops: Any = np) -> Any:
    """Log of P(u, z, x, t, y) for every class and pattern.

    Parameters
    ----------
    law : ClassLaw
    patterns : Patterns, m of them
    family : {"bernoulli", "gaussian"}
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
    if family == "bernoulli":
        outcome = patterns.outcome * mean - ops.logaddexp(0.0, mean)
    else:
        sigma = law.sigma[..., None, None] if law.sigma.ndim else law.sigma
        residual = (patterns.outcome - mean) / sigma
        outcome = -0.5 * residual**2 - ops.log(sigma) - 0.5 * math.log(2 * math.pi)
    return log_proxies(law, patterns, ops) + treatment + outcome


def class_law(posterior: xr.Dataset, level: int) -> ClassLaw:
    """Read the law of the classes from posterior draws.

    Parameters
    ----------
    posterior : Dataset, dims (chain, draw, ...)
        Of the model of :func:`build_latent_class`.
    level : {2, 3, 4}
        Of that model.

    Returns
    -------
    ClassLaw
        With leading axes (chain, draw).
    """
    names = [f.name for f in fields(ClassLaw) if f.name not in ("level", "sigma")]
    sigma = posterior["sigma"].to_numpy() if "sigma" in posterior else None
    draws = {name: posterior[name].to_numpy() for name in names}
    return ClassLaw(level=level, sigma=sigma, **draws)


def class_means(law: ClassLaw, family: str) -> Array:
    """E[Y(t) | U=u] on the scale of the outcome.

    Parameters
    ----------
    law : ClassLaw
        Of arrays.
    family : {"bernoulli", "gaussian"}

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
    family : {"bernoulli", "gaussian"}
        Of the outcome; classes and arms share the noise sd of a gaussian one.
    priors : LatentClassPriors

    Returns
    -------
    pymc.Model

    Raises
    ------
    UnsupportedError
        If the family is not one of the two.
    DataError
        If the outcome does not suit the family.
    SpecError
        If the level is unknown.
    """
    if level not in LEVELS:
        raise SpecError(f"level must be one of {sorted(LEVELS)}; got {level!r}.")
    likelihood = outcome_family(family)
    likelihood.check(data.outcome, "outcome")
    with pm.Model(coords=_coords(data, k, level)) as model:
        law = _parameters(data, k, level, likelihood, priors)
        terms = pt.logsumexp(log_joint(law, patterns, family, pt), axis=0)
        pm.Potential("rows", (patterns.count * terms).sum())
    return model


def outcome_family(name: str) -> Family:
    """Return the outcome family of a latent class model.

    Raises
    ------
    SpecError
        If the name is unknown.
    UnsupportedError
        If the family is not implemented here.
    """
    family = get_family(name)
    if name not in OUTCOME_SPREAD:
        raise UnsupportedError(
            f"the latent class model has no {name} outcome; it has "
            f"{' and '.join(sorted(OUTCOME_SPREAD))}."
        )
    return family


def start_point(
    start: StartingValues, data: MixtureData, *, level: int, family: str, priors: LatentClassPriors
) -> dict[str, Array]:
    """Turn starting values into a starting point of the model.

    Parameters
    ----------
    start : StartingValues
    data : MixtureData
    level : {2, 3, 4}
    family : {"bernoulli", "gaussian"}
    priors : LatentClassPriors
        Those of the model.

    Returns
    -------
    dict of str to ndarray
        Values of the free parameters. A gaussian's noise sd is left to its default.
    """
    treated = start.treated_given_zu
    if level == 2:
        treated = (start.z_given_u * treated).sum(axis=1, keepdims=True)
    predictor = logit(start.baseline) if family == "bernoulli" else start.baseline
    centre, spread = _outcome_prior(data, outcome_family(family), priors)
    ties = start.x_given_u.shape[1] if level == 4 else 1
    raw = np.repeat(((predictor - centre) / spread)[:, None, :], ties, axis=1)
    return {
        "probabilities": start.probabilities,
        "z_given_class": start.z_given_u,
        "x_given_class": start.x_given_u,
        "treatment_logit": logit(treated),
        "outcome_raw": raw,
    }


def _coords(data: MixtureData, k: int, level: int) -> dict[str, list[Any]]:
    """Coordinates of the model; a tie that the level excludes has one level."""
    z, x = list(data.z.names), list(data.x.names)
    return {
        CLASS: list(range(k)),
        ARM: list(data.arms),
        Z_LEVEL: z,
        X_LEVEL: x,
        Z_TIE: ["any"] if level == 2 else z,
        X_TIE: x if level == 4 else ["any"],
    }


def _parameters(
    data: MixtureData, k: int, level: int, family: Family, priors: LatentClassPriors
) -> ClassLaw:
    """Add the free parameters to the model in context."""
    concentration = {
        name: np.full((k, len(side.names)), priors.proxy_concentration)
        for name, side in (("z", data.z), ("x", data.x))
    }
    raw = pm.Normal("outcome_raw", 0, 1, dims=(CLASS, X_TIE, ARM))
    centre, spread = _outcome_prior(data, family, priors)
    sigma = None
    if family.name == "gaussian":
        sigma = pm.HalfStudentT("sigma", nu=3, sigma=family.latent_sd(data.outcome))
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
        sigma=sigma,
    )


def _outcome_prior(
    data: MixtureData, family: Family, priors: LatentClassPriors
) -> tuple[float, float]:
    """Mean and sd of the prior of a class mean on the scale of the link."""
    spread = OUTCOME_SPREAD[family.name] * family.latent_sd(data.outcome) * priors.outcome_scale
    return family.offset(data.outcome), spread
