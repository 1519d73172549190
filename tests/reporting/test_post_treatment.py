"""The report of a study in which the treatment changes a confounder of the mediator."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import xarray as xr

from bayes_hte.reporting import all_tables
from bayes_hte.reporting.checklists import applicable, checklists
from bayes_hte.reporting.checklists.item import AUTHOR, FILLED
from bayes_hte.reporting.page.numbers import number
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.sections.answer import answer
from bayes_hte.reporting.sections.averages import averages
from bayes_hte.reporting.sections.diagram import diagram
from bayes_hte.study.spec import OneMediatorSpec
from tests.reporting.html_page import Page

NATURAL = ("tnie", "pnde", "pnie", "tnde")


@pytest.fixture(scope="module")
def material(results):
    """The mediated trial with ``x1`` as the confounder, and effects of known sizes."""
    spec, roles = results.spec, results.study.roles
    te = results.averages["te"].drop_attrs()
    parts = {"indirect": 0.25 * te, "direct": 0.5 * te, "overall": 0.75 * te}
    own = {"x1": OneMediatorSpec(family="poisson", surface="linear", unit="visits")}
    made = replace(
        results,
        spec=replace(
            spec,
            roles=replace(spec.roles, post_treatment="x1"),
            mediator=replace(spec.mediator, each=own),
            subgroups=replace(spec.subgroups, effects=("te",)),
        ),
        study=replace(results.study, roles=replace(roles, post_treatment="x1", covariates=("x3",))),
        effects=results.effects.drop_vars(NATURAL),
        averages=results.averages.drop_vars(NATURAL),
        subgroups={},
        legs=None,
        interventional=xr.Dataset(parts),
        sensitivity=replace(results.sensitivity, rho=None),
    )
    return Material(made, all_tables(made))


def known(material, words):
    """The one item of AGReMA that asks about something."""
    items = next(one for one in checklists(material) if one.key == "agrema").items
    found = [item for item in items if words in item.item]
    assert len(found) == 1, [item.item for item in found]
    return found[0]


def test_the_diagram_has_a_fourth_box_and_three_more_arrows(material, results, tables):
    drawn, plain = diagram(material), diagram(Material(results, tables))
    assert (drawn.count("<rect"), plain.count("<rect")) == (4, 3)
    assert drawn.count("marker-end") == plain.count("marker-end") + 3
    mean = material.average("te")["mean"]
    alt = re.search(r'aria-label="([^"]*)"', drawn)[1]
    assert f"indirect {number(0.25 * mean, material.style)}" in alt
    assert f"direct {number(0.5 * mean, material.style)}" in alt
    assert "through x1, which affects both m and y" in alt
    assert ">x1</text>" in drawn
    assert ">x1</text>" not in plain


def test_the_diagram_stands_before_the_decomposition(material):
    body = averages(material).body
    assert 0 < body.index('class="diagram"') < body.index("Interventional effects, x1 as under")


def test_the_answer_says_the_indirect_effect_and_its_condition(material, results, tables):
    said = Page(answer(material).body).text
    mean = number(0.25 * material.average("te")["mean"], 3)[:4]
    assert f"Through m (interventional effect): {mean}" in said
    assert "if, given x1, nothing unmeasured affects both mediator and outcome" in said
    assert "interventional" not in Page(answer(Material(results, tables)).body).text


def test_agrema_is_filled_as_far_as_it_applies(material):
    assert "agrema" in applicable(material.results)
    effects = known(material, "effects of interest.")
    assert "interventional indirect, direct and overall effects" in effects.known
    assert "as the treatment changes x1" in effects.known
    drawn = known(material, "causal model, drawn")
    assert drawn.state == FILLED
    assert "treat to x1, x1 to m, x1 to y, and x3 to all of them" in drawn.known
    assert "given x1, mediator and outcome" in known(material, "assumptions under which").known
    numbers = known(material, "Estimates of the effects")
    assert "interventional overall effect" in numbers.known
    assert known(material, "Effect of the treatment on the mediator").state == AUTHOR
    measured = known(material, "were measured")
    assert "mediator m (unit not given)" in measured.known
    assert "visits" not in measured.known


def test_agrema_of_one_mediator_is_filled_from_its_legs(results, tables):
    material = Material(results, tables)
    first, second = (known(material, words) for words in ("treatment on the", "Relation of the"))
    assert (first.state, second.state) == (FILLED, FILLED)
    assert "m, new $care$ less usual <care>: 0.8" in first.known
    assert second.known.startswith("From 1 to 3 of m: usual <care> 1.0")
    fewer = {key: table for key, table in tables.items() if key != "mediation_legs"}
    without = Material(results, fewer)
    assert known(without, "treatment on the").state == AUTHOR
    assert "No drawing" not in known(material, "drawn").known


def test_a_trial_without_mediator_has_no_such_checklist(observational):
    assert "agrema" not in applicable(observational)
