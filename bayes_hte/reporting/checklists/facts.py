"""Facts of a run that the items of several checklists name."""

from __future__ import annotations

from typing import Any

from bayes_hte.checks.base import CheckResult
from bayes_hte.effects.summaries import interval_words
from bayes_hte.reporting.page.markup import Row
from bayes_hte.reporting.page.numbers import number
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import (
    arm_names,
    learner_name,
    people,
    unit_phrase,
)
from bayes_hte.reporting.results import Results
from bayes_hte.reporting.tables.keys import check_keys


def common(material: Material) -> dict[str, Any]:
    """Return the facts that every checklist may name, as plain text or numbers.

    Parameters
    ----------
    material : Material
        The run and the tables of its report.

    Returns
    -------
    dict of str to object
        By the name that templates use.
    """
    results = material.results
    spec, study = results.spec, results.study
    reference, other = arm_names(results)
    randomised = spec.propensity.assignment == "randomised"
    return {
        "average": estimate(material.average("te"), material),
        "covariates": ", ".join(study.roles.covariates),
        "design": f"The treatment was {'' if randomised else 'not '}randomised.",
        "fingerprint": study.fingerprint()[:12],
        "hash": spec.hash()[:12],
        "headline": results.trust.headline,
        "interval": interval_words(**results.interval),
        "learner": learner_name(spec.learner.name),
        "n_covariates": len(study.roles.covariates),
        "n_units": study.n_units,
        "other": other,
        "outcome": spec.roles.outcome,
        "outcome_family": spec.outcome.family,
        "people": people(results),
        "question": spec.about.question,
        "reference": reference,
        "source": spec.data.source,
        "title": spec.title,
        "treatment": spec.roles.treatment,
        "unit": unit_phrase(results),
        "verdict": results.trust.verdict,
        "versions": _versions(results),
    }


def estimate(row: Row, material: Material) -> str:
    """Return a mean with its unit and interval in words."""
    mean = number(row["mean"], material.style)
    return f"{mean} {unit_phrase(material.results)} ({material.bounds(row)})"


def checks_named(results: Results, start: str) -> list[tuple[str, CheckResult]]:
    """Return the checks whose name starts with some words, each with the key of its table."""
    pairs = zip(check_keys(results), results.checks, strict=True)
    return [(key, check) for key, check in pairs if check.name.startswith(start)]


def said(checks: list[tuple[str, CheckResult]]) -> str:
    """Return the states and words of some checks."""
    return " ".join(f"{check.name} ({check.state}): {check.text}" for _, check in checks)


def _versions(results: Results) -> str:
    """List the software with its versions."""
    packages = results.provenance.get("versions", {})
    return ", ".join(f"{name} {version}" for name, version in packages.items()) or "not recorded"
