"""AGReMA: what a report of a mediation analysis should contain.

References
----------
Lee, H., Cashin, A. G., Lamb, S. E., et al. (2021). A Guideline for Reporting Mediation Analyses of
Randomized Trials and Observational Studies: The AGReMA Statement. JAMA 326, 1045-1056.
doi:10.1001/jama.2021.14075
"""

from __future__ import annotations

from bayes_hte.reporting.checklists.facts import estimate
from bayes_hte.reporting.checklists.filling import filled
from bayes_hte.reporting.checklists.item import Checklist
from bayes_hte.reporting.page.numbers import number, plain
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import arm_names
from bayes_hte.reporting.results import Results

_SENSITIVITY = {
    "rho": "correlated errors of mediator and outcome",
    "e_values": "E-values of the total effect",
    "tipping": "strength of a confounder of treatment and outcome",
}


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
    results, mediator = material.results, material.results.spec.mediator
    assert mediator is not None
    own = [mediator.of(name) for name in results.spec.roles.mediators]
    done = [words for key, words in _SENSITIVITY.items() if key in material.tables]
    facts = {
        "nothing": "The run knows nothing about this.",
        "mediator": results.spec.roles.mediator_words,
        "mediator_unit": " and ".join(m.unit or "unit not given" for m in own),
        "mediator_family": " and ".join(m.family or "" for m in own),
        "arrows": _arrows(results),
        "controlled": _controlled(results),
        "sensitivity_analyses": "; ".join(done),
        "natural_effects": "; ".join(
            f"{name.upper()} {estimate(material.average(name), material)}"
            for name in ("te", "tnie", "pnde")
        ),
        "mediator_confounding": _confounding(material),
        **_arms(results),
    }
    return filled("agrema", material, facts=facts, conditions={"sensitivity"} if done else ())


def _arms(results: Results) -> dict[str, str]:
    """Return sizes and mean mediators of the arms."""
    arm, mediators = results.study.arm_index(), results.study.mediators()
    reference, other = arm_names(results)
    arms = ((1, other), (0, reference))
    sizes = [f"{name} {(arm == a).sum()}" for a, name in arms]
    known = results.study.known_mediator()
    means = [
        f"{' and '.join(map(plain, mediators[known & (arm == a)].mean(axis=0)))} in {name}"
        for a, name in arms
    ]
    between = " and " if mediators.shape[1] == 1 else ", "
    return {"arm_sizes": ", ".join(sizes), "mediator_means": between.join(means)}


def _arrows(results: Results) -> str:
    roles = results.spec.roles
    arrows = (
        f"{roles.treatment} to {roles.mediator_words}, {roles.mediator_words} to {roles.outcome}, "
        f"{roles.treatment} to {roles.outcome}, and {', '.join(results.study.roles.covariates)} to "
        "all of them"
    )
    if results.spec.propensity.assignment == "randomised":
        arrows += f" but the randomised {roles.treatment}"
    return arrows


def _controlled(results: Results) -> str:
    if results.controlled is None:
        return ""
    values = ", ".join(f"{v:g}" for v in results.controlled["mediator_value"].to_numpy())
    return f" Controlled direct effects with {results.spec.roles.mediator_words} at {values}."


def _confounding(material: Material) -> str:
    if "rho_zero" not in material.tables:
        return "No result on confounding of mediator and outcome."
    row = material.tables["rho_zero"].set_index("quantity").loc["rho_zero"]
    return (
        "The average indirect effect would vanish if the errors of mediator and outcome had a "
        f"correlation of {number(row['median'], 2)} (posterior median; {material.bounds(row, 2)})."
    )
