"""Fits of two mediators: their effects, what is kept and loaded, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayes_hte as hte
from bayes_hte.checks import mediator_confounding, mediator_variation
from bayes_hte.checks.null_studies import homogeneous_null
from bayes_hte.checks.subject import Subject
from bayes_hte.components.learners import learner_terms
from bayes_hte.errors import DataError, SpecError, UnsupportedError
from bayes_hte.fitting.plan import Plan, check_plan
from bayes_hte.fitting.stages import stages
from bayes_hte.sensitivity import mediation_rho
from bayes_hte.study.spec import PriorSpec

SIZE = {"seed": 3, "draws": 60, "tune": 60, "chains": 2, "cores": 1, "progress": False}
FIRST, SECOND = "self-efficacy (1/5)", "work"
MIXED = {FIRST: "gaussian", SECOND: "bernoulli"}
ROLES = {"outcome": "y", "treatment": "arm", "covariates": ["x", "z"]}


def frame_of(n: int = 300, *, arms: int = 2, seed: int = 4) -> pd.DataFrame:
    """Mediators with correlated errors; the second also cut in two."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n))
    arm = rng.permutation(np.arange(n) % arms)
    e, u = rng.normal(size=(2, n))
    first = 0.8 * arm + 0.5 * x + e
    latent = 0.6 * arm + 0.3 * z + 0.6 * e + 0.8 * u
    y = 0.3 * arm + 0.4 * x + 0.7 * first + 0.4 * latent + rng.normal(size=n)
    return pd.DataFrame(
        {"y": y, "arm": arm, FIRST: first, SECOND: (latent > 0) * 1, "m2": latent, "x": x, "z": z}
    )


def study_of(frame: pd.DataFrame, mediator: object = (FIRST, SECOND)) -> hte.Study:
    return hte.Study.from_frame(frame, mediator=mediator, **ROLES)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return frame_of()


@pytest.fixture(scope="module")
def linear(frame) -> hte.Fit:
    """Two gaussian mediators, in which truth is known."""
    return hte.fit(study_of(frame, [FIRST, "m2"]), surface="linear", **SIZE | {"draws": 150})


@pytest.fixture(scope="module")
def mixed(frame) -> hte.Fit:
    """A gaussian and a binary mediator; some units lack one of them."""
    holed = frame.copy()
    holed.loc[:3, SECOND] = np.nan
    holed.loc[5, FIRST] = np.nan
    prior = PriorSpec("mediator", "arm_mean", "wide", scale=2.0)
    product = PriorSpec("outcome", "mediator_product", "wide", scale=1.0)
    options = {"surface": "linear", "mediator_family": MIXED, "priors": [prior, product]}
    return hte.fit(study_of(holed), **options, **SIZE)


# ---------------------------------------------------------------- effects


def test_joint_and_separate_effects_are_those_of_a_linear_model(linear):
    truth = {FIRST: 0.8 * 0.7, "m2": 0.6 * 0.4}
    found = hte.average(linear.interventional_effects())
    for name, true in truth.items():
        draws = found["through"].sel(mediator=name)
        assert abs(float(draws.mean()) - true) < 3 * float(draws.std())
    joint = found["joint"]
    assert abs(float(joint.mean()) - sum(truth.values())) < 3 * float(joint.std())
    assert abs(float(found["direct"].mean()) - 0.3) < 3 * float(found["direct"].std())
    # No mediator acts more where the other is high, so nothing remains.
    assert abs(float(found["remainder"].mean())) < 0.1
    # Along the order the part that the first passes to the second counts to the first.
    paths = hte.average(linear.path_effects(order=[FIRST, "m2"]))["through"].mean(("chain", "draw"))
    assert float(paths.sel(mediator=FIRST)) - float(
        found["through"].sel(mediator=FIRST).mean()
    ) == pytest.approx(0.8 * 0.6 * 0.4, abs=0.1)


@pytest.mark.slow
def test_the_order_of_modelling_leaves_the_joint_effect(linear, frame):
    swapped = hte.fit(study_of(frame, ["m2", FIRST]), surface="linear", **SIZE | {"draws": 150})
    one, other = (hte.average(fit.effects())["tnie"] for fit in (linear, swapped))
    # The same posterior, up to priors and Monte Carlo error.
    assert abs(float(one.mean() - other.mean())) < 0.5 * float(one.std())


