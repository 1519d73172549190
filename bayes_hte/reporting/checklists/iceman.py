"""ICEMAN: the credibility of a claim that an effect differs between subgroups.

References
----------
Schandelmaier, S., Briel, M., Varadhan, R., et al. (2020). Development of the Instrument to assess
the Credibility of Effect Modification Analyses (ICEMAN) in randomized controlled trials and
meta-analyses. CMAJ 192, E901-E906. doi:10.1503/cmaj.200077
"""

from __future__ import annotations

from bayes_hte.effects.summaries import probability_words
from bayes_hte.reporting.checklists.facts import checks_named, said
from bayes_hte.reporting.checklists.filling import filled
from bayes_hte.reporting.checklists.item import Checklist
from bayes_hte.reporting.page.numbers import number, percent, plain
from bayes_hte.reporting.page.scale import scale_of
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
    results = material.results
    found = tuple(name for name, groups in results.subgroups.items() if count(groups) > 1)
    names = " or ".join(effect_name(name) for name in results.subgroups)
    none = f"No division of the {people(results)} by the {names} was found; nothing is claimed."
    cuts = _cuts(results, found)
    facts = {
        "none": none,
        "cuts": "; ".join(cuts),
        "chance": _chance(results),
        "further": _further(results, found),
        "largest_k": results.spec.subgroups.largest_k,
        "on_others": "and groups are declared only if those that one half of the data puts highest "
        "and lowest differ in the other"
        if results.honest
        else "but groups are found and judged on the same data",
        "profile_covariates": "; ".join(
            f"{name.upper()}: {', '.join(results.subgroups[name].profile.covariates)}"
            for name in found
        ),
    }
    conditions = {name for name, holds in (("found", found), ("cuts", cuts)) if holds}
    return filled("iceman", material, facts=facts, conditions=conditions)


def _chance(results: Results) -> str:
    words, size = [], scale_of(results.spec).sized
    for name, groups in results.subgroups.items():
        effect = title_case(effect_name(name))
        if name in results.honest:
            judged = results.honest[name]
            words.append(
                f"{effect}: the groups that one half of the data puts highest and lowest differ by "
                f"more than {size(judged.margin)} in the other with probability "
                f"{probability_words(judged.probability)} ({judged.required_probability:g} "
                f"required); {'declared' if judged.declared else 'not declared'}."
            )
        elif count(groups) > 1:
            words.append(
                f"{effect}: in-sample probability of a difference beyond {size(groups.margin)} is "
                f"{probability_words(groups.probability_in_sample)} "
                f"({groups.required_probability:g} required), which is too optimistic."
            )
        else:
            words.append(f"{effect}: no division found.")
    nulls = checks_named(results, NULLS)
    if nulls:
        words.append(f"Error rate of the rule. {said(nulls)}")
    return " ".join(words)


def _cuts(results: Results, found: tuple[str, ...]) -> tuple[str, ...]:
    """Return where the profiles cut covariates that are numbers, each cut once."""
    asked = [
        (name, node.condition) for name in found for node in results.subgroups[name].profile.nodes
    ]
    cuts = [
        f"{name.upper()}: {condition.covariate} at {plain(float(condition.threshold))}"
        for name, condition in asked
        if condition is not None and condition.threshold is not None
    ]
    return tuple(dict.fromkeys(cuts))


def _further(results: Results, found: tuple[str, ...]) -> str:
    words = [f"Verdict of the checks: {results.trust.verdict}."]
    for name, judged in results.honest.items():
        words.append(
            f"The two halves' groups of the {name.upper()} agree with an adjusted Rand index of "
            f"{number(judged.agreement, 2)} (1: the same groups, 0: as by chance)."
        )
    words += [
        f"Uncertain membership, {name.upper()}: "
        f"{percent(results.subgroups[name].uncertain_share)} of the {people(results)}."
        for name in found
    ]
    return " ".join(words)
