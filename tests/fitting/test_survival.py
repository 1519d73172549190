"""Fits of times to an event, as users make them: scales, horizons, arms, gaps, refusals."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from bayes_hte.components.families import get_family
from bayes_hte.errors import DataError, SpecError, UnsupportedError
from bayes_hte.fitting.plan import Plan, check_plan
from bayes_hte.study.time_to_event import Estimand

SIZE = {"seed": 1, "draws": 60, "tune": 60, "chains": 2, "cores": 1, "progress": False}
SIGMA = 0.6


def frame_of(n: int = 240, *, arms: int = 2, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x, arm = rng.normal(size=n), np.arange(n) % arms
    log_time = 1 + 0.4 * x + 0.6 * (arm > 0) + SIGMA * rng.normal(size=n)
    end = 0.5 + rng.exponential(8.0, size=n)
    return pd.DataFrame(
        {
            "years": np.minimum(np.exp(log_time), end),
            "died": np.exp(log_time) <= end,
            "arm": np.array(["none", "drug", "more"])[arm],
            "x": x,
            "site": np.array(["a", "b", "c", "d"])[np.arange(n) // 3 % 4],
        }
    )


ROLES = {"outcome": "years", "event": "died", "treatment": "arm", "reference": "none"}


@pytest.fixture(scope="module")
def study() -> hte.Study:
    return hte.Study.from_frame(frame_of(), **ROLES, covariates=["x"])


@pytest.fixture(scope="module")
def fit(study: hte.Study) -> hte.Fit:
    return hte.fit(study, family="lognormal", surface="linear", horizon=4, **SIZE)


def test_effects_are_differences_of_restricted_means(fit: hte.Fit) -> None:
    mu, x = fit.potential_outcomes(), fit.study.frame["x"].to_numpy()
    assert float(mu.min()) > 0
    assert float(mu.max()) < 4
    eta = 1 + 0.4 * x[:, None] + np.array([0.0, 0.6])
    truth = get_family("lognormal").mean(eta, {"sigma": SIGMA}, Estimand("rmst", 4.0))
    average = float((truth[:, 1] - truth[:, 0]).mean())
    draws = fit.cate().mean("unit")
    assert abs(float(draws.mean()) - average) < 3 * float(draws.std())
    table = fit.summary()
    assert table.loc["cate", "prob_positive"] > 0.95
    assert table.loc["cate", "estimand"] == "restricted mean survival time to 4"


def test_arrays_say_which_scale_they_are_on(fit: hte.Fit) -> None:
    said = fit.cate().attrs
    assert (said["estimand"], said["at"]) == ("rmst", 4.0)
    assert said["estimand_words"] == "restricted mean survival time to 4"
    assert Estimand.of(said) == Estimand("rmst", 4.0) == fit.estimand()
    alive = fit.cate(estimand="survival", at=2)
    assert alive.attrs["estimand_words"] == "survival beyond 2"
    assert fit.effects()["te"].attrs["estimand"] == "rmst"


def test_survival_is_a_probability_that_falls(fit: hte.Fit) -> None:
    early, late = (fit.potential_outcomes(estimand="survival", at=t) for t in (1, 4))
    assert float(late.min()) >= 0
    assert float(early.max()) <= 1
    assert bool((early >= late).all())
    # The restricted mean is the area under the curve.
    times = np.linspace(0.1, 3.9, 20)
    curve = [fit.potential_outcomes(estimand="survival", at=t).mean() for t in times]
    assert float(np.mean(curve)) * 4 == pytest.approx(
        float(fit.potential_outcomes().mean()), rel=0.01
    )


def test_new_rows_are_predicted_on_the_same_scales(fit: hte.Fit) -> None:
    some = fit.study.frame.head(5)
    np.testing.assert_allclose(fit.cate(some), fit.cate().isel(unit=slice(5)))
    how = {"estimand": "survival", "at": 2.0}
    np.testing.assert_allclose(fit.cate(some, **how), fit.cate(**how).isel(unit=slice(5)))
    bare = some[["x"]]
    assert fit.potential_outcomes(bare, batch=2).attrs["at"] == 4.0


def test_the_posterior_tree_holds_censored_likelihoods(fit: hte.Fit) -> None:
    values = fit.log_likelihood()
    assert bool(np.isfinite(values).all())
    taken_for_events = fit.components["outcome"].family.log_likelihood(
        fit.study.outcome(), fit.observed_predictor().to_numpy(), fit.observed_noise()
    )
    same = np.isclose(values, taken_for_events).all(axis=(0, 1))
    assert (same == fit.study.event).all()
    assert "log_likelihood" in fit.posterior.children


def test_a_saved_fit_has_its_horizon(fit: hte.Fit, tmp_path) -> None:
    hte.save_fit(fit, tmp_path)
    again = hte.load_fit(tmp_path, fit.study)
    assert again.horizon == 4.0
    np.testing.assert_allclose(again.cate(), fit.cate())


def test_the_default_horizon_leaves_a_tenth_at_risk(study: hte.Study) -> None:
    plan = Plan.of(study, family="weibull", stack_with=())
    at_risk = [np.mean(study.outcome()[study.arm_index() == a] >= plan.horizon) for a in (0, 1)]
    assert min(at_risk) == pytest.approx(0.1, abs=0.01)


def test_times_are_refused_beyond_follow_up(fit: hte.Fit, study: hte.Study) -> None:
    with pytest.raises(DataError, match="beyond the follow-up"):
        hte.fit(study, family="lognormal", horizon=1e6, **SIZE)
    with pytest.raises(DataError, match="beyond the follow-up"):
        fit.cate(estimand="survival", at=1e6)
    with pytest.raises(SpecError, match="needs a time"):
        fit.cate(estimand="survival")
    with pytest.raises(SpecError, match="estimand"):
        fit.cate(estimand="hazard")
    with pytest.raises(SpecError, match="positive"):
        fit.cate(at=0)


def test_families_and_studies_must_go_together(study: hte.Study) -> None:
    for family in ("gaussian", "poisson"):
        with pytest.raises(SpecError, match="lognormal"):
            check_plan(study, Plan(family=family))
    plain = hte.Study.from_frame(
        frame_of(), outcome="years", treatment="arm", reference="none", covariates=["x"]
    )
    with pytest.raises(SpecError, match="event=<column>"):
        check_plan(plain, Plan(family="weibull"))
    with pytest.raises(SpecError, match="horizon is for times"):
        check_plan(plain, Plan(horizon=3.0))
    with pytest.raises(SpecError, match="measured quantity"):
        check_plan(study, Plan(family="weibull", mediator_family="weibull"))
    with pytest.raises(UnsupportedError, match="censored one is not observed"):
        check_plan(study, Plan(family="lognormal", learner="x"))
    with pytest.raises(UnsupportedError, match="surface 'gp'"):
        check_plan(study, Plan(family="lognormal", surface="gp"))


def test_another_outcome_has_no_survival_scale() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {"y": rng.normal(size=40), "z": np.arange(40) % 2, "x": rng.normal(size=40)}
    )
    plain = hte.Study.from_frame(frame, outcome="y", treatment="z", covariates=["x"])
    fitted = hte.fit(plain, surface="linear", stack_with=(), **SIZE)
    assert fitted.horizon is None
    assert "estimand" not in fitted.cate().attrs
    with pytest.raises(SpecError, match="times to an event"):
        fitted.cate(estimand="rmst", at=1)


@pytest.mark.parametrize(
    ("family", "options"),
    [
        ("weibull", {"surface": "forest", "noise": "by_arm"}),
        ("loglogistic", {"surface": "additive", "noise": "varying", "learner": "homogeneous"}),
        ("log_student_t", {"surface": "forest", "learner": "s", "noise": "varying"}),
        ("lognormal", {"surface": "linear", "stack_with": ["t/linear"], "noise": "by_arm"}),
    ],
)
def test_surfaces_learners_noise_clusters_and_arms(family: str, options: dict) -> None:
    frame = frame_of(150, arms=3).assign(start=0.0)
    frame.loc[::10, "x"] = np.nan if options["surface"] == "forest" else 0.0
    frame["died"] = frame["died"].astype(float)
    frame.loc[3:5, ["years", "died"]] = np.nan
    study = hte.Study.from_frame(frame, **ROLES, covariates=["x"], cluster="site")
    size = SIZE | {"draws": 15, "tune": 10}
    fitted = hte.fit(study, family=family, **{"stack_with": ()} | options, **size)
    effect = fitted.cate()
    assert effect.sizes["contrast"] == 2
    assert bool(np.isfinite(effect).all())
    assert float(fitted.potential_outcomes().min()) > 0
    assert float(fitted.potential_outcomes().max()) <= fitted.horizon
    pair = fitted.two_arms("more", "drug")
    assert pair.horizon == fitted.horizon
    among = fitted.cate(contrast="more vs drug").sel(unit=pair.study.units.to_numpy())
    np.testing.assert_allclose(pair.cate(), among)
    new = fitted.cate(study.frame.head(4))
    np.testing.assert_allclose(new, effect.isel(unit=slice(4)))


def test_late_entry_makes_survivors_less_impressive() -> None:
    rng = np.random.default_rng(2)
    frame = frame_of(400)
    frame["start"] = rng.uniform(0, 2.0, size=len(frame))
    frame = frame[frame["years"] > frame["start"]]
    means = {}
    for entry in (None, "start"):
        study = hte.Study.from_frame(frame, **ROLES, covariates=["x"], entry=entry)
        fitted = hte.fit(study, family="lognormal", surface="linear", horizon=4, **SIZE)
        means[entry] = float(fitted.potential_outcomes().sel(arm="none").mean())
    rng = np.random.default_rng(3)
    eta = 1 + 0.4 * frame["x"].to_numpy()
    truth = get_family("lognormal").mean(eta, {"sigma": SIGMA}, Estimand("rmst", 4.0)).mean()
    assert means["start"] == pytest.approx(truth, abs=0.2)
    assert means[None] > means["start"] + 0.1


def test_a_mediator_splits_the_effect_on_survival() -> None:
    rng = np.random.default_rng(4)
    frame = frame_of(300)
    frame["m"] = (frame["arm"] == "drug") * 1.0 + rng.normal(size=len(frame))
    frame["years"] = frame["years"] * np.exp(0.5 * frame["m"])
    study = hte.Study.from_frame(frame, **ROLES, covariates=["x"], mediator="m")
    fitted = hte.fit(study, family="lognormal", surface="linear", horizon=4, **SIZE)
    effects = fitted.effects().mean(("chain", "draw", "unit"))
    assert float(effects["tnie"]) > 0.1
    assert float(effects["te"]) == pytest.approx(float(effects["tnie"] + effects["pnde"]))
    held = fitted.potential_outcomes(mediator_value=0.5, estimand="survival", at=3)
    assert held.attrs["estimand"] == "survival"
    assert held.dims == ("chain", "draw", "unit", "arm")


@pytest.mark.slow
@pytest.mark.parametrize("family", ["weibull", "piecewise_hazard"])
def test_ties_everywhere_and_nobody_censored_have_finite_effects(family):
    """Three times in all, as where visits are yearly: no event is lost."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"years": rng.integers(1, 4, 120), "died": 1, "drug": np.arange(120) % 2})
    frame["x"] = rng.normal(size=120)
    roles = {"outcome": "years", "event": "died", "treatment": "drug", "covariates": ["x"]}
    size = {"draws": 30, "tune": 30, "chains": 2, "cores": 1, "progress": False, "seed": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = hte.fit(hte.Study.from_frame(frame, **roles), family=family, surface="linear", **size)
    assert fit.horizon == 3.0
    means = fit.potential_outcomes().mean("unit")
    observed = frame.groupby("drug")["years"].mean().to_numpy()
    assert np.isfinite(fit.cate()).all()
    # An event at the end of an interval came within it, half a year earlier on average.
    away = means.mean(("chain", "draw")).to_numpy() - observed
    assert (np.abs(away) < 0.7).all()
    assert np.isfinite(fit.log_likelihood()).all()
