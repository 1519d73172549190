"""Terms: the pieces of a linear predictor, whatever surface draws them.

A linear predictor is ``eta_i = offset + sum_k b_k(arm_i, m_i) f_k(x_i)``: each term k is a function
of covariates (a surface) times a basis that is 1, an arm's indicator, the mediator minus its
expectation, that expectation, a bend of the mediator, or a product of these. Learners are lists of
terms; potential outcomes follow by setting the arm and the mediator in the bases.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bayes_hte.study.design import FeatureSet
from bayes_hte.study.spec import TermName

# Names of surfaces that plans and learners ask for.
FOREST, GP = "forest", "gp"


@dataclass(frozen=True)
class Term:
    """One function of covariates with its place in the linear predictor.

    Attributes
    ----------
    name : str
        Unique within a component, e.g. ``"arm_1"``.
    kind : str
        Name of its prior.
    features : FeatureSet
        Columns of the function; ``"none"`` makes it a constant.
    arm : int or None
        The arm it belongs to, by its number (0 is the reference); None is all.
    onwards : bool
        Whether it belongs to all later arms, too: a step between neighbours of ordered arms.
    on_mediator : bool
        Whether it multiplies the mediator minus its expectation.
    on_expected : bool
        Whether it multiplies the expectation of the mediator.
    of_mediator : int
        Which of several mediators that is, from 0.
    on_product : bool
        Whether it multiplies the product of two mediators, less that of their expectations.
    bend : int or None
        Which of the functions in which an outcome bends in its mediator it multiplies, from 0
        (:mod:`bayes_hte.surfaces.bends`); None for none.
    group : (str, str) or None
        A covariate and one of its levels, as text, whose units alone have the term; None is all.
    constant : bool
        Whether a parametric function has a constant of its own; a deviation from a term that is
        the same for all units has none. (A forest or Gaussian process needs none either way.)
    """

    name: str
    kind: TermName
    features: FeatureSet = "covariates"
    arm: int | None = None
    on_mediator: bool = False
    on_expected: bool = False
    group: tuple[str, str] | None = None
    constant: bool = True
    onwards: bool = False
    of_mediator: int = 0
    on_product: bool = False
    bend: int | None = None

    def basis(
        self,
        arm: np.ndarray,
        mediator: np.ndarray | None,
        member: np.ndarray | None = None,
        *,
        expected: np.ndarray | None = None,
    ) -> np.ndarray | None:
        """Return the factor of the function at observed rows; None is 1 everywhere.

        Parameters
        ----------
        arm : ndarray of int, shape (row,)
            Arm of each row.
        mediator : ndarray, shape (row,), or None
            Mediator of each row minus its expectation, the product of two mediators less that
            of their expectations, or the bend of the term.
        member : ndarray of bool, shape (row,), or None
            Whether each row is in the term's group.
        expected : ndarray, shape (row,), or None
            Expected mediator of each row in its own arm, centred.

        Returns
        -------
        ndarray, shape (row,), or None
        """
        multiplies = self.sees_mediator
        if self.arm is None and not multiplies and self.group is None:
            return None
        basis = self.acts_in(arm).astype(np.float64)
        if self.on_mediator or self.on_product or self.bend is not None:
            if mediator is None:
                raise ValueError(f"term {self.name!r} needs a mediator")
            basis = basis * mediator
        if self.on_expected:
            if expected is None:
                raise ValueError(f"term {self.name!r} needs the expected mediator")
            basis = basis * expected
        if self.group is not None:
            if member is None:
                raise ValueError(f"term {self.name!r} needs the members of {self.group}")
            basis = basis * member
        return basis

    @property
    def sees_mediator(self) -> bool:
        """Whether it multiplies anything that is made of a mediator."""
        on_value = self.on_mediator or self.on_product or self.bend is not None
        return on_value or self.on_expected

    @property
    def deviates(self) -> bool:
        """Whether it is what an arm has beyond the part that all arms share, if there is one."""
        return self.kind in ("arm", "effect", "mediator_arm", "mediator_bend_arm")

    def acts_in[T: (int, np.ndarray)](self, arm: T) -> T:
        """Whether the term is part of the potential outcome under an arm, or under each of many."""
        if self.arm is None:
            return arm == arm
        return arm >= self.arm if self.onwards else arm == self.arm

    def of_arms(self, arms: tuple[int, int]) -> Term:
        """Return a term that acts in one or both of two arms, with these numbered 0 and 1."""
        acts = [number for number, arm in enumerate(arms) if self.acts_in(arm)]
        return replace(self, arm=None if len(acts) == len(arms) else acts[0], onwards=False)
