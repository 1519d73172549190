"""New forests: single roots on given columns, with their grids of cuts and codes of the rows."""

from __future__ import annotations

import numpy as np

from bayes_hte.errors import SpecError
from bayes_hte.surfaces.forest.core import ForestPrior, LiveForest, join, pack, sweep
from bayes_hte.surfaces.forest.layout import (
    FREE,
    IS_MISSING,
    LEAF,
    MISSING,
    NODE,
    SLOTS,
    Grid,
    Law,
    Shares,
)

MAX_CUTS = 255  # codes of a numeric column are bytes
MAX_LEVELS = 63
# Probability of the reserved column; see :mod:`bayes_hte.surfaces.forest.surface`.
RESERVE = 0.25
# Columns of stored splits are 16-bit integers, half of them for splits that send missing left.
MAX_COLUMNS = 16_000


def plant(
    prior: ForestPrior,
    x: np.ndarray,
    basis: np.ndarray | None = None,
    *,
    levels: np.ndarray | None = None,
    variables: np.ndarray | None = None,
    reserved: int | None = None,
    missing: np.ndarray | None = None,
) -> LiveForest:
    """Create a forest of roots with value 0.

    Parameters
    ----------
    prior : ForestPrior
        Its prior.
    x : ndarray, shape (row, feature)
        Columns to split on.
    basis : ndarray, shape (row,), optional
        Multiplies the forest; None means 1 everywhere.
    levels : ndarray of int, shape (feature,), optional
        0 for a numeric column (all of them if not given); K for an unordered categorical column
        that holds the codes 0, ..., K-1.
    variables : ndarray of int, shape (feature,), optional
        For a sparse prior: the variable each column comes from; columns of one variable share a
        probability. Default: each column is a variable.
    reserved : int, optional
        For a sparse prior: a column with a probability of its own, ``RESERVE``.
    missing : ndarray of bool, shape (feature,), optional
        Whether a column may have missing values (NaN), now or in rows to be predicted; ignored for
        categorical columns, in which missing is a level. Default: no column.

    Returns
    -------
    LiveForest

    Raises
    ------
    SpecError
        If there are no rows or too many columns, values that are not finite (or missing where they
        may be), a categorical column of fewer than 2 or more than 63 levels, or codes that are not
        its levels.
    """
    x = np.asarray(x, dtype=np.float64)
    rows, features = x.shape
    levels = np.zeros(features, np.int64) if levels is None else np.asarray(levels, np.int64)
    gaps = (
        np.zeros(features, bool) if missing is None else np.asarray(missing, bool) & (levels == 0)
    )
    _check_columns(x, levels, gaps)
    codes = np.empty((features, rows), dtype=np.uint8)
    cuts = np.zeros(features, dtype=np.int64)
    thresholds = np.zeros((features, MAX_CUTS))
    for j in range(features):
        if levels[j] > 0:
            codes[j] = x[:, j]
            continue
        seen = ~np.isnan(x[:, j])
        grid = _cut_grid(x[seen, j], MAX_CUTS - gaps[j])
        cuts[j] = grid.size
        thresholds[j, : grid.size] = grid
        codes[j] = np.where(seen, np.searchsorted(grid, x[:, j], side="left"), MISSING)
    thresholds[gaps, IS_MISSING] = np.inf
    columns = np.flatnonzero((cuts > 0) | (levels > 0) | gaps)
    nodes = np.zeros((prior.trees, SLOTS), dtype=NODE)
    nodes["feature"] = FREE
    nodes["feature"][:, 0] = LEAF
    nodes["parent"][:, 0] = -1
    nodes["count"][:, 0] = rows
    nodes["open"][:, 0] = columns.size
    split = prior.alpha * (1.0 + np.arange(prior.max_depth + 2)) ** -float(prior.beta)
    live = LiveForest(
        prior=prior,
        variance=np.array([prior.leaf_variance]),
        count=np.array([prior.trees]),
        f=np.zeros(rows),
        basis=np.ones(rows) if basis is None else np.array(basis, dtype=np.float64),
        grid=Grid(codes=codes, cuts=cuts, levels=levels, columns=columns, missing=gaps),
        shares=_plant_shares(prior, columns, features, variables, reserved),
        law=Law(split=split, min_leaf=int(prior.min_leaf), max_depth=int(prior.max_depth)),
        thresholds=thresholds,
        nodes=nodes,
        tops=np.ones(prior.trees, dtype=np.int64),
        slots=np.zeros((prior.trees, rows), dtype=np.uint8),
    )
    live.joint = join([live])
    return live


