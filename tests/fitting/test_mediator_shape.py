"""Fits of an outcome that bends in its mediator: known effects, what is kept, what is refused."""

from __future__ import annotations

import arviz_stats
import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from bayes_hte.checks import Subject, mediator_linearity
from bayes_hte.cli import shipped_studies
from bayes_hte.components.learners import learner_terms
from bayes_hte.errors import (
    DataError,
    SpecError,
    UnhealthySamplingWarning,
    UnsupportedError,
)
from bayes_hte.fitting.plan import Plan, check_plan
from bayes_hte.fitting.sampling import SamplerSize, sample_component, sample_with_pymc
from bayes_hte.fitting.stages import build_stage
from bayes_hte.reporting.tables.priors import prior_table
from bayes_hte.runs.settings import sampling_settings
from bayes_hte.study.spec import PriorSpec

SIZE = {"seed": 3, "draws": 80, "tune": 50, "chains": 2, "cores": 1, "progress": False}
ROLES = {"outcome": "y", "treatment": "arm", "covariates": ["x", "z"], "mediator": "m"}
# How far the treatment moves the mediator, and how much its square moves the outcome.
MOVED, BEND = 1.5, 0.5
SIGMA = "outcome_sigma"
# Importance weights of few draws; the comparison of two models with these is another matter.
few_draws = pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto:UserWarning")


def frame_of(n: int = 300, seed: int = 4) -> pd.DataFrame:
    """A trial whose outcome is quadratic in the mediator, with the effect of each unit."""
    rng = np.random.default_rng(seed)
    x, z, error, noise = rng.normal(size=(4, n))
    arm = rng.permutation(np.arange(n) % 2)
    untreated = 0.6 * x
    m = untreated + MOVED * arm + error
    y = 0.4 * x + 0.3 * arm + BEND * m**2 + noise
    # E[M(1)^2] - E[M(0)^2], as the variance of M is that of both arms.
    tnie = BEND * ((untreated + MOVED) ** 2 - untreated**2)
    return pd.DataFrame({"y": y, "arm": arm, "m": m, "x": x, "z": z, "tnie": tnie})


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return frame_of()


@pytest.fixture(scope="module")
def study(frame) -> hte.Study:
    return hte.Study.from_frame(frame, **ROLES)


@pytest.fixture(scope="module")
def bent(study) -> hte.Fit:
    return hte.fit(study, surface="linear", mediator_shape="spline", **SIZE)


@pytest.fixture(scope="module")
def straight(study) -> hte.Fit:
    return hte.fit(study, surface="linear", **SIZE)


def interval(draws) -> tuple[float, float]:
    return tuple(np.quantile(draws, (0.025, 0.975)))


# ---------------------------------------------------------------- known truth


def test_a_quadratic_mediator_is_missed_by_a_line_and_met_by_a_spline(frame, bent, straight):
    truth = frame["tnie"].to_numpy()
    average = {name: fit.effects()["tnie"].mean("unit") for name, fit in _both(bent, straight)}
    low, high = interval(average["spline"])
    assert low < truth.mean() < high
    # A slope for each arm takes that of the treated for the way from one arm to the other.
    low, _ = interval(average["linear"])
    assert low > truth.mean()
    # Without shrinkage of the slopes, and in the limit, it would be three times that.
    assert float(average["linear"].mean()) - truth.mean() > BEND * MOVED**2 / 3
    error = {
        name: np.sqrt(np.mean((fit.effects()["tnie"].mean(("chain", "draw")) - truth) ** 2))
        for name, fit in _both(bent, straight)
    }
    assert error["spline"] < 0.6 * error["linear"]


def _both(bent: hte.Fit, straight: hte.Fit) -> list[tuple[str, hte.Fit]]:
    return [("spline", bent), ("linear", straight)]


def test_the_total_effect_does_not_rest_on_the_shape(bent, straight):
    one, other = (fit.effects()["te"].mean("unit") for _, fit in _both(bent, straight))
    assert abs(float(one.mean() - other.mean())) < float(other.std())


@few_draws
def test_left_out_prediction_prefers_the_spline(bent, straight):
    table = arviz_stats.compare({name: fit.posterior for name, fit in _both(bent, straight)})
    assert table.index[0] == "spline"
    assert abs(float(table.loc["linear", "elpd_diff"])) > 10


