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
    "study.study": ("Roles", "Study"),
    "study.spec": ("Spec",),
    "study.spec_file": ("load_spec",),
    "fitting.plan": ("Plan",),
    "fitting.fitted": ("Fit",),
    "fitting.stages": ("fit",),
    "fitting.predicting": ("predict_effects",),
    "fitting.predicted_files": ("PredictedEffects",),
    "fitting.saved": ("load_fit", "save_fit"),
    "fitting.from_priors": ("fit_prior",),
    "fitting.curves": ("survival_curves",),
    "fitting.hazard_check": ("check_against_hazards",),
    "fitting.incidence_check": ("check_incidence",),
    "fitting.other_population": ("Transport", "transport"),
    "estimator": ("EffectEstimator",),
    "effects.groups": ("gate", "group_average"),
    "effects.averages": ("average", "probability_of_benefit", "proportion_mediated"),
    "effects.contrasts": (
        "cate",
        "controlled_direct_effect",
        "decompose",
        "pure_natural_direct",
        "pure_natural_indirect",
        "total_effect",
        "total_natural_direct",
        "total_natural_indirect",
    ),
    "effects.interventional": (
        "effects_given_confounder",
        "interventional_effects",
        "path_effects",
    ),
    "effects.summaries": ("interval_words", "summarize"),
    "effects.comparison": ("compare_effects",),
    "subgroups": (
        "HonestSubgroups",
        "JudgedSubgroups",
        "Subgroups",
        "honest_m_learner",
        "m_learner",
        "subgroup_effects_table",
    ),
    "mixtures.class_counts": ("compare_class_counts", "count_classes"),
    "checks.null_studies": ("calibrate_subgroups",),
    "study.simulation": ("simulate_mediation", "simulate_scenario"),
    "mixtures.likelihood.fitting": ("fit_mixture",),
    "mixtures.likelihood.mixture_fit": ("MixtureFit",),
    "study.datasets": (
        "load_frame",
        "load_jobs2",
        "load_randhie",
        "load_resistance",
        "resistance_classes",
    ),
    "reporting.results": ("Results",),
    "companions": (
        "balance",
        "compare_balance",
        "iptw",
        "match_nearest",
        "observed_incidence",
        "observed_survival",
        "overlap_report",
        "compare_hazards",
        "trim",
    ),
    "targeting": (
        "best_arms",
        "calibration_by_bins",
        "choice_regret",
        "choices_table",
        "effect_by_bucket",
        "policy_value",
        "probability_best",
        "qini",
        "rank_uncertainty",
        "regret_by_arm",
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
    "trust.checking": ("verdict",),
    "trust.rule": ("Trust",),
    "runs.run": ("Run", "report_from_saved", "run_study"),
    "reporting": ("report",),
    "errors": (
        "BayesHTEError",
        "DataError",
        "MissingDependencyError",
        "NotIdentifiedError",
        "NotJudgedError",
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
