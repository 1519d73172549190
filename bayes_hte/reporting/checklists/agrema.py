"""AGReMA: what a report of a mediation analysis should contain.

References
----------
Lee, H., Cashin, A. G., Lamb, S. E., et al. (2021). A Guideline for Reporting Mediation Analyses of
Randomized Trials and Observational Studies: The AGReMA Statement. JAMA 326, 1045-1056.
doi:10.1001/jama.2021.14075
"""

from __future__ import annotations

from bayes_hte.reporting.checklists.facts import (
    AVERAGES,
    average,
    design,
    estimate,
    only_there,
    versions,
)
from bayes_hte.reporting.checklists.item import AUTHOR, FILLED, Checklist, Item
from bayes_hte.reporting.page.numbers import number, plain, span
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import arm_names, interval_phrase, people, unit_phrase

_NOTHING = "The run knows nothing of it."
_SENSITIVITY = ("rho", "rho_zero", "e_values", "tipping", "tipping_points")


def agrema(material: Material) -> Checklist:
    """Fill AGReMA.

    Parameters
    ----------
    material : Material
        The run of a study with a mediator, and the tables of its report.

    Returns
    -------
    Checklist
    """
    purpose = (
        "For reports of how much of an effect passes through a mediator. Most of it is about the "
        "study, its assumptions and its meaning, which no run can know."
    )
    items = (
        *_front(material),
        *_study(material),
        *_analysis(material),
        *_findings(material),
        *_meaning(material),
    )
    return Checklist("agrema", purpose, items)


def _front(material: Material) -> tuple[Item, ...]:
    spec = material.results.spec
    return (
        Item("The title says that mediation is studied.", f"Study file: {spec.title}", AUTHOR),
        Item(
            "The abstract gives aims, methods, results and conclusion of the mediation analysis.",
            "The answer of this report gives the average results.",
            AUTHOR,
            "question",
        ),
        Item(
            f"Why the treatment should change {spec.roles.mediator}, and {spec.roles.mediator} "
            f"change {spec.roles.outcome}.",
            _NOTHING,
            AUTHOR,
        ),
        Item(
            "The aim, and whether effects are estimated or hypotheses tested.",
            f"Question: {spec.about.question} Effects are estimated; no hypothesis is tested.",
            FILLED,
            "question",
        ),
    )


def _study(material: Material) -> tuple[Item, ...]:
    results = material.results
    spec, study = results.spec, results.study
    reference, other = arm_names(results)
    n_other = int(study.arm_index().sum())
    counts = f"{other} {n_other}, {reference} {study.n_units - n_other}"
    roles, mediator = spec.roles, spec.mediator
    assert mediator is not None
    named = mediator.unit or "unit not given"
    return (
        Item(
            "Registration or protocol, and departures from it.",
            f"The study file fixes the analysis; its SHA-256 begins with {spec.hash()[:12]}.",
            AUTHOR,
            "methods",
            ("provenance",),
        ),
        Item(
            "Design of the study and source of the data.",
            f"{design(results)} Source: {spec.data.source}.",
            FILLED,
            "question",
        ),
        Item(
            "Who could take part, and how they were recruited and followed.",
            f"{study.n_units} {people(results)} were analysed.",
            AUTHOR,
            "question",
        ),
        Item(
            "How the size of the study was chosen, for the mediation analysis in particular.",
            _NOTHING,
            AUTHOR,
        ),
        Item(
            "How and when treatment, mediator, outcome and covariates were measured, and whether "
            "those who measured knew the arm.",
            f"Treatment {roles.treatment}; mediator {roles.mediator} ({named}); outcome "
            f"{roles.outcome} ({unit_phrase(results)}); covariates, taken as measured before "
            f"treatment: {', '.join(study.roles.covariates)}.",
            AUTHOR,
            "question",
        ),
        Item(
            "On which scales they were analysed.",
            f"Treatment in two arms; mediator {mediator.family}, outcome "
            f"{spec.outcome.family} (families of the models).",
            FILLED,
            "methods",
        ),
        Item("Ethical approval.", _NOTHING, AUTHOR),
        Item(
            "How many were analysed in each arm, their state at baseline, and who was lost.",
            f"Analysed: {counts}. Rows with missing values cannot enter an analysis; the run knows "
            "nothing of those left out before.",
            AUTHOR,
            "trust",
            ("balance",),
        ),
    )


