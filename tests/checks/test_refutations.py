"""Refutations: sound studies pass; estimators and studies broken on purpose do not."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from scipy.stats import binom

from bayes_hte.checks import refutations
from bayes_hte.checks.altered_studies import (
    random_subset,
    with_control_outcome,
    with_permuted_outcome,
    with_placebo_treatment,
    with_random_cause,
)
from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.refitting import (
    AverageEffect,
    Refit,
    average_effect,
    full_model,
    linear_stand_in,
)
from bayes_hte.checks.refutations import (
    CONTROL,
    PERMUTED,
    PLACEBO,
    RANDOM_CAUSE,
    SPREAD,
    SUBSET,
    refute,
)
from bayes_hte.errors import DataError, SpecError
from bayes_hte.study.encoding import Encoding
from bayes_hte.study.study import Study
from tests.fakes import fake_effect, fake_study
from tests.shared_fits import SIZE

REPEATS = 10
REPEATED = (PLACEBO, RANDOM_CAUSE, SUBSET, PERMUTED)


@cache
def trial(*, mediator: bool = False) -> Study:
    return fake_study(np.random.default_rng(0), mediator=mediator)[0]


@cache
def clustered(*, constant: bool = True, declared: bool = True) -> Study:
    """Sixty practices of five patients; treatment by practice, or by patient."""
    rng = np.random.default_rng(3)
    practice = np.repeat(np.arange(60), 5)
    arm = (rng.permutation(60) % 2)[practice] if constant else rng.permutation(300) % 2
    x = rng.normal(size=300)
    y = rng.normal(size=60)[practice] + 0.5 * arm + 0.3 * x + rng.normal(size=300)
    frame = pd.DataFrame({"y": y, "t": arm, "x": x, "practice": practice})
    cluster = "practice" if declared else None
    return Study.from_frame(frame, outcome="y", treatment="t", covariates=["x"], cluster=cluster)


def run(study: Study, **options) -> dict[str, CheckResult]:
    """Refute without a fit: the stand-in needs its study alone."""
    results = refute(
        SimpleNamespace(study=study, estimand=lambda: None),
        **{"seed": 1, "repeats": REPEATS, **options},
    )
    return {result.name: result for result in results}


def failed(results: dict[str, CheckResult]) -> set[str]:
    return {name for name, result in results.items() if result.passed is False}


def broken(change) -> Refit:
    """An estimator that spoils the stand-in's answer: change(study, effect) -> AverageEffect."""
    estimate = linear_stand_in().estimate
    return Refit("broken", lambda study, seed: change(study, estimate(study, seed)))


def shifted(effect: AverageEffect, by: float) -> AverageEffect:
    moved = {name: getattr(effect, name) + by for name in ("ate", "lower", "upper")}
    return replace(effect, **moved)


# ---------------------------------------------------------------- the stand-in


def test_the_stand_in_is_the_closed_form_posterior_of_its_model():
    from sklearn.linear_model import BayesianRidge

    study = trial()
    frame = study.covariate_frame()
    x, y = (
        Encoding.learn(frame).standardized(frame).to_numpy(),
        study.outcome() / study.outcome().std(),
    )
    means, variances, slopes = [], [], []
    for arm in (0, 1):
        rows = study.arm_index() == arm
        ridge = BayesianRidge().fit(x[rows], y[rows])
        ones = np.column_stack([np.ones(rows.sum()), x[rows]])
        penalty = np.diag([0.0, *[ridge.lambda_] * x.shape[1]])
        covariance = np.linalg.inv(ridge.alpha_ * ones.T @ ones + penalty)
        coefficients = ridge.alpha_ * covariance @ ones.T @ y[rows]
        at = np.array([1.0, *x.mean(axis=0)])
        means.append(at @ coefficients)
        variances.append(at @ covariance @ at)
        slopes.append(coefficients[1:])
    got, unit = linear_stand_in().estimate(study, 0), study.outcome().std()
    assert got.ate == pytest.approx(unit * (means[1] - means[0]), rel=1e-6)
    assert got.sd == pytest.approx(unit * np.sqrt(sum(variances)), rel=1e-3)
    assert got.spread == pytest.approx(unit * (x @ (slopes[1] - slopes[0])).std(), rel=1e-3)
    assert (got.upper - got.lower) / got.sd == pytest.approx(2 * 1.959964)
    assert got.n_units == study.n_units


