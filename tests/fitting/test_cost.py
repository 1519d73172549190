"""What a fit will take is said before, in proportion to what it depends on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bayes_hte.errors import LargeStudyWarning
from bayes_hte.fitting import cost
from bayes_hte.fitting.cost import component_cost, fit_cost, warn_if_long
from bayes_hte.fitting.plan import Plan
from bayes_hte.fitting.size import SamplerSize
from bayes_hte.fitting.stages import build_stage
from tests.fakes import fake_study

SIZE = SamplerSize(chains=2, draws=500, tune=300, cores=2)


@pytest.fixture(scope="module")
def study():
    return fake_study(np.random.default_rng(0), n_units=80, mediator=False)[0]


@pytest.fixture(scope="module")
def outcome(study):
    return build_stage("outcome", study, Plan(propensity_covariate=False), {})


def many(study, n):
    """A study that says it has more units than it has rows."""
    return type("Many", (), {"n_units": n, "roles": study.roles, "arms": study.arms})()


def test_time_is_in_proportion_to_rows_trees_and_iterations(study):
    plan, start = Plan(), cost._START * 2
    one = fit_cost(plan, many(study, 10**6), SIZE)
    ten = fit_cost(plan, many(study, 10**7), SIZE)
    assert ten.seconds == pytest.approx(10 * one.seconds, rel=0.02)
    twice = fit_cost(plan, many(study, 10**6), replace(SIZE, draws=1000, tune=600))
    assert twice.seconds - start == pytest.approx(2 * (one.seconds - start))
    slower = fit_cost(plan, many(study, 10**6), replace(SIZE, cores=1))
    assert slower.seconds - start == pytest.approx(2 * (one.seconds - start))
    assert slower.gib < one.gib
    # A million rows fit the memory that they are meant for, with four chains at a time.
    four = fit_cost(plan, many(study, 10**6), SamplerSize(chains=4, cores=4))
    assert four.gib < 8


def test_trees_are_those_at_hand(study, outcome):
    built = component_cost(outcome, SIZE)
    told = fit_cost(Plan(propensity_covariate=False), study, SIZE)
    assert told.gib == pytest.approx(built.gib, rel=0.01)
    assert told.seconds > built.seconds
    assert fit_cost(Plan(learner="s"), study, SIZE).seconds != told.seconds


def test_values_that_are_kept_take_memory(study):
    few, more = (fit_cost(Plan(), many(study, n), SIZE).gib for n in (39_000, 41_000))
    assert few > more


def test_a_long_fit_is_announced_with_the_way_out(outcome, monkeypatch):
    warn_if_long(outcome, SIZE)
    monkeypatch.setattr(cost, "LONG", 1.0)
    with pytest.warns(LargeStudyWarning, match=r"about 10 seconds.*202 trees.*fit\.averages"):
        warn_if_long(outcome, SIZE)
    monkeypatch.setattr(cost, "LONG", 600.0)
    monkeypatch.setattr(cost, "memory", lambda: 1e6)
    with pytest.warns(LargeStudyWarning, match="GiB"):
        warn_if_long(outcome, replace(SIZE, cores=1))
    with pytest.warns(LargeStudyWarning, match="surface='forest'"):
        warn_if_long(replace(outcome, surface="gp"), SIZE)
    monkeypatch.setattr(cost, "memory", lambda: None)
    warn_if_long(outcome, SIZE)
