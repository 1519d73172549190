"""Tipping points: the bias that would change the conclusion.

A confounder U that nobody measured, whose mean differs by ``delta`` between the arms at equal
covariates (for a binary U: the difference in prevalence) and which moves the outcome by ``gamma``
per unit of U in both arms, biases an average difference by ``gamma * delta``. The posterior less
that bias, draw by draw, is the posterior had U been measured; nothing else of U matters. The
formula is exact where U acts additively on the mean of the outcome, whatever the outcome.

To show which bias is large, the measured covariates take the place of U: their difference between
the arms times their coefficient in a linear model of the outcome.

References
----------
Lin, D. Y., Psaty, B. M., Kronmal, R. A. (1998). Assessing the sensitivity of regression results to
unmeasured confounders in observational studies. Biometrics 54, 948-963. doi:10.2307/2533848
VanderWeele, T. J., Arah, O. A. (2011). Bias formulas for sensitivity analysis of unmeasured
confounding for general outcomes, treatments, and confounders. Epidemiology 22, 42-52.
doi:10.1097/EDE.0b013e3181f74493
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.checks.base import CheckResult
from bayes_hte.companions.inputs import numbers, treated
from bayes_hte.effects.arguments import Better, benefit_sign
from bayes_hte.effects.averages import probability_of_benefit
from bayes_hte.effects.summaries import CiKind, interval_parameters, interval_words, summarize
from bayes_hte.errors import DataError, SpecError
from bayes_hte.names import SAMPLE
from bayes_hte.sensitivity.arguments import check_average, finite_list
from bayes_hte.study.encoding import Encoding
from bayes_hte.study.frames import column, names_given

LEVELS = (0.95, 0.5)


@dataclass(frozen=True, eq=False)
class TippingPoint:
    """Biases that would tip a conclusion about an average effect.

    Attributes
    ----------
    bias_needed : DataArray, dims (chain, draw)
        Bias that would have to be in the estimate for the true effect to be exactly 0, or exactly
        `beyond` in the direction of benefit: the effect less that value, in outcome units.
    probability : DataFrame, one row per point of the grid
        ``gamma``, ``delta``, ``bias`` (their product, outcome units) and ``prob_benefit``: the
        posterior probability that the effect is beneficial by more than `beyond` once the bias is
        removed.
    tips : DataFrame, index level
        ``bias``: the smallest bias in the direction of benefit, in outcome units, that takes this
        probability below the level; ``reached``: whether the level is reached without bias. Where
        it is not, `bias` points the other way: only confounding that hid a benefit would reach it.
    benchmarks : DataFrame or None, index covariate
        The covariates in the place of U, with ``prob_benefit``: the probability left if an equally
        strong confounder had flattered the effect.
    better : {"higher", "lower"}
        Which direction of the outcome is good for the patient.
    beyond : float
        The margin, in outcome units and at least 0.
    """

    bias_needed: xr.DataArray
    probability: pd.DataFrame
    tips: pd.DataFrame
    benchmarks: pd.DataFrame | None
    better: Better
    beyond: float

    @interval_parameters
    def summary(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> pd.DataFrame:
        """Return one row: the posterior of the bias needed.

        Returns
        -------
        DataFrame, index quantity
            The columns of :func:`bayes_hte.summarize`, ``better`` and ``beyond``; outcome units.
        """
        table = summarize(self.bias_needed, ci_prob=ci_prob, ci_kind=ci_kind)
        return table.drop(columns="prob_positive").assign(better=self.better, beyond=self.beyond)

    @interval_parameters
    def check(self, *, ci_prob: float = 0.95, ci_kind: CiKind = "eti") -> CheckResult:
        """Return the tips as a check that informs without judging; its table is `tips`.

        Returns
        -------
        CheckResult
            Its ``passed`` is None.
        """
        row = self.summary(ci_prob=ci_prob, ci_kind=ci_kind).iloc[0]
        parts = [
            f"The true effect would be {self._margin_words()} if hidden confounding had biased the "
            f"estimate by {row['mean']:.3g} ({interval_words(ci_prob, ci_kind)}, "
            f"{row['ci_lower']:.3g} to {row['ci_upper']:.3g})."
        ]
        aim = "benefit" if self.beyond == 0 else "a larger benefit"
        for level, tip in self.tips.iterrows():
            parts.append(
                f"A bias of {tip['bias']:.3g} would take the probability of {aim} below {level:g}."
                if tip["reached"]
                else f"The probability of {aim} is below {level:g} without any bias."
            )
        if self.benchmarks is not None:
            worst = self.benchmarks["prob_benefit"].idxmin()
            left = self.benchmarks.loc[worst, "prob_benefit"]
            parts.append(
                f"A confounder as strong as {worst} would leave this probability at {left:.2g}."
            )
        name = "sensitivity to unmeasured confounding: tipping point"
        return CheckResult(name, None, self.tips, " ".join(parts))

    def _margin_words(self) -> str:
        return "zero" if self.beyond == 0 else f"a benefit of exactly {self.beyond:g}"


def tipping_point(
    effect: xr.DataArray,
    *,
    better: Better,
    gamma: Sequence[float] | np.ndarray,
    delta: Sequence[float] | np.ndarray,
    beyond: float = 0.0,
    levels: Sequence[float] = LEVELS,
    benchmarks: pd.DataFrame | None = None,
) -> TippingPoint:
    """Remove the bias of a hidden confounder from an average effect, over a grid of strengths.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw)
        Draws of an average effect (for instance ``average(cate(mu))``), in outcome units.
    better : {"higher", "lower"}
        Which direction of the outcome is good for the patient.
    gamma : sequence of float
        Effects of the confounder on the outcome, in outcome units per unit of U. With positive
        `delta`, only a `gamma` in the direction of benefit can have flattered the treatment.
    delta : sequence of float
        Differences of the mean of U between the arms, other arm minus reference arm: prevalences
        for a binary U (-1 to 1), standard deviations for a standardised one.
    beyond : float, default 0
        The effect must be beneficial by more than this margin, for instance the minimal important
        difference; in outcome units.
    levels : sequence of float, default (0.95, 0.5)
        Probabilities whose tipping points are sought, each in (0, 1).
    benchmarks : DataFrame, optional
        From :func:`benchmark_covariates`, for the same contrast.

    Returns
    -------
    TippingPoint

    Raises
    ------
    DataError
        If `effect` is not a finite average, or the grid is empty or not finite.
    SpecError
        If `better`, `beyond` or a level is not allowed.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> from bayes_hte.sensitivity import tipping_point
    >>> effect = xr.DataArray(np.linspace(0, 1, 100)[None], dims=("chain", "draw"))
    >>> found = tipping_point(effect, better="higher", gamma=[0.5, 1.0], delta=[0.2])
    >>> found.tips["bias"].round(2).to_dict()
    {0.95: 0.05, 0.5: 0.51}
    """
    check_average(effect, "effect")
    inside = finite_list(levels)
    if inside is None or not ((inside > 0) & (inside < 1)).all():
        raise SpecError(f"levels must be probabilities inside (0, 1), got {levels!r}.")
    grid = {name: _grid(values, name) for name, values in (("gamma", gamma), ("delta", delta))}
    effect = effect.transpose(*SAMPLE).astype(np.float64)
    sign = benefit_sign(better)
    # Also checks `beyond`.
    kept = float(probability_of_benefit(effect, better=better, beyond=beyond))
    bias_needed = (effect - sign * beyond).rename("bias_needed").assign_attrs(effect.attrs)
    needed = np.sort(sign * bias_needed.to_numpy().ravel())
    points = pd.MultiIndex.from_product(grid.values(), names=grid).to_frame(index=False)
    points["bias"] = points["gamma"] * points["delta"]
    points["prob_benefit"] = _left(needed, sign * points["bias"].to_numpy())
    tips = {lv: {"bias": sign * _tip(needed, lv), "reached": kept >= lv} for lv in levels}
    if benchmarks is not None:
        strength = benchmarks["bias"].abs()
        benchmarks = benchmarks.assign(prob_benefit=_left(needed, strength.to_numpy()))
    return TippingPoint(
        bias_needed=bias_needed,
        probability=points,
        tips=pd.DataFrame.from_dict(tips, orient="index").rename_axis("level"),
        benchmarks=benchmarks,
        better=better,
        beyond=beyond,
    )


def benchmark_covariates(
    frame: pd.DataFrame, *, outcome: str, treatment: str, covariates: Sequence[str]
) -> pd.DataFrame:
    """Measure each covariate as if it were the confounder: difference between arms, coefficient.

    Numeric covariates are in their standard deviations over all units, levels of a categorical one
    (but its first) in prevalences. Coefficients are those of one least-squares model of the outcome
    with the treatment and all covariates.

    Parameters
    ----------
    frame : DataFrame, shape (unit, ...)
        One row per unit.
    outcome, treatment : str
        Columns; the treatment is coded 0/1.
    covariates : sequence of str
        Columns.

    Returns
    -------
    DataFrame, index covariate
        ``delta``: mean of the treated minus mean of the controls; ``gamma``: coefficient, in
        outcome units; ``bias``: their product, for a hidden confounder exactly as imbalanced as the
        covariate is; ``delta_adjusted``: the difference at equal values of all other covariates;
        ``bias_if_omitted``: `gamma` times that, by which the linear estimate would change if the
        covariate were left out.

    Raises
    ------
    DataError
        If a column cannot be used, or the columns are constant or collinear.

    Examples
    --------
    >>> import numpy as np
    >>> import bayes_hte as hte
    >>> frame = hte.simulate_mediation(np.random.default_rng(1), n=60).frame
    >>> columns = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2", "x3"]}
    >>> hte.sensitivity.benchmark_covariates(frame, **columns).index.tolist()
    ['x1', 'x2', 'x3']
    """
    covariates = names_given(covariates, "covariate")
    y, arm = numbers(frame, outcome, "outcome"), treated(frame, treatment)
    columns = pd.DataFrame({name: column(frame, name, "covariate") for name in covariates})
    x = Encoding.learn(columns).standardized(columns)
    matrix = np.column_stack([np.ones(len(y)), arm, x.to_numpy()])
    if np.linalg.matrix_rank(matrix) < matrix.shape[1]:
        raise DataError(
            "the covariates are constant or collinear (with each other or with the treatment), so "
            "their coefficients have no meaning; leave out the redundant ones."
        )
    coefficients = np.linalg.lstsq(matrix, y)[0][2:]
    # Coefficients of one column on all others: minus its row of the inverse Gram matrix, over the
    # diagonal.
    factor = np.linalg.inv(np.linalg.qr(matrix, mode="r"))
    inverse = factor @ factor.T
    adjusted = -inverse[2:, 1] / np.diag(inverse)[2:]
    delta = (x[arm].mean() - x[~arm].mean()).to_numpy()
    table = {
        "delta": delta,
        "gamma": coefficients,
        "bias": delta * coefficients,
        "delta_adjusted": adjusted,
        "bias_if_omitted": adjusted * coefficients,
    }
    return pd.DataFrame(table, index=x.columns.rename("covariate"))


def _grid(values: Sequence[float] | np.ndarray, name: str) -> np.ndarray:
    array = finite_list(values)
    if array is None:
        raise DataError(f"{name} must be a list of finite numbers, got {values!r}.")
    return array


def _left(needed: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Share of draws that still benefit once biases towards benefit are removed (needed sorted)."""
    return 1 - np.searchsorted(needed, bias, side="right") / needed.size


def _tip(needed: np.ndarray, level: float) -> float:
    """Smallest bias towards benefit at which fewer than `level` of the draws are left above it."""
    # So many draws may be left; rounding, as 0.07 * 100 is 7.000000000000001.
    allowed = int(np.ceil(round(level * needed.size, 9))) - 1
    return float(needed[needed.size - 1 - allowed])
