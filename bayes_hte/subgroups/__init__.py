"""The M-learner: observed subgroups of units with similar effects, with uncertain membership."""

from bayes_hte.subgroups.ball import CredibleBall, credible_ball
from bayes_hte.subgroups.coclustering import CoClustering, co_clustering
from bayes_hte.subgroups.conditions import Condition
from bayes_hte.subgroups.contrasts import Contrasts, leaf_contrasts, subgroup_contrasts
from bayes_hte.subgroups.discovery import m_learner
from bayes_hte.subgroups.effect_table import subgroup_effects_table
from bayes_hte.subgroups.embedding import Tsne
from bayes_hte.subgroups.evidence import Evidence, evidence
from bayes_hte.subgroups.explained import explained_share
from bayes_hte.subgroups.extremes import find_extremes
from bayes_hte.subgroups.halves import honest_m_learner, split_in_halves
from bayes_hte.subgroups.honest import HonestFold, HonestSubgroups, honest_subgroups
from bayes_hte.subgroups.partition import PointPartition, heat_map_tables, point_partition
from bayes_hte.subgroups.profile import Node, Profile
from bayes_hte.subgroups.result import Subgroups
from bayes_hte.subgroups.stability import Stability, discovery_stability

__all__ = [
    "CoClustering",
    "Condition",
    "Contrasts",
    "CredibleBall",
    "Evidence",
    "HonestFold",
    "HonestSubgroups",
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
    "subgroup_contrasts",
    "subgroup_effects_table",
]
