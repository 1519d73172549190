"""The posterior report: one HTML file and the CSV tables behind it."""

from bayes_hte.reporting.collected import all_tables, propensity_shares, write_tables
from bayes_hte.reporting.document import report
from bayes_hte.reporting.methods.paragraphs import MethodsText, methods
from bayes_hte.reporting.tables.effects import (
    average_effects,
    effect_distribution,
    individual_effects,
    who_benefits,
)
from bayes_hte.reporting.tables.mixtures import level_grid
from bayes_hte.reporting.tables.modifiers import modifier_effects
from bayes_hte.reporting.tables.subgroups import membership_strip, tree_outline
from bayes_hte.reporting.tables.trust import weight_shares

__all__ = [
    "MethodsText",
    "all_tables",
    "average_effects",
    "effect_distribution",
    "individual_effects",
    "level_grid",
    "membership_strip",
    "methods",
    "modifier_effects",
    "propensity_shares",
    "report",
    "tree_outline",
    "weight_shares",
    "who_benefits",
    "write_tables",
]
