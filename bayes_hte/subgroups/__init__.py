"""The M-learner: observed subgroups of units with similar effects, with uncertain membership."""

from bayes_hte.subgroups.describing.ball import CredibleBall, credible_ball
from bayes_hte.subgroups.describing.coclustering import CoClustering, co_clustering
from bayes_hte.subgroups.describing.contrasts import Contrasts, leaf_contrasts
from bayes_hte.subgroups.describing.effect_table import subgroup_effects_table, subgroup_labels
from bayes_hte.subgroups.describing.evidence import Evidence, evidence
from bayes_hte.subgroups.describing.explained import explained_share
from bayes_hte.subgroups.describing.partition import (
    PointPartition,
    heat_map_tables,
    point_partition,
)
from bayes_hte.subgroups.finding.conditions import Condition
from bayes_hte.subgroups.finding.discovery import subgroups_of_draws
from bayes_hte.subgroups.finding.embedding import Tsne
from bayes_hte.subgroups.finding.profile import Node, Profile
from bayes_hte.subgroups.finding.result import Subgroups
from bayes_hte.subgroups.finding.stability import Stability, discovery_stability
from bayes_hte.subgroups.honest.extremes import find_extremes
from bayes_hte.subgroups.honest.folds import HonestFold, HonestSubgroups, honest_subgroups
from bayes_hte.subgroups.honest.halves import honest_m_learner, split_in_halves
from bayes_hte.subgroups.judged import JudgedSubgroups, m_learner
from bayes_hte.subgroups.nulls.stand_in import stand_in_refit

__all__ = [
    "CoClustering",
    "Condition",
    "Contrasts",
    "CredibleBall",
    "Evidence",
    "HonestFold",
    "HonestSubgroups",
    "JudgedSubgroups",
    "Node",
    "PointPartition",
    "Profile",
    "Stability",
    "Subgroups",
    "Tsne",
    "co_clustering",
    "credible_ball",
    "discovery_stability",
    "evidence",
    "explained_share",
    "find_extremes",
    "heat_map_tables",
    "honest_m_learner",
    "honest_subgroups",
    "leaf_contrasts",
    "m_learner",
    "point_partition",
    "split_in_halves",
    "stand_in_refit",
    "subgroup_effects_table",
    "subgroup_labels",
    "subgroups_of_draws",
]
