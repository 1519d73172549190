"""Components that a study of more than two arms has several of: propensities and effects.

``propensity`` is the probability of any arm but the reference, ``propensity_2`` that of the arms
from the third on among units with the second arm or a later one, and so on: with K arms K - 1
models of two outcomes, whose product is an exact distribution of the arms (sequential, or
continuation-ratio, form of a multinomial). With two arms it is the usual propensity. ``effect``,
``effect_2``, ... are the second stages of the X-learner, each of an arm and the reference.
``mediator_2`` is the model of the second of two mediators, given the first.

References
----------
Tutz, G. (1991). Sequential models in categorical regression. Computational Statistics and Data
Analysis 11, 275-295. doi:10.1016/0167-9473(91)90086-H
"""

from __future__ import annotations

from dataclasses import replace

from bayes_hte.components.learners import numbered
from bayes_hte.study.design import Design

PROPENSITY, EFFECT, MEDIATOR = "propensity", "effect", "mediator"


def names_of(name: str, n_arms: int) -> tuple[str, ...]:
    """Return the names of the components of a study with so many arms.

    Parameters
    ----------
    name : {"propensity", "effect"}
        Name of the first.
    n_arms : int
        Arms of the study.

    Returns
    -------
    tuple of str
        One for each arm but the reference.
    """
    return tuple(numbered(name, arm) for arm in range(1, n_arms))


def mediator_roles(number: int) -> tuple[str, ...]:
    """Return the names of the components of so many mediators, in the order they are modelled."""
    return tuple(numbered(MEDIATOR, i) for i in range(1, number + 1))


def kind_and_arm(role: str) -> tuple[str, int]:
    """Split the name of a component into its kind and the number of its arm; 0 if it has none.

    Parameters
    ----------
    role : str
        Such as ``"propensity_2"``.

    Returns
    -------
    kind : str
    arm : int

    Examples
    --------
    >>> from bayes_hte.components.numbered import kind_and_arm
    >>> kind_and_arm("propensity_2"), kind_and_arm("effect"), kind_and_arm("outcome")
    (('propensity', 2), ('effect', 1), ('outcome', 0))
    """
    kind, _, arm = role.partition("_")
    if kind in (PROPENSITY, EFFECT):
        return kind, int(arm or 1)
    return role, 0


def rows_of_role(role: str, design: Design) -> Design:
    """Return the rows that a component is fitted to.

    Parameters
    ----------
    role : str
        Name of the component.
    design : Design
        The rows of the study.

    Returns
    -------
    Design
        Of a propensity the rows with its arm, the arm before or a later one; of an effect those of
        its arm and the reference, numbered 1 and 0; else all.
    """
    kind, arm = kind_and_arm(role)
    if design.n_arms == 2 or arm == 0:
        return design
    if kind == PROPENSITY:
        return design if arm == 1 else replace(design, frame=design.frame[design.arm >= arm - 1])
    # As a study of two arms of its own, so its terms are those of two arms.
    return replace(design.among((0, arm)), codes=())
