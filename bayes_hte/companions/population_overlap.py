"""Overlap of a study with another population: who of the latter has nobody alike in the study.

Two questions decide. Does a numeric covariate lie outside the range of the study, by more than a
fifth of it (a little outside lie many, by chance, where there are many covariates)? And are the
nearest units of the study further away than the study's own units are from one another? Distance
is Euclidean in the standardised covariates, to the fifth nearest unit; "further away" means beyond
the 99% quantile of that distance within the study.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from bayes_hte.study.encoding import Encoding
from bayes_hte.study.kinds import is_numeric
from bayes_hte.study.missing import with_nan

NEIGHBOURS = 5
QUANTILE = 0.99
MARGIN = 0.2
NOBODY = "no similar unit"


@dataclass(frozen=True, eq=False)
class PopulationOverlap:
    """Rows of another population, compared with the units of a study.

    Attributes
    ----------
    table : DataFrame, index unit
        ``distance`` to the study; ``extrapolated``, whether the study has nobody like the row; and
        ``why``: the covariates outside its range, or ``no similar unit``.
    reasons : tuple of tuple of str, shape (unit, reason)
        What ``why`` is put together from.
    limit : float
        Distance beyond which a row has no similar unit.
    """

    table: pd.DataFrame
    reasons: tuple[tuple[str, ...], ...]
    limit: float

    @property
    def extrapolated(self) -> np.ndarray:
        """Whether the study has nobody like each row, shape (unit,)."""
        return self.table["extrapolated"].to_numpy()


def population_overlap(
    study: pd.DataFrame, rows: pd.DataFrame, encoding: Encoding
) -> PopulationOverlap:
    """Find the rows of another population that have nobody alike in a study.

    Parameters
    ----------
    study : DataFrame, shape (unit, covariate)
        Covariates of the study.
    rows : DataFrame, shape (row, covariate)
        Covariates of the other population.
    encoding : Encoding
        Learned on the study's covariates.

    Returns
    -------
    PopulationOverlap

    Raises
    ------
    DataError
        If a covariate is absent, or has a level, or gaps, that the study has not.
    """
    inside = encoding.standardized(study).to_numpy()
    outside = encoding.standardized(rows).to_numpy()
    # A unit is its own nearest neighbour.
    size = min(NEIGHBOURS, len(inside) - 1)
    nearest = NearestNeighbors(n_neighbors=size + 1).fit(inside)
    limit = float(np.quantile(nearest.kneighbors(inside)[0][:, -1], QUANTILE))
    distance = nearest.kneighbors(outside, n_neighbors=size)[0][:, -1]
    reasons = [[] for _ in range(len(rows))]
    for name in encoding.names:
        if not is_numeric(study[name]):
            continue
        own, values = with_nan(study[name]).astype(float), with_nan(rows[name]).astype(float)
        low, high = own.min(), own.max()
        room = MARGIN * (high - low)
        for i in np.flatnonzero(values < low - room):
            reasons[i].append(f"{name} below {low:g}")
        for i in np.flatnonzero(values > high + room):
            reasons[i].append(f"{name} above {high:g}")
    for i in np.flatnonzero(distance > limit):
        reasons[i] = reasons[i] or [NOBODY]
    table = pd.DataFrame(
        {
            "distance": distance,
            "extrapolated": [bool(r) for r in reasons],
            "why": [", ".join(r) for r in reasons],
        },
        index=rows.index,
    )
    return PopulationOverlap(table.rename_axis("unit"), tuple(map(tuple, reasons)), limit)
