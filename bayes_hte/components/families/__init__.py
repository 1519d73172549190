"""Outcome families by name."""

from __future__ import annotations

from bayes_hte.components.families.base import Family, Noise
from bayes_hte.components.families.continuous import Gaussian, StudentT
from bayes_hte.components.families.discrete import Bernoulli, NegativeBinomial, Poisson
from bayes_hte.components.families.times import Loglogistic, Lognormal, LogStudentT, Weibull
from bayes_hte.errors import unknown_name
from bayes_hte.study.spec import family_called

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
    if name not in tuple(FAMILIES):
        raise unknown_name("family", name, FAMILIES)
    return FAMILIES[name]
