"""The evidence of the posterior on subgroups, beyond their mean effects, in one object."""

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
    """Measures of how well subgroups summarise the individual effects.

    Attributes
    ----------
    explained : DataArray, dims (chain, draw)
        Share of the variance of individual effects that the leaves of the profile explain.
    contrasts : Contrasts
        Differences between leaves.
    clustered : CoClustering
        The share of draws in which two units are in the same subgroup.
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
    """Describe subgroups by the draws of the effect.

    Parameters
    ----------
    effect : DataArray, dims (chain, draw, unit)
        The effect that they were found with.
    study : Study
        Its units.
    groups : Subgroups
        The result of the M-learner.
    seed : int
        Seed of the sample of units that are compared, where there are many.

    Returns
    -------
    Evidence or None
        None if there is one subgroup only.

    Raises
    ------
    DataError
        If the effect, the study and the subgroups do not belong together.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> import bayes_hte as hte
    >>> from bayes_hte.subgroups import evidence
    >>> trial = hte.simulate_mediation(np.random.default_rng(1), n=100)
    >>> roles = {"outcome": "y", "treatment": "treat", "covariates": ["x1", "x2"]}
    >>> study = hte.Study.from_frame(trial.frame, **roles)
    >>> effect = xr.DataArray([[trial.effects["te"]] * 20], dims=["chain", "draw", "unit"])
    >>> groups = hte.m_learner(effect, study, seed=1, largest_k=2)
    >>> found = evidence(effect, study, groups, seed=1)
    >>> found.partition.sizes, found.contrasts.table["mean"].round(2).tolist()
    ((44, 56), [1.26])
    """
    if groups.effects.sizes[SUBGROUP] < 2:
        return None
    clustered = co_clustering(effect, groups, seed=seed)
    partition = point_partition(clustered)
    leaves = groups.profile.assign_leaves(study.filled_covariates())
    return Evidence(
        explained=explained_share(effect, leaves),
        contrasts=leaf_contrasts(effect, study, groups.profile, margin=groups.margin),
        clustered=clustered,
        partition=partition,
        ball=credible_ball(clustered, partition),
    )
