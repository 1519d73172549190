"""Whole fits: reproducibility, prediction, saving, and the ArviZ contract."""

from __future__ import annotations

from dataclasses import replace

import arviz as az
import numpy as np
import pytest
import xarray as xr
from scipy import stats

import bayes_hte as hte
from bayes_hte.components.saved import from_tree, to_tree
from bayes_hte.errors import DataError, SpecError, UnsupportedError
from bayes_hte.fitting.expected_mediator import expected_unseen
from bayes_hte.fitting.fitted import Fit
from bayes_hte.study.spec import PriorSpec
from tests.fakes import fake_study
from tests.shared_fits import SIZE

TINY = {"seed": 3, "draws": 40, "tune": 30, "chains": 2, "cores": 1, "progress": False}
TINY["stack_with"] = ()  # forests alone: a Gaussian process takes longer


@pytest.fixture(scope="module")
def study(mediated_study):
    return mediated_study


@pytest.fixture(scope="module")
def fit(mediated_fit):
    return mediated_fit


def test_the_contract_array(fit, study):
    mu = fit.potential_outcomes()
    assert mu.dims == ("chain", "draw", "unit", "arm", "mediator_arm")
    assert dict(mu.sizes) == {"chain": 2, "draw": 100, "unit": 80, "arm": 2, "mediator_arm": 2}
    assert list(mu["arm"].values) == [0, 1]
    np.testing.assert_array_equal(mu["unit"], study.units)
    parts = hte.decompose(mu)
    np.testing.assert_allclose(parts["te"], parts["tnie"] + parts["pnde"], atol=1e-12)
    np.testing.assert_allclose(parts["te"], parts["pnie"] + parts["tnde"], atol=1e-12)
    np.testing.assert_allclose(fit.cate(), parts["te"], atol=1e-12)


def test_same_seed_same_numbers(fit, study):
    again = hte.fit(study, **{**SIZE, "cores": 2})
    np.testing.assert_array_equal(again.cate(), fit.cate())


def test_the_study_as_new_rows_gives_the_same_numbers(fit, study):
    new = study.covariate_frame()
    np.testing.assert_allclose(
        fit.potential_outcomes(new), fit.potential_outcomes(), rtol=0, atol=1e-9
    )


def test_new_rows_in_any_number_and_order(fit, study):
    new = study.covariate_frame().iloc[[7, 3, 3]].reset_index(drop=True)
    mu = fit.potential_outcomes(new)
    assert mu.sizes["unit"] == 3
    np.testing.assert_allclose(mu, fit.potential_outcomes().isel(unit=[7, 3, 3]), rtol=0, atol=1e-9)


@pytest.mark.parametrize("batch", [16, 30])
def test_the_size_of_batches_changes_no_number(fit, study, batch):
    new = study.covariate_frame().iloc[:31]
    for predict in (fit.potential_outcomes, fit.cate):
        whole, parts = predict(new), predict(new, batch=batch)
        assert parts.attrs == whole.attrs
        assert parts.dims == whole.dims
        np.testing.assert_array_equal(parts["unit"], whole["unit"])
        np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-12)
    held = fit.potential_outcomes(new, mediator_value=1.0, batch=batch)
    expected = fit.potential_outcomes(new, mediator_value=1.0)
    np.testing.assert_allclose(held, expected, rtol=0, atol=1e-12)


def test_a_batch_holds_at_least_one_row(fit, study):
    with pytest.raises(DataError, match="batch must be at least 1 row, got 0"):
        fit.cate(study.covariate_frame(), batch=0)


def test_new_rows_that_cannot_be_encoded(fit, study):
    new = study.covariate_frame()
    with pytest.raises(DataError, match="lack x1"):
        fit.cate(new.drop(columns="x1"))
    with pytest.raises(DataError, match="never saw: z"):
        fit.cate(new.assign(x3="z"))


def test_a_saved_fit_predicts_the_same_numbers(fit, study):
    loaded = {
        role: from_tree(to_tree(component), study) for role, component in fit.components.items()
    }
    again = Fit(study, fit.plan, fit.seed, loaded)
    np.testing.assert_allclose(
        again.potential_outcomes(), fit.potential_outcomes(), rtol=0, atol=1e-9
    )


def test_arviz_accepts_the_posterior(fit):
    assert isinstance(fit.posterior, xr.DataTree)
    table = az.summary(fit.posterior, var_names=["outcome_sigma", "mediator_sigma"])
    assert list(table.index) == ["outcome_sigma", "mediator_sigma"]
    assert dict(fit.posterior["sample_stats"].sizes) == {"chain": 2, "draw": 100}


def test_the_log_likelihood_is_that_of_each_unit_in_its_own_arm_with_its_own_mediator(fit, study):
    outcome, predictor = fit.components["outcome"], fit.observed_predictor()
    expected = expected_unseen(fit.components["mediator"], study)
    m = study.mediator() - expected
    parts = outcome.linear_predictor(expected=np.column_stack([expected, expected]))
    for unit in (0, 7):
        arm = int(study.arm_index()[unit])
        eta = parts.base[:, :, unit, arm] + parts.slope[:, :, unit, arm] * m[unit]
        np.testing.assert_allclose(predictor[:, :, unit], eta)
        sigma = outcome.posterior["outcome_sigma"]
        expected = stats.norm.logpdf(study.outcome()[unit], eta, sigma)
        np.testing.assert_allclose(fit.log_likelihood()[:, :, unit], expected)


