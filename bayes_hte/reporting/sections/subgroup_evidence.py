"""Evidence on found subgroups: judged on other units, explained, who is together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayes_hte.plots import plot_co_clustering
from bayes_hte.reporting.page.fields import counts, intervals, numbers, percents
from bayes_hte.reporting.page.markup import (
    Field,
    csv_link,
    field_table,
    grid,
    paragraph,
    text,
    words,
)
from bayes_hte.reporting.page.numbers import against, number, percent, percent_span, probability
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.svg import drawing
from bayes_hte.reporting.page.words import (
    effect_name,
    interval_phrase,
    people,
    with_scale,
)
from bayes_hte.reporting.tables.keys import null_check
from bayes_hte.subgroups.honest.folds import UNSHRUNK
from bayes_hte.subgroups.nulls.distribution import DECIDING

if TYPE_CHECKING:
    from bayes_hte.subgroups import HonestSubgroups

_EQUAL = {
    "homogeneous": "new outcomes under one effect for all",
    "permutation": "arms shuffled, so that there is no effect",
}


def honest_decision(material: Material, name: str) -> str:
    """Return the decision taken on units that did not suggest the subgroups."""
    found = material.results.honest[name]
    headline = "Subgroups are declared." if found.declared else "No subgroups are declared."
    key = f"subgroup_honest_{name}"
    several = people(material.results)
    directions = {
        "1": "first half, second half",
        "2": "second half, first half",
        UNSHRUNK: "average of both, size",
    }
    fields = [
        words(
            "Found in, compared in",
            lambda row: directions.get(str(row["fold"]), "average of both"),
        ),
        words(
            "Covariates that separate them",
            lambda row: row["covariates"] or "none: no division",
        ),
        numbers("Difference", "mean", material.style),
        intervals(material),
        Field(
            f"Probability beyond {material.scale.sized(found.margin)}",
            lambda row: probability(row["prob_above_margin"]),
        ),
    ]
    caption = (
        f"Difference of the {effect_name(name)} between the {several} that one half puts highest "
        f"and those that it puts lowest (outer leaves of a tree), among {several} of the other "
        "half."
    )
    if found.unshrunk is not None:
        caption += (
            " The size comes from a further fit in which these groups have means of their own, so "
            "that it is not pulled towards no difference; it did not decide."
        )
        if name == "tnie":
            caption += (
                " It can be too large where the direct effect differs between the same groups."
            )
    decided = paragraph(
        f"<strong>{headline}</strong> {text(_why(material, found))}",
        cls="declared" if found.declared else "undeclared",
    )
    return decided + field_table(
        with_scale(caption, material.results), fields, material.tables[key], source=key
    )


def _why(material: Material, found: HonestSubgroups) -> str:
    """Say whether the outer groups of one half differ in the other, on the scale of the page."""
    several, required = people(material.results), found.required_probability
    if not any(fold.divides for fold in found.folds):
        return "Neither half of the data suggests groups to compare in the other."
    return (
        f"The {several} with the highest and the lowest effects in one half of the data differ by "
        f"more than {material.scale.sized(found.margin)} in the other half with probability "
        f"{against(found.probability, required)} ({required:g} is required)."
    )


def error_rate(material: Material, name: str) -> str:
    """Return the error rate of groups as clear as these; nothing if the rule was not tried."""
    tried = null_check(material.results, name)
    if tried is None:
        return ""
    key, _ = tried
    frame = material.tables[key]
    fields = [
        words(
            "How effects were made equal", lambda row: _EQUAL.get(row["variant"], row["variant"])
        ),
        counts("Studies made", "replications"),
        counts("As clear as this one", "reached"),
        percents("Share, with the study itself", "p_value"),
        Field("95% Monte Carlo interval", lambda row: percent_span(row["p_lower"], row["p_upper"])),
    ]
    said = paragraph(
        "The whole search was repeated on studies like this one in which effects are equal. The "
        "share of them with groups at least as clear as those of this study is the error rate of "
        "a rule that accepts such groups: a property of the rule, not the probability that the "
        "groups are real."
    )
    caption = f"Search for subgroups of the {effect_name(name)} where there are none."
    deciding = frame[frame["statistic"] == DECIDING]
    return said + field_table(with_scale(caption, material.results), fields, deciding, source=key)


def explained(material: Material, name: str) -> str:
    """Say how much of the heterogeneity the profile explains."""
    row = material.tables[f"subgroup_explained_{name}"].iloc[0]
    return paragraph(
        "The leaves of the profile explain "
        f"<b>{percent(row['mean'])}</b> ({interval_phrase(material.results)}: "
        f"{percent_span(row['ci_lower'], row['ci_upper'])}) of the variance of the "
        f"individual effects. {csv_link(f'subgroup_explained_{name}')} Differences between leaves: "
        f"{csv_link(f'subgroup_contrasts_{name}')}"
    )


def together(material: Material, name: str) -> str:
    """Return the co-clustering heat map with the point partition and its credible ball in words."""
    found = material.results.evidence[name]
    several = text(people(material.results))
    point, ball = found.partition, found.ball
    sizes = ", ".join(str(n) for n in point.sizes)
    groups = f"has {len(point.sizes)} groups of sizes {sizes}"
    if len(point.sizes) == 1:
        groups = "puts all in one group"
    moved = ball.edge.loc["horizontal", "moved"]
    said = (
        f"The partition of the {several} that is closest to the posterior on average (variation of "
        f"information) {groups}; its agreement with the "
        f"profile (adjusted Rand index) is {number(point.agreement, 2)}. Its expected loss is "
        f"{number(point.expected_loss, 2)} bits, where {number(point.independent_loss, 2)} would "
        f"mean that nothing is known. The 95% credible ball around it has radius "
        f"{number(ball.radius, 2)} bits; at its edge {percent(moved)} of the {several} are in "
        f"another group. {text(found.clustered.text)} "
        f"{csv_link(f'subgroup_partition_{name}', f'subgroup_ball_{name}')}"
    )
    if len(point.sizes) == 1:
        said += " Individual effects alone do not show who belongs together."
    key = f"subgroup_together_{name}"
    frame = material.tables[key]
    units = frame[["unit", "group", "certainty"]].set_index("unit")
    shares = frame[[column for column in frame if str(column).startswith("with ")]]
    similarity = shares.set_axis(units.index).set_axis(units.index, axis=1)
    clear = material.results.subgroups[name].clear_membership
    drawn = plot_co_clustering(similarity, units, clear=clear, title="Who belongs together")
    caption = (
        f"Each pair of {people(material.results)}: share of posterior draws in which both are in "
        "the same subgroup. Strip: largest membership probability; uncertain below "
        f"{clear:g}."
    )
    alt = f"Co-clustering heat map of the {effect_name(name)}; the closest partition {groups}."
    picture = drawing(drawn, caption, key=f"together-{name}", alt=alt, source=key)
    return paragraph(said) + grid([picture])
