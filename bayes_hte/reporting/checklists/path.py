"""PATH: predictive approaches to the heterogeneity of treatment effects.

References
----------
Kent, D. M., Paulus, J. K., van Klaveren, D., et al. (2020). The Predictive Approaches to Treatment
effect Heterogeneity (PATH) Statement. Annals of Internal Medicine 172, 35-45. doi:10.7326/M18-3667
"""

from __future__ import annotations

from bayes_hte.effects.summaries import probability_words
from bayes_hte.reporting.checklists.facts import (
    AVERAGES,
    average,
    benefit,
    design,
    estimate,
    only_there,
)
from bayes_hte.reporting.checklists.item import AUTHOR, FILLED, NOT_APPLICABLE, Checklist, Item
from bayes_hte.reporting.page.numbers import number, percent, span
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import (
    arm_names,
    important,
    interval_phrase,
    learner_name,
    people,
    unit_phrase,
)
from bayes_hte.reporting.tables.effects import SURE
from bayes_hte.reporting.tables.risks import CONTRAST, RISK

_MODIFYING = ("arm", "effect")


def path(material: Material) -> Checklist:
    """Fill PATH.

    Parameters
    ----------
    material : Material
        The run and the tables of its report.

    Returns
    -------
    Checklist
    """
    purpose = (
        "For studies that predict who benefits. It asks for effects on the absolute scale, for a "
        "view by predicted outcome before any modelled effect, and for caution with the latter."
    )
    items = (*_overall(material), *_risk(material), *_modelling(material), *_testing(material))
    return Checklist("path", purpose, items)


def _overall(material: Material) -> tuple[Item, ...]:
    results = material.results
    row = average(material, "te")
    unsure = (
        ""
        if row["prob_benefit"] >= SURE
        else " A benefit on average is not clear, which makes differences in benefit exploratory."
    )
    scale = (
        "differences of probabilities (risk differences)"
        if results.spec.outcome.family == "bernoulli"
        else f"differences of expected outcomes, in {unit_phrase(results)}"
    )
    worth = (
        f"The smallest difference that matters is {important(results):g} "
        f"({results.spec.outcome.because})."
        if important(results) > 0
        else "No smallest difference that matters is declared."
    )
    return (
        Item(
            "The kind of study: the guidance was written for randomised trials.",
            design(results),
            FILLED,
            "question",
        ),
        Item(
            "The overall effect comes first, and how clear it is.",
            f"Average over the {people(results)} of the study: {estimate(row, material)}; "
            f"{benefit(row, material)}.{unsure}",
            FILLED,
            "averages",
            (AVERAGES,),
        ),
        Item(
            "Why one decision may not suit all: harms, burden and cost of the treatment against a "
            "benefit of varying size.",
            f"{worth} Harms, burden and cost are not in these models.",
            AUTHOR,
            "question",
        ),
        Item(
            "Effects are given on the absolute scale, on which decisions are taken.",
            f"All effects are {scale}. No effect is given as a ratio.",
            FILLED,
            "averages",
            (AVERAGES,),
        ),
    )


def _risk(material: Material) -> tuple[Item, ...]:
    results = material.results
    reference, _ = arm_names(results)
    if RISK not in material.tables:
        absent = "The report has no groups by predicted outcome."
        return (
            Item("A view by predicted outcome before any modelled effect.", absent, AUTHOR),
            Item("A prediction made and validated on other data.", "None was used.", AUTHOR),
        )
    d = material.decimals
    rows = material.tables[RISK].query("effect == 'te'")
    first, last = rows.iloc[0], rows.iloc[-1]
    change = material.tables[CONTRAST].set_index("effect").loc["te"]
    return (
        Item(
            "A view by predicted outcome before any modelled effect, with the outcomes of both "
            "arms and the absolute effect in each group.",
            f"{len(rows)} groups. Effect in the lowest: {estimate(first, material)}; in the "
            f"highest: {estimate(last, material)}. Difference: {number(change['mean'], d)} "
            f"({interval_phrase(results)}: {span(change['ci_lower'], change['ci_upper'], d)}), "
            f"above 0 with probability {probability_words(change['prob_positive'])}.",
            FILLED,
            "individuals",
            (RISK, CONTRAST),
        ),
        Item(
            "How the prediction was made, and whether it could see the arm.",
            f"The outcome model of this study predicts {results.spec.roles.outcome} under "
            f"{reference} from the same data, the arm and the outcome included. It is therefore "
            "not independent of the effects.",
            FILLED,
            "methods",
        ),
        Item(
            "A prediction made and validated on other data, or why none was used.",
            "None was used.",
            AUTHOR,
        ),
        Item(
            f"How predictions are distributed over the {people(results)}.",
            f"Mean prediction under {reference} from {number(first['position'], d)} in the lowest "
            f"group ({first['n_units']} {people(results)}) to {number(last['position'], d)} in the "
            f"highest ({last['n_units']}).",
            FILLED,
            "individuals",
            (RISK,),
        ),
        Item(
            "Relative effects in the groups as well.",
            "Not computed; observed means of both arms stand beside the effects.",
            AUTHOR,
            "individuals",
            (RISK,),
        ),
    )


