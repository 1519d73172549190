"""The X-learner: imputed effects, their blend, the walk through imputations, a whole tiny fit."""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytest
import xarray as xr

import bayes_hte as hte
from bayes_hte.components.effect import blend, imputed_effects
from bayes_hte.components.imputation_step import ImputationStep
from tests.fakes import fake_potential_outcomes, fake_study

TINY = {"seed": 3, "draws": 40, "tune": 30, "chains": 2, "cores": 1, "progress": False}


# ---------------------------------------------------------------- algebra


def test_each_unit_compares_its_outcome_with_the_imputed_one_of_the_other_arm():
    rng = np.random.default_rng(1)
    mu = fake_potential_outcomes(rng, n_units=6, chains=2, draws=3, mediator=False)
    y, arm = rng.normal(size=6), np.array([0, 1, 1, 0, 1, 0])
    imputed = imputed_effects(mu, y, arm)
    assert imputed.draws == 3
    assert imputed.table.shape == (6, 6)
    for chain in range(2):
        for draw in range(3):
            row = imputed.table[3 * chain + draw]
            for i in range(6):
                other = float(mu[chain, draw, i, 1 - arm[i]])
                assert row[i] == pytest.approx(y[i] - other if arm[i] else other - y[i])


def test_a_perfect_first_stage_imputes_the_true_effects():
    rng = np.random.default_rng(2)
    mu = fake_potential_outcomes(rng, n_units=8, chains=1, draws=1, mediator=False)
    arm = np.arange(8) % 2
    y = mu.to_numpy()[0, 0, np.arange(8), arm]
    np.testing.assert_allclose(imputed_effects(mu, y, arm).table[0], hte.cate(mu)[0, 0])


def test_the_blend_leans_on_the_function_learned_from_the_rarer_arms_opposite():
    rng = np.random.default_rng(3)
    tau = fake_potential_outcomes(rng, n_units=4, chains=2, draws=3, mediator=False)
    e = xr.DataArray(
        rng.uniform(size=(2, 3, 4)),
        dims=("chain", "draw", "unit"),
        coords={d: tau[d] for d in ("chain", "draw", "unit")},
    )
    got = blend(tau, e)
    assert got.dims == ("chain", "draw", "unit")
    np.testing.assert_allclose(got, e * tau[..., 0].values + (1 - e) * tau[..., 1].values)
    # Where nearly all are treated, tau_0 is built on the well known treated outcomes.
    np.testing.assert_allclose(blend(tau, xr.ones_like(e)), tau[..., 0])
    np.testing.assert_allclose(blend(tau, xr.zeros_like(e)), tau[..., 1])
    same = tau.copy(data=np.repeat(tau.values[..., :1], 2, axis=-1))
    np.testing.assert_allclose(blend(same, e), same[..., 0])


# ---------------------------------------------------------------- the walk


@pytest.mark.parametrize("tune", [0, 5, 10, 25])
@pytest.mark.parametrize("start", [0, 20])
def test_the_kept_draws_meet_the_imputations_of_their_chain_in_order(start, tune):
    with pm.Model() as model:
        index = pm.DiscreteUniform("index", 0, 29)
        step = ImputationStep(model.rvs_to_values[index], draws=10)
    for _ in range(2):
        # A step is set up again for each chain.
        step.setup_chain(np.random.default_rng(0), tune=tune, draws=10)
        point, seen = {"index": np.array(start), "other": np.array(1.5)}, []
        for _ in range(tune + 10):
            point, stats = step.step(point)
            assert stats == [{}]
            assert point["other"] == 1.5
            seen.append(int(point["index"]))
        assert seen[tune:] == list(range(start, start + 10))
        # Tuning walks through the same chain, up to the first kept draw.
        assert seen[:tune] == [start + (i - tune) % 10 for i in range(tune)]


def test_nothing_but_its_own_model_asks_for_the_step():
    with pm.Model() as model:
        index = pm.DiscreteUniform("index", 0, 9)
    assert ImputationStep.competence(model.rvs_to_values[index], False) == 0


