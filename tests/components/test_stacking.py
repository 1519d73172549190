"""Stacking: who gets how many draws, who gets the weight, and a mixture that predicts as one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes_hte as hte
from bayes_hte.components.fitted import FittedComponent
from bayes_hte.components.saved import from_tree, to_tree
from bayes_hte.components.stacked import StackedComponent, spread_evenly, stack_candidates
from bayes_hte.errors import SamplingError
from bayes_hte.study.design import Design
from bayes_hte.surfaces.terms import Term
from tests.fakes import fake_study

TINY = {"seed": 3, "draws": 40, "tune": 30, "chains": 2, "cores": 1, "progress": False}
CHAINS, DRAWS = 2, 400
# Forty draws are too few for the importance weights of some units; the table says so.
few_draws = pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto:UserWarning")


@pytest.fixture(scope="module")
def study():
    return fake_study(np.random.default_rng(0), n_units=60, mediator=False)[0]


def candidate(study, seed: int, *, effect: float, sigma: float = 0.5) -> FittedComponent:
    """A fitted component that holds two constants: the outcome's mean, and an effect."""
    rng, dims = np.random.default_rng(seed), ("chain", "draw")
    posterior = xr.Dataset(
        {
            "outcome_effect_const": (dims, rng.normal(effect, 0.05, size=(CHAINS, DRAWS))),
            "outcome_sigma": (dims, rng.normal(sigma, 0.02, size=(CHAINS, DRAWS))),
        },
        coords={"chain": range(CHAINS), "draw": range(DRAWS)},
    )
    return FittedComponent(
        role="outcome",
        family_name="gaussian",
        surface="linear",
        noise_model="constant",
        terms=(Term("effect", "effect", "none", arm=1),),
        design=Design.learn(study),
        offset=float(study.outcome().mean()),
        clustered=False,
        posterior=posterior,
        stats=xr.Dataset({"diverging": (dims, rng.uniform(size=(CHAINS, DRAWS)) < 0.01)}),
        trees={},
    )


def log_likelihood(component: FittedComponent, study) -> np.ndarray:
    eta = component.linear_predictor().as_observed(study.arm_index(), None)
    return component.family.log_likelihood(study.outcome(), eta, component.noise())


def mixture(study, **weights: float) -> StackedComponent:
    """Candidates "a", "b", ... with effects 0, 1, ... and given weights."""
    found = {
        label: candidate(study, 10 + i, effect=float(i), sigma=0.5 + i)
        for i, label in enumerate(weights)
    }
    table = pd.DataFrame({"weight": weights, "elpd": 0.0, "se": 1.0, "bad_pareto_k": 0.0})
    return StackedComponent(found, table.rename_axis("candidate"))


# ---------------------------------------------------------------- dealing draws


@pytest.mark.parametrize(
    "weights", [[1.0], [0.5, 0.5], [0.7, 0.2, 0.1], [0.999, 0.001], [0.0, 1.0], [1 / 3] * 3]
)
def test_every_stretch_from_the_start_holds_each_candidate_in_proportion(weights):
    dealt = spread_evenly(np.array(weights), 500)
    counts = np.cumsum(dealt[:, None] == np.arange(len(weights)), axis=0)
    wanted = np.arange(1, 501)[:, None] * np.array(weights)
    assert np.abs(counts - wanted).max() <= 1
    assert not (dealt[:, None] == np.flatnonzero(np.array(weights) == 0)).any()


def test_random_weights_are_dealt_in_proportion_too():
    rng = np.random.default_rng(1)
    for _ in range(20):
        weights = rng.dirichlet(np.full(4, 0.5))
        dealt = spread_evenly(weights, 200)
        counts = np.cumsum(dealt[:, None] == np.arange(4), axis=0)
        assert np.abs(counts - np.arange(1, 201)[:, None] * weights).max() <= 1.5


# ---------------------------------------------------------------- weights


