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
from bayes_hte.reporting.page.numbers import decimals_for, number, plain
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import arm_names
from bayes_hte.reporting.results import Results
from bayes_hte.reporting.tables.effects import GIVEN_CONFOUNDER
from bayes_hte.reporting.tables.legs import LEGS, ON_MEDIATOR, ON_OUTCOME

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
    roles = results.spec.roles
    own = [mediator.of(name) for name in _asked(results)]
    done = [words for key, words in _SENSITIVITY.items() if key in material.tables]
    conditions = {
        "sensitivity": bool(done),
        "legs": LEGS in material.tables,
        "confounder": roles.post_treatment is not None,
    }
    facts = {
        "nothing": "The run knows nothing about this.",
        "mediator": roles.mediator_words,
        "confounder": roles.post_treatment,
        "mediator_unit": " and ".join(m.unit or "unit not given" for m in own),
        "mediator_family": " and ".join(m.family or "" for m in own),
        "arrows": _arrows(results),
        "controlled": _controlled(results),
        "sensitivity_analyses": "; ".join(done),
        "estimates": _estimates(material),
        "mediator_confounding": _confounding(material),
        **_arms(results),
        **_legs(material),
    }
    return filled(
        "agrema",
        material,
        facts=facts,
        conditions={key for key, holds in conditions.items() if holds},
    )


def _asked(results: Results) -> tuple[str, ...]:
    """Return the mediators of the question, without a confounder that the treatment changes."""
    roles = results.spec.roles
    return tuple(name for name in roles.mediators if name != roles.post_treatment)


def _arms(results: Results) -> dict[str, str]:
    """Return sizes and mean mediators of the arms."""
    arm, n_asked = results.study.arm_index(), len(_asked(results))
    # A confounder that the treatment changes comes first.
    mediators = results.study.mediators()[:, -n_asked:]
    reference, other = arm_names(results)
    arms = ((1, other), (0, reference))
    sizes = [f"{name} {(arm == a).sum()}" for a, name in arms]
    known = results.study.known_mediator()
    means = [
        f"{' and '.join(map(plain, mediators[known & (arm == a)].mean(axis=0)))} in {name}"
        for a, name in arms
    ]
    between = " and " if n_asked == 1 else ", "
    return {"arm_sizes": ", ".join(sizes), "mediator_means": between.join(means)}


def _estimates(material: Material) -> str:
    """Return the total effect and the effects through and around the mediator."""
    names = {"TE": "te", "TNIE": "tnie", "PNDE": "pnde"}
    if material.results.spec.roles.post_treatment is not None:
        names = {"TE": "te"} | {words: words for words in GIVEN_CONFOUNDER.values()}
    return "; ".join(
        f"{words} {estimate(material.average(key), material)}" for words, key in names.items()
    )


def _legs(material: Material) -> dict[str, str]:
    """Return both legs of the mediation in words; empty where the run kept none."""
    if LEGS not in material.tables:
        return {"leg_on_mediator": "", "leg_on_outcome": ""}
    results, frame = material.results, material.tables[LEGS]
    arms, mediator = arm_names(results), results.spec.roles.mediator_words
    unit = "" if results.spec.mediator is None else results.spec.mediator.unit
    first = frame[frame["leg"] == ON_MEDIATOR].iloc[0]
    digits = decimals_for([first["sd"]])
    second = frame[frame["leg"] == ON_OUTCOME]
    moved = "; ".join(
        f"{arms[row['arm']]} {estimate(row, material)}" for row in second.to_dict("records")
    )
    start, end = second[["mediator_from", "mediator_to"]].iloc[0]
    return {
        "leg_on_mediator": (
            f"{mediator}, {arms[1]} less {arms[0]}: {number(first['mean'], digits)} "
            f"{unit or 'units of the mediator'} ({material.bounds(first, digits)})."
        ),
        "leg_on_outcome": f"From {plain(start)} to {plain(end)} of {mediator}: {moved}.",
    }


def _arrows(results: Results) -> str:
    roles = results.spec.roles
    treatment, mediator, outcome = roles.treatment, roles.mediator_words, roles.outcome
    arrows = [
        f"{treatment} to {mediator}",
        f"{mediator} to {outcome}",
        f"{treatment} to {outcome}",
    ]
    if roles.post_treatment is not None:
        ends = (f"to {mediator}", f"to {outcome}")
        arrows.append(f"{treatment} to {roles.post_treatment}")
        arrows += [f"{roles.post_treatment} {end}" for end in ends]
    covariates = f"{', '.join(results.study.roles.covariates)} to all of them"
    if results.spec.propensity.assignment == "randomised":
        covariates += f" but the randomised {treatment}"
    return f"{', '.join(arrows)}, and {covariates}"


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
