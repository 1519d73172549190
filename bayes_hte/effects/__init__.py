"""Arithmetic on potential outcomes: contrasts, averages, groups, comparisons and summaries."""

from bayes_hte.effects.arguments import Better
from bayes_hte.effects.averages import average, probability_of_benefit, proportion_mediated
from bayes_hte.effects.comparison import compare_effects
from bayes_hte.effects.contrasts import (
    cate,
    check_potential_outcomes,
    controlled_direct_effect,
    decompose,
    own_mediator,
    pure_natural_direct,
    pure_natural_indirect,
    total_effect,
    total_natural_direct,
    total_natural_indirect,
)
from bayes_hte.effects.groups import gate, group_average
from bayes_hte.effects.interventional import (
    effects_given_confounder,
    interventional_effects,
    path_effects,
)
from bayes_hte.effects.summaries import interval_words, summarize

__all__ = [
    "Better",
    "average",
    "cate",
    "check_potential_outcomes",
    "compare_effects",
    "controlled_direct_effect",
    "decompose",
    "effects_given_confounder",
    "gate",
    "group_average",
    "interval_words",
    "interventional_effects",
    "own_mediator",
    "path_effects",
    "probability_of_benefit",
    "proportion_mediated",
    "pure_natural_direct",
    "pure_natural_indirect",
    "summarize",
    "total_effect",
    "total_natural_direct",
    "total_natural_indirect",
]
