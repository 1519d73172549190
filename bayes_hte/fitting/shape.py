"""Where an outcome may bend in its mediator, checked before anything is sampled."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from bayes_hte.components.families import get_family
from bayes_hte.errors import DataError, SpecError, UnsupportedError, unknown_name
from bayes_hte.study.spec import ShapeName, bounded_limits
from bayes_hte.study.study import Study
from bayes_hte.surfaces.bends import knots_of
from bayes_hte.surfaces.terms import GP

if TYPE_CHECKING:
    from bayes_hte.fitting.plan import Plan

# Families of a mediator that an outcome may bend in, besides bounded scales.
BENDING = ("gaussian", "poisson", "negative_binomial")


def check_shape(study: Study, plan: Plan) -> None:
    """Refuse an outcome that bends where it cannot, or where its effects are not worked out.

    Parameters
    ----------
    study : Study
        The data.
    plan : Plan
        The models.

    Raises
    ------
    SpecError
        If the shape is unknown, or the study has no mediator.
    DataError
        If the mediator has two values, which every line joins.
    UnsupportedError
        For two mediators, a Gaussian process, and families of which the expected outcome is not
        worked out.
    """
    names = study.roles.mediators
    if plan.mediator_shape not in get_args(ShapeName):
        raise unknown_name("mediator_shape", str(plan.mediator_shape), get_args(ShapeName))
    if plan.mediator_shape == "linear":
        return
    if not names:
        raise SpecError(
            "mediator_shape='spline' lets the outcome bend in its mediator, and the study has "
            "none; leave it out, or build the study with mediator=<column>."
        )
    if len(names) > 1:
        raise UnsupportedError(
            f"mediator_shape='spline' takes one mediator, got {' and '.join(map(repr, names))}; "
            "use 'linear', after a transformation (a logarithm, ranks) of the one that bends, or "
            "one mediator at a time."
        )
    _check_families(plan)
    try:
        knots_of(study.recorded_mediator())
    except DataError as error:
        raise DataError(f"{names[0]!r}: {error}") from None
    if GP in [candidate.surface for candidate in plan.candidates().values()]:
        raise UnsupportedError(
            "mediator_shape='spline' would add Gaussian processes to be integrated out for each "
            "bend; use surface 'forest', 'additive' or 'linear'."
        )


def _check_families(plan: Plan) -> None:
    """Refuse families of which the expected outcome is not worked out."""
    ((family, _),) = plan.mediator_models(1)
    if family not in (*BENDING, "bernoulli") and bounded_limits(family) is None:
        raise UnsupportedError(
            f"mediator_shape='spline' takes a mediator that is {', '.join(BENDING)} or "
            f"'bounded(1, 5)', got {family!r}: its tails would be integrated with too few values. "
            "Use mediator_family='gaussian', perhaps of a transformed column, or 'linear'."
        )
    if get_family(plan.family).exponential_mean:
        raise UnsupportedError(
            "mediator_shape='spline' is not for outcomes with a log link (family="
            f"{plan.family!r}): the exponential of a bend where an arm has few units would rule "
            "the expected outcome. Use 'linear', or transform the mediator."
        )
