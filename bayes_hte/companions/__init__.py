"""Classical companions of a Bayesian analysis: overlap, matching, weighting, balance.

They take a plain frame with a 0/1 treatment and a propensity, from any model, and answer in a
table; with posterior draws of the propensity the weighted estimate has draws as well.
"""

from __future__ import annotations

from bayes_hte.companions.covariate_balance import balance, compare_balance
from bayes_hte.companions.curves import at_risk, follow_up, observed_survival
from bayes_hte.companions.hazards import compare_hazards
from bayes_hte.companions.incidence import observed_incidence
from bayes_hte.companions.jackknife import pseudo_observations
from bayes_hte.companions.matching import MatchedEffect, match_nearest
from bayes_hte.companions.overlap import OverlapReport, Trimmed, overlap_report, trim
from bayes_hte.companions.restricted_means import restricted_means
from bayes_hte.companions.scores import effect_scores
from bayes_hte.companions.weighting import WeightedEffect, iptw

__all__ = [
    "MatchedEffect",
    "OverlapReport",
    "Trimmed",
    "WeightedEffect",
    "at_risk",
    "balance",
    "compare_balance",
    "compare_hazards",
    "effect_scores",
    "follow_up",
    "iptw",
    "match_nearest",
    "observed_incidence",
    "observed_survival",
    "overlap_report",
    "pseudo_observations",
    "restricted_means",
    "trim",
]
