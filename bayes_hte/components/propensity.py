"""The propensity model: probability of the non-reference arm given covariates."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bayes_hte.components.component import Component, build_component
from bayes_hte.components.families import get_family
from bayes_hte.components.priors import term_priors
from bayes_hte.study.design import Design
from bayes_hte.study.spec import PriorSpec
from bayes_hte.study.study import Study
from bayes_hte.surfaces.terms import Term

TERMS = (Term("shared", "shared", "covariates"),)


def build_propensity(
    study: Study, design: Design, *, surface: str = "linear", priors: Iterable[PriorSpec] = ()
) -> Component:
    """Build the PyMC model of the treatment.

    Parameters
    ----------
    study : Study
        The study.
    design : Design
        Its rows, learned without a propensity.
    surface : {"forest", "linear"}
        Form of the function.
    priors : iterable of PriorSpec
        Declared changes of the default priors.

    Returns
    -------
    Component
    """
    return build_component(
        "propensity",
        study.arm_index().astype(np.float64),
        design=design,
        family=get_family("bernoulli"),
        surface=surface,
        terms=TERMS,
        priors=term_priors("propensity", priors),
    )
