"""The way from recorded to analysed units, and the assumptions about what is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bayes_hte.reporting.methods.paragraphs import methods
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.sections.flow import flow
from bayes_hte.reporting.tables.flow import FLOW, MISSING, flow_tables
from bayes_hte.reporting.tables.modifiers import modifier_effects
from bayes_hte.study.missing import MISSING_LEVEL


def with_gaps(results, rule: str = "splits"):
    """The results of a study like the given one, with gaps in a covariate and the outcome."""
    study, frame = results.study, results.study.frame.copy()
    name = study.roles.covariates[0]
    frame.loc[frame.index[:5], name] = np.nan
    frame.loc[frame.index[[7, 8]], study.roles.outcome] = np.nan
    return replace(results, study=replace(study, missing=rule).alike(frame)), name


def page(results) -> str:
    return flow(Material(results, flow_tables(results)))


def test_units_and_gaps_are_counted_by_column_and_arm(results):
    gappy, name = with_gaps(results)
    tables = flow_tables(gappy)
    n = gappy.study.n_units
    assert tables[FLOW]["n_units"].tolist() == [n, n, n - 2]
    counts = tables[MISSING].groupby("column")["n_missing"].sum()
    assert counts.to_dict() == {name: 5, gappy.study.roles.outcome: 2}
    said = page(gappy)
    assert f"{n} analysed, {n - 2} of them with an outcome" in said
    assert "treated as information" in said
    assert "do not inform the model of the outcome" in said


def test_what_was_left_out_is_said_with_the_reason(results):
    complete, _ = with_gaps(results, "complete")
    complete = replace(
        complete, study=replace(complete.study, flow=complete.study.flow.without("held out", 3))
    )
    said = page(complete)
    assert "7 left out, with a missing value; 3 left out, held out" in said
    assert "Units with any missing value were left out" in said
    assert "do not inform" not in said


def test_complete_studies_say_that_nothing_is_missing(results):
    assert set(flow_tables(results)) == {FLOW}
    assert "No value is missing" in page(results)
    # A study made by hand knows no flow.
    by_hand = replace(results, study=replace(results.study, flow=None))
    assert f"{results.study.n_units} analysed" in page(by_hand)


@pytest.mark.parametrize("rule", ["splits", "impute", "complete"])
def test_the_methods_text_says_what_is_assumed(results, rule):
    gappy, name = with_gaps(results, rule)
    said = " ".join(methods(gappy).paragraphs)
    assert f"{name} (5)" in said
    words = {"splits": "Kapelner and Bleich 2015", "impute": "Rubin 1987", "complete": "left out"}
    assert words[rule] in said
    assert "Kapelner" not in " ".join(methods(results).paragraphs)


def test_modifiers_with_gaps_are_shown(results):
    how = {"ci_prob": 0.9, "ci_kind": "eti"}
    gappy, name = with_gaps(results)
    shown = modifier_effects(results.effects[["te"]], gappy.study, name, **how)
    levels = shown["group"].astype(str).tolist()
    assert shown["n_units"].sum() == gappy.study.n_units - (0 if MISSING_LEVEL in levels else 5)


def test_weights_are_named(results):
    weights = np.ones(results.study.n_units)
    frame = results.study.frame.assign(survey=weights)
    roles = replace(results.study.roles, weights="survey")
    study = replace(results.study, roles=roles).alike(frame)
    said = " ".join(methods(replace(results, study=study)).paragraphs)
    assert "weigh units by survey; the models do not" in said
