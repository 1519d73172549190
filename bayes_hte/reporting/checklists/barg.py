"""BARG: what a report of a Bayesian analysis should contain.

References
----------
Kruschke, J. K. (2021). Bayesian Analysis Reporting Guidelines. Nature Human Behaviour 5, 1282-1291.
doi:10.1038/s41562-021-01177-7
"""

from __future__ import annotations

from bayes_hte.reporting.checklists.filling import filled
from bayes_hte.reporting.checklists.item import Checklist
from bayes_hte.reporting.page.numbers import number
from bayes_hte.reporting.page.scale import scale_of
from bayes_hte.reporting.page.section import AVERAGES, Material
from bayes_hte.reporting.page.words import important, important_words
from bayes_hte.reporting.results import Results


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
    results, d = material.results, material.style
    averages, priors = material.tables[AVERAGES], material.tables["priors"]
    sampler = results.spec.sampler
    facts = {
        "columns": ", ".join(results.study.roles.columns),
        "name": results.spec.name,
        "n_priors": len(priors),
        "n_declared_priors": int(priors["declared"].sum()),
        "chains": sampler.chains,
        "draws": sampler.draws,
        "tune": sampler.tune,
        "seed": sampler.seed,
        "command": results.provenance.get("command", "not recorded"),
        "largest_mcse": number(float(averages["mcse"].max()), d.finer),
        "smallest_sd": number(float(averages["sd"].min()), d),
        "rules": _rules(results),
        "limits": _limits(results),
        **_models(results),
    }
    return filled("barg", material, facts=facts)


def _models(results: Results) -> dict[str, str]:
    spec = results.spec
    families = [f"outcome {spec.outcome.family}", "propensity bernoulli"]
    if spec.mediator is not None:
        own = [spec.mediator.of(name).family for name in spec.roles.mediators]
        families[1:1] = [f"mediator {family}" for family in own]
    stacked = f", stacked with {', '.join(spec.outcome.stack_with)}"
    return {
        "families": "; ".join(families),
        "surface": spec.outcome.surface,
        "stacked": stacked if spec.outcome.stack_with else "",
    }


def _rules(results: Results) -> str:
    rules = ["The verdict on trust follows a fixed rule over the checks."]
    for name, groups in results.subgroups.items():
        rule = (results.honest if name in results.honest else results.subgroups)[name]
        rules.append(
            f"Subgroups of the {name.upper()} are declared if they differ by more than "
            f"{scale_of(results.spec).sized(groups.margin)} with probability "
            f"{rule.required_probability:g}."
        )
    return " ".join(rules)


def _limits(results: Results) -> str:
    reason = "No minimal important difference is declared."
    if important(results) > 0:
        because = results.spec.outcome.because
        reason = f"The minimal important difference is {important_words(results)} ({because})."
    if results.subgroups and results.spec.subgroups.because:
        reason += f" Settings of the subgroups: {results.spec.subgroups.because}."
    return reason
