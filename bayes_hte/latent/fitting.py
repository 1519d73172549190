"""Fit a latent mixture of treatment effects: graph, model, draws, labels, cross-check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.sampling_health import average_effects, divergences
from bayes_hte.components.latent_class import (
    LatentClassPriors,
    build_latent_class,
    class_law,
    class_means,
    collapse,
    outcome_family,
    start_point,
)
from bayes_hte.errors import NotIdentifiedError, SamplingError, SpecError
from bayes_hte.latent.labels import ClassLabels, label_classes
from bayes_hte.latent.mixture_fit import MixtureFit
from bayes_hte.mixtures.agreement import compare_posteriors
from bayes_hte.mixtures.bases import ContinuousBasis
from bayes_hte.mixtures.data import MixtureData, empirical_moments, mixture_data
from bayes_hte.mixtures.features import MAX_JOINT_LEVELS
from bayes_hte.mixtures.hierarchy import Identifiability, identifiability
from bayes_hte.mixtures.moments import solve_mixture
from bayes_hte.mixtures.posterior import MomentPosterior, moment_posterior
from bayes_hte.mixtures.start import starting_values
from bayes_hte.names import ARM, CHAIN, CLASS, DRAW, SAMPLE
from bayes_hte.sampling import SamplerSize, stage_seed
from bayes_hte.study import Study


def fit_mixture(
    frame: pd.DataFrame,
    *,
    outcome: str,
    treatment: str,
    x_proxies: Sequence[str],
    z_proxies: Sequence[str],
    k: int,
    seed: int,
    level: int = 3,
    edges: Sequence[str] = ("Z-T",),
    family: str = "bernoulli",
    reference: Any = None,
    priors: LatentClassPriors | None = None,
    continuous: ContinuousBasis | None = None,
    max_joint_levels: int = MAX_JOINT_LEVELS,
    draws: int = 500,
    tune: int = 500,
    chains: int = 4,
    progress: bool = True,
) -> MixtureFit:
    """Fit a latent class model of a treatment effect and check it against the moments.

    Parameters
    ----------
    frame : DataFrame
        One row a unit; not changed.
    outcome, treatment : str
        Columns; the treatment has two levels.
    x_proxies, z_proxies : sequence of str
        Outcome-side and treatment-side proxies of the class. Categories of a side are crossed;
        continuous ones are cut by `continuous`.
    k : int
        Number of classes, at least 2.
    seed : int
        Equal seed, equal draws on the same machine.
    level : {2, 3}, default 3
        Of the likelihood. 2 takes Z to be independent of T given the class, which is biased when
        it is not; 3 is right either way.
    edges : sequence of str, default ("Z-T",)
        Edges that cannot be ruled out, see :data:`bayes_hte.mixtures.hierarchy.EDGES`. With an
        X-Y edge the outcome may depend on X (level 4), and the average effect alone is reported.
    family : {"bernoulli", "gaussian"}
        Of the outcome. With a gaussian one the shape of its distribution within a class also
        informs the classes; the comparison with the moments shows whether that misleads.
    reference : optional
        Level of the treatment that effects are taken against; default the smaller one.
    priors : LatentClassPriors, optional
        Default flat on probabilities, see :class:`LatentClassPriors`.
    continuous : QuantileBins, optional
        How continuous proxies are cut; default four bins.
    max_joint_levels : int, default 16
        Largest crossing of the proxies of one side.
    draws, tune, chains : int
        Kept draws and tuning steps of each chain, and chains.
    progress : bool, default True
        Whether to show the sampler's progress.

    Returns
    -------
    MixtureFit

    Raises
    ------
    NotIdentifiedError
        If the graph does not identify the average effect, `level` is 2 although a Z-T edge is
        allowed, or the proxies have too few levels for the level.
    UnsupportedError
        If proxies cannot be crossed, or the family is not one of the two.
    DataError, SpecError
        If columns or options cannot be used.
    SamplingError
        If draws are not finite.

    Notes
    -----
    Rows that are equal share a term, so binary outcomes cost the same for any number of units.
    Chains start at the moment solution, moved into its ranges, with a uniform jitter of one on the
    unconstrained scale; without a moment solution, at the centre of the priors with that jitter.
    """
    outcome_family(family)
    covariates = [*z_proxies, *x_proxies]
    study = Study.from_frame(
        frame, outcome=outcome, treatment=treatment, covariates=covariates, reference=reference
    )
    data = mixture_data(
        study, z=z_proxies, x=x_proxies, continuous=continuous, max_joint_levels=max_joint_levels
    )
    graph = identifiability(
        k=k,
        z_levels=[len(data.z.names)],
        x_levels=[len(data.x.names)],
        edges=edges,
        outcome_levels=2 if family == "bernoulli" else None,
    )
    fitted_level = _level(level, graph, data)
    size = SamplerSize(chains=chains, draws=draws, tune=tune, progress=progress)
    prior = priors or LatentClassPriors()
    patterns = collapse(data)
    model = build_latent_class(data, patterns, k=k, level=fitted_level, family=family, priors=prior)
    start = _start(data, k, fitted_level, family, prior)
    tree = _sample(model, start, seed, size)
    raw = tree["posterior"].to_dataset()
    labels = _labels(raw, tree["sample_stats"]["logp"], fitted_level, family, data)
    tree["posterior"] = xr.DataTree(_relabel(raw, labels))
    derived = _derive(tree["posterior"].to_dataset(), fitted_level, family)
    health = _health(derived, tree["sample_stats"].to_dataset(), labels, graph)
    moments = _moments(data, graph, labels, seed)
    doubts = [check.text for check in health if not check.passed]
    return MixtureFit(
        posterior=tree,
        derived=derived,
        level=fitted_level,
        family=family,
        identifiability=graph,
        labels=labels,
        health=health,
        moments=moments,
        agreement=compare_posteriors(derived, moments, doubts=doubts),
        patterns=patterns,
        units=study.units,
    )


def _level(level: int, graph: Identifiability, data: MixtureData) -> int:
    """Level of the likelihood, or an error when the graph does not support it."""
    if level not in (2, 3):
        raise SpecError(f"level must be 2 or 3; got {level!r}. An X-Y edge is declared in edges.")
    graph.require("ate")
    if level == 2 and graph.level != 2:
        raise NotIdentifiedError(
            "level=2 takes the treatment-side proxies to be independent of the treatment given "
            f"the class, and the declared graph does not support it. {' '.join(graph.reasons)} "
            "Use level=3, or rule the edge out if the design does."
        )
    if level == 3 and not _ranked(graph, data):
        raise NotIdentifiedError(
            f"level=3 needs {graph.k} levels on each side; Z has {len(data.z.names)}, X has "
            f"{len(data.x.names)}. {' '.join(graph.remedies)} Or use level=2."
        )
    return 4 if graph.level == 4 else level


def _ranked(graph: Identifiability, data: MixtureData) -> bool:
    """Whether both sides have a level for every class, as the moments and level 3 need."""
    return min(len(data.z.names), len(data.x.names)) >= graph.k


def _start(
    data: MixtureData, k: int, level: int, family: str, priors: LatentClassPriors
) -> dict[str, np.ndarray]:
    """Starting point from the moments; empty, the sampler's own, when they have no solution."""
    if k > min(len(data.z.names), len(data.x.names)):
        return {}
    moments = empirical_moments(data)
    solution = solve_mixture(moments, k=k)
    if not np.isfinite(solution.effects).all():
        return {}
    start = starting_values(solution, moments)
    return start_point(start, data, level=level, family=family, priors=priors)