def test_the_stand_in_follows_the_units_of_the_outcome():
    study = trial()
    other = study.alike(study.frame.assign(y=5 + 100 * study.frame["y"]))
    first, second = (linear_stand_in().estimate(s, 0) for s in (study, other))
    for name in ("ate", "sd", "lower", "upper", "spread"):
        assert getattr(second, name) == pytest.approx(100 * getattr(first, name))


def test_intervals_of_the_stand_in_cover_under_confounding():
    covered = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(150, 2))
        arm = (rng.random(150) < 1 / (1 + np.exp(-x[:, 0]))).astype(int)
        tau = 1 + x[:, 1]
        y = x[:, 0] + arm * tau + rng.normal(size=150)
        frame = pd.DataFrame({"y": y, "t": arm, "a": x[:, 0], "b": x[:, 1]})
        study = Study.from_frame(frame, outcome="y", treatment="t", covariates=["a", "b"])
        effect = linear_stand_in().estimate(study, 0)
        covered += effect.lower <= tau.mean() <= effect.upper
    low, high = binom.ppf([0.005, 0.995], 60, 0.95)
    assert low <= covered <= high


def test_clusters_widen_by_the_design_effect():
    # Four copies of each row are one row: the interval must be the one of the rows.
    study = trial()
    rows = study.frame.assign(person=np.arange(study.n_units))
    copies = rows.loc[rows.index.repeat(4)].reset_index(drop=True)
    roles = {"outcome": "y", "treatment": "treat", "covariates": study.roles.covariates}
    single = linear_stand_in().estimate(study, 0)
    naive, aware = (
        linear_stand_in().estimate(Study.from_frame(copies, **roles, cluster=c), 0)
        for c in (None, "person")
    )
    assert naive.sd == pytest.approx(single.sd / 2, rel=0.02)
    assert aware.sd == pytest.approx(single.sd, rel=0.02)


def test_draws_are_averaged_before_they_are_summarised():
    cate = fake_effect(np.random.default_rng(0), np.linspace(0, 1, 30), shared_sd=0.5)
    effect = average_effect(cate)
    ate = cate.mean("unit")
    assert effect.ate == pytest.approx(float(cate.mean()))
    assert effect.sd == pytest.approx(float(ate.std(ddof=1)))
    assert (effect.lower, effect.upper) == pytest.approx(tuple(ate.quantile([0.025, 0.975]).values))
    assert effect.spread == pytest.approx(float(cate.mean(("chain", "draw")).std()))


# ---------------------------------------------------------------- altered studies


def test_a_placebo_keeps_all_but_who_is_treated():
    study = trial()
    named = study.frame.assign(treat=pd.Categorical(study.frame["treat"].map({0: "old", 1: "new"})))
    study = Study.from_frame(
        named, outcome="y", treatment="treat", covariates=["x1", "x2"], reference="old"
    )
    placebo = with_placebo_treatment(study, np.random.default_rng(0))
    assert placebo.arms == study.arms == ("old", "new")
    assert placebo.arm_index().sum() == study.arm_index().sum()
    assert 60 < (placebo.arm_index() != study.arm_index()).sum() < 140
    rest = ["y", "x1", "x2"]
    pd.testing.assert_frame_equal(placebo.frame[rest], study.frame[rest])


def test_a_placebo_treats_whole_clusters_where_they_were():
    study = clustered()
    placebo = with_placebo_treatment(study, np.random.default_rng(0))
    shares = pd.Series(placebo.arm_index()).groupby(study.frame["practice"]).mean()
    assert set(shares) == {0.0, 1.0}
    assert placebo.arm_index().sum() == study.arm_index().sum()
    assert (placebo.arm_index() != study.arm_index()).any()


def test_a_placebo_keeps_the_shares_of_clusters_of_different_sizes():
    rng = np.random.default_rng(0)
    site = rng.choice(6, p=[0.3, 0.2, 0.2, 0.1, 0.1, 0.1], size=3000)
    arm = (rng.random(3000) < site / 6 + 0.05).astype(int)
    frame = pd.DataFrame({"y": rng.normal(size=3000), "t": arm, "x": rng.normal(size=3000)})
    study = Study.from_frame(
        frame.assign(site=site), outcome="y", treatment="t", covariates=["x"], cluster="site"
    )
    placebo = with_placebo_treatment(study, rng)
    was, now = (pd.Series(s.arm_index()).groupby(site).mean() for s in (study, placebo))
    np.testing.assert_allclose(np.sort(was), np.sort(now), atol=0.01)
    assert not np.allclose(was, now, atol=0.01)


