"""The way through the mediator: the diagram of the study, its two legs, then the decomposition."""

from __future__ import annotations

from bayes_hte.reporting.page.markup import Field, Row, field_table, paragraph, text, words
from bayes_hte.reporting.page.numbers import Style, decimals_for, number, span
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import arm_names, interval_phrase, people
from bayes_hte.reporting.sections.diagram import diagram
from bayes_hte.reporting.tables.legs import LEGS, ON_MEDIATOR, ON_OUTCOME


def way_through(material: Material) -> str:
    """Return the diagram of the study and the legs of the mediation."""
    roles = material.results.spec.roles
    body = f"<h3>The way through {text(roles.mediator_words)}</h3>" + diagram(material)
    if len(roles.mediators) > 1:
        return body + _both_ways(material)
    if LEGS not in material.tables:
        return body + paragraph(
            "The saved run holds no legs of the mediation; run the study again to get them."
        )
    return body + _legs(material)


def around_confounder(material: Material) -> str:
    """Return the diagram and the effects left where the treatment changes a confounder."""
    roles = material.results.spec.roles
    mediator, confounder = text(roles.mediator_words), text(roles.post_treatment or "")
    said = paragraph(
        f"The treatment changes {confounder}, which affects both {mediator} and "
        f"{text(roles.outcome)}. Natural direct and indirect effects are then not identified, "
        f"whatever the data: none show which {mediator} goes with the {confounder} that someone "
        "would have in the other arm. Interventional effects remain. The indirect one moves "
        f"{mediator} from its distribution, given the covariates, in one arm to that in the other; "
        f"the direct one moves the arm, and {confounder} with it, and leaves {mediator} as in the "
        "reference arm. Their sum, the overall effect, is not the total effect: it leaves out what "
        f"{mediator} and {confounder} do by depending on each other."
    )
    return f"<h3>The way through {mediator}</h3>{diagram(material)}{said}"


def _both_ways(material: Material) -> str:
    """Say what passes through each of two mediators, and what it means."""
    return paragraph(
        "The joint indirect effect moves both mediators together. It is divided in the next table "
        "into interventional effects: of what passes through each mediator when its distribution, "
        "given the covariates, is moved from that in one arm to that in the other, and of a "
        "remainder, by which the treatment changes how the mediators depend on each other. No "
        "order of causes between the mediators is assumed."
    )


def _legs(material: Material) -> str:
    results, frame = material.results, material.tables[LEGS]
    arms, mediator = arm_names(results), results.spec.roles.mediator
    unit = "" if results.spec.mediator is None else results.spec.mediator.unit

    def leg(row: Row) -> str:
        if row["leg"] == ON_MEDIATOR:
            return f"Treatment on {mediator}: {arms[1]} less {arms[0]}"
        return (
            f"{mediator} on {results.spec.roles.outcome}: from {row['mediator_from']:.3g} to "
            f"{row['mediator_to']:.3g}, {arms[row['arm']]}"
        )

    def style(row: Row) -> Style:
        if row["leg"] == ON_OUTCOME:
            return material.style
        return Style(decimals_for([row["sd"]]))

    def unit_of(row: Row) -> str:
        if row["leg"] == ON_OUTCOME:
            return material.scale.unit
        return unit or "units of the mediator"

    fields = [
        words("Leg", leg),
        Field("Mean", lambda row: number(row["mean"], style(row))),
        Field(
            interval_phrase(results),
            lambda row: span(row["ci_lower"], row["ci_upper"], style(row)),
        ),
        words("Unit", unit_of),
    ]
    note = paragraph(
        f"The first leg is the effect of the treatment on {text(mediator)}; it rests on the same "
        f"assumption as the total effect. The second compares the same {text(people(results))} "
        f"with {text(mediator)} at its lower and at its upper quartile, the arm held; nobody "
        f"assigned {text(mediator)} at random, so it is an effect only if nothing unmeasured "
        "affects both."
    )
    return field_table("The legs of the mediation.", fields, frame, source=LEGS) + note
