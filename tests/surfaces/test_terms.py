"""Terms, learners and priors: what a model is made of, before any sampler."""

from __future__ import annotations

import typing

import numpy as np
import pytest

from bayes_hte.components.learners import LEARNERS, learner_terms
from bayes_hte.components.priors import DEFAULTS, term_priors
from bayes_hte.errors import SpecError
from bayes_hte.study.design import FeatureSet
from bayes_hte.study.spec import LearnerName, PriorSpec, TermName
from bayes_hte.surfaces.terms import Term

ARM = np.array([0, 1, 1, 0])
MEDIATOR = np.array([-1.0, 0.5, 2.0, 3.0])
EXPECTED = np.array([0.3, -0.7, 1.1, 0.2])
ALL = [(learner, mediated) for learner in LEARNERS for mediated in (False, True)]


# ---------------------------------------------------------------- one term


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        (Term("a", "shared"), None),
        (Term("a", "arm", arm=0), [1, 0, 0, 1]),
        (Term("a", "arm", arm=1), [0, 1, 1, 0]),
        (Term("a", "mediator", on_mediator=True), MEDIATOR),
        (Term("a", "mediator_arm", arm=1, on_mediator=True), [0, 0.5, 2.0, 0]),
        (Term("a", "mediator_arm", arm=0, on_mediator=True), [-1.0, 0, 0, 3.0]),
        (Term("a", "expected_mediator", on_expected=True), EXPECTED),
        (Term("a", "expected_mediator", arm=1, on_expected=True), [0, -0.7, 1.1, 0]),
    ],
)
def test_the_basis_is_the_indicator_of_the_arm_times_the_mediator(term, expected):
    basis = term.basis(ARM, MEDIATOR, expected=EXPECTED)
    if expected is None:
        assert basis is None
    else:
        np.testing.assert_array_equal(basis, expected)


def test_a_basis_leaves_the_mediator_alone():
    before = MEDIATOR.copy()
    basis = Term("a", "mediator", on_mediator=True).basis(ARM, MEDIATOR)
    basis *= 2
    np.testing.assert_array_equal(MEDIATOR, before)


def test_a_term_on_the_mediator_needs_one():
    with pytest.raises(ValueError, match="term 'slope' needs a mediator"):
        Term("slope", "mediator", on_mediator=True).basis(ARM, None)


def test_a_term_on_the_expectation_needs_one():
    with pytest.raises(ValueError, match="term 'a' needs the expected mediator"):
        Term("a", "expected_mediator", on_expected=True).basis(ARM, MEDIATOR)


def test_a_term_acts_in_its_arm_or_in_both():
    assert [Term("a", "shared").acts_in(arm) for arm in (0, 1)] == [True, True]
    assert [Term("a", "arm", arm=1).acts_in(arm) for arm in (0, 1)] == [False, True]
    # Arm 0 is an arm, not a missing value.
    assert [Term("a", "arm", arm=0).acts_in(arm) for arm in (0, 1)] == [True, False]


# ---------------------------------------------------------------- learners


def values(term: Term) -> np.ndarray:
    """Return some function of the four rows, another for each term; constant without features."""
    rng = np.random.default_rng(sum(map(ord, term.name)))
    return np.full(4, rng.normal()) if term.features == "none" else rng.normal(size=4)


def times(term: Term) -> np.ndarray | float:
    if term.on_expected:
        return EXPECTED
    return MEDIATOR if term.on_mediator else 1.0


def potential(terms: tuple[Term, ...], arm: int) -> np.ndarray:
    """Linear predictor of everybody under an arm, at one mediator and one expectation of it.

    A function that sees the arm is another function in each arm.
    """
    total = np.zeros(4)
    for term in terms:
        if term.acts_in(arm):
            function = values(term)
            if term.features == "covariates+arm":
                function = function * (1 + arm)
            total += function * times(term)
    return total


@pytest.mark.parametrize(("learner", "mediated"), ALL)
def test_the_observed_predictor_is_the_potential_outcome_under_the_own_arm(learner, mediated):
    # Consistency: the model that is fitted is the model that predicts.
    terms = learner_terms(learner, mediated=mediated)
    observed = np.zeros(4)
    for term in terms:
        given = (MEDIATOR, EXPECTED) if mediated else (None, None)
        basis = term.basis(ARM, given[0], expected=given[1])
        function = values(term)
        if term.features == "covariates+arm":
            function = function * (1 + ARM)
        observed += function if basis is None else function * basis
    expected = np.where(ARM == 1, potential(terms, 1), potential(terms, 0))
    np.testing.assert_allclose(observed, expected)


@pytest.mark.parametrize(("learner", "mediated"), ALL)
def test_every_learner_lets_the_outcome_differ_between_arms(learner, mediated):
    terms = learner_terms(learner, mediated=mediated)
    assert np.abs(potential(terms, 1) - potential(terms, 0)).min() > 0


