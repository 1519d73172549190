"""Hidden classes: what the declared graph identifies, what likelihood and moments make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from bayes_hte.mixtures.agreement import AGREE
from bayes_hte.mixtures.checks import level_words
from bayes_hte.mixtures.identification import EDGES
from bayes_hte.plots import plot_agreement, plot_identifiability, plot_membership
from bayes_hte.reporting.page.markup import (
    Column,
    details,
    figure,
    grid,
    paragraph,
    table,
    text,
    unordered,
)
from bayes_hte.reporting.page.numbers import number, percent, plain, span
from bayes_hte.reporting.page.section import Material, Section
from bayes_hte.reporting.page.svg import inline_svg
from bayes_hte.reporting.page.words import (
    effect_label,
    important,
    interval_phrase,
    people,
    person,
    shown_of,
    title_case,
    unit_phrase,
)
from bayes_hte.reporting.tables.mixtures import class_label

if TYPE_CHECKING:
    from bayes_hte.mixtures import MixtureFit

_SHARE_DECIMALS = 3


def mixture(material: Material) -> Section | None:
    """Build the section on hidden classes; None where none were asked for."""
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
    return Section("hidden-classes", "Hidden classes", "".join(parts))


def _introduction(material: Material, fit: MixtureFit) -> str:
    results = material.results
    several = text(people(results))
    words = (
        f"The study file says that {several} may fall into {fit.identifiability.k} classes that "
        "nobody has measured, which may decide both who is treated and who benefits. Proxies on "
        "two sides, each a trace of the class, let such classes be found. <strong>The effect of a "
        f"class is the mean of its {several}; how they vary within it cannot be known.</strong>"
    )
    if "truth" in material.tables["hidden_classes"]:
        words += " The data are simulated, so the truth is known and shown beside the estimates."
    return paragraph(words)


def _warning(fit: MixtureFit) -> str:
    failed = " ".join(check.text for check in fit.health if not check.passed)
    return (
        '<p class="unsafe">The fit of the hidden classes failed its checks: what this section says '
        f"of them must not be used. {text(failed)}</p>"
    )


def _graph(material: Material, fit: MixtureFit) -> str:
    declared, graph = material.results.spec.mixture, fit.identifiability
    assert declared is not None
    edges = "; ".join(f"{edge}: {EDGES[edge]}" for edge in declared.edges) or "none"
    facts = [
        f"Treatment-side proxies (Z): {', '.join(declared.z_proxies)}.",
        f"Outcome-side proxies (X): {', '.join(declared.x_proxies)}.",
        f"Edges that were not ruled out: {edges}.",
        f"Reason given: {declared.because}.",
    ]
    drawn = plot_identifiability(material.tables["hidden_levels"], title="What is identified")
    caption = (
        "What each level of the hierarchy identifies. The level follows from the declared edges "
        "and the levels of the proxies, not from the data."
    )
    named = ", ".join(graph.identified) or "nothing"
    alt = f"Grid of quantities by level; this design reaches level {graph.level}: {named}."
    picture = figure(
        inline_svg(drawn, key="fig-hidden-levels", alt=alt), caption, source="hidden_levels"
    )
    mend = ""
    if graph.remedies:
        mend = "<p>What would mend it:</p>" + unordered(text(r) for r in graph.remedies)
    assumed = (
        "<p>This rests on assumptions that the data cannot show (U: the class; T: the treatment; "
        "Y: the outcome):</p>"
    ) + unordered(text(a) for a in graph.assumptions)
    return (
        paragraph(f"<strong>{text(level_words(graph))}</strong>")
        + unordered(text(fact) for fact in facts)
        + grid([picture])
        + mend
        + assumed
    )


def _agreement(fit: MixtureFit) -> str:
    found = fit.agreement
    headline = f"Likelihood and moments: {found.answer}."
    said = " ".join((*found.reasons, *found.notes))
    return paragraph(
        f"<strong>{text(headline)}</strong> {text(said)}",
        cls="declared" if found.answer == AGREE else "undeclared",
    )


def _comparison(material: Material) -> str:
    frame = material.tables["hidden_classes"]
    known = "truth" in frame
    columns = [
        Column("Quantity", numeric=False),
        *([Column("Truth")] if known else []),
        Column("Likelihood"),
        Column(interval_phrase(material.results)),
        Column("Moments"),
        Column(interval_phrase(material.results)),
        Column("Distance (sd of the moments)"),
        Column("Overlap"),
    ]
    words = {"effects": "Mean effect", "probabilities": "Probability", "ate": "Average effect"}
    order = ("effects", "probabilities", "ate")
    groups = [
        (
            words[quantity],
            [
                _cells(row, _decimals(quantity, material), known)
                for row in frame[frame["quantity"] == quantity].to_dict("records")
            ],
        )
        for quantity in order
        if (frame["quantity"] == quantity).any()
    ]
    note = paragraph(
        "Numbers are posterior medians. The likelihood models the whole law of proxies, treatment "
        "and outcome; the moments use averages alone. If graph, family and number of classes are "
        "right, they settle on the same values."
    )
    made = table("Hidden classes, two ways.", columns, groups, source="hidden_classes")
    return note + made + _pictures(material)


def _decimals(quantity: str, material: Material) -> int:
    """Effects are in the unit of the outcome, probabilities never are."""
    return _SHARE_DECIMALS if quantity == "probabilities" else material.decimals


def _cells(row: dict[str, Any], decimals: int, known: bool) -> list[str]:
    cells = [title_case(row["label"])]
    if known:
        cells.append(number(row["truth"], decimals))
    for way in ("likelihood", "moments"):
        middle, lower, upper = (row[f"{way}_{part}"] for part in ("median", "lower", "upper"))
        cells += [number(middle, decimals), span(lower, upper, decimals)]
        if pd.isna(middle):
            cells[-1] = "\N{EM DASH}"
    return [*cells, number(row["distance"], 2), number(row["overlap"], 2)]


def _pictures(material: Material) -> str:
    results, frame = material.results, material.tables["hidden_classes"]
    shares = frame[frame["quantity"] == "probabilities"]
    effects = pd.concat([frame[frame["quantity"] == name] for name in ("effects", "ate")])
    parts = {"effects": effects, "probabilities": shares}
    drawings = {
        "effects": plot_agreement(
            effects,
            better=results.spec.outcome.better,
            important=important(results),
            xlabel=effect_label(results),
            title="Effects of the classes",
        )
    }
    if len(shares):
        drawings["probabilities"] = plot_agreement(
            shares,
            quantity="probability",
            xlabel="probability of the class",
            title="Sizes of the classes",
        )
    caption = (
        f"Two answers to one question. Marker: posterior median. Line: {interval_phrase(results)}."
    )
    return grid(
        figure(
            inline_svg(drawn, key=f"fig-hidden-{name}", alt=_said(name, parts[name], material)),
            caption,
            source="hidden_classes",
        )
        for name, drawn in drawings.items()
    )


def _said(name: str, frame: pd.DataFrame, material: Material) -> str:
    d = _decimals(name, material)
    rows = "; ".join(
        f"{row['label']} {number(row['likelihood_median'], d)} by likelihood, "
        f"{number(row['moments_median'], d)} by moments"
        for row in frame.to_dict("records")
    )
    return f"Hidden classes, {name}: {rows}."


def _averages(material: Material) -> str:
    d = material.decimals
    frame = material.tables["hidden_classes"]
    own = frame[frame["quantity"] == "ate"].iloc[0]
    averages = material.tables["average_effects"]
    adjusted = averages[(averages["population"] == "PATE") & (averages["effect"] == "te")].iloc[0]
    return paragraph(
        "The average effect that allows for hidden classes is "
        f"<b>{number(own['likelihood_median'], d)}</b> "
        f"({span(own['likelihood_lower'], own['likelihood_upper'], d)}; "
        f"{text(unit_phrase(material.results))}). Adjusting for the covariates alone, as the other "
        f"sections do, it is {number(adjusted['median'], d)} "
        f"({span(adjusted['ci_lower'], adjusted['ci_upper'], d)}). Where the two differ, the class "
        "may confound the treatment, which the other sections rule out, or the graph declared here "
        f"may be wrong. In brackets: {interval_phrase(material.results)}; both averages are over "
        f"the population that the {text(people(material.results))} come from."
    )


def _profile(material: Material, fit: MixtureFit) -> str:
    frame = material.tables["hidden_profile"]
    labels = [class_label(u) for u in range(fit.identifiability.k)]
    columns = [Column("What", numeric=False), *(Column(label) for label in labels)]
    groups = []
    for group, part in frame.groupby("group", sort=False):
        rows = []
        for what, one in part.groupby("what", sort=False):
            cells = [
                f"{number(row['mean'], 2)} ({span(row['ci_lower'], row['ci_upper'], 2)})"
                for row in one.to_dict("records")
            ]
            rows.append([str(what), *cells])
        groups.append((title_case(str(group)), rows))
    caption = (
        f"Mean outcome by arm, and how often each level of the proxies occurs, by class. Posterior "
        f"mean and {interval_phrase(material.results)}, by likelihood."
    )
    return table(caption, columns, groups, source="hidden_profile")


def _membership(material: Material, fit: MixtureFit) -> str:
    results = material.results
    several, one = people(results), person(results)
    frame = material.tables["hidden_membership"]
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
        f"Memberships of {len(frame)} {several} in {len(labels)} hidden classes; "
        f"the most probable class has {percent(after)} on average."
    )
    svg = inline_svg(drawn, key="fig-hidden-membership", alt=alt)
    return sentence + grid([figure(svg, caption, source="hidden_membership")])


def _diagnostics(material: Material) -> str:
    frame = material.tables["hidden_diagnostics"]
    columns = [
        Column("Diagnostic", numeric=False),
        Column("Value"),
        Column("What it means", numeric=False),
    ]
    rows = [[str(a), plain(b), str(c)] for a, b, c in frame.itertuples(index=False)]
    made = table("How far the proxies carry.", columns, [(None, rows)], source="hidden_diagnostics")
    return details("How far the proxies carry", made, is_open=False)
