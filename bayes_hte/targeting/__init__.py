"""The choice of units to treat: effects by bucket, ranks, uplift and Qini curves, policies.

Every function takes a posterior of unit-level effects, dims (chain, draw, unit), and returns draws.
"""

from __future__ import annotations

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
    "calibration_by_bins",
    "effect_by_bucket",
    "implied_qini",
    "implied_toc",
    "policy_value",
    "qini",
    "rank_uncertainty",
    "toc",
    "uplift_at",
]
