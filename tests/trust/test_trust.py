"""The verdict: its rule on checks that are given, and what it says of three studies."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes_hte as hte
from bayes_hte.checks import (
    arm_overlap as arms,
)
from bayes_hte.checks import (
    assignment,
    chain_stability,
    covariate_effects,
    heterogeneity,
    mediator_variation,
    refutations,
    repeated_rows,
)
from bayes_hte.checks.base import CheckResult
from bayes_hte.trust import rule as trust
from bayes_hte.trust.rule import judge


def along(by_chance: float, name: str = covariate_effects.LEFT_OUT) -> CheckResult:
    return check(name, None, pd.DataFrame({"by_chance": {"age": 0.9, "sex": by_chance}}))


def check(name: str, passed: bool | None, table: pd.DataFrame | None = None) -> CheckResult:
    return CheckResult(name, passed, pd.DataFrame() if table is None else table, f"about {name}.")


def shown(slope: float, autoc: float, name: str = heterogeneity.LEFT_OUT) -> CheckResult:
    return check(name, None, pd.DataFrame({"prob_positive": {"slope": slope, "autoc": autoc}}))


SOUND = (
    check("sampling health: average effects", True),
    check(arms.NAME, True),
    check(repeated_rows.NAME, None),
    check(chain_stability.NAME, True),
)
RANDOMISED = check(assignment.NAME, True)


# --- The rule -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("checks", "usable", "differences", "carries"),
    [
        ((*SOUND, RANDOMISED, shown(0.5, 0.5)), "yes", "not shown", False),
        ((*SOUND, RANDOMISED, shown(0.998, 0.5)), "yes", "shown", True),
        ((*SOUND, RANDOMISED, shown(0.999, 0.999)), "yes", "shown and usable for ranking", True),
        ((*SOUND, shown(0.5, 0.5), check("posterior predictive", False)), "with care", None, False),
        ((*SOUND[1:], shown(0.999, 0.999)), "no", "not shown", False),
    ],
)
def test_the_verdict_answers_two_questions_in_words(checks, usable, differences, carries):
    found = judge(checks)
    assert found.usable == usable
    assert found.differences == (differences or "not shown")
    assert found.carries_individuals == carries
    assert found.lines(people="eyes") == (
        f"Can the numbers be used: {usable}",
        f"Do effects differ between eyes: {differences or 'not shown'}",
    )


@pytest.mark.parametrize(
    ("mean", "sd", "wanted"),
    [(-50, 15, "run against"), (-1.5, 0.4, "run against"), (5, 40, "no readable size")],
)
def test_a_slope_without_sense_is_said_in_words(mean, sd, wanted):
    draws = mean + sd * np.random.default_rng(2).normal(size=(2, 500))
    slope = xr.DataArray(draws, dims=("chain", "draw"), name="slope")
    area = xr.DataArray(draws, dims=("chain", "draw"))
    text = heterogeneity._text(hte.summarize(xr.Dataset({"slope": slope, "autoc": area})), slope)
    assert wanted in text
    assert f"slope {mean}" not in text
    assert "interval" not in text


@pytest.mark.parametrize(
    ("slope", "autoc", "verdict"),
    [
        (0.5, 0.5, trust.SIMPLE),
        (0.997, 1.0, trust.SIMPLE),
        (0.998, 0.5, trust.REAL),
        (0.998, 0.989, trust.REAL),
        (0.999, 0.99, trust.RANKING),
    ],
)
def test_heterogeneity_decides_where_everything_else_is_sound(slope, autoc, verdict):
    found = judge([*SOUND, RANDOMISED, shown(slope, autoc)])
    assert found.verdict == verdict
    assert found.level == "green"
    assert found.reasons


@pytest.mark.parametrize(
    "name",
    [SOUND[0].name, arms.NAME, repeated_rows.NAME, mediator_variation.NAME, *refutations.NAMES],
)
def test_a_decisive_check_that_fails_decides(name):
    rest = [c for c in SOUND if c.name != name]
    found = judge([*rest, check(name, False), shown(1.0, 1.0)])
    assert found.verdict == trust.DO_NOT_TRUST
    assert found.level == "red"
    assert any(name in reason for reason in found.reasons)


@pytest.mark.parametrize("missing", [0, 1])
def test_what_was_not_checked_is_not_trusted(missing):
    rest = [c for i, c in enumerate(SOUND) if i != missing]
    found = judge([*rest, shown(1.0, 1.0)])
    assert found.verdict == trust.DO_NOT_TRUST
    assert "not checked" in found.reasons[0]


def test_a_check_that_does_not_decide_is_a_caution():
    found = judge([*SOUND, shown(1.0, 1.0), check("shape of the outcome", False)])
    assert found.verdict == trust.RANKING
    assert found.level == "amber"
    assert [c.name for c in found.cautions] == ["shape of the outcome"]
    assert "caution" in found.headline


def test_unstable_heterogeneity_is_not_trusted_but_an_unstable_null_is_no_matter():
    unstable = [*SOUND[:3], check(chain_stability.NAME, False)]
    assert judge([*unstable, shown(1.0, 1.0)]).verdict == trust.DO_NOT_TRUST
    assert judge([*unstable, shown(0.5, 0.5)]).verdict == trust.SIMPLE


def test_what_individual_effects_rest_on_is_no_caution_where_no_differences_are_shown():
    names = (chain_stability.NAME, refutations.SPREAD)
    found = judge([*SOUND[:3], *(check(n, False) for n in names), RANDOMISED, shown(0.5, 0.5)])
    assert (found.usable, found.cautions) == ("yes", ())
    found = judge([*SOUND, check(refutations.SPREAD, False), RANDOMISED, shown(1.0, 1.0)])
    assert found.verdict == trust.DO_NOT_TRUST
    assert [c.name for c in found.decided_by] == [refutations.SPREAD]


@pytest.mark.parametrize(
    ("slope", "by_chance", "stable", "verdict"),
    [
        (0.95, 0.01, True, trust.REAL),
        (0.95, 0.03, True, trust.SIMPLE),
        (0.85, 0.001, True, trust.SIMPLE),
        # One sign of differences alone says nothing against the averages.
        (0.95, 0.01, False, trust.SIMPLE),
        (0.999, 0.9, False, trust.SIMPLE),
        (0.999, 0.01, False, trust.DO_NOT_TRUST),
        (0.999, 0.9, True, trust.REAL),
        (0.997, 0.9, True, trust.SIMPLE),
    ],
)
def test_a_likely_slope_and_a_covariate_beyond_chance_show_differences_together(
    slope, by_chance, stable, verdict
):
    checks = [*SOUND[:3], check(chain_stability.NAME, stable), shown(slope, 0.5), along(by_chance)]
    found = judge(checks)
    assert found.verdict == verdict
    assert [reason.split(":")[0] for reason in found.reasons[:2]] == [
        heterogeneity.LEFT_OUT,
        covariate_effects.LEFT_OUT,
    ]


def test_covariates_of_other_outcomes_do_not_count():
    both = [shown(0.95, 0.5, heterogeneity.HELD_OUT), along(0.001)]
    assert judge([*SOUND, *both]).verdict == trust.SIMPLE
    assert judge([*SOUND, both[0], along(0.001, covariate_effects.HELD_OUT)]).verdict == trust.REAL


def test_held_out_units_outrank_left_out_ones():
    both = [shown(1.0, 1.0), shown(0.5, 0.5, heterogeneity.HELD_OUT)]
    assert judge([*SOUND, *both]).verdict == trust.SIMPLE


def test_heterogeneity_that_was_not_judged_is_not_claimed():
    found = judge(SOUND)
    assert found.verdict == trust.SIMPLE
    assert "not judged" in found.reasons[0]


def test_the_summary_says_which_checks_decided():
    table = judge([*SOUND, shown(1.0, 1.0)]).summary()
    assert table.set_index("check").loc[heterogeneity.LEFT_OUT, "decides"]
    assert not table.set_index("check").loc[arms.NAME, "decides"]


# --- The assignment -------------------------------------------------------------------------------


def test_randomised_and_observational_studies_rest_on_different_things(plain_fit):
    judged = {
        how: hte.verdict(plain_fit, checks=SOUND, assignment=how)
        for how in (None, "randomised", "observational")
    }
    added = {how: found.checks[len(SOUND) :] for how, found in judged.items()}
    assert added[None] == ()
    (said,) = added["randomised"]
    assert said.name == assignment.NAME
    assert "needs no assumption about confounders" in said.text
    said, e_value, tipping = added["observational"]
    assert "was not randomised" in said.text
    assert "both who was treated and y" in said.text
    assert e_value.name == "sensitivity to unmeasured confounding: E-value"
    assert tipping.name == "sensitivity to unmeasured confounding: tipping point"
    # Nothing in the data can judge it: it decides nothing, and only chance makes a verdict green.
    assert added["randomised"][0].passed
    assert all(c.passed is None for c in added["observational"])
    for how, found in judged.items():
        level = "green" if how == "randomised" else "amber"
        assert (found.verdict, found.level) == (trust.SIMPLE, level)
        assert ("a confounder that nobody measured" in found.headline) == (level == "amber")
        assert found.reasons == judged[None].reasons
    assert "is not declared" in judged[None].headline


def test_the_direction_of_benefit_reaches_the_tipping_point(plain_fit):
    # The effect is positive: a benefit, or a harm.
    texts = {
        better: hte.verdict(
            plain_fit, checks=SOUND, assignment="observational", better=better
        ).checks[-1]
        for better in ("higher", "lower")
    }
    assert texts["higher"].table["reached"].all()
    assert not texts["lower"].table["reached"].any()


# --- Three studies --------------------------------------------------------------------------------

SIZE = {"chains": 2, "draws": 150, "tune": 150, "progress": False, "cores": 1}
SIZE["stack_with"] = ()  # forests alone: a Gaussian process takes longer


def simulated(slope: float, *, n: int = 300, seed: int = 2):
    """Fit a randomised trial with effects ``1 + slope * x1``."""
    rng = np.random.default_rng(seed)
    x, arm = rng.normal(size=(n, 3)), rng.permutation(np.arange(n) % 2)
    y = x[:, 1] + arm * (1 + slope * x[:, 0]) + rng.normal(size=n)
    frame = pd.DataFrame(x, columns=["x1", "x2", "x3"]).assign(y=y, t=arm)
    study = hte.Study.from_frame(frame, outcome="y", treatment="t", covariates=["x1", "x2", "x3"])
    return hte.fit(study, seed=1, **SIZE)


@pytest.mark.slow
def test_a_trial_without_heterogeneity_needs_a_simple_method_only():
    found = hte.verdict(simulated(0.0), repeats=10, assignment="randomised")
    assert found.verdict == trust.SIMPLE, found.reasons
    # The checks are there with what they rest on.
    assert {arms.NAME, assignment.NAME, *refutations.NAMES} <= {c.name for c in found.checks}


@pytest.mark.slow
def test_a_clean_trial_with_strong_heterogeneity_is_said_to_be_one():
    found = hte.verdict(simulated(1.5), repeats=10)
    assert found.verdict == trust.RANKING, found.reasons


@pytest.mark.slow
def test_rand_hie_is_not_trusted_for_positivity_and_clustering():
    study = hte.Study.from_frame(
        hte.load_randhie(),
        outcome="mdvis",
        treatment="generous",
        covariates=["lpi", "fmde", "physlm", "disea", "hlthg", "hlthf", "hlthp"],
    ).sample(700, seed=1)
    fitted = hte.fit(study, family="negative_binomial", seed=1, **SIZE)
    found = hte.verdict(fitted, repeats=10)
    assert found.verdict == trust.DO_NOT_TRUST
    reasons = " ".join(found.reasons)
    assert "positivity" in reasons
    assert "fmde" in reasons
    assert "lpi" in reasons
    assert "cluster" in reasons