def test_a_permuted_outcome_keeps_outcomes_of_clusters_together():
    study = clustered()
    permuted = with_permuted_outcome(study, np.random.default_rng(0))

    def groups(s: Study) -> set[tuple[float, ...]]:
        return {tuple(sorted(y)) for _, y in s.frame.groupby("practice")["y"]}

    assert groups(permuted) == groups(study)
    assert (permuted.outcome() != study.outcome()).mean() > 0.9
    plain = with_permuted_outcome(trial(), np.random.default_rng(0))
    assert sorted(plain.outcome()) == sorted(trial().outcome())


def test_a_random_cause_is_one_column_more():
    study = with_random_cause(trial(), np.random.default_rng(0))
    again = with_random_cause(study, np.random.default_rng(1))
    assert again.roles.covariates == ("x1", "x2", "x3", "random_cause", "random_cause_")
    assert abs(np.corrcoef(again.frame["random_cause"], again.outcome())[0, 1]) < 0.2


def test_subsets_keep_arms_or_whole_clusters():
    part = random_subset(trial(), np.random.default_rng(0), share=0.7)
    assert np.bincount(part.arm_index()).tolist() == [70, 70]
    whole = random_subset(clustered(), np.random.default_rng(0), share=0.7)
    assert whole.frame["practice"].value_counts().tolist() == [5] * 42


# ---------------------------------------------------------------- what passes


@cache
def sound() -> dict[str, CheckResult]:
    return run(trial(), negative_control="x2")


def test_a_sound_study_passes_everything():
    results = sound()
    assert list(results) == [*REPEATED, CONTROL, SPREAD]
    assert failed(results) == set()
    assert all(result.passed for result in results.values())
    for name in REPEATED:
        table = results[name].table
        assert list(table) == ["seed", "estimate", "sd", "lower", "upper", "spread", "units"]
        assert len(table) == REPEATS
        assert table["seed"].is_unique
        assert table.attrs == {"ci_prob": 0.95, "ci_kind": "eti"}
    assert len(results[CONTROL].table) == 1
    assert set(results[SUBSET].table["units"]) == {160}
    assert all("stand-in" in result.text for result in results.values())


def test_a_row_of_a_table_can_be_repeated_from_its_seed():
    row = sound()[PLACEBO].table.iloc[3]
    seed = int(row["seed"])
    study = with_placebo_treatment(trial(), np.random.default_rng(seed))
    assert linear_stand_in().estimate(study, seed).ate == row["estimate"]


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_results_depend_on_the_seed_and_not_on_the_processes():
    options = {"repeats": 5, "negative_control": "x2"}
    one = run(trial(), **options)
    # Forked, because workers that start afresh import for half a minute.
    with parallel_config(backend="multiprocessing"):
        two = run(trial(), n_jobs=2, **options)
    for name, result in one.items():
        pd.testing.assert_frame_equal(result.table, two[name].table, check_exact=True)
        assert result.text == two[name].text
    # More repeats change no earlier one, and neither does a control that is not declared.
    pd.testing.assert_frame_equal(sound()[PLACEBO].table.iloc[:5], one[PLACEBO].table)
    other = run(trial(), repeats=5, seed=2)
    assert not set(other[PLACEBO].table["seed"]) & set(one[PLACEBO].table["seed"])


@pytest.mark.parametrize("constant", [True, False], ids=["by practice", "by patient"])
def test_clusters_that_are_declared_pass(constant):
    assert failed(run(clustered(constant=constant))) == set()


def test_with_a_mediator_the_total_effect_is_judged():
    results = run(trial(mediator=True), repeats=5)
    assert "The total effect is judged" in results[PLACEBO].text
    assert "total effect" not in sound()[PLACEBO].text


# ---------------------------------------------------------------- what must not


