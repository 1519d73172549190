"""From a component to posterior draws: sampler choice, seeds by stage, progress.

The direct sampler (:mod:`bayes_hte.fitting.gibbs`) draws every component whose parameters all have
updates of their own; Gaussian processes have samplers of theirs. PyMC's samplers take any model,
extended ones too. The user's seed gives every stage a seed of its own, derived from the name of the
stage, so adding a stage changes no other stage's numbers.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr

from bayes_hte.components.component import Component, imputation_name
from bayes_hte.components.fitted import FittedComponent
from bayes_hte.errors import SamplingError
from bayes_hte.fitting.blocks import is_large
from bayes_hte.fitting.cost import warn_if_long
from bayes_hte.fitting.gibbs.sampling import is_direct, posterior_of, sample_directly
from bayes_hte.fitting.progress import reporting
from bayes_hte.fitting.size import SamplerSize
from bayes_hte.names import SAMPLE
from bayes_hte.seeds import stage_seed
from bayes_hte.surfaces.forest.draws import stack
from bayes_hte.surfaces.forest.planting import compile_kernel
from bayes_hte.surfaces.forest.step import STAT
from bayes_hte.surfaces.gp.model import GPRegression, collapsed_model
from bayes_hte.surfaces.gp.sampling import sample_collapsed
from bayes_hte.surfaces.gp.surface import gp_term
from bayes_hte.surfaces.terms import Term

# Shrinkage scales have funnels: at the usual 0.8, and still at 0.95, some transitions diverge.
TARGET_ACCEPT = 0.99
# Attribute of the statistics of a sampled component: iterations before the kept draws.
TUNING_STEPS = "tuning_steps"


def sample_component(component: Component, *, seed: int, size: SamplerSize) -> FittedComponent:
    """Sample a component's posterior.

    Parameters
    ----------
    component : Component
        The component.
    seed : int
        The user's seed; the component's role names the stage.
    size : SamplerSize
        Sizes of the samples.

    Returns
    -------
    FittedComponent

    Raises
    ------
    SamplingError
        If sampling was interrupted, two chains are identical, or a draw is not finite.
    """
    warn_if_long(component, size)
    if component.collapses:
        return _finished(component, _sample_collapsed(component, seed, size), size)
    if is_direct(component):
        return _finished(component, _sample_directly(component, seed, size), size)
    return sample_with_pymc(component, seed=seed, size=size)


def sample_with_pymc(component: Component, *, seed: int, size: SamplerSize) -> FittedComponent:
    """Sample a component's posterior by PyMC: forests by their step method, the rest by NUTS.

    It is slower than :func:`sample_component` and has the same posterior. It serves models whose
    parameters have no updates of their own, because they were extended by further terms.

    Parameters
    ----------
    component, seed, size
        As in :func:`sample_component`.

    Returns
    -------
    FittedComponent

    Raises
    ------
    SamplingError
        As :func:`sample_component`.
    """
    with quiet(), component.model:
        tree = _sample(component, _options(component, seed, size))
    posterior, stats = tree["posterior"].to_dataset(), tree["sample_stats"].to_dataset()
    forests = None
    if component.forests:
        forests = stats[STAT].to_numpy().reshape(stats.sizes["chain"], stats.sizes["draw"])
    stats = stats[[v for v in stats.data_vars if stats[v].dims == SAMPLE and v != STAT]]
    return _finished(component, _Draws(posterior, stats, forests), size)


@dataclass(frozen=True)
class _Draws:
    """What a sampler returns.

    Attributes
    ----------
    posterior : Dataset, dims (chain, draw, ...)
        The variables of the PyMC model, its forests (their values at the rows) among them.
    stats : Dataset, dims (chain, draw)
        Statistics of the sampler.
    forests : ndarray of ForestDraw, shape (chain, draw), or None
        Trees.
    """

    posterior: xr.Dataset
    stats: xr.Dataset
    forests: np.ndarray | None = None


def _options(component: Component, seed: int, size: SamplerSize) -> dict[str, Any]:
    """Return the options of the samplers that run in processes of their own."""
    return {
        "draws": size.draws,
        "tune": size.tune,
        "chains": size.chains,
        "cores": size.processes,
        "random_seed": stage_seed(seed, component.role),
        "progressbar": size.progress is True,
        # Judged by the check of sampling health, on the effects.
        "compute_convergence_checks": False,
    }


def _sample_directly(component: Component, seed: int, size: SamplerSize) -> _Draws:
    """Sample by the updates of the parameters' own; see :mod:`bayes_hte.fitting.gibbs.chain`."""
    with reporting(size.progress, component.role) as report:
        chains = sample_directly(
            component,
            seed=stage_seed(seed, component.role),
            chains=size.chains,
            draws=size.draws,
            tune=size.tune,
            threads=size.processes,
            keep_values=not is_large(size.chains * size.draws, component.design.n_rows),
            report=report,
        )
    posterior = posterior_of(component, chains)
    stats = xr.Dataset(coords={dim: posterior[dim] for dim in SAMPLE})
    if not component.forests:
        return _Draws(posterior, stats)
    forests = np.empty((size.chains, size.draws), dtype=object)
    for row, chain in zip(forests, chains, strict=True):
        row[:] = chain.forests
    return _Draws(posterior, stats, forests)


