"""Assumptions whose failure would change the answer: E-values, tipping points, rho, censoring.

Each analysis is a posterior: the strength that a confounder which nobody measured would need is
computed in every draw and summarised last. None of them can show that such a confounder is absent.
"""

from __future__ import annotations

from bayes_hte.sensitivity.e_values import MEASURE_OF_FAMILY, EValue, e_value, e_value_of_ratio
from bayes_hte.sensitivity.of_study import Sensitivity, sensitivity
from bayes_hte.sensitivity.rho import MediationRho, mediation_rho, rho_sensitivity
from bayes_hte.sensitivity.tipping import TippingPoint, benchmark_covariates, tipping_point
from bayes_hte.sensitivity.unseen_times import informative_censoring

__all__ = [
    "MEASURE_OF_FAMILY",
    "EValue",
    "MediationRho",
    "Sensitivity",
    "TippingPoint",
    "benchmark_covariates",
    "e_value",
    "e_value_of_ratio",
    "informative_censoring",
    "mediation_rho",
    "rho_sensitivity",
    "sensitivity",
    "tipping_point",
]
