"""The scikit-learn estimator: its conventions, and that it adds no number of its own."""

from __future__ import annotations

import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
import xarray as xr
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import bayes_hte as hte
from bayes_hte import estimator as module
from bayes_hte.errors import DataError, SpecError, UnsupportedError
from bayes_hte.estimator import EffectEstimator
from tests.shared_fits import SIZE

COVARIATES = ["x1", "x2", "x3"]


@pytest.fixture(scope="module")
def study(plain_study):
    return plain_study


@pytest.fixture(scope="module")
def data(study):
    frame = study.frame
    return frame[COVARIATES], frame["y"], frame["treat"]


@pytest.fixture(scope="module")
def estimator(data):
    X, y, treatment = data
    return EffectEstimator(**SIZE).fit(X, y, treatment=treatment)


class FakeFit:
    """Stands in for a fit where only the cover around it is tested: the effect is a column."""

    def __init__(self, study):
        self.study = study

    def cate(self, newdata):
        first = newdata[self.study.roles.covariates[0]].to_numpy(dtype=float)
        values = first + np.array([-1.0, 0.0, 1.0])[None, :, None]
        return xr.DataArray(
            values, dims=("chain", "draw", "unit"), coords={"unit": newdata.index}, name="cate"
        )


@pytest.fixture
def fake(monkeypatch):
    """Replace the fit; returns the options it was called with."""
    seen = {}

    def fit(study, **options):
        seen.update(options)
        return FakeFit(study)

    monkeypatch.setattr(module, "fit", fit)
    return seen


# ---------------------------------------------------------------- the same numbers as hte.fit


def test_effects_are_those_of_fit_on_the_same_data_and_seed(estimator, plain_fit, study, data):
    expected = hte.summarize(plain_fit.cate(), ci_prob=0.9, ci_kind="hdi")
    table = estimator.predict_interval(data[0], ci_prob=0.9, ci_kind="hdi")
    assert list(table.columns) == list(expected.columns)
    assert set(table["ci_kind"]) == {"hdi"}
    # Labels that went through an array are objects, not strings.
    pd.testing.assert_frame_equal(
        table, expected, atol=1e-9, check_names=False, check_index_type=False
    )
    assert estimator.fit_.study.fingerprint() == study.fingerprint()


def test_a_prediction_is_the_posterior_mean_of_its_row(estimator, data):
    rows = data[0].iloc[[7, 3, 41]]
    effects = estimator.predict(rows)
    assert isinstance(effects, pd.Series)
    assert effects.name == "effect"
    pd.testing.assert_index_equal(effects.index, rows.index)
    draws = estimator.fit_.cate().sel(unit=rows.index.to_list())
    np.testing.assert_allclose(effects, draws.mean(("chain", "draw")), rtol=0, atol=1e-9)
    np.testing.assert_allclose(estimator.effect_draws(rows), draws, rtol=0, atol=1e-9)
    assert estimator.effect_draws(rows).dims == ("chain", "draw", "unit")
    assert effects.nunique() == 3


def test_rows_with_the_same_label_stay_apart(estimator, data):
    rows = data[0].iloc[[7, 3]].set_axis(["same", "same"])
    expected = estimator.predict(data[0].iloc[[7, 3]]).to_numpy()
    np.testing.assert_array_equal(estimator.predict(rows), expected)
    table = estimator.predict_interval(rows)
    np.testing.assert_allclose(table["mean"], expected)
    assert list(table.index) == ["same", "same"]


def test_the_size_of_batches_changes_no_number(estimator, data, monkeypatch):
    whole = estimator.predict(data[0]), estimator.predict_interval(data[0])
    monkeypatch.setattr(module, "BATCH", 33)
    np.testing.assert_allclose(estimator.predict(data[0]), whole[0], rtol=0, atol=1e-12)
    pd.testing.assert_frame_equal(estimator.predict_interval(data[0]), whole[1])


def test_everything_else_works_on_the_fit(estimator):
    assert estimator.fit_.seed == 3
    assert list(hte.summarize(hte.average(estimator.fit_.cate())).index) == ["cate"]


# ---------------------------------------------------------------- arrays, tables, labels


def test_arrays_in_arrays_out(fake):
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(40, 2)), rng.normal(size=(40, 1))
    made = EffectEstimator(reference="a").fit(X, y, treatment=["a", "b"] * 20)
    assert made.fit_.study.roles.columns == ("outcome", "treatment", "x0", "x1")
    assert made.fit_.study.arms == ("a", "b")
    assert not hasattr(made, "feature_names_in_")
    assert isinstance(made.predict(X), np.ndarray)
    np.testing.assert_allclose(made.predict(X[:3]), X[:3, 0])
    assert list(made.predict_interval(X[:3]).index) == [0, 1, 2]


