"""PATH: predictive approaches to the heterogeneity of treatment effects.

References
----------
Kent, D. M., Paulus, J. K., van Klaveren, D., et al. (2020). The Predictive Approaches to Treatment
effect Heterogeneity (PATH) Statement. Annals of Internal Medicine 172, 35-45. doi:10.7326/M18-3667
"""

from __future__ import annotations

from bayes_hte.checks.heterogeneity import is_readable
from bayes_hte.effects.summaries import probability_words
from bayes_hte.reporting.checklists.facts import estimate
from bayes_hte.reporting.checklists.filling import filled
from bayes_hte.reporting.checklists.item import Checklist
from bayes_hte.reporting.page.numbers import Style, number, percent, percent_span, span
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import (
    important,
    important_words,
    interval_phrase,
    title_case,
    unit_phrase,
)
from bayes_hte.reporting.tables.effects import SURE
from bayes_hte.reporting.tables.relative import BY_RISK, RATIOS, RELATIVE
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
    results = material.results
    facts = {**_overall(material), **_benefits(material), **_shrinkage(material)}
    conditions = set()
    if RISK in material.tables:
        found, ratios = _ratios(material)
        conditions |= {"risk", found}
        facts |= _risk(material) | ratios
    if results.trust.carries_individuals:
        conditions.add("individuals")
    if results.spec.learner.name == "homogeneous":
        conditions.add("homogeneous")
    if results.targeting is not None:
        conditions.add("unseen")
        facts |= _unseen(material)
    return filled("path", material, facts=facts, conditions=conditions)


def _overall(material: Material) -> dict[str, object]:
    results, row = material.results, material.average("te")
    about = results.spec.about
    benefit = f"probability of benefit {probability_words(row['prob_benefit'])}"
    worth = "No smallest difference that matters is declared."
    if important(results) > 0:
        beyond = important_words(results)
        benefit += f", of a benefit beyond {beyond} {probability_words(row['prob_important'])}"
        because = results.spec.outcome.because
        worth = f"The smallest difference that matters is {beyond} ({because})."
    return {
        "benefit": benefit,
        "unclear": ""
        if row["prob_benefit"] >= SURE
        else " A benefit on average is not clear, which makes differences in benefit exploratory.",
        "scale": "differences of probabilities (risk differences), in percentage points"
        if material.scale.kind == "risk"
        else f"differences of expected outcomes, in {unit_phrase(results)}",
        "relative": " Ratios are given next to them." if RATIOS[material.scale.kind] else "",
        "worth": worth,
        "suitable_for": about.suitable_for,
        "not_suitable_for": about.not_suitable_for,
    }


def _risk(material: Material) -> dict[str, object]:
    d = material.style
    rows = material.tables[RISK].query("effect == 'te'")
    first, last = rows.iloc[0], rows.iloc[-1]
    change = material.tables[CONTRAST].set_index("effect").loc["te"]
    return {
        "n_groups": len(rows),
        "lowest": estimate(first, material),
        "highest": estimate(last, material),
        "change": f"{number(change['mean'], d)} ({material.bounds(change)})",
        "change_positive": probability_words(change["prob_positive"]),
        "predicted_lowest": number(first["position"], d),
        "predicted_highest": number(last["position"], d),
        "n_lowest": first["n_units"],
        "n_highest": last["n_units"],
    }


def _ratios(material: Material) -> tuple[str, dict[str, object]]:
    """Return which answer there is on relative effects in the groups, and what it says."""
    names = RATIOS[material.scale.kind]
    if not names:
        return "no_ratios", {}
    frame = material.tables.get(RELATIVE)
    rows = None if frame is None else frame[frame["view"] == BY_RISK]
    if rows is None or rows.empty:
        return "ratios_not_kept", {}
    said = "; ".join(
        f"{number(row['median'], 2)} ({span(row['ci_lower'], row['ci_upper'], 2)})"
        for row in rows[rows["quantity"] == names[0]].to_dict("records")
    )
    title = title_case(names[0].replace("_", " "))
    return "ratios", {"ratio_name": title, "ratios": said}


def _shrinkage(material: Material) -> dict[str, object]:
    priors = material.tables["priors"]
    own = priors[(priors["component"] == "outcome") & priors["term"].isin(_MODIFYING)]
    scales = "; ".join(
        f"{row['words']}: prior standard deviation {row['scale']:g}"
        for row in own.to_dict("records")
    )
    return {"shrinkage": f" ({scales}; standardised)" if scales else ""}


def _benefits(material: Material) -> dict[str, object]:
    who = material.tables["who_benefits"].query("effect == 'te'").set_index("statement")
    row = who.loc["benefit"]
    interval = percent_span(row["ci_lower"], row["ci_upper"])
    return {
        "share": f"{percent(row['mean'])} ({interval_phrase(material.results)}: {interval})",
        "n_sure": row["n_sure"],
        "sure": f"{SURE:g}",
    }


def _unseen(material: Material) -> dict[str, object]:
    found, d = material.results.targeting, material.style
    areas = material.tables["areas"].set_index("quantity")

    def words(name: str, decimals: int | Style) -> str:
        row = areas.loc[name]
        return f"{number(row['mean'], decimals)} ({material.bounds(row, decimals)})"

    row = areas.loc["calibration_slope"]
    return {
        "n_judged": found.n_units,
        "how_judged": found.how,
        "slope": words("calibration_slope", 2) if is_readable(row) else "without a readable size",
        "qini": words("qini_coefficient", d.finer),
        "autoc": words("autoc", d),
    }