def test_a_constant_effect_is_found_by_what_must_be_zero():
    results = run(trial(), estimator=broken(lambda s, e: AverageEffect(0.4, 0.05, 0.3, 0.5, 0, 9)))
    assert failed(results) == {PLACEBO, PERMUTED}
    assert "finds an effect where there is none" in results[PLACEBO].text
    assert "Refitted: broken." in results[PLACEBO].text


def test_a_leaked_treatment_is_found():
    # The estimator reads the treatment from a copy of the data instead of the study it is given.
    copy = trial().frame["treat"]
    leak = broken(lambda s, e: linear_stand_in().estimate(s.alike(s.frame.assign(treat=copy)), 0))
    results = run(trial(), estimator=leak)
    assert results[PLACEBO].passed is False
    assert results[PERMUTED].passed is True
    text = results[PLACEBO].text
    repeats = len(results[PLACEBO].table)
    assert f"as much as in the study in {repeats} of {repeats} repeats" in text
    assert "if nobody had an effect, so large a spread would come out with probability 1 (" in text
    assert "not the probability that effects are equal" in text


def test_a_leaked_outcome_is_found():
    copy = trial().frame["y"]
    leak = broken(lambda s, e: linear_stand_in().estimate(s.alike(s.frame.assign(y=copy)), 0))
    results = run(trial(), estimator=leak)
    assert results[PERMUTED].passed is False
    assert results[PLACEBO].passed is True


def test_intervals_that_are_too_narrow_are_found():
    def narrow(_study: Study, e: AverageEffect) -> AverageEffect:
        return replace(
            e, sd=e.sd / 8, lower=e.ate + (e.lower - e.ate) / 8, upper=e.ate + (e.upper - e.ate) / 8
        )

    results = run(trial(), estimator=broken(narrow), repeats=20)
    assert {PLACEBO, PERMUTED} <= failed(results)
    assert "too narrow" in results[PLACEBO].text


def test_effects_made_of_noise_are_found():
    results = run(trial(), estimator=broken(lambda s, e: replace(e, spread=0.3)))
    # Averages are not touched by it.
    assert failed(results) == {SPREAD}
    assert "do not read individual effects" in results[SPREAD].text


def test_an_estimate_that_hangs_on_the_columns_is_found():
    greedy = broken(lambda s, e: shifted(e, 0.1 * ("random_cause" in s.roles.covariates)))
    results = run(trial(), estimator=greedy)
    assert failed(results) == {RANDOM_CAUSE}
    assert "hangs on which columns are offered" in results[RANDOM_CAUSE].text


def test_an_estimate_that_hangs_on_single_rows_is_found():
    fragile = broken(lambda s, e: shifted(e, 0.3 * (0 in s.units)))
    results = run(trial(), estimator=fragile, repeats=20)
    assert SUBSET in failed(results)
    assert "hangs on part of the data" in results[SUBSET].text


def confounded() -> pd.DataFrame:
    """Patients in worse health (not recorded) are treated more often and had more visits before."""
    rng = np.random.default_rng(0)
    health, x = rng.normal(size=(2, 400))
    arm = (rng.random(400) < 1 / (1 + np.exp(1.5 * health))).astype(int)
    noise = rng.normal(size=(2, 400))
    return pd.DataFrame({"y": noise[0] - health, "t": arm, "x": x, "before": noise[1] - health})


def test_unmeasured_confounding_shows_in_the_negative_control_alone():
    frame = confounded()
    study = Study.from_frame(frame, outcome="y", treatment="t", covariates=["x"])
    results = run(study, negative_control=frame["before"], repeats=5)
    assert failed(results) == {CONTROL}
    assert "leaves out 0" in results[CONTROL].text
    tolerant = run(study, negative_control=frame["before"], rope=2.0, repeats=5)
    assert tolerant[CONTROL].passed is True
    assert "reaches effects from -2 to 2" in tolerant[CONTROL].text
    as_covariate = Study.from_frame(frame, outcome="y", treatment="t", covariates=["x", "before"])
    same = run(as_covariate, negative_control="before", repeats=5)
    pd.testing.assert_frame_equal(same[CONTROL].table, results[CONTROL].table)


