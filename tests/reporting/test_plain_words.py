"""Words and numbers of the blocks below the first screen, as they are read aloud."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from bayes_hte.plots import plot_modifier
from bayes_hte.reporting.page.scale import scale_of
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.sections.conclusion import differences_sentence
from bayes_hte.reporting.sections.diagram import diagram
from bayes_hte.reporting.sections.risk import risk_view
from bayes_hte.reporting.sections.subgroups import subgroups
from bayes_hte.reporting.sections.unseen import unseen_outcomes
from bayes_hte.reporting.tables.risks import CONTRAST
from bayes_hte.runs.several_arms import _title
from tests.reporting.html_page import Page


@pytest.fixture(scope="module")
def material(results, tables):
    return Material(results, tables)


def test_borders_say_among_whom_and_how_surely(material):
    page = Page(subgroups(material).body)
    (caption,) = (one for one in page.tables if one.startswith("Borders") and "(TE)" in one)
    assert "in a draw of the effects, the others kept" in caption
    assert "whose effects barely differ is known poorly" in caption
    head, first = page.tables[caption][:2]
    assert head[:2] == ["Border", "Among"]
    assert first[1] == "all"


def test_declared_subgroups_are_those_of_an_effect_with_a_name(results, tables):
    judged = SimpleNamespace(declared=True)
    said = differences_sentence(Material(replace(results, honest={"te": judged}), tables))
    assert said.endswith("Subgroups</a> are declared for the total effect.")


def test_a_probability_below_all_others_is_no_broken_tag(results, tables):
    unlikely = {
        name: replace(groups, probability_in_sample=0.001)
        for name, groups in results.subgroups.items()
    }
    body = subgroups(Material(replace(results, subgroups=unlikely), tables)).body
    assert "&lt; 0.01 (0.95 is required of other data)" in body
    assert not re.search(r"< \d", body)


def test_a_number_has_two_digits_of_its_own_spread(material):
    areas = material.tables["areas"].set_index("quantity")
    sd = areas.loc["qini_coefficient", "sd"]
    said = Page(unseen_outcomes(material)).text
    found = re.search(r"a random choice, is \W?(\d+)\.(\d+) \(", said)
    assert float(sd) * 10 ** len(found[2]) >= 10
    assert float(sd) * 10 ** len(found[2]) < 100
    assert not re.search(r"probability \d\.\d{3}", said.replace("0.998 wanted", ""))
    changes = material.tables[CONTRAST].set_index("effect")
    text = Page(risk_view(material)).text
    for digits, sd in zip(
        re.findall(r"changes by \W?\d+\.(\d+)", text), changes["sd"], strict=True
    ):
        assert 10 <= sd * 10 ** len(digits) < 100


@pytest.mark.parametrize(
    ("name", "lines"),
    [("job-search self-efficacy", ["job-search", "self-efficacy"]), ("m", ["m"])],
)
def test_a_long_name_has_two_lines_in_the_diagram(results, tables, name, lines):
    roles = replace(results.spec.roles, mediator=name)
    drawn = diagram(Material(replace(results, spec=replace(results.spec, roles=roles)), tables))
    shown = re.findall(r'font-size="16">([^<]*)<', drawn)
    assert shown[1:-1] == lines


def test_the_label_of_a_height_stays_beside_its_axes(material):
    frame = material.tables["risk_groups"]
    label = "effect on depressive symptoms, points of the depression scale (1 to 5)"
    figure = plot_modifier(frame, better="lower", xlabel="x", ylabel=label, title="A title")
    figure.draw_without_rendering()
    axes = figure.axes[0]
    assert axes.yaxis.label.get_window_extent().y1 <= axes.title.get_window_extent().y0


@pytest.mark.parametrize(
    ("title", "wanted"),
    [("Who gains?", "Who gains? High vs low"), ("A trial", "A trial: high vs low")],
)
def test_the_title_of_a_contrast_ends_once(title, wanted):
    assert _title(title, "high vs low") == wanted


def test_the_outcome_of_a_time_is_its_restricted_mean(results):
    roles = replace(results.spec.roles, event="died", outcome="years")
    scale = scale_of(replace(results.spec, roles=roles))
    said = "the restricted mean survival time expected under usual care"
    assert scale.level_under("usual care") == said
