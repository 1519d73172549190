"""The four levels of a mixture of treatment effects, and the level that a declared graph reaches.

No diagnostic can see an X-Y edge, and the data cannot show most other edges either. So the user
declares which edges are possible, the level follows, and nothing above the level is reported.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from bayes_hte.errors import NotIdentifiedError, SpecError, unknown_name
from bayes_hte.mixtures.arrays import check_whole

EDGES: Final[dict[str, str]] = {
    "Z-T": "a treatment-side proxy is tied to the treatment beyond the class",
    "X-Y": "an outcome-side proxy is tied to the outcome beyond class and treatment",
    "X-T": "an outcome-side proxy is tied to the treatment beyond the class",
    "Z-Y": "a treatment-side proxy is tied to the outcome beyond class and treatment",
    "Z-X": "proxies of the two sides are tied to each other beyond class and treatment",
}
"""Edges that a user may allow. The class may always act on everything, and T on Y."""

QUANTITIES: Final[dict[str, str]] = {
    "unit_class": "the class of each unit",
    "law": "P(U), P(X|U), P(Z,T|U) and P(Y|T,U)",
    "membership": "P(U | z,x,t,y) of each unit",
    "effects": "the mean effect of each class",
    "probabilities": "the probability of each class",
    "ate": "the average effect, with E[Y(0)] and E[Y(1)]",
    "individual_effects": "the effect of one unit beyond the mean of its class",
}
LEVELS: Final[dict[int, str]] = {
    1: "heterogeneous treatment effects with the class seen",
    2: "mixture of products",
    3: "mixture of treatment effects",
    4: "average effect only",
}
IDENTIFIED: Final[dict[int | None, tuple[str, ...]]] = {
    1: ("unit_class", "law", "membership", "effects", "probabilities", "ate"),
    2: ("law", "membership", "effects", "probabilities", "ate"),
    3: ("law", "membership", "effects", "probabilities", "ate"),
    4: ("ate",),
    None: (),
}
ASSUMPTIONS: Final[dict[str, str]] = {
    "A1": "consistency, and Y(t) independent of T given U: no other confounder",
    "A2": "X independent of T given U",
    "A3": "Z independent of Y given U and T",
    "A4": "Z independent of X given U and T",
    "A5": "X independent of Y given U and T; no diagnostic can see it fail",
    "A6": "the proxies distinguish k classes in both arms (see the strength of the proxies)",
    "A7": "classes of equal effect count as one unless their baselines differ",
    "positivity": "both arms occur in every class",
}


@dataclass(frozen=True)
class Identifiability:
    """The quantities that a declared graph identifies, with the reasons.

    Attributes
    ----------
    level : int or None
        1 to 4, see ``LEVELS``; None when nothing causal is identified.
    k : int
        Number of classes declared.
    identified : tuple of str
        Names from ``QUANTITIES``.
    reasons : tuple of str
        Why this level and not a better one.
    remedies : tuple of str
        Changes of the design that would reach a better level.
    assumptions : tuple of str
        Assumptions of the level, which the data cannot show.
    """

    level: int | None
    k: int
    identified: tuple[str, ...]
    reasons: tuple[str, ...]
    remedies: tuple[str, ...]
    assumptions: tuple[str, ...]

    def require(self, quantity: str) -> None:
        """Raise unless a quantity is identified.

        Parameters
        ----------
        quantity : str
            A name from ``QUANTITIES``.

        Raises
        ------
        SpecError
            If the name is unknown.
        NotIdentifiedError
            If the declared graph does not identify it; the message says why and what would help.

        Examples
        --------
        >>> import bayes_hte as hte
        >>> graph = hte.identifiability(k=2, z_levels=[2], x_levels=[2], edges=["X-Y"])
        >>> graph.require("ate")
        >>> graph.require("effects")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        bayes_hte.errors.NotIdentifiedError: effects (the mean effect of each class) is not ...
        """
        if quantity not in QUANTITIES:
            raise unknown_name("quantity", quantity, QUANTITIES)
        if quantity in self.identified:
            return
        why = " ".join(self.reasons)
        if quantity == "individual_effects":
            why = "Only class means are identified, by any design; variation within a class is not."
        have = ", ".join(self.identified) or "nothing"
        remedy = f" To change this: {' '.join(self.remedies)}" if self.remedies else ""
        raise NotIdentifiedError(
            f"{quantity} ({QUANTITIES[quantity]}) is not identified here. {why} "
            f"Identified: {have}.{remedy}"
        )


def identifiability(
    *,
    k: int,
    z_levels: Sequence[int | None],
    x_levels: Sequence[int | None],
    edges: Iterable[str],
    class_observed: bool = False,
    outcome_levels: int | None = 2,
) -> Identifiability:
    """Derive which quantities of a mixture of treatment effects a declared graph identifies.

    Parameters
    ----------
    k : int
        Number of classes.
    z_levels, x_levels : sequence of int or None
        Number of levels of each treatment-side and outcome-side proxy; None for a continuous one,
        which can carry any number of classes.
    edges : iterable of str
        Edges that *may* exist, names from ``EDGES`` (either direction): every edge that the design
        cannot rule out belongs here. An empty list is a strong claim.
    class_observed : bool, default False
        Whether the class is measured, or a function of covariates (no overlap between classes).
    outcome_levels : int or None, default 2
        Number of levels of the outcome; None if continuous.

    Returns
    -------
    Identifiability

    Raises
    ------
    SpecError
        If an edge is unknown or a number is out of range.

    Notes
    -----
    Enough levels are necessary, not sufficient: the data show whether the proxies carry k classes.

    References
    ----------
    Mazaheri, Squires, Uhler (2025), AISTATS, PMLR 258. Allman, Matias, Rhodes (2009), Annals of
    Statistics 37, 3099-3132, doi:10.1214/09-AOS689. Miao, Geng, Tchetgen Tchetgen (2018),
    Biometrika 105, 987-993, doi:10.1093/biomet/asy038.

    Examples
    --------
    >>> import bayes_hte as hte
    >>> design = {"k": 2, "z_levels": [2], "x_levels": [2]}
    >>> [hte.identifiability(**design, edges=[edge]).level for edge in ("Z-T", "X-Y", "X-T")]
    [3, 4, None]
    """
    check_whole("k", k, 2)
    k = int(k)
    allowed = _parse_edges(edges)
    dz, dx = _cells("z_levels", z_levels), _cells("x_levels", x_levels)
    dy = _cells("outcome_levels", [outcome_levels])
    if class_observed:
        return _result(1, k, ("The class is measured, so each unit's class is known.",), ())
    broken, remedies = _broken(allowed)
    if broken:
        return _result(None, k, broken, remedies)
    ranked = min(dz, dx) >= k
    if allowed <= {"Z-T"}:
        return _mixture_level(k, dz, dx, dy, "Z-T" in allowed, ranked)
    if not ranked:
        return _result(None, k, *_too_few(k, dz, dx))
    return _result(4, k, *_average_only("Z-T" in allowed))


def _mixture_level(
    k: int, dz: float, dx: float, dy: float, z_tied: bool, ranked: bool
) -> Identifiability:
    """Level 2 or 3, or none, by the number of levels."""
    views = min(dz, k) + min(dx, k) + min(2 * dy, k)
    if not z_tied and views >= 2 * k + 2:
        reasons = [
            "Z, X and (T, Y) are independent given the class, and they have enough levels: "
            f"{views:g} >= 2k + 2 = {2 * k + 2}."
        ]
        remedies: tuple[str, ...] = ()
        if not ranked:
            reasons.append(
                "The likelihood can find the classes; the moment solver cannot, as it needs k "
                "levels on each side."
            )
            remedies = _too_few(k, dz, dx)[1]
        return _result(2, k, tuple(reasons), remedies)
    if not ranked:
        return _result(None, k, *_too_few(k, dz, dx))
    tied = "a Z-T edge is allowed" if z_tied else "the three views have too few levels"
    return _result(
        3,
        k,
        (
            f"Not a mixture of products, since {tied}; but both sides have at least {k} levels "
            "and X touches neither T nor Y beyond the class.",
        ),
        (),
    )


def _average_only(z_tied: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Reasons and remedies of level 4."""
    reasons = [
        "An X-Y edge is allowed: the average effect stays identified, but class effects and "
        "probabilities are not, and no diagnostic can see the error.",
    ]
    if not z_tied:
        reasons.append(
            "Without a Z-T edge the classes could be found from Z, X and T alone, if P(T|U) "
            "differs between all classes; no estimator of this package does so."
        )
    return tuple(reasons), (
        "Keep on the outcome side only proxies that touch the outcome through the class alone.",
    )


