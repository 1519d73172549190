"""Fit a mixture of treatment effects: draws, names of the classes, comparison with the moments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

from bayes_hte.checks.base import CheckResult
from bayes_hte.checks.sampling_health import average_effects, divergences
from bayes_hte.fitting.sampling import SamplerSize, check_draws
from bayes_hte.mixtures.agreement import compare_posteriors
from bayes_hte.mixtures.identification import Identifiability
from bayes_hte.mixtures.likelihood.labels import ClassLabels, label_classes
from bayes_hte.mixtures.likelihood.law import Patterns, class_law, class_means
from bayes_hte.mixtures.likelihood.membership import class_shares
from bayes_hte.mixtures.likelihood.mixture_fit import MixtureFit
from bayes_hte.mixtures.likelihood.model import MixturePriors, build_mixture, start_point
from bayes_hte.mixtures.likelihood.problem import MixtureProblem, mixture_problem
from bayes_hte.mixtures.moments.data import MixtureData, empirical_moments
from bayes_hte.mixtures.moments.posterior import MomentPosterior, moment_posterior
from bayes_hte.mixtures.moments.solution import solve_mixture
from bayes_hte.mixtures.moments.start import starting_values
from bayes_hte.mixtures.proxies.bases import ContinuousBasis
from bayes_hte.mixtures.proxies.features import MAX_JOINT_LEVELS
from bayes_hte.names import ARM, CHAIN, CLASS, DRAW, SAMPLE
from bayes_hte.seeds import check_seed, stage_seed

STAGE: Final = "mixture"
SEED_NAME: Final = "latent class"
"""The draws of a fixed seed depend on this text, which is older than the name of the stage."""


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
    class_covariates: Sequence[str] = (),
    reference: Any = None,
    priors: MixturePriors | None = None,
    continuous: ContinuousBasis | None = None,
    max_joint_levels: int = MAX_JOINT_LEVELS,
    draws: int = 500,
    tune: int = 500,
    chains: int = 4,
    progress: bool = True,
) -> MixtureFit:
    """Fit a mixture of classes with their own treatment effects, and compare it with the moments.

    Parameters
    ----------
    frame : DataFrame
        One row per unit; not changed.
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
        Of the likelihood. 2 assumes that Z is independent of T given the class, and is biased when
        it is not; 3 is right either way.
    edges : sequence of str, default ("Z-T",)
        Edges that cannot be ruled out, see :data:`bayes_hte.mixtures.identification.EDGES`. With an
        X-Y edge the outcome may depend on X (level 4), and the average effect alone is reported.
    family : {"bernoulli", "gaussian", "student_t", "poisson", "negative_binomial"}
        Of the outcome. The shape of its distribution within a class informs the classes too,
        except for a bernoulli one; the comparison with the moments shows whether that misleads.
    class_covariates : sequence of str, default ()
        Columns measured before treatment that make a class more or less probable, by a softmax
        regression. They may act on proxies, treatment and outcome through the class alone: one that
        also acts otherwise is a confounder that neither the likelihood nor the moments handle.
    reference : optional
        Level of the treatment that is compared with; default the smaller one.
    priors : MixturePriors, optional
        Default flat on probabilities, see :class:`MixturePriors`.
    continuous : QuantileBins, optional
        Bins of continuous proxies; default four.
    max_joint_levels : int, default 16
        Largest crossing of the proxies of one side.
    draws, tune, chains : int
        Kept draws and tuning steps per chain, and number of chains.
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
        If proxies cannot be crossed.
    DataError, SpecError
        If columns or options cannot be used.
    SamplingError
        If draws are not finite, or two chains are identical.

    Notes
    -----
    Rows that are equal share a term, so binary outcomes cost the same for any number of units.
    Chains start at the moment solution, moved into its ranges, with a uniform jitter of one on the
    unconstrained scale; without a moment solution, at the centre of the priors with that jitter.

    Examples
    --------
    >>> import numpy as np
    >>> import bayes_hte as hte
    >>> from bayes_hte.mixtures import draw_frame, paper_design
    >>> rows = draw_frame(paper_design(), 300, rng=np.random.default_rng(1))
    >>> hte.fit_mixture(
    ...     rows, outcome="y", treatment="t", z_proxies=["z"], x_proxies=["x"], k=3, seed=1
    ... )  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    bayes_hte.errors.NotIdentifiedError: ... 3 classes need 3 levels on each side; ...
    """
    seed = check_seed(seed)
    size = SamplerSize(chains=chains, draws=draws, tune=tune, progress=progress)
    problem = mixture_problem(
        frame,
        outcome=outcome,
        treatment=treatment,
        x_proxies=x_proxies,
        z_proxies=z_proxies,
        k=k,
        level=level,
        edges=edges,
        family=family,
        class_covariates=class_covariates,
        reference=reference,
        priors=priors,
        continuous=continuous,
        max_joint_levels=max_joint_levels,
    )
    return judge_mixture(problem, sample_mixture(problem, seed=seed, size=size), seed=seed)


def sample_mixture(problem: MixtureProblem, *, seed: int, size: SamplerSize) -> xr.DataTree:
    """Draw from the posterior of a mixture.

    Parameters
    ----------
    problem : MixtureProblem
    seed : int
        The seed given by the user.
    size : SamplerSize

    Returns
    -------
    DataTree
        Groups ``posterior``, classes as each chain calls them, and ``sample_stats``.

    Raises
    ------
    SamplingError
        If draws are not finite, or two chains are identical.
    """
    model = build_mixture(
        problem.data,
        problem.patterns,
        k=problem.graph.k,
        level=problem.level,
        family=problem.family,
        priors=problem.priors,
    )
    return _sample(model, _start(problem), seed, size)


def judge_mixture(problem: MixtureProblem, sampled: xr.DataTree, *, seed: int) -> MixtureFit:
    """Name the classes of every draw, check the draws and compare them with the moments.

    Parameters
    ----------
    problem : MixtureProblem
    sampled : DataTree
        From :func:`sample_mixture`; not changed.
    seed : int
        The same seed.

    Returns
    -------
    MixtureFit
    """
    level, family, graph = problem.level, problem.family, problem.graph
    raw, stats = (sampled[name].to_dataset() for name in ("posterior", "sample_stats"))
    labels = _labels(raw, stats["logp"], level, family, problem.data)
    posterior = _relabel(raw, labels)
    derived = _derive(posterior, level, family, problem.patterns)
    health = _health(derived, stats, labels, graph)
    moments = _moments(problem, labels, seed)
    doubts = [check.text for check in health if not check.passed]
    return MixtureFit(
        posterior=xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats}),
        derived=derived,
        level=level,
        family=family,
        identifiability=graph,
        labels=labels,
        health=health,
        moments=moments,
        agreement=compare_posteriors(derived, moments, doubts=doubts),
        patterns=problem.patterns,
        units=problem.study.units,
    )


def _start(problem: MixtureProblem) -> dict[str, np.ndarray]:
    """Starting point from the moments; empty, the sampler's own, when they have no solution."""
    if not problem.has_moments:
        return {}
    moments = empirical_moments(problem.data)
    solution = solve_mixture(moments, k=problem.graph.k)
    if not np.isfinite(solution.effects).all():
        return {}
    return start_point(
        starting_values(solution, moments),
        problem.data,
        level=problem.level,
        family=problem.family,
        priors=problem.priors,
    )


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
            cores=size.processes,
            random_seed=stage_seed(seed, SEED_NAME),
            progressbar=size.progress is True,
            compute_convergence_checks=False,  # judged below, on relabelled draws
            quiet=True,
        )
    posterior, stats = tree["posterior"].to_dataset(), tree["sample_stats"].to_dataset()
    check_draws(posterior, STAGE, size)
    # Variables that can be saved and mean the same in every run: no times, no texts.
    kept = [name for name, v in stats.data_vars.items() if v.dims == SAMPLE and v.dtype != object]
    groups = {"posterior": posterior.drop_attrs(), "sample_stats": stats[kept].drop_attrs()}
    return xr.DataTree.from_dict(groups)