def _analysis(material: Material) -> tuple[Item, ...]:
    results = material.results
    roles = results.spec.roles
    confounders = ", ".join(results.study.roles.covariates)
    arrows = (
        f"{roles.treatment} to {roles.mediator}, {roles.mediator} to {roles.outcome}, "
        f"{roles.treatment} to {roles.outcome}, and {confounders} to all of them"
    )
    if results.spec.propensity.assignment == "randomised":
        arrows += f" but the randomised {roles.treatment}"
    controlled = ""
    if results.controlled is not None:
        values = ", ".join(f"{v:g}" for v in results.controlled["mediator_value"].to_numpy())
        controlled = f" Controlled direct effects with {roles.mediator} at {values}."
    sensitivity = only_there(_SENSITIVITY, material)
    return (
        Item(
            "The effects of interest.",
            "Total, total and pure natural indirect, pure and total natural direct effects, as "
            f"differences of expected {roles.outcome}, over the {people(results)} of the study."
            f"{controlled}",
            FILLED,
            "averages",
            (AVERAGES,),
        ),
        Item(
            "The assumed causal model, drawn.",
            f"Arrows of the analysis: {arrows}. The drawing is not made.",
            AUTHOR,
        ),
        Item(
            "The assumptions under which the effects are causal.",
            "No unmeasured common cause of treatment and outcome, treatment and mediator, or "
            "mediator and outcome, and no common cause of the latter two that the treatment "
            "changes. " + design(results),
            FILLED,
            "trust",
        ),
        Item(
            "Statistical methods, with software.",
            f"Written in full in the methods paragraphs. Software: {versions(results)}.",
            FILLED,
            "methods",
            ("priors",),
        ),
        Item(
            "Planned sensitivity analyses of the assumptions.",
            _planned(material),
            FILLED if sensitivity else AUTHOR,
            "trust",
            sensitivity,
        ),
    )


def _planned(material: Material) -> str:
    parts = {
        "rho": "correlated errors of mediator and outcome",
        "e_values": "E-values of the total effect",
        "tipping": "strength of a confounder of treatment and outcome",
    }
    done = [words for key, words in parts.items() if key in material.tables]
    return f"Done: {'; '.join(done)}." if done else "None is worked out for these models."


def _findings(material: Material) -> tuple[Item, ...]:
    results = material.results
    arm, mediator = results.study.arm_index(), results.study.mediator()
    reference, other = arm_names(results)
    means = [
        f"{plain(float(mediator[arm == a].mean()))} in {n}" for a, n in ((1, other), (0, reference))
    ]
    effects = "; ".join(
        f"{name.upper()} {estimate(average(material, name), material)}"
        for name in ("te", "tnie", "pnde")
    )
    sensitivity = only_there(_SENSITIVITY, material)
    return (
        Item(
            "Effect of the treatment on the mediator.",
            f"Observed means of {results.spec.roles.mediator}, not adjusted: "
            f"{' and '.join(means)}. The modelled effect is not reported by itself.",
            AUTHOR,
        ),
        Item(
            "Relation of the mediator to the outcome.",
            "It may differ with covariates and arm in the outcome model and is not reported by "
            "itself.",
            AUTHOR,
        ),
        Item(
            "Estimates of the effects of interest, with their uncertainty.",
            f"{effects}.",
            FILLED,
            "averages",
            (AVERAGES,),
        ),
        Item(
            "Results of the sensitivity analyses.",
            _sensitivity(material),
            FILLED if sensitivity else AUTHOR,
            "trust",
            sensitivity,
        ),
    )


def _sensitivity(material: Material) -> str:
    if "rho_zero" not in material.tables:
        return "No result on confounding of mediator and outcome."
    row = material.tables["rho_zero"].set_index("quantity").loc["rho_zero"]
    return (
        "The average indirect effect would vanish if the errors of mediator and outcome had a "
        f"correlation of {number(row['median'], 2)} (posterior median; "
        f"{interval_phrase(material.results)}: {span(row['ci_lower'], row['ci_upper'], 2)})."
    )


def _meaning(material: Material) -> tuple[Item, ...]:
    results = material.results
    source = f"Source {results.spec.data.source}; fingerprint {results.study.fingerprint()[:12]}."
    return (
        Item(
            "Limitations, the assumptions above all.",
            f"Verdict of the checks: {results.trust.verdict}. No check shows that mediator and "
            "outcome are free of confounding.",
            AUTHOR,
            "trust",
            only_there(("checks",), material),
        ),
        Item("What the results mean in the light of other evidence.", _NOTHING, AUTHOR),
        Item("What follows for practice and research.", _NOTHING, AUTHOR),
        Item("Funding, and the part the funder played.", _NOTHING, AUTHOR),
        Item("Interests of the authors.", _NOTHING, AUTHOR),
        Item(
            "Whether data and code can be had.",
            f"{source} The command and the study file are printed in the methods.",
            AUTHOR,
            "methods",
            ("provenance",),
        ),
    )
