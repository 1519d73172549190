"""Figures: they draw numbers that are already computed, and return the matplotlib Figure.

Every function takes its data first, then only keywords, among them ``title`` and ``ax``. The one
computation done here is the density estimate where the density is the figure.
"""

from bayes_hte.plots.caterpillar import plot_caterpillar
from bayes_hte.plots.densities import plot_densities
from bayes_hte.plots.distribution import plot_distribution
from bayes_hte.plots.membership import plot_membership
from bayes_hte.plots.modifiers import plot_modifier
from bayes_hte.plots.overlap import plot_overlap
from bayes_hte.plots.profile_tree import plot_profile_tree
from bayes_hte.plots.subgroup_forest import plot_subgroup_forest

__all__ = [
    "plot_caterpillar",
    "plot_densities",
    "plot_distribution",
    "plot_membership",
    "plot_modifier",
    "plot_overlap",
    "plot_profile_tree",
    "plot_subgroup_forest",
]