@pytest.mark.parametrize("which", ["linear", "mixed"])
def test_every_way_to_the_effects_agrees(which, request):
    fit = request.getfixturevalue(which)
    mu = fit.potential_outcomes()
    assert mu.dims == ("chain", "draw", "unit", "arm", "mediator_arm")
    found, natural = fit.interventional_effects(), fit.effects()
    np.testing.assert_allclose(found["joint"], hte.total_natural_indirect(mu), atol=1e-12)
    parts = found["through"].sum("mediator") + found["remainder"]
    np.testing.assert_allclose(parts, found["joint"], atol=1e-12)
    np.testing.assert_allclose(found["joint"] + found["direct"], natural["te"], atol=1e-12)
    paths = fit.path_effects(order=list(fit.study.roles.mediators))
    np.testing.assert_allclose(paths["through"].sum("mediator"), natural["tnie"], atol=1e-12)
    assert found["through"]["mediator"].to_numpy().tolist() == list(fit.study.roles.mediators)
    table = hte.summarize(hte.average(found))
    assert len(table) == 5


def test_new_rows_and_units_without_a_mediator_have_effects(mixed):
    study = mixed.study
    assert mixed.effects().sizes["unit"] == study.n_units
    assert mixed.log_likelihood().sizes["unit"] == study.n_units - 5
    assert np.isfinite(mixed.unit_log_likelihood()).all()
    rows = study.frame.head(7)[["x", "z"]]
    again = mixed.interventional_effects(rows, batch=3)
    first = mixed.interventional_effects().isel(unit=slice(7))
    for name in ("through", "joint"):
        np.testing.assert_allclose(again[name].to_numpy(), first[name].to_numpy(), rtol=1e-6)


def test_both_mediators_can_be_held(mixed):
    held = {SECOND: 1.0, FIRST: 0.5}
    mu = mixed.potential_outcomes(mediator_value=held)
    assert mu.dims == ("chain", "draw", "unit", "arm")
    # Outcomes are linear in each, with a product: the four corners tell it.
    corner = {
        (a, b): mixed.potential_outcomes(mediator_value={FIRST: a, SECOND: b}).mean()
        for a in (0.0, 1.0)
        for b in (0.0, 1.0)
    }
    bend = corner[1, 1] - corner[1, 0] - corner[0, 1] + corner[0, 0]
    product = mixed.components["outcome"].posterior["outcome_mediator_product_const"]
    assert float(bend) == pytest.approx(float(product.mean()), rel=1e-6)
    with pytest.raises(SpecError, match="must hold both mediators"):
        mixed.potential_outcomes(mediator_value=1.0)
    with pytest.raises(SpecError, match="Did you mean 'work'"):
        mixed.potential_outcomes(mediator_value={"works": 1.0, FIRST: 1.0})


def test_a_saved_fit_gives_the_same_effects(mixed, tmp_path):
    hte.save_fit(mixed, tmp_path)
    again = hte.load_fit(tmp_path, mixed.study)
    assert again.plan == mixed.plan
    for name in ("through", "remainder", "direct"):
        got, kept = (f.interventional_effects()[name] for f in (again, mixed))
        np.testing.assert_allclose(got, kept, rtol=1e-9, atol=1e-12)


def test_two_of_three_arms_have_the_effects_of_the_whole():
    frame = frame_of(120, arms=3)
    fit = hte.fit(study_of(frame, [FIRST, "m2"]), surface="linear", **SIZE | {"draws": 20})
    pair = fit.two_arms(2, 0)
    whole = fit.effects(contrast=(2, 0)).sel(unit=pair.study.units.to_numpy())
    np.testing.assert_allclose(pair.effects()["tnie"], whole["tnie"], rtol=1e-9, atol=1e-12)
    found = pair.interventional_effects()
    np.testing.assert_allclose(found["joint"], whole["tnie"], rtol=1e-9, atol=1e-12)
    with pytest.raises(UnsupportedError, match="two arms"):
        fit.interventional_effects()


def test_the_second_has_what_the_first_has_and_both_a_product():
    one = learner_terms("hierarchical", mediated=1)
    two = learner_terms("hierarchical", mediated=2)
    assert two[: len(one)] == one
    first = [t for t in one if t.sees_mediator]
    second = two[len(one) : -1]
    assert [t.kind for t in second] == [t.kind for t in first]
    assert {t.of_mediator for t in second} == {1}
    assert two[-1].on_product
    # Infinite with a log link, and apart for levels with means of their own.
    assert learner_terms("hierarchical", mediated=2, product=False) == two[:-1]
    levels = learner_terms("hierarchical", mediated=2, means_by="z", levels=("a", "b"))
    assert [t.name for t in levels if t.on_product] == ["mediator_product_0", "mediator_product_1"]