def test_an_array_of_mixed_values_keeps_its_categories(fake):
    rng = np.random.default_rng(1)
    X = np.array([[v, "ab"[i % 2]] for i, v in enumerate(rng.normal(size=40))], dtype=object)
    made = EffectEstimator().fit(X, rng.normal(size=40), treatment=np.arange(40) % 2)
    frame = made.fit_.study.frame
    assert frame["x0"].dtype == float
    assert set(frame["x1"]) == {"a", "b"}


def test_matrices_and_columns_that_no_model_can_use_are_refused(fake, data):
    y, treatment = data[1].to_numpy(), data[2].to_numpy()
    numbers = np.column_stack([y, y])
    with pytest.raises(DataError, match=r"Sparse data was passed.*toarray"):
        EffectEstimator().fit(csr_array(numbers), y, treatment=treatment)
    mixed = pd.DataFrame({"a": y, "b": [1, "two"] * 40})
    for X in (mixed, mixed.to_numpy()):
        with pytest.raises(DataError, match=r"values of type int and str.*to_numeric"):
            EffectEstimator().fit(X, y, treatment=treatment)


def test_names_and_labels_are_kept(fake, data):
    X, y, treatment = data
    made = EffectEstimator(reference=1).fit(X, y, treatment=treatment)
    assert list(made.feature_names_in_) == COVARIATES
    assert made.n_features_in_ == 3
    assert made.fit_.study.roles.outcome == "y"
    assert made.fit_.study.roles.treatment == "treat"
    assert made.fit_.study.contrast == "0 vs 1"
    pd.testing.assert_index_equal(made.fit_.study.units, X.index)
    # A name another column has is replaced by the role.
    again = EffectEstimator().fit(X, y.rename("x1"), treatment=treatment.rename("x1"))
    assert again.fit_.study.roles.columns == ("outcome", "treatment", *COVARIATES)


def test_a_table_of_one_column_is_a_column(fake, data):
    X, y, treatment = data
    made = EffectEstimator().fit(X, y.to_frame(), treatment=treatment.to_frame())
    assert made.fit_.study.roles.outcome == "y"


def test_rows_that_are_labelled_differently_are_refused(fake, data):
    X, y, treatment = data
    with pytest.raises(DataError, match=r"outcome and X have different row labels.*loc\[X.index\]"):
        EffectEstimator().fit(X, y.iloc[::-1], treatment=treatment)
    with pytest.raises(DataError, match="treatment and X have different row labels"):
        EffectEstimator().fit(X, y, treatment=treatment.reset_index(drop=True))
    by_position = EffectEstimator().fit(X, y.to_numpy(), treatment=treatment.tolist())
    np.testing.assert_array_equal(by_position.fit_.study.outcome(), y)
    np.testing.assert_array_equal(by_position.fit_.study.arm_index(), treatment)


def test_the_callers_data_are_left_alone(fake, data):
    X, y, treatment = (part.copy() for part in data)
    EffectEstimator().fit(X, y, treatment=treatment).predict(X)
    for now, before in zip((X, y, treatment), data, strict=True):
        assert now.equals(before)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda X: X.drop(columns="x2"), "now missing:\n- x2"),
        (lambda X: X.assign(z=1.0), "unseen at fit time:\n- z"),
        (lambda X: X[["x2", "x1", "x3"]], "same order"),
        (lambda X: X.iloc[:0], "X is empty: 0 rows"),
        (lambda X: X.to_numpy()[:, 0], "Reshape your data"),
    ],
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_other_columns_than_those_of_fit_are_refused(fake, data, change, said):
    X, y, treatment = data
    made = EffectEstimator().fit(X, y, treatment=treatment)
    for predict in (made.predict, made.predict_interval, made.effect_draws):
        with pytest.raises(DataError, match=said):
            predict(change(X))


def test_values_that_cannot_be_encoded_are_refused(estimator, data):
    with pytest.raises(DataError, match="never saw: z"):
        estimator.predict(data[0].assign(x3="z"))
    with pytest.raises(DataError, match="1 missing or infinite"):
        estimator.predict(data[0].assign(x1=[np.nan, *range(79)]))


@pytest.mark.parametrize(
    ("y", "treatment", "said"),
    [
        (np.arange(79.0), None, "X has 80 rows, and outcome 79 values"),
        (np.ones((80, 2)), None, r"outcome must have one value per row, got shape \(80, 2\)"),
        (None, None, r"outcome must have one value per row, got shape \(\)"),
        (np.arange(80.0), np.arange(80.0), "two to 12 levels, the arms, got 80"),
        (np.full(80, np.nan), None, "all values of outcome 'outcome' are missing"),
    ],
)
def test_an_outcome_or_treatment_that_does_not_suit_is_refused(fake, data, y, treatment, said):
    arms = data[2].to_numpy() if treatment is None else treatment
    with pytest.raises(DataError, match=said):
        EffectEstimator().fit(data[0].reset_index(drop=True), y, treatment=arms)


