"""What was asked, the answer in three sentences, and whether to believe it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bayes_hte.checks.base import CheckResult
from bayes_hte.effects.summaries import probability_words
from bayes_hte.reporting.page.markup import definitions, named_check, paragraph, text, unordered
from bayes_hte.reporting.page.numbers import number, percent, span
from bayes_hte.reporting.page.section import Material, Section
from bayes_hte.reporting.page.words import (
    arm_names,
    chance,
    effect_name,
    important,
    interval_phrase,
    people,
    person,
    title_case,
    unit_phrase,
)
from bayes_hte.reporting.tables.effects import SURE
from bayes_hte.reporting.tables.subgroups import count
from bayes_hte.subgroups.honest.folds import UNSHRUNK

if TYPE_CHECKING:
    from bayes_hte.mixtures import MixtureFit

_MARK = {"green": "\N{CHECK MARK}", "amber": "!", "red": "\N{MULTIPLICATION SIGN}"}
_COLOUR = {"green": "Green", "amber": "Amber", "red": "Red"}


def question(material: Material) -> Section:
    """Build the section every reader reads."""
    body = (
        paragraph(text(material.results.spec.about.question), cls="question")
        + "<h3>The answer</h3>"
        + _answer(material)
        + "<h3>Can it be trusted?</h3>"
        + trust_box(material)
        + "<h3>The study</h3>"
        + _facts(material)
    )
    return Section("question", "What was asked, and the answer", body)


def trust_box(material: Material) -> str:
    """Return the verdict with the checks that decided it, in words and colour."""
    trust = material.results.trust
    reasons = unordered(_reason(reason, trust.checks) for reason in trust.reasons)
    if trust.cautions:
        reasons += paragraph("Failed without deciding this verdict:") + unordered(
            named_check(c.name, c.text) for c in trust.cautions
        )
    warning = ""
    if "tnie" in material.results.effects:
        warning = paragraph(
            "No check of the data can show that the mediator is free of confounding: direct and "
            'indirect effects rest on an assumption, stated under <a href="#trust">the checks</a>.'
        )
    return (
        f'<div class="trust {trust.level}"><p class="headline">'
        f'<span class="mark" aria-hidden="true">{_MARK[trust.level]}</span> '
        f"{_COLOUR[trust.level]}: {text(trust.verdict)}. {text(trust.headline)}</p>"
        f"{reasons}{warning}</div>"
    )


def _reason(reason: str, checks: Sequence[CheckResult]) -> str:
    """Return a reason with the name of its check, if it begins with one, as a run-in heading."""
    for check in checks:
        if reason == f"{check.name}: {check.text}":
            return named_check(check.name, check.text)
    return text(reason)


def _answer(material: Material) -> str:
    if not material.results.healthy:
        return paragraph(
            "This run gives no answer: its sampling failed the health checks. The sections below "
            "show what came out only to help find the fault."
        )
    unsafe = ""
    if material.results.trust.level == "red":
        unsafe = paragraph(
            "<strong>The checks say not to trust what follows</strong>; the reasons stand below."
        )
    sentences = [_overall(material)]
    if "tnie" in material.results.effects:
        sentences.append(_through_mediator(material))
    else:
        sentences.append(_person_by_person(material))
    if material.results.subgroups:
        sentences.append(_between_people(material))
    if material.results.mixture is not None:
        sentences.append(_hidden(material, material.results.mixture))
    return unsafe + '<ol class="answer">' + "".join(f"<li>{s}</li>" for s in sentences) + "</ol>"


def _row(material: Material, effect: str, group: str, population: str = "SATE") -> dict[str, Any]:
    table = material.tables["average_effects"]
    keep = (
        (table["effect"] == effect)
        & (table["group"] == group)
        & (table["population"] == population)
    )
    return table[keep].iloc[0].to_dict()


def _overall(material: Material) -> str:
    results = material.results
    reference, other = arm_names(results)
    row = _row(material, "te", "total")
    condition = ""
    if results.spec.propensity.assignment == "observational":
        condition = ", if the listed covariates account for all confounding"
    return (
        f"<strong>Overall.</strong> Compared with {text(reference)}, {text(other)} changes "
        f"{text(results.spec.roles.outcome)} by {_estimate(row, material)} on average over the "
        f"{text(people(results))} of the study{condition}; {text(chance(row, results))}."
    )


def _through_mediator(material: Material) -> str:
    results = material.results
    row = _row(material, "tnie", "first")
    mediator, outcome = text(results.spec.roles.mediator), text(results.spec.roles.outcome)
    return (
        f"<strong>Through {mediator}.</strong> If nothing unmeasured affects both {mediator} and "
        f"{outcome}, the part of this change that passes through {mediator}, the "
        f"{effect_name('tnie')}, is {_estimate(row, material)}; {text(chance(row, results))}."
    )


def _person_by_person(material: Material) -> str:
    table = material.tables["who_benefits"].set_index("statement")
    row, one = table.loc["benefit"].to_dict(), text(person(material.results))
    return (
        f"<strong>{title_case(one)} by {one}.</strong> The effect is beneficial for an estimated "
        f"<b>{percent(row['mean'])}</b> of the {text(people(material.results))} of the study "
        f"({interval_phrase(material.results)}: {percent(row['ci_lower'])} to "
        f"{percent(row['ci_upper'])}), and for {row['n_sure']} of {row['n_units']} of them the "
        f"posterior probability of benefit is at least {SURE:g}."
    )


def _between_people(material: Material) -> str:
    several = people(material.results)
    findings = []
    results = material.results
    for name, groups in results.subgroups.items():
        if name in results.honest:
            findings.append(_judged_on_others(material, name))
            continue
        margin = f"{groups.margin:.3g}"
        verdict = "subgroups are declared" if groups.declared else "no subgroups are declared"
        reason = (
            f"no division of the {several} by their covariates says enough about it"
            if count(groups) == 1
            else "the in-sample posterior probability that mean effects of subgroups differ by "
            f"more than {margin} is {probability_words(groups.probability)} "
            f"({groups.required_probability:g} is required)"
        )
        findings.append(f"{verdict} for the {effect_name(name)}, as {reason}")
    said = f"<strong>Between {text(several)}.</strong> {text(title_case('; '.join(findings)))}."
    if results.honest:
        return f'{said} <a href="#subgroups">Each half was judged by the other</a>.'
    return f'{said} This probability is <a href="#subgroups">not an error rate</a>.'


def _hidden(material: Material, fit: MixtureFit) -> str:
    """Say what average effect is left if hidden classes confound the treatment."""
    said = "<strong>Hidden classes.</strong> "
    more = 'See <a href="#hidden-classes">the section on them</a>.'
    if not fit.healthy:
        return f"{said}Their fit failed its checks and gives no answer. {more}"
    frame = material.tables["hidden_classes"]
    row = frame[frame["quantity"] == "ate"].iloc[0]
    d = material.decimals
    return (
        f"{said}If the declared classes, which no covariate shows, also decide who is treated, the "
        f"average effect is <b>{number(row['likelihood_median'], d)}</b> "
        f"{text(unit_phrase(material.results))} (posterior median; "
        f"{interval_phrase(material.results)}: "
        f"{span(row['likelihood_lower'], row['likelihood_upper'], d)}); likelihood and moments: "
        f"{text(fit.agreement.verdict)}. {more}"
    )


def _judged_on_others(material: Material, name: str) -> str:
    """Say whether effects that one half puts furthest apart are apart in the other, and how far."""
    found = material.results.honest[name]
    verdict = "subgroups are declared" if found.declared else "no subgroups are declared"
    reason = (
        f"the probability that the {people(material.results)} whom one half of the data puts "
        f"highest and lowest differ by more than {found.margin:.3g} in the other is "
        f"{probability_words(found.probability)} ({found.required_probability:g} is required)"
    )
    if not any(fold.divides for fold in found.folds):
        reason = "neither half of the data suggests whom to compare in the other"
    said = f"{verdict} for the {effect_name(name)}, as {reason}"
    if found.unshrunk is None:
        return said
    table, d = material.tables[f"subgroup_honest_{name}"], material.decimals
    row = table[table["fold"] == UNSHRUNK].iloc[0]
    return (
        f"{said}; the difference between these is {number(row['mean'], d)} "
        f"({interval_phrase(material.results)}: {span(row['ci_lower'], row['ci_upper'], d)})"
    )


def _estimate(row: dict[str, Any], material: Material) -> str:
    results, decimals = material.results, material.decimals
    return (
        f"<b>{number(row['mean'], decimals)}</b> {text(unit_phrase(results))} "
        f"({interval_phrase(results)}: {span(row['ci_lower'], row['ci_upper'], decimals)})"
    )


def _facts(material: Material) -> str:
    results = material.results
    spec, study = results.spec, results.study
    reference, other = arm_names(results)
    n_other, several = int(study.arm_index().sum()), people(results)
    outcome = f"{spec.roles.outcome}, in {unit_phrase(results)}; {spec.outcome.better} is better"
    assignment = {"randomised": "randomised", "observational": "not randomised (observational)"}
    pairs = [
        (title_case(people(results)), f"{study.n_units} in the analysis"),
        (
            "Treatment",
            text(f"{other} ({n_other} {several}), {assignment[spec.propensity.assignment]}"),
        ),
        ("Compared with", text(f"{reference} ({study.n_units - n_other} {several})")),
        ("Outcome", text(outcome)),
    ]
    if spec.roles.mediator is not None and spec.mediator is not None:
        unit = f", in {spec.mediator.unit}" if spec.mediator.unit else ""
        pairs.append(("Mediator", text(spec.roles.mediator + unit)))
    if important(results) > 0:
        pairs.append(
            (
                "Minimal important difference",
                text(f"{important(results):g}: {spec.outcome.because}"),
            )
        )
    pairs += [
        ("Covariates", text(", ".join(study.roles.covariates))),
        ("Estimands", text(_estimands(results))),
        ("Suitable for", text(spec.about.suitable_for)),
        ("Not suitable for", text(spec.about.not_suitable_for)),
    ]
    return definitions(pairs)


def _estimands(results: Any) -> str:
    scale = results.effects["te"].attrs.get("scale", "response")
    natural = ", natural direct and indirect effects" if "tnie" in results.effects else ""
    return (
        f"differences of expected outcomes on the {scale} scale: total effect{natural}, averaged "
        f"over the {people(results)} of the study unless another population is named"
    )
