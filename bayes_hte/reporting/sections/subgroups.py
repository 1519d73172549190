"""Subgroups found by the M-learner: who they are, how they differ, how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bayes_hte.effects.summaries import probability_words
from bayes_hte.plots import plot_membership, plot_profile_tree, plot_subgroup_forest
from bayes_hte.reporting.page.markup import (
    Column,
    csv_link,
    details,
    figure,
    grid,
    paragraph,
    table,
    text,
)
from bayes_hte.reporting.page.numbers import number, percent, plain, probability, span
from bayes_hte.reporting.page.section import Material, Section
from bayes_hte.reporting.page.svg import inline_svg
from bayes_hte.reporting.page.words import (
    effect_label,
    effect_name,
    important,
    interval_phrase,
    mean_and_interval,
    people,
    person,
    shown_of,
    title_case,
)
from bayes_hte.reporting.sections.subgroup_evidence import (
    error_rate,
    explained,
    honest_decision,
    together,
)
from bayes_hte.reporting.tables.keys import null_check
from bayes_hte.reporting.tables.subgroups import count

if TYPE_CHECKING:
    from bayes_hte.subgroups import Subgroups

_CANDIDATE_WORDS = {
    "k": "Clusters tried",
    "subgroups": "Subgroups",
    "leaves": "Leaves of the tree",
    "tree_fit": "Held-out fit of the tree (R-squared)",
    "price_per_leaf": "Price per leaf",
    "score": "Fit less the price",
    "agreement": "Share whose cluster their leaf names",
    "chosen": "Chosen",
}


_IN_HALVES = (
    "Whether subgroups are declared is decided on other data than those that suggest them: each "
    "half of the study is fitted by itself; those whom one half puts highest and lowest are "
    "compared in the other. These outer groups are smaller and further apart than the groups "
    "described below, which were found with all data and are meant to be read; probabilities "
    "about the latter are <strong>in-sample</strong>, and too optimistic."
)
_IN_SAMPLE = (
    "The same data are used to find the groups and to judge them. The probabilities below are "
    "therefore <strong>in-sample posterior probabilities, not calibrated error rates</strong>: "
    "they are too optimistic{measured}."
)
_MEASURED = "; how often such groups are found where effects are equal is shown below"
_NOT_MEASURED = " by an amount that was not measured here"


def subgroups(material: Material) -> Section | None:
    """Build the section on subgroups; None where none were asked for."""
    found = material.results.subgroups
    if not found:
        return None
    tried = any(null_check(material.results, name) for name in found)
    in_sample = _IN_SAMPLE.format(measured=_MEASURED if tried else _NOT_MEASURED)
    judged = _IN_HALVES if material.results.honest else in_sample
    introduction = paragraph(
        f"The M-learner groups {text(people(material.results))} by their individual effects and "
        f"describes the groups by a tree on the covariates. {judged} Treat any subgroup as a "
        "hypothesis for new data."
    )
    body = introduction + "".join(_effect(material, name, groups) for name, groups in found.items())
    return Section("subgroups", "Subgroups", body)


def _effect(material: Material, name: str, groups: Subgroups) -> str:
    heading = f"<h3>Subgroups of the {text(effect_name(name))}</h3>"
    parts = [heading]
    if name in material.results.honest:
        parts.append(honest_decision(material, name))
    parts += [_decision(material, name, groups), error_rate(material, name)]
    if count(groups) > 1:
        parts += [
            "<h4>Who they are</h4>",
            _rules(material, name),
            "<h4>How they differ</h4>",
            _effects_table(material, name),
            grid([_tree(material, name), _forest(material, name)]),
            explained(material, name) if name in material.results.evidence else "",
            f"<h4>How surely {text(people(material.results))} belong to them</h4>",
            _membership(material, name, groups),
            together(material, name) if name in material.results.evidence else "",
        ]
    parts.append(_candidates(material, name))
    return "".join(parts)


def _decision(material: Material, name: str, groups: Subgroups) -> str:
    d = material.decimals
    key = f"subgroup_decision_{name}"
    row = material.tables[key].iloc[0].to_dict()
    headline = "Subgroups are declared." if groups.declared else "No subgroups are declared."
    if name in material.results.honest:
        headline = "With all data."
    if count(groups) == 1:
        reason = (
            f"No division of the {text(people(material.results))} by their covariates says enough "
            "about the effect to form more than one group."
        )
        if _declared(material, name):
            reason += (
                " What sets the outer groups above apart has no short description; the table names "
                "the covariates."
            )
    else:
        reason = (
            f"The mean effects of the two most different groups differ by {number(row['mean'], d)} "
            f"({interval_phrase(material.results)}: {span(row['ci_lower'], row['ci_upper'], d)}). "
            "The in-sample posterior probability that they differ by more than the margin of "
            f"{groups.margin:.3g} is {probability_words(groups.probability)}; "
            f"{groups.required_probability:g} is required to declare subgroups."
        )
        if not _declared(material, name):
            reason += " The groups below describe the fit; they are not findings."
    return paragraph(
        f"<strong>{headline}</strong> {reason} {csv_link(key)}",
        cls="declared" if _declared(material, name) else "undeclared",
    )


def _declared(material: Material, name: str) -> bool:
    """Whether subgroups are declared, on other units than those that suggest them if possible."""
    results = material.results
    return (results.honest if name in results.honest else results.subgroups)[name].declared


def _rules(material: Material, name: str) -> str:
    key = f"subgroup_profile_{name}"
    several = people(material.results)
    columns = [
        Column("Subgroup", numeric=False),
        Column("Who", numeric=False),
        Column(title_case(several)),
        Column("Share"),
        Column(f"Mean effect of these {several}"),
    ]
    rows = [
        [
            f"Subgroup {row['subgroup']}",
            row["rule"],
            str(row["n"]),
            percent(row["share"]),
            number(row["mean_effect"], material.decimals),
        ]
        for row in material.tables[key].to_dict("records")
    ]
    caption = f"Profile of the subgroups of the {effect_name(name)}, in words."
    return table(caption, columns, [(None, rows)], source=key)


def _effects_table(material: Material, name: str) -> str:
    results, d = material.results, material.decimals
    key = f"subgroups_{name}"
    columns = [
        Column("Group", numeric=False),
        Column(title_case(people(results))),
        Column("Mean effect"),
        Column(interval_phrase(results)),
        Column("Probability of benefit"),
    ]
    if important(results) > 0:
        columns.append(Column(f"Probability of benefit beyond {important(results):g}"))
    rows = []
    for row in material.tables[key].to_dict("records"):
        cells = [
            row["group"],
            f"{row['n_units']} ({percent(row['share'])})",
            number(row["mean"], d),
            span(row["ci_lower"], row["ci_upper"], d),
            probability(row["prob_benefit"]),
        ]
        if important(results) > 0:
            cells.append(probability(row["prob_important"]))
        rows.append(cells)
    return table(f"Mean {effect_name(name)} by subgroup.", columns, [(None, rows)], source=key)


def _forest(material: Material, name: str) -> str:
    results, d = material.results, material.decimals
    key = f"subgroups_{name}"
    frame = material.tables[key]
    drawn = plot_subgroup_forest(
        frame,
        better=results.spec.outcome.better,
        important=important(results),
        xlabel=effect_label(results),
        units=people(results),
        title="Mean effect by subgroup",
    )
    said = "; ".join(
        f"{row['group']} {mean_and_interval(row, d)}" for row in frame.to_dict("records")
    )
    caption = (
        f"Forest plot of the {effect_name(name)}. Marker: posterior mean. Line: "
        f"{interval_phrase(results)}."
    )
    alt = f"Forest plot of the {effect_name(name)} by subgroup. {said}."
    return figure(inline_svg(drawn, key=f"fig-forest-{name}", alt=alt), caption, source=key)


def _tree(material: Material, name: str) -> str:
    key = f"subgroup_tree_{name}"
    frame = material.tables[key]
    drawn = plot_profile_tree(frame, units=people(material.results), title="Profile tree")
    leaves = frame[frame["group_number"] >= 0]
    said = "; ".join(f"{row['rule']}: {row['group']}" for row in leaves.to_dict("records"))
    caption = "Profile tree, read from the top: each step to the right adds a condition."
    alt = f"Profile tree of the subgroups of the {effect_name(name)}. {said}."
    return figure(inline_svg(drawn, key=f"fig-tree-{name}", alt=alt), caption, source=key)


def _membership(material: Material, name: str, groups: Subgroups) -> str:
    key = f"subgroup_membership_{name}"
    frame = material.tables[key]
    columns = frame[frame["drawn"]]
    several, one = people(material.results), person(material.results)
    drawn = plot_membership(
        columns.drop(columns=["unit", "drawn"]), units=several, title="Membership"
    )
    share = percent(groups.uncertain_share)
    caption = (
        f"Membership, one column for each {one}: share of posterior draws in which the effect "
        "is nearest to the mean effect of each subgroup. "
        f"{shown_of(len(columns), len(frame), material.results)}"
    )
    alt = (
        f"Membership probabilities of {len(frame)} {several} in {count(groups)} subgroups. "
        f"{share} of the {several} are uncertain."
    )
    sentence = paragraph(
        f"For <strong>{share}</strong> of the {text(several)} the membership is uncertain: in "
        f"no subgroup does it reach {groups.clear_membership:g}."
    )
    drawing = inline_svg(drawn, key=f"fig-membership-{name}", alt=alt)
    return sentence + grid([figure(drawing, caption, source=key)])


def _candidates(material: Material, name: str) -> str:
    key = f"subgroup_candidates_{name}"
    frame = material.tables[key]
    columns = [
        Column(_CANDIDATE_WORDS.get(str(c), str(c)), numeric=bool(i)) for i, c in enumerate(frame)
    ]
    rows: list[list[Any]] = [
        [plain(value) for value in row] for row in frame.itertuples(index=False)
    ]
    caption = "Numbers of clusters that were compared, and the tree each gives."
    inner = table(caption, columns, [(None, rows)], source=key)
    return details("How many groups were considered", inner, is_open=False)
