"""Means and trends of their own for the levels of a covariate: subgroups named beforehand.

The means are conjugate, so with forests that may do next to nothing the contrast of two levels is
that of four cell means.
"""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes_hte as hte
from bayes_hte.components.learners import LEARNERS, learner_terms
from bayes_hte.components.saved import from_tree, to_tree
from bayes_hte.errors import SpecError, UnsupportedError
from bayes_hte.fitting.plan import Plan, check_plan
from bayes_hte.study.simulation import simulate_scenario
from bayes_hte.study.spec import PriorSpec
from bayes_hte.subgroups.nulls import stand_in_mean
from bayes_hte.subgroups.nulls.stand_in import stand_in_refit
from bayes_hte.subgroups.nulls.stand_in_mean import TREND_VARIANCE
from bayes_hte.surfaces.terms import Term

SIZE = {"seed": 3, "draws": 200, "tune": 100, "chains": 2, "cores": 1, "progress": False}
# Forests that can do next to nothing.
FLAT = tuple(
    PriorSpec("outcome", kind, "no function of covariates", scale=1e-3, trees=1)
    for kind in ("shared", "arm")
)
DIFFERENCE = 1.5


def trial(*, n: int = 120, seed: int = 0) -> hte.Study:
    """A trial whose effect is 1.5 larger in the level "high"; noise of 1."""
    rng = np.random.default_rng(seed)
    high, arm = rng.permutation(np.arange(n) % 2), np.repeat([0, 1], n // 2)
    frame = pd.DataFrame({"x": rng.normal(size=n), "level": np.where(high, "high", "low")})
    y = high + arm * DIFFERENCE * high + rng.normal(size=n)
    return hte.Study.from_frame(
        frame.assign(t=arm, y=y), outcome="y", treatment="t", covariates=["x", "level"]
    )


def contrast(fit: hte.Fit) -> xr.DataArray:
    """Average effect of "high" minus that of "low"."""
    high = (fit.study.frame["level"] == "high").to_numpy()
    cate = fit.cate()
    return cate.isel(unit=high).mean("unit") - cate.isel(unit=~high).mean("unit")


@pytest.fixture(scope="module")
def study():
    return trial()


@pytest.fixture(scope="module")
def fit(study):
    return hte.fit(study, means_by="level", priors=FLAT, **SIZE)


# ---------------------------------------------------------------- what it is


@pytest.mark.parametrize("mediated", [False, True])
@pytest.mark.parametrize(
    "learner", [name for name, learner in LEARNERS.items() if learner.has_means]
)
def test_what_is_the_same_for_all_becomes_the_same_within_a_level(learner, mediated):
    plain = learner_terms(learner, mediated=mediated)
    own = learner_terms(learner, mediated=mediated, means_by="level", levels=("a", "b"))
    constants = [t for t in plain if t.features == "none"]
    assert [t for t in own if t.kind != "trend"] == list(
        learner_terms(learner, mediated=mediated, means_by="level", levels=("a", "b"), trends=False)
    )
    trends = {(t.arm, t.group) for t in own if t.kind == "trend"}
    by_level = {(arm, ("level", level)) for arm in (0, 1) for level in "ab"}
    assert trends == (set() if learner == "homogeneous" else by_level)
    assert len(own) == len(plain) + len(constants) + len(trends)
    assert [t for t in own if t.group is None] == [t for t in plain if t.features != "none"]
    for term in constants:
        named = [t.group for t in own if t.name.startswith(f"{term.name}_") and t.group]
        assert named == [("level", "a"), ("level", "b")]


def test_a_term_of_a_group_acts_in_the_group_alone():
    arm, member = np.array([0, 1, 1, 0]), np.array([True, True, False, False])
    everywhere = Term("a", "shared", group=("level", "a"))
    np.testing.assert_array_equal(everywhere.basis(arm, None, member), [1, 1, 0, 0])
    treated = Term("a", "arm_mean", arm=1, group=("level", "a"))
    np.testing.assert_array_equal(treated.basis(arm, None, member), [0, 1, 0, 0])
    with pytest.raises(ValueError, match="needs the members of"):
        treated.basis(arm, None)


@pytest.mark.slow
def test_the_contrast_of_levels_is_that_of_the_cell_means(fit, study):
    cells = study.frame.pivot_table("y", index="level", columns="t")
    expected = (cells[1] - cells[0]).diff().abs().iloc[-1]
    # The prior of a cell mean has 0.7 standard deviations of y, so 30 units shrink it by 3 in 100.
    assert float(contrast(fit).mean()) == pytest.approx(expected, abs=0.12)
    # Four means of 30 units with noise of 1.
    assert float(contrast(fit).std()) == pytest.approx(2 / np.sqrt(30), rel=0.2)


@pytest.mark.slow
def test_trends_are_the_regressions_of_the_cells(fit, study):
    outcome = fit.components["outcome"]
    sigma, y = float(outcome.posterior["outcome_sigma"].mean()), study.outcome()
    z = study.frame["x"].to_numpy()
    z = (z - z.mean()) / z.std()
    prior = y.std()  # one other covariate
    for arm in (0, 1):
        for i, level in enumerate(("high", "low")):
            cell = (study.frame["level"] == level).to_numpy() & (study.arm_index() == arm)
            # The mean of the cell is free, so the slope is that of a regression with a constant.
            x = z[cell] - z[cell].mean()
            expected = (x @ y[cell]) / (x @ x + (sigma / prior) ** 2)
            drawn = outcome.posterior[f"outcome_trend_{arm}_{i}_coef"]
            assert list(drawn[f"outcome_trend_{arm}_{i}_feature"].to_numpy()) == ["x"]
            assert float(drawn.mean()) == pytest.approx(expected, abs=0.08)
            assert float(drawn.std()) == pytest.approx(sigma / np.sqrt(x @ x), rel=0.25)


@pytest.mark.slow
def test_without_trends_a_direct_effect_goes_into_the_slope_of_the_mediator(monkeypatch):
    # Within the group both effects grow with x1 + x2; the indirect contrast is 1.6.
    errors = {True: [], False: []}
    for seed in range(3):
        rng = np.random.default_rng(seed)
        trial = simulate_scenario("simple_part", rng, n=600, noise=1.0)
        named = trial.frame.assign(group=np.where(trial.in_subgroup, "S", "rest"))
        study = hte.Study.from_frame(
            named,
            outcome="y",
            treatment="treat",
            mediator="m",
            covariates=[*trial.covariates, "group"],
        )
        tnie = trial.effects["tnie"].to_numpy()
        true = tnie[trial.in_subgroup].mean() - tnie[~trial.in_subgroup].mean()
        for trends, variance in ((True, TREND_VARIANCE), (False, {})):
            monkeypatch.setattr(stand_in_mean, "TREND_VARIANCE", variance)
            drawn = stand_in_refit("tnie", means_by="group")(study, seed)
            mean = drawn.mean(("chain", "draw")).to_numpy()
            found = mean[trial.in_subgroup].mean() - mean[~trial.in_subgroup].mean()
            errors[trends].append(found - true)
    assert abs(np.mean(errors[True])) < 0.25
    assert np.mean(errors[False]) > np.mean(errors[True]) + 0.1


def test_trends_have_a_prior_where_there_are_levels(study):
    wider = PriorSpec("outcome", "trend", "steep trends are known here", scale=2.0)
    check_plan(study, Plan(means_by="level", priors=(wider,)))
    with pytest.raises(SpecError, match="has no term 'trend'"):
        check_plan(study, Plan(priors=(wider,)))
    with pytest.raises(SpecError, match="has no term 'trend'"):
        check_plan(study, Plan(means_by="level", surface="gp", priors=(wider,)))
    trees = PriorSpec("outcome", "trend", "a trend is no forest", trees=5)
    with pytest.raises(SpecError, match="is no forest, so trees = 5 means nothing"):
        check_plan(study, Plan(means_by="level", priors=(trees,)))


@pytest.mark.slow
def test_without_them_the_same_model_sees_no_difference(study):
    plain = hte.fit(study, priors=FLAT, stack_with=(), **SIZE)
    assert abs(float(contrast(plain).mean())) < 0.1


@pytest.mark.slow
def test_new_rows_and_saved_draws_give_the_same_numbers(fit, study):
    new = fit.cate(study.frame.iloc[:10])
    np.testing.assert_allclose(new, fit.cate().isel(unit=slice(10)), atol=1e-9)
    saved = to_tree(fit.components["outcome"])
    assert json.loads(saved.attrs["component"])["terms"][0]["group"] == ["level", "high"]
    again = from_tree(saved, study)
    assert again.terms == fit.components["outcome"].terms
    np.testing.assert_allclose(
        again.linear_predictor().base, fit.components["outcome"].linear_predictor().base, atol=1e-9
    )


# ---------------------------------------------------------------- failures


def test_learners_without_means_are_refused(study):
    for learner, words in (("s", "has no mean for each arm"), ("x", "models imputed effects")):
        assert not LEARNERS[learner].has_means
        with pytest.raises(UnsupportedError, match=words):
            check_plan(study, Plan(learner=learner, means_by="level"))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("levl", "Did you mean 'level'"),
        ("x", r"120 levels, and each gets means of its own; at most 12"),
        ("rare", "level 'one' has no unit in one arm"),
    ],
)
def test_levels_that_cannot_have_means_are_refused(study, column, message):
    rare = np.where(np.arange(study.n_units) == 0, "one", "rest")
    wider = study.with_covariate("rare", rare)
    with pytest.raises(SpecError, match=message):
        check_plan(wider, Plan(means_by=column))


def test_a_covariate_is_added_once(study):
    assert "rare" not in study.frame.columns
    wider = study.with_covariate("site", np.arange(120) % 3)
    assert wider.roles.covariates == ("x", "level", "site")
    assert {k: v for k, v in asdict(wider.roles).items() if k != "covariates"} == {
        k: v for k, v in asdict(study.roles).items() if k != "covariates"
    }
    with pytest.raises(hte.DataError, match="has a column 'level' already"):
        study.with_covariate("level", np.zeros(120))
