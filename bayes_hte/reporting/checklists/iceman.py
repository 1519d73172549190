"""ICEMAN: the credibility of a claim that an effect differs between subgroups.

References
----------
Schandelmaier, S., Briel, M., Varadhan, R., et al. (2020). Development of the Instrument to assess
the Credibility of Effect Modification Analyses (ICEMAN) in randomized controlled trials and
meta-analyses. CMAJ 192, E901-E906. doi:10.1503/cmaj.200077
"""

from __future__ import annotations

from bayes_hte.effects.summaries import probability_words
from bayes_hte.reporting.checklists.facts import checks_named, files, only_there, said
from bayes_hte.reporting.checklists.item import AUTHOR, FILLED, NOT_APPLICABLE, Checklist, Item
from bayes_hte.reporting.page.numbers import number, plain
from bayes_hte.reporting.page.section import Material
from bayes_hte.reporting.page.words import effect_name, people, title_case
from bayes_hte.reporting.results import Results
from bayes_hte.reporting.tables.keys import NULLS
from bayes_hte.reporting.tables.subgroups import count


def iceman(material: Material) -> Checklist:
    """Fill ICEMAN for the subgroups that were found.

    Parameters
    ----------
    material : Material
        The run and the tables of its report.

    Returns
    -------
    Checklist
    """
    purpose = (
        "For the credibility of a claim that an effect differs between subgroups. Subgroups that "
        "were found in the data, as all in this report were, score low by construction: nobody "
        "stated them, or the direction of the difference, beforehand. A low rating does not say "
        "that the differences are absent, but that they need new data."
    )
    found = _found(material.results)
    items = (
        _direction(material, found),
        _earlier(material, found),
        _chance(material),
        _number(material),
        _cut_points(material, found),
        _further(material, found),
        _rating(material, found),
        Item(
            "Agreement between studies, and comparisons within studies.",
            "One study only; this is asked of meta-analyses.",
            NOT_APPLICABLE,
        ),
    )
    return Checklist("iceman", purpose, items)


def _found(results: Results) -> tuple[str, ...]:
    """Return the effects with two subgroups or more."""
    return tuple(name for name, groups in results.subgroups.items() if count(groups) > 1)


def _none(results: Results) -> str:
    names = " or ".join(effect_name(name) for name in results.subgroups)
    return f"No division of the {people(results)} by the {names} was found; nothing is claimed."


def _direction(material: Material, found: tuple[str, ...]) -> Item:
    asked = "Was the direction of the difference stated, and rightly, before the data were seen?"
    if not found:
        return Item(asked, _none(material.results), NOT_APPLICABLE)
    return Item(
        asked,
        "Definitely no: the M-learner finds the groups in these data, and no direction was stated "
        "before.",
        FILLED,
        "subgroups",
    )


def _earlier(material: Material, found: tuple[str, ...]) -> Item:
    asked = "Do earlier studies show the same difference?"
    results = material.results
    if not found:
        return Item(asked, _none(results), NOT_APPLICABLE)
    covariates = "; ".join(
        f"{name.upper()}: {', '.join(results.subgroups[name].profile.covariates)}" for name in found
    )
    return Item(
        asked,
        f"The run knows no other study. The covariates to look for: {covariates}.",
        AUTHOR,
        "subgroups",
        tuple(f"subgroup_profile_{name}" for name in found),
    )


def _chance(material: Material) -> Item:
    results = material.results
    words = []
    for name, groups in results.subgroups.items():
        if name in results.honest:
            judged = results.honest[name]
            words.append(
                f"{title_case(effect_name(name))}: those whom one half of the data puts highest "
                f"and lowest differ by more than {judged.margin:.3g} in the other with probability "
                f"{probability_words(judged.probability)} ({judged.required_probability:g} "
                f"required); {'declared' if judged.declared else 'not declared'}."
            )
        elif count(groups) > 1:
            words.append(
                f"{title_case(effect_name(name))}: in-sample probability of a difference beyond "
                f"{groups.margin:.3g} is {probability_words(groups.probability)} "
                f"({groups.required_probability:g} required), which is too optimistic."
            )
        else:
            words.append(f"{title_case(effect_name(name))}: no division found.")
    nulls = checks_named(results, NULLS)
    if nulls:
        words.append(f"Error rate of the rule. {said(nulls)}")
    keys = [f"subgroup_honest_{name}" for name in results.honest]
    keys += [f"subgroup_decision_{name}" for name in results.subgroups]
    return Item(
        "Is chance an unlikely explanation of the difference?",
        " ".join(words),
        FILLED,
        "subgroups",
        (*only_there(tuple(keys), material), *files(nulls)),
    )


def _number(material: Material) -> Item:
    results = material.results
    on_others = (
        "and groups are declared only if those whom one half of the data puts highest and lowest "
        "differ in the other"
        if results.honest
        else "but groups are found and judged on the same data"
    )
    return Item(
        "Were few modifiers examined, or was their number allowed for?",
        f"{len(results.study.roles.covariates)} covariates and up to "
        f"{results.spec.subgroups.largest_k} groups were examined. Priors shrink all effects "
        f"together, every leaf of the profile tree has a price, {on_others}.",
        FILLED,
        "subgroups",
        tuple(f"subgroup_candidates_{name}" for name in results.subgroups),
    )


def _cut_points(material: Material, found: tuple[str, ...]) -> Item:
    asked = "If a modifier is a number: was it left whole, or cut at points that are not arbitrary?"
    results = material.results
    if not found:
        return Item(asked, _none(results), NOT_APPLICABLE)
    cuts = []
    for name in found:
        for node in results.subgroups[name].profile.nodes:
            if node.condition is not None and node.condition.threshold is not None:
                cut = f"{node.condition.covariate} at {plain(float(node.condition.threshold))}"
                cuts.append(f"{name.upper()}: {cut}")
    if not cuts:
        return Item(asked, "The profile asks about no number.", NOT_APPLICABLE, "subgroups")
    return Item(
        asked,
        f"Cut at points chosen from these data. {'; '.join(dict.fromkeys(cuts))}. The models "
        "themselves use the whole numbers.",
        FILLED,
        "subgroups",
        tuple(f"subgroup_tree_{name}" for name in found),
    )


def _further(material: Material, found: tuple[str, ...]) -> Item:
    results = material.results
    words = [f"Verdict of the checks: {results.trust.verdict}."]
    for name, judged in results.honest.items():
        words.append(
            f"The two halves' groups of the {name.upper()} agree with an adjusted Rand index of "
            f"{number(judged.agreement, 2)} (1: the same groups, 0: as by chance)."
        )
    words += [
        f"Uncertain membership, {name.upper()}: "
        f"{100 * results.subgroups[name].uncertain_share:.1f}% of the {people(results)}."
        for name in found
    ]
    return Item(
        "Anything else that makes the difference more or less credible.",
        " ".join(words),
        FILLED,
        "trust",
        only_there(("checks",), material),
    )


def _rating(material: Material, found: tuple[str, ...]) -> Item:
    asked = "Overall credibility, from very low to high."
    if not found:
        return Item(asked, _none(material.results), NOT_APPLICABLE)
    return Item(
        asked,
        "The first item alone rules out high credibility; each further item answered with no "
        "lowers it. The rating is a judgement over all items.",
        AUTHOR,
    )
