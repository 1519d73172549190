"""The model's average effect beside classical ones, and learners beside each other."""

from __future__ import annotations

import math
from typing import Any

from bayes_hte.reporting.page.markup import Column, paragraph, table, text
from bayes_hte.reporting.page.numbers import number, span
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import interval_phrase, learner_name, people


def classical_comparison(material: Material) -> str:
    """Return the table of the model beside raw, weighted and matched comparisons."""
    columns = [
        Column("Method", numeric=False),
        Column("Population", numeric=False),
        Column("Estimate"),
        Column("Interval"),
        Column("Kind of interval", numeric=False),
    ]
    several = people(material.results)
    populations = {
        "SATE": f"all {several} of the study",
        "ATE": f"all {several}, reweighted",
        "ATT": "the treated",
    }
    rows = [
        _cells(row, material, populations.get(row["population"], "not adjusted"))
        for row in material.tables["side_by_side"].to_dict("records")
    ]
    matched = material.results.classical.matched
    note = paragraph(
        "The classical estimates use the same covariates through the estimated propensity alone: "
        "weighting with stabilised weights clipped at propensities of 0.01 and 0.99 (interval over "
        f"propensity draws and a Bayesian bootstrap of the {text(several)}), matching one to one "
        f"with replacement, ties averaged ({matched.n_matched} of {matched.n_treated} treated "
        "matched; it has no interval). Where they and the model disagree beyond their intervals, "
        "the answer depends on the method."
    )
    return (
        table("Average effects by method.", columns, [(None, rows)], source="side_by_side") + note
    )


def _cells(row: dict[str, Any], material: Material, population: str) -> list[str]:
    d = material.decimals
    has_interval = math.isfinite(row["ci_lower"])
    bounds = span(row["ci_lower"], row["ci_upper"], d)
    return [
        str(row["method"]),
        population,
        number(row["mean"], d),
        bounds if has_interval else "none",
        row["interval"],
    ]


def learner_comparison(material: Material) -> str:
    """Return the table of learners fitted beside the study's; nothing if there are none."""
    if "learners" not in material.tables:
        return ""
    d = material.decimals
    columns = [
        Column("Learner", numeric=False),
        Column("Average effect"),
        Column(interval_phrase(material.results)),
        Column("Spread of individual effects"),
        Column("Median sd of one effect"),
        Column("Rank correlation"),
    ]
    frame = material.tables["learners"]
    rows = [
        [
            learner_name(row["learner"]),
            number(row["mean"], d),
            span(row["ci_lower"], row["ci_upper"], d),
            number(row["spread"], d),
            number(row["median_sd"], d),
            number(row["rank_correlation"], 2),
        ]
        for row in frame.to_dict("records")
    ]
    first = frame["learner"].iloc[0]
    note = paragraph(
        f"Rank correlation: Spearman's, of posterior-mean effects with those of the "
        f"first row ({text(learner_name(first))}), which the rest of this report is about. "
        "Learners that agree on the average may disagree on who benefits."
    )
    return (
        "<h3>Learners side by side</h3>"
        + table("The same data, other learners.", columns, [(None, rows)], source="learners")
        + note
    )
