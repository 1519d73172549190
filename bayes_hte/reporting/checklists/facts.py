"""Sentences that several checklists take from a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bayes_hte.checks.base import CheckResult
from bayes_hte.effects.summaries import probability_words
from bayes_hte.reporting.page.numbers import number, span
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import interval_phrase, unit_phrase
from bayes_hte.reporting.results import Results
from bayes_hte.reporting.tables.keys import check_keys

AVERAGES = "average_effects"


def estimate(row: Mapping[str, Any], material: Material) -> str:
    """Return a mean with its unit and interval in words."""
    d = material.decimals
    return (
        f"{number(row['mean'], d)} {unit_phrase(material.results)} "
        f"({interval_phrase(material.results)}: {span(row['ci_lower'], row['ci_upper'], d)})"
    )


def average(material: Material, effect: str) -> dict[str, Any]:
    """Return the row of an effect averaged over the units of the study."""
    frame = material.tables[AVERAGES]
    return frame[(frame["effect"] == effect) & (frame["population"] == "SATE")].iloc[0].to_dict()


def benefit(row: Mapping[str, Any], material: Material) -> str:
    """Return the posterior probabilities of benefit of a row."""
    beyond = material.results.spec.outcome.minimal_important_difference
    words = f"probability of benefit {probability_words(row['prob_benefit'])}"
    if beyond > 0:
        words += f", of a benefit beyond {beyond:g} {probability_words(row['prob_important'])}"
    return words


def design(results: Results) -> str:
    """Say whether the treatment was randomised."""
    if results.spec.propensity.assignment == "randomised":
        return "The treatment was randomised."
    return "The treatment was not randomised."


def checks_named(results: Results, start: str) -> list[tuple[str, CheckResult]]:
    """Return the checks whose name starts with some words, each with the key of its table."""
    pairs = zip(check_keys(results), results.checks, strict=True)
    return [(key, check) for key, check in pairs if check.name.startswith(start)]


def said(checks: list[tuple[str, CheckResult]]) -> str:
    """Return the states and words of some checks."""
    return " ".join(f"{check.name} ({check.state}): {check.text}" for _, check in checks)


def files(checks: list[tuple[str, CheckResult]]) -> tuple[str, ...]:
    """Return the keys of the tables of some checks, those that have one."""
    return tuple(key for key, check in checks if not check.table.empty)


def versions(results: Results) -> str:
    """List the software with its versions."""
    packages = results.provenance.get("versions", {})
    return ", ".join(f"{name} {version}" for name, version in packages.items()) or "not recorded"


def only_there(keys: tuple[str, ...], material: Material) -> tuple[str, ...]:
    """Return the keys of tables that were made."""
    return tuple(key for key in keys if key in material.tables)