def _sample(component: Component, options: dict[str, Any]) -> xr.DataTree:
    """Sample with the step or sampler that suits the surface, in the model's context."""
    try:
        steps = component.steps()
        if component.forests:
            # Here, so that no worker process compiles it again.
            compile_kernel()
        if steps:
            starts = _starts(component, options["chains"])
            return pm.sample(step=steps, initvals=starts, **options)
        return pm.sample(nuts_sampler="nutpie", nuts={"target_accept": TARGET_ACCEPT}, **options)
    except ValueError as error:
        # PyMC's words after an interrupt that came before the first kept draw.
        if "Not enough samples" not in str(error):
            raise
        raise SamplingError(
            f"{component.role}: sampling stopped before its first draw; run again to continue with "
            "the stages that were finished."
        ) from error


def _sample_collapsed(component: Component, seed: int, size: SamplerSize) -> _Draws:
    """Sample gaussian columns on Gaussian processes with the weights integrated out."""
    terms = tuple(
        gp_term(p.name, p.term, component.design, scale=p.scale, basis=p.basis)
        for p in component.placed
    )
    y, scale = component.y, component.family.latent_sd(component.y[component.informing])
    if component.known is not None:
        # The inducing points stay those of all units, which predictions look for.
        rows, y = component.known, y[component.known]
        terms = tuple(replace(t, z=t.z[rows], basis=t.basis[rows]) for t in terms)
    column = component.family.working_column(y)
    regression = GPRegression(component.role, terms, column, component.offset, scale)
    with quiet():
        posterior, stats = sample_collapsed(
            regression,
            collapsed_model(regression),
            chains=size.chains,
            draws=size.draws,
            cores=size.processes,
            seed=stage_seed(seed, component.role),
            progress=size.progress is True,
        )
    return _Draws(posterior, stats[[v for v in stats.data_vars if stats[v].dims == SAMPLE]])


def _starts(component: Component, chains: int) -> list[dict[str, int]] | None:
    """Start each chain at the first imputation that its own chain of the stage before made."""
    if component.imputations is None:
        return None
    name, draws = imputation_name(component.role), component.imputations.draws
    return [{name: chain * draws} for chain in range(chains)]


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the samplers' messages and warnings; the check of sampling health judges instead."""
    logger = logging.getLogger("pymc")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            # Fork after threads: the workers only run the compiled step, and never join threads.
            warnings.filterwarnings(
                "ignore", message=".*use of fork.*", category=DeprecationWarning
            )
            # Fewer draws than chains: also a matter of sampling health.
            warnings.filterwarnings("ignore", message="Found chain dimension to be longer")
            yield
    finally:
        logger.setLevel(level)


