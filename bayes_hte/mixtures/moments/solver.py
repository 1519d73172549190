"""The operator solver on stacks of moment tables: plain arrays in, plain arrays out.

Write ``Phi`` for the class means of the outcome-side features, ``y_t`` for the class means of the
outcome under arm ``t`` and ``pi_t`` for the class shares in the arm. Then::

    M_t = Psi_t' diag(pi_t) Phi            N_t = Psi_t' diag(pi_t * y_t) Phi
    A_t = M_t^+ N_t = Phi^-1 diag(y_t) Phi

so every ``A_t`` has the same eigenvectors, and ``D = A_1 - A_0`` has the class effects as its
eigenvalues. Everything here works on a leading stack axis of length ``B``, because an interval
needs thousands of solutions of one small problem.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from bayes_hte.mixtures.arrays import Array, Bounds

Method = Literal["joint", "operator"]

N_ANGLES: Final = 24
RANK_TOLERANCE: Final = 1e-10
"""Singular values below this share of the largest one count as zero: rounding, not data."""
MERGE_TOLERANCE: Final = 1e-7
"""Eigenvalues closer than this share of the outcome's size count as equal: rounding, not data."""

FLAGS: Final[dict[str, str]] = {
    "singular": "the proxies do not carry k classes: M_t, or its eigenvectors, are singular",
    "complex": "no combination of the two arms has real eigenvalues: noise, or a wrong graph or k",
    "merged": "two classes have the same outcome means: they cannot be distinguished",
    "probabilities": "class probabilities outside [0, 1]",
    "arm_probabilities": "class probabilities within an arm outside [0, 1]",
    "proxy_means": "class means of a proxy feature outside the range of that feature",
    "outcome_means": "class means of the outcome outside the range of the outcome",
}
"""Why a solution fails; the first three mean that there is no solution at all."""
UNSOLVED: Final = ("singular", "complex", "merged")


@dataclass(frozen=True)
class Compressed:
    """Moment tables in ``k`` outcome-side coordinates.

    Attributes
    ----------
    M, N : ndarray, shape (B, 2, dz, k)
        The tables times ``basis``.
    mu : ndarray, shape (B, k)
    q : ndarray, shape (B, 2, k)
    c : ndarray, shape (B, k)
        The constant in the new coordinates.
    basis : ndarray, shape (B, dx, k)
    lift : ndarray, shape (B, k, dx)
        Takes class means in the new coordinates back to all features.
    """

    M: Array
    N: Array
    mu: Array
    q: Array
    c: Array
    basis: Array
    lift: Array


