"""The direct sampler of a component: chains as threads, with progress and interruption.

Compiled updates release Python's lock, so threads run side by side and share the data. Each chain
has a generator of its own, so the draws do not depend on the number of threads. On a cluster of the
user, ``joblib.parallel_config(backend="dask")``, each chain is a task, with the same draws.
"""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from joblib import Parallel, delayed
from joblib.parallel import get_active_backend
from threadpoolctl import threadpool_limits

from bayes_hte.components.component import Component
from bayes_hte.fitting.gibbs.chain import ChainDraws, Stopped, sample_chain
from bayes_hte.fitting.progress import Report
from bayes_hte.names import CHAIN, DRAW, SAMPLE
from bayes_hte.surfaces.forest.planting import compile_kernel
from bayes_hte.surfaces.registry import is_forest

DIRECT_SURFACES = ("forest", "linear", "additive")
# joblib's own ways of running tasks; any other is a cluster.
OF_THIS_MACHINE = ("SequentialBackend", "ThreadingBackend", "LokyBackend", "MultiprocessingBackend")
# Seconds between two reports of progress.
BETWEEN_REPORTS = 0.1


def is_direct(component: Component) -> bool:
    """Whether every block of a component's parameters has an update of its own."""
    return all(
        is_forest(component.surface, term) or component.surface in DIRECT_SURFACES
        for term in component.terms
    )


def sample_directly(
    component: Component,
    *,
    seed: int,
    chains: int,
    draws: int,
    tune: int,
    threads: int,
    keep_values: bool = True,
    report: Report | None = None,
) -> list[ChainDraws]:
    """Sample the chains of a component.

    Parameters
    ----------
    component : Component
        One for which :func:`is_direct` holds.
    seed : int
        Of the component.
    chains, draws, tune : int
        Chains, kept draws of each, and iterations before them.
    threads : int
        Chains that run at the same time.
    keep_values : bool, default True
        Whether the values of forests at the rows are kept.
    report : callable (int, int), optional
        Called now and then with the iterations done and their number, over all chains.

    Returns
    -------
    list (chain) of ChainDraws

    Raises
    ------
    KeyboardInterrupt
        If the user interrupted; all chains have stopped then, and no draw is kept.
    """
    generators = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(chains)]
    how = {"draws": draws, "tune": tune, "keep_values": keep_values}
    if on_cluster():
        return _as_tasks(component, generators, how)
    if component.forests:
        compile_kernel()
    counter = _Counter(chains * (draws + tune))

    def run(chain: int) -> ChainDraws:
        rng = generators[chain]
        return sample_chain(component, chain=chain, rng=rng, after=counter.count, **how)

    # Threads of a linear algebra library within those of the chains would wait for each other.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(run, chain) for chain in range(chains)]
        try:
            pending = set(futures)
            while pending:
                _, pending = wait(pending, timeout=BETWEEN_REPORTS, return_when=FIRST_EXCEPTION)
                if report is not None:
                    report(counter.done, counter.total)
                if any(f.done() and f.exception() is not None for f in futures):
                    break
        finally:
            # After an error or an interrupt the other chains stop at their next iteration.
            counter.stopped.set()
    return _results(futures)


def on_cluster() -> bool:
    """Whether joblib was given a cluster of the user, on which this is not yet a task."""
    backend = get_active_backend()[0]
    if type(backend).__name__ in OF_THIS_MACHINE or backend.nesting_level:
        return False
    # A task of Dask has the same backend again, without a level: its chains would become tasks
    # too, each with the data once more.
    distributed = sys.modules.get("distributed")
    try:
        return distributed is None or distributed.get_worker() is None
    except ValueError:  # this is not a task
        return True


def _as_tasks(
    component: Component, generators: Sequence[np.random.Generator], how: Mapping[str, Any]
) -> list[ChainDraws]:
    """Sample each chain as a task of the user's cluster; progress is what the cluster shows."""
    # The updates need no PyMC model.
    light = replace(component, model=None, eta=None, noise={}, observed=None)
    # As one array, which is sent to the cluster once; an object would go with every chain.
    packed = np.frombuffer(pickle.dumps(light, protocol=5), dtype=np.uint8)
    return Parallel(n_jobs=len(generators))(
        delayed(_task)(packed, chain, rng, how) for chain, rng in enumerate(generators)
    )


def _task(
    packed: np.ndarray, chain: int, rng: np.random.Generator, how: Mapping[str, Any]
) -> ChainDraws:
    component: Component = pickle.loads(packed)
    if component.forests:
        compile_kernel()
    with threadpool_limits(1, "blas"):
        return sample_chain(component, chain=chain, rng=rng, **how)


class _Counter:
    """Counts the iterations of all chains, and lets them stop."""

    def __init__(self, total: int) -> None:
        self.done, self.total = 0, total
        self.stopped = threading.Event()
        self._lock = threading.Lock()

    def count(self) -> bool:
        """Add one iteration; false if the chain is to stop."""
        with self._lock:
            self.done += 1
        return not self.stopped.is_set()


def _results(futures: Sequence[Future[ChainDraws]]) -> list[ChainDraws]:
    """Return the draws of all chains, or raise the error that stopped them."""
    errors = [f.exception() for f in futures]
    first = [e for e in errors if e is not None and not isinstance(e, Stopped)]
    if first:
        raise first[0]
    return [f.result() for f in futures]


def posterior_of(component: Component, chains: Sequence[ChainDraws]) -> xr.Dataset:
    """Join the draws of the PyMC model's variables.

    Parameters
    ----------
    component : Component
        The component.
    chains : sequence of ChainDraws
        Its draws.

    Returns
    -------
    Dataset, dims (chain, draw, ...)
        Names, dims and coordinates as PyMC would give them; of a forest the values at the rows, if
        they were kept.
    """
    model = component.model
    variables, coords = {}, {CHAIN: np.arange(len(chains)), DRAW: np.arange(chains[0].draws)}
    for name in chains[0].values:
        values = np.stack([chain.values[name] for chain in chains])
        own = model.named_vars_to_dims.get(name)
        if own is None:
            own = tuple(f"{name}_dim_{i}" for i in range(values.ndim - 2))
        variables[name] = ((*SAMPLE, *own), values)
        for dim, size in zip(own, values.shape[2:], strict=True):
            labels = model.coords.get(dim)
            coords[dim] = np.arange(size) if labels is None else list(labels)
    return xr.Dataset(variables, coords=coords)
