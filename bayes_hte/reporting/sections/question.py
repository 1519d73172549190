"""The question, the answer in three sentences, and whether to believe it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bayes_hte.checks.base import CheckResult
from bayes_hte.effects.summaries import probability_words
from bayes_hte.reporting.page.markup import (
    Row,
    definitions,
    named_check,
    paragraph,
    text,
    unordered,
)
from bayes_hte.reporting.page.numbers import number, percent, percent_span, span
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
from bayes_hte.reporting.results import Results
from bayes_hte.reporting.sections.flow import flow
from bayes_hte.reporting.tables.effects import SURE
from bayes_hte.reporting.tables.mixtures import ANSWERS
from bayes_hte.reporting.tables.subgroups import count
from bayes_hte.subgroups.honest.folds import UNSHRUNK

if TYPE_CHECKING:
    from bayes_hte.mixtures import MixtureFit

_MARK = {"green": "\N{CHECK MARK}", "amber": "!", "red": "\N{MULTIPLICATION SIGN}"}
_ASSIGNED = {"randomised": "randomised", "observational": "not randomised (observational)"}


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
        + "<h3>From recorded to analysed</h3>"
        + flow(material)
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
        f"{title_case(trust.level)}: {text(trust.verdict)}. {text(trust.headline)}</p>"
        f"{reasons}{warning}</div>"
    )


def _reason(reason: str, checks: Sequence[CheckResult]) -> str:
    """Return a reason with the name of its check, if it begins with one, as a run-in heading."""
    for check in checks:
        if reason == f"{check.name}: {check.text}":
            return named_check(check.name, check.text)
    return text(reason)


def _answer(material: Material) -> str:
    results = material.results
    if not results.healthy:
        return paragraph(
            "This run gives no answer: its sampling failed the health checks. The sections below "
            "show its numbers only to help find the fault."
        )
    unsafe = ""
    if results.trust.level == "red":
        unsafe = paragraph(
            "<strong>The checks say not to trust what follows</strong>; the reasons are below."
        )
    sentences = [
        _overall(material),
        _through_mediator(material) if "tnie" in results.effects else _person_by_person(material),
    ]
    if results.subgroups:
        sentences.append(_between_people(material))
    if results.mixture is not None:
        sentences.append(_classes(material, results.mixture))
    return unsafe + '<ol class="answer">' + "".join(f"<li>{s}</li>" for s in sentences) + "</ol>"


def _overall(material: Material) -> str:
    results = material.results
    reference, other = arm_names(results)
    row = material.average("te")
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
    row = material.average("tnie")
    mediator, outcome = text(results.spec.roles.mediator_words), text(results.spec.roles.outcome)
    several = len(results.spec.roles.mediators) > 1
    name = f"joint {effect_name('tnie')} of both" if several else effect_name("tnie")
    both = f"{outcome} and either of its mediators" if several else f"both {mediator} and {outcome}"
    return (
        f"<strong>Through {mediator}.</strong> If nothing unmeasured affects {both}, "
        f"the part of this change that passes through {mediator}, the "
        f"{name}, is {_estimate(row, material)}; {text(chance(row, results))}."
    )


def _person_by_person(material: Material) -> str:
    table = material.tables["who_benefits"].set_index("statement")
    row, one = table.loc["benefit"].to_dict(), text(person(material.results))
    return (
        f"<strong>{title_case(one)} by {one}.</strong> The effect is beneficial for an estimated "
        f"<b>{percent(row['mean'])}</b> of the {text(people(material.results))} of the study "
        f"({interval_phrase(material.results)}: "
        f"{percent_span(row['ci_lower'], row['ci_upper'])}), and for {row['n_sure']} of "
        f"{row['n_units']} of them the posterior probability of benefit is at least {SURE:g}."
    )


def _between_people(material: Material) -> str:
    results, several = material.results, people(material.results)
    findings = []
    for name, groups in results.subgroups.items():
        if name in results.honest:
            findings.append(_judged_on_others(material, name))
            continue
        reason = (
            f"no division of the {several} by their covariates says enough about it"
            if count(groups) == 1
            else "the in-sample posterior probability that mean effects of subgroups differ by "
            f"more than {groups.margin:.3g} is {probability_words(groups.probability)} "
            f"({groups.required_probability:g} is required)"
        )
        findings.append(f"{_declared(groups.declared, name)}, as {reason}")
    said = f"<strong>Between {text(several)}.</strong> {text(title_case('; '.join(findings)))}."
    if results.honest:
        return f'{said} <a href="#subgroups">Each half was judged by the other</a>.'
    return f'{said} This probability is <a href="#subgroups">not an error rate</a>.'


def _declared(declared: bool, name: str) -> str:
    return f"{'subgroups' if declared else 'no subgroups'} are declared for the {effect_name(name)}"


def _judged_on_others(material: Material, name: str) -> str:
    """Say whether the outer groups of one half differ in the other, and by how much."""
    found = material.results.honest[name]
    reason = (
        f"the {people(material.results)} with the highest and the lowest effects in one half of "
        f"the data differ by more than {found.margin:.3g} in the other half with probability "
        f"{probability_words(found.probability)} ({found.required_probability:g} is required)"
    )
    if not any(fold.divides for fold in found.folds):
        reason = "neither half of the data suggests groups to compare in the other"
    said = f"{_declared(found.declared, name)}, as {reason}"
    if found.unshrunk is None:
        return said
    table, d = material.tables[f"subgroup_honest_{name}"], material.decimals
    row = table[table["fold"] == UNSHRUNK].iloc[0]
    return (
        f"{said}; the difference between these is {number(row['mean'], d)} ({material.bounds(row)})"
    )


def _classes(material: Material, fit: MixtureFit) -> str:
    """Say the average effect if classes confound the treatment."""
    said = "<strong>Classes that nobody measured.</strong> "
    more = 'See <a href="#mixture">the section on them</a>.'
    if not fit.healthy:
        return f"{said}Their fit failed its checks and gives no answer. {more}"
    frame = material.tables[ANSWERS]
    row = frame[frame["quantity"] == "ate"].iloc[0]
    d = material.decimals
    return (
        f"{said}If the declared classes, which no covariate shows, also decide who is treated, the "
        f"average effect is <b>{number(row['likelihood_median'], d)}</b> "
        f"{text(unit_phrase(material.results))} (posterior median; "
        f"{interval_phrase(material.results)}: "
        f"{span(row['likelihood_lower'], row['likelihood_upper'], d)}); likelihood and moments: "
        f"{text(fit.agreement.answer)}. {more}"
    )


def _estimate(row: Row, material: Material) -> str:
    mean = number(row["mean"], material.decimals)
    return f"<b>{mean}</b> {text(unit_phrase(material.results))} ({material.bounds(row)})"


def _facts(material: Material) -> str:
    results = material.results
    spec, study = results.spec, results.study
    reference, other = arm_names(results)
    n_other, several = int(study.arm_index().sum()), people(results)
    pairs = [
        (title_case(several), f"{study.n_units} in the analysis"),
        ("Treatment", f"{other} ({n_other} {several}), {_ASSIGNED[spec.propensity.assignment]}"),
        ("Compared with", f"{reference} ({study.n_units - n_other} {several})"),
        (
            "Outcome",
            f"{spec.roles.outcome}, in {unit_phrase(results)}; {spec.outcome.better} is better",
        ),
    ]
    if study.roles.weights is not None:
        said = f"{study.roles.weights}, in averages over the population (PATE) alone"
        pairs.append(("Weights", said))
    for name in spec.roles.mediators if spec.mediator is not None else ():
        unit = spec.mediator.of(name).unit
        pairs.append(("Mediator", f"{name}, in {unit}" if unit else name))
    if important(results) > 0:
        declared = f"{important(results):g}: {spec.outcome.because}"
        pairs.append(("Minimal important difference", declared))
    pairs.append(("Covariates", ", ".join(study.roles.covariates)))
    if len(study.roles.covariates) > study.n_units:
        pairs.append(("More covariates than " + several, _WIDE))
    pairs += [
        ("Estimands", _estimands(results)),
        ("Suitable for", spec.about.suitable_for),
        ("Not suitable for", spec.about.not_suitable_for),
    ]
    return definitions((term, text(said)) for term, said in pairs)


_WIDE = (
    "no data decide which of so many covariates matter: the models shrink all of them strongly, so "
    "prognosis and differences of effects are found only where they are large, and the intervals "
    "of single effects rest mostly on the priors. Averages suffer least. Fewer covariates, chosen "
    "beforehand, say more"
)


def _estimands(results: Results) -> str:
    scale = results.effects["te"].attrs.get("scale", "response")
    natural = ", natural direct and indirect effects" if "tnie" in results.effects else ""
    return (
        f"differences of expected outcomes on the {scale} scale: total effect{natural}, averaged "
        f"over the {people(results)} of the study unless another population is named"
    )
