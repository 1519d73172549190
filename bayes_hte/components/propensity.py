"""The propensity model: probability of the non-reference arm given covariates.

With more than two arms it is one of a sequence; see :mod:`bayes_hte.components.numbered`.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bayes_hte.components.component import Component, build_component
from bayes_hte.components.families import get_family
from bayes_hte.components.numbered import PROPENSITY, kind_and_arm, rows_of_role
from bayes_hte.components.priors import term_priors
from bayes_hte.study.design import Design
from bayes_hte.study.spec import PriorSpec
from bayes_hte.study.study import Study
from bayes_hte.surfaces.terms import Term

TERMS = (Term("shared", "shared", "covariates"),)


def build_propensity(
    study: Study,
    design: Design,
    *,
    role: str = PROPENSITY,
    surface: str = "linear",
    priors: Iterable[PriorSpec] = (),
) -> Component:
    """Build the PyMC model of the treatment.

    Parameters
    ----------
    study : Study
        The study.
    design : Design
        Its rows, learned without a propensity.
    role : str
        Name of the model, which says whose probability it is.
    surface : {"forest", "linear"}
        Form of the function.
    priors : iterable of PriorSpec
        Declared changes of the default priors.

    Returns
    -------
    Component
    """
    rows = rows_of_role(role, design)
    return build_component(
        role,
        (rows.arm >= kind_and_arm(role)[1]).astype(np.float64),
        design=rows,
        family=get_family("bernoulli"),
        surface=surface,
        terms=TERMS,
        priors=term_priors(PROPENSITY, priors),
    )
