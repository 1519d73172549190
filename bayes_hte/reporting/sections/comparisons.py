"""The model's average effect compared with classical ones, and learners with each other."""

from __future__ import annotations

import math

from bayes_hte.reporting.page.fields import intervals, numbers
from bayes_hte.reporting.page.markup import Field, field_table, paragraph, text, words
from bayes_hte.reporting.page.numbers import span
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import (
    learner_name,
    people,
    with_scale,
)


def classical_comparison(material: Material) -> str:
    """Return the table of the model with raw, weighted and matched comparisons."""
    d = material.style
    several = people(material.results)
    populations = {
        "SATE": f"all {several} of the study",
        "ATE": f"all {several}, reweighted",
        "ATT": "the treated",
    }
    fields = [
        words("Method", "method"),
        words("Population", lambda row: populations.get(row["population"], "not adjusted")),
        numbers("Estimate", "mean", d),
        Field(
            "Interval",
            lambda row: (
                span(row["ci_lower"], row["ci_upper"], d)
                if math.isfinite(row["ci_lower"])
                else "none"
            ),
        ),
        words("Kind of interval", "interval"),
    ]
    matched = material.results.classical.matched
    note = paragraph(
        "The classical estimates use the same covariates, but only through the estimated "
        "propensity: weighting with stabilised weights clipped at propensities of 0.01 and 0.99 "
        f"(interval over propensity draws and a Bayesian bootstrap of the {text(several)}), and "
        "matching one to one with replacement, ties averaged "
        f"({matched.n_matched} of {matched.n_treated} treated matched; it has no interval). Where "
        "they and the model disagree beyond their intervals, the answer depends on the method."
    )
    key = "side_by_side"
    return (
        field_table(
            with_scale("Average effects by method.", material.results),
            fields,
            material.tables[key],
            source=key,
        )
        + note
    )


def learner_comparison(material: Material) -> str:
    """Return the table of learners fitted for comparison; nothing if there are none."""
    if "learners" not in material.tables:
        return ""
    d, frame = material.style, material.tables["learners"]
    fields = [
        words("Learner", lambda row: learner_name(row["learner"])),
        numbers("Average effect", "mean", d),
        intervals(material),
        numbers("Spread of individual effects", "spread", d),
        numbers("Median sd of one effect", "median_sd", d),
        numbers("Rank correlation", "rank_correlation", 2),
    ]
    first = frame["learner"].iloc[0]
    note = paragraph(
        f"Rank correlation: Spearman's, of posterior-mean effects with those of the "
        f"first row ({text(learner_name(first))}), which the rest of this report is about. "
        "Learners that agree on the average may disagree on who benefits."
    )
    made = field_table(
        with_scale("The same data, other learners.", material.results),
        fields,
        frame,
        source="learners",
    )
    return f"<h3>Learners side by side</h3>{made}{note}"
