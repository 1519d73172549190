"""Reports of studies whose columns, index and units have any names: same numbers, safe page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayes_hte.checks.base import CheckResult
from bayes_hte.names import SAMPLE, UNIT
from bayes_hte.reporting import all_tables, individual_effects, report
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.sections.appendix import appendix
from bayes_hte.runs.subgroups import subgroup_evidence
from tests.reporting.conftest import N_UNITS
from tests.reporting.html_page import Page

LABELS = [f"p{i:02d}" for i in range(N_UNITS)]
CLINICS = [(f"clinic {i % 3}", i // 3) for i in range(N_UNITS)]
# Names of columns of the report's tables, of dimensions, of markup and of what figures leave out.
CASES = {
    "tables": ({"x1": "unit", "x3": "group"}, pd.Index(LABELS, name="mean")),
    "columns": ({"x1": "effect", "x3": "covariate", "treat": "drawn"}, None),
    "page": (
        {"x1": "_<b>$x$</b>", "x3": 'a"&b;', "y": "pass/fail"},
        pd.MultiIndex.from_tuples(CLINICS, names=["effect", "unit"]),
    ),
    "dimensions": ({"x1": "chain", "x3": "draw", "y": "unit"}, pd.Index(np.arange(N_UNITS) / 2)),
}


@pytest.fixture(scope="module")
def plain(build):
    return build(mediator=False)


@pytest.fixture(scope="module", params=CASES)
def named(request, build):
    names, index = CASES[request.param]
    made = build(mediator=False, names=names, index=index)
    found = subgroup_evidence(made.effects, made.study, made.subgroups, seed=1)
    return replace(made, evidence=found)


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    plain = [c for c in table.columns if c != "unit" and not str(c).startswith("covariate: ")]
    return table[plain].select_dtypes("number")


def test_names_change_no_number_of_the_report(named, plain):
    tables, wanted = all_tables(named), all_tables(plain)
    first, second = named.study.roles.covariates
    assert "modifiers_not_shown" not in tables
    shown = [table for key, table in tables.items() if key.startswith("modifier_")]
    assert [table["covariate"].iloc[0] for table in shown] == [first, second]
    for key in ("individual_effects_te", "average_effects", "who_benefits", "risk_groups"):
        pd.testing.assert_frame_equal(numbers(tables[key]), numbers(wanted[key]))
    before = [table for key, table in wanted.items() if key.startswith("modifier_")]
    for ours, theirs in zip(shown, before, strict=True):
        pd.testing.assert_frame_equal(numbers(ours), numbers(theirs))
    levels = [first, *(f"{second}={level}" for level in "abc")]
    assert tables["balance"]["covariate"].tolist() == levels
    single = tables["individual_effects_te"]
    assert set(single["unit"]) == set(named.study.units)
    row = single.iloc[3]
    assert row[f"covariate: {first}"] == named.study.frame[first].loc[row["unit"]]
    assert set(tables["subgroup_membership_te"]["unit"]) == set(named.study.units)


def test_the_page_is_written_and_shows_the_names_as_text(named, tmp_path):
    path = report(named, to=tmp_path / "report.html")
    page = Page(path.read_text("utf-8"))
    assert "<b>$x$" not in path.read_text("utf-8")
    for name in named.study.roles.covariates:
        assert f"Average effect along {name}." in page.text
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for file in (tmp_path / "tables").glob("*.csv"):
        assert not pd.read_csv(file).empty


def test_labels_of_several_levels_stay_with_their_effects():
    draws = np.random.default_rng(0).normal([3, 1, 2, 0], size=(2, 30, 4))
    index = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["clinic", "mean"])
    effect = xr.DataArray(draws, dims=(*SAMPLE, UNIT))
    effect = effect.assign_coords(xr.Coordinates.from_pandas_multiindex(index, UNIT))
    how = {"better": "higher", "important": 0.5, "ci_prob": 0.9, "ci_kind": "eti"}
    table = individual_effects(effect, **how)
    assert table["unit"].tolist() == [("b", 2), ("a", 2), ("b", 1), ("a", 1)]
    assert table["mean"].tolist() == pytest.approx(sorted(draws.mean(axis=(0, 1))))


@pytest.mark.parametrize(
    "index",
    [
        pd.Index([7, 8], name="value"),
        pd.MultiIndex.from_tuples([(1, "a"), (2, "b")], names=["value", "value"]),
        pd.RangeIndex(2, name="bin"),
    ],
)
def test_a_check_may_bring_a_table_of_any_names(plain, index):
    table = pd.DataFrame([[0.5, 1], [0.25, 2]], columns=["value", "value"], index=index)
    check = CheckResult("my <own> check", True, table, "Fine.")
    results = replace(plain, checks=(*plain.checks, check))
    tables = all_tables(results)
    key = next(key for key in tables if key.endswith("my_own_check"))
    assert tables[key].shape == (2, 2 + index.nlevels)
    shown = Page(appendix(Material(results, tables)).body).tables["my <own> check."]
    assert shown[0] == [*map(str, index.names), "value", "value"]
    assert shown[1][-2:] == ["0.5", "1"]
