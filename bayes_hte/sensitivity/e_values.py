"""E-values: the strength of a hidden confounder that would explain an average effect away.

The E-value of a risk ratio is the smallest risk ratio that an unmeasured confounder must have with
*both* the treatment and the outcome, given the measured covariates, to move the true ratio to
another value. It is computed in every posterior draw.

**Direction.** The posterior median of the ratio decides in which direction the effect is read. A
draw on the other side of the value it is moved to needs no confounding at all to contradict that
direction: its E-value is 1, and the share of such draws is reported. So a quantile of the E-values
is the E-value of that quantile of the ratio, and where an interval of the ratio covers the value,
the interval of the E-value starts at 1. (If each ratio below 1 were inverted separately, an effect
of unknown sign would get large E-values.)

===========================  ======================================================================
measure                      ratio whose E-value is reported
===========================  ======================================================================
``risk_ratio``               mean outcomes of a binary outcome
``mean_ratio``               mean outcomes of a count or another outcome that is never negative
``standardised_difference``  exp(0.91 d), d the difference of means in standard deviations of the
                             outcome: an approximation for a continuous outcome
===========================  ======================================================================

References
----------
VanderWeele, T. J., Ding, P. (2017). Sensitivity analysis in observational research: introducing the
E-value. Annals of Internal Medicine 167, 268-274. doi:10.7326/M16-2607
Ding, P., VanderWeele, T. J. (2016). Sensitivity analysis without assumptions. Epidemiology 27,
368-377. doi:10.1097/EDE.0000000000000457
Chinn, S. (2000). A simple method for converting an odds ratio to effect size for use in
meta-analysis. Statistics in Medicine 19, 3127-3131.
doi:10.1002/1097-0258(20001130)19:22<3127::AID-SIM784>3.0.CO;2-M
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.checks.base import CheckResult
from bayes_hte.effects.arguments import check_number
from bayes_hte.effects.contrasts import own_mediator
from bayes_hte.effects.summaries import CiKind, interval_parameters, interval_words, summarize
from bayes_hte.errors import DataError, SpecError, unknown_name
from bayes_hte.names import ARM, MEDIATOR_ARM, SAMPLE, UNIT
from bayes_hte.sensitivity.arguments import check_finite

Measure = Literal["risk_ratio", "mean_ratio", "standardised_difference"]

MEASURE_OF_FAMILY: Final[dict[str, Measure]] = {
    "bernoulli": "risk_ratio",
    "poisson": "mean_ratio",
    "negative_binomial": "mean_ratio",
    "gaussian": "standardised_difference",
    "student_t": "standardised_difference",
    # Of restricted mean survival times.
    "lognormal": "standardised_difference",
    "loglogistic": "standardised_difference",
    "log_student_t": "standardised_difference",
    "weibull": "standardised_difference",
    "piecewise_hazard": "standardised_difference",
}
"""The measure that suits an outcome family."""

WORDS: Final[dict[str, str]] = {
    "risk_ratio": "risk ratio",
    "mean_ratio": "ratio of means",
    "standardised_difference": "approximate risk ratio exp(0.91 d) of a standardised difference",
}
# The log odds ratio per standard deviation is 1.81 (Chinn); half of it is the log risk ratio of a
# common outcome (VanderWeele and Ding).
PER_SD: Final = 0.91


@dataclass(frozen=True, eq=False)
class EValue:
    """Posterior of an E-value.

    Attributes
    ----------
    measure : {"risk_ratio", "mean_ratio", "standardised_difference"}
        See the module.
    target : float
        Difference of the arms that the estimate is moved to, in outcome units; 0 for no effect.
    ratio : DataArray, dims (chain, draw)
        The (approximate) risk ratio, second arm over reference arm.
    target_ratio : DataArray, dims (chain, draw)
        The ratio that it is moved to; 1 for no effect.
    draws : DataArray, dims (chain, draw)
        E-values, at least 1.
    prob_other_direction : float
        Share of draws whose ratio lies on the other side of the target than the posterior median.
    """

    measure: Measure
    target: float
    ratio: xr.DataArray
    target_ratio: xr.DataArray
    draws: xr.DataArray
    prob_other_direction: float

    @property
    def approximate(self) -> bool:
        """Whether the ratio is an approximation for a continuous outcome."""
        return self.measure == "standardised_difference"

    @interval_parameters
    def summary(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Return two rows, the ratio and its E-value: posterior median and interval.

        Returns
        -------
        DataFrame, index quantity (``ratio``, ``e_value``)
            ``median``, ``ci_lower``, ``ci_upper``, ``ci_prob``, ``ci_kind``, ``measure``,
            ``target``, ``prob_other_direction``. Means are left out: E-values have a long tail.
        """
        draws = xr.Dataset({"ratio": self.ratio, "e_value": self.draws})
        table = summarize(draws, ci_prob=ci_prob, ci_kind=ci_kind)
        return table[["median", "ci_lower", "ci_upper", "ci_prob", "ci_kind"]].assign(
            measure=self.measure,
            target=self.target,
            prob_other_direction=self.prob_other_direction,
        )

    @interval_parameters
    def check(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> CheckResult:
        """Return the summary as a check that informs without judging.

        Returns
        -------
        CheckResult
            Its ``passed`` is None.
        """
        table = self.summary(ci_prob=ci_prob, ci_kind=ci_kind)
        ratio, value = table.loc["ratio"], table.loc["e_value"]
        goal = "no effect" if self.target == 0 else f"a difference of {self.target:g}"
        text = (
            f"{WORDS[self.measure].capitalize()} {ratio['median']:.2f} "
            f"({interval_words(ci_prob, ci_kind)}, {ratio['ci_lower']:.2f} to "
            f"{ratio['ci_upper']:.2f}). To move it to {goal}, an unmeasured confounder would need "
            f"risk ratios of at least {value['median']:.2f} with both treatment and outcome, given "
            f"the covariates; {value['ci_lower']:.2f} at the nearer end of the interval (1: none "
            f"needed). {self.prob_other_direction:.1%} of the draws lie on the other side of it."
        )
        name = "sensitivity to unmeasured confounding: E-value"
        return CheckResult(name if self.target == 0 else f"{name} for {goal}", None, table, text)


def e_value_of_ratio(ratio: np.ndarray | float) -> np.ndarray:
    """Return the E-value of risk ratios, those below 1 inverted.

    Parameters
    ----------
    ratio : array
        Positive ratios.

    Returns
    -------
    ndarray, shape of `ratio`
        ``r + sqrt(r (r - 1))`` with r the ratio or its inverse, whichever is at least 1.

    Raises
    ------
    DataError
        If a ratio is not a positive finite number.

    Examples
    --------
    >>> from bayes_hte.sensitivity import e_value_of_ratio
    >>> e_value_of_ratio([3.9, 0.8]).round(2).tolist()
    [7.26, 1.81]
    """
    values = np.asarray(ratio, dtype=np.float64)
    if not (np.isfinite(values) & (values > 0)).all():
        raise DataError("a risk ratio must be positive and finite.")
    away = np.maximum(values, 1 / values)
    return away + np.sqrt(away * (away - 1))


def e_value(
    mu: xr.DataArray,
    *,
    measure: Measure,
    outcome_sd: float | None = None,
    target: float = 0.0,
) -> EValue:
    """Return the posterior of the E-value of an average effect.

    Parameters
    ----------
    mu : DataArray, dims (chain, draw, arm) or (chain, draw, unit, arm[, mediator_arm])
        Potential outcomes on the response scale, reference arm first; units are averaged first
        (SATE), and a mediator follows the arm.
    measure : {"risk_ratio", "mean_ratio", "standardised_difference"}
        See the module; :data:`MEASURE_OF_FAMILY` has the one for an outcome family.
    outcome_sd : float, optional
        Standard deviation of the outcome, in outcome units; needed for, and only for,
        ``standardised_difference``. The one within the arms is the usual choice.
    target : float, default 0
        Difference of the arms that the estimate is moved to, signed and in outcome units: 0 for no
        effect, or a minimal important difference. If the estimate falls short of it, the E-value
        is the strength of a confounder that would hide an effect of that size.

    Returns
    -------
    EValue

    Raises
    ------
    DataError
        If `mu` breaks its contract, holds means the measure does not allow, or the target is out
        of reach (a risk outside 0 to 1, a mean that is not positive).
    SpecError
        If `measure` is unknown, `target` is no number, or `outcome_sd` is missing, not positive, or
        not needed.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> from bayes_hte.sensitivity import e_value
    >>> risks = xr.DataArray(np.tile([0.2, 0.4], (2, 50, 1)), dims=("chain", "draw", "arm"))
    >>> e_value(risks, measure="risk_ratio").summary()["median"].round(2).to_dict()
    {'ratio': 2.0, 'e_value': 3.41}
    """
    check_number("target", target, "a finite number, 0 for no effect", np.isfinite)
    _check_measure(measure, outcome_sd)
    means = _arm_means(mu)
    reference, other = (means.isel({ARM: k}, drop=True) for k in (0, 1))
    if measure == "standardised_difference":
        ratio = np.exp(PER_SD * (other - reference) / outcome_sd)
        target_ratio = xr.full_like(ratio, np.exp(PER_SD * target / outcome_sd))
    else:
        moved = reference + target
        _check_means(means, moved, measure, target)
        ratio, target_ratio = other / reference, moved / reference
    relative = ratio / target_ratio
    if float(relative.median()) < 1:
        relative = 1 / relative
    values = relative.copy(data=e_value_of_ratio(np.maximum(relative.to_numpy(), 1.0)))
    attrs = {"population": "SATE", "scale": "risk ratio", "target": target}
    return EValue(
        measure=measure,
        target=target,
        ratio=ratio.rename("ratio"),
        target_ratio=target_ratio.rename("target_ratio"),
        draws=values.rename("e_value").assign_attrs(attrs),
        prob_other_direction=float((relative < 1).mean()),
    )


def _check_measure(measure: str, outcome_sd: float | None) -> None:
    if measure not in WORDS:
        raise unknown_name("measure", measure, WORDS)
    if measure != "standardised_difference":
        if outcome_sd is not None:
            raise SpecError(f"outcome_sd has no part in measure={measure!r}; leave it out.")
    else:
        allowed = "a positive number for a standardised difference"
        check_number("outcome_sd", outcome_sd, allowed, lambda sd: 0 < sd < np.inf)


def _arm_means(mu: xr.DataArray) -> xr.DataArray:
    """Return means by arm, dims (chain, draw, arm)."""
    means = mu.mean(UNIT, dtype=np.float64) if UNIT in mu.dims else mu.astype(np.float64)
    if MEDIATOR_ARM in means.dims:
        if means.sizes[ARM] != means.sizes[MEDIATOR_ARM]:
            raise DataError(f"arm and mediator_arm differ in size: {dict(means.sizes)}.")
        means = own_mediator(means)
    if set(means.dims) != {*SAMPLE, ARM} or means.sizes[ARM] != 2:
        raise DataError(
            f"mean outcomes need dims {(*SAMPLE, ARM)} with two arms, got {dict(mu.sizes)}; pass "
            "fit.potential_outcomes() or its average over units."
        )
    check_finite(means, "mu")
    return means.transpose(*SAMPLE, ARM)


def _check_means(means: xr.DataArray, moved: xr.DataArray, measure: Measure, target: float) -> None:
    """Raise unless every mean, and the mean that is the target, has a ratio."""
    top = 1.0 if measure == "risk_ratio" else np.inf
    needed = "risks between 0 and 1" if measure == "risk_ratio" else "positive means"
    low, high = float(means.min()), float(means.max())
    if low <= 0 or high > top:
        raise DataError(
            f"measure={measure!r} needs {needed}, got {low:.4g} to {high:.4g}; "
            "measure='standardised_difference' has no such limits."
        )
    low, high = float(moved.min()), float(moved.max())
    if low <= 0 or high > top:
        raise DataError(
            f"target={target:g} would move the mean of the second arm to {low:.4g} to {high:.4g}, "
            f"but it needs {needed}; give a target nearer to 0."
        )
