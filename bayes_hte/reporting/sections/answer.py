"""The first screen: the conclusion, a picture, whether to use it, and who was studied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayes_hte.plots import plot_densities
from bayes_hte.plots.style import directions, wrap
from bayes_hte.reporting.page.markup import csv_link, paragraph, text
from bayes_hte.reporting.page.numbers import number, span
from bayes_hte.reporting.page.section import AVERAGES, Material, Section
from bayes_hte.reporting.page.svg import drawing
from bayes_hte.reporting.page.words import (
    arm_names,
    effect_axis,
    important,
    important_words,
    interval_kind,
    interval_phrase,
    mean_and_interval,
    people,
    title_case,
)
from bayes_hte.reporting.sections.conclusion import (
    average_sentence,
    conclusion,
    differences_sentence,
    interventional_sentence,
    mediated_sentence,
    needed_words,
    own_style,
    risk_sentences,
)
from bayes_hte.reporting.tables.mixtures import ANSWERS
from bayes_hte.reporting.tables.relative import ALL, NUMBER_NEEDED, RATIOS, RELATIVE
from bayes_hte.trust.rule import CAN_BE_USED, DIFFER, Trust

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bayes_hte.mixtures import MixtureFit

ANSWER = "What was asked, and the answer"
_MARK = {"green": "\N{CHECK MARK}", "amber": "!", "red": "\N{MULTIPLICATION SIGN}"}
_ASSIGNED = {"randomised": "by chance", "observational": "not by chance (observational)"}


def answer(material: Material) -> Section:
    """Build the section every reader reads."""
    results = material.results
    body = f'<div class="answer">{_answer(material)}</div>'
    if results.healthy:
        body += f'<div class="beside">{_picture(material)}{_arms(material)}</div>'
    body += trust_lines(results.trust, people(results)) + _studied(material)
    body += _question(material)
    return Section("question", ANSWER, body)


def trust_lines(trust: Trust, several: str) -> str:
    """Return the two lines of the verdict, in words, with a sign and a colour."""
    differ = text(DIFFER.format(people=several))
    why = '<a href="#trust">why</a>'
    mark = f'<span class="mark" aria-hidden="true">{_MARK[trust.level]}</span>'
    return (
        f'<div class="trust {trust.level}"><p class="headline">{mark} {CAN_BE_USED}: '
        f"<strong>{trust.usable}</strong> <small>({why})</small></p>"
        f'<p class="headline plain">{differ}: <strong>{trust.differences}</strong> '
        '<small>(<a href="#individuals">more</a>)</small></p></div>'
    )


def _answer(material: Material) -> str:
    results = material.results
    if not results.healthy:
        return paragraph(
            "This run gives no answer: its sampling failed the health checks. The sections below "
            "show its numbers only to help find the fault.",
            cls="conclusion",
        )
    said = conclusion(material.average("te"), results)
    if results.trust.level == "red":
        said = "These numbers must not be used: a check failed that everything rests on."
    sentences = [average_sentence(material)]
    if "tnie" in results.effects:
        sentences.append(mediated_sentence(material))
    elif results.spec.roles.post_treatment is not None and results.interventional is not None:
        sentences.append(interventional_sentence(material))
    sentences += [risk_sentences(material), differences_sentence(material)]
    if results.mixture is not None:
        sentences.append(_classes(material, results.mixture))
    rest = " ".join(sentence for sentence in sentences if sentence)
    return paragraph(said, cls="conclusion") + paragraph(rest)


def _classes(material: Material, fit: MixtureFit) -> str:
    """Say the average effect if classes confound the treatment."""
    if not fit.healthy:
        return 'The fit of the <a href="#mixture">classes</a> failed its checks.'
    frame, style = material.tables[ANSWERS], material.style
    row = frame[frame["quantity"] == "ate"].iloc[0]
    ends = span(row["likelihood_lower"], row["likelihood_upper"], style)
    return (
        'If <a href="#mixture">classes</a> confound the treatment: '
        f"{number(row['likelihood_median'], style)} ({ends}); likelihood and moments: "
        f"{text(fit.agreement.answer)}."
    )


def _picture(material: Material) -> str:
    """Return the density of the average effect with the lines of no effect and of what matters."""
    results, row = material.results, material.average("te")
    table = material.tables[AVERAGES]
    table = table[(table["effect"] == "te") & (table["population"] == "SATE")].set_index("effect")
    look = {"labels": {"te": ""}}
    drawn = plot_densities(results.averages[["te"]], table, **effect_axis(results), **look)
    _simplify(drawn, material)
    size = important(results)
    dotted = f" Dotted: the smallest benefit that matters, {important_words(results)}."
    caption = (
        f"How probable each size of the average effect is. Dashed: no effect."
        f"{dotted if size > 0 else ''} Bar: {interval_phrase(results)}."
    )
    said = mean_and_interval(row, own_style(row, material))
    alt = f"Posterior density of the average effect, {said} {material.scale.unit}. {caption}"
    return drawing(
        material.scale.on_axes(drawn, "x"), caption, key="answer", alt=alt, source=AVERAGES
    )


def _simplify(drawn: Figure, material: Material) -> None:
    """Leave one line of words under the axis: the caption and the table say the rest."""
    axes = drawn.axes[0]
    drawn.set_size_inches(4.6, 1.9)
    words = directions(material.results.spec.outcome.better)
    axes.set_xlabel(f"{wrap(material.scale.unit)}\n{words}", loc="center")


def _arms(material: Material) -> str:
    """Return the outcomes of the arms, their difference and their ratios."""
    if RELATIVE not in material.tables:
        return ""
    results, scale = material.results, material.scale
    frame = material.tables[RELATIVE]
    frame = frame[frame["view"] == ALL].set_index("quantity")
    reference, other = arm_names(results)
    style = scale.style([frame.loc["difference", "sd"]])
    percent = f" ({scale.level_unit})" if scale.kind == "risk" else ""
    shown = {"outcome_reference": title_case(reference), "outcome_other": title_case(other)}
    shown["difference"] = f"Difference, {scale.unit}"
    lines = []
    for key, label in shown.items():
        row = frame.loc[key]
        mean, ends = number(row["mean"], style), span(row["ci_lower"], row["ci_upper"], style)
        lines.append((label, mean, ends))
    for key in RATIOS[scale.kind]:
        row = frame.loc[key]
        if key != NUMBER_NEEDED:
            ends = span(row["ci_lower"], row["ci_upper"], 2)
            lines.append((title_case(key.replace("_", " ")), number(row["median"], 2), ends))
    body = "".join(
        f'<tr><th scope="row">{text(label)}</th><td class="num">{mean}</td>'
        f'<td class="num">{ends}</td></tr>'
        for label, mean, ends in lines
    )
    needed = ""
    if NUMBER_NEEDED in frame.index:
        needed = paragraph(f"Number needed to treat: {needed_words(frame.loc[NUMBER_NEEDED])}.")
    caption = f"Expected if all had been in one arm: {scale.level}{percent}"
    return (
        f'<div class="arms"><table><caption>{text(caption)} {csv_link(RELATIVE)}</caption>'
        f'<thead><tr><th scope="col">Arm</th><th scope="col" class="num">Mean</th>'
        f'<th scope="col" class="num">{text(interval_phrase(results))}</th></tr></thead>'
        f"<tbody>{body}</tbody></table>{needed}</div>"
    )


def _studied(material: Material) -> str:
    results = material.results
    study, several = results.study, text(people(results))
    reference, other = (text(name) for name in arm_names(results))
    n_other = int(study.arm_index().sum())
    assigned = _ASSIGNED[results.spec.propensity.assignment]
    return paragraph(
        f"<strong>Who was studied.</strong> {study.n_units} {several}: {n_other} {other}, "
        f"{study.n_units - n_other} {reference}; assigned {assigned}. "
        f'<a href="#participants">More on them</a>.',
        cls="studied",
    )


def _question(material: Material) -> str:
    results = material.results
    asked = paragraph(text(results.spec.about.question), cls="question")
    return f'<div class="asked">{asked}{paragraph(text(interval_kind(results)))}</div>'