@dataclass(frozen=True)
class StackSolution:
    """Solutions of ``B`` problems, classes in ascending order of their effect.

    Unsolved problems hold NaN. Attributes are arrays with the stack axis first.

    Attributes
    ----------
    effects, probabilities : ndarray, shape (B, k)
    y : ndarray, shape (B, k, 2)
        Outcome mean of each class under each arm.
    arm_means : ndarray, shape (B, 2)
        E[Y(0)], E[Y(1)] from the proximal equation in ``ate_rank`` coordinates.
    compressed_ate : ndarray, shape (B,)
        The average effect in k coordinates.
    phi : ndarray, shape (B, k, dx)
    psi : ndarray, shape (B, 2, k, dz)
    pi : ndarray, shape (B, 2, k)
    gap : ndarray, shape (B,)
        Least distance between the eigenvalues that separated the classes; -1 when complex.
    singular_values : ndarray, shape (B, 2, min(dz, dx))
    flags : dict of str to ndarray of bool, shape (B,)
        One entry for each key of ``FLAGS``.
    """

    effects: Array
    probabilities: Array
    y: Array
    arm_means: Array
    compressed_ate: Array
    phi: Array
    psi: Array
    pi: Array
    gap: Array
    singular_values: Array
    flags: dict[str, NDArray[np.bool_]]

    @property
    def solved(self) -> NDArray[np.bool_]:
        """Whether each problem has a solution, in range or not; shape (B,)."""
        return ~np.any([self.flags[name] for name in UNSOLVED], axis=0)

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Whether each problem fails for any reason; shape (B,)."""
        return np.any(list(self.flags.values()), axis=0)


def compress(M: Array, N: Array, mu: Array, q: Array, c: Array, k: int) -> Compressed:
    """Reduce the outcome-side features to ``k`` coordinates that keep the constant exact.

    With more features than classes, the inverse of the tables inverts noise. The coordinates kept
    are the constant and the leading ``k - 1`` right singular vectors of the stacked tables of
    *centred* features: all class means lie in their span, and since the constant survives
    unchanged the class probabilities add up to one in every sample, not only in the limit.

    Parameters
    ----------
    M, N : ndarray, shape (B, 2, dz, dx)
    mu : ndarray, shape (B, dx)
    q : ndarray, shape (B, 2, dx)
    c : ndarray, shape (dx,)
    k : int

    Returns
    -------
    Compressed
        The tables as they are when ``dx == k``.
    """
    n_stack, _, dz, dx = M.shape
    if dx == k:
        identity = np.broadcast_to(np.eye(k), (n_stack, k, k))
        return Compressed(M, N, mu, q, np.broadcast_to(c, (n_stack, k)), identity, identity)
    stacked = M.reshape(n_stack, 2 * dz, dx)
    centred = stacked - (stacked @ c)[..., None] * mu[:, None, :]
    lead = np.linalg.svd(centred, full_matrices=False)[2][:, : k - 1]
    offset = np.einsum("bx,bkx->bk", mu, lead)
    constant = np.broadcast_to(c, (n_stack, dx))[..., None]
    basis = np.concatenate(
        [constant, np.swapaxes(lead, 1, 2) - constant * offset[:, None, :]], axis=2
    )
    unit = np.zeros((n_stack, k))
    unit[:, 0] = 1.0
    return Compressed(
        M=M @ basis[:, None],
        N=N @ basis[:, None],
        mu=unit,
        q=q @ basis,
        c=unit,
        basis=basis,
        lift=np.concatenate([mu[:, None, :], lead], axis=1),
    )


def arm_operators(M: Array, N: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Return ``A_t = M_t^+ N_t`` of compressed tables.

    The pseudo-inverse keeps the leading ``k`` left singular vectors of ``M_t``, which is the
    compression of the treatment-side features.

    Parameters
    ----------
    M, N : ndarray, shape (B, 2, dz, k)

    Returns
    -------
    operators : ndarray, shape (B, 2, k, k)
    inverse : ndarray, shape (B, 2, k, dz)
    singular : ndarray of bool, shape (B,)
        Problems with a table of rank below ``k``; their arrays are finite and without meaning.
    """
    left, values, right = np.linalg.svd(M, full_matrices=False)
    singular = (values[..., -1] <= RANK_TOLERANCE * values[..., 0]).any(axis=1)
    safe = np.where(singular[:, None, None], 1.0, values)
    inverse = np.swapaxes(right, -1, -2) / safe[..., None, :] @ np.swapaxes(left, -1, -2)
    return inverse @ N, inverse, singular


def separating_basis(operators: Array, method: Method, scale: Array) -> tuple[Array, Array]:
    """Return the eigenvectors that the two arms share, and how well they are separated.

    Parameters
    ----------
    operators : ndarray, shape (B, 2, k, k)
    method : {"joint", "operator"}
        ``"operator"`` takes them from ``A_1 - A_0``; ``"joint"`` from the combination
        ``cos(th) A_1 + sin(th) A_0`` with the widest least gap between real eigenvalues, which
        also separates classes of equal effects and different baselines.
    scale : ndarray, shape (B,)
        Size of the outcome; gaps are judged against it.

    Returns
    -------
    vectors : ndarray, shape (B, k, k)
        Columns are eigenvectors; NaN where there are none.
    gap : ndarray, shape (B,)
        Least distance between the eigenvalues; 0 when merged, -1 when complex.
    """
    n_stack, _, k, _ = operators.shape
    control, treated = operators[:, 0], operators[:, 1]
    if method == "joint":
        angle = (np.arange(N_ANGLES) * np.pi / N_ANGLES)[:, None, None, None]
        candidates = np.cos(angle) * treated + np.sin(angle) * control
    else:
        candidates = (treated - control)[None]
    gaps = _real_gap(candidates, MERGE_TOLERANCE * scale)
    best = gaps.argmax(axis=0)
    rows = np.arange(n_stack)
    gap = gaps[best, rows]
    gap = np.where((gap == 0) & (gaps < 0).any(axis=0), -1.0, gap)  # one arm alone may be merged
    chosen = candidates[best, rows]
    unusable = gap <= 0
    if unusable.any():
        chosen = np.where(unusable[:, None, None], np.diag(np.arange(k, dtype=float)), chosen)
    values, vectors = np.linalg.eig(chosen)
    if np.iscomplexobj(values):
        # Eigenvalues with and without vectors come from different routes, so a near tie can
        # turn complex here although it was real above.
        newly = (values.imag != 0).any(axis=-1)
        gap, unusable, vectors = np.where(newly, -1.0, gap), unusable | newly, vectors.real
    return np.where(unusable[:, None, None], np.nan, vectors), gap


