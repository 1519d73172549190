"""The conclusion of a run in plain sentences: direction, size against what matters, by whom."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bayes_hte.effects.arguments import benefit_sign
from bayes_hte.names import EFFECTS
from bayes_hte.reporting.page.markup import Row, text
from bayes_hte.reporting.page.numbers import Style, number, probability, span
from bayes_hte.reporting.page.scale import scale_of
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import (
    arm_names,
    chance,
    compared,
    important,
    interval_phrase,
    people,
)
from bayes_hte.reporting.results import Results
from bayes_hte.reporting.tables.effects import GIVEN_CONFOUNDER
from bayes_hte.reporting.tables.relative import BY_RISK, RATIOS, RELATIVE
from bayes_hte.reporting.tables.risks import CONTRAST, RISK
from bayes_hte.reporting.tables.subgroups import declared

# From this probability up a thing is called so, first match; below the last it is unclear.
SURELY, VERY, PROBABLY = 0.99, 0.95, 0.80
_WORDS = ((SURELY, "almost surely"), (VERY, "very probably"), (PROBABLY, "probably"))
NO_INDIVIDUALS = "Effects of single {people} cannot be distinguished from noise."


def sureness(probability: float) -> str:
    """Say in words how sure a statement is; empty where it is less probable than 0.8."""
    return next((words for least, words in _WORDS if probability >= least), "")


def conclusion(row: Mapping[str, Any], results: Results) -> str:
    """Say the direction of the average effect, and whether its size matters.

    Parameters
    ----------
    row : mapping
        ``prob_benefit`` and ``prob_important`` of the average effect.
    results : Results
        For the names and the minimal important difference.

    Returns
    -------
    str
        One sentence or two, as safe HTML.
    """
    reference, other = (text(name) for name in arm_names(results))
    outcome, better = text(compared(results)), results.spec.outcome.better
    if scale_of(results.spec).kind == "risk" and not results.spec.roles.of_times:
        outcome = f"the probability of {outcome}"
    good, bad = ("lowers", "raises") if better == "lower" else ("raises", "lowers")
    benefit, matters = float(row["prob_benefit"]), float(row["prob_important"])
    declared_size = important(results) > 0
    start = f"Compared with {reference}, {other}"
    if sureness(benefit):
        said = f"{start} {sureness(benefit)} {good} {outcome}{_size(matters, declared_size)}"
    elif sureness(1 - benefit):
        said = f"{start} {sureness(1 - benefit)} {bad} {outcome}, which is a harm."
    else:
        said = f"{start} may lower or raise {outcome}: these data do not show which"
        said += f"{_too_small(matters, declared_size)}."
    return said


def _size(matters: float, declared_size: bool) -> str:
    """Say whether a benefit is as large as what matters."""
    if not declared_size:
        return ", which is a benefit."
    if sureness(matters):
        return f", {sureness(matters)} by an amount that matters."
    if sureness(1 - matters):
        return f" a little; {sureness(1 - matters)} not by an amount that matters."
    return "; whether by an amount that matters is open."


def _too_small(matters: float, declared_size: bool) -> str:
    if declared_size and sureness(1 - matters):
        return f"; a benefit that matters is {sureness(1 - matters)} absent"
    return ""


def own_style(row: Row, material: Material) -> Style:
    """Return the style of one number: two significant digits of its own spread."""
    return material.scale.style([row["sd"]])


def estimate(row: Row, material: Material, *, unit: bool = True) -> str:
    """Return a mean with its interval, and with its unit if asked, as safe HTML."""
    style = own_style(row, material)
    said = f" {text(material.scale.unit)}" if unit else ""
    ends = span(row["ci_lower"], row["ci_upper"], style)
    return f"<b>{number(row['mean'], style)}</b>{said} ({interval_phrase(material.results)} {ends})"


def average_sentence(material: Material) -> str:
    """Say the average effect in numbers."""
    results, row = material.results, material.average("te")
    condition = ""
    if results.spec.propensity.assignment == "observational":
        condition = ", if the listed covariates account for all confounding"
    return f"On average {estimate(row, material)}{condition}; {chance(row, results)}."


def mediated_sentence(material: Material) -> str:
    """Say the part of the effect that passes through the mediator."""
    row, roles = material.average("tnie"), material.results.spec.roles
    several = len(roles.mediators) > 1
    way = f"{text(roles.mediator_words)} together" if several else text(roles.mediator_words)
    both = "outcome and either mediator" if several else "both mediator and outcome"
    return (
        f"Through {way}: {estimate(row, material, unit=False)}, if nothing unmeasured affects "
        f"{both}."
    )


def interventional_sentence(material: Material) -> str:
    """Say what passes through a mediator with a confounder that the treatment changes."""
    row, roles = material.average(GIVEN_CONFOUNDER["indirect"]), material.results.spec.roles
    return (
        f"Through {text(roles.mediator_words)} (interventional effect): "
        f"{estimate(row, material, unit=False)}, if, given {text(str(roles.post_treatment))}, "
        "nothing unmeasured affects both mediator and outcome."
    )


def risk_sentences(material: Material) -> str:
    """Say the absolute effect by the expected outcome, and the relative one; empty without it."""
    if RISK not in material.tables:
        return ""
    rows = material.tables[RISK].query("effect == 'te'").to_dict("records")
    change = material.tables[CONTRAST].set_index("effect").loc["te"].to_dict()
    ends, sign = (rows[0], rows[-1]), benefit_sign(material.results.spec.outcome.better)
    style = material.scale.style(row["sd"] for row in ends)
    first, last = (number(sign * row["mean"], style) for row in ends)
    larger = change["prob_positive"] if sign > 0 else 1 - change["prob_positive"]
    reference, _ = arm_names(material.results)
    said = (
        f"By the outcome expected under {text(reference)}, the benefit is {first} in the lowest "
        f"of {len(rows)} groups and {last} in the highest (larger with probability "
        f"{text(probability(larger))})"
    )
    ratios = _ratios(material)
    if not ratios:
        return f"{said}."
    at = "risks" if material.scale.kind == "risk" else "rates"
    return f"{said}; {ratios}. Equal ratios are larger absolute changes at higher {at}."


def _ratios(material: Material) -> str:
    """Say the relative effect in the lowest and in the highest group."""
    names = RATIOS[material.scale.kind]
    if not names or RELATIVE not in material.tables:
        return ""
    frame = material.tables[RELATIVE]
    rows = frame[(frame["view"] == BY_RISK) & (frame["quantity"] == names[0])]
    if len(rows) < 2:
        return ""
    first, last = rows["median"].iloc[0], rows["median"].iloc[-1]
    return f"{names[0].replace('_', ' ')}s {number(first, 2)} and {number(last, 2)}"


def differences_sentence(material: Material) -> str:
    """Say whether single units and subgroups may be spoken of."""
    results = material.results
    found = [name for name in results.subgroups if declared(results, name)]
    groups = ""
    if found:
        names = " and ".join(EFFECTS[name][0] for name in found)
        groups = f' <a href="#subgroups">Subgroups</a> are declared for the {text(names)}.'
    elif results.subgroups:
        groups = " No subgroups are declared."
    if not results.trust.carries_individuals:
        return NO_INDIVIDUALS.format(people=text(people(results))) + groups
    table = material.tables["who_benefits"].set_index(["effect", "statement"])
    row = table.loc[("te", "benefit")]
    share = f"{100 * row['mean']:.0f}%"
    return f"An estimated {share} of the {text(people(results))} benefit.{groups}"


def needed_words(row: Mapping[str, Any], *, whole: bool = True) -> str:
    """Say a number needed to treat with its interval.

    Parameters
    ----------
    row : mapping
        ``median``, ``ci_lower`` and ``ci_upper`` of the number, below 0 where one is harmed.
    whole : bool, default True
        Whether to round away from 0 to a whole number.

    Returns
    -------
    str
        Such as ``"13 (9 to 40)"``, or ``"20 (11 to benefit one, through infinity, to 90 to harm
        one)"``.
    """

    def shown(value: float) -> str:
        if not math.isfinite(value):
            return "infinitely many"
        return f"{math.ceil(abs(value) - 1e-9)}" if whole else f"{abs(value):.1f}"

    median, lower, upper = row["median"], row["ci_lower"], row["ci_upper"]
    if lower < 0 < upper:
        return (
            f"{shown(median)} to {'harm' if median < 0 else 'benefit'} one ({shown(upper)} to "
            f"benefit one, through infinity, to {shown(lower)} to harm one)"
        )
    ends = sorted((abs(lower), abs(upper)))
    to = "to harm one" if median < 0 else "to benefit one"
    return f"{shown(median)} {to} ({shown(ends[0])} to {shown(ends[1])})"
