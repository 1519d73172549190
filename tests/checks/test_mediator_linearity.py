"""A bend of the outcome in the mediator is found; straight lines are left alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayes_hte as hte
from bayes_hte.checks import Subject, mediator_linearity
from bayes_hte.checks.mediator_linearity import (
    ALPHA,
    NAME,
    MediatedRows,
    added_p_value,
)
from bayes_hte.checks.mediator_linearity import (
    mediator_linearity as judge_line,
)
from bayes_hte.trust.rule import _is_decisive, judge

SIZE = {"draws": 60, "tune": 40, "chains": 2, "cores": 1, "progress": False}


def trial(seed: int, *, bend: float = 0.0, n: int = 300) -> pd.DataFrame:
    """A trial whose outcome is a line in m with another slope for each x1, plus a bend."""
    rng = np.random.default_rng(seed)
    x1, x2, u, noise = rng.normal(size=(4, n))
    arm = rng.permutation(np.arange(n) % 2)
    m = 0.6 * arm + 0.5 * x1 + u
    y = 0.3 * arm + 0.4 * x2 + (0.7 + 0.3 * x1) * m + bend * m**2 + noise
    return pd.DataFrame({"y": y, "arm": arm, "m": m, "x1": x1, "x2": x2})


def checked(frame: pd.DataFrame, seed: int, **options):
    roles = {"outcome": "y", "treatment": "arm", "covariates": ["x1", "x2"], "mediator": "m"}
    study = hte.Study.from_frame(frame, **roles)
    fit = hte.fit(study, seed=seed, surface="linear", **SIZE, **options)
    return mediator_linearity.check(Subject(fit, fit.effects()))


def simulated(seed: int, *, n: int = 300) -> tuple[MediatedRows, np.ndarray]:
    rng = np.random.default_rng(seed)
    x, arm = rng.normal(size=(n, 4)), np.arange(n) % 2
    expected = 0.5 * arm + 0.5 * x[:, 0]
    m = expected + rng.normal(size=n)
    return MediatedRows(m[:, None], expected[:, None], x, arm), rng.normal(size=n)


# ---------------------------------------------------------------- fits


@pytest.mark.parametrize("seed", range(3))
def test_a_line_whose_slope_differs_between_units_is_left_alone(seed):
    (result,) = checked(trial(seed), seed)
    assert (result.name, result.passed) == (NAME, True)
    assert float(result.table["p"].iloc[0]) >= ALPHA


def test_a_square_is_found_and_is_a_caution():
    (result,) = checked(trial(1, bend=0.4), 1)
    assert result.passed is False
    # Off the line upwards at both ends, downwards between them.
    assert (result.table["middle third"] < 0).all()
    assert (result.table["highest third"] > 0).all()
    assert "mediator_shape='spline'" in result.text
    assert "transform 'm'" in result.text
    assert "averages over a straight line" in result.text
    assert not _is_decisive(result)
    assert result in judge([result]).cautions


def test_the_residuals_of_other_families_show_it_too():
    frame = trial(2, bend=0.6, n=600)
    frame["y"] = (frame["y"] > frame["y"].median()).astype(int)
    assert checked(frame, 2, family="bernoulli")[0].passed is False


def test_of_a_mediator_of_two_values_it_is_said_that_nothing_is_judged():
    frame = trial(3).assign(m=lambda f: (f.m > 0).astype(int))
    (result,) = checked(frame, 3, mediator_family="bernoulli")
    assert result.passed is None
    assert "'m' has two values" in result.text


def test_without_a_mediator_there_is_nothing_to_judge(plain_fit):
    assert mediator_linearity.check(Subject(plain_fit, plain_fit.effects())) == ()


# ---------------------------------------------------------------- the test itself


def test_lines_are_refuted_as_rarely_as_it_says():
    found = [judge_line(stats.norm.cdf(z), rows).passed for rows, z in map(simulated, range(300))]
    # At a size of .01 more than 9 of 300 have a probability of .001.
    assert found.count(False) <= 9


def test_noise_that_grows_with_the_mediator_is_no_bend():
    made = [simulated(seed) for seed in range(200)]
    wide = [stats.norm.cdf(z * np.exp(0.4 * rows.mediators[:, 0])) for rows, z in made]
    found = [judge_line(pit, rows).passed for pit, (rows, _) in zip(wide, made, strict=True)]
    assert found.count(False) <= 10


def test_a_curve_of_the_covariates_is_no_bend_of_the_mediator():
    found = []
    for rows, z in map(simulated, range(100)):
        found.append(judge_line(stats.norm.cdf(0.4 * (rows.expected[:, 0] ** 2) + z), rows).passed)
    assert found.count(False) <= 5


def test_the_added_columns_have_the_p_value_of_a_regression():
    rng = np.random.default_rng(4)
    x, noise = rng.normal(size=(2, 20_000))
    y, base = 0.02 * x + noise, np.ones((x.size, 1))
    # With equal noise and many units the robust variance is the plain one.
    plain = stats.linregress(x, y).pvalue
    assert added_p_value(y, x[:, None], beside=base) == pytest.approx(plain, rel=0.1)
    assert added_p_value(y, 2 * base, beside=base) == 1.0


def test_too_few_units_and_broken_predictions_are_said():
    rows, z = simulated(5, n=30)
    few = judge_line(stats.norm.cdf(z), rows)
    assert (few.passed, "30 units are too few" in few.text) == (False, True)
    rows, z = simulated(6)
    z[3] = np.nan
    broken = judge_line(stats.norm.cdf(z), rows)
    assert (broken.passed, "1 left-out outcomes" in broken.text) == (False, True)


def test_each_of_two_mediators_is_judged_by_itself():
    rows, z = simulated(7)
    second = np.random.default_rng(8).normal(size=(300, 1))
    both = MediatedRows(
        np.hstack([rows.mediators, second]),
        np.hstack([rows.expected, np.zeros((300, 1))]),
        rows.covariates,
        rows.arm,
    )
    pit = stats.norm.cdf((z + 0.5 * (second[:, 0] ** 2 - 1)) / 1.2)
    first, other = (judge_line(pit, both, which=i, names=("a", "b")) for i in (0, 1))
    assert (first.name, first.passed) == (f"{NAME}: a", True)
    assert (other.name, other.passed) == (f"{NAME}: b", False)
