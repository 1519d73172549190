"""Who benefits: effects by predicted outcome, individual effects, and along each modifier."""

from __future__ import annotations

import pandas as pd

from bayes_hte.plots import plot_caterpillar, plot_distribution, plot_modifier
from bayes_hte.reporting.page.fields import percents
from bayes_hte.reporting.page.markup import (
    Field,
    csv_link,
    field_table,
    grid,
    paragraph,
    text,
    unordered,
    words,
)
from bayes_hte.reporting.page.numbers import percent, percent_span, span
from bayes_hte.reporting.page.section import Material, Section
from bayes_hte.reporting.page.svg import drawing
from bayes_hte.reporting.page.words import (
    effect_axis,
    effect_label,
    effect_name,
    good_direction,
    important,
    important_words,
    interval_phrase,
    mean_and_interval,
    people,
    person,
    shown_of,
    title_case,
    with_scale,
)
from bayes_hte.reporting.sections.conclusion import NO_INDIVIDUALS
from bayes_hte.reporting.sections.lookup import lookup
from bayes_hte.reporting.sections.risk import risk_view
from bayes_hte.reporting.sections.unseen import unseen_outcomes
from bayes_hte.reporting.tables.effects import SURE
from bayes_hte.reporting.tables.keys import focus, modifier_keys
from bayes_hte.reporting.tables.modifiers import N_BUCKETS


def individuals(material: Material) -> Section:
    """Build the section on who benefits."""
    body = [
        risk_view(material),
        "<h3>Individual effects</h3>",
        _individuals(material),
        f"<h3>{title_case(text(people(material.results)))} like a given one</h3>",
        lookup(material),
        unseen_outcomes(material),
        "<h3>Effect along each modifier</h3>",
        _modifiers(material),
    ]
    return Section("individuals", "Who benefits", "".join(body))


def _individuals(material: Material) -> str:
    """Return effects unit by unit where the verdict carries them, else one line."""
    results, one = material.results, text(person(material.results))
    if not results.trust.carries_individuals:
        return paragraph(NO_INDIVIDUALS.format(people=text(people(results))))
    names = focus(results)
    introduction = paragraph(
        f"An individual effect is the expected effect for one {one} with these covariates. "
        f"The outcome of one {one} under the other arm is never observed, so these effects are "
        "less certain than the averages, and their order is uncertain too."
    )
    return (
        introduction
        + _table(material)
        + grid([_distribution(material, name) for name in names])
        + grid([_caterpillar(material, name) for name in names])
    )


def _table(material: Material) -> str:
    results = material.results
    frame, several = material.tables["who_benefits"], people(results)
    beyond = f"beyond {important_words(results)}"
    statements = {
        "benefit": f"a benefit ({good_direction(results)})",
        "important_benefit": f"a benefit {beyond}",
        "important_harm": f"a harm {beyond}",
    }
    if not important(results) > 0:
        statements = {"benefit": statements["benefit"], "important_harm": "a harm"}
    fields = [
        words(title_case(f"{several} of the study with"), lambda row: statements[row["statement"]]),
        percents("Share, posterior mean", "mean"),
        Field(
            interval_phrase(results),
            lambda row: percent_span(row["ci_lower"], row["ci_upper"]),
        ),
        Field(
            title_case(f"{several} with posterior probability at least {SURE:g}"),
            lambda row: f"{row['n_sure']} of {row['n_units']}",
        ),
    ]
    shown = frame[frame["statement"].isin(list(statements))]
    groups = [
        (title_case(effect_name(name)), shown[shown["effect"] == name]) for name in focus(results)
    ]
    return field_table(
        with_scale("Who benefits.", material.results), fields, groups, source="who_benefits"
    )


