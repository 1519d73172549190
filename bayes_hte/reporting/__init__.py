"""The posterior report: one HTML file and the CSV tables behind it."""

from bayes_hte.reporting.document import report
from bayes_hte.reporting.effect_tables import (
    average_effects,
    effect_distribution,
    individual_effects,
    who_benefits,
)
from bayes_hte.reporting.methods_text import MethodsText, methods
from bayes_hte.reporting.modifier_tables import modifier_effects
from bayes_hte.reporting.tables import all_tables, propensity_shares, write_tables

__all__ = [
    "MethodsText",
    "all_tables",
    "average_effects",
    "effect_distribution",
    "individual_effects",
    "methods",
    "modifier_effects",
    "propensity_shares",
    "report",
    "who_benefits",
    "write_tables",
]