def _real_gap(matrices: Array, tolerance: Array) -> Array:
    """Least gap between real eigenvalues; 0 if equal within tolerance, -1 if complex."""
    k = matrices.shape[-1]
    if k == 1:
        return np.full(matrices.shape[:-2], np.inf)
    if k == 2:
        half = (matrices[..., 0, 0] - matrices[..., 1, 1]) / 2
        spread = half**2 + matrices[..., 0, 1] * matrices[..., 1, 0]
        gap = 2 * np.sqrt(np.abs(spread))
        is_complex = (spread < 0) & (gap > tolerance)
    else:
        values = np.linalg.eigvals(matrices)
        is_complex = (np.abs(values.imag) > tolerance[..., None]).any(axis=-1)
        gap = np.diff(np.sort(values.real, axis=-1), axis=-1).min(axis=-1)
    return np.where(is_complex, -1.0, np.where(gap <= tolerance, 0.0, gap))


def solve_stack(
    M: Array,
    N: Array,
    mu: Array,
    q: Array,
    c: Array,
    *,
    k: int,
    method: Method = "joint",
    ate_rank: int | None = None,
    bounds: Bounds | None = None,
) -> StackSolution:
    """Solve ``B`` moment problems at once.

    Parameters
    ----------
    M, N : ndarray, shape (B, 2, dz, dx)
        Finite; control arm first.
    mu : ndarray, shape (B, dx)
    q : ndarray, shape (B, 2, dx)
        E[phi | T=t].
    c : ndarray, shape (dx,)
    k : int
        Number of classes, at most ``min(dz, dx)``.
    method : {"joint", "operator"}, default "joint"
        See :func:`separating_basis`.
    ate_rank : int, optional
        Coordinates kept for the average effect, `k` to ``min(dz, dx)``; default all of them when
        ``dz == dx``, else `k`.
    bounds : Bounds, optional
        Ranges to check; probabilities are always checked.

    Returns
    -------
    StackSolution
    """
    location = (M * N).sum(axis=(1, 2, 3)) / (M * M).sum(axis=(1, 2, 3))
    scale = np.sqrt((N * N).sum(axis=(1, 2, 3)) / (M * M).sum(axis=(1, 2, 3)))
    centred = N - location[:, None, None, None] * M
    small = compress(M, centred, mu, q, c, k)
    operators, _, singular = arm_operators(small.M, small.N)
    vectors, gap = separating_basis(operators, method, scale)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        classes = _read_classes(small, operators, vectors, location)
    no_vectors = singular | (gap <= 0)
    undefined = ~no_vectors & ~np.all(
        [np.isfinite(value).reshape(len(M), -1).all(axis=1) for value in classes.values()], axis=0
    )
    singular = singular | undefined  # a class of probability exactly zero in an arm
    flags = {
        "singular": singular,
        "complex": ~singular & (gap < 0),
        "merged": ~singular & (gap == 0),
        **_range_flags(classes, bounds or Bounds()),
    }
    unsolved = singular | (gap <= 0)
    for name in classes:
        shape = (-1,) + (1,) * (classes[name].ndim - 1)
        classes[name] = np.where(unsolved.reshape(shape), np.nan, classes[name])
    compressed = np.einsum("bi,btij,bj->bt", small.mu, operators, small.c)
    if singular.any():
        compressed = np.where(singular[:, None], _proximal_means(small), compressed)
    dz, dx = M.shape[2:]
    rank = ate_rank or (dx if dz == dx else k)
    arm_means = compressed if rank == k else _proximal_means(compress(M, centred, mu, q, c, rank))
    return StackSolution(
        **classes,
        arm_means=arm_means + location[:, None],
        compressed_ate=compressed[:, 1] - compressed[:, 0],
        gap=gap,
        singular_values=np.linalg.svd(M, compute_uv=False),
        flags=flags,
    )


