"""The two legs of a mediation: the treatment on the mediator, the mediator on the outcome.

References
----------
Lee, H., Cashin, A. G., Lamb, S. E., et al. (2021). A Guideline for Reporting Mediation Analyses of
Randomized Trials and Observational Studies: The AGReMA Statement. JAMA 326, 1045-1056.
doi:10.1001/jama.2021.14075
"""

from __future__ import annotations

from typing import Unpack

import pandas as pd

from bayes_hte.effects.summaries import summarize
from bayes_hte.names import ARM
from bayes_hte.reporting.results import Interval, Results

LEGS = "mediation_legs"
ON_MEDIATOR, ON_OUTCOME = "treatment on mediator", "mediator on outcome"


def leg_table(results: Results, **how: Unpack[Interval]) -> pd.DataFrame | None:
    """Summarise both legs.

    Parameters
    ----------
    results : Results
        A finished run.
    **how
        The interval.

    Returns
    -------
    DataFrame or None
        ``leg``; ``arm`` (0, 1, or -1 for a difference between them), ``mediator_from`` and
        ``mediator_to`` (the values between which the mediator moves, in its units; NaN for the
        first leg) and the columns of `summarize`: in units of the mediator for the first leg, of
        the outcome for the second. None without a mediator, or where the run kept no legs.
    """
    if results.legs is None:
        return None
    mediator, outcome = results.legs["mediator"], results.legs["outcome"]
    moved = mediator.isel({ARM: 1}, drop=True) - mediator.isel({ARM: 0}, drop=True)
    low, high = (float(value) for value in outcome["mediator_value"])
    rows = [(ON_MEDIATOR, -1, float("nan"), float("nan"), moved)]
    for arm in (0, 1):
        curve = outcome.isel({ARM: arm}, drop=True)
        rise = curve.isel(mediator_value=1, drop=True) - curve.isel(mediator_value=0, drop=True)
        rows.append((ON_OUTCOME, arm, low, high, rise))
    tables = []
    for leg, arm, start, end, draws in rows:
        head = {"leg": leg, "arm": arm, "mediator_from": start, "mediator_to": end}
        row = summarize(draws.rename("leg").drop_attrs(), **how).reset_index(drop=True)
        tables.append(row.assign(**head)[[*head, *row.columns]])
    return pd.concat(tables, ignore_index=True)
