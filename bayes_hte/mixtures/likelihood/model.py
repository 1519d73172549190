"""The PyMC model of a mixture of classes: the law of a row, with priors.

The class is summed out, so the sampler meets smooth parameters alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from scipy.special import logit

from bayes_hte.components.families import Family, get_family
from bayes_hte.effects.arguments import check_number
from bayes_hte.errors import SpecError
from bayes_hte.mixtures.arrays import Array
from bayes_hte.mixtures.likelihood.law import LEVELS, OUTCOME, ClassLaw, Patterns, log_joint
from bayes_hte.mixtures.moments.data import MixtureData
from bayes_hte.mixtures.moments.start import StartingValues
from bayes_hte.names import ARM, CLASS

Z_LEVEL: Final = "z_level"
X_LEVEL: Final = "x_level"
Z_TIE: Final = "z_tie"
"""Levels of Z that the treatment may depend on: one when there is no Z-T edge."""
X_TIE: Final = "x_tie"
"""Levels of X that the outcome may depend on: one when there is no X-Y edge."""
CLASS_COVARIATE: Final = "class_covariate"
SPREAD_OF_LOCATIONS: Final = 2.0
"""Prior sd of class means on an identity link, in sd of the column.

On other links it is the unit of the family: 1.5 logits, or 1 on the log scale."""


@dataclass(frozen=True)
class MixturePriors:
    """Priors of the mixture model.

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

    Examples
    --------
    >>> from bayes_hte.mixtures import MixturePriors
    >>> MixturePriors(treatment_sd=1.0).treatment_sd
    1.0
    """

    class_concentration: float = 1.0
    proxy_concentration: float = 1.0
    treatment_sd: float = 1.5
    outcome_scale: float = 1.0
    covariate_sd: float = 1.0

    def __post_init__(self) -> None:
        """Refuse values that are not positive numbers."""
        for name, value in vars(self).items():
            check_number(f"prior {name}", value, "a positive number", lambda v: 0 < v < math.inf)


def build_mixture(
    data: MixtureData,
    patterns: Patterns,
    *,
    k: int,
    level: int,
    family: str,
    priors: MixturePriors,
) -> pm.Model:
    """Build the mixture model; nothing is sampled.

    Parameters
    ----------
    data : MixtureData
        Its levels, arms and the scale of the outcome are used.
    patterns : Patterns
        Of `data`.
    k : int
        Number of classes.
    level : {2, 3, 4}
        Of the law, see :data:`~bayes_hte.mixtures.likelihood.law.LEVELS`.
    family : str
        Of the outcome; classes and arms share its other parameters.
    priors : MixturePriors

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
    start: StartingValues, data: MixtureData, *, level: int, family: str, priors: MixturePriors
) -> dict[str, Array]:
    """Turn starting values into a starting point of the model.

    Parameters
    ----------
    start : StartingValues
    data : MixtureData
    level : {2, 3, 4}
    family : str
    priors : MixturePriors
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
    priors: MixturePriors,
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


def _outcome_prior(data: MixtureData, family: Family, priors: MixturePriors) -> tuple[float, float]:
    """Mean and sd of the prior of a class mean on the scale of the link."""
    factor = SPREAD_OF_LOCATIONS if family.linear_mean else 1.0
    spread = factor * family.latent_sd(data.outcome) * priors.outcome_scale
    return family.offset(data.outcome), spread