def test_more_than_two_arms_are_refused(fake, data):
    with pytest.raises(UnsupportedError, match="the estimator needs two arms, and this study has"):
        EffectEstimator().fit(data[0], np.arange(80.0), treatment=np.arange(80) % 3)


def test_a_role_whose_name_is_taken_is_refused(fake, data):
    X = data[0].rename(columns={"x1": "outcome"})
    with pytest.raises(DataError, match="X has a column 'outcome': rename it"):
        EffectEstimator().fit(X, data[1].to_numpy(), treatment=data[2])


def test_without_treatment_there_is_no_fit(data):
    with pytest.raises(TypeError, match="treatment"):
        EffectEstimator().fit(data[0], data[1])


# ---------------------------------------------------------------- scikit-learn's conventions


def test_options_are_those_of_fit_with_its_defaults():
    of_fit = {
        name: parameter.default
        for name, parameter in inspect.signature(hte.fit).parameters.items()
        # The estimator has two arms, which need no order, no mediator and no column of events.
        if name
        not in ("study", "mediator_family", "mediator_shape", "ordered", "horizon", "estimand")
    }
    assert EffectEstimator().get_params() == {**of_fit, "reference": None}


def test_options_reach_the_fit(fake, data):
    options = {**SIZE, "learner": "t", "noise": "by_arm", "stack_with": ["linear"]}
    EffectEstimator(**options).fit(data[0], data[1], treatment=data[2])
    assert {name: fake[name] for name in options} == options
    assert "reference" not in fake


def test_a_clone_has_the_options_and_no_fit(estimator):
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params()
    assert not hasattr(copy, "fit_")
    assert clone(copy.set_params(learner="t", draws=50)).get_params()["learner"] == "t"
    with pytest.raises(ValueError, match="Invalid parameter 'trees'"):
        copy.set_params(trees=3)


def test_an_option_is_checked_by_fit_and_not_before(data):
    made = EffectEstimator(learner="hierarchial", progress=False)
    with pytest.raises(SpecError, match="Did you mean 'hierarchical'"):
        made.fit(data[0], data[1], treatment=data[2])
    with pytest.raises(SpecError, match="ci_prob must be between 0 and 1"):
        made.predict_interval(data[0], ci_prob=95)


def test_before_fit_there_is_nothing_to_predict(data):
    made = EffectEstimator()
    for predict in (made.predict, made.predict_interval, made.effect_draws):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            predict(data[0])


def test_it_is_no_regressor_and_has_no_score(fake, data):
    X, y, treatment = data
    assert not sklearn.base.is_regressor(EffectEstimator())
    assert not hasattr(EffectEstimator(), "score")
    with pytest.raises(TypeError, match="'score' method"):
        cross_val_score(EffectEstimator(), X, y, params={"treatment": treatment})


def test_a_split_by_hand(fake, data):
    train, test, y, _, treatment, _ = train_test_split(*data, test_size=0.25, random_state=0)
    made = EffectEstimator().fit(train, y, treatment=treatment)
    pd.testing.assert_index_equal(made.predict(test).index, test.index)
    np.testing.assert_allclose(made.predict(test), test["x1"])


def test_the_last_step_of_a_pipeline(fake, data):
    X, y, treatment = data
    X = X[["x1", "x2"]]
    scaler = StandardScaler().set_output(transform="pandas")
    pipeline = make_pipeline(scaler, EffectEstimator())
    pipeline.fit(X, y, effectestimator__treatment=treatment)
    scaled = (X["x1"] - X["x1"].mean()) / X["x1"].std(ddof=0)
    pd.testing.assert_series_equal(pipeline.predict(X), scaled, check_names=False)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = make_pipeline(scaler, EffectEstimator()).fit(X, y, treatment=treatment)
    pd.testing.assert_series_equal(routed.predict(X), scaled, check_names=False)


def test_a_fitted_estimator_can_be_pickled(estimator, data):
    again = pickle.loads(pickle.dumps(estimator))
    pd.testing.assert_series_equal(again.predict(data[0]), estimator.predict(data[0]))


class Alternating(EffectEstimator):
    """The estimator with a treatment of its own, for checks that know only ``fit(X, y)``."""

    def fit(self, X, y):
        return super().fit(X, y, treatment=np.arange(len(X)) % 2)


SAID_OTHERWISE = {
    "check_fit2d_1sample": "the refusal is about the arms, which one row cannot have",
    "check_requires_y_none": "the refusal names the outcome, not y",
}


@parametrize_with_checks(
    [Alternating(**SIZE)], expected_failed_checks=lambda _: SAID_OTHERWISE, xfail_strict=True
)
def test_a_check_of_scikit_learn(fake, estimator, check):
    check(estimator)


def test_names_of_text_and_numbers_together_are_refused(fake, data):
    X = data[0].rename(columns={"x1": 7})
    with pytest.raises(DataError, match=r"X cannot be used: Feature names .*'int', 'str'"):
        EffectEstimator().fit(X, data[1], treatment=data[2])
