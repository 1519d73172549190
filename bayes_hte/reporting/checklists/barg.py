"""BARG: what a report of a Bayesian analysis should contain.

References
----------
Kruschke, J. K. (2021). Bayesian Analysis Reporting Guidelines. Nature Human Behaviour 5, 1282-1291.
doi:10.1038/s41562-021-01177-7
"""

from __future__ import annotations

from bayes_hte.checks import loo_pit, prior_sensitivity, prior_view
from bayes_hte.checks.sampling_health import NAME as HEALTH
from bayes_hte.reporting.checklists.facts import (
    AVERAGES,
    average,
    checks_named,
    estimate,
    files,
    only_there,
    said,
    versions,
)
from bayes_hte.reporting.checklists.item import AUTHOR, FILLED, NOT_APPLICABLE, Checklist, Item
from bayes_hte.reporting.page.numbers import number
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import important, interval_phrase, learner_name, people

_NO_FACTORS = "No Bayes factors or probabilities of models are used."


def barg(material: Material) -> Checklist:
    """Fill BARG.

    Parameters
    ----------
    material : Material
        The run and the tables of its report.

    Returns
    -------
    Checklist
    """
    purpose = "For reports of Bayesian analyses: model, computation, posterior, decisions, priors."
    items = (
        *_goal(material),
        *_model(material),
        *_computation(material),
        *_posterior(material),
        *_decisions(material),
        *_sensitivity(material),
        *_repeat(material),
    )
    return Checklist("barg", purpose, items)


def _goal(material: Material) -> tuple[Item, ...]:
    return (
        Item(
            "Why a Bayesian analysis, for readers who expect another.",
            "It gives the probability of benefit, and carries the uncertainty of single effects "
            "into everything computed from them.",
            AUTHOR,
        ),
        Item("What is to be found out.", material.results.spec.about.question, FILLED, "question"),
    )


def _model(material: Material) -> tuple[Item, ...]:
    results = material.results
    spec, priors = results.spec, material.tables["priors"]
    stacked = ""
    if spec.outcome.candidates:
        stacked = f", stacked with {', '.join(spec.outcome.candidates)}"
    families = [f"outcome {spec.outcome.family}", "propensity bernoulli"]
    if spec.mediator is not None:
        families.insert(1, f"mediator {spec.mediator.family}")
    return (
        Item(
            "The data: what is predicted, and from what.",
            f"{spec.roles.outcome} of {results.study.n_units} {people(results)}, from "
            f"{', '.join(results.study.roles.columns)}.",
            FILLED,
            "question",
        ),
        Item(
            "Likelihood and parameters.",
            f"Families: {'; '.join(families)}. Learner: {learner_name(spec.learner.name)}; surface "
            f"of the outcome: {spec.outcome.surface}{stacked}.",
            FILLED,
            "methods",
        ),
        Item(
            "Priors, and why they were chosen.",
            f"{len(priors)} kinds of terms, each with its scale and reason; "
            f"{int(priors['declared'].sum())} set by the study file, the others by the package.",
            FILLED,
            "methods",
            ("priors",),
        ),
        Item(
            "The model in a form that can be run.",
            f"The study file ({spec.name}) with the software of the record; printed in the "
            "methods.",
            FILLED,
            "methods",
            ("provenance",),
        ),
        _from_checks(
            material,
            "What the priors say before the data do (prior predictive check).",
            prior_view.NAME,
        ),
    )


def _from_checks(material: Material, asked: str, *starts: str) -> Item:
    """Answer an item with what checks say; leave it to the author where they were not made."""
    found = [pair for start in starts for pair in checks_named(material.results, start)]
    if not found:
        return Item(asked, "Not checked in this run.", AUTHOR)
    return Item(asked, said(found), FILLED, "trust", files(found))


