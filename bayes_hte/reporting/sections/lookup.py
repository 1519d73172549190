"""A person like this: choose a few covariates, read both outcomes and the effect.

The numbers stand in a table of the page, which needs no script; the choices above it pick its row.
"""

from __future__ import annotations

import pandas as pd

from bayes_hte.reporting.page.markup import csv_link, paragraph, text
from bayes_hte.reporting.page.numbers import number, probability, span
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import arm_names, interval_phrase, people, person
from bayes_hte.reporting.sections.lookup_curves import Curves
from bayes_hte.reporting.tables.lookup import CHOICE, LOOKUP


def lookup(material: Material) -> str:
    """Return the choices and the table behind them, or why there are none."""
    results = material.results
    one, several = text(person(results)), text(people(results))
    if not results.trust.carries_individuals:
        return paragraph(
            f"There is no look-up of the effect for {several} like a given one: the checks do not "
            "carry statements about individuals. The average effect is the best answer for "
            f"each {one}."
        )
    if LOOKUP not in material.tables:
        return paragraph("The saved run cannot answer this; run the study again to get it.")
    frame = material.tables[LOOKUP]
    names = [c.removeprefix(CHOICE) for c in frame.columns if c.startswith(CHOICE)]
    said = paragraph(
        f"Averages over the {several} of the study that agree on these covariates, along which the "
        f"effect differs most. They are not the outcome of one {one}, which nobody can know."
    )
    curves = Curves.of(material)
    drawn = "" if curves is None else curves.frame()
    return (
        said
        + f'<div class="lookup" hidden>{_choices(frame, names)}'
        + f'<p class="found" role="status"></p>{drawn}</div>'
        + _table(material, frame, names, curves)
    )


def _choices(frame: pd.DataFrame, names: list[str]) -> str:
    boxes = []
    for place, name in enumerate(names):
        levels = frame[CHOICE + name].unique()
        options = "".join(f"<option>{text(level)}</option>" for level in levels)
        boxes.append(
            f'<label for="choice-{place}">{text(name)} <select id="choice-{place}">{options}'
            "</select></label>"
        )
    return "".join(boxes)


def _table(material: Material, frame: pd.DataFrame, names: list[str], curves: Curves | None) -> str:
    results, scale = material.results, material.scale
    reference, other = arm_names(results)
    style = scale.style(frame["sd_effect"])
    percent = f", {scale.level_unit}" if scale.level_unit else ""
    short = interval_phrase(results)
    headings = [
        people(results).capitalize(),
        f"{reference}{percent} ({short})",
        f"{other}{percent} ({short})",
        f"Effect, {scale.unit} ({short})",
        "Probability of benefit",
    ]
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in names)
    head += "".join(f'<th scope="col" class="num">{text(words)}</th>' for words in headings)
    if curves is not None:
        head += f'<th scope="col">{text(curves.heading)}</th>'
    rows = []
    for place, row in enumerate(frame.to_dict("records")):
        levels = [row[CHOICE + name] for name in names]
        first = f'<th scope="row">{text(levels[0])}</th>'
        cells = "".join(f"<td>{text(level)}</td>" for level in levels[1:])
        numbers = [str(row["n_units"])]
        for quantity in ("reference", "other", "effect"):
            ends = span(row[f"ci_lower_{quantity}"], row[f"ci_upper_{quantity}"], style)
            numbers.append(f"{number(row[f'mean_{quantity}'], style)} ({ends})")
        numbers.append(probability(row["prob_benefit"]))
        cells += "".join(f'<td class="num">{text(words)}</td>' for words in numbers)
        if curves is not None:
            cells += f"<td>{curves.cell(place)}</td>"
        rows.append(f"<tr>{first}{cells}</tr>")
    caption = f"Every combination that the study has ({len(frame)})."
    return (
        f'<details class="combinations"><summary>{text(caption)}</summary>'
        f'<div class="scroll" role="region" aria-label="{text(caption)}" tabindex="0">'
        f'<table data-choices="{len(names)}"><caption><span class="stay">{text(caption)} '
        f"{csv_link(LOOKUP)}</span></caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div></details>"
    )