def _modelling(material: Material) -> tuple[Item, ...]:
    results = material.results
    few = "Few candidate modifiers, chosen beforehand for reasons from outside these data."
    guard = "Protection against overfitting: shrinkage, and no choice of modifiers by tests."
    if results.spec.learner.name == "homogeneous":
        known = "The effect was modelled as the same for all."
        return (Item(few, known, NOT_APPLICABLE), Item(guard, known, NOT_APPLICABLE))
    names = results.study.roles.covariates
    priors = material.tables["priors"]
    own = priors[(priors["component"] == "outcome") & priors["term"].isin(_MODIFYING)]
    scales = "; ".join(
        f"{row['words']}: prior standard deviation {row['scale']:g}"
        for row in own.to_dict("records")
    )
    shrinkage = f" ({scales}; standardised)" if scales else ""
    return (
        Item(
            few,
            f"{len(names)} covariates may modify the effect: {', '.join(names)}. The study file "
            "declares them; it does not say why each might modify the effect.",
            AUTHOR,
            "question",
        ),
        Item(
            guard,
            f"Learner: {learner_name(results.spec.learner.name)}. All covariates stay in; priors "
            f"shrink what they do to the effect{shrinkage}.",
            FILLED,
            "methods",
            ("priors",),
        ),
        Item(
            "No conclusion from one modifier at a time.",
            "Effects along single covariates are averages of one joint model; none was tested by "
            "itself.",
            FILLED,
            "individuals",
        ),
    )


def _testing(material: Material) -> tuple[Item, ...]:
    results = material.results
    who = material.tables["who_benefits"].query("effect == 'te'").set_index("statement")
    row = who.loc["benefit"]
    return (
        *_unseen(material),
        Item(
            f"Uncertainty of the predictions for single {people(results)}.",
            f"Share with a benefit: {percent(row['mean'])} ({interval_phrase(results)}: "
            f"{percent(row['ci_lower'])} to {percent(row['ci_upper'])}). For {row['n_sure']} of "
            f"{row['n_units']} {people(results)} the probability of benefit is at least {SURE:g}.",
            FILLED,
            "individuals",
            ("who_benefits", "individual_effects_te"),
        ),
        Item(
            "How far the modelled differences can be believed.",
            f"Verdict of the checks: {results.trust.verdict}. {results.trust.headline}",
            FILLED,
            "trust",
            only_there(("checks",), material),
        ),
        Item(
            "Validation on data from elsewhere before anybody is treated by the predictions.",
            "None in this run.",
            AUTHOR,
        ),
        Item(
            "For whom the predictions are meant, and how they would change care.",
            f"Suitable for: {results.spec.about.suitable_for}. Not suitable for: "
            f"{results.spec.about.not_suitable_for}.",
            AUTHOR,
            "question",
        ),
    )


def _unseen(material: Material) -> tuple[Item, ...]:
    results = material.results
    calibrated = "Predicted effects against observed ones in outcomes the model has not seen."
    ranked = "Whether ranking by predicted benefit separates those who benefit more."
    found = results.targeting
    if found is None:
        known = "Not judged: predicted effects are all equal, or outcomes could not be left out."
        return (Item(calibrated, known, AUTHOR), Item(ranked, known, AUTHOR))
    areas = material.tables["areas"].set_index("quantity")
    phrase = interval_phrase(results)

    def words(name: str, decimals: int) -> str:
        row = areas.loc[name]
        bounds = span(row["ci_lower"], row["ci_upper"], decimals)
        return f"{number(row['mean'], decimals)} ({phrase}: {bounds})"

    d = material.decimals
    return (
        Item(
            calibrated,
            f"{found.n_units} {people(results)}, {found.how}: slope of observed on predicted "
            f"effects {words('calibration_slope', 2)}.",
            FILLED,
            "individuals",
            ("effect_calibration", "areas"),
        ),
        Item(
            ranked,
            f"Qini coefficient {words('qini_coefficient', d + 1)}; area under the "
            f"targeting-operator curve (AUTOC) {words('autoc', d)}.",
            FILLED,
            "individuals",
            ("qini", "areas", "uplift"),
        ),
    )
