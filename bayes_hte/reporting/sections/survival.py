"""Survival: follow-up and censoring by arm, curves with posterior bands, and hazards."""

from __future__ import annotations

import math

import pandas as pd

from bayes_hte.companions.hazards import AREA
from bayes_hte.plots import plot_survival
from bayes_hte.reporting.page.fields import counts
from bayes_hte.reporting.page.markup import Field, field_table, grid, paragraph, text, words
from bayes_hte.reporting.page.numbers import Style, number, span
from bayes_hte.reporting.page.section import Material, Section
from bayes_hte.reporting.page.svg import drawing
from bayes_hte.reporting.page.words import (
    arm_names,
    estimand_words,
    horizon,
    interval_phrase,
    people,
    time_axis,
    time_unit,
    title_case,
)
from bayes_hte.reporting.results import Results
from bayes_hte.reporting.sections.time_curves import incidence_figures, subgroup_figures
from bayes_hte.reporting.tables.lookup_curves import LOOKUP_CURVES
from bayes_hte.reporting.tables.survival import (
    ALL,
    AT_RISK,
    CURVES,
    FOLLOW_UP,
    HAZARDS,
    INCIDENCE,
    OBSERVED,
    SUBGROUPS,
    group_names,
)


def survival(material: Material) -> Section | None:
    """Build the section on survival; None unless the outcome is a time to an event."""
    if FOLLOW_UP not in material.tables:
        return None
    parts = [_introduction(material), _follow_up(material)]
    if INCIDENCE in material.tables:
        parts.append(incidence_figures(material))
    if CURVES in material.tables:
        shown = material.tables[CURVES]["group"].unique()
        groups = [group for group in group_names(material.results) if group in shown]
        # Where causes compete, survival without any event is the background.
        groups = groups[:1] if INCIDENCE in material.tables else groups
        parts.append(grid([_figure(material, group) for group in groups]))
    if SUBGROUPS in material.tables:
        parts.append(subgroup_figures(material))
    if LOOKUP_CURVES in material.tables:
        several = text(people(material.results))
        parts.append(
            f"<p>Curves of {several} like a given one are in the look-up of the section "
            '<a href="#individuals">Who benefits</a>.</p>'
        )
    if HAZARDS in material.tables:
        parts += ["<h3>What is usually reported</h3>", _hazards(material)]
    return Section("survival", "Survival", "".join(parts))


def _introduction(material: Material) -> str:
    results = material.results
    study = results.study.with_outcome()
    event = study.event
    seen = f"The event was seen in {int(event.sum())} of {event.size} {text(people(results))}"
    if study.causes:
        counts = ", ".join(f"{int(study.event_of(c).sum())} {text(c)}" for c in study.causes)
        seen = f"An event was seen in {int(event.sum())} of {event.size} {text(people(results))}"
        seen += f" ({counts})"
    return paragraph(
        f"{seen}; the others were censored. Effects in this report are on the "
        f"{text(estimand_words(results))}{text(_meaning(results))} Censored times enter the models "
        "as times that were survived, never as outcomes."
    )


def _meaning(results: Results) -> str:
    """Say what the scale of effects means."""
    if results.spec.estimand == "rmst":
        return (
            ": the mean time without the event up to that horizon, the area under the survival "
            "curve."
        )
    if results.spec.estimand == "survival":
        return "."
    others = " or ".join(results.study.causes[1:])
    return (
        f": the probability that this event has come by then, and come first. An event of another "
        f"cause ({others}) makes it impossible, so a treatment that prevents the other events can "
        "raise this risk without doing anything to its cause."
    )


def _follow_up(material: Material) -> str:
    results, d = material.results, material.style
    mean_time = results.spec.estimand == "rmst"
    times = d if mean_time else 2
    expected = "Mean survival" if mean_time else title_case(material.scale.level)
    fields = [
        words("Arm", "arm"),
        counts(title_case(people(results)), "units"),
        counts("Events", "events"),
        *(counts(f"Of {cause}", f"events of {cause}") for cause in results.study.causes),
        counts("Censored", "censored"),
        Field("Median follow-up", lambda row: _or_none(row["median_follow_up"], times)),
        Field("Last time", lambda row: number(row["last"], times)),
    ]
    frame = material.tables[FOLLOW_UP]
    if "restricted_mean" in frame:
        fields += [
            Field(
                expected + ("" if mean_time else ", %"),
                lambda row: number(row["restricted_mean"], d),
            ),
            Field(
                interval_phrase(results),
                lambda row: span(row["restricted_ci_lower"], row["restricted_ci_upper"], d),
            ),
        ]
    said = f"Mean survival: {estimand_words(results)}" if mean_time else expected
    caption = (
        f"Follow-up by arm, in {time_unit(results)}. Median follow-up by the Kaplan-Meier curve "
        f"of the censoring times. {said}, had everybody been in the arm."
    )
    return field_table(caption, fields, frame, source=FOLLOW_UP)


