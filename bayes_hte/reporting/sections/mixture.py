"""The mixture: what the declared graph identifies, and the answers of likelihood and moments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd

from bayes_hte.mixtures.agreement import AGREE
from bayes_hte.mixtures.checks import level_words
from bayes_hte.mixtures.identification import EDGES
from bayes_hte.plots import plot_agreement, plot_identifiability, plot_membership
from bayes_hte.reporting.page.markup import (
    Column,
    Field,
    Row,
    details,
    field_table,
    grid,
    paragraph,
    table,
    text,
    unordered,
    words,
)
from bayes_hte.reporting.page.numbers import Style, number, percent, plain, span
from bayes_hte.reporting.page.section import AVERAGES, Material, Section
from bayes_hte.reporting.page.svg import drawing
from bayes_hte.reporting.page.words import (
    effect_axis,
    interval_phrase,
    mean_and_interval,
    people,
    person,
    shown_of,
    title_case,
    unit_phrase,
)
from bayes_hte.reporting.tables.mixtures import (
    ANSWERS,
    DIAGNOSTICS,
    LEVELS,
    MEMBERSHIP,
    PROFILE,
    class_label,
)

if TYPE_CHECKING:
    from bayes_hte.mixtures import MixtureFit

KEY: Final = "mixture"
_SHARE_DECIMALS = 3
_QUANTITIES = {"effects": "Mean effect", "probabilities": "Probability", "ate": "Average effect"}


def mixture(material: Material) -> Section | None:
    """Build the section on the mixture; None where no mixture is declared."""
    fit = material.results.mixture
    if fit is None:
        return None
    parts = [
        _introduction(material, fit),
        "" if fit.healthy else _warning(fit),
        "<h3>What the declared graph identifies</h3>",
        _graph(material, fit),
        "<h3>The classes, by likelihood and by moments</h3>",
        _agreement(fit),
        _comparison(material),
        _averages(material),
    ]
    if "membership" in fit.identifiability.identified:
        parts += [
            "<h3>What the classes look like</h3>",
            _profile(material, fit),
            f"<h3>How surely {text(people(material.results))} belong to a class</h3>",
            _membership(material, fit),
        ]
    if fit.moments is not None:
        parts.append(_diagnostics(material))
    return Section(KEY, "Mixture of classes", "".join(parts))


def _introduction(material: Material, fit: MixtureFit) -> str:
    several = text(people(material.results))
    said = (
        f"The study file says that {several} may fall into {fit.identifiability.k} classes that "
        "nobody has measured, which may decide both who is treated and who benefits. Proxies on "
        "two sides, each a trace of the class, identify such classes. <strong>The effect of a "
        f"class is the mean of its {several}; how they vary within it cannot be estimated."
        "</strong>"
    )
    if "truth" in material.tables[ANSWERS]:
        said += " The data are simulated, so the truth is known and shown with the estimates."
    return paragraph(said)


def _warning(fit: MixtureFit) -> str:
    failed = " ".join(check.text for check in fit.health if not check.passed)
    return paragraph(
        "The fit of the mixture failed its checks: the answers of this section must not be used. "
        f"{text(failed)}",
        cls="unsafe",
    )


def _graph(material: Material, fit: MixtureFit) -> str:
    declared, graph = material.results.spec.mixture, fit.identifiability
    assert declared is not None
    edges = "; ".join(f"{edge}: {EDGES[edge]}" for edge in declared.edges) or "none"
    facts = (
        f"Treatment-side proxies (Z): {', '.join(declared.z_proxies)}.",
        f"Outcome-side proxies (X): {', '.join(declared.x_proxies)}.",
        f"Edges that were not ruled out: {edges}.",
        f"Reason given: {declared.because}.",
    )
    drawn = plot_identifiability(material.tables[LEVELS], title="What is identified")
    caption = (
        "What each level of the hierarchy identifies. The level follows from the declared edges "
        "and the levels of the proxies, not from the data."
    )
    named = ", ".join(graph.identified) or "nothing"
    alt = f"Grid of quantities by level; this design reaches level {graph.level}: {named}."
    parts = [
        paragraph(f"<strong>{text(level_words(graph))}</strong>"),
        _list(facts),
        grid([drawing(drawn, caption, key="mixture-levels", alt=alt, source=LEVELS)]),
    ]
    if graph.remedies:
        parts += [paragraph("What would reach a better level:"), _list(graph.remedies)]
    assumed = (
        "This rests on assumptions that the data cannot show (U: the class; T: the treatment; "
        "Y: the outcome):"
    )
    return "".join([*parts, paragraph(assumed), _list(graph.assumptions)])


def _list(items: tuple[str, ...]) -> str:
    return unordered(text(item) for item in items)


def _agreement(fit: MixtureFit) -> str:
    found = fit.agreement
    said = " ".join((*found.reasons, *found.notes))
    return paragraph(
        f"<strong>Likelihood and moments: {text(found.answer)}.</strong> {text(said)}",
        cls="declared" if found.answer == AGREE else "undeclared",
    )


def _comparison(material: Material) -> str:
    frame = material.tables[ANSWERS]
    fields = [
        words("Quantity", lambda row: title_case(row["label"])),
        *([_answer("Truth", "truth", material)] if "truth" in frame else []),
        _answer("Likelihood", "likelihood_median", material),
        _bounds("likelihood", material),
        _answer("Moments", "moments_median", material),
        _bounds("moments", material),
        Field("Distance (sd of the moments)", lambda row: number(row["distance"], 2)),
        Field("Overlap", lambda row: number(row["overlap"], 2)),
    ]
    groups = [(heading, frame[frame["quantity"] == name]) for name, heading in _QUANTITIES.items()]
    note = paragraph(
        "Numbers are posterior medians. The likelihood models the whole law of proxies, treatment "
        "and outcome; the moments use averages alone. If graph, family and number of classes are "
        "right, they settle on the same values."
    )
    made = field_table("The classes, two ways.", fields, groups, source=ANSWERS)
    return note + made + _pictures(material)


def _answer(heading: str, key: str, material: Material) -> Field:
    return Field(heading, lambda row: number(row[key], _decimals(row["quantity"], material)))


def _bounds(way: str, material: Material) -> Field:
    def cell(row: Row) -> str:
        if pd.isna(row[f"{way}_median"]):
            return "\N{EM DASH}"
        d = _decimals(row["quantity"], material)
        return span(row[f"{way}_lower"], row[f"{way}_upper"], d)

    return Field(interval_phrase(material.results), cell)


def _decimals(quantity: str, material: Material) -> int | Style:
    """Effects are in the unit of the outcome, probabilities never are."""
    return _SHARE_DECIMALS if quantity == "probabilities" else material.style


def _pictures(material: Material) -> str:
    results, frame = material.results, material.tables[ANSWERS]
    effects = pd.concat([frame[frame["quantity"] == name] for name in ("effects", "ate")])
    shares = frame[frame["quantity"] == "probabilities"]
    figures = {
        "effects": (
            effects,
            plot_agreement(effects, **effect_axis(results), title="Effects of the classes"),
        )
    }
    if len(shares):
        look = {"xlabel": "probability of the class", "title": "Sizes of the classes"}
        figures["probabilities"] = (shares, plot_agreement(shares, quantity="probability", **look))
    caption = (
        f"Two answers to one question. Marker: posterior median. Line: {interval_phrase(results)}."
    )
    return grid(
        drawing(
            drawn,
            caption,
            key=f"mixture-{name}",
            alt=_said(name, rows, material),
            source=ANSWERS,
        )
        for name, (rows, drawn) in figures.items()
    )


def _said(name: str, frame: pd.DataFrame, material: Material) -> str:
    d = _decimals(name, material)
    rows = "; ".join(
        f"{row['label']} {number(row['likelihood_median'], d)} by likelihood, "
        f"{number(row['moments_median'], d)} by moments"
        for row in frame.to_dict("records")
    )
    return f"Classes, {name}: {rows}."


def _averages(material: Material) -> str:
    d = material.style
    frame, averages = material.tables[ANSWERS], material.tables[AVERAGES]
    own = frame[frame["quantity"] == "ate"].iloc[0]
    adjusted = averages[(averages["population"] == "PATE") & (averages["effect"] == "te")].iloc[0]
    return paragraph(
        "The average effect that allows for classes nobody measured is "
        f"<b>{number(own['likelihood_median'], d)}</b> "
        f"({span(own['likelihood_lower'], own['likelihood_upper'], d)}; "
        f"{text(unit_phrase(material.results))}). Adjusted for the covariates alone, as in the "
        f"other sections, it is {number(adjusted['median'], d)} "
        f"({span(adjusted['ci_lower'], adjusted['ci_upper'], d)}). Where the two differ, the class "
        "may confound the treatment, which the other sections rule out, or the graph declared here "
        f"may be wrong. In brackets: {interval_phrase(material.results)}; both averages are over "
        f"the population that the {text(people(material.results))} come from."
    )


def _profile(material: Material, fit: MixtureFit) -> str:
    labels = [class_label(u) for u in range(fit.identifiability.k)]
    columns = [Column("What", numeric=False), *(Column(label) for label in labels)]
    groups = []
    for group, part in material.tables[PROFILE].groupby("group", sort=False):
        rows = [
            [str(what), *(mean_and_interval(row, 2) for row in one.to_dict("records"))]
            for what, one in part.groupby("what", sort=False)
        ]
        groups.append((title_case(str(group)), rows))
    caption = (
        f"Mean outcome by arm, and how often each level of the proxies occurs, by class. Posterior "
        f"mean and {interval_phrase(material.results)}, by likelihood."
    )
    return table(caption, columns, groups, source=PROFILE)


def _membership(material: Material, fit: MixtureFit) -> str:
    results = material.results
    several, one = people(results), person(results)
    frame = material.tables[MEMBERSHIP]
    labels = [class_label(u) for u in range(fit.identifiability.k)]
    after, before = frame[labels].max(axis=1).mean(), frame["sure_before"].mean()
    shown = frame[frame["drawn"]]
    drawn = plot_membership(shown[labels], units=several, title="Membership")
    sentence = paragraph(
        "The most probable class has, on average, a probability of "
        f"<strong>{percent(after)}</strong> given everything recorded, outcome included, and of "
        f"<strong>{percent(before)}</strong> given the proxies alone, as for a new {text(one)} "
        "before treatment. The column <i>soft_effect</i> of the file is the class effect to be "
        f"expected for each {text(one)}; it is not that {text(one)}'s own effect, and as it uses "
        "the outcome, it must not guide treatment."
    )
    caption = (
        f"Probability of each class, one column for each {one}, given proxies, treatment and "
        f"outcome. {shown_of(len(shown), len(frame), results)}"
    )
    alt = (
        f"Memberships of {len(frame)} {several} in {len(labels)} classes; "
        f"the most probable class has {percent(after)} on average."
    )
    picture = drawing(drawn, caption, key="mixture-membership", alt=alt, source=MEMBERSHIP)
    return sentence + grid([picture])


def _diagnostics(material: Material) -> str:
    fields = [
        words("Diagnostic", "diagnostic"),
        Field("Value", lambda row: plain(row["value"])),
        words("What it means", "meaning"),
    ]
    title = "How far the proxies carry"
    made = field_table(f"{title}.", fields, material.tables[DIAGNOSTICS], source=DIAGNOSTICS)
    return details(title, made, is_open=False)
