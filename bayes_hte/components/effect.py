"""The second stage of the X-learner: a model of effects, with the other arm imputed.

Stage one is a T-learner, ``f_0`` and ``f_1``. Stage two models the imputed effects

    ``D_i = Y_i - f_0(x_i)`` of treated units by ``tau_1(x)``, ``D_i = f_1(x_i) - Y_i`` of others
    by ``tau_0(x)``,

and blends them draw by draw, ``tau(x) = e(x) tau_0(x) + (1 - e(x)) tau_1(x)``, with e the
propensity. Each draw of stage two belongs to one draw of stage one, so the result spreads over both
stages' uncertainty; stage two cannot feed back into stage one (a cut).

References
----------
Kuenzel, S. R., Sekhon, J. S., Bickel, P. J., Yu, B. (2019). Metalearners for estimating
heterogeneous treatment effects. PNAS 116, 4156-4165. doi:10.1073/pnas.1804597116
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import xarray as xr

from bayes_hte.components.component import Component, Imputations, build_component
from bayes_hte.components.families import get_family
from bayes_hte.components.learners import EFFECT_TERMS
from bayes_hte.components.priors import term_priors
from bayes_hte.names import ARM, SAMPLE
from bayes_hte.study.design import Design
from bayes_hte.study.spec import PriorSpec


def imputed_effects(mu: xr.DataArray, y: np.ndarray, arm: np.ndarray) -> Imputations:
    """Impute each unit's effect from every draw of the first stage.

    Parameters
    ----------
    mu : DataArray, dims (chain, draw, unit, arm)
        Expected outcomes of the first stage.
    y : ndarray, shape (unit,)
        Observed outcome; where it is missing, so is the effect: it is 0 in the table.
    arm : ndarray of int, shape (unit,)
        Arm of each unit.

    Returns
    -------
    Imputations
    """
    reference, other = (mu.isel({ARM: a}).to_numpy() for a in (0, 1))
    table = np.nan_to_num(np.where(arm == 1, y - reference, other - y), nan=0.0)
    return Imputations(table.reshape(-1, y.size), draws=mu.sizes[SAMPLE[1]])


def build_effect(
    design: Design,
    imputations: Imputations,
    *,
    surface: str,
    role: str = "effect",
    priors: Iterable[PriorSpec] = (),
    known: np.ndarray | None = None,
) -> Component:
    """Build the PyMC model of the imputed effects, one function and noise scale for each arm.

    Parameters
    ----------
    design : Design
        Rows of the study; of more than two arms those of one arm and the reference.
    imputations : Imputations
        From :func:`imputed_effects`.
    surface : str
        Form of the functions.
    role : str
        Name of the model; with more than two arms there is one for each arm but the reference.
    priors : iterable of PriorSpec
        Declared changes of the default priors.
    known : ndarray of bool, shape (unit,), optional
        Whether each unit has an outcome, and so an imputed effect.

    Returns
    -------
    Component
    """
    return build_component(
        role,
        imputations.table.mean(axis=0),
        design=design,
        family=get_family("gaussian"),
        surface=surface,
        terms=EFFECT_TERMS,
        priors=term_priors("effect", priors),
        noise="by_arm",
        imputations=imputations,
        known=known,
    )


def blend(tau: xr.DataArray, propensity: xr.DataArray) -> xr.DataArray:
    """Weigh the two arms' effect functions by the propensity, draw by draw.

    Parameters
    ----------
    tau : DataArray, dims (chain, draw, unit, arm)
        Effect functions learned in each arm.
    propensity : DataArray, dims (chain, draw, unit)
        Probability of the non-reference arm.

    Returns
    -------
    DataArray, dims (chain, draw, unit)
    """
    learned = [tau.isel({ARM: arm}, drop=True) for arm in (0, 1)]
    return propensity * learned[0] + (1 - propensity) * learned[1]