def test_the_better_model_gets_the_weight(study):
    rng = np.random.default_rng(2)
    parts = {"bad": candidate(study, 1, effect=0.0), "good": candidate(study, 2, effect=0.0)}
    scores = {
        label: rng.normal(mean, 0.05, size=(CHAINS, DRAWS, 1)) + rng.normal(0, 0.1, size=60)
        for label, mean in (("bad", -2.0), ("good", -1.0))
    }
    stacked = stack_candidates(parts, scores)
    assert list(stacked.table.index) == ["bad", "good"]
    assert stacked.weights["good"] > 0.95
    assert stacked.weights.sum() == pytest.approx(1)
    assert (stacked.table["se"] > 0).all()
    assert stacked.table.loc["good", "elpd"] == pytest.approx(-60, abs=6)
    assert stacked.table.loc["bad", "elpd"] == pytest.approx(-120, abs=6)
    assert (stacked.table["bad_pareto_k"] == 0).all()


def test_models_that_are_each_right_for_half_the_units_share_the_weight(study):
    parts = {"a": candidate(study, 1, effect=0.0), "b": candidate(study, 2, effect=0.0)}
    first = np.arange(60) < 30
    noise = np.random.default_rng(3).normal(0, 0.05, size=(CHAINS, DRAWS, 1))
    scores = {"a": noise + np.where(first, -1.0, -4.0), "b": noise + np.where(first, -4.0, -1.0)}
    weights = stack_candidates(parts, scores).weights
    assert weights["a"] == pytest.approx(0.5, abs=0.02)


def test_identical_candidates_have_finite_weights(study):
    one = candidate(study, 1, effect=0.3)
    scores = log_likelihood(one, study)
    stacked = stack_candidates({"a": one, "b": one}, {"a": scores, "b": scores})
    assert stacked.weights.sum() == pytest.approx(1)
    assert stacked.weights.between(0, 1).all()
    np.testing.assert_allclose(stacked.table["elpd"]["a"], stacked.table["elpd"]["b"])


@few_draws
def test_units_that_decide_alone_are_counted(study):
    parts = {"a": candidate(study, 1, effect=0.0), "b": candidate(study, 2, effect=0.0)}
    rng = np.random.default_rng(4)
    # Importance weights are 1 / likelihood: of exponential log-likelihoods Pareto, shape 1.5.
    wild = -1.5 * rng.exponential(size=(CHAINS, DRAWS, 60))
    calm = rng.normal(-1, 0.05, size=(CHAINS, DRAWS, 60))
    stacked = stack_candidates(parts, {"a": wild, "b": calm})
    assert stacked.table.loc["a", "bad_pareto_k"] > 0.5
    assert stacked.table.loc["b", "bad_pareto_k"] == 0


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_a_log_likelihood_that_is_no_number_is_refused(study, value):
    parts = {"a": candidate(study, 1, effect=0.0), "b": candidate(study, 2, effect=0.0)}
    scores = {label: log_likelihood(part, study) for label, part in parts.items()}
    scores["b"][1, 5, 7] = value
    with pytest.raises(SamplingError, match="candidate 'b': the log-likelihood is not finite"):
        stack_candidates(parts, scores)


# ---------------------------------------------------------------- the mixture


def test_the_mixture_has_the_weighted_mean_of_its_candidates(study):
    stacked = mixture(study, a=0.7, b=0.3)
    base = stacked.linear_predictor().base
    assert base.dims == ("chain", "draw", "unit", "arm")
    assert dict(base.sizes) == {"chain": CHAINS, "draw": DRAWS, "unit": 60, "arm": 2}
    effect = (base[..., 1] - base[..., 0])[..., 0].to_numpy()
    means = [c.posterior["outcome_effect_const"].mean() for c in stacked.candidates.values()]
    # Four errors of 0.05 / sqrt(240), the rarer candidate's thinned draws.
    assert effect.mean() == pytest.approx(float(0.7 * means[0] + 0.3 * means[1]), abs=0.013)
    # A mixture is wider than its parts: 0.05^2 within and 0.7 * 0.3 between.
    assert effect.std() == pytest.approx(np.sqrt(0.0025 + 0.21), rel=0.03)
    np.testing.assert_array_equal(stacked.mean(), base)