# 80 draws are too few for the importance weights of some units.
@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto:UserWarning")
def test_arviz_scores_the_posterior(fit, study):
    score = az.loo(fit.posterior, pointwise=True)
    assert np.isfinite(score.elpd)
    assert score.elpd_i.sizes == {"unit": study.n_units}


def test_the_mediator_held_at_a_value(fit):
    held = fit.potential_outcomes(mediator_value=0.5)
    assert held.dims == ("chain", "draw", "unit", "arm")
    assert hte.controlled_direct_effect(held).attrs["mediator_value"] == 0.5


def test_summary_names_its_interval(fit):
    table = fit.summary(ci_prob=0.8)
    assert list(table.index) == ["te", "tnie", "pnde", "pnie", "tnde"]
    assert set(table["ci_kind"]) == {"eti"}
    assert set(table["ci_prob"]) == {0.8}


@pytest.mark.parametrize("learner", ["t", "s", "prognostic_effect"])
def test_other_learners_fill_the_same_array(study, learner):
    fit = hte.fit(study, learner=learner, **TINY)
    mu = fit.potential_outcomes()
    assert mu.dims == ("chain", "draw", "unit", "arm", "mediator_arm")
    again = fit.potential_outcomes(study.covariate_frame())
    np.testing.assert_allclose(again, mu, rtol=0, atol=1e-9)


def test_a_homogeneous_learner_has_one_effect_for_all():
    study, _ = fake_study(np.random.default_rng(1), n_units=60, mediator=False)
    fit = hte.fit(study, learner="homogeneous", **TINY)
    assert fit.potential_outcomes().dims == ("chain", "draw", "unit", "arm")
    assert float(fit.cate().std("unit").max()) < 1e-12


def test_a_binary_outcome_stays_within_bounds():
    study, _ = fake_study(np.random.default_rng(2), n_units=60)
    frame = study.frame.assign(y=(study.frame["y"] > 0.3).astype(int))
    binary = hte.Study.from_frame(
        frame, outcome="y", treatment="treat", covariates=["x1", "x2", "x3"], mediator="m"
    )
    mu = hte.fit(binary, family="bernoulli", **TINY).potential_outcomes()
    assert float(mu.min()) > 0
    assert float(mu.max()) < 1


@pytest.mark.parametrize("family", ["poisson", "negative_binomial"])
def test_forests_take_counts(study, family):
    counts = study.frame.assign(y=np.arange(80) % 7)
    plain = hte.Study.from_frame(counts, outcome="y", treatment="treat", covariates=["x1"])
    fit = hte.fit(plain, family=family, **TINY)
    mu = fit.potential_outcomes()
    assert float(mu.min()) > 0
    assert float(mu.mean()) == pytest.approx(3.0, abs=0.8)
    noise = {name: values.shape for name, values in fit.components["outcome"].noise().items()}
    assert noise == ({} if family == "poisson" else {"size": (2, 40, 1)})


def test_options_are_checked_before_sampling(study):
    with pytest.raises(SpecError, match="Did you mean 'hierarchical'"):
        hte.fit(study, learner="hierarchial")
    with pytest.raises(SpecError, match="unknown surface 'woods'"):
        hte.fit(study, surface="woods")
    with pytest.raises(SpecError, match="unknown family"):
        hte.fit(study, family="gauss")
    with pytest.raises(DataError, match="negative"):
        hte.fit(study, family="poisson")
    with pytest.raises(SpecError, match=r"unknown noise 'by_arms'.* Did you mean 'by_arm'"):
        hte.fit(study, noise="by_arms")
    binary = replace(study, frame=study.frame.assign(y=(study.frame["y"] > 0).astype(int)))
    with pytest.raises(UnsupportedError, match="noise='by_arm' has no meaning"):
        hte.fit(binary, family="bernoulli", noise="by_arm")
    with pytest.raises(SpecError, match="unknown surface 'wood'"):
        hte.fit(study, stack_with=["wood"])


@pytest.mark.parametrize(
    ("prior", "said"),
    [
        (PriorSpec("outcome", "effect_modified", "x", scale=1.0), "has no term .*; it has arm"),
        (PriorSpec("mediator", "mediator", "x", scale=1.0), "has no term 'mediator'"),
    ],
)
def test_a_prior_that_nothing_uses_is_refused(study, prior, said):
    with pytest.raises(SpecError, match=said):
        hte.fit(study, priors=[prior])


def test_a_prior_that_says_nothing_or_is_said_twice_is_refused(study):
    trees = PriorSpec("outcome", "arm", "x", trees=9)
    with pytest.raises(SpecError, match="is no forest"):
        hte.fit(study, surface="linear", priors=[trees])
    with pytest.raises(SpecError, match="declared twice"):
        hte.fit(study, priors=[trees, trees])


def test_a_study_without_mediator_cannot_hold_it(plain_fit):
    with pytest.raises(DataError, match="no mediator"):
        plain_fit.potential_outcomes(mediator_value=1.0)
    with pytest.raises(DataError, match="mediator_arm"):
        hte.total_natural_indirect(plain_fit.potential_outcomes())
