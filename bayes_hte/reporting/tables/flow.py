"""The way of the units from the table to the analysis, and their missing values by arm."""

from __future__ import annotations

import pandas as pd

from bayes_hte.reporting.page.words import arm_names
from bayes_hte.reporting.results import Results
from bayes_hte.study.missing import Flow, assumption, outcome_assumption

FLOW, MISSING = "flow", "missing_values"


def flow_of(results: Results) -> Flow:
    """Return the flow of a study; one without exclusions if the study does not know its own."""
    study = results.study
    empty = pd.DataFrame(columns=["column", "role", "arm", "missing", "units"])
    return Flow(study.n_units, (), empty) if study.flow is None else study.flow


def flow_tables(results: Results) -> dict[str, pd.DataFrame]:
    """Return the steps from recorded to analysed units, and missing values by column and arm.

    Parameters
    ----------
    results : Results
        A finished run.

    Returns
    -------
    dict of str to DataFrame
        ``flow``: ``step``, ``n_units``; and, if anything is missing, ``missing_values``:
        ``column``, ``role``, ``arm``, ``n_missing``, ``n_units``, of the recorded units.
    """
    flow = flow_of(results)
    steps = [("recorded", flow.recorded), *((f"left out: {why}", n) for why, n in flow.excluded)]
    steps.append(("analysed", results.study.n_units))
    known = int(results.study.known_outcome().sum())
    if known < results.study.n_units:
        steps.append(("of these, inform the outcome model", known))
    tables = {FLOW: pd.DataFrame(steps, columns=["step", "n_units"])}
    if len(flow.missing):
        names = arm_names(results)
        missing = flow.missing.assign(arm=[names[a] for a in flow.missing["arm"]])
        tables[MISSING] = missing.rename(columns={"missing": "n_missing", "units": "n_units"})
    return tables


def assumptions(results: Results) -> list[str]:
    """Return the assumptions about what is missing, a sentence or two for each kind of it."""
    study, roles = results.study, set(flow_of(results).missing["role"])
    if not roles:
        return []
    randomised = results.spec.propensity.assignment == "randomised"
    if study.missing == "complete":
        return [assumption("complete", randomised=randomised)]
    said = []
    if "covariate" in roles:
        said.append(assumption(study.missing, randomised=randomised))
    mediated = study.roles.mediator is not None
    said += [
        outcome_assumption(r, mediated=mediated) for r in ("outcome", "mediator") if r in roles
    ]
    return said