@pytest.mark.parametrize("mediated", [False, True])
def test_only_the_homogeneous_learner_has_a_constant_effect(mediated):
    constant = {}
    for learner in LEARNERS:
        terms = learner_terms(learner, mediated=mediated)
        effect = potential(terms, 1) - potential(terms, 0)
        constant[learner] = np.ptp(effect) < 1e-12
    assert constant == {learner: learner == "homogeneous" for learner in LEARNERS}


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_mediated_outcome_adds_what_the_mediator_does_and_changes_nothing_else(learner):
    plain = learner_terms(learner, mediated=False)
    mediated = learner_terms(learner, mediated=True)
    assert mediated[: len(plain)] == plain
    added = mediated[len(plain) :]
    assert all(term.on_mediator != term.on_expected for term in added)
    assert not any(term.on_mediator or term.on_expected for term in plain)
    for arm in (0, 1):
        assert any(term.on_mediator and term.acts_in(arm) for term in added)
        # One coefficient of the expectation, so that a direct effect is not taken for a slope.
        of_expectation = [t for t in added if t.on_expected and t.acts_in(arm)]
        assert [t.features for t in of_expectation] == ["none"]


@pytest.mark.parametrize(("learner", "mediated"), ALL)
def test_terms_are_unique_known_and_have_a_prior(learner, mediated):
    terms = learner_terms(learner, mediated=mediated)
    assert len({term.name for term in terms}) == len(terms)
    for term in terms:
        assert term.kind in DEFAULTS
        assert term.features in typing.get_args(FeatureSet)
        assert term.on_mediator == term.kind.startswith("mediator")
        assert term.on_expected == (term.kind == "expected_mediator")


@pytest.mark.parametrize("mediated", [False, True])
@pytest.mark.parametrize("learner", ["hierarchical", "t"])
def test_learners_that_treat_arms_alike_are_symmetric(learner, mediated):
    def swapped(term: Term) -> tuple:
        arm = None if term.arm is None else 1 - term.arm
        return (term.kind, term.features, arm, term.on_mediator)

    terms = learner_terms(learner, mediated=mediated)
    described = [(t.kind, t.features, t.arm, t.on_mediator) for t in terms]
    assert sorted(map(str, map(swapped, terms))) == sorted(map(str, described))


@pytest.mark.parametrize("mediated", [False, True])
def test_the_t_learner_shares_nothing(mediated):
    assert all(term.arm is not None for term in learner_terms("t", mediated=mediated))


@pytest.mark.parametrize("mediated", [False, True])
def test_the_s_learner_sees_the_arm_as_a_column(mediated):
    terms = learner_terms("s", mediated=mediated)
    functions = [term for term in terms if not term.on_expected]
    assert all(term.features == "covariates+arm" and term.arm is None for term in functions)


@pytest.mark.parametrize("learner", ["hierarchical", "prognostic_effect", "homogeneous"])
def test_the_propensity_enters_the_shared_part_alone(learner):
    terms = learner_terms(learner, mediated=True)
    with_propensity = [t.kind for t in terms if t.features == "covariates+propensity"]
    assert with_propensity == ["shared"]


def test_the_learners_are_those_a_study_file_can_name():
    assert set(LEARNERS) == set(typing.get_args(LearnerName))


def test_an_unknown_learner_is_refused_and_the_nearest_named():
    with pytest.raises(SpecError, match=r"unknown learner 'hierarchic'.*mean 'hierarchical'"):
        learner_terms("hierarchic", mediated=False)


# ---------------------------------------------------------------- priors


def change(component: str = "outcome", term: str = "arm", **values) -> PriorSpec:
    return PriorSpec(component=component, term=term, because="the protocol says so", **values)


def test_every_kind_of_term_has_a_default_prior_with_a_reason():
    assert set(DEFAULTS) == set(typing.get_args(TermName))
    for prior in DEFAULTS.values():
        assert prior.scale > 0
        assert prior.trees > 0
        assert len(prior.because) > 20


def test_deviations_are_shrunk_more_than_what_they_deviate_from():
    assert DEFAULTS["arm"].scale < DEFAULTS["shared"].scale
    assert DEFAULTS["effect"].scale < DEFAULTS["shared"].scale
    assert DEFAULTS["mediator_arm"].scale < DEFAULTS["mediator"].scale


def test_without_changes_the_priors_are_the_defaults():
    assert term_priors("outcome") == DEFAULTS
    assert term_priors("outcome") is not DEFAULTS


def test_a_change_replaces_what_it_names_and_carries_its_reason():
    default = DEFAULTS["arm"]
    scaled = term_priors("outcome", [change(scale=0.1)])["arm"]
    assert (scaled.scale, scaled.trees) == (0.1, default.trees)
    assert scaled.because == "the protocol says so"
    grown = term_priors("outcome", [change(trees=7)])["arm"]
    assert (grown.scale, grown.trees) == (default.scale, 7)


def test_a_change_touches_no_other_term_component_or_default():
    before = dict(DEFAULTS)
    changed = term_priors("outcome", [change(scale=0.1)])
    assert {kind for kind in changed if changed[kind] != DEFAULTS[kind]} == {"arm"}
    assert term_priors("mediator", [change(scale=0.1)]) == DEFAULTS
    assert before == DEFAULTS


def test_changes_of_one_term_add_up():
    both = term_priors("outcome", [change(scale=0.1), change(trees=7)])["arm"]
    assert (both.scale, both.trees) == (0.1, 7)
