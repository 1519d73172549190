"""What else is known of found subgroups: judged on other units, explained, who is together."""

from __future__ import annotations

from bayes_hte.plots import plot_co_clustering
from bayes_hte.reporting.page.markup import Column, csv_link, figure, grid, paragraph, table, text
from bayes_hte.reporting.page.numbers import number, percent, probability, span
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.svg import inline_svg
from bayes_hte.reporting.page.words import effect_name, interval_phrase, people
from bayes_hte.reporting.tables.keys import null_check
from bayes_hte.subgroups.honest.folds import UNSHRUNK
from bayes_hte.subgroups.nulls.distribution import DECIDING

_EQUAL = {
    "homogeneous": "new outcomes under one effect for all",
    "permutation": "arms shuffled, so that there is no effect",
}


def honest_decision(material: Material, name: str) -> str:
    """Return the decision taken on units that did not suggest the subgroups."""
    found = material.results.honest[name]
    headline = "Subgroups are declared." if found.declared else "No subgroups are declared."
    key = f"subgroup_honest_{name}"
    d, several = material.decimals, people(material.results)
    columns = [
        Column("Put apart by, compared in", numeric=False),
        Column("Covariates that tell them apart", numeric=False),
        Column("Difference"),
        Column(interval_phrase(material.results)),
        Column(f"Probability beyond {found.margin:.3g}"),
    ]
    directions = {
        "1": "first half, second half",
        "2": "second half, first half",
        UNSHRUNK: "average of both, size",
    }
    rows = [
        [
            directions.get(str(row["fold"]), "average of both"),
            row["covariates"] or "none: no division",
            number(row["mean"], d),
            span(row["ci_lower"], row["ci_upper"], d),
            probability(row["prob_above_margin"]),
        ]
        for row in material.tables[key].to_dict("records")
    ]
    caption = (
        f"Difference of the {effect_name(name)} between the {several} whom one half puts highest "
        f"and those it puts lowest (outer leaves of a tree), among {several} of the other half."
    )
    if found.unshrunk is not None:
        caption += (
            " The size is of a further fit in which these groups have means of their own, so that "
            "it is not pulled towards no difference; it did not decide."
        )
        if name == "tnie":
            caption += (
                " It can be too large where the direct effect differs between the same groups."
            )
    decided = paragraph(
        f"<strong>{headline}</strong> {text(found.reason)}",
        cls="declared" if found.declared else "undeclared",
    )
    return decided + table(caption, columns, [(None, rows)], source=key)


def error_rate(material: Material, name: str) -> str:
    """Return how often groups as clear are found where effects are equal; nothing if not tried."""
    tried = null_check(material.results, name)
    if tried is None:
        return ""
    key, _ = tried
    frame = material.tables[key]
    columns = [
        Column("How effects were made equal", numeric=False),
        Column("Studies made"),
        Column("As clear as this one"),
        Column("Share, with the study itself"),
        Column("95% Monte Carlo interval"),
    ]
    rows = [
        [
            _EQUAL.get(row["variant"], row["variant"]),
            str(row["replications"]),
            str(row["reached"]),
            percent(row["p_value"]),
            f"{percent(row['p_lower'])} to {percent(row['p_upper'])}",
        ]
        for row in frame[frame["statistic"] == DECIDING].to_dict("records")
    ]
    words = paragraph(
        "The whole search was repeated on studies like this one in which effects are equal. How "
        "often it then finds groups at least as clear as those of this study is the rate at which "
        "a rule that accepts them would be wrong: a property of the rule, not the probability "
        "that the groups are real."
    )
    caption = f"Search for subgroups of the {effect_name(name)} where there are none."
    return words + table(caption, columns, [(None, rows)], source=key)


def explained(material: Material, name: str) -> str:
    """Say how much of the heterogeneity the profile explains."""
    row = material.tables[f"subgroup_explained_{name}"].iloc[0]
    return paragraph(
        "The leaves of the profile explain "
        f"<b>{percent(row['mean'])}</b> ({interval_phrase(material.results)}: "
        f"{percent(row['ci_lower'])} to {percent(row['ci_upper'])}) of the variance of the "
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
    words = (
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
        words += " Individual effects alone do not tell who belongs together."
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
    svg = inline_svg(drawn, key=f"fig-together-{name}", alt=alt)
    return paragraph(words) + grid([figure(svg, caption, source=key)])
