"""The linear functions of a component as the columns of one matrix, with their priors.

Functions that are linear in coefficients (constants, linear functions, trends, curves) become
columns, each times the basis of its term. The priors are those that the surfaces declare to PyMC
(:mod:`bayes_hte.surfaces.linear`, `.trend`, `.additive`, :mod:`bayes_hte.components.clusters`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bayes_hte.components.clusters import sd_scale
from bayes_hte.components.component import Component, PlacedTerm
from bayes_hte.fitting.gibbs.state import Columns
from bayes_hte.study.design import Design
from bayes_hte.surfaces.additive import (
    BASIS,
    FREQUENCIES,
    MEDIAN_LENGTHSCALE,
    SD_LOG_LENGTHSCALE,
    basis_matrix,
    curved_columns,
    mean_squares,
)
from bayes_hte.surfaces.linear import (
    GLOBAL_DF,
    constant_sd,
    features_of,
    global_scale,
    is_shrunk,
    rows_of,
)
from bayes_hte.surfaces.trend import coefficient_sd, trend_columns


@dataclass(frozen=True)
class Entry:
    """Where the value of a variable of the PyMC model is found.

    Attributes
    ----------
    name : str
        Name of the variable.
    source : str
        Field of :class:`bayes_hte.fitting.gibbs.state.State`, or ``"amplitude"``.
    index : int or ndarray of int
        Position in the field, of the shape of the variable; of an amplitude its column.
    """

    name: str
    source: str
    index: int | np.ndarray


@dataclass(frozen=True)
class Layout:
    """The columns of a component and the variables they stand for.

    Attributes
    ----------
    columns : Columns
        As the compiled updates see them.
    entries : tuple of Entry
        The variables.
    clusters : int
        Number of clusters with an intercept.
    role : str
        Role of the component, which starts the names of the intercepts' variables.
    """

    columns: Columns
    entries: tuple[Entry, ...]
    clusters: int
    role: str


@dataclass(frozen=True)
class _Horseshoe:
    """Coefficients whose scales are sampled together; `parts` holds the columns of each scale."""

    parts: tuple[np.ndarray, ...]
    slab: float
    tau_scale: float


@dataclass
class _Found:
    """Columns in the order in which they are found; those of a horseshoe have an sd of NaN."""

    values: list[np.ndarray] = field(default_factory=list)
    sd: list[float] = field(default_factory=list)
    frequency: list[float] = field(default_factory=list)
    mean_square: list[float] = field(default_factory=list)
    horseshoes: list[_Horseshoe] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)

    def add(
        self,
        values: np.ndarray,
        sd: float | Sequence[float],
        *,
        frequency: float | np.ndarray = 0.0,
        mean_square: float | np.ndarray = 1.0,
    ) -> np.ndarray:
        """Add columns, shape (row, column); return their numbers."""
        size = values.shape[1]
        self.values += list(values.T)
        self.sd += list(np.broadcast_to(sd, size))
        self.frequency += list(np.broadcast_to(frequency, size))
        self.mean_square += list(np.broadcast_to(mean_square, size))
        return np.arange(len(self.values) - size, len(self.values))

    def shrink(self, prefix: str, parts: Sequence[np.ndarray], *, slab: float, rows: int) -> None:
        """Put columns that are there under one horseshoe."""
        scale = global_scale(len(parts), scale=slab, rows=rows)
        before = sum(len(h.parts) for h in self.horseshoes)
        self.entries += [
            Entry(f"{prefix}_tau", "tau", len(self.horseshoes)),
            Entry(f"{prefix}_local", "local", before + np.arange(len(parts))),
        ]
        self.horseshoes.append(_Horseshoe(tuple(parts), slab, scale))

    def coefficients(self, name: str, index: int | np.ndarray, source: str = "coef") -> None:
        """Note that columns hold a variable."""
        self.entries.append(Entry(name, source, index))


def layout(component: Component) -> Layout | None:
    """Collect the linear functions and the clusters of a component.

    Parameters
    ----------
    component : Component
        The component; its forests and Gaussian processes are left out.

    Returns
    -------
    Layout or None
        None if nothing is linear and no cluster has an intercept.
    """
    found, design = _Found(), component.design
    for placed in component.placed:
        if placed.term.kind == "trend":
            _add_trend(found, placed, design)
        elif component.surface in ("linear", "additive"):
            _add_linear(found, placed, design)
            if component.surface == "additive":
                _add_curves(found, placed, design)
    clusters = len(design.clusters) if component.clustered else 0
    if not found.values and not clusters:
        return None
    return _compiled(found, component, clusters)


def _add_trend(found: _Found, placed: PlacedTerm, design: Design) -> None:
    z = trend_columns(placed.term, design).to_numpy()
    if z.shape[1] > 0:
        sd = coefficient_sd(z.shape[1], scale=placed.scale)
        found.coefficients(f"{placed.name}_coef", found.add(_times(z, placed), sd))


def _add_linear(found: _Found, placed: PlacedTerm, design: Design) -> None:
    term, prefix = placed.term, placed.name
    if term.constant:
        one = np.ones((design.n_rows, 1))
        index = found.add(_times(one, placed), constant_sd(term, scale=placed.scale))
        found.coefficients(f"{prefix}_const", int(index[0]))
    z = features_of(term, design)
    if z.shape[1] == 0:
        return
    shrunk = is_shrunk(list(z.columns))
    index = found.add(_times(z.to_numpy(), placed), np.where(shrunk, np.nan, placed.scale))
    found.coefficients(f"{prefix}_coef", index)
    found.coefficients(f"{prefix}_raw", index, "raw")
    if shrunk.any():
        rows = rows_of(term, design)
        found.shrink(prefix, list(index[shrunk, None]), slab=placed.scale, rows=rows)


def _add_curves(found: _Found, placed: PlacedTerm, design: Design) -> None:
    term, prefix = placed.term, placed.name
    curved = () if term.features == "none" else curved_columns(term, design)
    if not curved:
        return
    index = found.add(
        _times(basis_matrix(term, design), placed),
        np.nan,
        frequency=np.tile(FREQUENCIES, len(curved)),
        mean_square=np.concatenate([mean_squares(c) for c in curved]),
    ).reshape(-1, BASIS)
    before = sum(len(h.parts) for h in found.horseshoes)
    rows = rows_of(term, design)
    found.shrink(f"{prefix}_curve", list(index), slab=placed.scale, rows=rows)
    parts = before + np.arange(len(curved))
    found.coefficients(f"{prefix}_curve", index)
    found.coefficients(f"{prefix}_curve_raw", index, "raw")
    found.coefficients(f"{prefix}_amplitude", index[:, 0], "amplitude")
    found.coefficients(f"{prefix}_lengthscale", parts, "lengthscale")


def _times(values: np.ndarray, placed: PlacedTerm) -> np.ndarray:
    return values if placed.basis is None else values * placed.basis[:, None]


def _compiled(found: _Found, component: Component, clusters: int) -> Layout:
    """Order the columns: those of a fixed prior first, then the horseshoes' part by part."""
    parts = [part for h in found.horseshoes for part in h.parts]
    sd = np.array(found.sd, dtype=np.float64)
    order = np.concatenate([np.flatnonzero(np.isfinite(sd)), *parts]).astype(np.int64)
    position = np.argsort(order)
    fixed = int(np.isfinite(sd).sum())
    design = component.design
    columns = Columns(
        x=np.array(found.values, dtype=np.float64).reshape(-1, design.n_rows)[order],
        cluster=design.cluster_index.astype(np.int64) if clusters else np.zeros(0, np.int64),
        fixed_sd=sd[order],
        start=fixed + np.cumsum([0, *map(len, parts)], dtype=np.int64),
        first=np.cumsum([0, *(len(h.parts) for h in found.horseshoes)], dtype=np.int64),
        slab=np.array([h.slab for h in found.horseshoes], dtype=np.float64),
        tau_scale=np.array([h.tau_scale for h in found.horseshoes], dtype=np.float64),
        frequency=np.array(found.frequency, dtype=np.float64)[order],
        mean_square=np.array(found.mean_square, dtype=np.float64)[order],
        cluster_scale=float(sd_scale(component.family.latent_sd(component.y[component.informing]))),
        log_lengthscale=float(np.log(MEDIAN_LENGTHSCALE)),
        sd_log_lengthscale=SD_LOG_LENGTHSCALE,
        tau_df=float(GLOBAL_DF),
    )
    by_column = ("coef", "raw", "amplitude")
    entries = (
        Entry(e.name, e.source, _plain(position[e.index])) if e.source in by_column else e
        for e in found.entries
    )
    return Layout(columns, tuple(entries), clusters, component.role)


def _plain(index: np.integer | np.ndarray) -> int | np.ndarray:
    return index if isinstance(index, np.ndarray) else int(index)