@few_draws
def test_the_check_refutes_the_line_and_names_the_option(bent, straight):
    (line,) = mediator_linearity.check(Subject(straight, straight.effects()))
    assert line.passed is False
    assert "mediator_shape='spline'" in line.text
    (spline,) = mediator_linearity.check(Subject(bent, bent.effects()))
    assert spline.passed is True


# ---------------------------------------------------------------- one model, two samplers


def test_pymc_holds_the_function_that_is_predicted(bent, study):
    """The linear predictor of the PyMC model at a draw is that of the fit at the same draw."""
    fitted = bent.components["outcome"]
    plan = Plan.of(study, surface="linear", mediator_shape="spline")
    component = build_stage("outcome", study, plan, bent.components)
    one = fitted.posterior.isel(chain=0, draw=7)
    given = {v: one[v.name].to_numpy() for v in component.model.free_RVs if v.name != SIGMA}
    there = component.eta.eval(given, mode="FAST_COMPILE")
    here = bent.observed_predictor().isel(chain=0, draw=7)
    np.testing.assert_allclose(there, here, rtol=1e-6, atol=1e-8)


@pytest.mark.slow
def test_forests_of_bends_have_the_posterior_of_the_pymc_model():
    study = hte.Study.from_frame(frame_of(60), **ROLES)
    few = [
        PriorSpec(component="outcome", term=term, trees=5, because="a test")
        for term in ("shared", "mediator_modified", "mediator_bend_modified")
    ]
    few += [PriorSpec("outcome", t, "a test", trees=3) for t in ("arm", "mediator_arm")]
    few += [PriorSpec("outcome", "mediator_bend_arm", "a test", trees=3)]
    plan = Plan(propensity_covariate=False, mediator_shape="spline", priors=tuple(few))
    size = SamplerSize(chains=2, draws=30, tune=30, cores=1, progress=False)
    mediator = sample_component(build_stage("mediator", study, plan, {}), seed=1, size=size)
    component = build_stage("outcome", study, plan, {"mediator": mediator})
    size = SamplerSize(chains=2, draws=400, tune=150, cores=1, progress=False)
    found = []
    for sampler in (sample_component, sample_with_pymc):
        fitted = sampler(component, seed=5, size=size)
        bends = [v for v in fitted.posterior if str(v).endswith("_const") and "bend" in str(v)]
        assert len(bends) == 3
        draws = {str(name): fitted.posterior[name].to_numpy() for name in bends}
        found.append(draws | {"sigma": np.log(fitted.posterior["outcome_sigma"].to_numpy())})
    direct, pymc = found
    for name in direct:
        pair = (direct[name], pymc[name])
        errors = [float(arviz_stats.mcse(draws, method="mean")) for draws in pair]
        assert abs(pair[0].mean() - pair[1].mean()) / np.hypot(*errors) < 4, name
        assert pair[0].std() == pytest.approx(pair[1].std(), rel=0.35), name


# ---------------------------------------------------------------- what a fit can do


def test_new_rows_have_the_effects_of_the_units_they_equal(bent, frame):
    again = bent.effects(frame[["x", "z"]].head(9))["tnie"]
    first = bent.effects()["tnie"].isel(unit=slice(9))
    np.testing.assert_allclose(again.to_numpy(), first.to_numpy(), rtol=1e-6)


def test_a_held_mediator_follows_the_parabola(bent):
    at = {m: bent.potential_outcomes(mediator_value=m).mean() for m in (-1.0, 0.75, 2.5)}
    bend = float(at[-1.0] - 2 * at[0.75] + at[2.5]) / 1.75**2
    assert bend == pytest.approx(2 * BEND, abs=0.35)


def test_it_is_saved_and_loaded(bent, study, tmp_path):
    hte.save_fit(bent, tmp_path)
    again = hte.load_fit(tmp_path, study)
    assert again.plan.mediator_shape == "spline"
    np.testing.assert_allclose(again.effects()["tnie"], bent.effects()["tnie"], rtol=1e-9)
    np.testing.assert_allclose(again.log_likelihood(), bent.log_likelihood(), rtol=1e-9)


@few_draws
def test_candidates_are_stacked(study):
    small = SIZE | {"draws": 40, "tune": 20}
    plan = {"surface": "linear", "mediator_shape": "spline", "stack_with": ["homogeneous/linear"]}
    stacked = hte.fit(study, **plan, **small)
    effects = stacked.effects()
    np.testing.assert_allclose(effects["te"], effects["tnie"] + effects["pnde"], atol=1e-9)
    assert np.isfinite(stacked.log_likelihood()).all()


