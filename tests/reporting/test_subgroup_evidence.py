"""What is said of found subgroups beside their effects: error rate, partition, heat map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bayes_hte.checks.base import CheckResult
from bayes_hte.reporting import all_tables, methods
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.sections.subgroups import subgroups
from bayes_hte.reporting.tables.keys import NULLS, check_keys
from bayes_hte.runs.subgroups import subgroup_evidence
from bayes_hte.subgroups import honest_subgroups, split_in_halves
from tests.reporting.html_page import Page

HEADING = "Search for subgroups of the total effect (TE) where there are none."


def null_table() -> pd.DataFrame:
    rows = [
        (variant, statistic, 0.99, reached, (1 + reached) / 101, 0.01, 0.09, 0.8, np.inf, 100, 0)
        for variant, reached in (("homogeneous", 3), ("permutation", 0))
        for statistic in ("probability", "contrast", "spread")
    ]
    columns = ["variant", "statistic", "observed", "reached", "p_value", "p_lower", "p_upper"]
    columns += ["threshold", "threshold_upper", "replications", "failures"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture(scope="module")
def described(observational):
    """Results with evidence, and with the rule tried where effects are equal."""
    given = observational
    groups = given.subgroups
    found = subgroup_evidence(given.effects, given.study, groups, seed=1)
    tried = CheckResult(f"{NULLS}: TE", None, null_table(), "The rule errs rarely.")
    return replace(given, evidence=found, checks=(*given.checks, tried))


@pytest.fixture(scope="module")
def page(described):
    return Page(subgroups(Material(described, all_tables(described))).body)


def test_the_error_rate_of_the_rule_is_shown_as_what_it_is(page, described):
    shown = page.tables[HEADING][1:]
    assert shown[0] == ["new outcomes under one effect for all", "100", "3", "4.0%", "1.0% to 9.0%"]
    assert shown[1][2:4] == ["0", "1.0%"]
    assert "a property of the rule, not the probability that the groups are real" in page.text
    assert f"tables/{check_keys(described)[-1]}.csv" in {a["href"] for _, a in page.all("a")}
    assert "shown below" in page.text
    assert "not measured" not in page.text


def test_where_the_rule_was_not_tried_it_is_said_that_its_errors_were_not_measured(unmediated):
    assert HEADING not in unmediated[1].tables
    assert "by an amount that was not measured here" in unmediated[1].text


def test_the_file_behind_the_heat_map_holds_what_is_drawn(described, page):
    found = described.evidence["te"]
    table = all_tables(described)["subgroup_together_te"].set_index("unit")
    assert len(table) == described.study.n_units
    similarity = found.clustered.similarity
    first, last = table.index[0], table.index[-1]
    units = found.clustered.discovered["unit"].to_numpy().tolist()
    row, column = units.index(first), units.index(last)
    wanted = similarity.to_numpy()[row, column]
    assert table.loc[first, f"with {last}"] == pytest.approx(wanted)
    np.testing.assert_allclose([table.loc[u, f"with {u}"] for u in table.index], 1)
    assert any(words.startswith("Co-clustering heat map") for words in page.alternatives)


def in_halves(results, *, declared: bool):
    """Results whose subgroups were judged in halves, with one verdict or the other."""
    rows = split_in_halves(results.study, seed=0)
    halves = [results.study.subset(part) for part in rows]
    first, second = (results.effects["te"].isel(unit=part) for part in rows)
    found = honest_subgroups(first, halves[0], second, halves[1], seed=0)
    return replace(results, honest={"te": replace(found, declared=declared)})


@pytest.mark.parametrize("declared", [True, False])
def test_a_difference_without_a_short_description_is_said_to_have_none(build, declared):
    one = in_halves(build(flat=True, mediator=False), declared=declared)
    shown = Page(subgroups(Material(one, all_tables(one))).body).text
    assert "No division of the" in shown
    assert ("has no short description" in shown) == declared
    assert ("Subgroups are declared." in shown) == declared


def test_whom_the_halves_compare_is_said(observational):
    judged = in_halves(observational, declared=True)
    page = Page(subgroups(Material(judged, all_tables(judged))).body)
    assert "the groups that one half puts highest and lowest are compared in the other" in page.text
    (shown,) = (t for name, t in page.tables.items() if "outer leaves of a tree" in name)
    assert [row[0] for row in shown[1:]] == [
        "first half, second half",
        "second half, first half",
        "average of both",
    ]


def test_works_on_partitions_are_cited_where_there_are_any(described, observational):
    names = {"Woody et al. 2021", "Wade and Ghahramani 2018"}
    assert names <= {reference.short for reference in methods(described).references}
    assert not names & {reference.short for reference in methods(observational).references}
