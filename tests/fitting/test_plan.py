"""What is fitted: candidates by label, and combinations that are refused before any sampling."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import bayes_hte as hte
from bayes_hte.components.learners import LEARNERS
from bayes_hte.errors import SpecError, UnsupportedError
from bayes_hte.fitting.plan import Plan, check_plan, settled
from bayes_hte.fitting.sampling import SamplerSize
from bayes_hte.fitting.stages import stages
from bayes_hte.study.spec import PriorSpec
from bayes_hte.study.spec_file import parse_spec
from bayes_hte.study.study import Study
from tests.fakes import fake_study
from tests.trial import TOML


@pytest.fixture(scope="module")
def mediated() -> Study:
    return fake_study(np.random.default_rng(0), n_units=40)[0]


@pytest.fixture(scope="module")
def plain() -> Study:
    return fake_study(np.random.default_rng(0), n_units=40, mediator=False)[0]


def test_candidates_are_labelled_by_what_sets_them_apart_the_main_one_first():
    plan = Plan(learner="t", stack_with=("linear", "hierarchical/forest", "s/linear"))
    found = plan.candidates()
    assert {label: (p.learner, p.surface) for label, p in found.items()} == {
        "forest": ("t", "forest"),
        "linear": ("t", "linear"),
        "hierarchical/forest": ("hierarchical", "forest"),
        "s/linear": ("s", "linear"),
    }
    assert next(iter(found)) == "forest"
    assert all(p.stack_with == () for p in found.values())
    assert Plan().candidates() == {"forest": Plan()}


@pytest.mark.parametrize(
    "twice", [("forest",), ("linear", "linear"), ("t/linear", "t/linear"), ("hierarchical/forest",)]
)
def test_a_candidate_named_twice_is_refused(plain, twice):
    with pytest.raises(SpecError, match=r"stack_with: candidate '.*' is named twice"):
        check_plan(plain, Plan(stack_with=twice))


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("liner", "unknown surface 'liner'.* Did you mean 'linear'"),
        ("tt/linear", "unknown learner 'tt'"),
        ("t/wood", "unknown surface 'wood'"),
        ("", "unknown surface ''"),
    ],
)
def test_an_unknown_candidate_is_refused(plain, label, message):
    check_plan(plain, Plan(stack_with=("t/linear",)))
    with pytest.raises(SpecError, match=message):
        check_plan(plain, Plan(stack_with=(label,)))


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Plan(learner="x", stack_with=("linear",)), "no likelihood of the observed outcome"),
        (Plan(stack_with=("x/forest",)), "no likelihood of the observed outcome"),
        (Plan(learner="x", surface="gp"), "learner 'x' on surface 'gp' is not supported"),
    ],
)
def test_what_the_x_learner_cannot_do_is_refused(plain, plan, message):
    check_plan(plain, Plan(learner="x"))
    with pytest.raises(UnsupportedError, match=message):
        check_plan(plain, plan)


def test_the_x_learner_refuses_a_mediator_and_names_the_way_out(mediated):
    with pytest.raises(UnsupportedError, match=r"cannot split it .*use learner='t'"):
        check_plan(mediated, Plan(learner="x"))


def test_only_the_x_learner_has_an_effect_stage(mediated, plain):
    assert stages(plain, Plan()) == ("propensity", "outcome")
    assert stages(mediated, Plan()) == ("propensity", "mediator", "outcome")
    assert stages(plain, Plan(learner="x")) == ("propensity", "outcome", "effect")
    prior = PriorSpec("effect", "effect", "x", scale=1.0)
    check_plan(plain, Plan(learner="x", priors=(prior,)))
    with pytest.raises(SpecError, match="effect model of learner 't' has no term 'effect'"):
        check_plan(plain, Plan(learner="t", priors=(prior,)))


@pytest.mark.parametrize("family", ["bernoulli", "poisson", "negative_binomial"])
@pytest.mark.parametrize("noise", ["by_arm", "varying"])
def test_noise_of_its_own_needs_a_family_with_a_scale(plain, family, noise):
    frame = plain.frame.assign(y=np.arange(plain.n_units) % 2)
    study = Study.from_frame(frame, outcome="y", treatment="treat", covariates=["x1"])
    check_plan(study, Plan(family=family))
    with pytest.raises(UnsupportedError, match=f"outcome: the scale of a {family} column follows"):
        check_plan(study, Plan(family=family, noise=noise))
    for scaled in ("gaussian", "student_t"):
        check_plan(study, Plan(family=scaled, noise=noise))


def test_a_second_stage_is_a_property_of_the_learner():
    assert [name for name, learner in LEARNERS.items() if learner.second_stage] == ["x"]
    for name in LEARNERS:
        plan = Plan(learner=name)
        assert plan.second_stage == (name == "x")
        assert plan.first_stage() == (Plan(learner="t") if name == "x" else plan)


def test_the_options_of_fit_have_one_default(plain):
    of_fit = {name: p.default for name, p in inspect.signature(hte.fit).parameters.items()}
    size, spec = SamplerSize(), parse_spec(TOML, name="trial", folder=Path())
    for name in ("chains", "draws", "tune", "cores", "progress"):
        assert of_fit[name] == getattr(size, name), name
    models = {f.name for f in fields(Plan)} - {"mediator_surface", "propensity_surface"}
    for name in models - {"stack_with"}:
        assert of_fit[name] == getattr(Plan(), name), name
    assert set(of_fit) == models | {"study", "seed", "chains", "draws", "tune", "cores", "progress"}
    for name in ("learner", "surface", "family", "noise", "mediator_family", "means_by"):
        assert getattr(Plan.from_spec(spec), name) == getattr(Plan(), name), name
    assert Plan.of(plain) == Plan()
    assert Plan.of(plain, surface="gp").propensity_surface == "forest"
    assert Plan.of(plain, surface="linear", stack_with=()) == Plan(
        surface="linear", mediator_surface="linear", propensity_surface="linear"
    )


def test_a_prior_of_an_unknown_component_is_refused(plain):
    with pytest.raises(SpecError, match="unknown component of a prior 'outcom'"):
        check_plan(plain, Plan(priors=(PriorSpec("outcom", "arm", "x", scale=1.0),)))


# ---------------------------------------------------------------- candidates


def test_nothing_is_stacked_unless_it_is_asked_for(plain):
    assert Plan.of(plain).stack_with == ()
    assert parse_spec(TOML, name="trial", folder=Path()).outcome.stack_with == ()


def test_a_study_file_that_names_candidates_keeps_them(plain):
    named = TOML.replace("[mediator]", 'stack_with = ["gp"]\n[mediator]')
    spec = parse_spec(named, name="trial", folder=Path())
    assert settled(spec, plain).outcome.stack_with == ("gp",)
