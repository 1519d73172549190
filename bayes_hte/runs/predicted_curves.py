"""Survival curves of new rows under each arm, from a finished run."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes_hte.effects.summaries import summarize
from bayes_hte.fitting.curves import MOST_UNITS, TIME, survival_curves
from bayes_hte.fitting.fitted import Fit
from bayes_hte.names import ARM, UNIT
from bayes_hte.study.spec import Spec


def curves_of_rows(fit: Fit, frame: pd.DataFrame, rows: np.ndarray, spec: Spec) -> pd.DataFrame:
    """Return the curves of the rows that can be predicted, summarised.

    Parameters
    ----------
    fit : Fit
        Of times to an event.
    frame : DataFrame
        New rows.
    rows : ndarray of int
        Positions of those that can be predicted.
    spec : Spec
        The study file, whose interval and scale they have.

    Returns
    -------
    DataFrame
        One row per new row, arm and time: ``row`` (its label), ``arm``, ``time``, the posterior
        mean of the probability, called ``survival`` or, if effects are on it,
        ``cumulative_incidence``, and the bounds of its interval (kind and probability in their
        names).

    Raises
    ------
    DataError
        If the outcome is no time to an event.
    """
    incidence = spec.estimand == "cumulative_incidence"
    estimand = "cumulative_incidence" if incidence else "survival"
    how = {"ci_prob": spec.report.ci_prob, "ci_kind": spec.report.ci_kind}
    suffix = f"{100 * spec.report.ci_prob:g}_{spec.report.ci_kind}"
    names = {
        "mean": estimand,
        "ci_lower": f"{estimand}_lower_{suffix}",
        "ci_upper": f"{estimand}_upper_{suffix}",
    }
    parts = []
    for start in range(0, max(rows.size, 1), MOST_UNITS):
        own = rows[start : start + MOST_UNITS]
        # Positions, because two rows may have the same label.
        block = frame.iloc[own].set_axis(own, axis=0)
        if not own.size:
            parts.append(pd.DataFrame(columns=["row", ARM, TIME, *names.values()]))
            continue
        draws = survival_curves(fit.first_stage(), block, estimand=estimand, by_unit=True)
        draws = draws.assign_coords({ARM: range(draws.sizes[ARM])}).reset_coords(drop=True)
        table = summarize(draws, **how).reset_index()
        table["row"] = frame.index.to_numpy()[table[UNIT].to_numpy(dtype=int)]
        table[ARM] = [fit.study.arms[int(a)] for a in table[ARM]]
        parts.append(table.rename(columns=names)[["row", ARM, TIME, *names.values()]])
    return pd.concat(parts, ignore_index=True)