# ---------------------------------------------------------------- a whole fit


@pytest.fixture(scope="module")
def truth():
    return fake_study(np.random.default_rng(0), n_units=80, mediator=False)


@pytest.fixture(scope="module")
def fit(truth):
    return hte.fit(truth[0], learner="x", **TINY)


def test_every_draw_belongs_to_one_draw_of_the_first_stage(fit):
    assert tuple(fit.components) == ("propensity", "outcome", "effect")
    index = fit.components["effect"].posterior["effect_imputation"].to_numpy()
    np.testing.assert_array_equal(index, np.arange(80).reshape(2, 40))


def test_the_effect_is_the_blend_and_finds_the_truth(fit, truth):
    study, effect = truth
    tau = fit.cate()
    assert tau.dims == ("chain", "draw", "unit")
    assert tau.attrs["contrast"] == "1 vs 0"
    np.testing.assert_array_equal(tau["unit"], study.units)
    blended = blend(fit.components["effect"].mean(), fit.propensity())
    np.testing.assert_allclose(tau, blended)
    assert float(tau.mean()) == pytest.approx(effect.mean(), abs=0.25)
    assert np.corrcoef(tau.mean(("chain", "draw")), effect)[0, 1] > 0.7
    assert list(fit.summary().index) == ["cate"]


def test_the_effect_is_no_surer_than_its_first_stage_allows(fit):
    stage_one = hte.average(hte.cate(fit.components["outcome"].mean()))
    assert float(hte.average(fit.cate()).std()) > 0.5 * float(stage_one.std())


def test_new_rows_get_the_numbers_of_the_study(fit, truth):
    new = truth[0].covariate_frame()
    np.testing.assert_allclose(fit.cate(new), fit.cate(), rtol=0, atol=1e-9)
    np.testing.assert_allclose(fit.cate(new, batch=33), fit.cate(), rtol=0, atol=1e-9)


def test_outcomes_of_the_arms_differ_by_the_effects(fit, truth):
    mu, first = fit.potential_outcomes(), fit.first_stage().potential_outcomes()
    assert mu.dims == first.dims
    assert list(mu["arm"]) == [0, 1]
    np.testing.assert_array_equal(mu.sel(arm=0), first.sel(arm=0))
    np.testing.assert_allclose(hte.cate(mu), fit.cate(), rtol=0, atol=1e-9)
    assert not np.allclose(mu.sel(arm=1), first.sel(arm=1))
    new = fit.potential_outcomes(truth[0].covariate_frame())
    np.testing.assert_allclose(new, mu, rtol=0, atol=1e-9)


def test_the_choice_among_arms_takes_them(fit):
    chosen = hte.best_arms(fit.potential_outcomes(), better="higher")
    positive = (fit.cate() > 0).mean(("chain", "draw")).to_numpy()
    sure = np.where(chosen["choice"] == 1, positive, 1 - positive)
    np.testing.assert_allclose(chosen["prob_best"], sure)


def test_the_log_likelihood_is_that_of_the_first_stage(fit, truth):
    study = truth[0]
    eta = fit.components["outcome"].linear_predictor().base.to_numpy()
    own = np.take_along_axis(eta, study.arm_index()[None, None, :, None], axis=3)[..., 0]
    np.testing.assert_allclose(fit.observed_predictor(), own)
    assert fit.posterior["log_likelihood"]["y"].shape == (2, 40, 80)
    assert {"propensity_stats", "sample_stats", "effect_stats"} <= set(fit.posterior.children)


def test_a_saved_fit_has_its_second_stage(fit, truth, tmp_path):
    hte.save_fit(fit, tmp_path)
    loaded = hte.load_fit(tmp_path, truth[0])
    np.testing.assert_allclose(loaded.cate(), fit.cate(), rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        loaded.cate(truth[0].covariate_frame()), fit.cate(), rtol=0, atol=1e-9
    )
