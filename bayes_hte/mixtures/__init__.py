"""Mixtures of treatment effects: classes found from averages of two groups of proxies.

Some heterogeneity is between classes: every unit belongs to a class that nobody measured
(elsewhere called a latent or hidden class), and the class may confound treatment and outcome. With
proxies of the class on the treatment side (Z) and on the outcome side (X), averages by arm identify
the class effects and class probabilities, provided the declared graph allows it; a class effect is
a mean, and does not describe variation within the class.

Start with :func:`identifiability` (the quantities that the declared graph identifies), then
:func:`mixture_data` and :func:`moment_posterior`; :func:`fit_mixture` samples the likelihood and
compares both. :func:`solve_moments` solves given tables. Exports are resolved on first use, so this
package is light to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

_NAMES_OF: Final[dict[str, tuple[str, ...]]] = {
    "class_counts": ("ClassCount", "compare_class_counts", "count_classes"),
    "identification": ("Identifiability", "identifiability"),
    "likelihood.fitting": ("fit_mixture",),
    "likelihood.labels": ("ClassLabels",),
    "likelihood.law": ("class_means", "collapse"),
    "likelihood.maximum": ("maximum_likelihood",),
    "likelihood.mixture_fit": ("MixtureFit",),
    "likelihood.model": ("MixturePriors",),
    "moments.data": ("MixtureData", "empirical_moments", "mixture_arrays", "mixture_data"),
    "moments.diagnostics": ("MixtureDiagnostics",),
    "moments.pencil": ("solve_moments_pencil",),
    "moments.posterior": ("MomentPosterior", "moment_posterior"),
    "moments.simulated": ("MixtureDesign", "draw_frame", "paper_design", "population_moments"),
    "moments.solution": ("MixtureSolution", "solve_mixture", "solve_moments"),
    "moments.start": ("StartingValues", "starting_values"),
    "moments.tables": ("Moments",),
    "proxies.bases": ("QuantileBins", "Ranks", "Splines"),
}
_EXPORTS = {name: module for module, names in _NAMES_OF.items() for name in names}

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    """Import an exported name on first use."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    """List the exported names."""
    return __all__
