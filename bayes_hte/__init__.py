"""Bayesian heterogeneous treatment effects for applied health research.

For whom does the treatment work, through what, and how sure are we? ``fit`` a :class:`Study`, take
its effects, find subgroups with :func:`m_learner`, and write a :func:`report`. Names are imported
when first used, so ``import bayes_hte`` loads neither PyMC nor matplotlib.
"""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import Any

_EXPORTS: dict[str, tuple[str, ...]] = {
    "study": ("Roles", "Study"),
    "spec": ("Spec",),
    "study_file": ("load_spec",),
    "plan": ("Plan",),
    "fitted_study": ("Fit",),
    "fitting": ("fit",),
    "saved_fit": ("load_fit", "save_fit"),
    "prior_fit": ("fit_prior",),
    "estimator": ("EffectEstimator",),
    "groups": ("gate", "group_average"),
    "effects": (
        "average",
        "cate",
        "controlled_direct_effect",
        "decompose",
        "probability_of_benefit",
        "proportion_mediated",
        "pure_natural_direct",
        "pure_natural_indirect",
        "total_effect",
        "total_natural_direct",
        "total_natural_indirect",
    ),
    "summaries": ("interval_words", "summarize"),
    "comparison": ("compare_effects",),
    "subgroups": ("Subgroups", "honest_m_learner", "m_learner", "subgroup_effects_table"),
    "checks.class_counts": ("compare_class_counts",),
    "checks.null_studies": ("calibrate_subgroups",),
    "simulation": ("simulate_mediation", "simulate_scenario"),
    "latent": ("MixtureFit", "count_classes", "fit_mixture"),
    "datasets": ("load_frame", "load_jobs2", "load_randhie"),
    "results": ("Results",),
    "companions": (
        "balance",
        "compare_balance",
        "iptw",
        "match_nearest",
        "overlap_report",
        "trim",
    ),
    "targeting": (
        "calibration_by_bins",
        "effect_by_bucket",
        "policy_value",
        "qini",
        "rank_uncertainty",
        "toc",
        "uplift_at",
    ),
    "mixtures": (
        "identifiability",
        "mixture_data",
        "moment_posterior",
        "solve_mixture",
        "solve_moments",
    ),
    "checking": ("verdict",),
    "trust": ("Trust",),
    "run": ("Run", "report_from_saved", "run_study"),
    "reporting": ("report",),
    "errors": (
        "BayesHTEError",
        "DataError",
        "MissingDependencyError",
        "NotIdentifiedError",
        "SamplingError",
        "SavedResultError",
        "SpecError",
        "UnsupportedError",
    ),
}
_HOME = {name: module for module, names in _EXPORTS.items() for name in names}

__version__ = metadata.version("bayes-hte")
__all__ = [*sorted(_HOME), "__version__"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'bayes_hte' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"bayes_hte.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