def _labels(
    raw: xr.Dataset, logp: xr.DataArray, level: int, family: str, data: MixtureData
) -> ClassLabels:
    """Labels of the classes, matched by proxies and by outcome means in units of the column."""
    law = class_law(raw, level, family)
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


def _derive(posterior: xr.Dataset, level: int, family: str, patterns: Patterns) -> xr.Dataset:
    """Class means, effects, shares of the classes and average effect of every draw."""
    law = class_law(posterior, level, family)
    means = xr.DataArray(
        class_means(law, family),
        dims=(CHAIN, DRAW, CLASS, ARM),
        coords={name: posterior[name] for name in (CHAIN, DRAW, CLASS, ARM)},
    )
    effects = means.isel({ARM: 1}, drop=True) - means.isel({ARM: 0}, drop=True)
    weights = posterior["probabilities"].copy(data=class_shares(law, patterns))
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
    checks = (average_effects(xr.Dataset(scalars)), divergences({STAGE: stats}))
    return (*checks, labels.check()) if classes else checks


def _moments(problem: MixtureProblem, labels: ClassLabels, seed: int) -> MomentPosterior | None:
    """The moment posterior, if the proxies have the levels it needs."""
    if not problem.has_moments:
        return None
    rng = np.random.default_rng(stage_seed(seed, "mixture moments"))
    return moment_posterior(problem.data, problem.graph, rng=rng, labels=labels.rule)