def _figure(material: Material, group: str) -> str:
    results, everybody = material.results, group == ALL
    names = arm_names(results)
    rows = material.tables[CURVES].query("group == @group").assign(arm=lambda f: f["arm_index"])
    more = {}
    if everybody:
        more["observed"] = material.tables[OBSERVED].assign(arm=lambda f: f["arm_index"])
        counted = material.tables[AT_RISK]
        more["at_risk"] = counted.pivot_table(index="arm_index", columns="time", values="n_units")
    without = " without any event" if results.study.causes else ""
    title = f"Survival{without} of everybody" if everybody else f"Survival of the {group}"
    drawn = plot_survival(
        rows,
        arms=names,
        xlabel=time_axis(results),
        title=title,
        **more,
    )
    last = rows[rows["time"] == rows["time"].max()].set_index("arm")
    said = "; ".join(
        f"{names[int(a)]} {row['mean']:.2f} ({row['ci_lower']:.2f} to {row['ci_upper']:.2f})"
        for a, row in last.iterrows()
    )
    caption = (
        f"{title}: posterior mean probability of no event until each time, had all of them been "
        f"in the arm. Band: {interval_phrase(results)}."
    )
    if everybody:
        caption += (
            " Thin steps: Kaplan-Meier curves of those who were in the arm. Below the axis: "
            f"{people(results)} at risk."
        )
        if results.study.roles.upper is not None:
            caption += " For both a time that lies in an interval counts as its middle."
    else:
        caption += f" Thirds of predicted {_predicted(results)} in the arm {names[0]}."
    alt = f"{title}; at {horizon(results):g} {time_unit(results)}: {said}."
    key = f"survival-{group_names(results).index(group)}"
    return drawing(drawn, caption, key=key, alt=alt, source=CURVES)


def _predicted(results: Results) -> str:
    return "mean survival" if results.spec.estimand == "rmst" else estimand_words(results)


def _hazards(material: Material) -> str:
    results = material.results
    fields = [
        words("Method", lambda row: title_case(row["method"])),
        Field("Estimate", lambda row: _or_none(row["estimate"], _digits(row, material))),
        Field("Interval", lambda row: _bounds(row, material)),
        Field("p-value", lambda row: _p(row["p_value"])),
    ]
    note = paragraph(
        f"{100 * results.interval['ci_prob']:g}% confidence intervals, normal (of ratios on the "
        "log scale). A hazard ratio compares, at each time, those of either arm who have got that "
        "far; it depends on what else predicts the event, and is never an individual effect. Where "
        "hazards are not proportional it has no one value." + _of_causes(results)
    )
    caption = (
        f"{arm_names(results)[1]} compared with {arm_names(results)[0]}: difference of "
        f"Kaplan-Meier areas up to {horizon(results):g} {time_unit(results)}, tests and hazard "
        "ratios."
    )
    return field_table(caption, fields, material.tables[HAZARDS], source=HAZARDS) + note


def _of_causes(results: Results) -> str:
    """Say what counts as an event in the rows of hazards; nothing without causes."""
    if not results.study.causes:
        return ""
    return (
        " Any event counts, whatever its cause, except in the rows called cause-specific: there an "
        "event of another cause ends the time without an event. A cause-specific hazard ratio "
        "compares rates of the cause among those without any event so far; it is no ratio of risks."
    )


def _digits(row: pd.Series, material: Material) -> Style | int:
    mean_time = material.results.spec.estimand == "rmst"
    return material.style if row["method"] == AREA and mean_time else 2


def _bounds(row: pd.Series, material: Material) -> str:
    if not math.isfinite(row["ci_lower"]):
        return "none"
    return span(row["ci_lower"], row["ci_upper"], _digits(row, material))


def _p(value: float) -> str:
    if not math.isfinite(value):
        return "none"
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


def _or_none(value: float, digits: int) -> str:
    return number(value, digits) if math.isfinite(value) else "none"
