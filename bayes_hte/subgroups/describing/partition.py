"""One partition of the units that is closest to all draws, and its distance from the draws.

Covariates describe the subgroups, but not the point partition: it puts together the units that the
individual effects alone put together. Where the two agree, the profile loses little.

References
----------
Wade, S., Ghahramani, Z. (2018). Bayesian cluster analysis: point estimation and credible balls.
Bayesian Analysis 13, 559-626. doi:10.1214/17-BA1073
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score

from bayes_hte.effects.arguments import check_number
from bayes_hte.names import SUBGROUP, UNIT
from bayes_hte.subgroups.describing.coclustering import CoClustering
from bayes_hte.subgroups.describing.partition_loss import independent_losses, partition_losses

MOST_GROUPS = 10
CANDIDATE_DRAWS = 200


@dataclass(frozen=True, eq=False)
class PointPartition:
    """The partition with the smallest posterior expected loss among the candidates.

    Attributes
    ----------
    labels : DataArray, dims (unit,)
        Group of each unit, 0 to K - 1, ordered by mean effect.
    source : str
        Where the partition came from: ``"discovered"`` (the profile), ``"most probable"``
        (each unit in its most probable subgroup), ``"average linkage"`` or ``"complete linkage"``
        (a cut of the similarity matrix), or ``"draw"``.
    losses : DataArray, dims (chain, draw)
        Variation of information between this partition and each draw's, in bits.
    expected_loss : float
        Their average.
    independent_loss : float
        The average if the draws had nothing in common with this partition: the yardstick for
        `expected_loss`.
    agreement : float
        Adjusted Rand index with the discovered subgroups; 1 is identity, 0 is chance.
    candidates : DataFrame
        One row per source: number of ``candidates`` from it, ``groups`` and ``expected_loss`` of
        its best, ``chosen``.
    """

    labels: xr.DataArray
    source: str
    losses: xr.DataArray
    expected_loss: float
    independent_loss: float
    agreement: float
    candidates: pd.DataFrame

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of units in each group."""
        return group_sizes(self.labels.to_numpy())


def point_partition(
    clustered: CoClustering, *, candidate_draws: int = CANDIDATE_DRAWS
) -> PointPartition:
    """Choose the partition closest to the posterior on average.

    Candidates are the discovered subgroups, the most probable subgroup of each unit, cuts of the
    similarity matrix (average and complete linkage, 1 to 10 groups), and partitions of single
    draws. Every candidate is compared with *every* draw by the variation of information, which
    does not favour small extra groups; only some draws are candidates, as a single draw is rarely
    near the middle of many.

    Parameters
    ----------
    clustered : CoClustering
        Partitions and their similarity matrix.
    candidate_draws : int, default 200
        Draws, evenly spaced, whose partitions are candidates; 0 for none.

    Returns
    -------
    PointPartition
        Of equally good candidates the first in the order above.

    Raises
    ------
    SpecError
        If `candidate_draws` is not a whole number, 0 or more.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> from bayes_hte.subgroups import co_clustering, point_partition
    >>> trial = hte.simulate_mediation(np.random.default_rng(1), n=100)
    >>> roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
    >>> study = hte.Study.from_frame(trial.frame, **roles)
    >>> effect = xr.DataArray([[trial.effects["te"]] * 20], dims=["chain", "draw", "unit"])
    >>> groups = hte.m_learner(effect, study, seed=1, largest_k=2)
    >>> point = point_partition(co_clustering(effect, groups, seed=1))
    >>> point.sizes, point.agreement
    ((44, 56), 1.0)
    """
    check_number(
        "candidate_draws",
        candidate_draws,
        "a whole number, 0 or more",
        lambda n: n >= 0,
        whole=True,
    )
    draws = clustered.partitions.to_numpy().reshape(-1, clustered.partitions.sizes[UNIT])
    found = _candidates(clustered, draws, candidate_draws)
    partitions = np.concatenate(list(found.values()))
    # Source by source: tables of counts are as large as the largest number of groups in them.
    losses = np.concatenate([partition_losses(p, draws) for p in found.values()])
    expected = losses.mean(axis=1)
    best = int(expected.argmin())
    labels = _by_mean_effect(partitions[best], clustered.mean_effect.to_numpy())
    table = _candidate_table(found, expected, best)
    of_draws = clustered.partitions.isel({UNIT: 0}, drop=True)
    return PointPartition(
        labels=clustered.discovered.copy(data=labels).rename("group"),
        source=str(table.index[table["chosen"]][0]),
        losses=of_draws.copy(data=losses[best].reshape(of_draws.shape)).rename("loss"),
        expected_loss=float(expected[best]),
        independent_loss=float(independent_losses(labels, draws).mean()),
        agreement=float(adjusted_rand_score(clustered.discovered.to_numpy(), labels)),
        candidates=table,
    )