def _sample(
    model: pm.Model, start: dict[str, np.ndarray], seed: int, size: SamplerSize
) -> xr.DataTree:
    """Draw from the model."""
    with model:
        tree = pm.sample(
            nuts_sampler="nutpie",
            initvals=start,
            draws=size.draws,
            tune=size.tune,
            chains=size.chains,
            cores=min(size.cores, size.chains),
            random_seed=stage_seed(seed, "latent class"),
            progressbar=size.progress,
            compute_convergence_checks=False,  # judged below, on relabelled draws
            quiet=True,
        )
    for name, draws in tree["posterior"].data_vars.items():
        if not bool(np.isfinite(draws).all()):
            raise SamplingError(
                f"draws of {name} are not finite; check the outcome's scale and the counts of rare "
                "levels of the proxies."
            )
    return tree


def _labels(
    raw: xr.Dataset, logp: xr.DataArray, level: int, family: str, data: MixtureData
) -> ClassLabels:
    """Labels of the classes, matched by proxies and by outcome means in units of the column."""
    law = class_law(raw, level)
    means = class_means(law, family)
    scale = 1.0 if family == "bernoulli" else float(data.outcome.std())
    profiles = np.concatenate([law.z_given_class, law.x_given_class, means / scale], axis=-1)
    return label_classes(means[..., 1] - means[..., 0], profiles, logp.to_numpy())


def _relabel(raw: xr.Dataset, labels: ClassLabels) -> xr.Dataset:
    """Draws with classes in the order of their labels."""
    order = xr.DataArray(labels.order, dims=(*SAMPLE, CLASS))
    picked = {
        name: draws.drop_vars(CLASS).isel({CLASS: order}).transpose(*draws.dims)
        if CLASS in draws.dims
        else draws
        for name, draws in raw.data_vars.items()
    }
    return xr.Dataset(picked, coords=raw.coords, attrs=raw.attrs)


def _derive(posterior: xr.Dataset, level: int, family: str) -> xr.Dataset:
    """Class means, effects and average effect of every draw."""
    means = xr.DataArray(
        class_means(class_law(posterior, level), family),
        dims=(CHAIN, DRAW, CLASS, ARM),
        coords={name: posterior[name] for name in (CHAIN, DRAW, CLASS, ARM)},
    )
    effects = means.isel({ARM: 1}, drop=True) - means.isel({ARM: 0}, drop=True)
    weights = posterior["probabilities"]
    return xr.Dataset(
        {
            "effects": effects,
            "probabilities": weights,
            "class_means": means,
            "arm_means": (weights * means).sum(CLASS),
            "ate": (weights * effects).sum(CLASS),
        }
    )


def _health(
    derived: xr.Dataset, stats: xr.Dataset, labels: ClassLabels, graph: Identifiability
) -> tuple[CheckResult, ...]:
    """Checks of the draws of everything that will be reported."""
    scalars = {"ate": derived["ate"]}
    classes = "effects" in graph.identified
    if classes:
        for u in range(graph.k):
            scalars[f"effect of class {u}"] = derived["effects"].isel({CLASS: u}, drop=True)
            scalars[f"probability of class {u}"] = derived["probabilities"].isel(
                {CLASS: u}, drop=True
            )
    checks = (average_effects(xr.Dataset(scalars)), divergences({"latent class": stats}))
    return (*checks, labels.check()) if classes else checks


def _moments(
    data: MixtureData, graph: Identifiability, labels: ClassLabels, seed: int
) -> MomentPosterior | None:
    """The moment posterior, if the proxies have the levels it needs."""
    if not _ranked(graph, data):
        return None
    rng = np.random.default_rng(stage_seed(seed, "mixture moments"))
    return moment_posterior(data, graph, rng=rng, labels=labels.rule)
