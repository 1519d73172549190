"""The words of the first screen: what is said, what is left out, and how much of it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from bayes_hte.checks.base import CheckResult
from bayes_hte.reporting import all_tables
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.sections.answer import answer
from bayes_hte.reporting.sections.conclusion import conclusion, sureness
from bayes_hte.reporting.sections.individuals import individuals
from bayes_hte.reporting.sections.subgroups import subgroups
from bayes_hte.reporting.sections.unseen import slope_words
from bayes_hte.runs.answer import answer_lines
from bayes_hte.trust.rule import REAL, SIMPLE, Trust, judge
from tests.reporting.html_page import Page

MOST_WORDS = 120


def judged(results, verdict: str):
    """Results with another verdict and nothing else changed."""
    trust = results.trust
    level = "green"
    return replace(results, trust=Trust(verdict, level, "", (), (), trust.decided_by, trust.checks))


@pytest.fixture(scope="module")
def shown(trial_of_risks):
    """A trial of risks in which differences between units are shown."""
    results = judged(trial_of_risks, REAL)
    return Material(results, all_tables(results))


@pytest.fixture(scope="module")
def not_shown(trial_of_risks):
    results = judged(trial_of_risks, SIMPLE)
    return Material(results, all_tables(results))


def words_of(section) -> str:
    return Page(section.body).text


def said(material) -> str:
    """The sentences of the answer, without figure, table and question."""
    return Page(re.search(r'<div class="answer">.*?</div>', answer(material).body)[0]).text


@pytest.mark.parametrize(
    ("benefit", "matters", "wanted"),
    [
        (0.91, 0.03, "probably lowers y a little; very probably not by an amount that matters"),
        (0.96, 0.001, "very probably lowers y a little; almost surely not by an amount that"),
        (0.999, 0.97, "almost surely lowers y, very probably by an amount that matters"),
        (0.97, 0.5, "very probably lowers y; whether by an amount that matters is open"),
        (0.5, 0.3, "may lower or raise y: these data do not show which."),
        (0.5, 0.001, "show which; a benefit that matters is almost surely absent"),
        (0.02, 0.0, "very probably raises y, which is a harm"),
    ],
)
def test_the_conclusion_says_direction_and_size_in_plain_words(
    observational, benefit, matters, wanted
):
    found = conclusion({"prob_benefit": benefit, "prob_important": matters}, observational)
    assert found.startswith("Compared with usual &lt;care&gt;, new $care$ ")
    assert wanted in found
    assert not re.search(r"\d", found.replace("&lt;", ""))


def test_a_conclusion_without_an_important_difference_does_not_speak_of_one(build):
    plain = build(mediator=False, important=0.0)
    found = conclusion({"prob_benefit": 0.9, "prob_important": 0.9}, plain)
    assert found.endswith("probably raises y, which is a benefit.")
    assert (sureness(0.79), sureness(0.8)) == ("", "probably")


@pytest.mark.parametrize("kind", ["shown", "not_shown", "mediated"])
def test_the_answer_is_short(request, kind, results, tables):
    material = Material(results, tables) if kind == "mediated" else request.getfixturevalue(kind)
    assert len(said(material).split()) <= MOST_WORDS


def test_risks_are_said_in_both_arms_and_as_every_ratio(shown):
    page = Page(answer(shown).body)
    assert "percentage points" in page.text
    assert "units of the outcome" not in page.text
    assert "lower or raise the probability of y" in page.text or "the probability of y" in page.text
    for words in ("Risk ratio", "Odds ratio", "Number needed to treat"):
        assert words in page.text
    table = re.findall(r"(Usual <care>|New \$care\$) (\d+\.?\d*)", page.text)
    risks = shown.results.arm_means.mean(("chain", "draw")).to_numpy()
    assert [float(value) for _, value in table] == pytest.approx(100 * risks, abs=0.06)


def test_benefit_by_risk_is_in_the_answer_on_both_scales(shown):
    words = said(shown)
    assert "in the lowest of 4 groups" in words
    assert re.search(r"; risk ratios \d\.\d\d and \d\.\d\d\.", words)
    assert "Equal ratios are larger absolute changes at higher risks." in words


def test_individuals_are_spoken_of_only_where_the_verdict_carries_them(shown, not_shown):
    noise = "Effects of single people cannot be distinguished from noise."
    assert noise in said(not_shown)
    assert noise not in said(shown)
    assert re.search(r"An estimated \d+% of the people benefit\.", said(shown))
    here, there = (Page(individuals(one).body) for one in (shown, not_shown))
    assert "Who benefits." in here.tables
    assert "Who benefits." not in there.tables
    assert noise in there.text
    assert not any("Individual" in words for words in there.alternatives)
    assert there.text.count(noise) == 1


def test_the_two_lines_stand_on_the_first_screen_and_at_the_end_of_the_command(not_shown):
    lines = ("Can the numbers be used: yes", "Do effects differ between people: not shown")
    text = words_of(answer(not_shown))
    assert all(line in text for line in lines)
    assert set(lines) <= set(answer_lines(not_shown.results))


def test_the_command_lists_the_assignment_among_the_checks(trial_of_risks, observational):
    chance = "check pass        assignment of the treatment: randomised"
    assert chance in answer_lines(trial_of_risks)
    lines = answer_lines(observational)
    assert chance not in lines
    assert any(
        line.startswith("check information assignment of the treatment: not randomised")
        for line in lines
    )


def test_an_answer_that_must_not_be_used_says_so_first(not_shown):
    sound, overlap = not_shown.results.checks[:2]
    bad = CheckResult("overlap of the arms", False, overlap.table, "They do not overlap.")
    results = replace(not_shown.results, trust=judge((sound, bad)))
    material = Material(results, not_shown.tables)
    assert said(material).startswith("These numbers must not be used")
    assert "Can the numbers be used: no" in words_of(answer(material))


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ({"mean": -50.0, "sd": 20.0, "prob_positive": 0.004}, "run against what was observed"),
        ({"mean": -1.2, "sd": 0.5, "prob_positive": 0.01}, "benefit more benefited less"),
        ({"mean": 9.0, "sd": 30.0, "prob_positive": 0.6}, "no readable size"),
    ],
)
def test_a_slope_without_sense_gets_words_and_no_number(not_shown, row, wanted):
    found = slope_words(
        {**row, "ci_lower": row["mean"] - 1, "ci_upper": row["mean"] + 1}, not_shown
    )
    assert wanted in found
    assert not re.search(r"\d", found)


def test_a_slope_that_can_be_read_is_a_number(not_shown):
    row = {"mean": 0.8, "sd": 0.3, "prob_positive": 0.99, "ci_lower": 0.2, "ci_upper": 1.4}
    assert "<b>0.80</b>" in slope_words(row, not_shown)


def test_undeclared_groups_are_closed_and_unconfirmed(not_shown):
    body = subgroups(not_shown).body
    start = body.index('<details class="unconfirmed">')
    assert "No subgroups are declared." in body[:start]
    assert "Unconfirmed groups: a description of the fit, not a finding" in body[start:]
    assert "<svg" not in body[:start]
    assert "Subgroups are declared." not in body


def test_groups_are_lettered_by_benefit(not_shown, tables):
    frame = not_shown.tables["subgroups_te"]
    assert frame["group"].tolist() == ["Subgroup A", "Subgroup B", "All"]
    assert frame["mean"].iloc[0] < frame["mean"].iloc[1]  # lower is better
    profile = not_shown.tables["subgroup_profile_te"]
    assert profile["mean_effect"].is_monotonic_increasing
    higher = tables["subgroups_te"]
    assert higher["group"].tolist() == frame["group"].tolist()
    assert higher["mean"].iloc[0] > higher["mean"].iloc[1]
