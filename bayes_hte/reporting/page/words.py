"""Phrases about a study that several sections share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from bayes_hte.effects.summaries import interval_words
from bayes_hte.names import EFFECTS
from bayes_hte.reporting.page.numbers import Style, number, probability, span
from bayes_hte.reporting.page.scale import probability_words, scale_of
from bayes_hte.reporting.results import Results
from bayes_hte.study.spec import RoleSpec
from bayes_hte.study.time_to_event import ANY_EVENT, Estimand, default_horizon


def interval_phrase(results: Results) -> str:
    """Return the short name of the interval; its kind is said once, by the first section."""
    return f"{100 * results.spec.report.ci_prob:g}% interval"


def interval_kind(results: Results) -> str:
    """Say once which interval every number of the report has."""
    level = f"{100 * results.spec.report.ci_prob:g}%"
    return (
        f"Every interval of this report is a {interval_words(**results.interval)}: given the model "
        f"and the data, the number lies in it with probability {level}."
    )


def arm_names(results: Results) -> tuple[str, str]:
    """Return the names of the arms for a reader, reference first."""
    declared = results.spec.roles.arm_names
    # The names of more arms are in the study, which holds two of them.
    reference, other = declared if len(declared) == 2 else results.study.arms
    return str(reference), str(other)


def people(results: Results) -> str:
    """Return the word for several rows of the study, e.g. ``"people"`` or ``"person-years"``."""
    return results.spec.roles.units


def person(results: Results) -> str:
    """Return the word for one row of the study; put no article before it: it may be "eye".

    Where the study file changes the word for several rows alone, one of them is a "unit".
    """
    roles, plain = results.spec.roles, {f.name: f.default for f in fields(RoleSpec)}
    if roles.units != plain["units"] and roles.unit == plain["unit"]:
        return "unit"
    return roles.unit


def learner_name(name: str) -> str:
    """Return a learner as the literature calls it, e.g. ``"T-learner"`` or ``"hierarchical"``."""
    return f"{name.upper()}-learner" if len(name) == 1 else name.replace("_", " ")


def unit_phrase(results: Results) -> str:
    """Return the unit of an effect on the outcome, or words that stand in for it."""
    return scale_of(results.spec).unit


def estimand_words(results: Results) -> str:
    """Return the scale of effects on a time to an event in words; empty for other outcomes."""
    at, spec = horizon(results), results.spec
    if at is None:
        return ""
    if spec.estimand != "rmst":
        return probability_words(replace(spec, outcome=replace(spec.outcome, horizon=at)))
    return Estimand("rmst", at, ANY_EVENT if results.study.causes else "").words(spec.outcome.unit)


def horizon(results: Results) -> float | None:
    """Return the time up to which times to an event count; None for other outcomes."""
    study = results.study
    if study.event is None:
        return None
    declared = results.spec.outcome.horizon
    if declared is not None:
        return declared
    return default_horizon(study.outcome(), study.event, study.arm_index(), study.entry)


#: Observed curves that stand behind a scale of times to an event.
CURVE_WORDS = {
    "rmst": "areas under Kaplan-Meier curves",
    "survival": "Kaplan-Meier curves",
    "cumulative_incidence": "Aalen-Johansen curves",
}


def time_unit(results: Results) -> str:
    """Return the unit of times to an event, or words that stand in for it."""
    return results.spec.outcome.unit or "units of the outcome"


def time_axis(results: Results) -> str:
    """Return the label of an axis of times: the outcome with its unit, once if they are equal."""
    outcome, unit = results.spec.roles.outcome, time_unit(results)
    return unit if outcome == unit else f"{outcome}, {unit}"


def compared(results: Results) -> str:
    """Return what the effects are differences in: the outcome, or the scale of a time."""
    words, outcome = estimand_words(results), results.spec.roles.outcome
    return f"the {words}" if words else outcome


def with_scale(caption: str, results: Results) -> str:
    """Add the scale of effects on a time to an event, and its horizon, to a caption."""
    words = estimand_words(results)
    return f"{caption} Effects on the {words}." if words else caption


def effect_label(results: Results) -> str:
    """Return the label of an axis that carries an effect on the outcome."""
    if words := estimand_words(results):
        return f"effect on the {words}"
    return f"effect on {results.spec.roles.outcome}, {unit_phrase(results)}"


def effect_axis(results: Results) -> dict[str, Any]:
    """Return the arguments of a figure with an axis of effects on the outcome."""
    return {**results.direction, "xlabel": effect_label(results)}


def effect_name(effect: str) -> str:
    """Return an effect in words with its abbreviation, e.g. ``"total effect (TE)"``."""
    return f"{EFFECTS[effect][0]} ({effect.upper()})"


def title_case(phrase: str) -> str:
    """Raise the first letter and keep the others, among them abbreviations, as they are."""
    return phrase[:1].upper() + phrase[1:]


def good_direction(results: Results) -> str:
    """Return the direction of benefit, e.g. ``"lower depress2"``."""
    spec = results.spec
    of_times = results.study.event is not None and spec.estimand != "rmst"
    return f"{spec.outcome.better} {estimand_words(results) if of_times else spec.roles.outcome}"


def important(results: Results) -> float:
    """Return the minimal important difference, in outcome units."""
    return results.spec.outcome.minimal_important_difference


def important_words(results: Results) -> str:
    """Return the minimal important difference as readers see it."""
    return scale_of(results.spec).sized(important(results))


def mean_and_interval(row: Mapping[str, Any], decimals: int | Style) -> str:
    """Return a mean with its interval in brackets, for the alternative text of a figure."""
    bounds = span(row["ci_lower"], row["ci_upper"], decimals)
    return f"{number(row['mean'], decimals)} ({bounds})"


def risk_group(place: int, n: int) -> str:
    """Name a group of units by the place of its expected outcome, the lowest first."""
    ends = {0: " (lowest)", n - 1: " (highest)"}
    return f"{place + 1} of {n}{ends.get(place, '')}"


def shown_of(n_drawn: int, n: int, results: Results) -> str:
    """Say whether a figure draws every row of the study."""
    if n_drawn == n:
        return f"Every {person(results)} is drawn."
    return (
        f"{n_drawn} of {n} {people(results)} are drawn, evenly spaced in the order; the file has "
        "all."
    )


def chance(row: Mapping[str, Any], results: Results) -> str:
    """Say the probability of benefit, and of important benefit where it is declared."""
    words = f"probability of benefit {probability(row['prob_benefit'])}"
    if important(results) > 0:
        words += f", of one beyond {important_words(results)}: {probability(row['prob_important'])}"
    return words
