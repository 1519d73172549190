"""The section on the mixture and its tables, on fake draws of the paper's design."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bayes_hte.checks.base import CheckResult
from bayes_hte.mixtures.checks import AGREEMENT, IDENTIFIABILITY, class_checks
from bayes_hte.reporting import methods, report
from bayes_hte.reporting.page.numbers import number
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.sections.mixture import mixture
from bayes_hte.reporting.tables.effects import average_effects
from bayes_hte.reporting.tables.mixtures import level_grid, mixture_tables
from bayes_hte.study.datasets import KNOWN_CLASSES
from bayes_hte.study.spec import MixtureSpec
from tests.mixtures.fake_mixture import DESIGN, fake_fit, mixture_frame
from tests.reporting.html_page import Page

HOW = {"ci_prob": 0.9, "ci_kind": "eti"}
NAMES = ("usual <care>", "new $care$")
DECLARED = MixtureSpec(
    classes=2, x_proxies=("x",), z_proxies=("z",), edges=("Z-T",), because="a <panel> said so"
)


@pytest.fixture(scope="module")
def fit():
    return fake_fit()


@pytest.fixture(scope="module")
def mixed(results, fit):
    """The fake results of a study that declares a mixture."""
    return replace(results, spec=replace(results.spec, mixture=DECLARED), mixture=fit)


def tables_of(results):
    return mixture_tables(results, NAMES, **HOW)


def shown(results) -> Page:
    tables = {"average_effects": average_effects(results), **tables_of(results)}
    section = mixture(Material(results, tables))
    return Page(section.body)


@pytest.fixture(scope="module")
def page(mixed):
    return shown(mixed)


def test_a_study_without_a_mixture_has_no_section_and_no_tables(results):
    assert mixture(Material(results, {})) is None
    assert tables_of(results) == {}


def test_both_answers_stand_in_the_table_with_the_interval_of_the_report(mixed, fit):
    table = tables_of(mixed)["hidden_classes"].set_index(["quantity", "class"])
    effects = fit.effects.isel({"class": 1})
    row = table.loc[("effects", 1)]
    np.testing.assert_allclose(row["likelihood_median"], effects.median())
    np.testing.assert_allclose(
        row[["likelihood_lower", "likelihood_upper"]].tolist(), effects.quantile([0.05, 0.95])
    )
    np.testing.assert_allclose(
        row["moments_median"], fit.moments.draws["effects"].isel({"class": 1}).median()
    )
    assert row["label"] == "Class 1"
    assert table.loc[("ate", -1), "label"] == "all classes"
    assert (table["ci_prob"] == 0.9).all()
    assert "truth" not in table


def test_the_truth_is_shown_where_the_data_are_simulated(mixed, monkeypatch):
    known = pd.DataFrame({"effect": DESIGN.effects, "probability": DESIGN.probabilities})
    monkeypatch.setitem(KNOWN_CLASSES, "fake", lambda: known)
    table = tables_of(mixed)["hidden_classes"].set_index(["quantity", "class"])
    assert table["truth"].to_dict() == {
        ("ate", -1): 0.0,
        ("effects", 0): -0.75,
        ("effects", 1): 0.75,
        ("probabilities", 0): 0.5,
        ("probabilities", 1): 0.5,
    }
    page = shown(mixed)
    assert "The data are simulated" in page.text
    assert page.tables["The classes, two ways."][0][1] == "Truth"
    monkeypatch.setitem(KNOWN_CLASSES, "fake", lambda: known.iloc[:1])  # of another number
    assert "truth" not in tables_of(mixed)["hidden_classes"]


def test_the_profile_and_the_memberships_are_those_of_the_fit(mixed, fit):
    tables = tables_of(mixed)
    profile = tables["hidden_profile"].set_index(["what", "class"])
    means = fit.derived["class_means"].mean(("chain", "draw")).to_numpy()
    np.testing.assert_allclose(profile.loc[(NAMES[1], 0), "mean"], means[0, 1])
    by_level = profile.loc[[("x=0", 1), ("x=1", 1)], "mean"].sum()
    np.testing.assert_allclose(by_level, 1)
    members = tables["hidden_membership"]
    assert members["Class 1"].is_monotonic_increasing
    np.testing.assert_allclose(members[["Class 0", "Class 1"]].sum(axis=1), 1)
    by_unit = members.set_index("unit")["Class 1"].sort_index()
    np.testing.assert_allclose(by_unit, fit.membership().sel({"class": 1}))
    in_order = members.set_index("unit").sort_index()
    np.testing.assert_allclose(in_order["soft_effect"], fit.soft_effect())
    before = fit.membership(given="proxies").max("class")
    np.testing.assert_allclose(in_order["sure_before"], before)
    assert members["drawn"].sum() == 400


def test_the_section_says_level_edges_reason_agreement_and_numbers(mixed, fit, page):
    d = Material(mixed, {"average_effects": average_effects(mixed)}).style
    for words in (
        "Level 3, mixture of treatment effects",
        "Z-T: a treatment-side proxy is tied to the treatment",
        "Reason given: a <panel> said so.",
        "A5: X independent of Y given U and T; no diagnostic can see it fail",
        "Likelihood and moments: agree.",
        "The effect of a class is the mean of its people",
        "it must not guide treatment",
    ):
        assert words in page.text
    rows = {row[0]: row for row in page.tables["The classes, two ways."][1:]}
    wanted = number(float(fit.effects.isel({"class": 1}).median()), d)
    assert rows["All classes"][1] == number(float(fit.ate.median()), d)
    effect_rows = [r for r in page.tables["The classes, two ways."] if r[0] == "Class 1"]
    assert effect_rows[0][1] == wanted
    assert len(page.alternatives) == 4
    assert "must not be used" not in page.text


def test_an_unhealthy_fit_is_marked_and_disagreement_said(mixed, fit):
    bad = CheckResult("sampling health: average effects", False, pd.DataFrame(), "R-hat is 2.")
    apart = replace(fit.agreement, answer="disagree", reasons=("Look for an X-Y edge.",))
    page = shown(replace(mixed, mixture=replace(fit, health=(bad,), agreement=apart)))
    assert "must not be used. R-hat is 2." in page.text
    assert "Likelihood and moments: disagree. Look for an X-Y edge." in page.text
    assert any(attrs.get("class") == "undeclared" for _, attrs in page.all("p"))


def test_with_an_x_y_edge_only_the_average_effect_is_shown(mixed):
    blind = fake_fit(mixture_frame(), edges=("Z-T", "X-Y"))
    declared = replace(DECLARED, edges=("Z-T", "X-Y"))
    only = replace(mixed, mixture=blind, spec=replace(mixed.spec, mixture=declared))
    tables = tables_of(only)
    assert set(tables) == {"hidden_classes", "hidden_levels", "hidden_diagnostics"}
    assert tables["hidden_classes"]["quantity"].tolist() == ["ate"]
    page = shown(only)
    assert "What would reach a better level" in page.text
    assert "Class 0" not in page.text
    written = " ".join(methods(only).paragraphs)
    assert "average effect only" in written
    assert "class, treatment and outcome-side proxies" in written


def test_without_moments_the_likelihood_stands_alone(mixed):
    frame = mixture_frame()
    fit = fake_fit(frame)
    alone = replace(fit, moments=None, agreement=replace(fit.agreement, table=pd.DataFrame()))
    table = tables_of(replace(mixed, mixture=alone))["hidden_classes"]
    assert table["likelihood_median"].notna().all()
    assert table["moments_median"].isna().all()
    assert len(table) == 5
    assert "How far the proxies carry" not in shown(replace(mixed, mixture=alone)).text


def test_the_level_grid_holds_the_hierarchy(fit):
    grid = level_grid(fit.identifiability, one="patient").set_index(["quantity", "level"])
    assert len(grid) == 24
    assert grid.loc["average effect", "identified"].all()
    assert not grid.loc["effect of one patient", "identified"].any()
    assert grid[grid["reached"]].index.get_level_values("level").unique().tolist() == ["3: effects"]


def test_checks_carry_the_level_the_health_and_the_agreement(fit):
    checks = {check.name: check for check in class_checks(fit)}
    assert list(checks) == [
        IDENTIFIABILITY,
        "mixture: average effects",
        "mixture: divergences",
        "mixture: class labels",
        AGREEMENT,
    ]
    assert checks[IDENTIFIABILITY].passed is None
    assert "Level 3" in checks[IDENTIFIABILITY].text
    assert checks[AGREEMENT].passed
    assert checks["mixture: divergences"].passed
    for answer in ("disagree", "not identifiable here"):
        other = replace(fit, agreement=replace(fit.agreement, answer=answer))
        assert class_checks(other)[-1].passed is False


def test_the_methods_cite_the_works_behind_the_mixture(mixed, results):
    names = {"Mazaheri et al. 2025", "Miao et al. 2018", "Hausman 1978", "Allman et al. 2009"}
    assert names <= {reference.short for reference in methods(mixed).references}
    assert not names & {reference.short for reference in methods(results).references}
    text = " ".join(methods(mixed).paragraphs)
    assert "2 classes" in text
    assert "1000 draws after 1000 tuning draws" in text


def test_links_of_the_page_lead_to_the_section(mixed, tmp_path):
    page = Page(report(mixed, to=tmp_path / "report.html").read_text("utf-8"))
    ids = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
    targets = {a["href"][1:] for _, a in page.all("a") if a["href"].startswith("#")}
    assert targets <= ids
    assert "mixture" in targets
