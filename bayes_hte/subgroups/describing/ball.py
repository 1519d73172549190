"""The uncertainty of a point partition: the ball around it that holds most of the posterior.

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
from scipy.optimize import linear_sum_assignment
from sklearn.metrics.cluster import contingency_matrix

from bayes_hte.effects.arguments import check_share
from bayes_hte.errors import DataError
from bayes_hte.names import SAMPLE, UNIT
from bayes_hte.subgroups.describing.coclustering import CoClustering
from bayes_hte.subgroups.describing.partition import PointPartition, group_sizes

BOUND = "bound"


@dataclass(frozen=True, eq=False)
class CredibleBall:
    """The smallest ball around the point partition that holds a share of the draws' partitions.

    Attributes
    ----------
    probability : float
        Smallest share of the draws that the ball may hold.
    radius : float
        Largest loss inside, in bits.
    content : float
        Share of the draws inside; above `probability` where many draws are equally far.
    independent_loss : float
        Average loss if draws and point partition had nothing in common: with a radius near it the
        posterior barely says which units belong together.
    edge : DataFrame
        Partitions at the edge. Index ``bound``: ``horizontal`` (of all inside, the
        furthest), ``fewest groups`` and ``most groups`` (of those inside with so few or so many,
        the furthest). Columns: ``loss``, ``groups``, ``sizes`` (units in each group, as text),
        ``moved`` (share of units in another group than in the point partition, after matching
        groups as well as possible).
    partitions : DataArray, dims (bound, unit)
        These partitions; numbers of groups as in the draws.
    """

    probability: float
    radius: float
    content: float
    independent_loss: float
    edge: pd.DataFrame
    partitions: xr.DataArray


def credible_ball(
    clustered: CoClustering, point: PointPartition, *, probability: float = 0.95
) -> CredibleBall:
    """Build the credible ball around a point partition.

    Parameters
    ----------
    clustered : CoClustering
        The draws' partitions.
    point : PointPartition
        Centre of the ball, chosen from the same `clustered`.
    probability : float, default 0.95
        Posterior probability the ball must hold.

    Returns
    -------
    CredibleBall

    Raises
    ------
    SpecError
        If `probability` is not between 0 and 1.
    DataError
        If the point partition is of other units or draws.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> from bayes_hte.subgroups import co_clustering, credible_ball, point_partition
    >>> trial = hte.simulate_mediation(np.random.default_rng(1), n=100)
    >>> roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
    >>> study = hte.Study.from_frame(trial.frame, **roles)
    >>> effect = xr.DataArray([[trial.effects["te"]] * 20], dims=["chain", "draw", "unit"])
    >>> groups = hte.m_learner(effect, study, seed=1, largest_k=2)
    >>> clustered = co_clustering(effect, groups, seed=1)
    >>> ball = credible_ball(clustered, point_partition(clustered))
    >>> abs(ball.radius), ball.edge["groups"].tolist()
    (0.0, [2, 2, 2])
    """
    check_share("probability", probability, hint="try 0.95")
    partitions = clustered.partitions
    same_draws = {d: partitions.sizes[d] for d in SAMPLE} == dict(point.losses.sizes)
    if not same_draws or not point.labels[UNIT].equals(partitions[UNIT]):
        raise DataError(
            "the point partition is not of these units and draws; make it with "
            "point_partition(clustered)."
        )
    losses = point.losses.to_numpy().ravel()
    draws = partitions.to_numpy().reshape(losses.size, -1)
    # The ball is closed and its edge is a draw: no interpolation between losses.
    radius = float(np.quantile(losses, probability, method="inverted_cdf"))
    inside = losses <= radius
    at = _edge_draws(losses, np.array([len(group_sizes(d)) for d in draws]), inside)
    labels = point.labels.to_numpy()
    edge = pd.DataFrame(
        {
            "loss": [float(losses[i]) for i in at.values()],
            "groups": [len(group_sizes(draws[i])) for i in at.values()],
            "sizes": [", ".join(map(str, group_sizes(draws[i]))) for i in at.values()],
            "moved": [_moved(labels, draws[i]) for i in at.values()],
        },
        index=pd.Index(list(at), name=BOUND),
    )
    return CredibleBall(
        probability=probability,
        radius=radius,
        content=float(inside.mean()),
        independent_loss=point.independent_loss,
        edge=edge,
        partitions=xr.DataArray(
            draws[list(at.values())],
            dims=(BOUND, UNIT),
            coords={BOUND: list(at), UNIT: partitions[UNIT]},
            name="group",
        ),
    )


def _edge_draws(losses: np.ndarray, n_groups: np.ndarray, inside: np.ndarray) -> dict[str, int]:
    """Return the positions of the draws that bound the ball; of equally far ones the first."""

    def furthest(among: np.ndarray) -> int:
        return int(np.where(among, losses, -1.0).argmax())

    return {
        "horizontal": furthest(inside),
        "fewest groups": furthest(inside & (n_groups == n_groups[inside].min())),
        "most groups": furthest(inside & (n_groups == n_groups[inside].max())),
    }


def _moved(first: np.ndarray, second: np.ndarray) -> float:
    """Return the share of units in different groups, under the best matching of groups."""
    counts = contingency_matrix(first, second)
    stayed = counts[linear_sum_assignment(counts, maximize=True)].sum()
    return float(1.0 - stayed / first.size)
