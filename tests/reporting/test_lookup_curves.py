"""Curves over time of units like a given one: those of their group, drawn small in each row."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from bayes_hte.reporting import all_tables
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.sections.lookup import lookup
from bayes_hte.reporting.sections.lookup_curves import HEIGHT, WIDTH, Curves
from bayes_hte.reporting.tables.lookup import CHOICE, LOOKUP
from bayes_hte.reporting.tables.lookup_curves import LOOKUP_CURVES, codes_like, lookup_curves
from bayes_hte.trust.rule import REAL
from tests.reporting.html_page import Page
from tests.reporting.test_answer import judged

HOW = {"ci_prob": 0.9, "ci_kind": "eti"}
TIMES = [1.0, 2.0, 4.0]


def with_curves(results, labels: np.ndarray):
    """Keep a curve of each group: in arm 0 it falls by the label of the group, in arm 1 by half."""
    groups = np.unique(labels)
    rate = 0.02 * (groups[:, None] + 1) * np.array([1.0, 0.5])
    means = np.exp(-rate[..., None] * np.array(TIMES))
    noise = 0.01 * np.random.default_rng(1).normal(size=(2, 30, 1, 1, 1))
    dims = ("chain", "draw", "group", "arm", "time")
    curve = xr.DataArray(means + noise, dims=dims, coords={"group": groups, "time": TIMES})
    unit = {"unit": results.study.units}
    return replace(
        results, curves_like=xr.Dataset({"curve": curve, "label": ("unit", labels)}, unit)
    )


@pytest.fixture(scope="module")
def found(trial_of_risks):
    """Return results, and their tables, whose saved groups have an order of their own."""
    results = judged(trial_of_risks, REAL)
    codes = codes_like(results.study, results.effects["te"])
    results = with_curves(results, codes.max() - codes)
    return results, all_tables(results), codes


def test_every_combination_has_the_curves_of_its_units(found):
    _, tables, codes = found
    table, rows = tables[LOOKUP_CURVES], tables[LOOKUP]
    assert rows["n_units"].tolist() == np.bincount(codes).tolist()
    assert len(table) == len(rows) * 2 * len(TIMES)
    last = table[(table["time"] == 4.0) & (table["arm_index"] == 0)].set_index("row")["mean"]
    wanted = np.exp(-0.08 * (codes.max() - np.arange(len(rows)) + 1))
    np.testing.assert_allclose(last, wanted, atol=0.01)
    chosen = [c for c in rows if c.startswith(CHOICE)]
    assert table.loc[table["row"] == 1, chosen].drop_duplicates().to_numpy().tolist() == [
        rows.loc[1, chosen].tolist()
    ]


def test_curves_of_other_groups_are_not_shown(found):
    """The negative control: saved groups that divide the units otherwise."""
    results, tables, codes = found
    other = with_curves(results, np.roll(codes, 1))
    assert lookup_curves(other, tables, **HOW) is None
    assert lookup_curves(replace(results, curves_like=None), tables, **HOW) is None
    bare = {key: table for key, table in tables.items() if key != LOOKUP_CURVES}
    assert "<svg" not in lookup(Material(results, bare))


def test_each_row_draws_its_curves_and_says_them(found):
    results, tables, _ = found
    source = lookup(Material(results, tables))
    page, n = Page(source), len(tables[LOOKUP])
    small = [attrs for _, attrs in page.all("svg") if attrs.get("class") == "mini"]
    assert len(small) == n
    assert source.count('class="drawn"') == 1
    # A band and a line for each arm, which start at certain survival and end at the right.
    assert source.count(f"{WIDTH} {HEIGHT}") == n
    assert source.count('<path d="M0 0l') == 4 * n
    last = tables[LOOKUP_CURVES].query("row == 0 and time == 4")["mean"].to_numpy()
    said = small[0]["aria-label"]
    assert said.startswith("at 4 ")
    assert f"usual <care> {100 * last[0]:.0f}%" in said
    assert "<care>" not in source


def test_the_risk_of_a_cause_rises_from_none(found):
    _, tables, _ = found
    table = tables[LOOKUP_CURVES].copy()
    columns = ["mean", "ci_lower", "ci_upper"]
    table[columns] = 1 - table[["mean", "ci_upper", "ci_lower"]].to_numpy()
    outcome, roles = SimpleNamespace(unit="years"), SimpleNamespace(outcome="years")
    spec = SimpleNamespace(estimand="cumulative_incidence", outcome=outcome, roles=roles)
    results = SimpleNamespace(spec=spec, study=SimpleNamespace(causes=("relapse <x>", "death")))
    curves = Curves.of(SimpleNamespace(results=results, tables={LOOKUP_CURVES: table}))
    assert curves.heading == "Risk of relapse <x>"
    # The axis is that of all rows, and ends little above their highest bound.
    assert table["ci_upper"].max() <= curves.top < table["ci_upper"].max() + 0.1
    source = curves.cell(0)
    assert source.count(f'<path d="M0 {HEIGHT}l') == 4
    assert "at 4 years: " in source
