"""Checklists: which are filled, with what, and that nothing known is left to the author."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from bayes_hte.checks import prior_view
from bayes_hte.checks.base import CheckResult
from bayes_hte.reporting import all_tables, methods
from bayes_hte.reporting.checklists import NAMES, applicable, checklists, filling
from bayes_hte.reporting.checklists.item import AUTHOR, FILLED, NOT_APPLICABLE, STATES
from bayes_hte.reporting.methods.references import REFERENCES
from bayes_hte.reporting.page.numbers import number
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.sections.checklists import PLACES


@pytest.fixture(scope="module")
def materials(results, tables, observational):
    return {
        "trial": Material(results, tables),
        "observational": Material(observational, all_tables(observational)),
    }


def filled(material):
    return {one.key: one for one in checklists(material)}


def answer(material, key, words):
    """The one item of a checklist that asks about something."""
    found = [item for item in filled(material)[key].items if words in item.item]
    assert len(found) == 1, [item.item for item in found]
    return found[0]


def test_the_checklists_are_those_that_suit_the_study(results, observational):
    assert applicable(results) == ("path", "iceman", "agrema", "barg")
    assert applicable(observational) == ("path", "iceman", "barg")
    assert applicable(replace(observational, subgroups={})) == ("path", "barg")
    assert set(NAMES) <= set(REFERENCES)


@pytest.mark.parametrize("kind", ["trial", "observational"])
def test_every_item_has_an_answer_a_state_and_true_references(materials, kind):
    material = materials[kind]
    for one in checklists(material):
        assert len(one.items) >= 8
        assert len({item.item for item in one.items}) == len(one.items)
        for item in one.items:
            assert item.state in STATES
            assert len(item.known) > 10
            assert item.known.rstrip()[-1] in ".?:" or item.known.startswith("Study file")
            assert set(item.files) <= set(material.tables)
            assert item.section == "" or item.section in PLACES


def test_what_was_not_used_is_neither_filled_nor_cited(observational, written, unmediated):
    cited = {reference.short for reference in methods(observational).references}
    assert {"Kent et al. 2020", "Schandelmaier et al. 2020", "Kruschke 2021"} <= cited
    assert "Lee et al. 2021" not in cited
    assert "AGReMA" in written[1].text
    assert "AGReMA" not in unmediated[1].text
    assert not (unmediated[0].parent / "tables" / "checklist_agrema.csv").exists()


def test_sections_are_called_what_they_are_called(written):
    for key, heading in PLACES.items():
        links = [a for _, a in written[1].all("section") if a["id"] == key]
        assert len(links) == 1
        assert f". {heading}" in written[1].text


def test_the_page_says_every_state_in_words_and_counts_them(written, tables):
    page = written[1]
    for key, name in NAMES.items():
        frame = tables[f"checklist_{key}"]
        shown = page.tables[f"{name}, item by item."][1:]
        assert [row[2].split(" ", 1)[1] for row in shown] == frame["state"].tolist()
        assert [row[0] for row in shown] == [
            f"{row['number']}. {row['item']}" for row in frame.to_dict("records")
        ]
    counts = tables["checklists"].set_index("checklist")
    assert counts.index.tolist() == list(NAMES.values())
    assert (counts[list(STATES)].sum(axis=1) == counts["items"]).all()
    assert (counts[[FILLED, AUTHOR]] > 0).all(axis=None)


def test_the_files_hold_the_answers(written, tables):
    folder = written[0].parent / "tables"
    read = pd.read_csv(folder / "checklist_barg.csv", keep_default_na=False)
    pd.testing.assert_frame_equal(read, tables["checklist_barg"], check_dtype=False)


def test_path_is_answered_with_the_numbers_of_the_run(materials):
    material = materials["trial"]
    row = material.tables["average_effects"].query("population == 'SATE' and effect == 'te'")
    overall = answer(material, "path", "overall effect first")
    assert number(row["mean"].item(), material.style) in overall.known
    assert "points & more" in overall.known
    view = answer(material, "path", "view by predicted outcome")
    assert view.state == FILLED
    assert view.known.startswith("4 groups.")
    assert answer(material, "path", "other data, or why").state == AUTHOR
    slope = material.tables["areas"].set_index("quantity").loc["calibration_slope", "mean"]
    assert number(slope, 2) in answer(material, "path", "observed ones").known


def test_path_is_told_relative_effects_where_the_outcome_has_ratios(materials, trial_of_risks):
    asks = "Relative effects in the groups as well"
    risks = Material(trial_of_risks, all_tables(trial_of_risks))
    item = answer(risks, "path", asks)
    assert item.state == FILLED
    assert item.known.startswith("Risk ratio from the lowest to the highest group: ")
    assert item.known.count(";") == 3
    assert answer(materials["trial"], "path", asks).state == NOT_APPLICABLE
    old = replace(trial_of_risks, reference_draws=None)
    assert answer(Material(old, all_tables(old)), "path", asks).state == AUTHOR


def test_path_says_nothing_of_single_people_that_the_verdict_does_not_carry(materials):
    asks = "predictions for single"
    assert (
        "cannot be distinguished from noise"
        in answer(materials["observational"], "path", asks).known
    )
    assert "Share with a benefit" in answer(materials["trial"], "path", asks).known


def test_path_without_a_view_by_predicted_outcome_leaves_it_to_the_author(results, tables):
    fewer = {k: v for k, v in tables.items() if not k.startswith("risk_")}
    material = Material(replace(results, reference_outcome=None, targeting=None), fewer)
    assert answer(material, "path", "view by predicted outcome").state == AUTHOR
    assert answer(material, "path", "observed ones").state == AUTHOR


def test_a_constant_effect_has_no_modifiers_to_choose(results, tables):
    learner = replace(results.spec.learner, name="homogeneous")
    material = Material(replace(results, spec=replace(results.spec, learner=learner)), tables)
    assert answer(material, "path", "Few candidate modifiers").state == NOT_APPLICABLE


def test_found_subgroups_score_low_by_construction(materials):
    material = materials["trial"]
    one = filled(material)["iceman"]
    assert "score low by construction" in one.purpose
    assert answer(material, "iceman", "direction").known.startswith("Definitely no")
    chance = answer(material, "iceman", "chance")
    assert "in-sample" in chance.known
    cuts = answer(material, "iceman", "cut at points")
    assert cuts.state == FILLED
    assert "TNIE: x1 at" in cuts.known
    assert answer(material, "iceman", "Overall credibility").state == AUTHOR


def test_subgroups_judged_on_the_other_half_are_said_to_be(results, tables):
    judged = SimpleNamespace(
        margin=0.25, probability=0.981, required_probability=0.95, declared=True, agreement=0.5
    )
    material = Material(replace(results, honest={"te": judged}), tables)
    chance = answer(material, "iceman", "chance")
    assert "in the other with probability 0.981 (0.95 required); declared." in chance.known
    assert "adjusted Rand index of 0.50" in answer(material, "iceman", "Anything else").known


def test_where_no_groups_are_found_nothing_is_claimed(build):
    flat = build(flat=True, mediator=False)
    material = Material(flat, all_tables(flat))
    for words in ("direction", "earlier studies", "cut at points", "Overall credibility"):
        assert answer(material, "iceman", words).state == NOT_APPLICABLE
    assert "no division found" in answer(material, "iceman", "chance").known


def test_agrema_names_effects_assumptions_and_what_confounding_would_do(materials):
    material = materials["trial"]
    assert "effects with m at 0, 1.5." in answer(material, "agrema", "effects of interest.").known
    zero = material.tables["rho_zero"].set_index("quantity").loc["rho_zero", "median"]
    results = answer(material, "agrema", "Results of the sensitivity")
    assert number(zero, 2) in results.known
    assert results.state == FILLED
    assert answer(material, "agrema", "Ethical").state == AUTHOR
    fewer = {k: v for k, v in material.tables.items() if not k.startswith("rho")}
    without = Material(material.results, fewer)
    assert answer(without, "agrema", "Results of the sensitivity").state == AUTHOR


def test_barg_quotes_the_checks_and_says_which_were_not_made(materials, results, tables):
    material = materials["trial"]
    assert "R-hat is 1.01" in answer(material, "barg", "chains converged").known
    asked = "before the data are seen"
    assert answer(material, "barg", asked).state == AUTHOR
    check = CheckResult(prior_view.NAME, None, pd.DataFrame(), "The prior allows all of it.")
    more = Material(replace(results, checks=(*results.checks, check)), tables)
    found = answer(more, "barg", asked)
    assert (found.state, "allows all of it" in found.known) == (FILLED, True)


FOLDER = Path(filling.__file__).parent


@pytest.mark.parametrize("key", NAMES)
def test_items_name_known_states_conditions_and_facts(key):
    items = tomllib.loads((FOLDER / f"{key}.toml").read_text("utf-8"))["item"]
    used = {"asks", "known", "state", "section", "files", "when", "unless", "checks"}
    for item in items:
        assert set(item) <= used
        assert ("known" in item) != ("checks" in item)
        assert item.get("state", FILLED) in STATES
        assert item.get("section", "question") in PLACES
        assert set(item.get("checks", ())) <= set(filling._CHECKS)


def test_braces_of_the_user_are_no_places_for_facts(results, tables):
    about = replace(results.spec.about, question="Is {x} or {nothing} < {}?")
    roles = replace(results.spec.roles, units="{people}")
    spec = replace(results.spec, about=about, roles=roles)
    material = Material(replace(results, spec=spec), tables)
    assert answer(material, "barg", "question of the analysis").known == about.question
    assert answer(material, "agrema", "Who could take part").known.startswith("60 {people} were")