def _plant_shares(
    prior: ForestPrior,
    columns: np.ndarray,
    features: int,
    variables: np.ndarray | None,
    reserved: int | None,
) -> Shares:
    # All variables with a rule alike.
    own = np.arange(features) if variables is None or not prior.sparse else np.asarray(variables)
    kept = -1 if reserved is None or reserved not in columns or not prior.sparse else int(reserved)
    drawn = columns[columns != kept]
    names, index = np.unique(own[drawn], return_inverse=True)
    variable = np.full(features, -1, dtype=np.int64)
    variable[drawn] = index
    size = names.size
    return Shares(
        variable=variable,
        start=np.concatenate([[0], np.cumsum(np.bincount(index, minlength=size))]).astype(np.int64),
        members=drawn[np.argsort(index, kind="stable")].astype(np.int64),
        log_share=np.full(size, -np.log(max(size, 1))),
        share=np.full(size, 1 / max(size, 1)),
        cumulative=np.arange(1, size + 1) / max(size, 1),
        concentration=np.ones(1),
        reserved=kept,
        reserve=RESERVE,
    )


def _check_columns(x: np.ndarray, levels: np.ndarray, gaps: np.ndarray) -> None:
    rows, features = x.shape
    if rows == 0 or features > MAX_COLUMNS:
        raise SpecError(
            f"a forest needs at least one row and at most {MAX_COLUMNS} columns, got {rows} rows "
            f"and {features} columns."
        )
    if levels.shape != (features,):
        raise SpecError(f"levels must have one entry for each of {features} columns.")
    if not (np.isfinite(x) | (np.isnan(x) & gaps)).all():
        raise SpecError(
            "forest columns must be finite; declare those that may have missing values, or encode "
            "these before the forest."
        )
    for j in np.flatnonzero(levels):
        k = int(levels[j])
        if not 2 <= k <= MAX_LEVELS:
            raise SpecError(
                f"column {j} has {k} levels; a forest splits categories of 2 to {MAX_LEVELS} "
                "levels. Group the rare levels, or give the column as numbers."
            )
        if not np.isin(x[:, j], np.arange(k)).all():
            raise SpecError(f"column {j} is categorical and must hold whole codes 0 to {k - 1}.")


def _cut_grid(column: np.ndarray, most: int) -> np.ndarray:
    # Midpoints between distinct values; ranks choose among them where there are too many.
    distinct, counts = np.unique(column, return_counts=True)
    lower, upper = distinct[:-1], distinct[1:]
    if lower.size > most:
        reached = np.cumsum(counts)[:-1]
        wanted = column.size * np.arange(1, most + 1) / (most + 1)
        chosen = np.unique(np.searchsorted(reached, wanted).clip(max=lower.size - 1))
        lower, upper = lower[chosen], upper[chosen]
    middle = lower / 2 + upper / 2
    # Between neighbouring floats the midpoint rounds to one of them.
    return np.where((lower <= middle) & (middle < upper), middle, lower)


def compile_kernel() -> None:
    """Compile the kernel, or load it from numba's cache on disk.

    The first call on a machine takes some ten seconds. Made before chains are started in forked
    processes, it is made once and not by each of them.
    """
    live = plant(ForestPrior(scale=1.0, trees=1, sparse=True), np.eye(2))
    sweep(live, np.zeros(2), np.ones(2), np.random.default_rng(0))
    pack(live)
