"""A stand-in for the full model, refitted in about a second: conjugate Gaussian processes.

Outcome and mediator are normal with a mean of functions of the covariates,

    ``M = mu_M(x) + (w - 1/2) a(x) + e``,
    ``Y = mu_Y(x) + (w - 1/2) zeta(x) + g c + (M - c) (b(x) + (w - 1/2) k) + e``,

with c the expectation of a unit's mediator in its own arm from all other units. Every function is a
constant plus Gaussian processes: one linear in the covariates, one bent along each covariate
(Brownian motion on ranks) and, except for b, one of all pairs of covariates; each has a variance of
its own.
Variances are at their most probable values and given them the posterior is normal, so draws are
exact: no chains, no tuning. Where the levels of a covariate have means of their own (`means_by`),
each has its own wide constants (g among them), and linear trends of its own in mu and in a (or
zeta). The indirect effect is ``a(x) (b(x) + k / 2)`` in every draw. The total effect is that of the
second line without mediator.

It models *means*: a 0/1 outcome gets a linear probability model, a skewed one normal noise.
Variances at their most probable values make its posterior narrower than that of the full model. It
serves to estimate how often a rule claims differences where there are none; it is not a model to
report.

References
----------
Rasmussen, C. E., Williams, C. K. I. (2006). Gaussian Processes for Machine Learning. MIT Press.
Durrande, N., Ginsbourger, D., Roustant, O. (2012). Additive covariance kernels for high-dimensional
Gaussian process modeling. Annales de la Faculte des Sciences de Toulouse 21, 481-499.
doi:10.5802/afst.1342
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np
import xarray as xr

from bayes_hte.errors import unknown_name
from bayes_hte.names import CHAIN, DRAW, EFFECTS, SAMPLE, UNIT
from bayes_hte.study.frames import with_columns
from bayes_hte.study.study import Study
from bayes_hte.subgroups.nulls.stand_in_kernels import kernels_at_units
from bayes_hte.subgroups.nulls.stand_in_mean import (
    OF_MEDIATOR,
    Mean,
    SplitMediator,
    fit_mean,
    times,
)

StandInEffect = Literal["te", "tnie"]
EFFECT_NAMES = get_args(StandInEffect)


def stand_in_refit(
    effect: StandInEffect, *, draws: int = 400, means_by: str | None = None
) -> Callable[[Study, int], xr.DataArray]:
    """Return a function that fits the stand-in to a study and draws an effect of its units.

    Parameters
    ----------
    effect : {"te", "tnie"}
        Total effect, or indirect effect in a study with a mediator.
    draws : int, default 400
        Posterior draws.
    means_by : str, optional
        A covariate whose levels have constants of their own, as in :func:`bayes_hte.fit`.

    Returns
    -------
    callable (Study, int) -> DataArray, dims (chain, draw, unit)
        In outcome units; the seed decides only the draws. Other processes can receive it.

    Raises
    ------
    SpecError
        If the effect is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> import bayes_hte as hte
    >>> from bayes_hte.subgroups import stand_in_refit
    >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
    >>> study = hte.Study.from_frame(frame, outcome="y", treatment="treat", covariates=["x1"])
    >>> stand_in_refit("te", draws=50)(study, 1).sizes["unit"]
    60
    """
    if effect not in EFFECT_NAMES:
        raise unknown_name("effect", effect, EFFECT_NAMES)
    return partial(_effect_draws, effect=effect, size=draws, means_by=means_by)


def _effect_draws(
    study: Study, seed: int, *, effect: str, size: int, means_by: str | None
) -> xr.DataArray:
    study.check_two_arms("the stand-in in closed form")
    rng, ones = np.random.default_rng(seed), np.ones(study.n_units)
    kernels, w = kernels_at_units(study, means_by), study.arm_index() - 0.5
    if effect == "te":
        outcome = fit_mean(study.outcome(), kernels, w, functions=("shared", "effect"))
        values = outcome.draws({"effect": ones}, size, rng)
    else:
        mediator = fit_mean(study.mediator(), kernels, w, functions=("shared", "effect"))
        m = study.mediator()
        split = SplitMediator.split(m, mediator.without_each(m), w)
        outcome = fit_mean(study.outcome(), kernels, w, split)
        slope = outcome.draws({"slope": ones, "slope_by_arm": ones / 2}, size, rng)
        values = mediator.draws({"effect": ones}, size, rng) * slope
    return xr.DataArray(
        values[np.newaxis],
        dims=(*SAMPLE, UNIT),
        coords={CHAIN: [0], DRAW: np.arange(size), UNIT: study.units},
        name=effect,
        attrs={
            "effect": effect,
            "long_name": EFFECTS[effect][0],
            "contrast": study.contrast,
            "scale": "response",
        },
    )


@dataclass(frozen=True, eq=False)
class StandInNull:
    """Posterior-predictive studies under an effect that is the same for everybody.

    Attributes
    ----------
    outcome : Mean
        Outcome model whose effect (and slope of the mediator) is a constant.
    mediator : Mean or None
        Mediator model likewise.
    """

    outcome: Mean
    mediator: Mean | None

    def __call__(self, study: Study, rng: np.random.Generator) -> Study:
        """Return the study with outcome, and mediator, drawn anew for the same units and arms."""
        w, roles = study.arm_index() - 0.5, study.roles
        columns, split = {}, None
        if self.mediator is not None:
            drawn = _predict(self.mediator, w, None, rng)
            expected = self.mediator.center + self.mediator.mean(self.mediator.times)
            columns[roles.mediator], split = drawn, SplitMediator.split(drawn, expected, w)
        columns[roles.outcome] = _predict(self.outcome, w, split, rng)
        return study.alike(with_columns(study.frame, columns))


def stand_in_null(study: Study) -> StandInNull:
    """Fit the stand-in without effect modification, to draw studies from it.

    Parameters
    ----------
    study : Study
        The user's own study.

    Returns
    -------
    StandInNull
        Outcome and mediator are normal in the studies that it draws, whatever they are in the
        study.
    """
    study.check_two_arms("the stand-in in closed form")
    kernels, w = kernels_at_units(study), study.arm_index() - 0.5
    options = {"constants_only": ("effect", *OF_MEDIATOR)}
    if study.roles.mediator is None:
        outcome = fit_mean(study.outcome(), kernels, w, functions=("shared", "effect"), **options)
        return StandInNull(outcome, None)
    m = study.mediator()
    mediator = fit_mean(m, kernels, w, functions=("shared", "effect"), **options)
    split = SplitMediator.split(m, mediator.without_each(m), w)
    functions = ("shared", "effect", "expected", "slope")
    outcome = fit_mean(study.outcome(), kernels, w, split, functions=functions, **options)
    return StandInNull(outcome, mediator)


def _predict(
    mean: Mean, w: np.ndarray, mediator: SplitMediator | None, rng: np.random.Generator
) -> np.ndarray:
    """Draw one outcome per unit."""
    at = times(mean.times, w, mediator)
    noise = mean.unit * np.sqrt(mean.noise) * rng.normal(size=w.size)
    return mean.center + mean.draws(at, 1, rng)[0] + noise
