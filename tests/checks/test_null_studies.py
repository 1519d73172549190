"""Null distributions with the models themselves: studies drawn from a fit, its plan refitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import bayes_hte as hte
from bayes_hte.checks import null_studies
from bayes_hte.checks.altered_studies import with_placebo_treatment
from bayes_hte.checks.null_studies import calibrate_subgroups, homogeneous_null, model_refit
from bayes_hte.errors import SpecError
from bayes_hte.fitting.plan import Plan
from bayes_hte.study.simulation import simulate_scenario
from bayes_hte.study.spec import PriorSpec
from bayes_hte.study.study import Study


@pytest.fixture(scope="module")
def study() -> Study:
    simulated = simulate_scenario("simple_part", np.random.default_rng(0), n=200)
    covariates = ["x1", "x2", "x3", "x4"]
    roles = {"outcome": "y", "treatment": "treat", "mediator": "m", "covariates": covariates}
    return Study.from_frame(simulated.frame, **roles)


@pytest.fixture(scope="module")
def fit(study) -> hte.Fit:
    options = {"draws": 60, "tune": 100, "chains": 2, "cores": 1, "progress": False}
    return hte.fit(study, learner="homogeneous", propensity_covariate=False, seed=1, **options)


def test_studies_drawn_from_a_homogeneous_fit_have_equal_effects(study, fit):
    null = homogeneous_null(fit)
    # Thinned: it travels to other processes with every replication.
    assert null.fit.components["outcome"].posterior.sizes["draw"] == 50
    x = study.covariate_frame().to_numpy()
    inside = (x[:, 0] > 0) & (x[:, 1] > 0)

    def effects(part: Study, column: str) -> np.ndarray:
        """Effect outside S, and how much higher it is inside, adjusted by least squares."""
        arm = part.arm_index()
        terms = np.column_stack([np.ones(200), x, inside, arm, arm * inside])
        return np.linalg.lstsq(terms, part.frame[column].to_numpy())[0][-2:]

    # Arms are dealt anew: how they differ in what the shared surface has learned is no effect.
    dealt = [with_placebo_treatment(study, np.random.default_rng(s)) for s in range(20)]
    drawn = [null(d, np.random.default_rng(100 + s)) for s, d in enumerate(dealt)]
    for column in ("m", "y"):
        observed = effects(study, column)
        found = np.array([effects(d, column) for d in drawn])
        assert observed[1] > 1.0
        assert abs(found[:, 1].mean()) < 0.35 * observed[1]
        assert found[:, 0].mean() == pytest.approx(
            observed[0] + observed[1] * inside.mean(), abs=0.4
        )
        spread = np.mean([d.frame[column].std() for d in drawn])
        assert spread == pytest.approx(study.frame[column].std(), rel=0.15)
    with pytest.raises(SpecError, match="learner 'homogeneous'"):
        homogeneous_null(hte.Fit(study, Plan(learner="t"), 0, fit.components))


def test_a_plan_is_refitted_and_its_effect_drawn(study, fit, monkeypatch):
    asked = []

    def fitted(study: Study, plan: Plan, **options: int) -> hte.Fit:
        asked.append((plan, options))
        return fit

    monkeypatch.setattr(null_studies, "refit_plan", fitted)
    draws = model_refit(fit.plan, "tnie", draws=40, tune=60, chains=1)(study, 3)
    assert asked == [(fit.plan, {"seed": 3, "draws": 40, "tune": 60, "chains": 1})]
    expected = hte.total_natural_indirect(fit.potential_outcomes())
    np.testing.assert_array_equal(draws, expected)
    # A homogeneous model gives everybody the same effect.
    assert float(draws.std("unit").max()) < 1e-9
    total = model_refit(fit.plan, "te")(study, 3)
    np.testing.assert_allclose(total, fit.cate())


def test_the_homogeneous_plan_keeps_the_priors_it_can_use(study, fit, monkeypatch):
    plans = []

    def fitted(study: Study, plan: Plan, **options: int) -> hte.Fit:
        plans.append(plan)
        return fit

    monkeypatch.setattr(null_studies, "refit_plan", fitted)
    kept = PriorSpec("outcome", "shared", "smooth", scale=0.5)
    dropped = PriorSpec("outcome", "arm", "small effects", scale=0.3)
    plan = replace(fit.plan, learner="hierarchical", priors=(kept, dropped))
    null_studies._homogeneous(study, "full", plan, 1, {})
    assert plans == [replace(plan, learner="homogeneous", priors=(kept,))]


def test_the_stand_in_gives_both_variants(study):
    options = {"replications": 2, "alpha": 0.4, "largest_k": 2, "rule": "in_sample"}
    found = calibrate_subgroups(study, "tnie", seed=1, **options)
    assert list(found.replications.index) == [
        (variant, r) for variant in ("homogeneous", "permutation") for r in (0, 1)
    ]
    assert (found.replications["problem"] == "").all()
    assert "stand-in" in found.estimator
    assert "effect tnie" in found.text
    spread = found.summary().xs("spread", level="statistic")
    assert (spread["threshold"] < 0.5 * found.observed["spread"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variants": ["permuted"]}, "Did you mean 'permutation'"),
        ({"variants": "homogeneous"}, r"variants must be a list.*write \['homogeneous'\]"),
        ({"variants": 3}, "variants must be a list of homogeneous, permutation, got 3"),
        ({"estimator": "surogate"}, "Did you mean 'surrogate'"),
        ({"estimator": "full"}, "refits a plan, got NoneType; pass plan=fit.plan"),
        ({"estimator": "full", "plan": 3}, "refits a plan, got int"),
        ({"estimator": "full", "plan": Plan(), "effect": "cate"}, "unknown effect 'cate'"),
        ({"estimator": "full", "plan": Plan(), "size": {"draw": 3}}, "Did you mean 'draws'"),
        ({"size": 3}, "size must be a dictionary of draws, tune, chains, got 3"),
        ({"seed": -1}, "seed must be a whole number, 0 or more, got -1"),
        ({"n_jobs": 0}, "n_jobs must be a whole number other than 0, got 0"),
        ({"n_jobs": "all"}, "n_jobs must be a whole number other than 0, got 'all'"),
        ({"replications": 19.0}, "replications must be a whole number, at least 1, got 19.0"),
        ({"replications": 0}, "replications must be a whole number, at least 1, got 0"),
        ({"leaf_shar": 0.1}, "unknown option 'leaf_shar'. Did you mean 'leaf_share'"),
        ({"largest_k": 2}, "unknown option 'largest_k'"),  # halves are not clustered
    ],
)
def test_options_that_mean_nothing_are_refused(study, options, message):
    with pytest.raises(SpecError, match=message):
        calibrate_subgroups(study, **{"effect": "te", "seed": 0, **options})


def test_a_fit_is_no_study(fit):
    with pytest.raises(SpecError, match=r"must be a Study, got Fit; of a fit, fit\.study"):
        calibrate_subgroups(fit, "te", seed=0)


def test_a_folder_may_be_text(study, tmp_path):
    options = {"variants": ["permutation"], "replications": 2, "alpha": 0.4, "rule": "in_sample"}
    calibrate_subgroups(study, "te", seed=1, largest_k=2, folder=str(tmp_path / "kept"), **options)
    assert list((tmp_path / "kept").iterdir())
