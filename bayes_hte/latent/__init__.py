"""Latent mixtures of treatment effects by likelihood, checked against the moment solver.

:func:`fit_mixture` fits the latent class model and returns a :class:`MixtureFit`;
:func:`count_classes` helps to choose the number of classes.
"""

from __future__ import annotations

from bayes_hte.latent.class_count import ClassCount, count_classes
from bayes_hte.latent.fitting import fit_mixture
from bayes_hte.latent.labels import ClassLabels
from bayes_hte.latent.mixture_fit import MixtureFit

__all__ = ["ClassCount", "ClassLabels", "MixtureFit", "count_classes", "fit_mixture"]