def heat_map_tables(
    clustered: CoClustering, point: PointPartition, *, most_units: int = 400
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Put units in the order of a heat map: by group, then by mean effect.

    Parameters
    ----------
    clustered : CoClustering
        The similarity matrix.
    point : PointPartition
        The groups.
    most_units : int, default 400
        Of more units, this number is kept, evenly spaced in that order.

    Returns
    -------
    similarity : DataFrame, shape (unit, unit)
    units : DataFrame
        In the same order; index ``unit``; ``group``, ``certainty`` (largest membership
        probability) and ``mean_effect``.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> from bayes_hte.subgroups import co_clustering, heat_map_tables, point_partition
    >>> trial = hte.simulate_mediation(np.random.default_rng(1), n=100)
    >>> roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
    >>> study = hte.Study.from_frame(trial.frame, **roles)
    >>> effect = xr.DataArray([[trial.effects["te"]] * 20], dims=["chain", "draw", "unit"])
    >>> groups = hte.m_learner(effect, study, seed=1, largest_k=2)
    >>> clustered = co_clustering(effect, groups, seed=1)
    >>> similarity, units = heat_map_tables(clustered, point_partition(clustered), most_units=10)
    >>> similarity.shape, units["group"].is_monotonic_increasing
    ((10, 10), True)
    """
    labels, means = point.labels.to_numpy(), clustered.mean_effect.to_numpy()
    order = np.lexsort((means, labels))
    if len(order) > most_units:
        order = order[np.linspace(0, len(order) - 1, most_units).round().astype(int)]
    units = clustered.discovered.get_index(UNIT)[order].to_flat_index()
    return (
        pd.DataFrame(clustered.similarity.to_numpy()[np.ix_(order, order)], units, units),
        pd.DataFrame(
            {
                "group": labels[order],
                "certainty": clustered.membership.max(SUBGROUP).to_numpy()[order],
                "mean_effect": means[order],
            },
            index=units.rename(UNIT),
        ),
    )


def group_sizes(labels: np.ndarray) -> tuple[int, ...]:
    """Count the units of each group that is not empty.

    Parameters
    ----------
    labels : ndarray of int, shape (unit,)

    Returns
    -------
    tuple of int
        In the order of the labels.
    """
    return tuple(int(n) for n in np.bincount(labels) if n)


def _candidates(
    clustered: CoClustering, draws: np.ndarray, candidate_draws: int
) -> dict[str, np.ndarray]:
    """Return the partitions by source, each shape (partition, unit)."""
    # Linkage works on the condensed form of the dissimilarities.
    apart = squareform(1.0 - clustered.similarity.to_numpy(), checks=False)
    found = {
        "discovered": clustered.discovered.to_numpy()[np.newaxis],
        "most probable": clustered.membership.argmax(SUBGROUP).to_numpy()[np.newaxis],
    }
    largest = min(MOST_GROUPS, draws.shape[1])
    for method in ("average", "complete"):
        tree = linkage(apart, method=method)
        cuts = [fcluster(tree, k, criterion="maxclust") - 1 for k in range(1, largest + 1)]
        found[f"{method} linkage"] = np.stack(cuts)
    if candidate_draws:
        kept = np.linspace(0, len(draws) - 1, min(candidate_draws, len(draws))).round().astype(int)
        found["draw"] = np.unique(draws[kept], axis=0)
    return {source: np.asarray(p, dtype=np.int8) for source, p in found.items()}


def _candidate_table(found: dict[str, np.ndarray], expected: np.ndarray, best: int) -> pd.DataFrame:
    ends = np.cumsum([len(p) for p in found.values()])
    rows = []
    for (source, partitions), end in zip(found.items(), ends, strict=True):
        start = end - len(partitions)
        at = int(expected[start:end].argmin())
        rows.append(
            {
                "source": source,
                "candidates": len(partitions),
                "groups": len(group_sizes(partitions[at])),
                "expected_loss": float(expected[start + at]),
                "chosen": bool(start <= best < end),
            }
        )
    return pd.DataFrame(rows).set_index("source")


def _by_mean_effect(labels: np.ndarray, mean_effect: np.ndarray) -> np.ndarray:
    """Number the groups 0, 1, ... from the lowest mean effect to the highest."""
    _, inverse = np.unique(labels, return_inverse=True)
    means = np.bincount(inverse, weights=mean_effect) / np.bincount(inverse)
    return np.argsort(np.argsort(means))[inverse]