def _broken(allowed: frozenset[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Reasons and remedies for edges that leave nothing identified."""
    table = {
        "X-T": (
            "An X-T edge is allowed, which breaks A2.",
            "Use such a proxy on the treatment side, if it touches the outcome through the class "
            "and the treatment alone.",
        ),
        "Z-Y": (
            "A Z-Y edge is allowed, which breaks A3.",
            "Use such a proxy on the outcome side, if it touches the treatment through the class "
            "alone: the average effect is then identified.",
        ),
        "Z-X": (
            "A Z-X edge is allowed, which breaks A4.",
            "Put proxies that are tied to each other on one side, as one joint proxy.",
        ),
    }
    found = [table[edge] for edge in table if edge in allowed]
    return tuple(why for why, _ in found), tuple(help_ for _, help_ in found)


def _too_few(k: int, dz: float, dx: float) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Reasons and remedies for proxies with too few levels."""
    return (
        (f"{k} classes need {k} levels on each side; Z has {dz:g}, X has {dx:g}.",),
        (
            f"Add a proxy or levels on the {'treatment' if dz < k else 'outcome'} side, "
            f"or settle for {int(max(1, min(dz, dx)))} classes.",
        ),
    )


def _result(
    level: int | None, k: int, reasons: tuple[str, ...], remedies: tuple[str, ...]
) -> Identifiability:
    """Join a level, the quantities it identifies and its assumptions."""
    needed = {
        1: ("A1", "positivity"),
        2: ("A1", "A2", "A3", "A4", "A5", "A6", "A7"),
        3: ("A1", "A2", "A3", "A4", "A5", "A6", "A7"),
        4: ("A1", "A2", "A3", "A4", "A6"),
        None: (),
    }[level]
    assumptions = tuple(f"{name}: {ASSUMPTIONS[name]}" for name in needed)
    return Identifiability(level, k, IDENTIFIED[level], reasons, remedies, assumptions)


def _parse_edges(edges: Iterable[str]) -> frozenset[str]:
    """Canonical names of the allowed edges."""
    if isinstance(edges, str) or not isinstance(edges, Iterable):
        raise SpecError(
            f"edges must be a list of names of {', '.join(EDGES)}, empty for none; got {edges!r}."
        )
    names = set()
    for edge in edges:
        reverse = "-".join(reversed(str(edge).split("-")))
        if edge not in EDGES and reverse not in EDGES:
            raise unknown_name("edge", edge, EDGES)
        names.add(edge if edge in EDGES else reverse)
    return frozenset(names)


def _cells(name: str, levels: Sequence[int | None]) -> float:
    """Count joint levels; infinite with a continuous variable, 1 without any."""
    if not isinstance(levels, Iterable):
        raise SpecError(f"{name} must be a list, one number of levels per proxy; got {levels!r}.")
    for value in levels:
        if value is not None:
            check_whole(f"every number of {name} (None if continuous)", value, 2)
    return math.prod(math.inf if value is None else value for value in levels)
