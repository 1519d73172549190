"""Who was studied: what was compared in whom, the flow of participants, and Table 1."""

from __future__ import annotations

import math

from bayes_hte.reporting.page.markup import (
    Column,
    Row,
    definitions,
    paragraph,
    table,
    text,
)
from bayes_hte.reporting.page.numbers import decimals_for, number
from bayes_hte.reporting.page.section import Material, Section
from bayes_hte.reporting.page.words import (
    arm_names,
    estimand_words,
    important,
    important_words,
    people,
    time_unit,
    title_case,
)
from bayes_hte.reporting.results import Results
from bayes_hte.reporting.sections.flow import flow
from bayes_hte.reporting.tables.participants import ARMS, PARTICIPANTS

STUDIED = "Who was studied"
_ASSIGNED = {"randomised": "randomised", "observational": "not randomised (observational)"}
_CHANGED = "Changed by the treatment, affects mediator and outcome"
_WIDE = (
    "no data decide which of so many covariates matter: the models shrink all of them strongly, so "
    "prognosis and differences of effects are found only where they are large, and the intervals "
    "of single effects rest mostly on the priors. Averages suffer least. Fewer covariates, chosen "
    "beforehand, say more"
)


def participants(material: Material) -> Section:
    """Build the section on the study and its participants."""
    body = (
        _facts(material)
        + "<h3>From recorded to analysed</h3>"
        + flow(material)
        + "<h3>Before the treatment, by arm</h3>"
        + _table(material)
    )
    return Section("participants", STUDIED, body)


def _outcome(material: Material) -> str:
    """Say which probability the outcome is, where effects on times are on one; else nothing."""
    results = material.results
    spec = results.spec
    if results.study.event is None or spec.estimand == "rmst":
        return ""
    return (
        f"{title_case(estimand_words(results))}; {spec.outcome.better} is better (from "
        f"{spec.roles.outcome}, in {time_unit(results)})"
    )


def _facts(material: Material) -> str:
    results = material.results
    spec, study = results.spec, results.study
    reference, other = arm_names(results)
    n_other, several = int(study.arm_index().sum()), people(results)
    unit = f", in {spec.outcome.unit}" if spec.outcome.unit else ""
    better = f"{spec.outcome.better} is better"
    scale = f"; effects on the {words}" if (words := estimand_words(results)) else ""
    pairs = [
        (title_case(several), f"{study.n_units} in the analysis"),
        ("Treatment", f"{other} ({n_other} {several}), {_ASSIGNED[spec.propensity.assignment]}"),
        ("Compared with", f"{reference} ({study.n_units - n_other} {several})"),
        ("Outcome", _outcome(material) or f"{spec.roles.outcome}{unit}; {better}{scale}"),
    ]
    if study.roles.weights is not None:
        said = f"{study.roles.weights}, in averages over the population (PATE) alone"
        pairs.append(("Weights", said))
    for name in spec.roles.mediators if spec.mediator is not None else ():
        unit = spec.mediator.of(name).unit
        part = _CHANGED if name == spec.roles.post_treatment else "Mediator"
        pairs.append((part, f"{name}, in {unit}" if unit else name))
    if important(results) > 0:
        declared = f"{important_words(results)}: {spec.outcome.because}"
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


def _estimands(results: Results) -> str:
    scale = results.effects["te"].attrs.get("scale", "response")
    natural = ", natural direct and indirect effects" if "tnie" in results.effects else ""
    if results.study.roles.post_treatment is not None:
        natural = ", interventional direct and indirect effects"
    return (
        f"differences of expected outcomes on the {scale} scale: total effect{natural}, averaged "
        f"over the {people(results)} of the study unless another population is named"
    )


def _table(material: Material) -> str:
    frame = material.tables[PARTICIPANTS]
    names = arm_names(material.results)
    sizes = [(material.results.study.arm_index() == place).sum() for place in (0, 1)]
    columns = [
        Column("Covariate", numeric=False),
        *(Column(f"{name} (n = {n})") for name, n in zip(names, sizes, strict=True)),
        Column("Standardised difference"),
    ]
    groups = []
    for name, part in frame.groupby("covariate", sort=False):
        records = part.to_dict("records")
        if len(records) == 1:
            level = f" = {records[0]['level']}" if records[0]["level"] else ""
            groups.append((None, [_line(records[0], f"{name}{level}")]))
        else:
            numbered = records[0]["kind"] == "number"
            lines = [
                _line(row, "mean (sd)" if numbered and row["kind"] == "number" else row["level"])
                for row in records
            ]
            groups.append((str(name), lines))
    chance = ""
    if material.results.spec.propensity.assignment == "randomised":
        chance = " The arms were drawn at random: differences are chance."
    gaps = "; missing values: of everybody" if (frame["kind"] == "missing").any() else ""
    note = paragraph(
        "Numbers: mean (standard deviation). Categories: count (percentage of those with a "
        f"value{gaps}). Standardised difference: second arm less first, in standard deviations."
        + chance
    )
    return table("Table 1. Covariates by arm.", columns, groups, source=PARTICIPANTS) + note


def _line(row: Row, label: str) -> list[str]:
    cells = [label]
    digits = decimals_for([row["sd_reference"], row["sd_other"]])
    for which in ARMS:
        if row["kind"] == "number":
            cells.append(
                f"{number(row[f'mean_{which}'], digits)} ({number(row[f'sd_{which}'], digits)})"
            )
        else:
            share = row[f"share_{which}"]
            words = f"{100 * share:.0f}%" if math.isfinite(share) else "not available"
            cells.append(f"{row[f'n_{which}']} ({words})")
    difference = row["standardised_difference"]
    cells.append(number(difference, 2) if math.isfinite(difference) else "")
    return cells
