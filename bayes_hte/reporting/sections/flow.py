"""How many units were recorded, left out and analysed, and what was missing."""

from __future__ import annotations

from bayes_hte.reporting.page.markup import csv_link, paragraph, text, unordered
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import people
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
