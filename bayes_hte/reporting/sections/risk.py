"""The risk-based view: effects of groups of units with similar predicted outcomes."""

from __future__ import annotations

from bayes_hte.plots import plot_modifier
from bayes_hte.plots.style import wrap
from bayes_hte.reporting.page.fields import counts, effect_fields, numbers
from bayes_hte.reporting.page.markup import csv_link, field_table, grid, paragraph, text, words
from bayes_hte.reporting.page.numbers import MINUS, number, probability
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.svg import drawing
from bayes_hte.reporting.page.words import (
    CURVE_WORDS,
    arm_names,
    effect_label,
    effect_name,
    estimand_words,
    interval_phrase,
    mean_and_interval,
    people,
    risk_group,
    title_case,
    with_scale,
)
from bayes_hte.reporting.tables.keys import focus
from bayes_hte.reporting.tables.risks import CONTRAST, RISK

_HEADING = "<h3>Effect by predicted outcome</h3>"


def risk_view(material: Material) -> str:
    """Return the block on effects by predicted outcome, or why there is none."""
    results = material.results
    if RISK not in material.tables:
        several = text(people(results))
        reason = (
            "the saved run holds no predicted outcomes; run the study again to get them"
            if results.reference_outcome is None
            else f"the outcomes predicted for the {several} under the reference arm are too alike"
        )
        return _HEADING + paragraph(f"This view is absent: {reason}.")
    return (
        _HEADING
        + _introduction(material)
        + _table(material)
        + _differences(material)
        + grid([_figure(material)])
    )


def _introduction(material: Material) -> str:
    results = material.results
    reference, _ = arm_names(results)
    probability = results.spec.roles.of_times and results.spec.estimand != "rmst"
    outcome = text(estimand_words(results) if probability else results.spec.roles.outcome)
    observed = "Observed means are as recorded, not adjusted for anything."
    scale = results.spec.estimand
    if results.study.event is not None:
        observed = (
            f"Observed means are means of pseudo-observations: what the {CURVE_WORDS[scale]} say "
            "of each, not adjusted for anything."
        )
    return paragraph(
        "The plainest question comes first: does the effect depend on the outcome that is expected "
        f"without the treatment? Groups of about equal size were formed by the {outcome} that the "
        f"model expects under {text(reference)}, lowest first. Effects are differences, averaged "
        "over each group in every posterior draw. One model predicts both outcome and effect from "
        "the same data, so an error in one carries over to the other; a prediction made elsewhere "
        f"would not have this weakness. {observed}"
    )


def _table(material: Material) -> str:
    results, d = material.results, material.style
    frame = material.tables[RISK]
    reference, other = arm_names(results)
    shown = frame["group"].str.replace("-", MINUS)
    if material.scale.kind == "risk":
        n = frame["effect"].value_counts().max()
        shown = frame.groupby("effect").cumcount().map(lambda place: risk_group(place, n))
    frame = frame.assign(shown=shown)
    fields = [
        words("Group", "shown"),
        counts(title_case(people(results)), "n_units"),
        numbers("Mean prediction", "position", d),
        numbers(f"Observed mean, {reference}", "observed_reference", d),
        numbers(f"Observed mean, {other}", "observed_other", d),
        *effect_fields(material, "Mean effect"),
    ]
    groups = [
        (title_case(effect_name(name)), frame[frame["effect"] == name]) for name in focus(results)
    ]
    caption = f"Effect by predicted outcome. Groups: {material.scale.level_under(reference)}."
    return field_table(with_scale(caption, material.results), fields, groups, source=RISK)


def _differences(material: Material) -> str:
    changes = [
        f"the {effect_name(row['effect'])} changes by "
        f"<b>{number(row['mean'], material.scale.style([row['sd']]))}</b> "
        f"({material.bounds(row, material.scale.style([row['sd']]))}), and is larger in the last "
        f"group with posterior probability {text(probability(row['prob_positive']))}"
        for row in material.tables[CONTRAST].to_dict("records")
    ]
    return paragraph(
        "From the group with the lowest to the group with the highest prediction, "
        f"{'; '.join(changes)}. {csv_link(CONTRAST)}"
    )


def _figure(material: Material) -> str:
    results = material.results
    reference, _ = arm_names(results)
    frame = material.tables[RISK]
    percent = f", {material.scale.level_unit}" if material.scale.kind == "risk" else ""
    level = f"{material.scale.level}{percent}"
    drawn = plot_modifier(
        frame,
        labels={name: name.upper() for name in focus(results)},
        better=results.spec.outcome.better,
        xlabel=wrap(f"{level} expected under {reference}"),
        ylabel=effect_label(results),
        title="Effect by predicted outcome",
    )
    drawn = material.scale.on_axes(drawn, "xy")
    caption = (
        f"Average effect of groups of {people(results)} along the predicted outcome. Point: "
        f"posterior mean, at the mean prediction of the group. Band: {interval_phrase(results)}."
    )
    d = material.style
    said = "; ".join(
        f"{row['effect'].upper()}, group {row['group']}: {mean_and_interval(row, d)}"
        for row in frame.to_dict("records")
    )
    alt = f"Average effect by predicted outcome, mean and {interval_phrase(results)}. {said}."
    return drawing(drawn, caption, key="risk", alt=alt, source=RISK)
