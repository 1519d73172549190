"""Average effects: the total effect by population, and its decompositions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from bayes_hte.names import POPULATIONS
from bayes_hte.plots import plot_densities
from bayes_hte.reporting.collected import PROPORTION
from bayes_hte.reporting.page.fields import effect_fields, numbers
from bayes_hte.reporting.page.markup import (
    Row,
    csv_link,
    details,
    field_table,
    grid,
    paragraph,
    text,
    words,
)
from bayes_hte.reporting.page.numbers import percent, percent_span
from bayes_hte.reporting.page.section import AVERAGES, Material, Section
from bayes_hte.reporting.page.svg import drawing
from bayes_hte.reporting.page.words import (
    arm_names,
    compared,
    effect_axis,
    effect_name,
    good_direction,
    important,
    important_words,
    interval_phrase,
    mean_and_interval,
    people,
    title_case,
    unit_phrase,
    with_scale,
)
from bayes_hte.reporting.sections.comparisons import classical_comparison, learner_comparison
from bayes_hte.reporting.sections.mediation import around_confounder, way_through
from bayes_hte.reporting.sections.relative import relative
from bayes_hte.reporting.tables.effects import DECOMPOSITIONS

Groups = Sequence[tuple[str | None, pd.DataFrame]]


def averages(material: Material) -> Section:
    """Build the section on average effects."""
    parts = [_introduction(material), _total(material), relative(material)]
    if "tnie" in material.results.averages:
        parts += [
            way_through(material),
            "<h4>Decomposition</h4>",
            _decomposition(material),
            grid([_decomposition_figure(material)]),
            "<h4>Share of the effect that is mediated</h4>",
            _share_mediated(material),
        ]
    elif material.results.interventional is not None:
        parts += [around_confounder(material), _decomposition(material)]
    parts += ["<h3>Compared with classical estimates</h3>", classical_comparison(material)]
    parts.append(learner_comparison(material))
    return Section("averages", "Average effects", "".join(parts))


def _introduction(material: Material) -> str:
    results = material.results
    reference, other = arm_names(results)
    sign = "negative" if results.spec.outcome.better == "lower" else "positive"
    return paragraph(
        f"All effects are differences in {text(compared(results))}, {text(other)} minus "
        f"{text(reference)}. A {sign} effect is a benefit ({text(good_direction(results))} is "
        f"better). Unit: {text(unit_phrase(results))}. Effects were averaged over "
        f"{text(people(results))} in every posterior draw first and summarised last."
    )


def _total(material: Material) -> str:
    """Return the total effect; populations that chance made alike are folded away."""
    frame = material.tables[AVERAGES].query("group == 'total'")
    figure = grid([_population_figure(material)])
    if material.results.spec.propensity.assignment != "randomised":
        caption = "Total effect (TE), by population."
        return _effects(material, caption, [(None, frame)]) + figure
    others = frame["population"] != "SATE"
    reason = paragraph(
        "Chance decided who was treated, so these populations differ from the study by chance "
        "alone, and so do the averages."
    )
    folded = _effects(material, "Total effect (TE), other populations.", [(None, frame[others])])
    return _effects(material, "Total effect (TE).", [(None, frame[~others])]) + details(
        "Averages over other populations (PATE, ATT, ATC)", reason + folded + figure, is_open=False
    )


def _decomposition(material: Material) -> str:
    frame = material.tables[AVERAGES]
    rows_of = f"{people(material.results)} of the study"
    confounder = material.results.study.roles.post_treatment
    divided = f"The joint TNIE divided between the mediators, {rows_of}"
    if confounder is not None:
        divided = f"Interventional effects, {confounder} as under the arm given, {rows_of}"
    headings = {
        "first": f"First decomposition: TE = TNIE + PNDE, {rows_of}",
        "second": f"Second decomposition: TE = PNIE + TNDE, {rows_of}",
        "interventional": divided,
        "controlled": "Controlled direct effect (CDE), mediator held at a value",
    }
    groups = [(heading, frame[frame["group"] == group]) for group, heading in headings.items()]
    return _effects(material, "Direct and indirect effects.", groups)


def _effects(material: Material, caption: str, groups: Groups) -> str:
    fields = [
        words("Effect", lambda row: _label(row, material)),
        *effect_fields(material, "Mean"),
        numbers("Monte Carlo error of the mean", "mcse", material.style.finer),
    ]
    caption = with_scale(caption, material.results)
    return field_table(caption, fields, groups, source=AVERAGES)


def _label(row: Row, material: Material) -> str:
    if row["group"] == "total":
        return f"{row['population']}: {POPULATIONS[row['population']]}"
    if row["group"] == "interventional":
        return title_case(row["name"])
    if row["group"] == "controlled":
        return f"{material.results.spec.roles.mediator_words} = {row['mediator_value']:g}"
    return effect_name(row["effect"])


def _population_figure(material: Material) -> str:
    rows = material.tables[AVERAGES].query("group == 'total'").set_index("population")
    labels = {name: name for name in rows.index}
    draws, title = material.results.populations, "Total effect by population"
    return _densities(material, "populations", draws, rows, labels, title)


def _decomposition_figure(material: Material) -> str:
    averages = material.results.averages
    names = [name for pair in DECOMPOSITIONS for name in pair if name in averages]
    rows = material.tables[AVERAGES].query("group in ('first', 'second')").set_index("effect")
    labels = {name: name.upper() for name in names}
    title = "Direct and indirect effects"
    return _densities(material, "decomposition", averages[names], rows, labels, title)


def _densities(
    material: Material, key: str, draws: Any, rows: pd.DataFrame, labels: dict, title: str
) -> str:
    results, d = material.results, material.style
    drawn = plot_densities(draws, rows, labels=labels, **effect_axis(results), title=title)
    drawn = material.scale.on_axes(drawn, "x")
    said = "; ".join(
        f"{labels[str(name)]} {mean_and_interval(row, d)}" for name, row in rows.iterrows()
    )
    dotted = (
        f" Dotted line: minimal important difference of {important_words(results)}, on the side "
        "of benefit."
        if important(results) > 0
        else ""
    )
    caption = (
        f"{title}. Shaded: posterior density. Point: posterior mean. Black line: "
        f"{interval_phrase(results)}. Dashed line: no effect.{dotted}"
    )
    alt = f"{title}, posterior densities with mean and {interval_phrase(results)}: {said}."
    return drawing(drawn, caption, key=key, alt=alt, source=AVERAGES)


def _share_mediated(material: Material) -> str:
    results = material.results
    beyond = important_words(results)
    if PROPORTION not in material.tables:
        return paragraph(
            "The proportion mediated (TNIE divided by TE) is undefined here: it divides by the "
            f"total effect, which does not lie beyond {beyond} in one direction with posterior "
            "probability 0.95. A ratio to an effect that may be near zero means nothing."
        )
    row = material.tables[PROPORTION].iloc[0]
    return paragraph(
        f"The proportion mediated (TNIE divided by TE, draw by draw) has posterior median "
        f"{percent(row['median'])} ({interval_phrase(results)}: "
        f"{percent_span(row['ci_lower'], row['ci_upper'])}). It is reported because the total "
        "effect lies beyond "
        f"{beyond} in one direction with posterior probability at least 0.95. It can lie below 0% "
        f"or above 100% where direct and indirect effects have opposite signs. "
        f"{csv_link(PROPORTION)}"
    )