def _distribution(material: Material, name: str) -> str:
    results = material.results
    key = f"effect_distribution_{name}"
    frame = material.tables[key]
    title = f"Individual effects: {name.upper()}"
    drawn = plot_distribution(frame, **effect_axis(results), units=people(results), title=title)
    drawn = material.scale.on_axes(drawn, "x")
    outside = percent(max(0.0, 1 - float(frame["mean"].sum())))
    caption = (
        f"Spread of the individual {effect_name(name)} over {people(results)}. Bar: share of "
        f"{people(results)}, counted in every draw and averaged. Whisker: "
        f"{interval_phrase(results)}, of the share. "
        f"{outside} of the values lie outside the axis."
    )
    ends = span(frame["bin_lower"].iloc[0], frame["bin_upper"].iloc[-1], material.style)
    peak = frame.loc[frame["mean"].idxmax()]
    alt = (
        f"Histogram of the individual {effect_name(name)}, from {ends}; the highest bar "
        f"lies from {span(peak['bin_lower'], peak['bin_upper'], material.style)}."
    )
    return drawing(drawn, caption, key=f"distribution-{name}", alt=alt, source=key)


def _caterpillar(material: Material, name: str) -> str:
    results, d = material.results, material.style
    key = f"individual_effects_{name}"
    frame = material.tables[key]
    lines, one = frame[frame["drawn"]], person(results)
    title = f"{title_case(one)} by {one}: {name.upper()}"
    drawn = plot_caterpillar(lines, **effect_axis(results), units=people(results), title=title)
    drawn = material.scale.on_axes(drawn, "x")
    caption = (
        f"Individual {effect_name(name)}, one line for each {one}. Point: posterior mean. Line: "
        f"{interval_phrase(results)}. {shown_of(len(lines), len(frame), results)}"
    )
    alt = (
        f"Individual {effect_name(name)} of {len(frame)} {people(results)} in order: posterior "
        f"means from {span(frame['mean'].iloc[0], frame['mean'].iloc[-1], d)}."
    )
    return drawing(drawn, caption, key=f"caterpillar-{name}", alt=alt, source=key)


def _modifiers(material: Material) -> str:
    results = material.results
    several = text(people(results))
    both = " and ".join(effect_name(name) for name in focus(results))
    introduction = paragraph(
        f"Average {both} over groups of {several}, with the {interval_phrase(results)}. "
        f"Covariates with many values are cut into up to {N_BUCKETS} groups of about equal size. "
        f"One covariate is shown at a time: {several} with different values of it "
        "differ in other covariates as well. The axis of the effect is the same in every figure."
    )
    keys = {c: k for c, k in modifier_keys(results).items() if k in material.tables}
    limits = _common_limits([material.tables[key] for key in keys.values()])
    figures = [_modifier(material, c, key, limits) for c, key in keys.items()]
    refused = ""
    if "modifiers_not_shown" in material.tables:
        rows = material.tables["modifiers_not_shown"].to_dict("records")
        refused = paragraph(f"Not shown: {csv_link('modifiers_not_shown')}") + unordered(
            f"{text(row['covariate'])}: {text(row['reason'])}" for row in rows
        )
    return introduction + grid(figures) + refused


def _common_limits(frames: list[pd.DataFrame]) -> tuple[float, float] | None:
    """Return the ends of an axis on which every interval and zero fit, with some room."""
    if not frames:
        return None
    low = min(0.0, *(float(frame["ci_lower"].min()) for frame in frames))
    high = max(0.0, *(float(frame["ci_upper"].max()) for frame in frames))
    room = 0.05 * (high - low)
    return low - room, high + room


def _modifier(
    material: Material, covariate: str, key: str, limits: tuple[float, float] | None
) -> str:
    results, d = material.results, material.style
    frame = material.tables[key]
    levels = frame["position"].isna().all()
    drawn = plot_modifier(
        frame,
        labels={name: name.upper() for name in focus(results)},
        better=results.spec.outcome.better,
        xlabel=covariate,
        ylabel=effect_label(results),
        limits=limits,
        title=covariate,
    )
    drawn = material.scale.on_axes(drawn, "y")
    said = "; ".join(
        f"{row['effect'].upper()}, {row['group']}: {mean_and_interval(row, d)}"
        for row in frame.to_dict("records")
    )
    reading = f"Point: posterior mean. {'Line' if levels else 'Band'}: {interval_phrase(results)}."
    sizes = f" Number of {people(results)} in brackets." if levels else ""
    caption = f"Average effect along {covariate}. {reading}{sizes}"
    alt = f"Average effect by {covariate}, mean and {interval_phrase(results)}. {said}."
    return drawing(drawn, caption, key=key, alt=alt, source=key)
