"""Outcome families by name."""

from __future__ import annotations

from bayes_hte.components.families.base import Family, Noise
from bayes_hte.components.families.bounded import bounded
from bayes_hte.components.families.continuous import Gaussian, StudentT
from bayes_hte.components.families.discrete import Bernoulli, NegativeBinomial, Poisson
from bayes_hte.components.families.hazard import PiecewiseHazard
from bayes_hte.components.families.times import Loglogistic, Lognormal, LogStudentT, Weibull
from bayes_hte.errors import SpecError, unknown_name
from bayes_hte.study.spec import bounded_limits, family_called

FAMILIES: dict[str, Family] = {
    f.name: f
    for f in (
        Gaussian(),
        StudentT(),
        Bernoulli(),
        Poisson(),
        NegativeBinomial(),
        Lognormal(),
        Loglogistic(),
        LogStudentT(),
        Weibull(),
        PiecewiseHazard(),
    )
}

__all__ = ["FAMILIES", "Family", "Noise", "get_family"]


def get_family(name: str) -> Family:
    """Return a family by its name, or by one of other software (``"binomial"``).

    Raises
    ------
    SpecError
        If the name is unknown.
    """
    name = family_called(name)
    if (limits := bounded_limits(name)) is not None:
        return bounded(*limits)
    if name not in tuple(FAMILIES):
        error = unknown_name("family", name, FAMILIES)
        raise SpecError(f"{error} A scale with ends is family='bounded(1, 5)'.")
    return FAMILIES[name]
