"""Mixtures of treatment effects: latent classes found from averages of two groups of proxies.

Some heterogeneity is latent: every unit belongs to a class that nobody measured, and the class may
confound treatment and outcome. With proxies of the class on the treatment side (Z) and on the
outcome side (X), averages by arm identify the class effects and class probabilities, provided the
declared graph allows it; a class effect is a mean, and says nothing about variation within the
class.

Start with :func:`identifiability` (what the declared graph identifies), then
:func:`mixture_data` and :func:`moment_posterior`. :func:`solve_moments` solves given tables.
Exports are resolved on first use, so this package is light to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_EXPORTS = {
    "ClassCount": "class_counts",
    "ClassLabels": "likelihood.labels",
    "MixtureFit": "likelihood.mixture_fit",
    "count_classes": "class_counts",
    "fit_mixture": "likelihood.fitting",
    "MixtureData": "moments.data",
    "MixtureDesign": "moments.simulated",
    "MixtureDiagnostics": "moments.diagnostics",
    "MixtureSolution": "moments.solving",
    "MomentPosterior": "moments.posterior",
    "Moments": "moments.solving",
    "Identifiability": "identification",
    "QuantileBins": "proxies.bases",
    "Ranks": "proxies.bases",
    "Splines": "proxies.bases",
    "StartingValues": "moments.start",
    "draw_frame": "moments.simulated",
    "empirical_moments": "moments.data",
    "identifiability": "identification",
    "mixture_arrays": "moments.data",
    "mixture_data": "moments.data",
    "moment_posterior": "moments.posterior",
    "paper_design": "moments.simulated",
    "population_moments": "moments.simulated",
    "solve_mixture": "moments.solving",
    "solve_moments": "moments.solving",
    "solve_moments_pencil": "moments.pencil",
    "starting_values": "moments.start",
}

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    """Import an exported name on first use."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    """List the exported names."""
    return __all__
