"""Fits of studies with missing values: what they learn, predict and refuse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes_hte.errors import DataError, SpecError, UnsupportedError
from bayes_hte.fitting.plan import Plan, check_plan
from bayes_hte.fitting.saved import load_fit, save_fit
from bayes_hte.names import SAMPLE, UNIT
from bayes_hte.study.study import Study

N = 240
ROLES = {"outcome": "y", "treatment": "t", "covariates": ["a", "b", "g"]}


def trial() -> pd.DataFrame:
    """A trial in which the effect is 2 where `a` is missing, and 0 elsewhere."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=N), "b": rng.normal(size=N)})
    frame["g"] = rng.choice(["u", "v", "w"], size=N)
    frame["t"] = rng.integers(0, 2, size=N)
    frame.loc[rng.random(N) < 0.4, "a"] = np.nan
    frame.loc[rng.random(N) < 0.1, "g"] = None
    frame["y"] = frame["b"] + 2 * frame["t"] * frame["a"].isna() + 0.5 * rng.normal(size=N)
    frame.loc[rng.random(N) < 0.1, "y"] = np.nan
    return frame


@pytest.fixture(scope="module")
def study() -> Study:
    return Study.from_frame(trial(), **ROLES)


@pytest.fixture(scope="module")
def fit(study, fitted):
    return fitted(study, seed=3, draws=100, tune=60, chains=2, cores=1, progress=False)


def test_an_effect_that_depends_on_missingness_is_found(study, fit):
    tau = fit.cate().mean(SAMPLE).to_numpy()
    gap = study.frame["a"].isna().to_numpy()
    assert abs(tau[gap].mean() - 2) < 0.4
    assert abs(tau[~gap].mean()) < 0.4


def test_units_without_outcome_have_an_effect_and_no_likelihood(study, fit):
    assert fit.cate().sizes[UNIT] == N
    known = study.known_outcome()
    assert known.sum() < N
    assert fit.log_likelihood()[UNIT].to_numpy().tolist() == np.flatnonzero(known).tolist()
    whole = fit.unit_log_likelihood()
    assert (whole.isel({UNIT: ~known}) == 0).all()
    groups = fit.posterior
    assert groups["observed_data"]["y"].sizes[UNIT] == known.sum()
    assert groups["posterior_predictive"]["y"].sizes[UNIT] == known.sum()


def test_new_rows_may_have_gaps_where_the_study_has(study, fit):
    rows = study.frame[["a", "b", "g"]].head(20)
    np.testing.assert_allclose(fit.cate(rows), fit.cate().isel({UNIT: slice(0, 20)}))
    rows = rows.assign(b=np.nan)
    with pytest.raises(DataError, match=r"'b' has 20 missing .* none in the study"):
        fit.cate(rows)


def test_a_saved_fit_predicts_rows_with_gaps(study, fit, tmp_path):
    save_fit(fit, tmp_path)
    again = load_fit(tmp_path, study)
    rows = study.frame[["a", "b", "g"]].head(20)
    np.testing.assert_allclose(again.cate(rows), fit.cate(rows), atol=1e-9)


@pytest.mark.parametrize(
    "plan",
    [
        Plan(surface="linear"),
        Plan(surface="gp"),
        Plan(stack_with=("gp",)),
        Plan(stack_with=("t/linear",)),
    ],
)
def test_surfaces_that_cannot_split_name_what_can(study, plan):
    with pytest.raises(UnsupportedError, match=r"only forests split; .*missing='impute'"):
        check_plan(study, plan)


def test_other_surfaces_take_complete_cases(study):
    complete = Study.from_frame(trial(), **ROLES, missing="complete")
    check_plan(complete, Plan(surface="linear"))
    check_plan(study, Plan(propensity_surface="linear"))


def test_levels_with_gaps_have_no_means_of_their_own(study):
    with pytest.raises(SpecError, match=r"means_by='g' is missing for \d+ units"):
        check_plan(study, Plan(means_by="g"))
