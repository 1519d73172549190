"""Sensitivity of the indirect effect to confounding of mediator and outcome: the correlation rho.

Randomising the treatment does not randomise the mediator. Let, in arm t and at covariates x,

    M = m_t(x) + e_M,    Y = a_t(x) + b_t(x) (M - c(x)) + e_Y,

with errors of standard deviations s_M and s_Y whose correlation is rho, as something unmeasured
moves both. Given the mediator, the outcome has mean

    a_t + b_t (M - c) + rho (s_Y / s_M) (M - m_t)

and standard deviation ``r = s_Y sqrt(1 - rho^2)``: a model fits r and the slope
``b_t + rho s_Y / s_M``. So for an assumed rho the slope behind a fitted one is

    b_t(x; rho) = slope_t(x) - k r / s_M,    k = rho / sqrt(1 - rho^2).

The mean of the outcome at M = m_t(x), and with it the total effect, does not depend on rho. The
indirect effect is ``TNIE(x; rho) = b_1(x; rho) (m_1(x) - m_0(x))``, and its average

    TNIE(rho) = TNIE(0) - k S,    S = average of (m_1(x) - m_0(x)) r / s_M in arm 1,

is zero at exactly one rho, ``k = TNIE(0) / S``. All of this holds in every posterior draw. The
priors are those of the fitted model: of the fitted slope, not of the one behind it.

References
----------
Imai, K., Keele, L., Yamamoto, T. (2010). Identification, inference and sensitivity analysis for
causal mediation effects. Statistical Science 25, 51-71. doi:10.1214/10-STS321
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.checks.base import CheckResult
from bayes_hte.effects.contrasts import decompose
from bayes_hte.effects.summaries import CiKind, interval_parameters, interval_words, summarize
from bayes_hte.errors import DataError, SpecError, UnsupportedError
from bayes_hte.names import ARM, SAMPLE, UNIT
from bayes_hte.sensitivity.arguments import check_average, finite_list

if TYPE_CHECKING:
    from bayes_hte.fitting.fitted import Fit

RHO: Final = tuple(round(-0.9 + 0.05 * k, 2) for k in range(37))


@dataclass(frozen=True, eq=False)
class MediationRho:
    """Posterior of average indirect and direct effects for assumed correlations of the errors.

    Attributes
    ----------
    tnie, pnde : DataArray, dims (chain, draw, rho)
        Total natural indirect and pure natural direct effect, in outcome units.
    te : DataArray, dims (chain, draw)
        Total effect, which does not depend on rho: ``tnie + pnde`` at every rho.
    rho_zero : DataArray, dims (chain, draw)
        The correlation at which the indirect effect of the draw is zero.
    """

    tnie: xr.DataArray
    pnde: xr.DataArray
    te: xr.DataArray
    rho_zero: xr.DataArray

    @interval_parameters
    def summary(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Return one row per effect and rho, as :func:`bayes_hte.plots.plot_rho` draws it.

        Returns
        -------
        DataFrame, index (quantity, rho)
            The columns of :func:`bayes_hte.summarize`, and ``r_squared``: rho squared, the product
            of the shares of the errors' variances that an unmeasured confounder would have to
            explain in mediator and outcome.
        """
        draws = xr.Dataset({"tnie": self.tnie, "pnde": self.pnde})
        table = summarize(draws, ci_prob=ci_prob, ci_kind=ci_kind)
        return table.assign(r_squared=table.index.get_level_values("rho").to_numpy() ** 2)

    @interval_parameters
    def root_summary(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Return the posterior of the rho at which the indirect effect is zero, and of its square.

        Returns
        -------
        DataFrame, index quantity (``rho_zero``, ``r_squared_zero``)
            The columns of :func:`bayes_hte.summarize`.
        """
        draws = xr.Dataset({"rho_zero": self.rho_zero, "r_squared_zero": self.rho_zero**2})
        return summarize(draws, ci_prob=ci_prob, ci_kind=ci_kind)

    @interval_parameters
    def first_covering(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> float | None:
        """Return the rho nearest to 0, of those computed, whose interval of the TNIE covers zero.

        Returns
        -------
        float or None
            None if no interval does; of two equally near the smaller.
        """
        rows = summarize(self.tnie, ci_prob=ci_prob, ci_kind=ci_kind)
        covering = rows.index[(rows["ci_lower"] <= 0) & (rows["ci_upper"] >= 0)]
        return min(map(float, covering), key=abs, default=None)

    @interval_parameters
    def check(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> CheckResult:
        """Return the analysis as a check that informs without judging; its table is `summary`.

        Returns
        -------
        CheckResult
            Its ``passed`` is None.
        """
        root = self.root_summary(ci_prob=ci_prob, ci_kind=ci_kind)
        zero, words = root.loc["rho_zero"], interval_words(ci_prob, ci_kind)
        first = self.first_covering(ci_prob=ci_prob, ci_kind=ci_kind)
        text = (
            "If something unmeasured moves mediator and outcome, their errors are correlated. The "
            f"average indirect effect would be zero at a correlation of {zero['median']:.2f} "
            f"({words}, {zero['ci_lower']:.2f} to {zero['ci_upper']:.2f}), where the unmeasured "
            "explains shares of the two error variances whose product is "
            f"{root.loc['r_squared_zero', 'median']:.2g}. "
        )
        if first is None:
            text += "Its interval covers zero at none of the correlations computed."
        elif first == 0:
            text += "Its interval covers zero without any such correlation."
        else:
            text += f"Its interval covers zero from a correlation of {first:.2g}."
        table = self.summary(ci_prob=ci_prob, ci_kind=ci_kind)
        name = "sensitivity to confounding of mediator and outcome"
        return CheckResult(name, None, table, text)


def rho_sensitivity(
    tnie: xr.DataArray, te: xr.DataArray, shift: xr.DataArray, *, rho: Sequence[float] = RHO
) -> MediationRho:
    """Return average effects for assumed correlations, from averages of a linear mediation model.

    Parameters
    ----------
    tnie, te : DataArray, dims (chain, draw)
        Average total natural indirect and total effect of the fitted model, in outcome units.
    shift : DataArray, dims (chain, draw)
        S of the module, over the same units: average effect of the treatment on the mediator times
        the ratio of the residual standard deviations of outcome and mediator in the second arm.
    rho : sequence of float, default -0.9 to 0.9 by 0.05
        Correlations, increasing, inside (-1, 1).

    Returns
    -------
    MediationRho

    Raises
    ------
    DataError
        If an array is not a finite average, or a draw has neither an indirect effect nor an effect
        on the mediator, so that no rho is special.
    SpecError
        If `rho` is not allowed.

    Examples
    --------
    >>> import xarray as xr
    >>> from bayes_hte.sensitivity import rho_sensitivity
    >>> indirect, total, shift = (
    ...     xr.DataArray([[value] * 4], dims=("chain", "draw")) for value in (0.3, 1.0, 0.4)
    ... )
    >>> found = rho_sensitivity(indirect, total, shift, rho=[0.0, 0.6])
    >>> found.rho_zero.values[0, 0], found.tnie.values[0, 0].round(3).tolist()
    (np.float64(0.6), [0.3, 0.0])
    """
    arrays = {"tnie": tnie, "te": te, "shift": shift}
    for name, values in arrays.items():
        check_average(values, name)
        if values.shape != tnie.shape:
            raise DataError(
                f"{name} must be an average with the draws of tnie, {tnie.shape}, got "
                f"{values.shape}."
            )
    strength = np.hypot(tnie, shift)
    if not bool((strength > 0).all()):
        raise DataError("a draw has no indirect effect and no effect on the mediator at all.")
    grid = _checked_rho(rho)
    by_rho = (tnie - grid / np.sqrt(1 - grid**2) * shift).transpose(*SAMPLE, "rho")
    attrs = tnie.attrs
    return MediationRho(
        tnie=by_rho.rename("tnie").assign_attrs(attrs),
        pnde=(te - by_rho).rename("pnde").assign_attrs({**attrs, "effect": "pnde"}),
        te=te,
        rho_zero=(np.copysign(1.0, shift) * tnie / strength).rename("rho_zero"),
    )


def mediation_rho(
    fit: Fit,
    *,
    rho: Sequence[float] = RHO,
    units: np.ndarray | None = None,
    effects: xr.Dataset | None = None,
) -> MediationRho:
    """Return how confounding of mediator and outcome would change the average indirect effect.

    Parameters
    ----------
    fit : Fit
        Of a mediated study with gaussian outcome and gaussian mediator, whatever surfaces and noise
        models they have. The correlation is assumed to be the same for everybody in the second arm.
    rho : sequence of float, default -0.9 to 0.9 by 0.05
        Correlations, increasing, inside (-1, 1).
    units : ndarray of bool, shape (unit,), optional
        Average over these units (a subgroup) only; default all units of the study (SATE).
    effects : Dataset of DataArray, dims (chain, draw, unit), optional
        ``decompose(fit.potential_outcomes())`` if it exists already; else it is computed.

    Returns
    -------
    MediationRho

    Raises
    ------
    UnsupportedError
        If the study has no mediator or two, or a family is not gaussian.
    SpecError
        If `rho` or `units` is not allowed.

    Examples
    --------
    >>> import numpy as np
    >>> import bayes_hte as hte
    >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
    >>> roles = {"outcome": "y", "treatment": "treat", "mediator": "m"}
    >>> study = hte.Study.from_frame(frame, **roles, covariates=["x1", "x2", "x3"])
    >>> fit = hte.fit(study, seed=1, draws=20, tune=20, chains=2, progress=False)
    >>> found = hte.sensitivity.mediation_rho(fit, rho=[-0.3, 0.0, 0.3])
    >>> dict(found.tnie.sizes)
    {'chain': 2, 'draw': 20, 'rho': 3}
    """
    _check_supported(fit)
    if effects is None:
        effects = decompose(fit.potential_outcomes())
    tnie, te = effects["tnie"], effects["te"]
    shift = tnie.copy(data=_unit_shift(fit))
    kept = _unit_mask(units, tnie.sizes[UNIT])
    population = "SATE" if units is None else f"the {int(kept.sum())} units chosen"
    averages = [
        values.isel({UNIT: kept}).mean(UNIT, dtype=np.float64).assign_attrs(values.attrs)
        for values in (tnie, te, shift)
    ]
    named = [values.assign_attrs(population=population) for values in averages]
    return rho_sensitivity(*named, rho=rho)


def _unit_shift(fit: Fit) -> np.ndarray:
    """Effect on the mediator times the ratio of residual sds in arm 1, (chain, draw, unit)."""
    outcome, mediator = fit.components["outcome"], fit.components["mediator"]
    means = mediator.linear_predictor().base
    moved = (means.isel({ARM: 1}) - means.isel({ARM: 0})).to_numpy()
    # The noise may differ between arms and units; the indirect effect needs that of arm 1.
    residual, spread = (c.noise(c.design.under(1))["sigma"] for c in (outcome, mediator))
    return moved * residual / spread


def _check_supported(fit: Fit) -> None:
    fit.study.check_two_arms("the sensitivity to a correlation of the errors")
    if "mediator" not in fit.components:
        raise UnsupportedError(
            "this study has no mediator; for confounding of treatment and outcome use e_value or "
            "tipping_point."
        )
    if "mediator_2" in fit.components:
        fit.study.check_one_mediator("sensitivity to confounding of mediator and outcome")
    families = {role: fit.components[role].family.name for role in ("outcome", "mediator")}
    if set(families.values()) != {"gaussian"}:
        raise UnsupportedError(
            "the sensitivity to a correlation of the errors is available for a gaussian outcome "
            f"with a gaussian mediator, got {families['outcome']} and {families['mediator']}."
        )


def _checked_rho(rho: Sequence[float]) -> xr.DataArray:
    grid = finite_list(rho)
    if grid is None or (np.abs(grid) >= 1).any() or (np.diff(grid) <= 0).any():
        raise SpecError(f"rho must hold increasing correlations inside (-1, 1), got {rho!r}.")
    return xr.DataArray(grid, dims="rho", coords={"rho": grid})


def _unit_mask(units: np.ndarray | None, n_units: int) -> np.ndarray:
    if units is None:
        return np.ones(n_units, dtype=bool)
    mask = np.asarray(units)
    if mask.dtype != bool or mask.shape != (n_units,) or not mask.any():
        raise SpecError(
            f"units must be True or False for each of {n_units} units, with at least one True."
        )
    return mask
