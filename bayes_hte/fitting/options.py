"""Options of a plan as users give them: lists, and a family for each mediator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bayes_hte.errors import SpecError, unknown_name
from bayes_hte.study.spec import PriorSpec


def listed[T](option: str, values: Iterable[T], kind: type[T]) -> tuple[T, ...]:
    """Return the values of an option that takes several.

    Parameters
    ----------
    option : str
        Its name, for messages.
    values : iterable
        As given.
    kind : type
        Of each value.

    Returns
    -------
    tuple

    Raises
    ------
    SpecError
        If they are not a list, or one is of another type.
    """
    one = isinstance(values, str | PriorSpec)
    if one or not isinstance(values, Iterable) or isinstance(values, dict):
        hint = f"write [{values!r}]" if one else f"give a list of {kind.__name__}"
        raise SpecError(f"{option} must be a list, got {values!r}; {hint}.")
    found = tuple(values)
    for value in found:
        if not isinstance(value, kind):
            raise SpecError(f"{option} must hold {kind.__name__} objects only, got {value!r}.")
    return found


def of_each(families: Mapping[str, str], mediators: tuple[str, ...]) -> tuple[str, ...] | str:
    """Return the families of a mapping in the order of the mediators.

    Parameters
    ----------
    families : mapping of str to str
        Family by mediator.
    mediators : tuple of str
        The mediators of the study.

    Returns
    -------
    tuple of str, or str
        The family alone if there is one mediator.

    Raises
    ------
    SpecError
        If a mediator has no family, or a family belongs to no mediator.
    """
    for name in families:
        if name not in mediators:
            raise unknown_name("mediator in mediator_family", name, mediators)
    missing = [name for name in mediators if name not in families]
    if missing:
        raise SpecError(
            f"mediator_family names no family for {', '.join(map(repr, missing))}; name one for "
            "each mediator, or give one for all as text."
        )
    found = tuple(families[name] for name in mediators)
    return found if len(found) > 1 else found[0]
