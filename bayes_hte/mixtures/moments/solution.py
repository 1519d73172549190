"""Classes of a treatment effect from averages alone: the entry points of the moment solver.

:func:`solve_moments` takes plain arrays, :func:`solve_mixture` takes the
:class:`~bayes_hte.mixtures.moments.tables.Moments` that :mod:`bayes_hte.mixtures.moments.data`
forms from rows. Both return the same frozen solution, in which a failure is a value with its
reasons.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from bayes_hte.errors import DataError, SpecError, unknown_name
from bayes_hte.mixtures.arrays import Array, Bounds, unit_range
from bayes_hte.mixtures.moments.solver import FLAGS, Method, StackSolution, solve_stack
from bayes_hte.mixtures.moments.strength import one_hot_correlations, weakness
from bayes_hte.mixtures.moments.tables import Moments, check_moments, number_of_classes

METHODS: Final[dict[str, str]] = {
    "joint": "eigenvectors of the best separated combination of the two arms",
    "operator": "eigenvectors of the difference of the two arms",
}


@dataclass(frozen=True)
class MixtureSolution:
    """Classes found from one set of moments, in ascending order of their effect.

    The numbers of a class are means: individual variation within a class is not identified.
    Where there is no solution, or the proxies are too weak to report one, the class quantities are
    NaN; where a solution leaves its ranges, they are given as computed, with a reason in `failed`.

    Attributes
    ----------
    effects : ndarray, shape (k,)
        E[Y(1) - Y(0) | U=u], in outcome units.
    probabilities : ndarray, shape (k,)
        P(U=u) over both arms.
    y0, y1 : ndarray, shape (k,)
        E[Y(0) | U=u] and E[Y(1) | U=u].
    arm_means : ndarray, shape (2,)
        E[Y(0)], E[Y(1)] from the proximal equation, uncompressed when ``dz == dx``.
    ate : float
        E[Y(1)] - E[Y(0)] from `arm_means`. Holds with an X-Y edge, and when k is too small.
    compressed_ate : float
        The same in k coordinates: biased when k is too small, but far less noisy than `ate` when
        ``dz == dx`` exceeds the true number of classes (.001 against .12 off with 8 levels a
        side, 2 classes and a million rows). Equal to `ate` otherwise.
    phi : ndarray, shape (k, dx)
        E[phi | U=u]; for one-hot features P(X=x | u).
    psi : ndarray, shape (2, k, dz)
        E[psi | U=u, T=t].
    pi : ndarray, shape (2, k)
        P(U=u | T=t).
    failed : tuple of str
        Why the solution must not be used; empty when it may.
    singular_values : ndarray, shape (2, min(dz, dx))
        Of each M_t; the k-th measures the strength of the proxies.
    condition : ndarray, shape (2,)
        First over k-th singular value of each M_t.
    strength : ndarray, shape (2,)
        Half the k-th canonical correlation of the two sides times sqrt(n_t). The error of the
        effects of a binary outcome is about .23 over the weaker one. NaN when not known.
    gap : float
        Least distance between the eigenvalues that separated the classes; -1 when complex.
    """

    effects: Array
    probabilities: Array
    y0: Array
    y1: Array
    arm_means: Array
    ate: float
    compressed_ate: float
    phi: Array
    psi: Array
    pi: Array
    failed: tuple[str, ...]
    singular_values: Array
    condition: Array
    strength: Array
    gap: float

    @property
    def k(self) -> int:
        """Number of classes."""
        return len(self.effects)

    @property
    def baseline(self) -> Array:
        """Outcome means by class and arm, shape (k, 2): columns `y0`, `y1`."""
        return np.stack([self.y0, self.y1], axis=1)


def solve_moments(
    M: ArrayLike,
    N: ArrayLike,
    mu: ArrayLike,
    c: ArrayLike | None = None,
    k: int | None = None,
    q: ArrayLike | None = None,
    *,
    method: Method = "joint",
    n_arm: ArrayLike | None = None,
    y_range: tuple[float, float] | None = None,
) -> MixtureSolution:
    """Find classes of a treatment effect from moment tables.

    Parameters
    ----------
    M, N : array_like, shape (2, dz, dx)
        E[psi phi' | T=t] and E[psi phi' Y | T=t], control arm first.
    mu : array_like, shape (dx,)
        E[phi] over both arms together (not the mean of the two arms).
    c : array_like, shape (dx,), optional
        The constant, phi'c = 1. Default ones: one-hot features, whose class means are then also
        checked to be probabilities.
    k : int, optional
        Number of classes; required unless ``dz == dx``, which is then the default.
    q : array_like, shape (2, dx), optional
        E[phi | T=t], from which the class shares within an arm follow. Default the column sums of
        `M`, right when psi adds up to one (one-hot, B-splines); required for any other psi.
    method : {"joint", "operator"}, default "joint"
        ``"operator"`` takes eigenvectors from the difference of the arms and is the published
        estimator when ``dz == dx == k``; ``"joint"`` takes them from the combination of the arms
        that separates the classes best, so classes of equal effects and different baselines are
        found too.
    n_arm : array_like, shape (2,), optional
        Rows in each arm. With it, and one-hot features on both sides (no `c`, no `q`), proxies too
        weak to report class effects are refused.
    y_range : tuple of float, optional
        Range of the outcome, ``(0, 1)`` if binary; class means outside it are a failure.

    Returns
    -------
    MixtureSolution
        Sorted by effect, with reasons in ``failed`` where it must not be used.

    Raises
    ------
    DataError
        If shapes disagree, numbers are missing, or the constant does not fit.
    SpecError
        If k is needed and not given, or an option is unknown.
    NotIdentifiedError
        If k exceeds the number of features on one side.

    Notes
    -----
    Continuous outcomes need no scaling: the solver centres them and is equivariant to scale.

    References
    ----------
    Mazaheri, Squires, Uhler (2025), Synthetic potential outcomes and causal mixture
    identifiability, AISTATS, PMLR 258. Miao, Geng, Tchetgen Tchetgen (2018), Biometrika 105,
    987-993, doi:10.1093/biomet/asy038.

    Examples
    --------
    >>> from bayes_hte.mixtures import solve_moments
    >>> M = [[[.171875, .140625], [.234375, .453125]], [[.453125, .234375], [.140625, .171875]]]
    >>> N = [[[.126953125, .052734375], [.099609375, .080078125]],
    ...      [[.080078125, .099609375], [.052734375, .126953125]]]
    >>> solve_moments(M, N, mu=[.5, .5]).effects.round(12).tolist()
    [-0.75, 0.75]
    """
    tables, outcomes = _numbers("M", M), _numbers("N", N)
    if tables.ndim != 3 or tables.shape[0] != 2:
        raise DataError(
            f"M must have shape (2, dz, dx), control arm first; got {tables.shape}. "
            "More than two arms: solve each pair of arms."
        )
    _, dz, dx = tables.shape
    one_hot = c is None
    countable = one_hot and q is None and bool(np.isfinite(tables).all())
    constant = np.ones(dx) if c is None else _numbers("c", c)
    arm_phi = tables.sum(axis=1) if q is None else _numbers("q", q)
    moments = Moments(
        M=tables,
        N=outcomes,
        mu=_numbers("mu", mu),
        q=arm_phi,
        c=constant,
        n_arm=None if n_arm is None else _numbers("n_arm", n_arm),
        canonical=one_hot_correlations(tables) if countable else None,
        bounds=Bounds(
            phi=unit_range(dx) if one_hot else None,
            psi=unit_range(dz) if q is None else None,
            y=y_range,
        ),
    )
    return solve_mixture(moments, k=k, method=method)


def _numbers(name: str, values: ArrayLike) -> np.ndarray:
    """Return an array of float64; other values are refused by name."""
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{name} must be an array of numbers, got {values!r:.60}. To make moments from rows, "
            "use mixture_data and empirical_moments, or fit_mixture."
        ) from error


def solve_mixture(
    moments: Moments,
    *,
    k: int | None = None,
    method: Method = "joint",
    ate_rank: int | None = None,
) -> MixtureSolution:
    """Find the classes of one set of moments.

    Parameters
    ----------
    moments : Moments
        Without leading axes.
    k : int, optional
        Number of classes; required unless ``dz == dx``, which is then the default.
    method : {"joint", "operator"}, default "joint"
        See :func:`solve_moments`.
    ate_rank : int, optional
        Coordinates kept for the average effect, `k` to ``min(dz, dx)``; default all of them when
        ``dz == dx``, else `k`.

    Returns
    -------
    MixtureSolution

    Raises
    ------
    DataError, SpecError, NotIdentifiedError
        As :func:`solve_moments`.

    Examples
    --------
    >>> from bayes_hte.mixtures import paper_design, population_moments, solve_mixture
    >>> found = solve_mixture(population_moments(paper_design(mu_zt=0.5)))
    >>> found.effects.round(6).tolist(), found.probabilities.round(6).tolist()
    ([-0.75, 0.75], [0.5, 0.5])
    """
    if moments.M.ndim != 3:
        raise DataError(
            f"one set of moments is needed, M of shape (2, dz, dx); got {moments.M.shape}. "
            "For stacks use solve_stack."
        )
    check_moments(moments)
    n_classes = number_of_classes(moments, k)
    if method not in METHODS:
        raise unknown_name("method", method, METHODS)
    if ate_rank is not None and not n_classes <= ate_rank <= min(moments.n_features):
        raise SpecError(
            f"ate_rank must be from k={n_classes} to {min(moments.n_features)}; got {ate_rank}."
        )
    arrays = {name: getattr(moments, name)[None] for name in ("M", "N", "mu", "q")}
    stack = solve_all(replace(moments, **arrays), n_classes, method, ate_rank)
    solution = _first(stack, n_classes, moments)
    return refuse_classes(solution, weakness(solution.strength, n_classes))


def solve_all(moments: Moments, k: int, method: Method, ate_rank: int | None) -> StackSolution:
    """Solve moments with one leading axis; see :func:`~bayes_hte.mixtures.moments.solver`."""
    arrays = (moments.M, moments.N, moments.mu, moments.q, moments.c)
    return solve_stack(*arrays, k=k, method=method, ate_rank=ate_rank, bounds=moments.bounds)


def refuse_classes(solution: MixtureSolution, reasons: tuple[str, ...]) -> MixtureSolution:
    """Blank the class quantities of a solution that must not be reported.

    Parameters
    ----------
    solution : MixtureSolution
    reasons : tuple of str
        Why; added to ``failed``. Without reasons the solution is returned as it is.

    Returns
    -------
    MixtureSolution
    """
    if not reasons:
        return solution
    names = ("effects", "probabilities", "y0", "y1", "phi", "psi", "pi")
    blank = {name: np.full_like(getattr(solution, name), np.nan) for name in names}
    return replace(solution, failed=(*solution.failed, *reasons), **blank)


def _first(stack: StackSolution, k: int, moments: Moments) -> MixtureSolution:
    """Take the only solution of a stack of one, with its reasons in words."""
    values = stack.singular_values[0]
    with np.errstate(divide="ignore"):
        condition = values[:, 0] / values[:, k - 1]
    strength = np.full(2, np.nan)
    if moments.n_arm is not None and moments.canonical is not None:
        strength = moments.canonical[:, k - 1] * np.sqrt(moments.n_arm) / 2
    return MixtureSolution(
        effects=stack.effects[0],
        probabilities=stack.probabilities[0],
        y0=stack.y[0, :, 0],
        y1=stack.y[0, :, 1],
        arm_means=stack.arm_means[0],
        ate=float(stack.arm_means[0, 1] - stack.arm_means[0, 0]),
        compressed_ate=float(stack.compressed_ate[0]),
        phi=stack.phi[0],
        psi=stack.psi[0],
        pi=stack.pi[0],
        failed=tuple(text for name, text in FLAGS.items() if stack.flags[name][0]),
        singular_values=values,
        condition=condition,
        strength=strength,
        gap=float(stack.gap[0]),
    )
