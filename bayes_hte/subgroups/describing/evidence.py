"""What the posterior says about found subgroups beyond their mean effects, in one object."""

from __future__ import annotations

from dataclasses import dataclass

import xarray as xr

from bayes_hte.names import SUBGROUP
from bayes_hte.study.study import Study
from bayes_hte.subgroups.describing.ball import CredibleBall, credible_ball
from bayes_hte.subgroups.describing.coclustering import CoClustering, co_clustering
from bayes_hte.subgroups.describing.contrasts import Contrasts, leaf_contrasts
from bayes_hte.subgroups.describing.explained import explained_share
from bayes_hte.subgroups.describing.partition import PointPartition, point_partition
from bayes_hte.subgroups.finding.result import Subgroups


@dataclass(frozen=True, eq=False)
class Evidence:
    """How well found subgroups summarise the individual effects.

    Attributes
    ----------
    explained : DataArray, dims (chain, draw)
        Share of the variance of individual effects that the leaves of the profile explain.
    contrasts : Contrasts
        Differences between leaves.
    clustered : CoClustering
        How often two units are in the same subgroup.
    partition : PointPartition
        The partition with the smallest expected variation of information.
    ball : CredibleBall
        The 95% credible ball around it.
    """

    explained: xr.DataArray
    contrasts: Contrasts
    clustered: CoClustering
    partition: PointPartition
    ball: CredibleBall


def evidence(
    effect: xr.DataArray, study: Study, groups: Subgroups, *, seed: int
) -> Evidence | None:
    """Describe found subgroups by the draws of the effect.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit)
        The effect they were found in.
    study : Study
        Its units.
    groups : Subgroups
        What the M-learner found.
    seed : int
        Of the units compared where there are many.

    Returns
    -------
    Evidence or None
        None if there is one subgroup only.
    """
    if groups.effects.sizes[SUBGROUP] < 2:
        return None
    clustered = co_clustering(effect, groups, seed=seed)
    partition = point_partition(clustered)
    leaves = groups.profile.assign_leaves(study.covariate_frame())
    return Evidence(
        explained=explained_share(effect, leaves),
        contrasts=leaf_contrasts(effect, study, groups.profile, margin=groups.margin),
        clustered=clustered,
        partition=partition,
        ball=credible_ball(clustered, partition),
    )
