"""How many units were recorded, left out and analysed, and what was missing."""

from __future__ import annotations

from bayes_hte.reporting.page.markup import csv_link, paragraph, text, unordered
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import arm_names, people
from bayes_hte.reporting.tables.flow import FLOW, MISSING, assumptions, flow_of


def flow(material: Material) -> str:
    """Return the flow of the units, with the assumptions about what is missing."""
    results, found = material.results, flow_of(material.results)
    several, known = people(results), int(results.study.known_outcome().sum())
    left_out = "; ".join(f"{n} left out, {why}" for why, n in found.excluded) or "none left out"
    informing = "" if known == results.study.n_units else f", {known} of them with an outcome"
    if results.study.roles.mediator is not None and informing:
        informing += " and a mediator"
    said = paragraph(
        f"{found.recorded} {text(several)} were recorded; {text(left_out)}; "
        f"{results.study.n_units} analysed{informing}. {csv_link(FLOW)}"
    )
    said = _boxes(material) + said
    if not len(found.missing):
        return said + paragraph("No value is missing in any column of the analysis.")
    table = material.tables[MISSING]
    rows = []
    for name, part in table.groupby("column", sort=False):
        by_arm = ", ".join(
            f"{row['n_missing']} of {row['n_units']} in {row['arm']}" for _, row in part.iterrows()
        )
        one = " (in one arm only)" if (part["n_missing"] > 0).sum() == 1 else ""
        rows.append(text(f"{part['role'].iloc[0]} {name}: {by_arm}{one}"))
    said += paragraph(f"Missing values among those recorded: {csv_link(MISSING)}") + unordered(rows)
    return said + "".join(paragraph(text(sentence)) for sentence in assumptions(results))


def _boxes(material: Material) -> str:
    """Return the flow as boxes: recorded, left out, and each arm with those who inform models."""
    results, found = material.results, flow_of(material.results)
    several, arm = people(results), results.study.arm_index()
    known = results.study.known_outcome()
    steps = [f"{found.recorded} {several} recorded"]
    steps += [f"{n} left out: {why}" for why, n in found.excluded]
    arms = []
    for place, name in enumerate(arm_names(results)):
        inside = arm == place
        informing = int((known & inside).sum())
        more = "" if informing == inside.sum() else f", {informing} with an outcome"
        arms.append(f"{name}: {inside.sum()} analysed{more}")
    boxes = "".join(f"<li>{text(step)}</li>" for step in steps)
    ends = "".join(f"<li>{text(one)}</li>" for one in arms)
    return f'<ol class="flow">{boxes}<li class="arms-of"><ul>{ends}</ul></li></ol>'