def test_forests_and_several_arms_bend(frame):
    three = frame.assign(arm=np.arange(len(frame)) % 3)
    study = hte.Study.from_frame(three, **ROLES, reference=0)
    small = {"seed": 1, "draws": 8, "tune": 8, "chains": 2, "cores": 1, "progress": False}
    with pytest.warns(UnhealthySamplingWarning):
        fit = hte.fit(study, mediator_shape="spline", **small)
    assert fit.components["outcome"].bends.number == 3
    mu = fit.potential_outcomes()
    pair = fit.two_arms(2, 1)
    both = np.isin(three["arm"], [1, 2])
    arms = {"arm": [1, 2], "mediator_arm": [1, 2]}
    np.testing.assert_allclose(pair.potential_outcomes(), mu.isel(arms).isel(unit=both), rtol=1e-9)


@pytest.mark.parametrize("learner", ["hierarchical", "prognostic_effect", "t", "s", "homogeneous"])
def test_bends_have_what_slopes_have(learner):
    terms = learner_terms(learner, mediated=1, bends=3)
    slopes = [t for t in terms if t.on_mediator]
    for bend in range(3):
        own = [t for t in terms if t.bend == bend]
        assert [(t.features, t.arm) for t in own] == [(t.features, t.arm) for t in slopes]
        assert all("bend" in t.kind and not t.on_mediator for t in own)
    assert learner_terms(learner, mediated=1) == tuple(t for t in terms if t.bend is None)


def test_a_study_file_declares_it(study):
    jobs2 = shipped_studies()["jobs2"]
    spec = hte.load_spec(jobs2, changes=["outcome.mediator_shape=spline"])
    assert Plan.from_spec(spec).mediator_shape == "spline"
    assert sampling_settings(spec, study)["models.mediator_shape"] == "spline"
    # Runs that were saved before the option was there are resumed.
    assert "models.mediator_shape" not in sampling_settings(hte.load_spec(jobs2), study)
    kinds = set(prior_table(spec)["term"])
    assert {"mediator_bend", "mediator_bend_modified", "mediator_bend_arm"} <= kinds


# ---------------------------------------------------------------- refusals


def planned(study: hte.Study, **options) -> None:
    check_plan(study, Plan.of(study, mediator_shape="spline", **options))


def test_what_cannot_bend_is_refused(study, frame):
    counted = hte.Study.from_frame(frame.assign(m=frame["m"].abs().round()), **ROLES)
    planned(counted, mediator_family="poisson")
    with pytest.raises(SpecError, match=r"unknown mediator_shape 'curve'.*linear, spline"):
        check_plan(study, Plan.of(study, mediator_shape="curve"))
    none = hte.Study.from_frame(frame, **{k: v for k, v in ROLES.items() if k != "mediator"})
    with pytest.raises(SpecError, match="the study has none"):
        planned(none)
    two = hte.Study.from_frame(frame, **ROLES | {"mediator": ["m", "z"], "covariates": ["x"]})
    with pytest.raises(UnsupportedError, match="takes one mediator, got 'm' and 'z'"):
        planned(two)
    binary = hte.Study.from_frame(frame.assign(m=(frame["m"] > 0) * 1), **ROLES)
    for family in ("bernoulli", "gaussian"):
        with pytest.raises(DataError, match="'m': the mediator has 2 different values"):
            planned(binary, mediator_family=family)
    with pytest.raises(UnsupportedError, match="got 'student_t'"):
        planned(study, mediator_family="student_t")
    with pytest.raises(UnsupportedError, match="Gaussian processes"):
        planned(study, surface="gp")
    counts = hte.Study.from_frame(frame.assign(y=frame["y"].abs().round()), **ROLES)
    with pytest.raises(UnsupportedError, match="log link"):
        planned(counts, family="poisson")


def test_priors_of_bends_need_bends(study):
    prior = PriorSpec("outcome", "mediator_bend", "wide", scale=1.0)
    planned(study, priors=[prior])
    with pytest.raises(SpecError, match="has no term 'mediator_bend'"):
        check_plan(study, Plan.of(study, priors=[prior]))