def check_draws(posterior: xr.Dataset, role: str, size: SamplerSize) -> None:
    """Raise unless draws are complete, finite, and of chains that differ.

    Parameters
    ----------
    posterior : Dataset, dims (chain, draw, ...)
    role : str
        Name of the component, for the message.
    size : SamplerSize
        The sizes that were asked for.

    Raises
    ------
    SamplingError
        If sampling stopped early, a draw is not finite, or two chains are identical.
    """
    # After an interrupt PyMC returns the draws it has; half a posterior must not pass for a whole.
    got = (posterior.sizes["chain"], posterior.sizes["draw"])
    if got != (size.chains, size.draws):
        raise SamplingError(
            f"{role}: sampling stopped early, with {got[0]} chains of {got[1]} draws instead of "
            f"{size.chains} of {size.draws}. None of them was kept; run again to continue with "
            "the stages that were finished."
        )
    for name, draws in posterior.data_vars.items():
        if not bool(np.isfinite(draws).all()):
            raise SamplingError(
                f"{role}: draws of {name} are not finite; check the scale of the columns."
            )
    # Whole numbers (an imputation's index) may rightly agree or differ between chains.
    real = [v for v in posterior.data_vars.values() if v.dtype.kind == "f"]
    first = real[0].to_numpy()
    for a in range(first.shape[0]):
        for b in range(a):
            if np.array_equal(first[a], first[b]):
                raise SamplingError(
                    f"{role}: chains {b} and {a} are identical, so the seeds did not reach the "
                    "sampler; the draws cannot be used. Please report this."
                )


def _finished(component: Component, draws: _Draws, size: SamplerSize) -> FittedComponent:
    """Check the draws and join them with their component."""
    trees, at_units, extra = {}, {}, {}
    drawn = [(p.name, p.term) for p in component.placed if p.name in component.forests]
    for i, (name, term) in enumerate(drawn):
        trees[term.name] = stack([[draw.forests[i] for draw in chain] for chain in draws.forests])
        if name in draws.posterior:
            at_units[term.name] = draws.posterior[name].to_numpy()
        if term.features == "none":
            extra[f"{name}_const"] = (SAMPLE, _only_leaf(trees[term.name]))
            continue
        extra[f"{name}_leaf_sd"] = (SAMPLE, _collect(draws.forests, "leaf_sd", i))
        extra[f"{name}_leaves"] = (SAMPLE, _collect(draws.forests, "leaves", i))
        if component.forests[name].prior.sparse:
            extra[f"{name}_split"] = _split_probabilities(draws.forests, i, name, term, component)
    posterior = draws.posterior
    # Where the values of forests are not kept, the scales of their leaves say what they would.
    check_draws(posterior if at_units else posterior.assign(extra), component.role, size)
    if component.forests:
        posterior = posterior.drop_vars([*component.forests, "unit"], errors="ignore").assign(extra)
    stats = draws.stats.assign_attrs({TUNING_STEPS: size.tune})
    return FittedComponent.of(
        component, posterior=posterior, stats=stats, trees=trees, at_units=at_units
    )


def _only_leaf(trees: xr.Dataset) -> np.ndarray:
    """Return the value of a forest of one tree that cannot split, shape (chain, draw)."""
    return trees["number"].to_numpy()[trees["root"].to_numpy()[..., 0]]


def _split_probabilities(
    kept: np.ndarray, i: int, name: str, term: Term, component: Component
) -> xr.DataArray:
    """Probabilities with which trees choose a covariate, dims (chain, draw, covariate)."""
    variables = component.forests[name].variables
    names = list(component.design.columns(term.features).names)
    by_column = np.array([[draw.probabilities[i] for draw in chain] for chain in kept])
    values = by_column @ (variables[:, None] == np.arange(len(names))).astype(float)
    dimension = f"{name}_covariate"
    return xr.DataArray(values, dims=(*SAMPLE, dimension), coords={dimension: names})


def _collect(kept: np.ndarray, what: str, i: int) -> np.ndarray:
    return np.array([[getattr(draw, what)[i] for draw in chain] for chain in kept])
