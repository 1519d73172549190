"""Table 1, the legs of a mediation, and units like a given one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bayes_hte.reporting import all_tables
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.sections.lookup import lookup
from bayes_hte.reporting.sections.mediation import way_through
from bayes_hte.reporting.sections.participants import participants as section
from bayes_hte.reporting.tables.legs import LEGS, leg_table
from bayes_hte.reporting.tables.lookup import CHOICE, LOOKUP, lookup_table
from bayes_hte.reporting.tables.participants import participants
from bayes_hte.trust.rule import REAL
from tests.reporting.html_page import Page
from tests.reporting.test_answer import judged

HOW = {"ci_prob": 0.9, "ci_kind": "eti"}


def with_gaps(results):
    """The same study with a value missing in each covariate, one in either arm."""
    frame = results.study.frame.copy()
    arm = results.study.arm_index()
    frame.iloc[np.flatnonzero(arm == 0)[0], frame.columns.get_loc("x1")] = np.nan
    frame.iloc[np.flatnonzero(arm == 1)[0], frame.columns.get_loc("x3")] = None
    return replace(results, study=replace(results.study, frame=frame))


def test_table_one_counts_and_averages_each_arm(results):
    table = participants(results).set_index(["covariate", "level"])
    frame, arm = results.study.frame, results.study.arm_index()
    number = table.loc[("x1", "")]
    groups = [frame["x1"][arm == a] for a in (0, 1)]
    assert number["mean_other"] == pytest.approx(groups[1].mean())
    assert number["sd_reference"] == pytest.approx(groups[0].std())
    pooled = np.sqrt((groups[0].var() + groups[1].var()) / 2)
    wanted = (groups[1].mean() - groups[0].mean()) / pooled
    assert number["standardised_difference"] == pytest.approx(wanted)
    raw = results.classical.balance["raw"]
    assert number["standardised_difference"] == pytest.approx(raw["x1"])
    levels = table.loc["x3"]
    assert levels["n_reference"].sum() == (arm == 0).sum()
    assert levels["share_other"].sum() == pytest.approx(1)
    assert levels.loc["a", "n_other"] == ((frame["x3"] == "a") & (arm == 1)).sum()


def test_missing_values_are_counted_and_left_out_of_shares(results):
    table = participants(with_gaps(results)).set_index(["covariate", "level"])
    assert table.loc[("x1", "missing"), "n_reference"] == 1
    assert table.loc[("x1", "missing"), "n_other"] == 0
    # Whether a value is missing is compared as any yes or no is.
    assert table.loc[("x1", "missing"), "standardised_difference"] < 0
    assert table.loc[("x3", "missing"), "standardised_difference"] > 0
    assert table.loc["x3"].query("kind == 'level'")["share_other"].sum() == pytest.approx(1)
    assert np.isfinite(table.loc[("x1", ""), "mean_reference"])


def test_the_table_is_on_the_page_with_the_sizes_of_the_arms(results, tables):
    page = Page(section(Material(results, tables)).body)
    shown = page.tables["Table 1. Covariates by arm."]
    assert shown[0][1:] == [
        "usual <care> (n = 30)",
        "new $care$ (n = 30)",
        "Standardised difference",
    ]
    assert [row[0] for row in shown[1:]] == ["x1", "x3", "a", "b", "c"]


def test_legs_have_the_size_that_was_put_in(results):
    table = leg_table(results, **HOW)
    assert table["mean"].tolist() == pytest.approx([0.8, 1, 1], abs=0.01)
    assert table["mediator_from"].tolist()[1:] == [1.0, 1.0]
    assert leg_table(replace(results, legs=None), **HOW) is None


def test_the_way_through_the_mediator_is_drawn_before_its_legs(results, tables):
    page = Page(way_through(Material(results, tables)))
    assert (
        page.tables["The legs of the mediation."][1][0]
        == "Treatment on m: new $care$ less usual <care>"
    )
    (said,) = page.alternatives
    assert "affects y directly" in said
    old = {key: table for key, table in tables.items() if key != LEGS}
    assert "run the study again" in Page(way_through(Material(results, old))).text


def test_units_like_a_given_one_are_averaged_with_their_number(trial_of_risks):
    results = judged(trial_of_risks, REAL)
    tables = all_tables(results)
    table = tables[LOOKUP]
    assert table["n_units"].sum() == results.study.n_units
    names = [c for c in table if c.startswith(CHOICE)]
    assert names == [f"{CHOICE}x1", f"{CHOICE}x3"]
    row = table.iloc[0]
    x1 = results.study.frame["x1"]
    inside = (x1 <= x1.quantile(1 / 3)) & (results.study.frame["x3"] == row[f"{CHOICE}x3"])
    assert row["n_units"] == inside.sum()
    effect = results.effects["te"].isel(unit=np.flatnonzero(inside)).mean("unit")
    assert row["mean_effect"] == pytest.approx(float(effect.mean()))
    assert row["mean_other"] == pytest.approx(row["mean_reference"] + row["mean_effect"])
    assert lookup_table(replace(results, reference_draws=None), tables, **HOW) is None


def test_the_lookup_needs_no_script_and_stays_away_from_noise(trial_of_risks, unmediated):
    results = judged(trial_of_risks, REAL)
    page = Page(lookup(Material(results, all_tables(results))))
    boxes = page.all("select")
    assert len(boxes) == 2
    assert {attrs["for"] for _, attrs in page.all("label")} == {a["id"] for _, a in boxes}
    (shown,) = page.tables.values()
    assert len(shown) == 1 + len(all_tables(results)[LOOKUP])
    assert "There is no look-up" in unmediated[1].text
    assert not unmediated[1].all("select")
