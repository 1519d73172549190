"""Units that belong together, draw by draw: partitions of the units and their similarity matrix.

A draw of the unit effects divides the units: each goes to the subgroup whose average effect *in
that draw* is nearest to its own. This is the rule of the membership probabilities, so the two can
be read together; it needs no clustering algorithm in the loop, works for several effects clustered
jointly, and never has more groups than were discovered. The similarity of two units is the share of
draws in which they are together; unlike membership it does not depend on the names of the groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayes_hte.effects.arguments import check_number
from bayes_hte.errors import DataError
from bayes_hte.names import SAMPLE, SUBGROUP, UNIT
from bayes_hte.seeds import check_seed
from bayes_hte.subgroups.effect_draws import as_effects
from bayes_hte.subgroups.finding.distance import MATRIX_LIMIT
from bayes_hte.subgroups.finding.result import Subgroups
from bayes_hte.subgroups.membership import posterior_mean, squared_distances, subgroup_effects

OTHER_UNIT = "other_unit"
LANDMARKS = 2_000
# Numbers held in one block of indicators: 32 MB in single precision.
INDICATOR_BLOCK = 8_000_000


@dataclass(frozen=True, eq=False)
class CoClustering:
    """The share of draws in which two units are together.

    Attributes
    ----------
    similarity : DataArray, dims (unit, other_unit), single precision
        Share of draws in which two units are in the same group; 1 on the diagonal.
    partitions : DataArray, dims (chain, draw, unit), 8-bit integers
        Nearest subgroup of each unit in each draw.
    discovered : DataArray, dims (unit,)
        Subgroup by the profile.
    membership : DataArray, dims (unit, subgroup)
        Membership probabilities of these units.
    mean_effect : DataArray, dims (unit,)
        Posterior-mean effect (of the first, if several), in outcome units.
    n_units : int
        Units of the study.
    text : str
        The number of units compared, and whether they are a sample.
    """

    similarity: xr.DataArray
    partitions: xr.DataArray
    discovered: xr.DataArray
    membership: xr.DataArray
    mean_effect: xr.DataArray
    n_units: int
    text: str

    @property
    def is_sample(self) -> bool:
        """Whether the units compared are a random sample of those of the study."""
        return self.discovered.sizes[UNIT] < self.n_units


def co_clustering(
    effect: xr.DataArray | xr.Dataset,
    groups: Subgroups,
    *,
    seed: int,
    landmarks: int = LANDMARKS,
) -> CoClustering:
    """Count the draws in which two units are nearest to the same subgroup.

    Up to 5,000 units all are compared with all. Of more units a random sample (landmarks) is
    compared, as a matrix of all would not fit in memory; the centres of the subgroups are still
    averages over all units.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit), or Dataset of such
        The draws that were given to the M-learner.
    groups : Subgroups
        The result of the M-learner.
    seed : int
        Seed of the sample of units; it does nothing up to 5,000 units.
    landmarks : int, default 2000
        Size of the sample, 2 to 5,000.

    Returns
    -------
    CoClustering

    Raises
    ------
    DataError
        If the subgroups cannot have been found with the effect: it has other units, or there is
        another number of effects.
    SpecError
        If `landmarks` or the seed is out of range.

    References
    ----------
    Binder, D. A. (1978). Bayesian cluster analysis. Biometrika 65, 31-38.
    doi:10.1093/biomet/65.1.31

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> from bayes_hte.subgroups import co_clustering
    >>> trial = hte.simulate_mediation(np.random.default_rng(1), n=100)
    >>> roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
    >>> study = hte.Study.from_frame(trial.frame, **roles)
    >>> effect = xr.DataArray([[trial.effects["te"]] * 20], dims=["chain", "draw", "unit"])
    >>> groups = hte.m_learner(effect, study, seed=1, largest_k=2)
    >>> clustered = co_clustering(effect, groups, seed=1)
    >>> clustered.similarity.shape, clustered.text
    ((100, 100), 'All 100 units were compared with each other.')
    """
    check_seed(seed)
    check_number(
        "landmarks",
        landmarks,
        f"a whole number from 2 to {MATRIX_LIMIT}",
        lambda n: 2 <= n <= MATRIX_LIMIT,
        whole=True,
    )
    effects = as_effects(effect, groups.labels.get_index(UNIT))
    if len(effects) != len(groups.scales):
        raise DataError(
            f"the subgroups were found with {len(groups.scales)} effects, got {len(effects)}; pass "
            "the effect that was given to the M-learner."
        )
    n_units = groups.labels.sizes[UNIT]
    rows = _landmarks(n_units, landmarks, seed)
    centres = [subgroup_effects(e, groups.labels.to_numpy()) for e in effects]
    here = [e.isel({UNIT: rows}) for e in effects]
    partitions = _nearest(here, centres, groups.scales)
    units = groups.labels.get_index(UNIT)[rows]
    return CoClustering(
        similarity=_similarity(partitions, units),
        partitions=partitions.assign_coords({UNIT: units}),
        discovered=groups.labels.isel({UNIT: rows}),
        membership=groups.membership.isel({UNIT: rows}),
        mean_effect=xr.DataArray(
            posterior_mean(here[0]), dims=UNIT, coords={UNIT: units}, name="mean_effect"
        ),
        n_units=n_units,
        text=f"All {n_units} units were compared with each other."
        if len(rows) == n_units
        else f"A random {len(rows)} of the {n_units} units were compared with each other "
        f"(seed {seed}).",
    )


def _landmarks(n_units: int, landmarks: int, seed: int) -> np.ndarray:
    """Choose the units to compare, in their own order."""
    if n_units <= MATRIX_LIMIT:
        return np.arange(n_units)
    return np.sort(np.random.default_rng(seed).choice(n_units, landmarks, replace=False))


def _nearest(
    effects: list[xr.DataArray], centres: list[xr.DataArray], scales: np.ndarray
) -> xr.DataArray:
    """Return the nearest subgroup of every unit in every draw; of equally near ones the first."""
    first = effects[0].transpose(*SAMPLE, UNIT)
    nearest = np.empty(first.shape, dtype=np.int8)
    for chain, draws, squared in squared_distances(effects, centres, scales):
        nearest[chain, draws] = squared.argmin(axis=0)
    coords = {d: first[d] for d in SAMPLE}
    return xr.DataArray(nearest, dims=first.dims, coords=coords, name=SUBGROUP)


def _similarity(partitions: xr.DataArray, units: pd.Index) -> xr.DataArray:
    draws = partitions.to_numpy().reshape(-1, len(units))
    # Counts stay exact in single precision up to 2**24 draws.
    together = np.zeros((len(units), len(units)), dtype=np.float32)
    for indicators in indicator_blocks(draws, int(draws.max()) + 1):
        together += indicators.T @ indicators
    together /= np.float32(len(draws))
    coords = {UNIT: units, OTHER_UNIT: units.to_numpy()}
    return xr.DataArray(together, dims=(UNIT, OTHER_UNIT), coords=coords, name="similarity")


def indicator_blocks(
    partitions: np.ndarray, n_groups: int, *, most_rows: int = INDICATOR_BLOCK
) -> Iterator[np.ndarray]:
    """Turn partitions into 0/1 indicators, some partitions at a time.

    Products of indicators count units, and matrix products are the fastest way to count.

    Parameters
    ----------
    partitions : ndarray of int, shape (partition, unit)
        Labels 0 to `n_groups` - 1.
    n_groups : int
        Largest number of groups.
    most_rows : int
        Rows of a block, unless one partition has more.

    Yields
    ------
    ndarray of float32, shape (partitions in the block * n_groups, unit)
        The groups of a partition stand together.
    """
    rows = min(most_rows, INDICATOR_BLOCK // partitions.shape[1])
    step = max(1, rows // n_groups)
    groups = np.arange(n_groups, dtype=partitions.dtype)[np.newaxis, :, np.newaxis]
    for start in range(0, len(partitions), step):
        block = partitions[start : start + step, np.newaxis, :] == groups
        yield block.reshape(-1, partitions.shape[1]).astype(np.float32)