def test_a_control_is_found_by_the_labels_of_the_users_table():
    rows = pd.MultiIndex.from_arrays([["a"] * 400, range(400)], names=["site", "person"])
    for index in (rows, pd.Index(range(400), dtype="Int64"), pd.RangeIndex(400, name="x")):
        frame = confounded().set_axis(index)
        study = Study.from_frame(frame, outcome="y", treatment="t", covariates=["x"])
        shuffled = frame["before"].sample(frac=1, random_state=1)
        found = with_control_outcome(study, shuffled).outcome()
        np.testing.assert_array_equal(found, confounded()["before"])


def test_a_control_that_is_not_declared_informs():
    result = run(trial(), repeats=5)[CONTROL]
    assert result.passed is None
    assert "No negative-control outcome is declared" in result.text


# ---------------------------------------------------------------- what cannot run


def test_a_repeat_that_raises_fails_its_check_and_no_other():
    def estimate(study: Study, seed: int) -> AverageEffect:
        if study.n_units < 200:
            raise DataError("too few rows")
        return linear_stand_in().estimate(study, seed)

    results = run(trial(), estimator=Refit("mine", estimate))
    assert failed(results) == {SUBSET}
    text = results[SUBSET].text
    assert text.startswith("Could not be judged: 10 of 10 repeats could not be run (DataError: too")
    assert results[SUBSET].table["problem"].tolist() == ["DataError: too few rows"] * REPEATS


def test_an_estimate_that_is_not_finite_fails():
    results = run(trial(), estimator=broken(lambda s, e: replace(e, ate=np.nan)), repeats=5)
    assert failed(results) == {*REPEATED, SPREAD}
    assert "the estimate is not finite" in results[PLACEBO].text


def test_a_study_that_cannot_be_refitted_fails_everything():
    def estimate(study: Study, seed: int) -> AverageEffect:
        if study is whole:
            raise ValueError("no")
        return linear_stand_in().estimate(study, seed)

    whole = trial()
    results = run(whole, estimator=Refit("mine", estimate), repeats=5)
    assert failed(results) == {*REPEATED, SPREAD}
    assert "the unchanged study could not be refitted (ValueError: no)" in results[SUBSET].text


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"repeats": 4}, SpecError, "repeats must be a whole number, at least 5, got 4"),
        ({"subset_share": 1.0}, SpecError, "subset_share must be between 0 and 1, got 1.0"),
        ({"rope": -1.0}, SpecError, "rope must be a half-width, 0 or more, got -1.0"),
        ({"estimator": "ful"}, SpecError, "unknown estimator 'ful'. Did you mean 'full'"),
        (
            {"negative_control": "flu"},
            DataError,
            r"unknown column 'flu'.*negative_control=df\['flu",
        ),
        ({"negative_control": "treat"}, DataError, "'treat' has a role of its own"),
        (
            {"negative_control": pd.Series(range(150), name="flu")},
            DataError,
            "'flu' must have one value for each unit.*50 of 200 units have none",
        ),
    ],
)
def test_what_is_asked_wrongly_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        run(trial(), **options)


# ---------------------------------------------------------------- the full model


def test_the_full_model_is_refuted_if_asked_for(monkeypatch):
    fit = SimpleNamespace(study=trial(), estimand=lambda: None)
    effect = AverageEffect(0.4, 0.05, 0.3, 0.5, 0.3, 200)
    stand_in = Refit("full model", linear_stand_in().estimate, of_study=effect)
    monkeypatch.setattr(refutations, "full_model", lambda asked: stand_in if asked is fit else None)
    results = refute(fit, seed=1, repeats=5, estimator="full")
    assert all("Refitted: full model." in r.text for r in results if r.name != CONTROL)
    # What is known of the study is taken from the fit, and not estimated again.
    assert "average effect of 0.4 by" in results[1].text


def test_the_full_model_is_refitted_and_named(plain_fit):
    small = {name: SIZE[name] for name in ("draws", "tune", "chains", "cores")}
    refit = full_model(plain_fit, **small)
    assert refit.of_study == average_effect(plain_fit.cate())
    # The same seed and size is the same fit; the draws of the fit are not carried along.
    assert refit.estimate(plain_fit.study, plain_fit.seed) == refit.of_study
    assert not any(c.cell_contents is plain_fit for c in refit.estimate.__closure__)
    assert "learner 'hierarchical', surface 'forest'; 2 chains of 100 draws" in refit.name
