"""Whether the outcome is a straight line in the mediator, as outcome models have it by default.

The line may have another slope in each arm and for each profile of covariates, and its height is
any function of them. So only a bend in what arm and covariates leave open of the mediator speaks
against it. The outcomes, put on the normal scale by the probabilities that left-out predictions
give them (quantile residuals, which every family has), are regressed within arms on quadratic
splines of the mediator, beside what the model can follow: the covariates, the splines of the
expected mediator, and products of both with the mediator's deviation. A Wald test asks whether the
splines add anything; its variance (HC3) allows noise that is not the same everywhere.

References
----------
Dunn, P. K., Smyth, G. K. (1996). Randomized quantile residuals. Journal of Computational and
Graphical Statistics 5, 236-244. doi:10.1080/10618600.1996.10474708
Long, J. S., Ervin, L. H. (2000). Using heteroscedasticity consistent standard errors in the linear
regression model. The American Statistician 54, 217-224. doi:10.1080/00031305.2000.10474549
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.preprocessing import SplineTransformer

from bayes_hte.checks.base import CheckResult, not_judged
from bayes_hte.checks.loo_pit import subject_probabilities
from bayes_hte.checks.subject import Subject

NAME = "linearity in the mediator"
# A straight line is refuted falsely in about this share of studies.
ALPHA = 0.01
# Both ends and the median: one bend, or one turn, within what was seen of the mediator.
KNOTS = (0.0, 0.5, 1.0)
# Covariates are columns of the regression only where there are this many units for each.
UNITS_PER_COLUMN = 10
FEWEST_FREE = 20
# Quantile residuals stop at about 5 standard deviations.
EDGE = 1e-6
THIRDS = ("lowest third", "middle third", "highest third")


def check(subject: Subject) -> tuple[CheckResult, ...]:
    """Judge each mediator of a fit, if it has any; see :func:`mediator_linearity`."""
    names = subject.study.roles.mediators
    if not names:
        return ()
    study, design = subject.study, subject.fit.components["outcome"].design
    known = study.known_outcome()
    values = MediatedRows(
        mediators=study.mediators()[known],
        expected=design.expected_mediators[known],
        covariates=np.nan_to_num(design.standardized("covariates").to_numpy(dtype=float)[known]),
        arm=study.arm_index()[known],
    )
    pit = subject_probabilities(subject)
    how = {"names": names, "arm_names": subject.arm_names, "shape": subject.fit.plan.mediator_shape}
    return tuple(mediator_linearity(pit, values, which=i, **how) for i in range(len(names)))


@dataclass(frozen=True)
class MediatedRows:
    """The columns of the units that the outcome model saw.

    Attributes
    ----------
    mediators : ndarray, shape (unit, mediator)
        As observed.
    expected : ndarray, shape (unit, mediator)
        Their expectations given arm and covariates, without the unit.
    covariates : ndarray, shape (unit, column)
        Encoded and standardised.
    arm : ndarray of int, shape (unit,)
        0 is the reference.
    """

    mediators: np.ndarray
    expected: np.ndarray
    covariates: np.ndarray
    arm: np.ndarray


def mediator_linearity(
    pit: np.ndarray,
    rows: MediatedRows,
    *,
    which: int = 0,
    names: Sequence[str] = ("mediator",),
    arm_names: tuple[str, str] = ("0", "1"),
    shape: str = "linear",
) -> CheckResult:
    """Judge whether left-out outcomes bend in a mediator more than the fitted model does.

    Parameters
    ----------
    pit : ndarray, shape (unit,)
        Probability integral transforms of the outcomes under predictions without the unit, from
        :func:`bayes_hte.checks.loo_pit.left_out_probabilities`.
    rows : MediatedRows
        The same units.
    which : int, default 0
        Which of the mediators.
    names : sequence of str
        Names of the mediators.
    arm_names : tuple of str
        Names of the arms.
    shape : {"linear", "spline"}
        That of the fitted model in its mediator.

    Returns
    -------
    CheckResult
        Fails if the p-value of that shape is below .01. One row per arm: mean quantile residuals
        (in standard deviations of the noise, 0 under that shape) in thirds of the mediator.
        Information for a mediator of two values, on which every function is a line.

    Examples
    --------
    Outcomes that follow the square of a mediator, predicted by a line:

    >>> import numpy as np
    >>> from scipy import stats
    >>> from bayes_hte.checks.mediator_linearity import MediatedRows, mediator_linearity
    >>> rng = np.random.default_rng(1)
    >>> m, noise = rng.normal(size=(2, 300))
    >>> arm, none = np.arange(300) % 2, np.zeros((300, 1))
    >>> rows = MediatedRows(m[:, None], none, none, arm)
    >>> mediator_linearity(stats.norm.cdf(noise), rows).passed
    True
    >>> mediator_linearity(stats.norm.cdf((0.5 * (m**2 - 1) + noise) / 1.2), rows).passed
    False
    """
    said = NAME if len(names) == 1 else f"{NAME}: {names[which]}"
    name, m = names[which], rows.mediators[:, which]
    if not np.isfinite(pit).all():
        bad = int((~np.isfinite(pit)).sum())
        return not_judged(said, f"predictions of {bad} left-out outcomes are no numbers.")
    if np.unique(m).size <= 2:
        text = f"Does not apply: {name!r} has two values, and through two points every line is one."
        return CheckResult(said, None, pd.DataFrame(), text)
    residuals = stats.norm.ppf(np.clip(pit, EDGE, 1 - EDGE))
    splines = _by_arm(_splines(m), rows.arm)
    followed, fewest = _followed(rows), FEWEST_FREE + splines.shape[1]
    if pit.size - np.linalg.matrix_rank(followed) < fewest:
        reason = f"{pit.size} units are too few to see a bend beside what the model can follow."
        return not_judged(said, reason)
    p_value = added_p_value(residuals, splines, beside=followed)
    table = _thirds(residuals, m, rows.arm, arm_names)
    shown = f"p = {p_value:.2g}" if p_value >= 1e-4 else "p < .0001"
    if p_value >= ALPHA:
        beside = "a straight line" if shape == "linear" else "the fitted spline"
        text = f"No bend of the outcome in {name!r} shows beside {beside} ({shown})."
        return CheckResult(said, True, table.assign(p=p_value), text)
    refuted = _refuted(name, shown, table, shape=shape, several=len(names) > 1)
    return CheckResult(said, False, table.assign(p=p_value), refuted)


def added_p_value(y: np.ndarray, columns: np.ndarray, *, beside: np.ndarray) -> float:
    """Return the p-value of columns that are added to a least-squares regression.

    Parameters
    ----------
    y : ndarray, shape (unit,)
        The response.
    columns : ndarray, shape (unit, column)
        Those that are tested together.
    beside : ndarray, shape (unit, other column)
        Those that are in the regression anyway.

    Returns
    -------
    float
        Frequentist: of the Wald test with an HC3 variance and an F distribution. 1 if the columns
        add nothing to the others.

    Examples
    --------
    >>> import numpy as np
    >>> x, noise = np.random.default_rng(1).normal(size=(2, 100))
    >>> one = np.ones((100, 1))
    >>> added_p_value(x + noise, x[:, None], beside=one) < 0.001
    True
    >>> added_p_value(noise, x[:, None], beside=one) > 0.05
    True
    """
    base = _basis(beside)
    added = _basis(columns - base @ (base.T @ columns), like=columns)
    if not added.shape[1]:
        return 1.0
    left = y - base @ (base.T @ y)
    slopes = added.T @ left
    leverage = (base**2).sum(axis=1) + (added**2).sum(axis=1)
    # A unit with a column of its own has no residual, whatever its noise.
    open_share = np.where(leverage < 1 - 1e-9, 1 - leverage, np.inf)
    scaled = added * ((left - added @ slopes) / open_share)[:, None]
    wald = slopes @ np.linalg.pinv(scaled.T @ scaled) @ slopes / added.shape[1]
    free = y.size - base.shape[1] - added.shape[1]
    return float(stats.f.sf(wald, added.shape[1], free))


def _basis(columns: np.ndarray, *, like: np.ndarray | None = None) -> np.ndarray:
    """Return orthonormal columns of the same span, shape (unit, rank)."""
    size = np.linalg.norm(columns if like is None else like, axis=0)
    left, found, _ = np.linalg.svd(columns / np.where(size > 0, size, 1.0), full_matrices=False)
    return left[:, found > 1e-6]


def _splines(values: np.ndarray) -> np.ndarray:
    """Return quadratic spline columns, of which a straight line is one, shape (unit, column)."""
    knots = np.unique(np.quantile(values, KNOTS))
    if knots.size < 2:
        return np.empty((values.size, 0))
    made = SplineTransformer(degree=2, knots=knots[:, None], include_bias=False)
    return np.asarray(made.fit_transform(values[:, None]))


def _by_arm(columns: np.ndarray, arm: np.ndarray) -> np.ndarray:
    return np.hstack([columns * (arm == a)[:, None] for a in (0, 1)])


def _followed(rows: MediatedRows) -> np.ndarray:
    """Return the columns that the outcome model can follow, shape (unit, column)."""
    deviation = rows.mediators - rows.expected
    expected = np.hstack([_splines(e) for e in rows.expected.T])
    lines = np.hstack(
        [deviation, *(deviation[:, [i]] * rows.expected for i in range(deviation.shape[1]))]
    )
    shared = [expected]
    products = [deviation[:, [i]] * rows.covariates for i in range(deviation.shape[1])]
    covariates = np.hstack([rows.covariates, *products])
    if covariates.shape[1] * UNITS_PER_COLUMN <= rows.arm.size:
        shared.append(covariates)
    if deviation.shape[1] > 1:
        shared.append(deviation.prod(axis=1, keepdims=True))
    ones = np.ones((rows.arm.size, 1))
    return np.hstack([_by_arm(np.hstack([ones, lines]), rows.arm), *shared])


def _thirds(
    residuals: np.ndarray, m: np.ndarray, arm: np.ndarray, arm_names: tuple[str, str]
) -> pd.DataFrame:
    """Return the mean residual in thirds of the mediator by arm; NaN for an empty third."""
    third = np.searchsorted(np.quantile(m, (1 / 3, 2 / 3)), m)
    rows = {
        name: {
            "units": int((arm == a).sum()),
            **{
                words: float(own.mean())
                if (own := residuals[(arm == a) & (third == t)]).size
                else np.nan
                for t, words in enumerate(THIRDS)
            },
        }
        for a, name in enumerate(arm_names)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("arm")


def _refuted(name: str, shown: str, table: pd.DataFrame, *, shape: str, several: bool) -> str:
    means = "; ".join(
        f"{arm}: {', '.join(f'{row[t]:+.2f}' for t in THIRDS)}" for arm, row in table.iterrows()
    )
    fitted = "line" if shape == "linear" else "spline"
    found = (
        f"The outcome is no straight line in {name!r} ({shown})"
        if shape == "linear"
        else f"The outcome bends in {name!r} otherwise than the fitted spline ({shown})"
    )
    transform = (
        f"Transform {name!r} so that the line is straight (a logarithm, ranks) and fit again"
    )
    if shape == "linear" and not several:
        follow = (
            "Fit it again with mediator_shape='spline' (in a study file under [outcome]), which "
            f"lets it bend, or transform {name!r} so that the line is straight (a logarithm, ranks)"
        )
    else:
        follow = transform
    return (
        f"{found}: left-out outcomes lie off the "
        f"fitted {fitted}, in its lowest, middle and highest third by {means} standard deviations. "
        f"Indirect and direct effects are averages over a {'straight ' * (shape == 'linear')}"
        f"{fitted} through the bend: about "
        "right on average where arms move the mediator little, wrong for single units at its ends. "
        f"{follow}, or report averages alone. The total effect does not rest on this."
    )
