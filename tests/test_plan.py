"""What is fitted: candidates by label, and combinations that are refused before any sampling."""

from __future__ import annotations

import numpy as np
import pytest

from bayes_hte.errors import SpecError, UnsupportedError
from bayes_hte.fitting import stages
from bayes_hte.plan import Plan, check_plan
from bayes_hte.spec import PriorSpec
from bayes_hte.study import Study
from bayes_hte.testing import fake_study


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
