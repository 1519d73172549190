"""The choice of units to treat: effects by bucket, ranks, uplift and Qini curves, policies.

Functions of one contrast take a posterior of unit-level effects, dims (chain, draw, unit), and
return draws; those of the best of several arms take potential outcomes.
"""

from __future__ import annotations

from bayes_hte.targeting.best_arm import (
    best_arms,
    choice_regret,
    choices_table,
    probability_best,
    regret_by_arm,
)
from bayes_hte.targeting.buckets import BucketEffects, effect_by_bucket
from bayes_hte.targeting.calibration import Calibration, Uplift, calibration_by_bins, uplift_at
from bayes_hte.targeting.curves import TargetingCurve, implied_qini, implied_toc, qini, toc
from bayes_hte.targeting.policy import PolicyValue, policy_value
from bayes_hte.targeting.ranking import RankUncertainty, rank_uncertainty

__all__ = [
    "BucketEffects",
    "Calibration",
    "PolicyValue",
    "RankUncertainty",
    "TargetingCurve",
    "Uplift",
    "best_arms",
    "calibration_by_bins",
    "choice_regret",
    "choices_table",
    "effect_by_bucket",
    "implied_qini",
    "implied_toc",
    "policy_value",
    "probability_best",
    "qini",
    "rank_uncertainty",
    "regret_by_arm",
    "toc",
    "uplift_at",
]