def test_effect_and_noise_of_a_draw_come_from_the_same_draw_of_one_candidate(study):
    stacked = mixture(study, a=0.6, b=0.4)
    base = stacked.linear_predictor().base
    effect = (base[..., 1] - base[..., 0])[..., 0].to_numpy()
    sigma = stacked.noise()["sigma"][..., 0]
    label = stacked.posterior["outcome_candidate"]
    assert label.attrs["labels"] == ["a", "b"]
    for i, part in enumerate(stacked.candidates.values()):
        for chain in range(CHAINS):
            pairs = set(
                zip(
                    part.posterior["outcome_effect_const"][chain].to_numpy().round(9),
                    part.posterior["outcome_sigma"][chain].to_numpy().round(9),
                    strict=True,
                )
            )
            mine = label.to_numpy()[chain] == i
            got = zip(effect[chain][mine].round(9), sigma[chain][mine].round(9), strict=True)
            assert set(got) <= pairs


def test_noise_of_each_unit_mixes_with_noise_of_all(study):
    stacked = mixture(study, a=0.5, b=0.5)
    varying = dataclasses.replace(
        stacked.candidates["b"],
        noise_model="by_arm",
        posterior=stacked.candidates["b"].posterior.assign(
            outcome_log_spread=(("chain", "draw", "one"), np.full((CHAINS, DRAWS, 1), 1.0))
        ),
    )
    both = dataclasses.replace(stacked, candidates={**stacked.candidates, "b": varying})
    sigma = both.noise()["sigma"]
    assert sigma.shape == (CHAINS, DRAWS, 60)
    label = both.posterior["outcome_candidate"].to_numpy()
    arm = study.arm_index() == 1
    ratio = sigma[..., arm].mean(-1) / sigma[..., ~arm].mean(-1)
    np.testing.assert_allclose(ratio, np.where(label == 1, np.e, 1.0))


def test_a_candidate_without_weight_has_no_draw(study):
    stacked = mixture(study, a=0.0, b=1.0)
    alone = stacked.candidates["b"].linear_predictor().base
    np.testing.assert_array_equal(stacked.linear_predictor().base, alone)
    np.testing.assert_array_equal(stacked.posterior["outcome_candidate"], 1)


def test_a_reloaded_mixture_predicts_the_same_numbers(study):
    stacked = mixture(study, a=0.123456789012345, b=0.876543210987655)
    again = from_tree(to_tree(stacked), study)
    assert isinstance(again, StackedComponent)
    assert list(again.candidates) == ["a", "b"]
    pd.testing.assert_frame_equal(again.table, stacked.table, check_like=True)
    np.testing.assert_array_equal(again.linear_predictor().base, stacked.linear_predictor().base)
    np.testing.assert_array_equal(again.noise()["sigma"], stacked.noise()["sigma"])


# ---------------------------------------------------------------- a whole fit


@pytest.fixture(scope="module")
def fit(study):
    return hte.fit(study, stack_with=["t/forest"], **TINY)


@few_draws
def test_a_stacked_fit_fills_the_contract_and_shows_its_candidates(fit, study):
    assert dict(fit.potential_outcomes().sizes) == {"chain": 2, "draw": 40, "unit": 60, "arm": 2}
    parts = fit.candidates()
    assert list(parts) == ["forest", "t/forest"] == list(fit.components["outcome"].table.index)
    effects = {label: part.cate() for label, part in parts.items()}
    assert not np.allclose(effects["forest"], effects["t/forest"])
    weights = fit.components["outcome"].weights
    wanted = sum(weights[label] * effects[label].mean() for label in parts)
    # The average over 80 draws, of which the mixture takes some.
    error = max(float(e.mean("unit").std()) for e in effects.values()) / np.sqrt(20)
    assert float(fit.cate().mean()) == pytest.approx(float(wanted), abs=4 * error)
    assert fit.posterior["posterior"]["outcome_candidate"].shape == (2, 40)
    assert np.isfinite(fit.log_likelihood()).all()


@few_draws
def test_new_rows_and_a_reloaded_fit_give_the_same_numbers(fit, study, tmp_path):
    np.testing.assert_allclose(fit.cate(study.frame), fit.cate(), rtol=0, atol=1e-9)
    hte.save_fit(fit, tmp_path)
    again = hte.load_fit(tmp_path, study)
    np.testing.assert_allclose(again.cate(), fit.cate(), rtol=0, atol=1e-9)
    for label, part in again.candidates().items():
        np.testing.assert_allclose(part.cate(), fit.candidates()[label].cate(), rtol=0, atol=1e-9)
