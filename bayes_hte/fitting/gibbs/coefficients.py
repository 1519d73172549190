"""The part of the direct sampler that draws linear functions and cluster intercepts.

One sweep draws, given a gaussian working response, all coefficients jointly with the intercepts
integrated out, the scales of the horseshoes, the intercepts' standard deviation (also with the
intercepts integrated out) and the intercepts. No scale is conjugate, as the slab bounds them. Each
is drawn by slice steps on the log scale twice: given the coefficients, and given the coefficients
in units of their prior sd; what is slow in one form is fast in the other. A third step moves a
global scale against its local scales. These need sums over rows alone, so several rounds of all
cost little more than one.
"""

from __future__ import annotations

import numpy as np

from bayes_hte.components.component import Component
from bayes_hte.fitting.gibbs.columns import Layout, layout
from bayes_hte.fitting.gibbs.compiled import sweep_coefficients
from bayes_hte.fitting.gibbs.products import gram
from bayes_hte.fitting.gibbs.scales import start_scales
from bayes_hte.fitting.gibbs.state import State

# Rounds of coefficients and scales in one sweep. On 899 rows and 71 columns 1, 2, 4 and 8 of them
# gave 384, 547, 1,144 and 2,280 effective of 3,200 draws of the slowest tau, in 1.2, 1.7, 3.2 and
# 4.9 seconds; R-hat was at most 1.012, 1.009, 1.003 and 1.004.
ROUNDS = 4
# Starts: coefficients in units of their prior sd, and the scales' logarithms around typical values.
SPREAD_RAW, SPREAD_LOG = 0.3, 0.7
TYPICAL_CLUSTER = 0.5


class CoefficientsPart:
    """The coefficients, scales and intercepts of one chain; made by :func:`coefficients_part`.

    Parameters
    ----------
    columns : Layout
        Columns and priors; never changed, so chains may share it.
    rng : numpy.random.Generator
        Draws the start: scales within a factor of about two of typical values, coefficients near
        the middle of their priors.
    rounds : int
        Rounds of coefficients and scales in one sweep.
    """

    def __init__(self, columns: Layout, rng: np.random.Generator, *, rounds: int = ROUNDS) -> None:
        self._layout, self._columns, self._rounds = columns, columns.columns, rounds
        self._state = _start(columns, rng)
        clusters, rows = columns.clusters, self._columns.x.shape[1]
        self._unit = gram(self._columns.x, self._columns.cluster, clusters, np.ones(rows))

    def predictor(self) -> np.ndarray:
        """Return what the part adds to the linear predictor, shape (row,)."""
        state, columns = self._state, self._columns
        predictor = state.coef @ columns.x
        if self._layout.clusters:
            predictor += (state.cluster_sd[0] * state.cluster_raw)[columns.cluster]
        return predictor

    def sweep(self, residual: np.ndarray, precision: np.ndarray, rng: np.random.Generator) -> None:
        """Update all parameters given a gaussian working response.

        Parameters
        ----------
        residual : ndarray, shape (row,)
            Working response less the whole linear predictor; updated in place.
        precision : ndarray, shape (row,)
            One over the variance of the working noise.
        rng : numpy.random.Generator
            Source of the draws.
        """
        # Of one type whatever a family returns, so that nothing is compiled anew.
        precision = np.require(precision, np.float64, ["C", "W"])
        is_constant = bool((precision == precision[0]).all())
        sweep_coefficients(
            self._columns,
            self._state,
            self._unit,
            precision,
            is_constant,
            self._rounds,
            residual,
            rng,
        )

    def record(self) -> dict[str, float | np.ndarray]:
        """Return the current values, by the names of the PyMC model's variables."""
        return {e.name: self._value(e.source, e.index) for e in self._layout.entries} | (
            self._clusters() if self._layout.clusters else {}
        )

    def _value(self, source: str, index: int | np.ndarray) -> float | np.ndarray:
        state = self._state
        values = state.sd / state.relative if source == "amplitude" else getattr(state, source)
        return values[index] if isinstance(index, np.ndarray) else float(values[index])

    def _clusters(self) -> dict[str, float | np.ndarray]:
        sd, raw = float(self._state.cluster_sd[0]), self._state.cluster_raw.copy()
        role = self._layout.role
        return {f"{role}_cluster_sd": sd, f"{role}_cluster_raw": raw}


def coefficients_part(component: Component, rng: np.random.Generator) -> CoefficientsPart | None:
    """Build the part of a component's linear functions and cluster intercepts, for one chain.

    Parameters
    ----------
    component : Component
        The component. On surface ``"forest"`` its trends and clusters are drawn, on ``"linear"``
        and ``"additive"`` all terms.
    rng : numpy.random.Generator
        Draws the start.

    Returns
    -------
    CoefficientsPart or None
        None if the component has neither.
    """
    found = layout(component)
    return None if found is None else CoefficientsPart(found, rng)


def _start(columns: Layout, rng: np.random.Generator) -> State:
    of, size = columns.columns, columns.columns.fixed_sd.size
    parts, horseshoes = of.start.size - 1, of.first.size - 1
    around = np.exp(SPREAD_LOG * rng.normal(size=2 * parts + horseshoes + 1))
    local, lengthscale, tau, cluster = np.split(around, np.cumsum([parts, parts, horseshoes]))
    state = State(
        coef=np.zeros(size),
        raw=np.zeros(size),
        sd=np.ones(size),
        relative=np.ones(size),
        local=local,
        lengthscale=np.exp(of.log_lengthscale) * lengthscale,
        tau=of.tau_scale * tau,
        cluster_raw=rng.normal(size=columns.clusters),
        cluster_sd=TYPICAL_CLUSTER * of.cluster_scale * cluster,
    )
    start_scales(of, state)
    state.raw[:] = SPREAD_RAW * rng.normal(size=size)
    state.coef[:] = state.raw * state.sd
    return state