def _proximal_means(tables: Compressed) -> Array:
    """E[Y(t)] = mu' M_t^+ N_t c; NaN where not even the constant is carried; shape (B, 2).

    The pseudo-inverse drops directions that are zero but for rounding: population tables of
    rank k have them, and the equation stays solvable.
    """
    inverse = np.linalg.pinv(tables.M, rcond=RANK_TOLERANCE)
    return np.einsum("bi,btiz,btzj,bj->bt", tables.mu, inverse, tables.N, tables.c, optimize=True)


def _read_classes(
    small: Compressed, operators: Array, vectors: Array, location: Array
) -> dict[str, Array]:
    """All class quantities that follow from the eigenvectors, sorted by effect."""
    left = _inverse(vectors)
    y = np.einsum("bui,btij,bju->but", left, operators, vectors) + location[:, None, None]
    order = np.argsort(y[..., 1] - y[..., 0], axis=-1)
    y = np.take_along_axis(y, order[..., None], axis=1)
    left = np.take_along_axis(left, order[..., None], axis=1)
    vectors = np.take_along_axis(vectors, order[:, None, :], axis=2)
    norm = np.einsum("bui,bi->bu", left, small.c)
    scaled = vectors * norm[:, None, :]  # the inverse of Phi in the coordinates of `small`
    pi = small.q @ scaled
    return {
        "effects": y[..., 1] - y[..., 0],
        "probabilities": (small.mu[:, None, :] @ scaled)[:, 0],
        "y": y,
        "phi": (left / norm[..., None]) @ small.lift,
        "pi": pi,
        "psi": np.swapaxes(small.M @ scaled[:, None], -1, -2) / pi[..., None],
    }


def _inverse(vectors: Array) -> Array:
    """Inverse of each eigenvector matrix; NaN where there is none."""
    identity = np.eye(vectors.shape[-1])
    usable = np.isfinite(vectors).all(axis=(1, 2))
    filled = np.where(usable[:, None, None], vectors, identity)
    usable &= np.linalg.det(filled) != 0
    filled = np.where(usable[:, None, None], filled, identity)
    return np.where(usable[:, None, None], np.linalg.inv(filled), np.nan)


def _range_flags(classes: dict[str, Array], bounds: Bounds) -> dict[str, NDArray[np.bool_]]:
    """Flags of the problems with class quantities outside their ranges."""
    n_stack = len(classes["effects"])
    proxy = np.zeros(n_stack, dtype=bool)
    if bounds.phi is not None:
        proxy |= _outside(classes["phi"], bounds.phi[0], bounds.phi[1])
    if bounds.psi is not None:
        proxy |= _outside(classes["psi"], bounds.psi[0], bounds.psi[1])
    outcome = np.zeros(n_stack, dtype=bool)
    if bounds.y is not None:
        outcome = _outside(classes["y"], np.asarray(bounds.y[0]), np.asarray(bounds.y[1]))
    unit = np.zeros(()), np.ones(())
    return {
        "probabilities": _outside(classes["probabilities"], *unit),
        "arm_probabilities": _outside(classes["pi"], *unit),
        "proxy_means": proxy,
        "outcome_means": outcome,
    }


def _outside(values: Array, low: Array, high: Array) -> NDArray[np.bool_]:
    """Whether any entry of each problem leaves the range by more than rounding."""
    slack = 1e-7 * (high - low) + 1e-12
    beyond = (values < low - slack) | (values > high + slack)
    return beyond.reshape(len(values), -1).any(axis=1)
