"""Learners as lists of terms.

========================  ==========================================================================
hierarchical (default)    shared g(x) plus a more strongly shrunk deviation h_t(x) for each arm;
                          symmetric in the arms
prognostic_effect         shared g(x) plus an effect tau_t(x) in each non-reference arm
t                         one function for each arm, nothing shared (T-learner)
s                         one function of covariates and arm (S-learner)
x                         as t, then a model of the imputed effects themselves (X-learner);
                          see :mod:`bayes_hte.components.effect`
homogeneous               shared g(x) plus a constant effect: the model of no heterogeneity
========================  ==========================================================================

A study has two or more arms. What each arm has (a mean, a deviation, a slope of the mediator) has
one prior scale for all arms, so that arms learn what to share from the same rule, and no arm but
the reference of prognostic_effect is special. s sees several arms as a category; x has one second
stage for each arm and the reference. Of ordered arms (doses) each has, in place of a mean and a
deviation of its own, a step from the arm before it: arms follow a random walk, so that neighbours
are shrunk together, and arms k steps apart may differ by the square root of k as much.

All but s have a mean for each arm, so that an effect is shrunk towards the average effect and not
towards zero. With a mediator each learner adds, in the same pattern, slopes of the mediator minus
its expectation given covariates and arm; the outcome model is then linear in the mediator on the
link scale, with slopes that vary with the covariates. The expectation has a coefficient of its own.
Surfaces that shrink miss part of the effect of the covariates on the outcome; covariates that move
the outcome often move the mediator, and without that coefficient the slope absorbs the part that
was missed, so that a direct effect passes for an indirect one (regularisation-induced confounding,
here of the mediator). Separating the two is Mundlak's device for the effects of groups.

Of two mediators each has all of these terms, of deviations from its own expectation, and one
coefficient is added for the product of both, so that one mediator may act more where the other is
high.

An outcome that may bend in its mediator has, for each function of a small spline basis of it
(:mod:`bayes_hte.surfaces.bends`), what it has for the slope: a coefficient, how that varies with
the covariates, and how it differs between arms, all shrunk towards a straight line.

Where a covariate's levels have means of their own (``means_by``), terms that are the same for all
units are the same within a level instead: differences between levels are then not shrunk towards 0.
Each level also has a linear trend of its own in each arm, with little shrinkage. Without it, the
part of a direct effect that varies within a level, and that the strongly shrunk deviations miss,
would go into that level's slope of the mediator, and so into its indirect effect.

References
----------
Kuenzel, S. R., Sekhon, J. S., Bickel, P. J., Yu, B. (2019). Metalearners for estimating
heterogeneous treatment effects. PNAS 116, 4156-4165. doi:10.1073/pnas.1804597116
Hahn, P. R., Murray, J. S., Carvalho, C. M. (2020). Bayesian regression tree models for causal
inference. Bayesian Analysis 15, 965-1056. doi:10.1214/19-BA1195
Mundlak, Y. (1978). On the pooling of time series and cross section data. Econometrica 46, 69-85.
doi:10.2307/1913646
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from bayes_hte.errors import UnsupportedError, unknown_name
from bayes_hte.study.design import Design
from bayes_hte.study.spec import TermName
from bayes_hte.surfaces.terms import GP, Term

# Arms of a study that says nothing else.
TWO = 2
MEAN_SLOPE = Term("mediator", "mediator", "none", on_mediator=True)
# The shared part may use the estimated propensity (against regularisation-induced confounding).
SHARED = Term("shared", "shared", "covariates+propensity", constant=False)
SLOPE = Term("mediator_modified", "mediator_modified", on_mediator=True, constant=False)
EXPECTED = Term("expected_mediator", "expected_mediator", "none", on_expected=True)
PRODUCT = Term("mediator_product", "mediator_product", "none", on_product=True)
# Kind of a slope, and of the coefficient of a bend in the same place.
BENT: dict[TermName, TermName] = {
    "mediator": "mediator_bend",
    "mediator_modified": "mediator_bend_modified",
    "mediator_arm": "mediator_bend_arm",
}


def numbered(name: str, arm: int) -> str:
    """Name of what each arm but the reference has: that of the first has no number."""
    return name if arm == 1 else f"{name}_{arm}"


def _means(arms: int) -> tuple[Term, ...]:
    """A mean for each arm, apart, so that deviations can shrink to 0."""
    return tuple(Term(f"mean_{a}", "arm_mean", "none", arm=a) for a in range(arms))


# Second stage of the X-learner: the effect as learned in each of two arms.
EFFECT_TERMS = (
    *_means(TWO),
    *(Term(f"arm_{a}", "effect", arm=a, constant=False) for a in range(TWO)),
)


def _hierarchical(mediated: bool, arms: int = TWO) -> tuple[Term, ...]:
    deviations = (Term(f"arm_{a}", "arm", arm=a, constant=False) for a in range(arms))
    terms = (*_means(arms), SHARED, *deviations)
    if not mediated:
        return terms
    slopes = (
        # With a constant: a treatment may change the slope of everybody alike.
        Term(f"mediator_arm_{a}", "mediator_arm", arm=a, on_mediator=True)
        for a in range(arms)
    )
    return (*terms, EXPECTED, MEAN_SLOPE, SLOPE, *slopes)


def _prognostic_effect(mediated: bool, arms: int = TWO) -> tuple[Term, ...]:
    others = range(1, arms)
    effects = (Term(numbered("effect", a), "effect", arm=a, constant=False) for a in others)
    terms = (*_means(arms), SHARED, *effects)
    if not mediated:
        return terms
    differing = (
        Term(numbered("mediator_effect", a), "mediator_arm", arm=a, on_mediator=True)
        for a in others
    )
    return (*terms, EXPECTED, MEAN_SLOPE, SLOPE, *differing)


def _t(mediated: bool, arms: int = TWO) -> tuple[Term, ...]:
    each = range(arms)
    own = (Term(f"arm_{a}", "shared", arm=a, constant=False) for a in each)
    terms = (*_means(arms), *own)
    if not mediated:
        return terms
    expected = (replace(EXPECTED, name=f"{EXPECTED.name}_{a}", arm=a) for a in each)
    slopes = (Term(f"mediator_mean_{a}", "mediator", "none", arm=a, on_mediator=True) for a in each)
    varying = (
        Term(f"mediator_arm_{a}", "mediator_modified", arm=a, on_mediator=True, constant=False)
        for a in each
    )
    return (*terms, *expected, *slopes, *varying)


def _s(mediated: bool, arms: int = TWO) -> tuple[Term, ...]:
    terms = (Term("shared", "shared", "covariates+arm"),)
    slope = Term("mediator", "mediator", "covariates+arm", on_mediator=True)
    return (*terms, EXPECTED, slope) if mediated else terms


def _homogeneous(mediated: bool, arms: int = TWO) -> tuple[Term, ...]:
    terms = (*_means(arms), SHARED)
    return (*terms, EXPECTED, MEAN_SLOPE) if mediated else terms


@dataclass(frozen=True)
class Learner:
    """How one learner combines functions of covariates.

    Attributes
    ----------
    terms : callable (bool, int) -> tuple of Term
        Terms of its linear predictor, given whether the component sees the mediator, and the number
        of arms (two unless it is given).
    has_means : bool
        Whether the levels of a covariate can have means of their own.
    varies : bool
        Whether effects may differ between units.
    first_stage : str or None
        The learner that is fitted first, where the effect then has a model of its own; None for a
        learner whose effect is the difference of the potential outcomes.
    """

    terms: Callable[..., tuple[Term, ...]]
    has_means: bool = True
    varies: bool = True
    first_stage: str | None = None

    @property
    def second_stage(self) -> bool:
        """Whether the effect has a model of its own, fitted after the outcome."""
        return self.first_stage is not None


LEARNERS: dict[str, Learner] = {
    "hierarchical": Learner(_hierarchical),
    "prognostic_effect": Learner(_prognostic_effect),
    "t": Learner(_t),
    "s": Learner(_s, has_means=False),
    "x": Learner(_t, has_means=False, first_stage="t"),
    "homogeneous": Learner(_homogeneous, varies=False),
}


# Learners whose arms share a function, so that steps between neighbours can be shrunk.
ORDERED = ("hierarchical", "prognostic_effect", "homogeneous")


def get_learner(name: str) -> Learner:
    """Return a learner by name.

    Raises
    ------
    SpecError
        If the name is unknown.
    """
    if name not in tuple(LEARNERS):
        raise unknown_name("learner", name, LEARNERS)
    return LEARNERS[name]


def learner_terms(
    learner: str,
    *,
    mediated: bool | int,
    product: bool = True,
    means_by: str | None = None,
    levels: tuple[str, ...] = (),
    trends: bool = True,
    arms: int = TWO,
    ordered: bool = False,
    bends: int = 0,
) -> tuple[Term, ...]:
    """Return the terms of a learner.

    Parameters
    ----------
    learner : str
        A key of the table above.
    mediated : bool or int
        Whether the component sees the mediator (the outcome of a study with one), or how many.
    product : bool, default True
        Whether two mediators have a coefficient of their product.
    means_by : str, optional
        A covariate whose levels each have a mean (and trend) of their own in each arm, and a mean
        slope of the mediator and of its expectation, in place of one for all units.
    levels : tuple of str
        Its levels, as text.
    trends : bool, default True
        Whether each level has a linear trend in each arm, too, if the learner lets effects vary.
    arms : int, default 2
        Arms of the study.
    ordered : bool, default False
        Whether the arms are in an order, such as doses, in which neighbours are alike.
    bends : int, default 0
        Functions in which the component may bend in its one mediator.

    Returns
    -------
    tuple of Term

    Raises
    ------
    SpecError
        If the learner is unknown.
    UnsupportedError
        If it has no means that could differ between levels, or no steps between ordered arms.
    """
    found = get_learner(learner)
    terms = found.terms(bool(mediated), arms)
    if mediated > 1:
        terms = (*terms, *_further(terms), *((PRODUCT,) if product else ()))
    terms = (*terms, *_bent(terms, bends))
    if ordered:
        terms = _steps(learner, terms)
    if means_by is None:
        return terms
    if not any(term.kind == "arm_mean" for term in terms):
        raise UnsupportedError(
            f"learner {learner!r} has no mean for each arm, so it cannot have one for each level "
            f"of {means_by!r}; use learner='hierarchical'."
        )
    own = tuple(own for term in terms for own in _by_level(term, means_by, levels))
    # A trend of its own in each arm would make effects differ.
    return (*own, *_trends(means_by, levels, arms)) if trends and found.varies else own


def design_terms(
    design: Design,
    *,
    learner: str,
    surface: str,
    mediated: bool | int,
    means_by: str | None,
    ordered: bool = False,
    product: bool = True,
    bends: int = 0,
) -> tuple[Term, ...]:
    """Return the terms of a component for the rows of a study; see :func:`learner_terms`."""
    levels = () if means_by is None else design.levels(means_by)
    # Trends on Gaussian processes would be further processes to integrate out.
    return learner_terms(
        learner,
        mediated=mediated,
        product=product,
        means_by=means_by,
        levels=levels,
        trends=surface != GP,
        arms=design.n_arms,
        ordered=ordered,
        bends=bends,
    )


def _further(terms: tuple[Term, ...]) -> tuple[Term, ...]:
    """Return what the second of two mediators has, which is what the first has."""
    return tuple(
        replace(term, name=f"{term.name}_m2", of_mediator=1) for term in terms if term.sees_mediator
    )


def _bent(terms: tuple[Term, ...], bends: int) -> tuple[Term, ...]:
    """Return for each bend what the slope of the mediator has."""
    return tuple(
        replace(term, name=f"{term.name}_bend_{i}", kind=BENT[term.kind], on_mediator=False, bend=i)
        for i in range(bends)
        for term in terms
        if term.on_mediator
    )


def _steps(learner: str, terms: tuple[Term, ...]) -> tuple[Term, ...]:
    """Return what each arm adds to the arm before it, in place of what it has of its own."""
    if learner not in ORDERED:
        raise UnsupportedError(
            f"learner {learner!r} has no steps between ordered arms; use one of "
            f"{', '.join(map(repr, ORDERED))}, or ordered=False."
        )
    # What the first arm has is in all arms; a deviation of its own would double the shared part.
    kept = (t for t in terms if t.arm != 0 or t.kind == "arm_mean")
    return tuple(t if t.arm is None else replace(t, onwards=True) for t in kept)


def _by_level(term: Term, column: str, levels: tuple[str, ...]) -> tuple[Term, ...]:
    """Return one term per level in place of one that is the same for all units."""
    if term.features != "none":
        return (term,)
    return tuple(
        replace(term, name=f"{term.name}_{i}", group=(column, level))
        for i, level in enumerate(levels)
    )


def _trends(column: str, levels: tuple[str, ...], arms: int) -> tuple[Term, ...]:
    """Return a linear trend for each arm and level."""
    return tuple(
        Term(f"trend_{arm}_{i}", "trend", arm=arm, group=(column, level), constant=False)
        for arm in range(arms)
        for i, level in enumerate(levels)
    )