def _computation(material: Material) -> tuple[Item, ...]:
    results = material.results
    sampler = results.spec.sampler
    frame = material.tables[AVERAGES]
    d = material.decimals
    return (
        Item(
            "Software and algorithm.",
            f"{sampler.chains} chains of {sampler.draws} draws after {sampler.tune} tuning draws. "
            f"{versions(results)}.",
            FILLED,
            "methods",
            ("provenance",),
        ),
        _from_checks(
            material, "Whether the chains converged, and how many draws they are worth.", HEALTH
        ),
        Item(
            "Precision of what is reported.",
            "Largest Monte Carlo error of an average effect: "
            f"{number(float(frame['mcse'].max()), d + 1)}, beside a smallest posterior standard "
            f"deviation of {number(float(frame['sd'].min()), d)}.",
            FILLED,
            "averages",
            (AVERAGES,),
        ),
        Item(
            "Accuracy of approximations, if draws are not from the posterior itself.",
            "Effects come from draws by Markov chain Monte Carlo.",
            NOT_APPLICABLE,
        ),
    )


def _posterior(material: Material) -> tuple[Item, ...]:
    results = material.results
    return (
        _from_checks(
            material,
            "Whether the fitted model reproduces the data (posterior predictive check).",
            "posterior predictive",
            loo_pit.NAME,
        ),
        Item(
            "Centre and interval of every reported quantity, the interval with its kind.",
            f"Posterior means, the {interval_phrase(results)}, and probabilities. Average effect: "
            f"{estimate(average(material, 'te'), material)}.",
            FILLED,
            "averages",
            (AVERAGES,),
        ),
        Item("Bayes factors or probabilities of models.", _NO_FACTORS, NOT_APPLICABLE),
    )


def _decisions(material: Material) -> tuple[Item, ...]:
    results = material.results
    rules = ["The verdict on trust follows a fixed rule over the checks."]
    for name, groups in results.subgroups.items():
        rule = (results.honest if name in results.honest else results.subgroups)[name]
        rules.append(
            f"Subgroups of the {name.upper()} are declared if they differ by more than "
            f"{groups.margin:.3g} with probability {rule.required_probability:g}."
        )
    reason = (
        f"The minimal important difference is {important(results):g} "
        f"({results.spec.outcome.because})."
        if important(results) > 0
        else "No minimal important difference is declared."
    )
    if results.subgroups and results.spec.subgroups.because:
        reason += f" Settings of the subgroups: {results.spec.subgroups.because}."
    keys = tuple(f"subgroup_decision_{name}" for name in results.subgroups)
    return (
        Item(
            "What is decided, and by which rule.",
            " ".join(rules),
            FILLED,
            "trust",
            only_there(("checks", *keys), material),
        ),
        Item("Why these limits.", reason, FILLED, "question"),
        Item(
            "Estimates beside every decision.",
            "Every decision stands beside the numbers it was taken on.",
            FILLED,
            "trust",
            only_there(("checks",), material),
        ),
        Item("Limits of Bayes factors.", _NO_FACTORS, NOT_APPLICABLE),
    )


def _sensitivity(material: Material) -> tuple[Item, ...]:
    return (
        _from_checks(
            material,
            "How far the posterior depends on the priors.",
            prior_sensitivity.NAME,
        ),
        Item(
            "Results under other priors that a reader might hold, and whether decisions change.",
            "The study was not fitted with other priors.",
            AUTHOR,
        ),
        Item("How far Bayes factors depend on the priors.", _NO_FACTORS, NOT_APPLICABLE),
    )


def _repeat(material: Material) -> tuple[Item, ...]:
    results = material.results
    command = results.provenance.get("command", "not recorded")
    return (
        Item(
            "Software with versions, and how to install it.",
            f"{versions(results)}.",
            FILLED,
            "methods",
            ("provenance",),
        ),
        Item(
            "Where the data can be had.",
            f"Source {results.spec.data.source}; fingerprint {results.study.fingerprint()[:12]}.",
            AUTHOR,
            "methods",
            ("provenance",),
        ),
        Item(
            "Code and seed, so that others get the same numbers.",
            f"Command: {command}; seed {results.spec.sampler.seed}; study file with SHA-256 "
            f"{results.spec.hash()[:12]}.",
            FILLED,
            "methods",
            ("provenance",),
        ),
        Item(
            "The draws themselves.",
            "A run keeps the draws of every model in the folder posterior beside this page; "
            "whether they can be shared is to be said.",
            AUTHOR,
        ),
    )
