"""Subgroups found by the M-learner: who they are, how they differ, how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayes_hte.plots import plot_membership, plot_profile_tree, plot_subgroup_forest
from bayes_hte.reporting.page.fields import (
    counts,
    effect_fields,
    numbers,
    percents,
    plain_table,
)
from bayes_hte.reporting.page.markup import (
    Field,
    csv_link,
    details,
    field_table,
    grid,
    paragraph,
    text,
    words,
)
from bayes_hte.reporting.page.numbers import against, number, percent
from bayes_hte.reporting.page.section import Material, Section
from bayes_hte.reporting.page.svg import drawing
from bayes_hte.reporting.page.words import (
    effect_axis,
    effect_name,
    interval_phrase,
    mean_and_interval,
    people,
    person,
    shown_of,
    title_case,
    with_scale,
)
from bayes_hte.reporting.sections.subgroup_evidence import (
    error_rate,
    explained,
    honest_decision,
    together,
)
from bayes_hte.reporting.tables.keys import null_check
from bayes_hte.reporting.tables.subgroups import count, declared
from bayes_hte.study.missing import filled_words
from bayes_hte.subgroups.finding.conditions import EVERYONE

if TYPE_CHECKING:
    from bayes_hte.subgroups import Subgroups

_CANDIDATE_WORDS = {
    "k": "Clusters tried",
    "subgroups": "Subgroups",
    "leaves": "Leaves of the tree",
    "tree_fit": "Held-out fit of the tree (R-squared)",
    "price_per_leaf": "Price per leaf",
    "score": "Fit less the price",
    "agreement": "Share of units in the cluster of their leaf",
    "chosen": "Chosen",
}


_IN_HALVES = (
    "Whether subgroups are declared is decided on other data than those that suggest them: each "
    "half of the study is fitted alone; the groups that one half puts highest and lowest are "
    "compared in the other. These outer groups are smaller and further apart than the groups "
    "described below, which were found with all data and serve as a description; probabilities "
    "about the latter are <strong>in-sample</strong>, and too optimistic."
)
_IN_SAMPLE = (
    "No groups were judged on other data than those that suggest them, so none are declared. "
    "The same data are used to find the groups and to judge them. The probabilities below are "
    "therefore <strong>in-sample posterior probabilities, not error rates</strong>: "
    "they are too optimistic{measured}."
)
_MEASURED = "; the error rate of such groups where effects are equal is shown below"
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
    found = declared(material.results, name)
    heading = f"<h3>Subgroups of the {text(effect_name(name))}</h3>"
    decision = honest_decision(material, name) if name in material.results.honest else ""
    described = _description(material, name, groups)
    if found:
        return heading + decision + described
    if not decision:
        decision = paragraph("<strong>No subgroups are declared.</strong>", cls="undeclared")
    title = "Unconfirmed groups: a description of the fit, not a finding"
    return heading + decision + details(title, described, is_open=False, cls="unconfirmed")


def _description(material: Material, name: str, groups: Subgroups) -> str:
    """Return the groups that all data suggest: who they are, how they differ, how sure that is."""
    parts = [_decision(material, name, groups), error_rate(material, name)]
    if count(groups) > 1:
        parts += [
            "<h4>Who they are</h4>",
            _rules(material, name),
            _borders(material, name),
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
    key = f"subgroup_decision_{name}"
    row = material.tables[key].iloc[0].to_dict()
    confirmed = declared(material.results, name)
    if count(groups) == 1:
        reason = (
            f"No division of the {text(people(material.results))} by their covariates says enough "
            "about the effect to form more than one group."
        )
        if confirmed:
            reason += (
                " The difference between the outer groups above has no short description; the "
                "table names the covariates."
            )
    else:
        required = groups.required_probability
        reason = (
            "The mean effects of the two most different groups differ by "
            f"{number(row['mean'], material.style)} ({material.bounds(row)}). "
            "The in-sample posterior probability that they differ by more than the margin of "
            f"{material.scale.sized(groups.margin)} is "
            f"{text(against(groups.probability_in_sample, required))} ({required:g} is "
            "required of other data). A benefits most."
        )
        if not confirmed:
            reason += " The groups below describe the fit; they are not findings."
    return paragraph(f"<strong>With all data.</strong> {reason} {csv_link(key)}", cls="undeclared")


def _rules(material: Material, name: str) -> str:
    key, several = f"subgroup_profile_{name}", people(material.results)
    fields = [
        words("Subgroup", "group"),
        words("Who", "rule"),
        counts(title_case(several), "n"),
        percents("Share", "share"),
        numbers(f"Mean effect of these {several}", "mean_effect", material.style),
    ]
    caption = f"Profile of the subgroups of the {effect_name(name)}, in words."
    study = material.results.study
    gaps = filled_words(study.frame, material.results.subgroups[name].profile.covariates)
    rules = field_table(
        with_scale(caption, material.results), fields, material.tables[key], source=key
    )
    return rules + (paragraph(text(gaps)) if gaps else "")


def _borders(material: Material, name: str) -> str:
    """Say how surely each number of the rules is known; nothing if no rule has a number."""
    key = f"subgroup_borders_{name}"
    if key not in material.tables:
        return ""
    fields = [
        words("Border", "border"),
        words("Among", lambda row: "all" if row["among"] == EVERYONE else row["among"]),
        Field(
            f"Cut ({interval_phrase(material.results)})",
            lambda row: f"{row['cut']:.3g} ({row['ci_lower']:.3g} to {row['ci_upper']:.3g})",
        ),
    ]
    caption = (
        f"Borders of the subgroups of the {effect_name(name)}: where each cut would lie in a draw "
        "of the effects, the others kept. A border between "
        f"{people(material.results)} whose effects barely differ is known poorly."
    )
    return field_table(caption, fields, material.tables[key], source=key)


def _effects_table(material: Material, name: str) -> str:
    key, several = f"subgroups_{name}", title_case(people(material.results))
    fields = [
        words("Group", "group"),
        Field(several, lambda row: f"{row['n_units']} ({percent(row['share'])})"),
        *effect_fields(material, "Mean effect"),
    ]
    caption = f"Mean {effect_name(name)} by subgroup."
    return field_table(
        with_scale(caption, material.results), fields, material.tables[key], source=key
    )


def _forest(material: Material, name: str) -> str:
    results, key = material.results, f"subgroups_{name}"
    frame = material.tables[key]
    look = {**effect_axis(results), "units": people(results)}
    drawn = plot_subgroup_forest(frame, **look, title="Mean effect by subgroup")
    drawn = material.scale.on_axes(drawn, "x")
    said = "; ".join(
        f"{row['group']} {mean_and_interval(row, material.style)}"
        for row in frame.to_dict("records")
    )
    caption = (
        f"Forest plot of the {effect_name(name)}. Marker: posterior mean. Line: "
        f"{interval_phrase(results)}."
    )
    alt = f"Forest plot of the {effect_name(name)} by subgroup. {said}."
    return drawing(drawn, caption, key=f"forest-{name}", alt=alt, source=key)


def _tree(material: Material, name: str) -> str:
    key = f"subgroup_tree_{name}"
    frame = material.tables[key]
    drawn = plot_profile_tree(frame, units=people(material.results), title="Profile tree")
    leaves = frame[frame["group_number"] >= 0]
    said = "; ".join(f"{row['rule']}: {row['group']}" for row in leaves.to_dict("records"))
    caption = "Profile tree, read from the top: each step to the right adds a condition."
    alt = f"Profile tree of the subgroups of the {effect_name(name)}. {said}."
    return drawing(drawn, caption, key=f"tree-{name}", alt=alt, source=key)


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
    picture = drawing(drawn, caption, key=f"membership-{name}", alt=alt, source=key)
    return sentence + grid([picture])


def _candidates(material: Material, name: str) -> str:
    key = f"subgroup_candidates_{name}"
    caption = f"Numbers of clusters of the {name.upper()} compared, and the tree each gives."
    frame = material.tables[key]
    inner = plain_table(caption, frame, source=key, headings=_CANDIDATE_WORDS)
    return details("How many groups were considered", inner, is_open=False)
