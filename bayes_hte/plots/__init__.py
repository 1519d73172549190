"""Figures: they draw numbers that are already computed, and return the matplotlib Figure.

Every function takes its data first, then only keywords, among them ``title`` and ``ax``. The one
computation done here is the density estimate where the density is the figure.
"""

from bayes_hte.plots.agreement import plot_agreement
from bayes_hte.plots.arm_choice import plot_best_arms
from bayes_hte.plots.calibration import plot_calibration
from bayes_hte.plots.caterpillar import plot_caterpillar
from bayes_hte.plots.coclustering import plot_co_clustering
from bayes_hte.plots.densities import plot_densities
from bayes_hte.plots.distribution import plot_distribution
from bayes_hte.plots.identified_levels import plot_identifiability
from bayes_hte.plots.loo_pit import plot_loo_pit
from bayes_hte.plots.love import plot_love
from bayes_hte.plots.membership import plot_membership
from bayes_hte.plots.modifier_importance import plot_modifier_importance
from bayes_hte.plots.modifiers import plot_modifier
from bayes_hte.plots.overlap import plot_overlap
from bayes_hte.plots.profile_tree import plot_profile_tree
from bayes_hte.plots.rho import plot_rho
from bayes_hte.plots.style import Drawing
from bayes_hte.plots.subgroup_forest import plot_subgroup_forest
from bayes_hte.plots.survival import plot_survival
from bayes_hte.plots.targeting_curve import plot_targeting_curve
from bayes_hte.plots.tipping import plot_tipping
from bayes_hte.plots.weights import plot_weights

__all__ = [
    "Drawing",
    "plot_agreement",
    "plot_best_arms",
    "plot_calibration",
    "plot_caterpillar",
    "plot_co_clustering",
    "plot_densities",
    "plot_distribution",
    "plot_identifiability",
    "plot_loo_pit",
    "plot_love",
    "plot_membership",
    "plot_modifier",
    "plot_modifier_importance",
    "plot_overlap",
    "plot_profile_tree",
    "plot_rho",
    "plot_subgroup_forest",
    "plot_survival",
    "plot_targeting_curve",
    "plot_tipping",
    "plot_weights",
]
