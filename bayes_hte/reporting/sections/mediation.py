"""The way through the mediator: the diagram of the study, its two legs, then the decomposition."""

from __future__ import annotations

from bayes_hte.reporting.page.markup import Field, Row, field_table, paragraph, text, words
from bayes_hte.reporting.page.numbers import Style, decimals_for, number, span
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import arm_names, interval_phrase, people
from bayes_hte.reporting.tables.legs import LEGS, ON_MEDIATOR, ON_OUTCOME

_BOX = 'rx="6" fill="#f5f7f9" stroke="#00537f" stroke-width="1.5"'
_MOST_LETTERS = 22


def way_through(material: Material) -> str:
    """Return the diagram of the study and the legs of the mediation."""
    roles = material.results.spec.roles
    body = f"<h3>The way through {text(roles.mediator_words)}</h3>" + _diagram(material)
    if len(roles.mediators) > 1:
        return body + _both_ways(material)
    if LEGS not in material.tables:
        return body + paragraph(
            "The saved run holds no legs of the mediation; run the study again to get them."
        )
    return body + _legs(material)


def around_confounder(material: Material) -> str:
    """Say which effects are left where the treatment changes a confounder of the mediator."""
    roles = material.results.spec.roles
    mediator, confounder = text(roles.mediator_words), text(roles.post_treatment or "")
    return f"<h3>The way through {mediator}</h3>" + paragraph(
        f"The treatment changes {confounder}, which affects both {mediator} and "
        f"{text(roles.outcome)}. Natural direct and indirect effects are then not identified, "
        f"whatever the data: none show which {mediator} goes with the {confounder} that someone "
        "would have in the other arm. Interventional effects remain. The indirect one moves "
        f"{mediator} from its distribution, given the covariates, in one arm to that in the other; "
        f"the direct one moves the arm, and {confounder} with it, and leaves {mediator} as in the "
        "reference arm. Their sum, the overall effect, is not the total effect: it leaves out what "
        f"{mediator} and {confounder} do by depending on each other."
    )


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
        f"The first leg is the effect of the treatment on {text(mediator)}, which has the standing "
        f"of the total effect. The second compares the same {text(people(results))} with "
        f"{text(mediator)} at its lower and at its upper quartile, the arm held; nobody assigned "
        f"{text(mediator)} at random, so it is an effect only if nothing unmeasured affects both."
    )
    return field_table("The legs of the mediation.", fields, frame, source=LEGS) + note


def _diagram(material: Material) -> str:
    """Draw treatment, mediator and outcome with their arrows, and what each arrow carries."""
    results = material.results
    roles, (_, other) = results.spec.roles, arm_names(results)
    on_mediator, on_outcome = _carried(material)
    direct = _arrow_words(material, "pnde")
    boxes = "".join(
        _box(x, y, names)
        for x, y, names in (
            (8, 126, (other,)),
            (232, 12, roles.mediators),
            (456, 126, (roles.outcome,)),
        )
    )
    passes = f"{on_mediator or 'first leg'}; {on_outcome or 'second leg'}"
    several = len(roles.mediators) > 1
    neither = "either mediator" if several else roles.mediator_words
    arrows = "".join(
        f'<path d="{path}" fill="none" stroke="#1a1a1a" stroke-width="1.5" '
        'marker-end="url(#diagram-head)"/>'
        for path in ("M120 124 L228 50", "M412 50 L520 124", "M188 148 L452 148")
    )
    labels = "".join(
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="15" fill="#1a1a1a">'
        f"{text(words)}</text>"
        for x, y, anchor, words in (
            (158, 78, "end", on_mediator),
            (486, 78, "start", on_outcome),
            (320, 168, "middle", direct),
        )
    )
    alt = (
        f"Diagram of the study: {other} affects {roles.outcome} directly ({direct}) and through "
        f"{roles.mediator_words} ({on_outcome if several else passes}). The covariates may affect "
        "all of them."
    )
    return (
        '<figure class="diagram"><svg viewBox="0 0 640 184" role="img" '
        f'aria-label="{text(alt)}"><defs><marker id="diagram-head" viewBox="0 0 8 8" refX="7" '
        'refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0 L8 4 L0 8 z" '
        f'fill="#1a1a1a"/></marker></defs>{arrows}{boxes}{labels}</svg><figcaption>'
        f"The diagram that the analysis assumes. The covariates may affect all "
        f"{'of them' if several else 'three'}; nothing else "
        f"that affects {text(neither)} may affect {text(roles.outcome)}."
        "</figcaption></figure>"
    )


def _box(x: int, y: int, names: tuple[str, ...]) -> str:
    """Draw a box with a name, or two below each other."""
    lines = "".join(
        f'<text x="{x + 88}" y="{y + 27 + 24 * i}" text-anchor="middle" font-size="16">'
        f"{text(_short(name))}</text>"
        for i, name in enumerate(names)
    )
    return f'<rect x="{x}" y="{y}" width="176" height="{20 + 24 * len(names)}" {_BOX}/>{lines}'


def _carried(material: Material) -> tuple[str, str]:
    """Return the numbers of the two legs; empty where the run kept none.

    Of two mediators the second is the effect through both.
    """
    if len(material.results.spec.roles.mediators) > 1:
        row = material.average("tnie")
        return "", f"both {number(row['mean'], material.style)}"
    if LEGS not in material.tables:
        return "", ""
    frame = material.tables[LEGS]
    first = frame[frame["leg"] == ON_MEDIATOR].iloc[0]
    second = frame[(frame["leg"] == ON_OUTCOME) & (frame["arm"] == 1)].iloc[0]
    return (
        number(first["mean"], decimals_for([first["sd"]])),
        number(second["mean"], material.style),
    )


def _arrow_words(material: Material, effect: str) -> str:
    row = material.average(effect)
    return f"direct {number(row['mean'], material.style)}"


def _short(name: str) -> str:
    """Shorten a name to what fits a box; the caption and the tables have all of it."""
    return (
        name
        if len(name) <= _MOST_LETTERS
        else name[: _MOST_LETTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"
    )
