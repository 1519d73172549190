"""The methods paragraph on comparisons of the effects and their checks.

Works are cited as ``[@key]``, as everywhere in the methods text.
"""

from __future__ import annotations

from bayes_hte.checks import (
    arm_overlap,
    covariate_effects,
    heterogeneity,
    informative_censoring,
    kaplan_meier,
    loo,
    loo_pit,
    mediator_linearity,
    predictive,
    prior_sensitivity,
    prior_view,
    refutations,
    repeated_rows,
    sampling_health,
)
from bayes_hte.reporting.page.words import learner_name, people, person
from bayes_hte.reporting.results import Results

# By the start of the name of a check, the works it rests on.
_HEALTH = " (R-hat and effective sample sizes [@rhat], computed with ArviZ [@arviz])"
_WORKS = {
    sampling_health.NAME: _HEALTH,
    arm_overlap.NAME: " [@overlap]",
    repeated_rows.NAME: " [@repeated]",
    predictive.NAME: " [@predictive]",
    kaplan_meier.NAME: " [@predictive]",
    informative_censoring.NAME: " [@censoring]",
    loo.NAME: " [@psis]",
    loo_pit.NAME: " [@pit]",
    mediator_linearity.NAME: " [@quantileresiduals][@robust]",
    heterogeneity.NAME: " [@blp][@rate]",
    covariate_effects.NAME: " [@orthogonal][@simultaneous]",
    prior_view.NAME: " [@priorview][@conflict]",
    prior_sensitivity.NAME: " [@powerscaling]",
    refutations.CONTROL: " [@negativecontrol]",
    refutations.NAME: " [@refutation]",
}


def checks_paragraph(results: Results) -> str:
    """Write how the effects were checked and compared, and what hidden confounding would change.

    Parameters
    ----------
    results : Results
        A finished run.

    Returns
    -------
    str
        A paragraph with marks of citation.
    """
    parts = [_checks(results), _unseen(results), _classical(results)]
    return " ".join(part for part in (*parts, _sensitivity(results)) if part)


def _checks(results: Results) -> str:
    """Name the checks that were run, with the works behind them."""
    works = dict(_WORKS)
    named = []
    for check in results.checks:
        # Without a declared control nothing was done: there is nothing to name or to cite.
        if check.name == refutations.CONTROL and check.passed is None:
            continue
        start = next((start for start in works if check.name.startswith(start)), None)
        # A work is cited with the first check that rests on it.
        named.append(check.name + (works.pop(start) if start else ""))
    return f"Checks: {'; '.join(named)}." if named else "No checks were run."


def _unseen(results: Results) -> str:
    found = results.targeting
    if found is None:
        return ""
    how = {
        "held out": f"the {found.n_units} {people(results)} that were held out from every model",
        "left out one by one": f"each of the {found.n_units} {people(results)} from all others, by "
        "Pareto-smoothed weights of the draws [@psis]",
    }
    return (
        f"Effects were predicted for {how[found.how]}, and compared with doubly robust scores of "
        "the effect [@scores]: by the slope of the scores on the predictions [@blp], and, ranking "
        "by the prediction, by the Qini coefficient [@qini] and the area under the "
        "targeting-operator curve (AUTOC) [@rate]. Their intervals come from a Bayesian bootstrap "
        f"with one weight per {person(results)} [@bootstrap].{_pseudo(results)}"
    )


_PSEUDO = {
    "rmst": "restricted mean survival time, from the Kaplan-Meier",
    "survival": "probability of surviving, from the Kaplan-Meier",
    "cumulative_incidence": "cumulative incidence, from the Aalen-Johansen",
}


def _pseudo(results: Results) -> str:
    """Say what stands for the outcome where times are censored; nothing for other outcomes."""
    if results.study.event is None:
        return ""
    return (
        " A censored time is no outcome: pseudo-observations of the "
        f"{_PSEUDO[results.spec.estimand]} curve of each arm, took its place [@pseudo]. They "
        "assume that censoring does not depend on the time within an arm."
    )


def _classical(results: Results) -> str:
    further = ""
    if results.beside:
        names = ", ".join(learner_name(name) for name in results.beside)
        further = (
            f" Further learners ({names}) were fitted to the same data for comparison only "
            "[@metalearners]."
        )
    raw = "raw difference of means"
    if results.study.event is not None:
        raw = "difference of areas under the Kaplan-Meier curves"
        further += (
            " The log-rank test and hazard ratios of Cox models are given because they are usual; "
            "a hazard ratio is never an individual effect [@hazards]."
        )
    if results.study.causes:
        further += (
            " Cause-specific Cox models take an event of another cause as the end of observation "
            "[@competing]."
        )
    return (
        "For comparison, the average effect was also estimated without an outcome model: as the "
        f"{raw}, by stabilised inverse-probability weights [@weighting] with a "
        "Bayesian bootstrap [@bootstrap], and by one-to-one matching on the propensity, with "
        "replacement and ties averaged [@matching]. Balance was judged by standardised mean "
        f"differences [@balance].{further}"
    )


def _sensitivity(results: Results) -> str:
    found = results.sensitivity
    if found is None:
        return ""
    sentences = []
    if found.e_values:
        convert = (
            ", after conversion of the standardised difference to a ratio [@conversion]"
            if found.e_values[0].approximate
            else ""
        )
        sentences.append(
            "Hidden confounding of the treatment: in every draw we computed E-values of the "
            f"average effect [@evalue]{convert}."
        )
    if found.tipping is not None:
        sentences.append(
            "We computed the posterior probability of benefit that a confounder of given strength "
            "would leave [@tipping][@biasformula], and compared that strength with those of the "
            "observed covariates."
        )
    if found.rho is not None:
        sentences.append(
            "Hidden confounding of the mediator: average natural effects were recomputed for "
            "assumed correlations of the errors of mediator and outcome [@ignorability]."
        )
    return " ".join(sentences)