@pytest.mark.slow
def test_imputed_frames_are_pooled(frame):
    holed = frame.head(80).assign(z=frame["z"].where(frame.index > 9))
    study = hte.Study.from_frame(
        holed, mediator=[FIRST, "m2"], missing="impute", imputations=2, **ROLES
    )
    size = SIZE | {"draws": 10, "tune": 10}
    fit = hte.fit(study, surface="linear", **size)
    found = fit.interventional_effects()
    np.testing.assert_allclose(found["joint"], fit.effects()["tnie"], rtol=1e-9, atol=1e-12)
    assert fit.path_effects(order=[FIRST, "m2"])["through"].dims[-1] == "mediator"


# ---------------------------------------------------------------- checks


def test_each_mediator_is_judged_the_second_given_the_first(linear, frame):
    first, second = mediator_variation.check(Subject(linear, linear.effects()))
    assert (first.passed, second.passed) == (True, True)
    assert first.name.endswith(FIRST)
    assert repr(FIRST) in second.text
    twice = study_of(frame.assign(m2=2 * frame[FIRST] + frame["x"]), [FIRST, "m2"])
    with pytest.raises(DataError, match=r"no variation beside .*name one of the two"):
        check_plan(twice, Plan())
    treated = study_of(frame.assign(m2=frame["arm"] * 2.0), [FIRST, "m2"])
    with pytest.raises(DataError, match="'m2' has no variation of its own"):
        check_plan(treated, Plan())


def test_what_is_worked_out_for_one_mediator_is_refused_or_left_out(linear):
    with pytest.raises(UnsupportedError, match="takes one mediator, and this study has two"):
        mediation_rho(linear)
    subject = Subject(linear, linear.effects(), assignment="randomised")
    assert mediator_confounding.check(subject) == ()
    equal = replace(linear, plan=replace(linear.plan, learner="homogeneous"))
    with pytest.raises(UnsupportedError, match="two"):
        homogeneous_null(equal)(linear.study, np.random.default_rng(1))
    with pytest.raises(UnsupportedError, match="one mediator"):
        hte.calibrate_subgroups(linear.study, effect="tnie", seed=1, replications=20)


# ---------------------------------------------------------------- refusals


def test_path_effects_need_a_declared_order(linear):
    with pytest.raises(UnsupportedError, match=r"only along an order of causes.*interventional"):
        linear.path_effects()
    with pytest.raises(UnsupportedError, match="not the order in which the mediators"):
        linear.path_effects(order=["m2", FIRST])


def test_effects_through_each_need_two_mediators(mediated_fit):
    with pytest.raises(UnsupportedError, match="this one has one mediator, 'm'"):
        mediated_fit.interventional_effects()


def test_lists_of_one_and_of_three(frame):
    assert study_of(frame, [FIRST]).roles == study_of(frame, FIRST).roles
    assert stages(study_of(frame, [FIRST]), Plan()) == ("propensity", "mediator", "outcome")
    with pytest.raises(UnsupportedError, match="names 3 columns"):
        study_of(frame, [FIRST, SECOND, "m2"])
    with pytest.raises(DataError, match="two parts"):
        study_of(frame, [FIRST, FIRST])
    with pytest.raises(UnsupportedError, match="takes one mediator"):
        study_of(frame).mediator()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mediator_family": "student_t"}, UnsupportedError, "got 'student_t'"),
        ({"mediator_family": {FIRST: "gaussian"}}, SpecError, f"no family for '{SECOND}'"),
        ({"mediator_family": {"works": "gaussian"}}, SpecError, "Did you mean 'work'"),
        ({"mediator_family": {FIRST: "bernoulli", SECOND: "bernoulli"}}, DataError, "only 0 and 1"),
        ({"mediator_family": {FIRST: "gaussian", SECOND: "poisson"}, "family": "poisson"},
         UnsupportedError, "infinite"),
    ],
)  # fmt: skip
def test_families_that_do_not_suit_are_refused(frame, options, error, message):
    study = study_of(frame.assign(y=np.arange(len(frame)) % 4))
    with pytest.raises(error, match=message):
        hte.fit(study, **options, **SIZE)
